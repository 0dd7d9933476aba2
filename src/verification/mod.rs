//! Verification: one-time passwords as data, and the challenge that holds one.
//!
//! A challenge is opened by an init request, holds what the flow needs when the code comes back, counts the tries,
//! and is closed once. Of its code only a keyed hash is stored, bound to the request. All limits are values of
//! [`OtpRules`]; no flow has a limit of its code.

mod challenge;
mod guessing;
mod rules;

pub use challenge::{
    Attempt, Challenge, ChannelNamed, NewChallenge, Opened, Presented, Requester, RequesterClass,
    SentCode, Target, normalised_code,
};
pub use guessing::{GuessLimits, Guessed, NETWORK_FAILURES_PER_HOUR, Origin, SprayLimit};
pub use rules::{Alphabet, OtpRules};
