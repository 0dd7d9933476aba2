//! `[handlers]`: the limits of the customers' code.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::handler::script::ScriptLimits;
use crate::network::Network;
use crate::outbound::{AddressRule, Bounds};

/// The limits of handlers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HandlersConfig {
    /// Days that the records of calls are kept.
    pub calls_kept_days: u64,
    /// Networks that webhooks and scripts may call although they are not public.
    pub private_addresses: Vec<Network>,
    /// Processor time of one call of a script.
    pub script_cpu_ms: u64,
    /// How long one call of a script may take, including its host calls.
    pub script_deadline_ms: u64,
    /// Maximum concurrent calls of scripts; one more fails at once.
    pub script_max_in_flight: usize,
    /// Memory of one call of a script.
    pub script_memory_mib: usize,
    /// Stack of one call of a script.
    pub script_stack_kib: usize,
    /// Threads that run scripts.
    pub script_threads: usize,
    /// How long one call to a webhook, or one `fetch` of a script, may take.
    pub webhook_timeout_ms: u64,
    /// Maximum concurrent calls of this kind; one more fails at once.
    pub webhook_max_in_flight: usize,
}

impl Default for HandlersConfig {
    fn default() -> Self {
        HandlersConfig {
            calls_kept_days: 7,
            private_addresses: Vec::new(),
            script_cpu_ms: 100,
            script_deadline_ms: 3_000,
            script_max_in_flight: 256,
            script_memory_mib: 16,
            script_stack_kib: 256,
            script_threads: 2,
            webhook_timeout_ms: 2_000,
            webhook_max_in_flight: 64,
        }
    }
}

impl HandlersConfig {
    /// Checks the rules for single keys.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub(super) fn validate(&self) -> Result<(), String> {
        let number = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
        let in_flight_max = number(self.script_max_in_flight);
        for (key, value, low, high) in [
            ("calls_kept_days", self.calls_kept_days, 1, 3_650),
            ("script_cpu_ms", self.script_cpu_ms, 1, 10_000),
            ("script_deadline_ms", self.script_deadline_ms, 1, 30_000),
            ("script_max_in_flight", in_flight_max, 1, 65_536),
            (
                "script_memory_mib",
                number(self.script_memory_mib),
                1,
                1_024,
            ),
            ("script_stack_kib", number(self.script_stack_kib), 64, 1_024),
            ("script_threads", number(self.script_threads), 1, 64),
            (
                "webhook_max_in_flight",
                number(self.webhook_max_in_flight),
                1,
                1_024,
            ),
            ("webhook_timeout_ms", self.webhook_timeout_ms, 1, 10_000),
        ] {
            if !(low..=high).contains(&value) {
                return Err(format!("[handlers] {key} must be between {low} and {high}"));
            }
        }
        Ok(())
    }

    /// The config of `vestibule dev`: handlers on the same machine are allowed, unless the config lists networks.
    pub fn on_this_machine(mut self) -> HandlersConfig {
        if self.private_addresses.is_empty() {
            self.private_addresses = vec![Network::LOOPBACK_V4, Network::LOOPBACK_V6];
        }
        self
    }

    /// The limits of a call to a webhook or to a host of a script.
    pub fn bounds(&self) -> Bounds {
        Bounds {
            deadline: Duration::from_millis(self.webhook_timeout_ms),
            in_flight_max: self.webhook_max_in_flight,
            answer_bytes_max: ANSWER_BYTES_MAX,
        }
    }

    /// The limits of a script.
    pub fn script_limits(&self) -> ScriptLimits {
        ScriptLimits {
            cpu: Duration::from_millis(self.script_cpu_ms),
            memory_bytes: self.script_memory_mib << 20,
            stack_bytes: self.script_stack_kib << 10,
            deadline: Duration::from_millis(self.script_deadline_ms),
            threads: self.script_threads,
            in_flight_max: self.script_max_in_flight,
            ..ScriptLimits::default()
        }
    }

    /// The addresses that webhooks and scripts may call.
    pub fn address_rule(&self) -> AddressRule {
        AddressRule {
            allowed: self.private_addresses.clone(),
            ..AddressRule::default()
        }
    }
}

/// The limit of one fetched response; a webhook's response has a lower limit.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_limits() {
        type ConfigEdit = fn(&mut HandlersConfig);
        let cases: [(&str, ConfigEdit); 6] = [
            ("script_cpu_ms", |config| config.script_cpu_ms = 0),
            ("script_deadline_ms", |config| {
                config.script_deadline_ms = 30_001
            }),
            ("script_memory_mib", |config| config.script_memory_mib = 0),
            ("script_stack_kib", |config| config.script_stack_kib = 63),
            ("script_threads", |config| config.script_threads = 0),
            ("webhook_timeout_ms", |config| {
                config.webhook_timeout_ms = 10_001
            }),
        ];
        assert_eq!(HandlersConfig::default().validate(), Ok(()));
        for (key, change) in cases {
            let mut config = HandlersConfig::default();
            change(&mut config);
            let reason = config.validate().unwrap_err();
            assert!(reason.contains(key), "{reason}");
        }
    }

    #[test]
    fn the_defaults_are_those_of_the_engine() {
        assert_eq!(
            HandlersConfig::default().script_limits(),
            ScriptLimits::default()
        );
    }
}
