//! Sending a text message to a provider over HTTP.
//!
//! This file owns the gateways ([`webhook`], a service of the operator; [`twilio`], any service with that API), and
//! the meaning of a response for the message: sent, to be retried, or refused. Attempts, back-off, leases and
//! expiry are left to the outbox, limits and TLS to `outbound`.
//!
//! A refusal is final only when it concerns the number or the message. When it concerns the account, the address or
//! the load, it is a matter of configuration or of time, and the message is retried while its code is valid. A
//! message that may have arrived is sent again under the same id, which providers can recognise.
//!
//! Statuses are those of the Custom OTP Delivery Handler (`sendOneTimePassword`).

pub mod twilio;
pub mod webhook;

use std::fmt;
use std::time::Duration;

use crate::identity::text_message::SmsStatus;
use crate::moment::Moment;
use crate::outbound::{Bounds, ForwardProxy, Outbound, Post, Reply};
use crate::refusal::Fault;
use twilio::Twilio;
use webhook::Webhook;

/// A text message to be sent. Its text contains a one-time password, so it has no `Debug`.
#[derive(Clone)]
pub struct TextMessage {
    /// The same for all attempts.
    pub message_id: String,
    /// The recipient: `+` and digits.
    pub to: String,
    /// The text.
    pub text: String,
    /// The site.
    pub site_id: String,
    /// Developer name of the template.
    pub template: String,
    /// `en` or `de`.
    pub language: String,
}

/// The result of sending a text message. A reason is one line for the operator; it contains neither number nor
/// text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SmsOutcome {
    /// The provider refused this message permanently.
    Reject {
        /// The documented status.
        status: SmsStatus,
        /// Why.
        reason: String,
    },
    /// Not sent, or not known to be sent; another attempt may succeed.
    Retry {
        /// The documented status.
        status: SmsStatus,
        /// Why.
        reason: String,
    },
    /// The provider accepted it.
    Sent,
}

/// The provider of text messages.
#[derive(Debug)]
pub enum SmsProvider {
    /// Twilio's API.
    Twilio(Twilio),
    /// A service of the operator.
    Webhook(Webhook),
}

/// A provider and the HTTP client for it.
pub struct SmsGateway {
    provider: SmsProvider,
    outbound: Outbound,
}

impl SmsGateway {
    /// A gateway to a provider, which is called through the proxy if there is one. It opens no connection.
    ///
    /// # Faults
    /// The HTTP client cannot be set up.
    pub fn new(
        provider: SmsProvider,
        deadline: Duration,
        connections: usize,
        proxy: Option<&ForwardProxy>,
    ) -> Result<SmsGateway, Fault> {
        let bounds = Bounds {
            deadline,
            in_flight_max: connections,
            answer_bytes_max: ANSWER_BYTES_MAX,
        };
        let outbound = Outbound::through(proxy, bounds)?;
        Ok(SmsGateway { provider, outbound })
    }

    /// How long sending one message may take.
    pub fn deadline(&self) -> Duration {
        self.outbound.deadline()
    }

    /// The maximum number of concurrent messages.
    pub fn connections(&self) -> usize {
        self.outbound.in_flight_max()
    }

    /// Sends a message, within the deadline, whatever the provider does.
    pub async fn send(&self, message: &TextMessage, at: Moment) -> SmsOutcome {
        let post = match &self.provider {
            SmsProvider::Twilio(twilio) => twilio.post(message),
            SmsProvider::Webhook(webhook) => webhook.post(message, at),
        };
        let Ok(post) = post else {
            return reject(SmsStatus::Exception, "the message makes no request");
        };
        match self.outbound.post(post).await {
            Err(no_reply) => retry(SmsStatus::Exception, no_reply),
            Ok(reply) => match &self.provider {
                SmsProvider::Twilio(_) => twilio::outcome(&reply),
                SmsProvider::Webhook(_) => webhook::outcome(&reply),
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

/// A header that cannot be written, which the server's ids never cause.
struct NoRequest;

/// A response has a few hundred bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
