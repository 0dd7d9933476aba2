//! Outgoing messages as data: queued by a story, claimed by the worker, settled for good. `store` keeps
//! them, `delivery` makes and sends them.

use serde::{Deserialize, Serialize};
use vestibule_protocol::headless::VerificationMethod;
use vestibule_protocol::words;

use crate::moment::Moment;

/// Why a message is made and never sent. Whoever asked for it is told nothing of that, so that the answer,
/// the work and the time are those of a message that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Suppression {
    /// The user's address was never verified.
    AddressUnverified,
    /// The user's profile is not a member of the site.
    NotAMember,
    /// The user's number was never verified, or there is none.
    NumberUnverified,
    /// No text message is sent to the number, or the day's messages are used up.
    TextMessageBlocked,
    /// The mailbox has had as many codes this hour as there may be.
    TooManyCodes,
    /// The user has had as many password resets today as there may be.
    TooManyResets,
    /// The user is disabled.
    UserDisabled,
    /// The user is locked.
    UserLocked,
    /// Nobody has this username.
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

    /// The reason as the inbox shows it and as the settled message keeps it.
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

/// A message as it is queued.
#[derive(Clone, Debug)]
pub struct QueuedMessage {
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
    /// The site that it speaks for.
    pub site_id: String,
    /// Message-ID, the same over all retries.
    pub message_id: String,
    /// The variables, sealed for the id.
    pub sealed: Vec<u8>,
    /// When it was queued.
    pub created_at: Moment,
    /// After which it is of no use and not sent.
    pub expires_at: Moment,
}

/// A message that a worker has claimed.
#[derive(Clone, Debug)]
pub struct ClaimedMessage {
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
    /// The site that it speaks for.
    pub site_id: String,
    /// Message-ID, the same over all retries.
    pub message_id: String,
    /// The variables, sealed for the id.
    pub sealed: Option<Vec<u8>>,
    /// This try's number, from 1.
    pub attempts: i64,
    /// After which it is of no use and not sent.
    pub expires_at: Moment,
    /// When it was queued.
    pub created_at: Moment,
}

/// What became of a claimed message.
#[derive(Clone, Debug)]
pub enum Settlement {
    /// Given up.
    Abandoned {
        /// Why; never with anything secret.
        reason: String,
    },
    /// Its code ended before it could be sent.
    Expired,
    /// To be tried again.
    Retry {
        /// When.
        due_at: Moment,
        /// Why; never with anything secret.
        reason: String,
    },
    /// Taken over by the relay.
    Sent,
    /// Never to be sent, and never was.
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
    /// Why the last try failed.
    pub last_reason: Option<String>,
    /// Message-ID.
    pub message_id: String,
    /// Whether the variables are gone.
    pub is_wiped: bool,
}
