//! Forms: the parameters of a query string and of a form body, as one set.
//!
//! Owns the lenient decoder that real clients need: mobile SDKs join `name=value` without encoding
//! anything, and samples are pasted with their line breaks. What a parameter means is left to
//! `authorization` and `token`; how long a body may be is left to the listener, which stops reading.
//!
//! Carries out RFC 6749 section 3.1 and 3.2 (a parameter without a value is absent, none is sent
//! twice) over the `application/x-www-form-urlencoded` parser of the URL Standard. It differs from
//! RFC 6749 in one point: the same value sent twice is accepted, because clients repeat parameters
//! in the query and in the body. Two different values are never resolved by picking one.

use std::fmt;

use crate::secret::Secret;

/// The parameters of one request, each name once, in the order of their first appearance.
///
/// Values may be passwords or codes, so `Debug` shows names only.
///
/// ```
/// use vestibule_protocol::form::Parameters;
/// let parameters = Parameters::parse(
///     Some("response_type=code_credentials"),
///     b"redirect_uri=https://site.example.com/services/oauth2/echo&\nscope=openid%20api&state=",
/// )?;
/// assert_eq!(parameters.get("redirect_uri"), Some("https://site.example.com/services/oauth2/echo"));
/// assert_eq!(parameters.get("scope"), Some("openid api"));
/// assert_eq!(parameters.get("state"), None);
/// # Ok::<(), vestibule_protocol::form::FormError>(())
/// ```
#[derive(Clone, Default)]
pub struct Parameters {
    entries: Vec<Entry>,
}

#[derive(Clone)]
struct Entry {
    name: String,
    value: Secret,
    came_in_query: bool,
}

/// Why a form is not taken. A parameter's name appears only when it is plain text; values never do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormError {
    /// A control character or a Unicode noncharacter in the value (or the name) of this parameter.
    ControlCharacter(String),
    /// This parameter came twice, with different values.
    Duplicate(String),
    /// The percent-decoded text is not UTF-8.
    NotUtf8,
    /// More than [`PARAMETERS_MAX`] parameters.
    TooMany,
}

impl Parameters {
    /// Reads the query string (without its `?`) and the form body as one set of parameters.
    ///
    /// Both are split at `&` and then at the first `=`. Line breaks and blanks around a name, and
    /// line breaks behind a value, are dropped before decoding. `+` is a blank; a `%` that is not
    /// followed by two hexadecimal digits stays as it is, as the URL Standard has it, so that a
    /// client that encodes nothing may still send one. A piece without a name or without a value
    /// counts as absent.
    ///
    /// # Refusals
    /// Any [`FormError`].
    ///
    /// Source: RFC 6749 sections 3.1, 3.2 and appendix B; URL Standard section 5.1.
    pub fn parse(query: Option<&str>, body: &[u8]) -> Result<Parameters, FormError> {
        let mut parameters = Parameters::default();
        let mut seen = 0;
        let places = [(query.unwrap_or("").as_bytes(), true), (body, false)];
        for (text, came_in_query) in places {
            for piece in text.split(|byte| *byte == b'&').map(trim_both) {
                if piece.is_empty() {
                    continue;
                }
                seen += 1;
                if seen > PARAMETERS_MAX {
                    return Err(FormError::TooMany);
                }
                let (name, value) = decode_piece(piece)?;
                if !name.is_empty() && !value.is_empty() {
                    parameters.add(name, value, came_in_query)?;
                }
            }
        }
        Ok(parameters)
    }

    /// The value of a parameter; absent when it was sent without one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.entry(name).map(|entry| entry.value.expose())
    }

    /// Whether a parameter stood in the query string, and thus in every log on the way here.
    pub fn came_in_query(&self, name: &str) -> bool {
        self.entry(name).is_some_and(|entry| entry.came_in_query)
    }

    /// Moves a value out; the parameter is absent afterwards.
    pub fn take(&mut self, name: &str) -> Option<String> {
        self.take_secret(name).map(Secret::into_inner)
    }

    /// Moves a value out, guarded; the parameter is absent afterwards.
    pub fn take_secret(&mut self, name: &str) -> Option<Secret> {
        let position = self.entries.iter().position(|entry| entry.name == name)?;
        Some(self.entries.remove(position).value)
    }

    /// All names and values, in the order of their first appearance.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries
            .iter()
            .map(|entry| (entry.name.as_str(), entry.value.expose()))
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    fn add(&mut self, name: String, value: Secret, came_in_query: bool) -> Result<(), FormError> {
        match self.entries.iter_mut().find(|entry| entry.name == name) {
            Some(entry) if entry.value == value => entry.came_in_query |= came_in_query,
            Some(entry) => return Err(FormError::Duplicate(public_name(&entry.name))),
            None => self.entries.push(Entry {
                name,
                value,
                came_in_query,
            }),
        }
        Ok(())
    }
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.entries.iter().map(|entry| &entry.name))
            .finish()
    }
}

impl fmt::Display for FormError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FormError::ControlCharacter(name) => {
                write!(f, "control character in parameter {name}")
            }
            FormError::Duplicate(name) => write!(f, "parameter {name} sent more than once"),
            FormError::NotUtf8 => f.write_str("parameters are not UTF-8"),
            FormError::TooMany => f.write_str("too many parameters"),
        }
    }
}

impl std::error::Error for FormError {}

fn decode_piece(piece: &[u8]) -> Result<(String, Secret), FormError> {
    let (name, value) = match piece.iter().position(|byte| *byte == b'=') {
        Some(at) => (&piece[..at], &piece[at + 1..]),
        None => (piece, &b""[..]),
    };
    let name = decode(trim_both(name)).ok_or(FormError::NotUtf8)?;
    let name = name.into_inner();
    let value = decode(trim_line_end(value)).ok_or(FormError::NotUtf8)?;
    if holds_unprintable(&name) || holds_unprintable(value.expose()) {
        return Err(FormError::ControlCharacter(public_name(&name)));
    }
    Ok((name, value))
}

/// Decodes one name or value: `+` to a blank, then `%XX`. Nothing when the result is not UTF-8.
pub(crate) fn decode(text: &[u8]) -> Option<Secret> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        let (byte, used) = match (first, behind) {
            (b'+', _) => (b' ', 1),
            (b'%', [high, low, ..]) => match (hex_digit(*high), hex_digit(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, 3),
                _ => (b'%', 1),
            },
            (byte, _) => (*byte, 1),
        };
        decoded.push(byte);
        rest = &rest[used..];
    }
    String::from_utf8(decoded).ok().map(Secret::from)
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

fn trim_both(text: &[u8]) -> &[u8] {
    let start = text
        .iter()
        .position(|byte| !matches!(byte, b'\r' | b'\n' | b' '))
        .unwrap_or(text.len());
    let text = &text[start..];
    let end = text
        .iter()
        .rposition(|byte| !matches!(byte, b'\r' | b'\n' | b' '))
        .map_or(0, |at| at + 1);
    &text[..end]
}

fn trim_line_end(text: &[u8]) -> &[u8] {
    let end = text
        .iter()
        .rposition(|byte| !matches!(byte, b'\r' | b'\n'))
        .map_or(0, |at| at + 1);
    &text[..end]
}

/// Whether a text holds a control character (which could end a header line, or a string in another
/// program) or a code point that Unicode reserves for nobody.
pub(crate) fn holds_unprintable(text: &str) -> bool {
    text.chars()
        .any(|character| character.is_control() || is_noncharacter(character))
}

/// Whether Unicode reserves this code point for internal use: U+FDD0 to U+FDEF, and the last two of
/// each plane.
pub(crate) fn is_noncharacter(character: char) -> bool {
    let code_point = u32::from(character);
    (0xFDD0..=0xFDEF).contains(&code_point) || code_point & 0xFFFE == 0xFFFE
}

/// A name as it may stand in an error description: what is not a plain word was not one of our
/// parameters, and is not repeated to anybody.
pub(crate) fn public_name(name: &str) -> String {
    let is_plain = name.len() <= NAME_BYTES_SHOWN_MAX
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    if is_plain && !name.is_empty() {
        name.to_owned()
    } else {
        "(unknown)".to_owned()
    }
}

/// How many parameters one request may carry; the longest documented request has fewer than twenty.
pub const PARAMETERS_MAX: usize = 64;
/// No documented parameter has a longer name than this.
const NAME_BYTES_SHOWN_MAX: usize = 40;
