//! Mail: the relay client against a real SMTP conversation, and the outbox over it.

mod outbox;
pub mod received;
mod smtp;
pub mod smtp_sink;
mod waking;
