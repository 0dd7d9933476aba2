//! Record identifiers: fifteen characters that tell case apart, three more that survive its loss.
//!
//! This file owns the form of an identifier: three characters of prefix, which say the kind of
//! record, twelve characters of letters and digits, and a suffix computed from the case of the
//! other fifteen. Which prefix stands for which kind, and where randomness comes from, belongs to
//! the server. Identifiers hold no colon, because some of them stand left of one in a Basic header.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Base 62, in the order in which identifiers are counted up.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The letters of the suffix, one for each of 32 patterns of upper case in five characters.
const SUFFIX_ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

/// The text is not an identifier. It says nothing more, so that it can be shown.
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
/// Characters after the fifteenth are not looked at; missing ones count as not upper case.
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

/// The eighteen characters of an identifier given in fifteen or eighteen; nothing when it is not
/// one.
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

/// An identifier of eighteen characters whose suffix is right.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId([u8; 18]);

impl RecordId {
    /// Reads an identifier of fifteen characters, which is extended, or of eighteen, the suffix of
    /// which must be exact.
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
    /// Read as one number of 128 bits, `random` gives twelve digits of base 62 (71 bits). The
    /// remainder is a 2^-56 part away from uniform, which nobody can measure.
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

    /// The three characters that say the kind of record.
    pub fn prefix(&self) -> &str {
        &self.as_str()[..3]
    }

    /// The first fifteen characters, which tell upper from lower case.
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
