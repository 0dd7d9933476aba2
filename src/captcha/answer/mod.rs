//! The response of a verifier, parsed strictly and judged.
//!
//! A response that is not of the documented form verifies nothing. One that is passes only if it contains everything
//! that the site requires.

use serde_json::{Map, Value, json};

use super::{CaptchaCheck, CaptchaProvider};
use crate::moment::Moment;
use crate::refusal::Refusal;

/// A response of any verifier, in one form.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct VerifierResponse {
    is_success: bool,
    /// Instant of the challenge as received; empty if the member is not a text.
    challenge_ts: Option<String>,
    /// Host names, package names and bundle ids where the challenge was solved.
    places: Vec<String>,
    error_codes: Vec<String>,
    score: Score,
    action: Option<String>,
}

/// A score, which some verifiers return.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Score {
    Absent,
    /// Anything other than a number from 0 to 1.
    Invalid,
    Of(f64),
}

impl VerifierResponse {
    /// Parses a response of siteverify; `None` if it does not have its form.
    pub(super) fn parse_siteverify(body: &[u8]) -> Option<VerifierResponse> {
        let answer: Map<String, Value> = serde_json::from_slice(body).ok()?;
        let places = ["hostname", "apk_package_name"];
        Some(VerifierResponse {
            is_success: answer.get("success")?.as_bool()?,
            challenge_ts: instant(answer.get("challenge_ts")),
            places: places
                .iter()
                .filter_map(|name| text(answer.get(*name)))
                .collect(),
            error_codes: match answer.get("error-codes") {
                Some(Value::Array(codes)) => codes
                    .iter()
                    .filter_map(|code| text(Some(code)))
                    .take(CODES_MAX)
                    .collect(),
                _ => Vec::new(),
            },
            score: Score::read(answer.get("score")),
            action: text(answer.get("action")),
        })
    }

    /// Parses an assessment; `None` if it does not have its form.
    pub(super) fn parse_assessment(body: &[u8]) -> Option<VerifierResponse> {
        let answer: Map<String, Value> = serde_json::from_slice(body).ok()?;
        let token = answer.get("tokenProperties")?.as_object()?;
        let places = ["hostname", "androidPackageName", "iosBundleId"];
        let reason = text(token.get("invalidReason"))
            .filter(|reason| reason != "INVALID_REASON_UNSPECIFIED");
        Some(VerifierResponse {
            // A member that is false may be left out, as in protobuf's JSON.
            is_success: match token.get("valid") {
                None => false,
                Some(valid) => valid.as_bool()?,
            },
            challenge_ts: instant(token.get("createTime")),
            places: places
                .iter()
                .filter_map(|name| text(token.get(*name)))
                .filter(|place| !place.is_empty())
                .collect(),
            error_codes: reason.into_iter().collect(),
            score: Score::read(
                answer
                    .get("riskAnalysis")
                    .and_then(|risk| risk.get("score")),
            ),
            action: text(token.get("action")).filter(|action| !action.is_empty()),
        })
    }

    /// Whether the verifier reports that the site's secret key is wrong.
    pub(super) fn reports_invalid_secret(&self) -> bool {
        self.error_codes
            .iter()
            .any(|code| code.ends_with("-input-secret"))
    }

    /// Judges the response by the site's requirements.
    ///
    /// # Refusals
    /// `RecaptchaInvalid` with the documented members of the response, and the reason for the log.
    pub(super) fn judge(
        &self,
        check: &CaptchaCheck<'_>,
        at: Moment,
    ) -> Result<(), (Refusal, &'static str)> {
        self.find_flaw(check, at).map_or(Ok(()), |reason| {
            let response = Some(self.public_members());
            Err((Refusal::RecaptchaInvalid { response }, reason))
        })
    }

    /// Why the response is refused, for the log, if it is.
    fn find_flaw(&self, check: &CaptchaCheck<'_>, at: Moment) -> Option<&'static str> {
        if !self.is_success {
            return Some("the verifier says no");
        }
        if !self.score_passes(check) {
            return Some("the score is too low, or none");
        }
        if check.provider.reports_action()
            && let Some(wanted) = check.wanted_action()
            && self.action.as_deref() != Some(wanted)
        {
            return Some("the action is another");
        }
        let is_listed = |place: &String| {
            let mut listed = check.hostnames.iter();
            listed.any(|name| name.eq_ignore_ascii_case(place))
        };
        // Each place in the response must be on the list, so that a foreign one is not hidden behind a listed one.
        let is_foreign = self.places.is_empty() || !self.places.iter().all(is_listed);
        if !check.hostnames.is_empty() && is_foreign {
            return Some("it was solved elsewhere");
        }
        let oldest = at.plus_seconds(-check.provider.age_seconds_max());
        match self.challenge_ts.as_deref().map(parse_instant) {
            Some(None) => Some("the instant of the challenge cannot be read"),
            Some(Some(solved_at)) if solved_at < oldest => Some("the challenge is too old"),
            _ => None,
        }
    }

    fn score_passes(&self, check: &CaptchaCheck<'_>) -> bool {
        match (check.provider, self.score) {
            (CaptchaProvider::GoogleV2 | CaptchaProvider::Turnstile, _) => true,
            (CaptchaProvider::Hcaptcha, Score::Absent) => true,
            // There the score is the risk: 0 is a person, 1 a machine.
            (CaptchaProvider::Hcaptcha, Score::Of(risk)) => 1.0 - risk >= check.score_threshold,
            (_, Score::Of(score)) => score >= check.score_threshold,
            (_, Score::Absent | Score::Invalid) => false,
        }
    }

    /// `recaptcha_response`: the documented members of the verifier's response and nothing else.
    fn public_members(&self) -> Value {
        let mut shown = Map::new();
        shown.insert("success".to_owned(), json!(self.is_success));
        if let Some(challenge_ts) = self.challenge_ts.as_ref().filter(|text| !text.is_empty()) {
            shown.insert("challenge_ts".to_owned(), json!(challenge_ts));
        }
        if let Some(place) = self.places.first() {
            shown.insert("hostname".to_owned(), json!(place));
        }
        if !self.error_codes.is_empty() {
            shown.insert("error-codes".to_owned(), json!(self.error_codes));
        }
        if let Score::Of(score) = self.score {
            shown.insert("score".to_owned(), json!(score));
        }
        if let Some(action) = &self.action {
            shown.insert("action".to_owned(), json!(action));
        }
        Value::Object(shown)
    }
}

impl Score {
    fn read(value: Option<&Value>) -> Score {
        match value {
            None | Some(Value::Null) => Score::Absent,
            Some(Value::Number(number)) => match number.as_f64() {
                Some(score) if (0.0..=1.0).contains(&score) => Score::Of(score),
                _ => Score::Invalid,
            },
            Some(_) => Score::Invalid,
        }
    }
}

/// A text of a plausible length.
fn text(value: Option<&Value>) -> Option<String> {
    let text = value?.as_str()?;
    (text.len() <= TEXT_BYTES_MAX).then(|| text.to_owned())
}

/// An instant that is present but not a text is different from an absent one.
fn instant(value: Option<&Value>) -> Option<String> {
    let value = value.filter(|value| !value.is_null())?;
    Some(text(Some(value)).unwrap_or_default())
}

fn parse_instant(text: &str) -> Option<Moment> {
    let instant: jiff::Timestamp = text.parse().ok()?;
    Some(Moment::from_millis(instant.as_millisecond()))
}

/// The maximum number of error codes that are returned to the caller.
const CODES_MAX: usize = 16;
/// A host name has at most 253 bytes; no other returned text is longer.
const TEXT_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests;
