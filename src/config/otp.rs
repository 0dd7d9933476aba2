//! The section `[otp]` of the config: the rules of the codes of each flow.

use serde::{Deserialize, Serialize};
use vestibule_protocol::purpose::Purpose;

use crate::verification::OtpRules;

/// The section of the printed config.
pub const SECTION: &str = r#"[otp]
# Failed comparisons per user or address in 24 hours, for all codes, purposes and nodes: 5 to 100.
failures_per_day = 100

[otp.registration]
# Number of characters of a code, 6 to 10; "digits" or "alphanumeric".
length = 6
alphabet = "digits"
lifetime_seconds = 600
# Comparisons per code and network, and codes per user or mailbox and hour (`vestibule dev`: 1000).
tries = 5
# codes_per_hour = 5

[otp.passwordless_login]
length = 6
alphabet = "digits"
lifetime_seconds = 600
tries = 5
# codes_per_hour = 5

[otp.forgot_password]
length = 6
alphabet = "digits"
lifetime_seconds = 600
tries = 5
# codes_per_hour = 5

"#;

/// One-time passwords, by purpose.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OtpConfig {
    /// Failed comparisons per user or address in 24 hours, over all codes, purposes and nodes.
    pub failures_per_day: i64,
    /// A forgotten password.
    pub forgot_password: OtpRules,
    /// Passwordless login.
    pub passwordless_login: OtpRules,
    /// Headless registration.
    pub registration: OtpRules,
}

impl OtpConfig {
    /// Checks every number.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub fn validate(&self) -> Result<(), String> {
        if !(5..=100).contains(&self.failures_per_day) {
            return Err("[otp] failures_per_day must be between 5 and 100".into());
        }
        for purpose in Purpose::ALL {
            let rules = self.rules(purpose);
            let checked = rules.validate();
            checked.map_err(|reason| format!("[otp.{purpose}] {reason}"))?;
        }
        Ok(())
    }

    /// The rules of `vestibule dev`.
    pub fn in_dev(self) -> OtpConfig {
        OtpConfig {
            failures_per_day: self.failures_per_day,
            forgot_password: self.forgot_password.in_dev(),
            passwordless_login: self.passwordless_login.in_dev(),
            registration: self.registration.in_dev(),
        }
    }

    /// The rules of the codes of a purpose.
    pub fn rules(&self, purpose: Purpose) -> &OtpRules {
        match purpose {
            Purpose::ForgotPassword => &self.forgot_password,
            Purpose::PasswordlessLogin => &self.passwordless_login,
            Purpose::Registration => &self.registration,
        }
    }
}

impl Default for OtpConfig {
    fn default() -> Self {
        OtpConfig {
            failures_per_day: 100,
            forgot_password: OtpRules::default(),
            passwordless_login: OtpRules::default(),
            registration: OtpRules::default(),
        }
    }
}
