//! Outgoing messages as data: queued by a flow, claimed by the worker, settled permanently. `store` keeps them,
//! `delivery` renders and sends them.

use serde::{Deserialize, Serialize};
use vestibule_protocol::headless::VerificationMethod;
use vestibule_protocol::words;

use crate::moment::Moment;

/// Why a message is made and never sent. The caller does not learn of it: the response, the work and the time are
/// the same as for a message that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Suppression {
    /// The user's address is not verified.
    AddressUnverified,
    /// The user's profile is not a member of the site.
    NotAMember,
    /// The user has no verified number.
    NumberUnverified,
    /// Text messages to the number are not allowed, or the day's limit is reached.
    TextMessageBlocked,
    /// The mailbox has reached the limit of codes for this hour.
    TooManyCodes,
    /// The user has reached the limit of password resets for today.
    TooManyResets,
    /// The user is disabled.
    UserDisabled,
    /// The user is locked.
    UserLocked,
    /// No user has this username.
    UserUnknown,
}

impl Suppression {
    /// Every reason.
    pub const ALL: [Suppression; 9] = [
        Suppression::AddressUnverified,
        Suppression::NotAMember,
        Suppression::NumberUnverified,
        Suppression::TextMessageBlocked,
        Suppression::TooManyCodes,
        Suppression::TooManyResets,
        Suppression::UserDisabled,
        Suppression::UserLocked,
        Suppression::UserUnknown,
    ];

    /// The reason in the inbox and in the settled message.
    pub fn as_str(self) -> &'static str {
        match self {
            Suppression::AddressUnverified => "the address is not verified",
            Suppression::NotAMember => "the user is not a member of the site",
            Suppression::NumberUnverified => "the number is not verified",
            Suppression::TextMessageBlocked => "no text message may be sent to the number today",
            Suppression::TooManyCodes => "the mailbox has had all codes of this hour",
            Suppression::TooManyResets => "the user has had all password resets of today",
            Suppression::UserDisabled => "the user is disabled",
            Suppression::UserLocked => "the user is locked",
            Suppression::UserUnknown => "no user has this username",
        }
    }
}

/// A message in the outbox.
#[derive(Clone, Debug)]
pub struct OutgoingMessage {
    /// Unique.
    pub id: String,
    /// By mail or by text message.
    pub channel: VerificationMethod,
    /// Developer name of the template.
    pub template: String,
    /// `en` or `de`.
    pub language: String,
    /// Address or number.
    pub recipient: String,
    /// The site.
    pub site_id: String,
    /// Message-ID, the same over all retries.
    pub message_id: String,
    /// The variables, sealed for the id.
    pub sealed: Vec<u8>,
    /// How often a worker has claimed it.
    pub attempts: i64,
    /// When it was queued.
    pub created_at: Moment,
    /// When it expires; it is not sent afterwards.
    pub expires_at: Moment,
}

/// The result of a claimed message.
#[derive(Clone, Debug)]
pub enum Settlement {
    /// Abandoned.
    Abandoned {
        /// The reason; without secrets.
        reason: String,
    },
    /// It expired before it could be sent.
    Expired,
    /// To be retried.
    Retry {
        /// When it is due.
        due_at: Moment,
        /// The reason; without secrets.
        reason: String,
    },
    /// Accepted by the relay.
    Sent,
    /// Never sent, by decision.
    Suppressed {
        /// Why.
        reason: Suppression,
    },
}

words! {
    /// The status of a message.
    pub enum MessageStatus {
        /// No further try is made.
        Abandoned = "abandoned",
        /// Its code ended before it could be sent.
        Expired = "expired",
        /// It waits for a worker.
        Queued = "queued",
        /// A worker has claimed it.
        Sending = "sending",
        /// The relay or the gateway has accepted it.
        Sent = "sent",
        /// It was never to be sent.
        Suppressed = "suppressed",
    }
}

/// A message as an administrator sees it.
#[derive(Clone, Debug)]
pub struct MessageState {
    /// Unique.
    pub id: String,
    /// Address or number.
    pub recipient: String,
    /// Developer name of the template.
    pub template: String,
    /// Its status.
    pub status: MessageStatus,
    /// Tries so far.
    pub attempts: i64,
    /// Why the last attempt failed.
    pub last_reason: Option<String>,
    /// Message-ID.
    pub message_id: String,
    /// Whether the variables were deleted.
    pub is_wiped: bool,
}
