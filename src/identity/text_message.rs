//! Which text messages may be sent: the countries, and how many a day.
//!
//! Text messages cost money, and the holder of a number may earn from messages sent to it (SMS pumping). So they
//! are limited by country, by range of numbers and in total. The rules are here. The counts are in the store, in
//! the write that queues the message, so that all nodes share them. How often one number gets a code is the budget
//! of the one-time password.
//!
//! Statuses are those of the Custom OTP Delivery Handler (`sendOneTimePassword`).

use std::collections::BTreeMap;

use vestibule_protocol::words;

use super::country::Country;
use super::phone::PhoneNumber;
use crate::moment::Moment;

words! {
    /// What became of a text message, in the words of the delivery handler.
    pub enum SmsStatus {
        /// Nothing is sent to that country.
        CountryBlock = "COUNTRY_BLOCK",
        /// The provider could not be reached, or did not answer in time.
        Exception = "EXCEPTION",
        /// The number is not one that text messages can be sent to.
        InvalidPhoneNumber = "INVALID_PHONE_NUMBER",
        /// The limit of this server or of the provider is reached.
        MessageLimitExceeded = "MESSAGE_LIMIT_EXCEEDED",
        /// The provider refused the message.
        ProviderError = "PROVIDER_ERROR",
        /// The provider has accepted the message.
        Success = "SUCCESS",
    }
}

/// An allowed or denied destination: a country, or a calling code with any digits after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// `DE`
    Country(Country),
    /// `+4915`
    Range(String),
}

impl Destination {
    /// Parses `DE` or `+4915`.
    pub fn parse(text: &str) -> Option<Destination> {
        let Some(digits) = text.strip_prefix('+') else {
            return Country::parse(text).map(Destination::Country);
        };
        let is_code = (1..=12).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        is_code.then(|| Destination::Range(text.to_owned()))
    }

    fn holds(&self, number: &PhoneNumber, country: Country) -> bool {
        match self {
            Destination::Country(own) => *own == country,
            Destination::Range(range) => number.is_within(&[range]),
        }
    }
}

/// Which text messages may be sent.
#[derive(Clone, Debug, Default)]
pub struct SmsPolicy {
    /// Allowed destinations. Empty: every country, but not the codes that belong to no country.
    pub allowed: Vec<Destination>,
    /// Denied destinations, even if allowed above.
    pub denied: Vec<Destination>,
    /// Maximum messages a day (in UTC); `None`: unlimited.
    pub daily_cap: Option<i64>,
    /// Maximum messages a day to numbers that differ in their last four digits only.
    pub range_daily_cap: Option<i64>,
    /// Maximum messages a day by country.
    pub country_daily_caps: BTreeMap<Country, i64>,
    /// The cost of a message by country, in millionths of the operator's currency.
    pub cost_micros: BTreeMap<Country, u64>,
}

impl SmsPolicy {
    /// Checks whether text messages to a number are allowed, and returns its country.
    ///
    /// # Errors
    /// `CountryBlock`, or `InvalidPhoneNumber` when no country has its code.
    pub fn check(&self, number: &PhoneNumber) -> Result<Country, SmsStatus> {
        let country = Country::of(number).ok_or(SmsStatus::InvalidPhoneNumber)?;
        let is_listed = |places: &[Destination]| places.iter().any(|p| p.holds(number, country));
        let is_allowed = match self.allowed.as_slice() {
            [] => country != Country::WORLD,
            allowed => is_listed(allowed),
        };
        if !is_allowed || is_listed(&self.denied) {
            return Err(SmsStatus::CountryBlock);
        }
        Ok(country)
    }

    /// The counts that a message increments to a number that the caller has sent.
    pub fn budget(&self, number: &PhoneNumber, country: Country, at: Moment) -> SmsBudget {
        self.counts(number, country, at, "")
    }

    /// The counts that a message increments to the number of a user. Country and range have counts apart from those of
    /// numbers that callers send: otherwise a caller with numbers of its own would learn from them that a user has a
    /// number there.
    pub fn budget_on_file(&self, number: &PhoneNumber, country: Country, at: Moment) -> SmsBudget {
        self.counts(number, country, at, " on file")
    }

    fn counts(&self, number: &PhoneNumber, country: Country, at: Moment, whose: &str) -> SmsBudget {
        let day = at.seconds().div_euclid(DAY_SECONDS);
        let number = number.as_str();
        let range = &number[..number.len().saturating_sub(RANGE_DIGITS)];
        let by_country = self.country_daily_caps.get(&country).copied();
        let country = country.as_str();
        let lines = [
            (format!("{day} all"), self.daily_cap),
            (format!("{day} country {country}{whose}"), by_country),
            (format!("{day} range {range}{whose}"), self.range_daily_cap),
        ];
        SmsBudget {
            lines: lines
                .into_iter()
                .filter_map(|(name, cap)| Some((name, cap?)))
                .collect(),
            ends_at: end_of(day),
        }
    }

    /// The counts of a decoy, a message that is not sent. It increments the count of all messages, as any other does;
    /// it has no number, so its range is one that has no cap.
    pub fn decoy_budget(&self, at: Moment) -> SmsBudget {
        let day = at.seconds().div_euclid(DAY_SECONDS);
        let range_cap = self.range_daily_cap.map(|_| i64::MAX);
        let lines = [
            (format!("{day} all"), self.daily_cap),
            (format!("{day} decoy range"), range_cap),
        ];
        SmsBudget {
            lines: lines
                .into_iter()
                .filter_map(|(name, cap)| Some((name, cap?)))
                .collect(),
            ends_at: end_of(day),
        }
    }

    /// The cost of a message to a country.
    pub fn cost_micros(&self, country: Country) -> u64 {
        self.cost_micros.get(&country).copied().unwrap_or(0)
    }
}

/// The counts that one message increments: the name of each, with its cap. The order is the same for every message,
/// so that two writes cannot deadlock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmsBudget {
    /// Names and caps.
    pub lines: Vec<(String, i64)>,
    /// The end of the day.
    pub ends_at: Moment,
}

fn end_of(day: i64) -> Moment {
    Moment::from_millis(0).plus_seconds((day + 1) * DAY_SECONDS)
}

const DAY_SECONDS: i64 = 86_400;

/// Number ranges are rented in blocks of ten thousand.
const RANGE_DIGITS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> PhoneNumber {
        PhoneNumber::parse(text).unwrap()
    }

    fn places(texts: &[&str]) -> Vec<Destination> {
        texts
            .iter()
            .map(|text| Destination::parse(text).unwrap())
            .collect()
    }

    #[test]
    fn mail_07_messages_go_where_they_may() {
        use SmsStatus::CountryBlock;
        let open = SmsPolicy::default();
        let listed = SmsPolicy {
            allowed: places(&["DE", "at", "+44", "+8823"]),
            denied: places(&["+491900", "GG"]),
            ..SmsPolicy::default()
        };
        for (text, in_open, in_listed) in [
            ("+491511234567", Ok("DE"), Ok("DE")),
            ("+436641234567", Ok("AT"), Ok("AT")),
            ("+447911123456", Ok("GG"), Err(CountryBlock)),
            ("+447400123456", Ok("GB"), Ok("GB")),
            ("+12035551234", Ok("US"), Err(CountryBlock)),
            ("+491900123456", Ok("DE"), Err(CountryBlock)),
            ("+88231234567", Err(CountryBlock), Ok("001")),
            ("+97912345678", Err(CountryBlock), Err(CountryBlock)),
        ] {
            let check = |policy: &SmsPolicy| policy.check(&number(text)).map(Country::as_str);
            assert_eq!(check(&open), in_open, "{text}");
            assert_eq!(check(&listed), in_listed, "{text}");
        }
    }

    #[test]
    fn a_destination_is_a_country_or_a_calling_code() {
        for text in ["", "+", "+0", "+49x", "49", "DEU", "++49", "+4912345678901"] {
            assert_eq!(Destination::parse(text), None, "{text}");
        }
    }

    #[test]
    fn mail_07_a_message_counts_for_the_day_its_country_and_its_range() {
        let policy = SmsPolicy {
            daily_cap: Some(1_000),
            range_daily_cap: Some(20),
            country_daily_caps: BTreeMap::from([(Country::parse("DE").unwrap(), 100)]),
            ..SmsPolicy::default()
        };
        // 2026-01-05T10:00:00Z.
        let at = Moment::from_millis(1_767_607_200_000);
        let budget = |text: &str| {
            let number = number(text);
            policy.budget(&number, Country::of(&number).unwrap(), at)
        };
        let german = budget("+491511234567");
        let line = |name: &str, cap: i64| (name.to_owned(), cap);
        assert_eq!(
            german.lines,
            [
                line("20458 all", 1_000),
                line("20458 country DE", 100),
                line("20458 range +49151123", 20),
            ]
        );
        assert_eq!(german.ends_at.iso_seconds(), "2026-01-06T00:00:00Z");
        assert_eq!(budget("+491511239999").lines, german.lines);
        assert_eq!(budget("+12035551234").lines.len(), 2);
        let unbounded = SmsPolicy::default();
        let us = number("+12035551234");
        assert!(
            unbounded
                .budget(&us, Country::of(&us).unwrap(), at)
                .lines
                .is_empty()
        );
    }

    #[test]
    fn the_statuses_are_the_documented_words() {
        for status in SmsStatus::ALL {
            assert_eq!(SmsStatus::parse(status.as_str()), Some(status));
        }
        assert_eq!(SmsStatus::parse("success"), None);
    }
}
