//! The limits of guessing at a site, and the report of a password-spray attack. The counts are in `store::tally`.

use super::{App, SiteEntry};
use crate::settings::SprayAction;
use crate::verification::{GuessLimits, Guessed, SprayLimit};

impl App {
    /// The limits of one-time password comparisons at a site.
    pub fn guess_limits(&self, site: &SiteEntry) -> GuessLimits {
        let settings = &site.site.settings;
        GuessLimits {
            failures_per_day: self.otp.failures_per_day,
            spray: SprayLimit {
                guessed: Guessed::OneTimePassword,
                failures_per_hour: settings.otp_spray_threshold_per_hour,
                is_refused: settings.otp_spray_action == SprayAction::Refuse,
            },
        }
    }

    /// The threshold of wrong passwords for a password-spray attack.
    pub fn password_spray(&self, site: &SiteEntry) -> SprayLimit {
        let settings = &site.site.settings;
        SprayLimit {
            guessed: Guessed::Password,
            failures_per_hour: settings.password_spray_threshold_per_hour,
            is_refused: settings.password_spray_action == SprayAction::Refuse,
        }
    }

    /// Reports a password-spray attack, once per site and hour: called after the commit, when `store::tally` has
    /// reached the threshold.
    pub fn report_spray(&self, site: &SiteEntry, limit: &SprayLimit) {
        let kind = limit.guessed.as_str();
        self.metrics.spray_detected(&site.site.id, kind);
        tracing::warn!(
            site = %site.site.id, kind, failures = limit.failures_per_hour,
            is_refused = limit.is_refused, "failures became a spray"
        );
    }
}
