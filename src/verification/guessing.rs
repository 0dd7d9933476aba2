//! Guessing: what limits wrong codes and wrong passwords besides the tries of a code.
//!
//! One user or address has so many failures a day, whatever the request, the use or the node. One
//! site has so many failures an hour, whoever they are about: what is beyond that is a spray, one
//! guess at each of very many accounts, which no limit per account can see.

use std::net::IpAddr;

/// What is guessed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guessed {
    /// A one-time password.
    OneTimePassword,
    /// A password.
    Password,
}

impl Guessed {
    /// Its word in the database, in metrics and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Guessed::OneTimePassword => "otp",
            Guessed::Password => "password",
        }
    }
}

/// When the failures of a site are a spray, and what happens then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SprayLimit {
    /// What is guessed at.
    pub guessed: Guessed,
    /// Failures of one site in one hour of the clock that are still ordinary.
    pub failures_per_hour: i64,
    /// Whether nothing is compared any more, until the hour ends, for the networks that had a part in it;
    /// otherwise it is only told.
    pub is_refused: bool,
}

/// Failures of one network at a site in one hour of the clock with which it has a part in a spray. People
/// mistype a code or two; and an attacker who cannot shut the site for others has no use for trying.
pub const NETWORK_FAILURES_PER_HOUR: i64 = 3;

/// Where guesses come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The site that is asked.
    pub site_id: String,
    /// The network that asks: an IPv4 address, or the prefix of an IPv6 one.
    pub network: IpAddr,
}

/// What limits the comparisons of one-time passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuessLimits {
    /// Failures of one user or address in any 24 hours.
    pub failures_per_day: i64,
    /// The limit of the site.
    pub spray: SprayLimit,
}
