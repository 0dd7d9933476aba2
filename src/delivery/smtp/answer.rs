//! The meaning of a relay's reply for the mail.
//!
//! This file owns the step at which a conversation ended, and the outcome that follows from the step and the reply:
//! a reply about the mail is final, one about the session is a fault of the configuration, and a missing reply
//! means nothing. It also owns which part of the relay's text an operator may read: one line, without anything that
//! it quoted from the message.
//!
//! Implements RFC 5321 section 4.2 (replies) and RFC 4954 section 6 (replies about authentication).

use std::fmt;

use lettre::transport::smtp::response::Response;

use super::super::message::{OutgoingMail, single_line};
use super::SendOutcome;

/// The step of a conversation, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SmtpStep {
    Connect,
    StartTls,
    Authenticate,
    Sender,
    Recipient,
    Data,
    Content,
}

impl fmt::Display for SmtpStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SmtpStep::Connect => "connecting to the relay",
            SmtpStep::StartTls => "STARTTLS",
            SmtpStep::Authenticate => "logging in to the relay",
            SmtpStep::Sender => "naming the sender (MAIL)",
            SmtpStep::Recipient => "naming the recipient (RCPT)",
            SmtpStep::Data => "announcing the message (DATA)",
            SmtpStep::Content => "handing over the message",
        })
    }
}

/// Why a conversation ended early.
pub(super) enum SmtpFailure {
    /// The connection cannot be used further: it broke, stalled, or is out of step.
    Lost(String),
    /// The relay refused.
    Refused { code: u16, text: String },
    /// This relay can never take this mail.
    Unsendable(&'static str),
}

impl SmtpFailure {
    pub(super) fn is_lost(&self) -> bool {
        // 421 announces that the relay is about to close (RFC 5321 section 3.8).
        matches!(
            self,
            SmtpFailure::Lost(_) | SmtpFailure::Refused { code: 421, .. }
        )
    }

    pub(super) fn outcome(self, step: SmtpStep, mail: &OutgoingMail) -> SendOutcome {
        let is_final = match &self {
            SmtpFailure::Lost(_) => false,
            SmtpFailure::Refused { code, .. } => {
                step >= SmtpStep::Sender && *code >= 500 && !NOT_ABOUT_THE_MAIL.contains(code)
            }
            SmtpFailure::Unsendable(_) => true,
        };
        let reason = without_secrets(&self.describe(step), mail);
        if is_final {
            SendOutcome::Reject { reason }
        } else {
            SendOutcome::Retry { reason }
        }
    }

    pub(super) fn describe(&self, step: SmtpStep) -> String {
        let why = match self {
            SmtpFailure::Lost(why) => why.clone(),
            // A relay could repeat the credentials, so its text about a login is left out.
            SmtpFailure::Refused { code, .. } if step == SmtpStep::Authenticate => {
                format!("the relay answered {code}; check user and password")
            }
            SmtpFailure::Refused { code, text } => format!("the relay answered {code} {text}"),
            SmtpFailure::Unsendable(why) => (*why).to_owned(),
        };
        single_line(&format!("{step}: {why}"), REASON_CHARS_MAX)
    }
}

impl From<lettre::transport::smtp::Error> for SmtpFailure {
    fn from(error: lettre::transport::smtp::Error) -> SmtpFailure {
        let detail = std::error::Error::source(&error).map(ToString::to_string);
        match error.status() {
            Some(code) => SmtpFailure::Refused {
                code: u16::from(code),
                text: detail.unwrap_or_default(),
            },
            None => SmtpFailure::Lost(error.to_string()),
        }
    }
}

/// The relay's reply as one line.
pub(super) fn line_of(response: &Response, mail: &OutgoingMail) -> String {
    let text = response.message().collect::<Vec<_>>().join(" ");
    let line = single_line(&format!("{} {text}", response.code()), REASON_CHARS_MAX);
    without_secrets(&line, mail)
}

/// Removes from a relay's text what it may have quoted from the message: every word that could be a code and occurs
/// in the text.
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

/// Replies about the session, not about sender, recipient or message: command unknown or not implemented, bad
/// sequence (often "log in first"), host accepts no mail, and the four of RFC 4954 section 6.
const NOT_ABOUT_THE_MAIL: [u16; 8] = [500, 502, 503, 521, 530, 534, 535, 538];
const REASON_CHARS_MAX: usize = 300;
/// Shorter numbers are reply codes.
const NUMBER_CHARS_MIN: usize = 4;
/// The shortest code has six characters. Ordinary words of the message that the relay uses too are removed as well,
/// which does no harm.
const WORD_CHARS_MIN: usize = 6;
