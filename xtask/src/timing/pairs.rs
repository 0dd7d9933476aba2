//! The comparisons: for each flow, a request about a user with an account, and the same request about a user that an
//! unauthenticated caller must not be able to distinguish from the first.

use std::time::Duration;

use super::stranger::{Stranger, Who};
use crate::outcome::Outcome;

/// Sends the request about a user for the nth time, and returns the response time.
type Send = fn(&mut Stranger, Who, usize) -> Outcome<Duration>;

/// One comparison.
pub struct Pair {
    /// The request.
    pub name: &'static str,
    /// Whom it is about, in words.
    pub first: &'static str,
    /// Whom else.
    pub second: &'static str,
    /// The same for the program.
    pub who: (Who, Who),
    /// Sends one.
    pub send: Send,
}

/// All of them; the first compares like with like, and so shows what is noise.
pub const PAIRS: &[Pair] = &[
    pair(
        "init/passwordless/login (control)",
        Who::Known,
        Who::Known,
        Stranger::init_passwordless,
    ),
    pair(
        "init/registration",
        Who::Unknown,
        Who::Known,
        Stranger::init_registration,
    ),
    pair(
        "init/passwordless/login",
        Who::Known,
        Who::Unknown,
        Stranger::init_passwordless,
    ),
    pair(
        "init/passwordless/login",
        Who::Known,
        Who::Locked,
        Stranger::init_passwordless,
    ),
    pair(
        "init/passwordless/login",
        Who::Known,
        Who::Unverified,
        Stranger::init_passwordless,
    ),
    pair(
        "forgot_password, asking for a code",
        Who::Known,
        Who::Unknown,
        Stranger::forgot,
    ),
    pair(
        "forgot_password, asking for a code",
        Who::Known,
        Who::Locked,
        Stranger::forgot,
    ),
    pair(
        "forgot_password, asking for a code",
        Who::Known,
        Who::Unverified,
        Stranger::forgot,
    ),
    pair(
        "forgot_password, a wrong code",
        Who::Known,
        Who::Unknown,
        Stranger::reset,
    ),
    pair(
        "authorize, a wrong password",
        Who::Known,
        Who::Unknown,
        Stranger::log_in,
    ),
    pair(
        "authorize, a wrong password",
        Who::Known,
        Who::Locked,
        Stranger::log_in,
    ),
    pair(
        "authorize, a wrong password",
        Who::Known,
        Who::Passwordless,
        Stranger::log_in,
    ),
    pair(
        "init/passwordless/login, by a hint",
        Who::Known,
        Who::Unknown,
        Stranger::init_by_hint,
    ),
    pair(
        "init/passwordless/login, by a hint",
        Who::Known,
        Who::Locked,
        Stranger::init_by_hint,
    ),
    pair(
        "authorize, a hint and a wrong password",
        Who::Known,
        Who::Unknown,
        Stranger::log_in_by_hint,
    ),
    pair(
        "authorize, a wrong code",
        Who::Known,
        Who::Unknown,
        Stranger::redeem,
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
