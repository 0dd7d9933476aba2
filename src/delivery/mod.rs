//! Delivery: messages to people, by mail and by text message.
//!
//! A story queues a message in the same write as what it tells of ([`queue`] makes the row); the
//! worker ([`worker`]) sends it, off the request's path. The row holds the variables sealed and they
//! are wiped when it settles. Mail follows RFC 5322 and leaves by SMTP (RFC 5321), text messages by a provider's HTTP API; in `vestibule dev`
//! it lands in the inbox.

mod channel;
mod inbox;
mod letter;
pub mod message;
pub mod sms;
pub mod smtp;
pub mod template;
pub mod worker;

pub use channel::{Channels, Gateway};
pub use inbox::{Inbox, InboxMessage};
pub use letter::{Letter, Variables, password_changed, queue};
