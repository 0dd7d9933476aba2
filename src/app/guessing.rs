//! What limits guessing at a site, and what is done when its failures become a spray. The counting
//! stands in `store::tally`.

use super::{App, SiteEntry};
use crate::settings::SprayAction;
use crate::verification::{GuessLimits, Guessed, SprayLimit};

impl App {
    /// What limits the comparisons of one-time passwords at a site.
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

    /// When the wrong passwords of a site are a spray.
    pub fn password_spray(&self, site: &SiteEntry) -> SprayLimit {
        let settings = &site.site.settings;
        SprayLimit {
            guessed: Guessed::Password,
            failures_per_hour: settings.password_spray_threshold_per_hour,
            is_refused: settings.password_spray_action == SprayAction::Refuse,
        }
    }

    /// Tells of a spray, once per site and hour: for whoever made it one (`store::tally`), after the
    /// commit.
    pub fn report_spray(&self, site: &SiteEntry, limit: &SprayLimit) {
        let kind = limit.guessed.as_str();
        self.metrics.spray_detected(&site.site.id, kind);
        tracing::warn!(
            site = %site.site.id, kind, failures = limit.failures_per_hour,
            is_refused = limit.is_refused, "failures became a spray"
        );
    }
}
