//! Guessing: the limits of wrong codes and wrong passwords, apart from the tries of a code.
//!
//! One user or address has so many failures a day, for all requests, purposes and nodes together. One site has so
//! many failures an hour, for all users together: more is a spray, one guess at each of very many accounts, which no
//! limit per account can detect.

use std::net::IpAddr;

use vestibule_protocol::words;

words! {
    /// What is guessed; the word is used in the database, in metrics and in logs.
    pub enum Guessed {
        /// A one-time password.
        OneTimePassword = "otp",
        /// A password.
        Password = "password",
    }
}

/// When the failures of a site are a spray, and what happens then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SprayLimit {
    /// What is guessed at.
    pub guessed: Guessed,
    /// Failures of one site in one hour of the clock that are normal.
    pub failures_per_hour: i64,
    /// Whether until the end of the hour nothing is compared for the networks that take part; otherwise the spray is
    /// only reported.
    pub is_refused: bool,
}

/// Failures of one network at a site in one hour of the clock with which it takes part in a spray: an IPv4 address or an
/// IPv6 /64; of a wider prefix, [`crate::network::Prefix::factor`] times as many. People mistype a
/// code or two; and an attacker who cannot lock others out of the site gains nothing by trying.
pub const NETWORK_FAILURES_PER_HOUR: i64 = 3;

/// Where guesses come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The site that is asked.
    pub site_id: String,
    /// The network that asks: an IPv4 address, or the /64 of an IPv6 one. Its wider prefixes follow from it.
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

impl GuessLimits {
    /// How many of the failures of a day callers from networks may cause from which the user has not logged in before.
    /// The rest is kept for the user's own networks, so that no other caller can use it up (threat LOCK-02).
    pub fn of_other_networks(&self) -> i64 {
        self.failures_per_day - self.failures_per_day / 5
    }
}
