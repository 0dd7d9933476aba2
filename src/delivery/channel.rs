//! Channels: one gateway for mail and one for text messages, chosen at the start of the server.

use std::sync::Arc;
use std::time::Duration;

use vestibule_protocol::headless::VerificationMethod;

use super::inbox::Inbox;
use super::sms::SmsGateway;
use super::smtp::SmtpRelay;

/// The destination of a channel's messages.
pub enum Gateway {
    /// The memory of this process, for people to read (`vestibule dev`).
    Inbox(Arc<Inbox>),
    /// None: the channel is not configured, and requests that need it are refused.
    None,
    /// A provider of text messages.
    Sms(Box<SmsGateway>),
    /// A mail relay.
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
    /// How long sending one message may take; zero for the inbox.
    pub fn deadline(&self) -> Duration {
        match self {
            Gateway::Inbox(_) | Gateway::None => Duration::ZERO,
            Gateway::Sms(gateway) => gateway.deadline(),
            Gateway::Smtp { relay, .. } => Duration::from_secs(relay.settings().timeout_seconds),
        }
    }

    /// The maximum number of concurrent messages, if there is one.
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

    /// Whether the server has a gateway for a channel; a site may have a handler instead.
    pub fn is_available(&self, channel: VerificationMethod) -> bool {
        !matches!(self.gateway(channel), Gateway::None)
    }
}
