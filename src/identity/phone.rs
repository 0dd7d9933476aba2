//! Phone numbers in E.164.
//!
//! This file owns the one form in which a number is stored, compared and given to a gateway: `+`, country code,
//! subscriber, digits only. Verifying that the user reads the messages is left to `verification`, sending them to
//! `delivery`, and the ranges that are never sent to, to the site's settings.
//!
//! What people write is read with the metadata of libphonenumber, which knows each country's trunk prefix: the zero of
//! `+49 0151 …` is not part of the number, that of `+39 06 …` is. Whether a number is assigned is not checked: numbering
//! plans change faster than software, and a number is verified by the one-time password that is sent to it.
//!
//! Follows ITU-T E.164: at most 15 digits, of which the country code never begins with 0.

use std::fmt;

use phonenumber::metadata::DATABASE;
use phonenumber::{Mode, country};
use vestibule_protocol::characters::{ascii_digit, is_separator, trimmed};

/// A number in E.164: `+` and 7 to 15 digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PhoneNumber(String);

impl PhoneNumber {
    /// Parses an international number as people write it. Digits of any script count; whitespace, dashes, dots, slashes,
    /// parentheses and invisible characters are dropped; a leading `00` means `+`; the trunk prefix of the country is
    /// removed.
    ///
    /// # Refusals
    /// Any [`PhoneProblem`]. A national number is refused because guessing the country would send codes to other
    /// people's phones.
    ///
    /// Source: ITU-T E.164 section 6.
    pub fn parse(text: &str) -> Result<PhoneNumber, PhoneProblem> {
        match WrittenNumber::read(text)? {
            WrittenNumber::International(digits) => PhoneNumber::of_digits(&digits),
            WrittenNumber::National(_) => Err(PhoneProblem::NotInternational),
        }
    }

    /// Parses a number as people of one country write it: in the national form, or as an international number.
    /// `country_code` is the calling code of that country, such as `+49`.
    ///
    /// # Refusals
    /// Any [`PhoneProblem`].
    pub fn parse_in(text: &str, country_code: &str) -> Result<PhoneNumber, PhoneProblem> {
        let digits = match WrittenNumber::read(text)? {
            WrittenNumber::International(digits) => return PhoneNumber::of_digits(&digits),
            WrittenNumber::National(digits) => digits,
        };
        let code = country_code.trim_start_matches('+').parse::<u16>().ok();
        let region = code.and_then(|code| DATABASE.region(&code)?.first().copied());
        let region = region.and_then(|region| region.parse::<country::Id>().ok());
        let number = phonenumber::parse(Some(region.ok_or(PhoneProblem::CountryUnknown)?), &digits);
        let number = number.map_err(|_| PhoneProblem::LengthInvalid)?;
        let text = number.format().mode(Mode::E164).to_string();
        PhoneNumber::of_digits(text.trim_start_matches('+'))
    }

    /// The number with these digits, country code first.
    fn of_digits(digits: &str) -> Result<PhoneNumber, PhoneProblem> {
        if digits.starts_with('0') {
            return Err(PhoneProblem::NotInternational);
        }
        let mut number = format!("+{digits}");
        // A second zero behind the first is a trunk prefix, too: until nothing is removed any more.
        for _ in 0..TRUNK_PREFIXES_MAX {
            use phonenumber::ParseError;
            let parsed = phonenumber::parse(None, &number).map_err(|error| match error {
                ParseError::InvalidCountryCode => PhoneProblem::CountryUnknown,
                _ => PhoneProblem::LengthInvalid,
            })?;
            let text = parsed.format().mode(Mode::E164).to_string();
            let is_stable = text == number;
            number = text;
            if is_stable {
                break;
            }
        }
        if !(DIGITS_MIN..=DIGITS_MAX).contains(&(number.len() - 1)) {
            return Err(PhoneProblem::LengthInvalid);
        }
        Ok(PhoneNumber(number))
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

/// The digits of a number as it is written.
enum WrittenNumber {
    /// After `+` or `00`.
    International(String),
    /// Without a country code.
    National(String),
}

impl WrittenNumber {
    fn read(text: &str) -> Result<WrittenNumber, PhoneProblem> {
        if text.len() > WRITTEN_BYTES_MAX {
            return Err(PhoneProblem::LengthInvalid);
        }
        let is_begun =
            |c: char| ascii_digit(c).is_ascii_digit() || matches!(c, '+' | '\u{ff0b}' | '(');
        if trimmed(text).starts_with(|c| !is_begun(c)) {
            return Err(PhoneProblem::CharacterInvalid);
        }
        let mut digits = String::with_capacity(text.len());
        let mut has_plus = false;
        for c in text.chars() {
            match ascii_digit(c) {
                digit @ '0'..='9' => digits.push(digit),
                '+' | '\u{ff0b}' if digits.is_empty() && !has_plus => has_plus = true,
                '.' | '/' | '(' | ')' => {}
                c if is_separator(c) => {}
                _ => return Err(PhoneProblem::CharacterInvalid),
            }
        }
        if has_plus {
            return Ok(WrittenNumber::International(digits));
        }
        Ok(match digits.strip_prefix("00") {
            Some(digits) => WrittenNumber::International(digits.to_owned()),
            None => WrittenNumber::National(digits),
        })
    }
}

/// Why a text is not a phone number that the server can send to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhoneProblem {
    /// Something other than digits, separators and one `+` in front.
    #[error("the phone number has a character that is not allowed")]
    CharacterInvalid,
    /// No country has the code that the number begins with.
    #[error("the phone number begins with a country code that no country has")]
    CountryUnknown,
    /// Fewer than 7 or more than 15 digits.
    #[error("the phone number must have 7 to 15 digits")]
    LengthInvalid,
    /// Neither `+` nor `00` in front, or a country code that begins with 0.
    #[error("the phone number must begin with + and the country code")]
    NotInternational,
}

/// The shortest numbers with a country code have four digits after it (Niue).
const DIGITS_MIN: usize = 7;
/// ITU-T E.164 section 6.
const DIGITS_MAX: usize = 15;
/// Room for fifteen digits with separators around each, which may take three bytes.
const WRITTEN_BYTES_MAX: usize = 128;
/// A number with more of them is a mistake.
const TRUNK_PREFIXES_MAX: usize = 4;

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
            // The trunk prefix, which is dialled inside the country only, in each way that people write it.
            ("+49015143518319", "+4915143518319"),
            ("+49 0151 43518319", "+4915143518319"),
            ("+6104 1234 5678", "+61412345678"),
            ("+44 07911 123456", "+447911123456"),
            ("+44 (0)20 7946 0958", "+442079460958"),
            // A zero that belongs to the number.
            ("+39 (0)6 698 83145", "+390669883145"),
            ("+225 01 01 23 45 67", "+2250101234567"),
            ("+683 5432", "+6835432"),
            // From address books and other keyboards.
            ("+1\u{a0}555\u{2011}123 4567", "+15551234567"),
            ("\u{202a}+49 151/1234567\u{202c}", "+491511234567"),
            ("+1555\n1234567\n", "+15551234567"),
            ("+٤٩١٥١١٢٣٤٥٦٧", "+491511234567"),
            ("＋１５５５１２３４５６７", "+15551234567"),
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
            ("+123456", PhoneProblem::LengthInvalid),
            ("+999123456789", PhoneProblem::CountryUnknown),
            ("+1234567890123456", PhoneProblem::LengthInvalid),
            (
                "+123456789012345678901234567890",
                PhoneProblem::LengthInvalid,
            ),
            ("+1 800 FLOWERS", PhoneProblem::CharacterInvalid),
            ("+1 555 123 4567 ext 8", PhoneProblem::CharacterInvalid),
            ("tel:+15551234567", PhoneProblem::CharacterInvalid),
            ("++15551234567", PhoneProblem::CharacterInvalid),
            ("1+5551234567", PhoneProblem::CharacterInvalid),
            ("+15551234567,+15557654321", PhoneProblem::CharacterInvalid),
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
                prop_assert!((8..=16).contains(&number.as_str().len()));
                prop_assert_eq!(PhoneNumber::parse(number.as_str()), Ok(number.clone()));
            }
        }
    }
}
