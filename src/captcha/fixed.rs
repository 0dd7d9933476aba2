//! The provider `test`: tokens that name their outcome, for work without a browser.
//!
//! | token | outcome |
//! |---|---|
//! | `test-pass` | passes, with score 1 |
//! | `test-score-0.3` (any number from 0 to 1) | passes if the score is high enough |
//! | `test-timeout` | as if the verifier did not respond; returns at once |
//! | `test-fail`, and every other text | refused |
//!
//! These may be used any number of times. Each accepts a suffix after a dash that makes the token distinct
//! (`test-pass-7`, `test-score-0.9-b`); such a token passes once, as a real one does.

use serde_json::json;

use super::CaptchaCheck;
use crate::moment::Moment;

/// The outcome of a token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum FixedOutcome {
    /// As if the verifier did not respond.
    NoResponse,
    /// A response in the form of siteverify.
    Response {
        /// Its body.
        body: String,
        /// Whether the token may be spent only once.
        is_once: bool,
    },
}

/// The outcome of the token of a check.
pub(super) fn outcome(check: &CaptchaCheck<'_>, at: Moment) -> FixedOutcome {
    let token = check.proof.token().expose();
    if is_or_begins(token, "test-timeout").is_some() {
        return FixedOutcome::NoResponse;
    }
    let passed = match (is_or_begins(token, "test-pass"), score_of(token)) {
        (Some(ending), _) => Some((1.0, ending)),
        (None, scored) => scored,
    };
    let hostname = check.hostnames.first().map_or("localhost", String::as_str);
    let Some((score, is_once)) = passed else {
        let body = json!({
            "success": false,
            "challenge_ts": at.iso_seconds(),
            "hostname": hostname,
            "error-codes": ["invalid-input-response"],
        });
        return FixedOutcome::Response {
            body: body.to_string(),
            is_once: false,
        };
    };
    let body = json!({
        "success": true,
        "challenge_ts": at.iso_seconds(),
        "hostname": hostname,
        "score": score,
        "action": check.wanted_action().unwrap_or("test"),
    });
    FixedOutcome::Response {
        body: body.to_string(),
        is_once,
    }
}

/// Whether a token is the name itself (`false`) or the name with an ending (`true`).
fn is_or_begins(token: &str, name: &str) -> Option<bool> {
    let rest = token.strip_prefix(name)?;
    (rest.is_empty() || rest.starts_with('-')).then_some(!rest.is_empty())
}

fn score_of(token: &str) -> Option<(f64, bool)> {
    let rest = token.strip_prefix("test-score-")?;
    let (number, ending) = match rest.split_once('-') {
        Some((number, _)) => (number, true),
        None => (rest, false),
    };
    let is_plain = number
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let score: f64 = number.parse().ok().filter(|_| is_plain)?;
    Some((score, ending))
}
