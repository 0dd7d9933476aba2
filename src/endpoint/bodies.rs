//! The bodies of all requests that are in progress, whose bytes are bounded in total and for each network.

use std::sync::Arc;
use std::time::Duration;

use super::places::{PlaceCaps, Places};

/// The unit in which the bytes of bodies are counted.
pub(super) const BLOCK_BYTES: usize = 4 * 1024;

/// Blocks of all bodies that are in progress: 64 MiB, and 8 MiB for one network.
const BLOCKS: PlaceCaps = PlaceCaps {
    total: 16_384,
    per_network: 2_048,
};

/// The bodies of all requests that are in progress.
pub(super) struct Bodies {
    pub blocks: Arc<Places>,
    /// How long one may take to arrive.
    pub timeout: Duration,
}

impl Bodies {
    /// None yet. `timeout` is how long one may take to arrive.
    pub fn new(timeout: Duration) -> Arc<Bodies> {
        Arc::new(Bodies {
            blocks: Places::new(BLOCKS),
            timeout,
        })
    }
}
