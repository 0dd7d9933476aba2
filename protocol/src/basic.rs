//! The `Authorization` header: a user's or a client's Basic credentials, or a bearer token.
//!
//! Owns the decoding. At the authorization endpoint Basic carries an end user's credentials and the
//! text is taken literally ([`parse_user`]); at the token endpoint it carries a client's, which are
//! form-encoded inside ([`parse_client`]). Whether they are right, and what is answered when both a
//! header and a body carry credentials, is left to the endpoints.
//!
//! Carries out RFC 7617 section 2 (with UTF-8 as the only charset), RFC 6749 section 2.3.1 and
//! RFC 6750 section 2.1. Wider than RFC 7617: the URL-safe alphabet and absent padding are taken as
//! well, because mobile SDKs send them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use zeroize::Zeroize;

use crate::form::{self, holds_unprintable};
use crate::secret::Secret;

/// The two halves of a Basic header: username and password, identifier and one-time password, or
/// client id and client secret. Free of control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasicCredentials {
    /// What stands before the first colon; never empty.
    pub left: String,
    /// What stands behind it. Only a client's may be empty, which says that it sent no secret.
    pub right: Secret,
}

/// Why a Basic header is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BasicError {
    /// One of the halves holds a control character; nothing is ever cut off there.
    ControlCharacter,
    /// One of the halves that must be present is empty.
    Empty,
    /// No colon between the halves.
    NoColon,
    /// Not Base64 in one alphabet with whole or no padding.
    NotBase64,
    /// The decoded bytes are not UTF-8.
    NotUtf8,
    /// Longer than [`HEADER_BYTES_MAX`].
    TooLong,
}

/// Reads an end user's credentials; nothing when the header is of another scheme.
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

/// Reads a client's credentials; nothing when the header is of another scheme. Both halves are
/// form-decoded, and the second may be empty.
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

/// Reads a bearer token; nothing when the header is of another scheme or holds no single token.
///
/// Next to the characters of RFC 6750 a `!` is taken, which stands in opaque tokens.
///
/// Source: RFC 6750 section 2.1.
pub fn parse_bearer(header_value: &str) -> Option<Secret> {
    let token = parameter_of("Bearer", header_value)?;
    let body = token.trim_end_matches('=');
    let is_token = !body.is_empty()
        && token.len() <= HEADER_BYTES_MAX
        && body.bytes().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'!')
        });
    is_token.then(|| Secret::from(token.to_owned()))
}

fn parse(header_value: &str) -> Result<Option<BasicCredentials>, BasicError> {
    let Some(encoded) = parameter_of("Basic", header_value) else {
        return Ok(None);
    };
    if encoded.len() > HEADER_BYTES_MAX {
        return Err(BasicError::TooLong);
    }
    let decoded = decode_base64(encoded).ok_or(BasicError::NotBase64)?;
    let text = Secret::from(String::from_utf8(decoded).map_err(|error| {
        error.into_bytes().zeroize();
        BasicError::NotUtf8
    })?);
    if holds_unprintable(text.expose()) {
        return Err(BasicError::ControlCharacter);
    }
    let (left, right) = text.expose().split_once(':').ok_or(BasicError::NoColon)?;
    Ok(Some(BasicCredentials {
        left: left.to_owned(),
        right: Secret::from(right.to_owned()),
    }))
}

/// What follows the scheme, when the scheme is this one. Scheme words have no case, and one blank
/// or more separates them (RFC 9110 section 11.4).
fn parameter_of<'a>(scheme: &str, header_value: &'a str) -> Option<&'a str> {
    let end = header_value.find([' ', '\t']).unwrap_or(header_value.len());
    let (word, rest) = header_value.split_at(end);
    word.eq_ignore_ascii_case(scheme)
        .then(|| rest.trim_start_matches(' '))
}

/// Decodes Base64 of either alphabet. Padding is whole or absent, both alphabets in one text are
/// refused, and so are bits that would be thrown away: no encoder writes any of these.
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

/// The most characters behind the scheme word. Room for a JWT with many claims; a password as long
/// as the body form allows would need another header anyway.
pub const HEADER_BYTES_MAX: usize = 8 * 1024;
