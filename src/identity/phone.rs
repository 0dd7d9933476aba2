//! Phone numbers in E.164.
//!
//! This file owns the one form in which a number is stored, compared and given to a gateway: `+`, country code,
//! subscriber, digits only. Verifying that the user reads the messages is left to `verification`, sending them to
//! `delivery`, and the ranges that are never sent to, to the site's settings.
//!
//! Numbers are not checked against national numbering plans: these change faster than software, and a number is
//! verified by the one-time password that is sent to it.
//!
//! Follows ITU-T E.164: at most 15 digits, of which the country code never begins with 0.

use std::fmt;

/// A number in E.164: `+` and 8 to 15 digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PhoneNumber(String);

impl PhoneNumber {
    /// Parses an international number as people write it: spaces, dashes, dots and parentheses are dropped, and a
    /// leading `00` means `+`.
    ///
    /// # Refusals
    /// Any [`PhoneProblem`]. A national number is refused because guessing the country would send codes to other
    /// people's phones. A trunk zero in parentheses is refused too, as in `+44 (0)20…`: dropping only the
    /// parentheses would dial another number.
    ///
    /// Source: ITU-T E.164 section 6.
    pub fn parse(text: &str) -> Result<PhoneNumber, PhoneProblem> {
        if text.len() > WRITTEN_BYTES_MAX {
            return Err(PhoneProblem::LengthInvalid);
        }
        let mut digits = String::with_capacity(text.len());
        let mut has_plus = false;
        for c in text.chars() {
            match c {
                '0'..='9' => digits.push(c),
                '+' if digits.is_empty() && !has_plus => has_plus = true,
                ' ' | '-' | '.' | '(' | ')' => {}
                _ => return Err(PhoneProblem::CharacterInvalid),
            }
        }
        if text.contains("(0)") {
            return Err(PhoneProblem::TrunkPrefix);
        }
        let number = match digits.strip_prefix("00") {
            Some(number) if !has_plus => number,
            _ if has_plus => digits.as_str(),
            _ => return Err(PhoneProblem::NotInternational),
        };
        if number.starts_with('0') {
            return Err(PhoneProblem::NotInternational);
        }
        if !(DIGITS_MIN..=DIGITS_MAX).contains(&number.len()) {
            return Err(PhoneProblem::LengthInvalid);
        }
        Ok(PhoneNumber(format!("+{number}")))
    }

    /// The number: `+` and digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the number belongs to one of these ranges, written like `+1900` (premium rate, satellite, a whole
    /// country).
    pub fn is_within<S: AsRef<str>>(&self, ranges: &[S]) -> bool {
        // An empty range is a mistake, and does not mean every number.
        ranges
            .iter()
            .map(AsRef::as_ref)
            .any(|range| range.len() > 1 && self.0.starts_with(range))
    }
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is not a phone number that the server can send to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhoneProblem {
    /// Something other than ASCII digits, spaces, `-`, `.`, parentheses and one `+` in front.
    #[error("the phone number has a character that is not allowed")]
    CharacterInvalid,
    /// Fewer than 8 or more than 15 digits.
    #[error("the phone number must have 8 to 15 digits")]
    LengthInvalid,
    /// Neither `+` nor `00` in front, or a country code that begins with 0.
    #[error("the phone number must begin with + and the country code")]
    NotInternational,
    /// A zero in parentheses, which is dialled only inside the country.
    #[error("the phone number must be written without (0)")]
    TrunkPrefix,
}

/// Shorter numbers with a country code exist only as service numbers.
const DIGITS_MIN: usize = 8;
/// ITU-T E.164 section 6.
const DIGITS_MAX: usize = 15;
/// Room for fifteen digits with separators around each.
const WRITTEN_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // REG-14
    #[test]
    fn numbers_are_stored_as_plus_and_digits() {
        for (text, number) in [
            ("+15551234567", "+15551234567"),
            ("+1 (555) 123-4567", "+15551234567"),
            ("(+1) 555.123.4567", "+15551234567"),
            ("001 555 123 4567", "+15551234567"),
            ("+49 30 901820", "+4930901820"),
            ("+39 06 698 83145", "+390669883145"),
            ("+12345678", "+12345678"),
            ("+123456789012345", "+123456789012345"),
        ] {
            assert_eq!(PhoneNumber::parse(text).unwrap().as_str(), number, "{text}");
        }
    }

    // REG-14, USR-07
    #[test]
    fn what_is_not_an_international_number_is_refused() {
        for (text, expected) in [
            ("", PhoneProblem::NotInternational),
            ("+", PhoneProblem::LengthInvalid),
            ("5551234567", PhoneProblem::NotInternational),
            ("0305551234", PhoneProblem::NotInternational),
            ("+0305551234", PhoneProblem::NotInternational),
            ("000305551234", PhoneProblem::NotInternational),
            ("+0015551234567", PhoneProblem::NotInternational),
            ("+1234567", PhoneProblem::LengthInvalid),
            ("+1234567890123456", PhoneProblem::LengthInvalid),
            (
                "+123456789012345678901234567890",
                PhoneProblem::LengthInvalid,
            ),
            ("+44 (0)20 7946 0958", PhoneProblem::TrunkPrefix),
            ("+1 800 FLOWERS", PhoneProblem::CharacterInvalid),
            ("+1 555 123 4567 ext 8", PhoneProblem::CharacterInvalid),
            ("tel:+15551234567", PhoneProblem::CharacterInvalid),
            ("++15551234567", PhoneProblem::CharacterInvalid),
            ("1+5551234567", PhoneProblem::CharacterInvalid),
            ("+15551234567,+15557654321", PhoneProblem::CharacterInvalid),
            ("+1555\n1234567", PhoneProblem::CharacterInvalid),
            ("+1555\u{0}1234567", PhoneProblem::CharacterInvalid),
            ("+1５551234567", PhoneProblem::CharacterInvalid),
            ("+1\u{a0}5551234567", PhoneProblem::CharacterInvalid),
        ] {
            assert_eq!(PhoneNumber::parse(text), Err(expected), "{text:?}");
        }
        assert_eq!(
            PhoneNumber::parse(&"+".repeat(1_000)),
            Err(PhoneProblem::LengthInvalid)
        );
    }

    // REG-14
    #[test]
    fn a_number_within_a_denied_range_is_recognised() {
        let premium = PhoneNumber::parse("+1 900 555 0100").unwrap();
        assert!(premium.is_within(&["+881", "+1900"]));
        assert!(!premium.is_within(&["+1901", "+900", "", "+"]));
        assert!(!premium.is_within::<&str>(&[]));
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_reads_back_as_itself(text in prop_oneof![any::<String>(), "[+0-9 ().-]{0,30}"]) {
            if let Ok(number) = PhoneNumber::parse(&text) {
                prop_assert!(number.as_str()[1..].bytes().all(|byte| byte.is_ascii_digit()));
                prop_assert!((9..=16).contains(&number.as_str().len()));
                prop_assert_eq!(PhoneNumber::parse(number.as_str()), Ok(number.clone()));
            }
        }
    }
}
