//! Verification: one-time passwords as data, and the challenge that holds one.
//!
//! A challenge is opened by an init call, carries what the flow needs to go on, counts the tries,
//! and is closed once. What rests of its code is a keyed hash bound to the request. All limits are
//! values of [`OtpRules`]; none is written into a flow.

mod challenge;
mod guessing;
mod rules;

pub use challenge::{
    Attempt, Challenge, ChannelNamed, Opened, Presented, Purpose, Target, normalised_code,
};
pub use guessing::{GuessLimits, Guessed, NETWORK_FAILURES_PER_HOUR, Origin, SprayLimit};
pub use rules::{Alphabet, OtpRules};
