//! The `Authorization` header: a user's or a client's Basic credentials, or a bearer token.
//!
//! This file owns the decoding. At the authorization endpoint Basic carries an end user's credentials and the text
//! is taken literally ([`parse_user`]); at the token endpoint it carries a client's, which are form-encoded inside
//! ([`parse_client`]). Whether the credentials are right, and the response when both a header and a body carry
//! credentials, are left to the endpoints.
//!
//! Implements RFC 7617 section 2 (UTF-8, and ISO-8859-1 for what is not UTF-8), RFC 6749 section 2.3.1 and RFC 6750
//! section 2.1.
//! Wider than RFC 7617: the URL-safe alphabet and missing padding are accepted too, because mobile SDKs send them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use zeroize::Zeroize;

use crate::form::{self, holds_unprintable};
use crate::secret::Secret;

/// The two halves of a Basic header: username and password, identifier and one-time password, or client id and
/// client secret. They contain no control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasicCredentials {
    /// The text before the first colon; never empty.
    pub left: String,
    /// The text after it. It may be empty for a client only, which means that the client sent no secret.
    pub right: Secret,
}

/// Why a Basic header is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BasicError {
    /// One of the halves contains a control character. It is refused, never truncated.
    ControlCharacter,
    /// One of the halves that must be present is empty.
    Empty,
    /// No colon between the halves.
    NoColon,
    /// Not Base64 in one alphabet with complete or no padding.
    NotBase64,
    /// What is form-encoded inside is not UTF-8.
    NotUtf8,
    /// Longer than [`HEADER_BYTES_MAX`].
    TooLong,
}

/// Parses an end user's credentials; `None` when the header has another scheme.
///
/// ```
/// use vestibule_protocol::basic::parse_user;
/// let credentials = parse_user("Basic amFuaWNlQGV4YW1wbGUuY29tOnNlY3JldDE")?.unwrap();
/// assert_eq!(credentials.left, "janice@example.com");
/// assert_eq!(credentials.right.expose(), "secret1");
/// # Ok::<(), vestibule_protocol::basic::BasicError>(())
/// ```
///
/// # Refusals
/// Any [`BasicError`]; an empty half on either side is one.
///
/// Source: RFC 7617 section 2; Authorization Code and Credentials Flow.
pub fn parse_user(header_value: &str) -> Result<Option<BasicCredentials>, BasicError> {
    let Some(credentials) = parse(header_value)? else {
        return Ok(None);
    };
    if credentials.left.is_empty() || credentials.right.is_empty() {
        return Err(BasicError::Empty);
    }
    Ok(Some(credentials))
}

/// Parses a client's credentials; `None` when the header has another scheme. Both halves are form-decoded, and the
/// second may be empty.
///
/// # Refusals
/// Any [`BasicError`]; an empty client id is one.
///
/// Source: RFC 6749 section 2.3.1 and appendix B.
pub fn parse_client(header_value: &str) -> Result<Option<BasicCredentials>, BasicError> {
    let Some(credentials) = parse(header_value)? else {
        return Ok(None);
    };
    let left = form::decode(credentials.left.as_bytes()).ok_or(BasicError::NotUtf8)?;
    let right = form::decode(credentials.right.expose().as_bytes()).ok_or(BasicError::NotUtf8)?;
    if holds_unprintable(left.expose()) || holds_unprintable(right.expose()) {
        return Err(BasicError::ControlCharacter);
    }
    if left.is_empty() {
        return Err(BasicError::Empty);
    }
    Ok(Some(BasicCredentials {
        left: left.into_inner(),
        right,
    }))
}

/// Parses a bearer token; `None` when the header has another scheme or does not contain exactly one token. The scheme
/// is `Bearer`, or `OAuth`, which clients of the original send.
///
/// In addition to the characters of RFC 6750, `!` is accepted: the server's opaque tokens contain it.
///
/// Source: RFC 6750 section 2.1.
pub fn parse_bearer(header_value: &str) -> Option<Secret> {
    let token = TOKEN_SCHEMES
        .into_iter()
        .find_map(|scheme| parameter_of(scheme, header_value))?;
    let body = token.trim_end_matches('=');
    let is_token = !body.is_empty()
        && token.len() <= HEADER_BYTES_MAX
        && body.bytes().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'!')
        });
    is_token.then(|| Secret::from(token.to_owned()))
}

/// Whether the scheme of a header is one that an access token follows.
pub fn is_bearer_scheme(header_value: &str) -> bool {
    TOKEN_SCHEMES
        .into_iter()
        .any(|scheme| parameter_of(scheme, header_value).is_some())
}

fn parse(header_value: &str) -> Result<Option<BasicCredentials>, BasicError> {
    let Some(encoded) = parameter_of("Basic", header_value) else {
        return Ok(None);
    };
    if encoded.len() > HEADER_BYTES_MAX {
        return Err(BasicError::TooLong);
    }
    let decoded = decode_base64(encoded).ok_or(BasicError::NotBase64)?;
    let text = Secret::from(String::from_utf8(decoded).unwrap_or_else(|error| {
        // RFC 7617 section 2.1 leaves the charset open, and `btoa` of a browser writes one byte per character.
        let mut bytes = error.into_bytes();
        let text = bytes.iter().copied().map(char::from).collect();
        bytes.zeroize();
        text
    }));
    if holds_unprintable(text.expose()) {
        return Err(BasicError::ControlCharacter);
    }
    let (left, right) = text.expose().split_once(':').ok_or(BasicError::NoColon)?;
    Ok(Some(BasicCredentials {
        left: left.to_owned(),
        right: Secret::from(right.to_owned()),
    }))
}

/// The text after the scheme, if the scheme is the given one. Scheme names are case-insensitive, and one or more
/// spaces follow them (RFC 9110 section 11.4).
fn parameter_of<'a>(scheme: &str, header_value: &'a str) -> Option<&'a str> {
    let end = header_value.find([' ', '\t']).unwrap_or(header_value.len());
    let (word, rest) = header_value.split_at(end);
    word.eq_ignore_ascii_case(scheme)
        .then(|| rest.trim_start_matches(' '))
}

/// Decodes Base64 of either alphabet. Padding is complete or absent. Both alphabets in one text and unused bits
/// that are set are refused: no encoder produces them.
fn decode_base64(encoded: &str) -> Option<Vec<u8>> {
    let engine = match (encoded.contains(['-', '_']), encoded.ends_with('=')) {
        (false, true) => &STANDARD,
        (false, false) => &STANDARD_NO_PAD,
        (true, true) => &URL_SAFE,
        (true, false) => &URL_SAFE_NO_PAD,
    };
    engine.decode(encoded).ok()
}

impl fmt::Display for BasicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BasicError::ControlCharacter => "control character in the authorization header",
            BasicError::Empty => "empty half in the authorization header",
            BasicError::NoColon => "no colon in the authorization header",
            BasicError::NotBase64 => "authorization header is not base64",
            BasicError::NotUtf8 => "authorization header is not UTF-8",
            BasicError::TooLong => "authorization header too long",
        })
    }
}

impl std::error::Error for BasicError {}

/// The schemes of access tokens.
const TOKEN_SCHEMES: [&str; 2] = ["Bearer", "OAuth"];

/// The maximum length of the credentials after the scheme. It leaves room for a JWT with many claims; a password as
/// long as the body form allows would need a larger header anyway.
pub const HEADER_BYTES_MAX: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn user(text: &[u8]) -> Result<Option<BasicCredentials>, BasicError> {
        parse_user(&format!("Basic {}", STANDARD.encode(text)))
    }

    fn halves(credentials: Option<BasicCredentials>) -> (String, String) {
        let credentials = credentials.unwrap();
        (credentials.left, credentials.right.into_inner())
    }

    #[test]
    fn both_alphabets_give_the_same_password_with_its_colons() {
        // BASIC-01, BASIC-02, BASIC-05.
        for header in [
            "Basic amFuaWNlQGV4YW1wbGUuY29tOnBhOnNzPz5+w78=",
            "Basic amFuaWNlQGV4YW1wbGUuY29tOnBhOnNzPz5+w78",
            "Basic amFuaWNlQGV4YW1wbGUuY29tOnBhOnNzPz5-w78=",
            "Basic amFuaWNlQGV4YW1wbGUuY29tOnBhOnNzPz5-w78",
        ] {
            assert_eq!(
                halves(parse_user(header).unwrap()),
                ("janice@example.com".to_owned(), "pa:ss?>~ÿ".to_owned()),
                "{header}"
            );
        }
    }

    #[test]
    fn an_identifier_and_its_one_time_password_are_read() {
        assert_eq!(
            halves(parse_user("Basic TUZGMFJXc3dNREF3TURJeGRWUms6MTIzYWJj").unwrap()),
            ("MFF0RWswMDAwMDIxdVRk".to_owned(), "123abc".to_owned())
        );
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_read_as_latin_1() {
        // BASIC-03.
        let read = |bytes: &[u8]| halves(user(bytes).unwrap());
        assert_eq!(read(b"a:P\xE4ss\xFF"), ("a".into(), "Pässÿ".into()));
        assert_eq!(read(b"\xE4:b"), ("ä".into(), "b".into()));
        assert_eq!(read("ä:b".as_bytes()), ("ä".into(), "b".into()));
        // C1 controls are controls in both.
        assert_eq!(user(b"a:\x85"), Err(BasicError::ControlCharacter));
    }

    #[test]
    fn an_access_token_follows_two_schemes() {
        for header in ["Bearer a!b", "bearer a!b", "OAuth a!b", "oauth  a!b"] {
            assert_eq!(parse_bearer(header).unwrap().expose(), "a!b", "{header}");
            assert!(is_bearer_scheme(header));
        }
        for header in ["Basic a!b", "OAuth", "OAuth ?", "OAuth2 a!b", "a!b"] {
            assert_eq!(parse_bearer(header), None, "{header}");
        }
        assert!(is_bearer_scheme("OAuth ?") && !is_bearer_scheme("OAuth2 a"));
    }

    #[test]
    fn an_empty_half_or_no_colon_is_refused() {
        // BASIC-04.
        assert_eq!(user(b":b"), Err(BasicError::Empty));
        assert_eq!(user(b"a:"), Err(BasicError::Empty));
        assert_eq!(user(b":"), Err(BasicError::Empty));
        assert_eq!(user(b"ab"), Err(BasicError::NoColon));
        for scheme_only in ["Basic", "Basic ", "basic   "] {
            assert_eq!(parse_user(scheme_only), Err(BasicError::NoColon));
        }
    }

    #[test]
    fn text_that_is_not_base64_is_refused() {
        // BASIC-05: the text is `a:bc` with its padding doubled, moved, cut, or broken up.
        assert!(parse_user("Basic YTpiYw==").unwrap().is_some());
        for encoded in [
            "YTpiYw=",
            "YTpiYw===",
            "YTpiYw====",
            "YTpi=Yw=",
            "YTpi=Yw",
            "=YTpiYw",
            "YTpi Yw==",
            "YTpi\nYw==",
            "YTpiYw==\r\n",
            "YTpiYw== ",
            "\tYTpiYw==",
            "YTpiYx==",
            "YTpiYw==, Bearer x",
            "YTpi*w==",
            "+-_/YTpiYw==",
            "YTpié",
        ] {
            assert_eq!(
                parse_user(&format!("Basic {encoded}")),
                Err(BasicError::NotBase64),
                "{encoded:?}"
            );
        }
    }

    #[test]
    fn the_scheme_has_no_case() {
        // BASIC-06.
        for scheme in ["Basic", "basic", "BASIC", "bAsIc "] {
            assert!(parse_user(&format!("{scheme} YTpiYw==")).unwrap().is_some());
        }
        for other in [
            "Bearer YTpiYw==",
            "BasicYTpiYw==",
            "Basic,YTpiYw==",
            "",
            " ",
            "Digest",
        ] {
            assert_eq!(parse_user(other), Ok(None), "{other:?}");
        }
    }

    #[test]
    fn a_control_character_is_refused_and_nothing_is_cut_off() {
        // BASIC-07.
        for text in [&b"a:b\0c"[..], b"a\0:b", b"a:b\n", b"a:\x7F", b"\ra:b"] {
            assert_eq!(user(text), Err(BasicError::ControlCharacter), "{text:?}");
        }
    }

    #[test]
    fn a_long_header_is_refused_unread() {
        // BASIC-09.
        let encoded = "A".repeat(16 * 1024);
        assert_eq!(
            parse_user(&format!("Basic {encoded}")),
            Err(BasicError::TooLong)
        );
        assert_eq!(parse_bearer(&format!("Bearer {encoded}")), None);
    }

    #[test]
    fn form_encoding_is_undone_for_a_client_and_never_for_a_user() {
        // BASIC-10.
        let header = format!("Basic {}", STANDARD.encode("a%3Ab+c:d%2Be"));
        assert_eq!(
            halves(parse_user(&header).unwrap()),
            ("a%3Ab+c".to_owned(), "d%2Be".to_owned())
        );
        assert_eq!(
            halves(parse_client(&header).unwrap()),
            ("a:b c".to_owned(), "d+e".to_owned())
        );
        let hidden = format!("Basic {}", STANDARD.encode("a:b%00"));
        assert_eq!(parse_client(&hidden), Err(BasicError::ControlCharacter));
        let broken = format!("Basic {}", STANDARD.encode("a:%FF"));
        assert_eq!(parse_client(&broken), Err(BasicError::NotUtf8));
    }

    #[test]
    fn a_one_time_password_with_a_colon_is_not_split() {
        // BASIC-11: the password is then simply wrong.
        assert_eq!(
            halves(user(b"0RX1:12:34").unwrap()),
            ("0RX1".to_owned(), "12:34".to_owned())
        );
    }

    #[test]
    fn the_rfc_client_is_read_and_a_client_may_have_no_secret() {
        // RFC 6749 section 2.3.1.
        assert_eq!(
            halves(parse_client("Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3").unwrap()),
            ("s6BhdRkqt3".to_owned(), "7Fjfp0ZBr1KtDRbnfVdmIw".to_owned())
        );
        let header = format!("Basic {}", STANDARD.encode("s6BhdRkqt3:"));
        assert!(parse_client(&header).unwrap().unwrap().right.is_empty());
        let header = format!("Basic {}", STANDARD.encode(":secret"));
        assert_eq!(parse_client(&header), Err(BasicError::Empty));
    }

    #[test]
    fn a_bearer_token_is_one_word() {
        let token = |text| parse_bearer(text).map(Secret::into_inner);
        // RFC 6750 section 2.1, and an opaque token of this server.
        assert_eq!(
            token("Bearer mF_9.B5f-4.1JqM").as_deref(),
            Some("mF_9.B5f-4.1JqM")
        );
        assert_eq!(
            token("bearer  00D000000000001!AQEAQx=").as_deref(),
            Some("00D000000000001!AQEAQx=")
        );
        for header in [
            "Bearer",
            "Bearer ",
            "Bearer =",
            "Bearer a b",
            "Bearer a, Basic b",
            "Bearer a=b",
            "Bearer \"a\"",
            "Bearer é",
            "Basic YTpiYw==",
        ] {
            assert_eq!(token(header), None, "{header:?}");
        }
    }

    #[test]
    fn a_password_is_never_printed() {
        let credentials = user(b"a:hunter2").unwrap();
        assert!(!format!("{credentials:?}").contains("hunter2"));
        assert!(!BasicError::NotUtf8.to_string().is_empty());
    }

    proptest! {
        #[test]
        fn what_a_client_writes_is_read_back(left in "[^:\\pC]{1,20}", right in "\\PC{1,20}") {
            prop_assume!(!holds_unprintable(&left) && !holds_unprintable(&right));
            for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
                let header = format!("Basic {}", engine.encode(format!("{left}:{right}")));
                prop_assert_eq!(
                    halves(parse_user(&header).unwrap()),
                    (left.clone(), right.clone())
                );
            }
        }
    }
}
