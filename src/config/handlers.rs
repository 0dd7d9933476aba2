//! `[handlers]`: what bounds the customers' own code.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::network::Network;
use crate::outbound::{AddressRule, Bounds, Names};

/// What bounds handlers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HandlersConfig {
    /// Networks that webhooks and scripts may call although they are not public.
    pub private_addresses: Vec<Network>,
    /// How long one call to a webhook, or one `fetch` of a script, may take.
    pub webhook_timeout_ms: u64,
    /// Most such calls at once; one more fails at once.
    pub webhook_max_in_flight: usize,
}

impl Default for HandlersConfig {
    fn default() -> Self {
        HandlersConfig {
            private_addresses: Vec::new(),
            webhook_timeout_ms: 2_000,
            webhook_max_in_flight: 64,
        }
    }
}

impl HandlersConfig {
    /// Checks what one key rules out.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub(super) fn validate(&self) -> Result<(), String> {
        if !(1..=10_000).contains(&self.webhook_timeout_ms) {
            return Err("[handlers] webhook_timeout_ms must be between 1 and 10000".into());
        }
        if !(1..=1_024).contains(&self.webhook_max_in_flight) {
            return Err("[handlers] webhook_max_in_flight must be between 1 and 1024".into());
        }
        Ok(())
    }

    /// The config of `vestibule dev`: handlers run on the same machine, unless the config says where.
    pub fn on_this_machine(mut self) -> HandlersConfig {
        if self.private_addresses.is_empty() {
            self.private_addresses = vec![Network::LOOPBACK_V4, Network::LOOPBACK_V6];
        }
        self
    }

    /// What bounds a call to a webhook or to a host of a script's.
    pub fn bounds(&self) -> Bounds {
        Bounds {
            deadline: Duration::from_millis(self.webhook_timeout_ms),
            in_flight_max: self.webhook_max_in_flight,
            answer_bytes_max: ANSWER_BYTES_MAX,
        }
    }

    /// Whom webhooks and scripts may call.
    pub fn address_rule(&self) -> AddressRule {
        AddressRule {
            allowed: self.private_addresses.clone(),
            names: Names::System,
        }
    }
}

/// What a script may fetch at once; a webhook's answer is bounded more closely.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
