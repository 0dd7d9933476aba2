//! `[sms]`: the provider of text messages, their destinations and limits.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::identity::country::Country;
use crate::identity::text_message::{Destination, SmsPolicy};
use crate::outbound::check_url;

/// The provider of text messages. A webhook's URL may contain a secret and is not shown by `Debug`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SmsConfig {
    /// A service of the operator, which receives each message as signed JSON.
    pub webhook_url: Option<String>,
    /// A file with the key of the signature.
    pub webhook_secret_file: Option<PathBuf>,
    /// The base URL of an API like Twilio's, instead of Twilio's.
    pub twilio_url: Option<String>,
    /// The account at Twilio.
    pub twilio_account_sid: Option<String>,
    /// A file with the account's token.
    pub twilio_auth_token_file: Option<PathBuf>,
    /// Twilio: the sender's number or name.
    pub from: Option<String>,
    /// How long one message may take.
    pub timeout_ms: u64,
    /// Maximum concurrent messages to the provider.
    pub connections: usize,
    /// Allowed destinations: `DE`, `+4915`. Empty: every country.
    pub allowed_countries: Vec<String>,
    /// Denied destinations, even if allowed above.
    pub denied_countries: Vec<String>,
    /// Maximum messages a day.
    pub daily_cap: i64,
    /// Maximum messages a day to numbers that differ in their last four digits only.
    pub range_daily_cap: i64,
    /// Maximum messages a day by country.
    pub country_daily_caps: BTreeMap<String, i64>,
    /// The cost of a message by country, in millionths.
    pub cost_micros: BTreeMap<String, u64>,
}

impl Default for SmsConfig {
    fn default() -> Self {
        SmsConfig {
            webhook_url: None,
            webhook_secret_file: None,
            twilio_url: None,
            twilio_account_sid: None,
            twilio_auth_token_file: None,
            from: None,
            timeout_ms: 10_000,
            connections: 16,
            allowed_countries: Vec::new(),
            denied_countries: Vec::new(),
            daily_cap: 10_000,
            range_daily_cap: 100,
            country_daily_caps: BTreeMap::new(),
            cost_micros: BTreeMap::new(),
        }
    }
}

impl SmsConfig {
    /// Checks the rules for single keys and for pairs of keys.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub(super) fn validate(&self) -> Result<(), String> {
        self.policy(true)?;
        if !(100..=60_000).contains(&self.timeout_ms) {
            return Err("[sms] timeout_ms must be between 100 and 60000".into());
        }
        if !(1..=64).contains(&self.connections) {
            return Err("[sms] connections must be between 1 and 64".into());
        }
        for (key, url) in [
            ("webhook_url", &self.webhook_url),
            ("twilio_url", &self.twilio_url),
        ] {
            if let Some(url) = url {
                check_url(url).map_err(|reason| format!("[sms] {key} {reason}"))?;
            }
        }
        if self.webhook_secret_file.is_some() && self.webhook_url.is_none() {
            return Err("[sms] webhook_secret_file needs webhook_url".into());
        }
        self.validate_twilio()
    }

    fn validate_twilio(&self) -> Result<(), String> {
        let parts = [
            ("twilio_account_sid", self.twilio_account_sid.is_some()),
            (
                "twilio_auth_token_file",
                self.twilio_auth_token_file.is_some(),
            ),
            ("from", self.from.is_some()),
        ];
        let is_named = self.twilio_url.is_some() || parts.iter().any(|(_, is_set)| *is_set);
        if !is_named {
            return Ok(());
        }
        if self.webhook_url.is_some() {
            return Err("[sms] webhook_url and the keys of Twilio exclude each other".into());
        }
        if let Some((key, _)) = parts.iter().find(|(_, is_set)| !is_set) {
            return Err(format!("[sms] {key} is needed for Twilio"));
        }
        let is_plain = |sid: &String| sid.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !self.twilio_account_sid.as_ref().is_none_or(is_plain) {
            return Err("[sms] twilio_account_sid takes letters and digits".into());
        }
        Ok(())
    }

    /// The destinations and limits; without limits if `is_counted` is false.
    ///
    /// # Errors
    /// A country or a number is invalid.
    pub(super) fn policy(&self, is_counted: bool) -> Result<SmsPolicy, String> {
        let cap = |key: &str, value: i64| match value {
            1.. => Ok(is_counted.then_some(value)),
            _ => Err(format!("[sms] {key} takes 1 or more")),
        };
        let mut country_daily_caps = BTreeMap::new();
        for (name, value) in &self.country_daily_caps {
            let country = country("country_daily_caps", name)?;
            if let Some(value) = cap("country_daily_caps", *value)? {
                country_daily_caps.insert(country, value);
            }
        }
        let costs = self.cost_micros.iter();
        let costs = costs.map(|(name, cost)| Ok((country("cost_micros", name)?, *cost)));
        Ok(SmsPolicy {
            allowed: destinations("allowed_countries", &self.allowed_countries)?,
            denied: destinations("denied_countries", &self.denied_countries)?,
            daily_cap: cap("daily_cap", self.daily_cap)?,
            range_daily_cap: cap("range_daily_cap", self.range_daily_cap)?,
            country_daily_caps,
            cost_micros: costs.collect::<Result<_, String>>()?,
        })
    }
}

fn country(key: &str, name: &str) -> Result<Country, String> {
    Country::parse(name).ok_or_else(|| format!("[sms] {key} takes countries by two letters: DE"))
}

fn destinations(key: &str, texts: &[String]) -> Result<Vec<Destination>, String> {
    let wrong = || format!("[sms] {key} takes countries (DE) and calling codes (+4915)");
    let read = |text: &String| Destination::parse(text).ok_or_else(wrong);
    texts.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        let config: SmsConfig = toml::from_str(text).unwrap();
        config.validate().err().unwrap_or_default()
    }

    #[test]
    fn what_does_not_fit_together_is_named() {
        let twilio = "twilio_account_sid = 'AC1'\ntwilio_auth_token_file = '/t'\nfrom = '+1'\n";
        assert_eq!(problem(""), "");
        assert_eq!(problem(twilio), "");
        assert_eq!(problem("webhook_url = 'http://127.0.0.1:9'"), "");
        for (text, key) in [
            ("webhook_url = 'http://sms.example.com'", "webhook_url"),
            ("webhook_url = 'nothing'", "webhook_url"),
            ("webhook_secret_file = '/s'", "webhook_secret_file"),
            ("twilio_account_sid = 'AC1'", "twilio_auth_token_file"),
            ("twilio_url = 'https://t.example'", "twilio_account_sid"),
            ("from = '+1'", "twilio_account_sid"),
            ("timeout_ms = 1", "timeout_ms"),
            ("connections = 0", "connections"),
            ("allowed_countries = ['Germany']", "allowed_countries"),
            ("denied_countries = ['+']", "denied_countries"),
            ("daily_cap = 0", "daily_cap"),
            ("country_daily_caps = { XX = 1 }", "country_daily_caps"),
            ("country_daily_caps = { DE = 0 }", "country_daily_caps"),
            ("cost_micros = { '+49' = 1 }", "cost_micros"),
        ] {
            assert!(problem(text).contains(&format!("[sms] {key}")), "{text}");
        }
        let both = format!("{twilio}webhook_url = 'https://sms.example.com'");
        assert!(problem(&both).contains("exclude"));
        let path = twilio.replace("AC1", "../AC1");
        assert!(problem(&path).contains("[sms] twilio_account_sid"));
    }

    #[test]
    fn caps_are_counted_unless_limits_are_off() {
        let text = "daily_cap = 5\ncountry_daily_caps = { de = 2 }\ncost_micros = { DE = 75000 }";
        let config: SmsConfig = toml::from_str(text).unwrap();
        let germany = Country::parse("DE").unwrap();
        let counted = config.policy(true).unwrap();
        assert_eq!(counted.daily_cap, Some(5));
        assert_eq!(counted.range_daily_cap, Some(100));
        assert_eq!(counted.country_daily_caps.get(&germany), Some(&2));
        assert_eq!(counted.cost_micros(germany), 75_000);
        let open = config.policy(false).unwrap();
        assert_eq!((open.daily_cap, open.range_daily_cap), (None, None));
        assert!(open.country_daily_caps.is_empty());
    }
}
