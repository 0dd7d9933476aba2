//! The rules of the rate limiter as data: which requests are limited, by which key, and to what rate.

use serde::{Deserialize, Serialize};
use vestibule_protocol::words;

words! {
    /// What a request is about to do; the word is used in the config and in metrics.
    pub enum Surface {
        /// In a rule: each of the others, in one bucket.
        Any = "any",
        /// It comes as a guest.
        Guest = "guest",
        /// It asks for a code: the init endpoints, and the first step of a forgotten password.
        Init = "init",
        /// It presents a username and a password.
        Login = "login",
        /// It presents a code at authorize.
        Redeem = "redeem",
        /// It presents a code with a new password.
        Reset = "reset",
        /// It asks for tokens.
        Token = "token",
    }
}

words! {
    /// Which requests share a bucket.
    pub enum Per {
        /// All requests that name one client.
        Client = "client",
        /// All requests from one network prefix.
        IpPrefix = "ip_prefix",
        /// All requests from one network prefix that name one client.
        IpPrefixAndClient = "ip_prefix+client",
        /// All requests from one network prefix that name one username.
        IpPrefixAndUsername = "ip_prefix+username",
        /// All requests to one site.
        Site = "site",
        /// All requests that name one username.
        Target = "target",
    }
}

impl Per {
    /// Whether the caller's address is part of the key. Such rules do not apply to an authenticated backend,
    /// which sends the requests of all its users from one address.
    pub fn is_by_address(self) -> bool {
        matches!(
            self,
            Per::IpPrefix | Per::IpPrefixAndClient | Per::IpPrefixAndUsername
        )
    }
}

/// One limit: a bucket that holds `burst` requests and fills at `count` per `seconds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Which requests are limited.
    pub surface: Surface,
    /// Which requests share a bucket.
    pub per: Per,
    /// How many requests, 1 to 1,000,000.
    pub count: u32,
    /// In how many seconds, 1 to 86,400.
    pub seconds: u32,
    /// How many at once, 1 to 1,000,000; `count` without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
}

/// The rules of a config that has none. The two rules by the hour keep one network prefix from causing the
/// spray protection of a site by itself.
pub const DEFAULT_RULES: [Rule; 13] = [
    rule(Surface::Guest, Per::IpPrefix, 60, 60),
    rule(Surface::Guest, Per::Site, 6_000, 60),
    rule(Surface::Init, Per::IpPrefix, 20, 60),
    rule(Surface::Init, Per::Client, 6_000, 60),
    rule(Surface::Init, Per::Site, 6_000, 60),
    rule(Surface::Login, Per::IpPrefixAndUsername, 10, 60),
    rule(Surface::Login, Per::IpPrefix, 60, 60),
    rule(Surface::Login, Per::Target, 3_600, 3_600),
    rule(Surface::Redeem, Per::IpPrefix, 30, 60),
    rule(Surface::Redeem, Per::IpPrefix, 200, 3_600),
    rule(Surface::Reset, Per::IpPrefix, 20, 60),
    rule(Surface::Reset, Per::IpPrefix, 200, 3_600),
    rule(Surface::Token, Per::IpPrefixAndClient, 60, 60),
];

const fn rule(surface: Surface, per: Per, count: u32, seconds: u32) -> Rule {
    Rule {
        surface,
        per,
        count,
        seconds,
        burst: None,
    }
}

impl Rule {
    /// Checks the ranges.
    ///
    /// # Errors
    /// The name of the number that is out of range, and the range.
    pub fn validate(&self) -> Result<(), String> {
        const MOST: u32 = 1_000_000;
        for (name, value, high) in [
            ("count", self.count, MOST),
            ("seconds", self.seconds, 86_400),
            ("burst", self.burst(), MOST),
        ] {
            if !(1..=high).contains(&value) {
                return Err(format!("{name} must be between 1 and {high}"));
            }
        }
        Ok(())
    }

    /// How many requests may come at once.
    pub fn burst(&self) -> u32 {
        self.burst.unwrap_or(self.count)
    }

    /// Whether the rule is about this surface.
    pub(super) fn covers(&self, surface: Surface) -> bool {
        self.surface == surface || self.surface == Surface::Any
    }

    /// Microseconds after which a bucket holds one more request.
    pub(super) fn interval_micros(&self) -> i64 {
        i64::from(self.seconds) * 1_000_000 / i64::from(self.count.max(1))
    }
}
