//! Channels: one gateway for mail and one for text messages, chosen when the server starts.

use std::sync::Arc;
use std::time::Duration;

use vestibule_protocol::headless::VerificationMethod;

use super::inbox::Inbox;
use super::sms::SmsGateway;
use super::smtp::SmtpRelay;

/// Where the messages of a channel go.
pub enum Gateway {
    /// Into the memory of this process, for people to read (`vestibule dev`).
    Inbox(Arc<Inbox>),
    /// Nowhere: the channel is not configured, and what needs it is refused.
    None,
    /// To a provider of text messages.
    Sms(Box<SmsGateway>),
    /// To a mail relay.
    Smtp {
        /// The relay.
        relay: Box<SmtpRelay>,
        /// The sender.
        from: String,
    },
}

/// The gateways of both channels.
pub struct Channels {
    /// Mail.
    pub email: Gateway,
    /// Text messages.
    pub sms: Gateway,
}

impl Gateway {
    /// How long one message may take on its way; the inbox takes no time.
    pub fn deadline(&self) -> Duration {
        match self {
            Gateway::Inbox(_) | Gateway::None => Duration::ZERO,
            Gateway::Sms(gateway) => gateway.deadline(),
            Gateway::Smtp { relay, .. } => Duration::from_secs(relay.settings().timeout_seconds),
        }
    }

    /// Most messages at once, where that is bounded.
    pub fn connections(&self) -> Option<usize> {
        match self {
            Gateway::Inbox(_) | Gateway::None => None,
            Gateway::Sms(gateway) => Some(gateway.connections()),
            Gateway::Smtp { relay, .. } => Some(relay.settings().pool_max.max(1)),
        }
    }
}

impl Channels {
    /// The gateway of a channel.
    pub fn gateway(&self, channel: VerificationMethod) -> &Gateway {
        match channel {
            VerificationMethod::Email => &self.email,
            VerificationMethod::Sms => &self.sms,
        }
    }

    /// Whether the server has a gateway for a channel; a site may have a handler besides.
    pub fn is_available(&self, channel: VerificationMethod) -> bool {
        !matches!(self.gateway(channel), Gateway::None)
    }
}
