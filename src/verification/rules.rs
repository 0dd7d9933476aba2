//! The numbers of a one-time password: one set per use.

use serde::{Deserialize, Serialize};

/// The rules of one use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OtpRules {
    /// Characters of a code, 6 to 10.
    pub length: usize,
    /// What the characters are drawn from.
    pub alphabet: Alphabet,
    /// How long a code can be used, 60 seconds to 24 hours.
    pub lifetime_seconds: i64,
    /// Comparisons per code and network, 1 to 10.
    pub tries: i64,
    /// Codes per user or address and hour, 1 to 1,000. Absent: 5, and 1,000 in `vestibule dev`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codes_per_hour: Option<i64>,
}

impl Default for OtpRules {
    fn default() -> Self {
        OtpRules {
            length: 6,
            alphabet: Alphabet::Digits,
            lifetime_seconds: 600,
            tries: 5,
            codes_per_hour: None,
        }
    }
}

/// What a code is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Alphabet {
    /// `0` to `9`.
    Digits,
    /// Capital letters and digits without those that look alike (no `0`, `O`, `1`, `I`, `L`).
    Alphanumeric,
}

impl Alphabet {
    /// The characters.
    pub fn characters(self) -> &'static [u8] {
        match self {
            Alphabet::Digits => b"0123456789",
            Alphabet::Alphanumeric => b"23456789ABCDEFGHJKMNPQRSTUVWXYZ",
        }
    }
}

impl OtpRules {
    /// Codes per user or address and hour, unless the config has another number.
    const CODES_PER_HOUR: i64 = 5;

    /// Codes per user or address and hour of `vestibule dev`, unless the config has another number: no test suite
    /// reaches it.
    const CODES_PER_HOUR_IN_DEV: i64 = 1_000;

    /// Codes per user or address and hour.
    pub fn codes_per_hour(&self) -> i64 {
        self.codes_per_hour.unwrap_or(Self::CODES_PER_HOUR)
    }

    /// The rules of `vestibule dev`.
    pub fn in_dev(mut self) -> OtpRules {
        self.codes_per_hour
            .get_or_insert(Self::CODES_PER_HOUR_IN_DEV);
        self
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// The name of the number that is out of range, and the range.
    pub fn validate(&self) -> Result<(), String> {
        let within = |name: &str, value: i64, low: i64, high: i64| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(format!(
                    "{name} is {value}; it must be between {low} and {high}"
                ))
            }
        };
        within("length", self.length as i64, 6, 10)?;
        within("lifetime_seconds", self.lifetime_seconds, 60, 86_400)?;
        within("tries", self.tries, 1, 10)?;
        within("codes_per_hour", self.codes_per_hour(), 1, 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_within_their_ranges_and_a_short_code_is_not() {
        assert!(OtpRules::default().validate().is_ok());
        let short = OtpRules {
            length: 5,
            ..OtpRules::default()
        };
        assert!(short.validate().unwrap_err().starts_with("length is 5"));
        for (codes_per_hour, in_serve, in_dev) in [(None, 5, 1_000), (Some(7), 7, 7)] {
            let rules = OtpRules {
                codes_per_hour,
                ..OtpRules::default()
            };
            assert_eq!(rules.codes_per_hour(), in_serve);
            assert_eq!(rules.in_dev().codes_per_hour(), in_dev);
        }
    }
}
