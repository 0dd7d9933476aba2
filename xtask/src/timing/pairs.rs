//! The comparisons: for each flow, a request about a user with an account, and the same request about a user that an
//! unauthenticated caller must not be able to distinguish from the first.

use std::time::Duration;

use super::caller::{Caller, Who};
use crate::outcome::Outcome;

/// Sends the request about a user for the nth time, and returns the response time.
type Send = fn(&mut Caller, Who, usize) -> Outcome<Duration>;

/// One comparison.
pub struct Pair {
    /// The request.
    pub name: &'static str,
    /// The first user, in words.
    pub first: &'static str,
    /// The second user, in words.
    pub second: &'static str,
    /// The two users.
    pub who: (Who, Who),
    /// Sends one request.
    pub send: Send,
}

/// All comparisons; the first compares equal requests, and so shows the noise.
pub const PAIRS: &[Pair] = &[
    pair(
        "init/passwordless/login (control)",
        Who::Known,
        Who::Known,
        Caller::init_passwordless,
    ),
    pair(
        "init/registration",
        Who::Unknown,
        Who::Known,
        Caller::init_registration,
    ),
    pair(
        "init/passwordless/login",
        Who::Known,
        Who::Unknown,
        Caller::init_passwordless,
    ),
    pair(
        "init/passwordless/login",
        Who::Known,
        Who::Locked,
        Caller::init_passwordless,
    ),
    pair(
        "init/passwordless/login",
        Who::Known,
        Who::Unverified,
        Caller::init_passwordless,
    ),
    pair(
        "forgot_password, asking for a code",
        Who::Known,
        Who::Unknown,
        Caller::forgot,
    ),
    pair(
        "forgot_password, asking for a code",
        Who::Known,
        Who::Locked,
        Caller::forgot,
    ),
    pair(
        "forgot_password, asking for a code",
        Who::Known,
        Who::Unverified,
        Caller::forgot,
    ),
    pair(
        "forgot_password, a wrong code",
        Who::Known,
        Who::Unknown,
        Caller::reset,
    ),
    pair(
        "authorize, a wrong password",
        Who::Known,
        Who::Unknown,
        Caller::log_in,
    ),
    pair(
        "authorize, a wrong password",
        Who::Known,
        Who::Locked,
        Caller::log_in,
    ),
    pair(
        "authorize, a wrong password",
        Who::Known,
        Who::Passwordless,
        Caller::log_in,
    ),
    pair(
        "init/passwordless/login, by a hint",
        Who::Known,
        Who::Unknown,
        Caller::init_by_hint,
    ),
    pair(
        "init/passwordless/login, by a hint",
        Who::Known,
        Who::Locked,
        Caller::init_by_hint,
    ),
    pair(
        "authorize, a hint and a wrong password",
        Who::Known,
        Who::Unknown,
        Caller::log_in_by_hint,
    ),
    pair(
        "authorize, a wrong code",
        Who::Known,
        Who::Unknown,
        Caller::redeem,
    ),
];

const fn pair(name: &'static str, first: Who, second: Who, send: Send) -> Pair {
    Pair {
        name,
        first: first.word(),
        second: second.word(),
        who: (first, second),
        send,
    }
}
