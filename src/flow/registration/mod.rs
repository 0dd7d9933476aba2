//! Headless registration.
//!
//! ① The app sends what it has collected; the password is hashed at once, a challenge is opened and
//! the message with the code is queued, all in one write. No user exists yet. ② The worker sends the
//! message. ③ The app returns the code at authorize: a try is spent and the code compared in one
//! write, the handler decides what the user is to be, and one more write makes the user, the
//! credential, the verified channel and the authorization code, and closes the challenge: all of it
//! or nothing, keyed by the challenge, so that a crash in between is repaired by asking again.
//!
//! Source: Headless Registration Flow for Private Clients.

mod account;
mod attach;
mod complete;
mod draft;
mod init;
mod verified;

pub use complete::complete;
pub use init::init;
