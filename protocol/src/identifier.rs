//! Record identifiers: fifteen case-sensitive characters, and a suffix of three that keeps them distinct when case
//! is lost.
//!
//! This file owns the form of an identifier: a prefix of three characters, which names the kind of record, twelve
//! letters and digits, and a suffix computed from the case of the other fifteen. The meaning of the prefixes and
//! the source of randomness belong to the server. Identifiers contain no colon, because some of them are the left
//! half of a Basic header.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Base 62, in counting order.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The letters of the suffix, one for each of 32 patterns of upper case in five characters.
const SUFFIX_ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

/// The text is not an identifier. The error contains nothing of the text, so that it can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidIdentifier;

impl fmt::Display for InvalidIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a record identifier of 15 or 18 characters")
    }
}

impl std::error::Error for InvalidIdentifier {}

/// The suffix of an identifier of fifteen characters: each letter encodes which of five characters
/// are upper case, the first of them in the lowest bit.
///
/// Characters after the fifteenth are ignored; missing ones count as not upper case.
pub fn checksum_suffix(short: &str) -> [u8; 3] {
    let mut suffix = [b'A'; 3];
    for (letter, group) in suffix.iter_mut().zip(short.as_bytes().chunks(5)) {
        let pattern = group.iter().enumerate().fold(0, |pattern, (bit, byte)| {
            pattern | usize::from(byte.is_ascii_uppercase()) << bit
        });
        *letter = SUFFIX_ALPHABET[pattern];
    }
    suffix
}

/// The eighteen characters of an identifier of fifteen or eighteen; `None` for an invalid one.
///
/// ```
/// use vestibule_protocol::identifier::to_18;
/// assert_eq!(to_18("00D000000000001").as_deref(), Some("00D000000000001EAA"));
/// assert_eq!(to_18("00D000000000001EAB"), None);
/// ```
pub fn to_18(text: &str) -> Option<String> {
    RecordId::parse(text)
        .ok()
        .map(|identifier| identifier.to_string())
}

/// An identifier of eighteen characters with a correct suffix.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId([u8; 18]);

impl RecordId {
    /// Parses an identifier of fifteen characters, which is extended, or of eighteen, whose suffix must be correct.
    ///
    /// # Refusals
    ///
    /// [`InvalidIdentifier`] for any other length, for characters other than ASCII letters and
    /// digits, and for a wrong suffix.
    pub fn parse(text: &str) -> Result<RecordId, InvalidIdentifier> {
        if !matches!(text.len(), 15 | 18) || !text.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(InvalidIdentifier);
        }
        let (short, suffix) = text.split_at(15);
        let right_suffix = checksum_suffix(short);
        if !suffix.is_empty() && suffix.as_bytes() != right_suffix {
            return Err(InvalidIdentifier);
        }
        let mut identifier = [0; 18];
        identifier[..15].copy_from_slice(short.as_bytes());
        identifier[15..].copy_from_slice(&right_suffix);
        Ok(RecordId(identifier))
    }

    /// A fresh identifier. `prefix` is three ASCII letters or digits and comes from the server's
    /// own constants; `random` is sixteen bytes of the caller's randomness.
    ///
    /// Read as one number of 128 bits, `random` gives twelve digits of base 62 (71 bits). The remainder differs
    /// from uniform by a 2^-56 part, which cannot be measured.
    ///
    /// # Panics
    ///
    /// When the prefix is not three ASCII letters or digits.
    pub fn from_random(prefix: &str, random: [u8; 16]) -> RecordId {
        assert!(
            prefix.len() == 3 && prefix.bytes().all(|b| b.is_ascii_alphanumeric()),
            "the prefix of an identifier is three letters or digits"
        );
        let mut number = u128::from_be_bytes(random);
        let mut short = [0; 15];
        short[..3].copy_from_slice(prefix.as_bytes());
        for digit in short[3..].iter_mut().rev() {
            *digit = ALPHABET[(number % 62) as usize];
            number /= 62;
        }
        let short = std::str::from_utf8(&short).expect("prefix and base 62 are ASCII");
        RecordId::parse(short).expect("fifteen letters and digits are an identifier")
    }

    /// The three characters that name the kind of record.
    pub fn prefix(&self) -> &str {
        &self.as_str()[..3]
    }

    /// The first fifteen characters, which are case-sensitive.
    pub fn short(&self) -> &str {
        &self.as_str()[..15]
    }

    /// All eighteen characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("an identifier is ASCII")
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordId({self})")
    }
}

impl AsRef<str> for RecordId {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl FromStr for RecordId {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        RecordId::parse(text)
    }
}

impl Serialize for RecordId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for RecordId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        RecordId::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fifteen_characters_are_extended_by_their_suffix() {
        for (short, long) in [
            ("00D000000000001", "00D000000000001EAA"),
            ("005000000000001", "005000000000001AAA"),
            ("0QtEk0000021uTd", "0QtEk0000021uTdKAI"),
        ] {
            assert_eq!(to_18(short).as_deref(), Some(long));
            assert_eq!(to_18(long).as_deref(), Some(long));
            let identifier = RecordId::parse(long).unwrap();
            assert_eq!(identifier.short(), short);
            assert_eq!(identifier.prefix(), &short[..3]);
            assert_eq!(identifier.to_string(), long);
        }
    }

    #[test]
    fn a_suffix_that_does_not_fit_the_case_is_refused() {
        for wrong in [
            "00D000000000001AAA",
            "00d000000000001EAA",
            "00D000000000001eaa",
            "00D000000000001EA",
            "00D000000000001EAAA",
            "00D00000000000",
            "00D00000000000:",
            "00D00000000000é",
            "",
        ] {
            assert_eq!(RecordId::parse(wrong), Err(InvalidIdentifier), "{wrong}");
        }
    }

    #[test]
    fn randomness_is_written_in_base_62() {
        assert_eq!(
            RecordId::from_random("0DB", [0; 16]).short(),
            "0DB000000000000"
        );
        let mut random = [0; 16];
        random[15] = 61;
        assert_eq!(
            RecordId::from_random("005", random).short(),
            "00500000000000z"
        );
        random[15] = 62;
        assert_eq!(
            RecordId::from_random("005", random).short(),
            "005000000000010"
        );
    }

    #[test]
    #[should_panic(expected = "three letters or digits")]
    fn a_prefix_with_a_colon_is_a_defect_of_the_server() {
        RecordId::from_random("0:0", [0; 16]);
    }

    #[test]
    fn an_identifier_is_a_string_to_serde() {
        let identifier = RecordId::parse("005000000000001").unwrap();
        let text = serde_json::to_string(&identifier).unwrap();
        assert_eq!(text, "\"005000000000001AAA\"");
        assert_eq!(serde_json::from_str::<RecordId>(&text).unwrap(), identifier);
        assert!(serde_json::from_str::<RecordId>("\"005000000000001AAB\"").is_err());
    }

    proptest! {
        #[test]
        fn a_generated_value_is_parsed_again(random in any::<[u8; 16]>()) {
            let identifier = RecordId::from_random("00D", random);
            prop_assert_eq!(RecordId::parse(identifier.as_str()), Ok(identifier));
            prop_assert_eq!(RecordId::parse(identifier.short()), Ok(identifier));
        }

        #[test]
        fn parsing_never_panics(text in any::<String>()) {
            let _ = RecordId::parse(&text);
            let _ = checksum_suffix(&text);
        }

        #[test]
        fn an_identifier_survives_the_loss_of_case(short in "[0-9A-Za-z]{15}", other in "[0-9A-Za-z]{15}") {
            // Two identifiers that differ only in case differ in their suffix.
            let (a, b) = (to_18(&short).unwrap(), to_18(&other).unwrap());
            if short != other {
                prop_assert_ne!(a.to_ascii_uppercase(), b.to_ascii_uppercase());
            }
            let flipped: String = short.chars().map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }).collect();
            if flipped != short {
                prop_assert_ne!(to_18(&short).unwrap().to_ascii_uppercase(), to_18(&flipped).unwrap().to_ascii_uppercase());
            }
        }
    }
}
