//! What a relay's answer means for the mail.
//!
//! Owns the step at which a conversation ended, and from it and the answer the outcome: an answer about the mail is
//! taken at its word, one about the session is a fault of the configuration, and silence says nothing. Owns also what of
//! the relay's words an operator may read: one line, without anything it quoted from the message.
//!
//! Carries out RFC 5321 section 4.2 (replies) and RFC 4954 section 6 (replies about authentication).

use std::fmt;

use lettre::transport::smtp::response::Response;

use super::super::message::{OutgoingMail, single_line};
use super::SendOutcome;

/// Where a conversation stands, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Connect,
    StartTls,
    Authenticate,
    Sender,
    Recipient,
    Data,
    Content,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Connect => "connecting to the relay",
            Step::StartTls => "STARTTLS",
            Step::Authenticate => "logging in to the relay",
            Step::Sender => "naming the sender (MAIL)",
            Step::Recipient => "naming the recipient (RCPT)",
            Step::Data => "announcing the message (DATA)",
            Step::Content => "handing over the message",
        })
    }
}

/// Why a conversation ended early.
pub(super) enum Failure {
    /// The connection is of no further use: it broke, hung, or lost its order.
    Lost(String),
    /// The relay said no.
    Refused { code: u16, text: String },
    /// This relay can never take this mail.
    Unsendable(&'static str),
}

impl Failure {
    pub(super) fn is_lost(&self) -> bool {
        // 421 announces that the relay is about to close (RFC 5321 section 3.8).
        matches!(self, Failure::Lost(_) | Failure::Refused { code: 421, .. })
    }

    pub(super) fn outcome(self, step: Step, mail: &OutgoingMail) -> SendOutcome {
        let is_final = match &self {
            Failure::Lost(_) => false,
            Failure::Refused { code, .. } => {
                step >= Step::Sender && *code >= 500 && !NOT_ABOUT_THE_MAIL.contains(code)
            }
            Failure::Unsendable(_) => true,
        };
        let reason = without_secrets(&self.describe(step), mail);
        if is_final {
            SendOutcome::Reject { reason }
        } else {
            SendOutcome::Retry { reason }
        }
    }

    pub(super) fn describe(&self, step: Step) -> String {
        let why = match self {
            Failure::Lost(why) => why.clone(),
            // A relay could repeat what it was given, so its words about a login are left out.
            Failure::Refused { code, .. } if step == Step::Authenticate => {
                format!("the relay answered {code}; check user and password")
            }
            Failure::Refused { code, text } => format!("the relay answered {code} {text}"),
            Failure::Unsendable(why) => (*why).to_owned(),
        };
        single_line(&format!("{step}: {why}"), REASON_CHARS_MAX)
    }
}

impl From<lettre::transport::smtp::Error> for Failure {
    fn from(error: lettre::transport::smtp::Error) -> Failure {
        let detail = std::error::Error::source(&error).map(ToString::to_string);
        match error.status() {
            Some(code) => Failure::Refused {
                code: u16::from(code),
                text: detail.unwrap_or_default(),
            },
            None => Failure::Lost(error.to_string()),
        }
    }
}

/// The relay's answer as one line.
pub(super) fn line_of(response: &Response, mail: &OutgoingMail) -> String {
    let text = response.message().collect::<Vec<_>>().join(" ");
    let line = single_line(&format!("{} {text}", response.code()), REASON_CHARS_MAX);
    without_secrets(&line, mail)
}

/// Removes from a relay's words what it may have quoted from the message: every word that could be a code and
/// stands in the text.
fn without_secrets(line: &str, mail: &OutgoingMail) -> String {
    let text = mail.rendered.text.to_lowercase();
    let could_be_code = |word: &str| {
        let has_digit = word.contains(|c: char| c.is_ascii_digit());
        let chars_min = if has_digit {
            NUMBER_CHARS_MIN
        } else {
            WORD_CHARS_MIN
        };
        word.len() >= chars_min && text.contains(&word.to_lowercase())
    };
    line.split_inclusive(|c: char| !c.is_alphanumeric())
        .map(|piece| {
            let word = piece.trim_end_matches(|c: char| !c.is_alphanumeric());
            if could_be_code(word) {
                piece.replacen(word, "[removed]", 1)
            } else {
                piece.to_owned()
            }
        })
        .collect()
}

/// Answers about the session, not about sender, recipient or message: command unknown or not implemented, bad
/// sequence (often "log in first"), host takes no mail, and the four of RFC 4954 section 6.
const NOT_ABOUT_THE_MAIL: [u16; 8] = [500, 502, 503, 521, 530, 534, 535, 538];
const REASON_CHARS_MAX: usize = 300;
/// Shorter numbers are reply codes.
const NUMBER_CHARS_MIN: usize = 4;
/// The shortest code has six characters. An ordinary word of ours that the relay uses too goes with it, at no loss.
const WORD_CHARS_MIN: usize = 6;
