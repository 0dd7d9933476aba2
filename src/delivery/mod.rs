//! Delivery: messages to people, by mail and by text message.
//!
//! A story queues a message in the same write as the change that it reports ([`queue`] makes the row). The
//! background task `worker::outbox` sends it, outside the request. The row holds the variables sealed, and they
//! are wiped when it is settled. Mail follows RFC 5322 and is sent by SMTP (RFC 5321), text messages by the HTTP API of a
//! provider; `vestibule dev` puts both into its inbox.

mod channel;
mod inbox;
mod letter;
pub mod message;
pub mod sms;
pub mod smtp;
pub mod template;

pub use channel::{Channels, Gateway};
pub use inbox::{Inbox, InboxMessage};
pub use letter::{Contents, Letter, open_contents, password_changed, queue};
pub use template::Variables;
