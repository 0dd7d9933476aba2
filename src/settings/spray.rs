//! What a site does about a spray: one guess at each of very many accounts.

use vestibule_protocol::words;

use crate::changes::Invalid;

words! {
    /// What happens once the failures of one hour have passed the threshold.
    pub enum SprayAction {
        /// The spray is reported: a metric and a line in the log.
        Alert = "alert",
        /// It is reported, and until the end of the hour every request from a network that takes part is refused
        /// like a wrong guess.
        Refuse = "refuse",
    }
}

/// The thresholds that a site may have.
const THRESHOLDS: std::ops::RangeInclusive<i64> = 10..=1_000_000;

/// Checks a threshold.
///
/// # Errors
/// It is out of range.
pub(super) fn validate_threshold(key: &'static str, threshold: i64) -> Result<(), Invalid> {
    if THRESHOLDS.contains(&threshold) {
        return Ok(());
    }
    Err(Invalid::new(key, "must be between 10 and 1,000,000"))
}
