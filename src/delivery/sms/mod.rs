//! Handing a text message to a provider over HTTP.
//!
//! Owns the gateways ([`webhook`], a service of the operator's own; [`twilio`], whoever speaks that API),
//! and what an answer means for the message: sent, to be tried again, or never. It leaves attempts,
//! back-off, leases and expiry to the outbox, and bounds and TLS to `outbound`.
//!
//! A refusal is final only when it is said about the number or the message. Said about the account, the
//! address or the load, it is a matter of configuration or of time, and the message waits as long as its
//! code lives. A message that may have arrived is sent again under the same id, which providers can
//! recognise.
//!
//! Statuses are those of the Custom OTP Delivery Handler (`sendOneTimePassword`).

pub mod twilio;
pub mod webhook;

use std::fmt;
use std::time::Duration;

use crate::identity::text_message::SmsStatus;
use crate::moment::Moment;
use crate::outbound::{Bounds, Outbound, Post, Reply};
use crate::refusal::Fault;
use twilio::Twilio;
use webhook::Webhook;

/// A text message on its way. Its text holds a code, so it does not print.
#[derive(Clone)]
pub struct TextMessage {
    /// The same over all tries.
    pub message_id: String,
    /// `+` and digits.
    pub to: String,
    /// The words.
    pub text: String,
    /// The site that it speaks for.
    pub site_id: String,
    /// Developer name of the template.
    pub template: String,
    /// `en` or `de`.
    pub language: String,
}

/// What became of a text message. A reason is one line for the operator; it holds neither number nor text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SmsOutcome {
    /// The provider refused this message for good.
    Reject {
        /// In the documented words.
        status: SmsStatus,
        /// Why.
        reason: String,
    },
    /// Not sent, or not known to be sent; another attempt may succeed.
    Retry {
        /// In the documented words.
        status: SmsStatus,
        /// Why.
        reason: String,
    },
    /// The provider took it.
    Sent,
}

/// Who takes the messages.
#[derive(Debug)]
pub enum Provider {
    /// Twilio's API.
    Twilio(Twilio),
    /// A service of the operator's own.
    Webhook(Webhook),
}

/// A provider and the way to it.
pub struct SmsGateway {
    provider: Provider,
    outbound: Outbound,
}

impl SmsGateway {
    /// A gateway to a provider. Opens no connection.
    ///
    /// # Faults
    /// The HTTP client cannot be set up.
    pub fn new(
        provider: Provider,
        deadline: Duration,
        connections: usize,
    ) -> Result<SmsGateway, Fault> {
        let outbound = Outbound::new(Bounds {
            deadline,
            in_flight_max: connections,
            answer_bytes_max: ANSWER_BYTES_MAX,
        })?;
        Ok(SmsGateway { provider, outbound })
    }

    /// How long handing over one message may take.
    pub fn deadline(&self) -> Duration {
        self.outbound.deadline()
    }

    /// Most messages on their way at once.
    pub fn connections(&self) -> usize {
        self.outbound.in_flight_max()
    }

    /// Hands a message over, within the deadline, whatever the provider does.
    pub async fn send(&self, message: &TextMessage, at: Moment) -> SmsOutcome {
        let post = match &self.provider {
            Provider::Twilio(twilio) => twilio.post(message),
            Provider::Webhook(webhook) => webhook.post(message, at),
        };
        let Ok(post) = post else {
            return reject(SmsStatus::Exception, "the message makes no request");
        };
        match self.outbound.post(post).await {
            Err(no_reply) => retry(SmsStatus::Exception, no_reply),
            Ok(reply) => match &self.provider {
                Provider::Twilio(_) => twilio::outcome(&reply),
                Provider::Webhook(_) => webhook::outcome(&reply),
            },
        }
    }
}

impl fmt::Debug for SmsGateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SmsGateway").field(&self.provider).finish()
    }
}

fn reject(status: SmsStatus, reason: impl fmt::Display) -> SmsOutcome {
    SmsOutcome::Reject {
        status,
        reason: format!("{}: {reason}", status.as_str()),
    }
}

fn retry(status: SmsStatus, reason: impl fmt::Display) -> SmsOutcome {
    SmsOutcome::Retry {
        status,
        reason: format!("{}: {reason}", status.as_str()),
    }
}

/// A header that cannot be written, which no id of ours makes.
struct NoRequest;

/// An answer has some hundred bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
