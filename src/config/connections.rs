//! `[connections]`: how many connections a listener has, and how long one may take.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Limits of the connections of the listeners. The caps are those of the public listener; the management listener
/// has fixed caps of its own, so that it answers whatever happens at the public one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConnectionsConfig {
    /// Maximum connections in total. It is lowered at start if the limit of open files leaves no room for it.
    pub max: usize,
    /// Maximum connections of one IPv4 address or IPv6 /64. A /56 may have twice as many, an IPv4 /24 and an IPv6
    /// /48 four times. Trusted proxies are not counted.
    pub max_per_network: usize,
    /// How long a TLS handshake may take.
    pub handshake_timeout_ms: u64,
    /// How long the head of a request may take, from the connection or from the end of the previous request over
    /// HTTP/1.
    pub head_timeout_ms: u64,
    /// How long the body of a request may take.
    pub body_timeout_ms: u64,
    /// How long a connection may be without a request.
    pub idle_timeout_ms: u64,
    /// How long a client may take to accept the next 16 KiB of the answers.
    pub write_timeout_ms: u64,
    /// How long a connection may have requests in progress of which none ends.
    pub request_timeout_ms: u64,
}

impl Default for ConnectionsConfig {
    fn default() -> Self {
        ConnectionsConfig {
            max: 8_192,
            max_per_network: 256,
            handshake_timeout_ms: 10_000,
            head_timeout_ms: 15_000,
            body_timeout_ms: 30_000,
            idle_timeout_ms: 60_000,
            write_timeout_ms: 20_000,
            request_timeout_ms: 90_000,
        }
    }
}

impl ConnectionsConfig {
    /// Checks the ranges, and that a request may take longer than its body.
    pub(super) fn validate(&self) -> Result<(), String> {
        for (key, value, low, high) in [
            ("max", self.max as u64, 16, 1_000_000),
            ("max_per_network", self.max_per_network as u64, 1, 1_000_000),
            (
                "handshake_timeout_ms",
                self.handshake_timeout_ms,
                100,
                60_000,
            ),
            ("head_timeout_ms", self.head_timeout_ms, 100, 60_000),
            ("body_timeout_ms", self.body_timeout_ms, 100, 120_000),
            ("idle_timeout_ms", self.idle_timeout_ms, 100, 600_000),
            ("write_timeout_ms", self.write_timeout_ms, 100, 120_000),
            ("request_timeout_ms", self.request_timeout_ms, 100, 600_000),
        ] {
            if !(low..=high).contains(&value) {
                return Err(format!(
                    "[connections] {key} must be between {low} and {high}"
                ));
            }
        }
        if self.request_timeout_ms <= self.body_timeout_ms {
            return Err(
                "[connections] request_timeout_ms must be longer than body_timeout_ms".into(),
            );
        }
        Ok(())
    }

    /// How long the body of a request may take.
    pub fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.body_timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_a_range_and_a_request_takes_longer_than_its_body() {
        assert_eq!(ConnectionsConfig::default().validate(), Ok(()));
        let wrong = |change: fn(&mut ConnectionsConfig)| {
            let mut config = ConnectionsConfig::default();
            change(&mut config);
            config.validate().unwrap_err()
        };
        assert!(wrong(|config| config.max = 15).contains("max must be between 16"));
        assert!(wrong(|config| config.max_per_network = 0).contains("max_per_network"));
        assert!(wrong(|config| config.head_timeout_ms = 99).contains("head_timeout_ms"));
        assert!(wrong(|config| config.idle_timeout_ms = 600_001).contains("idle_timeout_ms"));
        assert!(wrong(|config| config.write_timeout_ms = 0).contains("write_timeout_ms"));
        assert!(wrong(|config| config.request_timeout_ms = 30_000).contains("longer than"));
    }
}
