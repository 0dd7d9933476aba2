//! Channels: one gateway for mail and one for text messages, chosen when the server starts.

use std::sync::Arc;

use vestibule_protocol::headless::VerificationMethod;

use super::inbox::Inbox;
use super::smtp::SmtpRelay;

/// Where the messages of a channel go.
pub enum Gateway {
    /// Into the memory of this process, for people to read (`vestibule dev`).
    Inbox(Arc<Inbox>),
    /// Nowhere: the channel is not configured, and what needs it is refused.
    None,
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

impl Channels {
    /// The gateway of a channel.
    pub fn gateway(&self, channel: VerificationMethod) -> &Gateway {
        match channel {
            VerificationMethod::Email => &self.email,
            VerificationMethod::Sms => &self.sms,
        }
    }

    /// Whether a message can be sent that way at all.
    pub fn is_available(&self, channel: VerificationMethod) -> bool {
        !matches!(self.gateway(channel), Gateway::None)
    }
}
