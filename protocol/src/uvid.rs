//! Unique visitor ids: how an app identifies a visitor before login.
//!
//! This file owns the form of a UVID and the ways in which a request names one: directly, or by the access token of
//! an earlier guest. Whether such a token is valid is left to the server.
//!
//! Source: Headless Guest Flow, and the registration and passwordless pages for named users; RFC 9562
//! for the form of a UUID.

use std::fmt;
use std::str::FromStr;

use crate::secret::Secret;

/// A hint that names no visitor. The error contains nothing of the hint, so that it can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidUvid;

/// A unique visitor id: a UUID of version 4 that the app generated, here in lower case (RFC 9562 section 4 writes
/// them so, and reads both).
///
/// ```
/// use vestibule_protocol::uvid::Uvid;
/// let uvid: Uvid = "6F9619FF-8B86-4D01-B42D-00CF4FC964FF".parse()?;
/// assert_eq!(uvid.as_str(), "6f9619ff-8b86-4d01-b42d-00cf4fc964ff");
/// assert!("6f9619ff-8b86-1d01-b42d-00cf4fc964ff".parse::<Uvid>().is_err(), "version 1");
/// # Ok::<(), vestibule_protocol::uvid::InvalidUvid>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uvid(String);

impl Uvid {
    /// The id made of 16 random bytes.
    pub fn from_random(mut bytes: [u8; 16]) -> Uvid {
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let mut text = String::with_capacity(36);
        for (position, byte) in bytes.iter().enumerate() {
            if matches!(position, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            text.push_str(&format!("{byte:02x}"));
        }
        Uvid(text)
    }

    /// The id as text, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Uvid {
    type Err = InvalidUvid;

    /// Parses 8-4-4-4-12 hexadecimal digits, of version 4 and the variant of RFC 9562.
    ///
    /// # Refusals
    /// [`InvalidUvid`].
    fn from_str(text: &str) -> Result<Uvid, InvalidUvid> {
        let is_uuid = text.len() == 36
            && text
                .bytes()
                .enumerate()
                .all(|(position, byte)| match position {
                    8 | 13 | 18 | 23 => byte == b'-',
                    14 => byte == b'4',
                    19 => matches!(byte.to_ascii_lowercase(), b'8' | b'9' | b'a' | b'b'),
                    _ => byte.is_ascii_hexdigit(),
                });
        match is_uuid {
            true => Ok(Uvid(text.to_ascii_lowercase())),
            false => Err(InvalidUvid),
        }
    }
}

/// How a request names a visitor: the value of the header `Uvid-Hint` or of the parameter `uvid_hint`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UvidHint {
    /// By the access token that the visitor received as a guest.
    Token(Secret),
    /// By the id.
    Uvid(Uvid),
}

impl UvidHint {
    /// Parses a hint. The guest flow writes `UVID ` or `JWT ` and the value, the others write the value alone; each
    /// form is accepted everywhere, the prefix in any case.
    ///
    /// ```
    /// use vestibule_protocol::uvid::UvidHint;
    /// let plain = UvidHint::parse("6f9619ff-8b86-4d01-b42d-00cf4fc964ff")?;
    /// assert_eq!(plain, UvidHint::parse("UVID 6f9619ff-8b86-4d01-b42d-00cf4fc964ff")?);
    /// assert_eq!(UvidHint::parse("JWT e30.e30.c2ln")?, UvidHint::parse("e30.e30.c2ln")?);
    /// assert!(UvidHint::parse("UVID e30.e30.c2ln").is_err());
    /// # Ok::<(), vestibule_protocol::uvid::InvalidUvid>(())
    /// ```
    ///
    /// # Refusals
    /// [`InvalidUvid`] for anything else, or a text longer than [`HINT_BYTES_MAX`].
    pub fn parse(text: &str) -> Result<UvidHint, InvalidUvid> {
        if text.len() > HINT_BYTES_MAX {
            return Err(InvalidUvid);
        }
        let (prefix, value) = text.split_once(' ').unwrap_or(("", text));
        let may_be = |kind: &str| prefix.is_empty() || prefix.eq_ignore_ascii_case(kind);
        match value.parse() {
            Ok(uvid) if may_be("UVID") => Ok(UvidHint::Uvid(uvid)),
            Err(InvalidUvid) if may_be("JWT") && is_compact_jws(value) => {
                Ok(UvidHint::Token(Secret::from(value.to_owned())))
            }
            _ => Err(InvalidUvid),
        }
    }
}

/// Three parts of base64url, none of them empty (RFC 7515 section 7.1).
fn is_compact_jws(text: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    text.split('.').count() == 3 && text.split('.').all(is_part)
}

impl fmt::Display for InvalidUvid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid uvid_hint")
    }
}

impl std::error::Error for InvalidUvid {}

/// The maximum length of a hint in bytes: several times the length of a token of this server.
pub const HINT_BYTES_MAX: usize = 8_192;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UUID: &str = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff";

    #[test]
    fn a_hint_is_an_id_or_a_token_with_or_without_its_prefix() {
        let id = || UvidHint::Uvid(UUID.parse().unwrap());
        let token = || UvidHint::Token(Secret::from(String::from("a.b-_.c")));
        for (text, hint) in [
            (UUID.to_owned(), id()),
            (UUID.to_uppercase(), id()),
            (format!("UVID {UUID}"), id()),
            (format!("uvid {UUID}"), id()),
            ("a.b-_.c".to_owned(), token()),
            ("JWT a.b-_.c".to_owned(), token()),
        ] {
            assert_eq!(UvidHint::parse(&text), Ok(hint), "{text}");
        }
    }

    #[test]
    fn jwt_17_18_what_is_neither_is_no_hint() {
        for text in [
            String::new(),
            String::from(" "),
            format!("UVID  {UUID}"),
            format!("UVID{UUID}"),
            format!("JWT {UUID}"),
            format!("{{{UUID}}}"),
            UUID.replace('-', ""),
            UUID.replace("-4d", "-1d"),
            UUID.replace("-b4", "-c4"),
            UUID.replace('f', "g"),
            UUID.replace("6f", "é"),
            String::from("UVID a.b.c"),
            String::from("Bearer a.b.c"),
            String::from("a.b."),
            String::from("a.b"),
            String::from("a.b.c.d"),
            String::from("a.b=.c"),
            String::from("JWT JWT a.b.c"),
            String::from("00D000000000001!AQEAQx"),
            format!("{}.b.c", "a".repeat(20_000)),
        ] {
            assert_eq!(UvidHint::parse(&text), Err(InvalidUvid), "{text}");
        }
    }

    #[test]
    fn debug_does_not_show_a_token() {
        let hint = UvidHint::parse("JWT aaa.bbb.ccc").unwrap();
        assert!(!format!("{hint:?}").contains("bbb"));
    }

    proptest! {
        #[test]
        fn every_sixteen_bytes_make_an_id(bytes: [u8; 16]) {
            let uvid = Uvid::from_random(bytes);
            prop_assert_eq!(uvid.as_str().parse::<Uvid>(), Ok(uvid.clone()));
        }

        #[test]
        fn what_is_read_reads_again(text in "\\PC{0,60}|(UVID |JWT )?[0-9a-f.-]{0,40}") {
            if let Ok(UvidHint::Uvid(uvid)) = UvidHint::parse(&text) {
                prop_assert_eq!(UvidHint::parse(uvid.as_str()), Ok(UvidHint::Uvid(uvid)));
            }
        }
    }
}
