//! Forms: the parameters of a query string and of a form body, as one set.
//!
//! This file owns the lenient decoder that real clients need: mobile SDKs join `name=value` without encoding
//! anything, and samples are pasted with their line breaks. The meaning of the parameters is left to
//! `authorization` and `token`; the maximum length of a body is left to the listener, which stops reading.
//!
//! Implements RFC 6749 section 3.1 and 3.2 (a parameter without a value is absent, none is sent twice) on top of
//! the `application/x-www-form-urlencoded` parser of the URL Standard. It differs from RFC 6749 in one point: the
//! same value sent twice is accepted, because clients repeat parameters in the query and in the body. Two different
//! values are always refused.

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
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    entries: Vec<Entry>,
}

#[derive(Clone, PartialEq, Eq)]
struct Entry {
    name: String,
    value: Secret,
    came_in_query: bool,
}

/// How a parameter is treated that is sent again with another value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeated {
    FirstStays,
    Refused,
}

/// Why a form is refused. A parameter's name is included only when it is plain text; values never are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormError {
    /// A control character or a Unicode noncharacter in the value (or the name) of this parameter.
    ControlCharacter(String),
    /// This parameter was sent twice, with different values.
    Duplicate(String),
    /// The percent-decoded text is not UTF-8.
    NotUtf8,
    /// More than [`PARAMETERS_MAX`] parameters.
    TooMany,
}

impl Parameters {
    /// Parses the query string (without its `?`) and the form body as one set of parameters.
    ///
    /// Both are split at `&` and then at the first `=`. Line breaks and spaces around a name, and a line break
    /// after a value, are dropped before decoding. `+` is a space; a `%` that is not followed by two hexadecimal
    /// digits stays as it is, as in the URL Standard, so that a client that encodes nothing may still send one. A
    /// piece without a name or without a value counts as absent.
    ///
    /// # Refusals
    /// Any [`FormError`].
    ///
    /// Source: RFC 6749 sections 3.1, 3.2 and appendix B; URL Standard section 5.1.
    pub fn parse(query: Option<&str>, body: &[u8]) -> Result<Parameters, FormError> {
        Parameters::read(query, body, Repeated::Refused)
    }

    /// Parses a query that decides nothing, such as the one that the echo endpoint returns. When a parameter is
    /// repeated, its first value is kept.
    ///
    /// # Refusals
    /// Any [`FormError`] except `Duplicate`.
    pub fn parse_first(query: &str) -> Result<Parameters, FormError> {
        Parameters::read(Some(query), b"", Repeated::FirstStays)
    }

    fn read(query: Option<&str>, body: &[u8], repeated: Repeated) -> Result<Parameters, FormError> {
        let mut parameters = Parameters::default();
        let mut seen = 0;
        let places = [(query.unwrap_or("").as_bytes(), true), (body, false)];
        for (text, came_in_query) in places {
            for piece in text.split(|byte| *byte == b'&') {
                if trim_both(piece).is_empty() {
                    continue;
                }
                seen += 1;
                if seen > PARAMETERS_MAX {
                    return Err(FormError::TooMany);
                }
                let (name, value) = decode_piece(piece)?;
                if !name.is_empty() && !value.is_empty() {
                    parameters.add(name, value, came_in_query, repeated)?;
                }
            }
        }
        Ok(parameters)
    }

    /// The value of a parameter; absent when it was sent without one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.entry(name).map(|entry| entry.value.expose())
    }

    /// Whether a parameter was in the query string, and therefore in the logs of every proxy.
    pub fn came_in_query(&self, name: &str) -> bool {
        self.entry(name).is_some_and(|entry| entry.came_in_query)
    }

    /// Removes and returns a value; the parameter is absent afterwards.
    pub fn take(&mut self, name: &str) -> Option<String> {
        self.take_secret(name).map(Secret::into_inner)
    }

    /// Removes and returns a value as a [`Secret`]; the parameter is absent afterwards.
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

    fn add(
        &mut self,
        name: String,
        value: Secret,
        came_in_query: bool,
        repeated: Repeated,
    ) -> Result<(), FormError> {
        match self.entries.iter_mut().find(|entry| entry.name == name) {
            Some(entry) if entry.value == value => entry.came_in_query |= came_in_query,
            Some(_) if repeated == Repeated::FirstStays => {}
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

/// Decodes one name or value: `+` to a space, then `%XX`. `None` when the result is not UTF-8.
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

/// Drops the line break after a value and the indentation of the next line. Spaces without a line break belong to
/// the value, which may be a password.
fn trim_line_end(text: &[u8]) -> &[u8] {
    let blanks_start = text
        .iter()
        .rposition(|byte| !matches!(byte, b'\r' | b'\n' | b' '))
        .map_or(0, |at| at + 1);
    let end = text[blanks_start..]
        .iter()
        .position(|byte| *byte != b' ')
        .map_or(text.len(), |at| blanks_start + at);
    &text[..end]
}

/// Whether a text contains a control character (which could end a header line, or a string in another program) or a
/// code point that Unicode reserves for internal use.
pub fn holds_unprintable(text: &str) -> bool {
    text.chars()
        .any(|character| character.is_control() || is_noncharacter(character))
}

/// Whether Unicode reserves this code point for internal use: U+FDD0 to U+FDEF, and the last two of
/// each plane.
pub(crate) fn is_noncharacter(character: char) -> bool {
    let code_point = u32::from(character);
    (0xFDD0..=0xFDEF).contains(&code_point) || code_point & 0xFFFE == 0xFFFE
}

/// A parameter name for use in an error description. A name that is not a plain word is not one of the documented
/// parameters and is not repeated.
pub fn public_name(name: &str) -> String {
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

/// The maximum number of parameters in one request; the longest documented request has fewer than twenty.
pub const PARAMETERS_MAX: usize = 64;
/// No documented parameter has a longer name than this.
const NAME_BYTES_SHOWN_MAX: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn body(text: &str) -> Result<Parameters, FormError> {
        Parameters::parse(None, text.as_bytes())
    }

    #[test]
    fn an_unencoded_body_is_parsed() {
        // Mobile SDKs join name and value with `=` and `&` and encode nothing.
        let parameters =
            body("response_type=code_credentials&redirect_uri=https://x.example/y?z=1").unwrap();
        assert_eq!(
            parameters.get("redirect_uri"),
            Some("https://x.example/y?z=1")
        );
    }

    #[test]
    fn a_body_pasted_from_the_documentation_is_read() {
        let parameters = body(
            "response_type=code_credentials&\r\nclient_id=3MVG9example&\n \
             redirect_uri=https%3A%2F%2Fsite.example.com%2Fcallback&\n    scope=openid+api\r\n",
        )
        .unwrap();
        assert_eq!(parameters.get("client_id"), Some("3MVG9example"));
        assert_eq!(
            parameters.get("redirect_uri"),
            Some("https://site.example.com/callback")
        );
        assert_eq!(parameters.get("scope"), Some("openid api"));
    }

    #[test]
    fn blanks_of_a_value_are_kept_unless_a_line_ends_there() {
        let parameters = body("password= a  &code=b\r\n    &x=c \n \n").unwrap();
        let values: Vec<_> = parameters.iter().map(|(_, value)| value).collect();
        assert_eq!(values, [" a  ", "b", "c "]);
    }

    #[test]
    fn the_rfc_example_is_read() {
        // RFC 6749 appendix B.
        let parameters = body("a=+%25%26%2B%C2%A3%E2%82%AC").unwrap();
        assert_eq!(parameters.get("a"), Some(" %&+£€"));
    }

    #[test]
    fn a_percent_sign_before_anything_but_two_digits_is_itself() {
        let parameters = body("a=50%&b=%zz&c=%4&d=%%34&e=%41").unwrap();
        let values: Vec<_> = parameters.iter().map(|(_, value)| value).collect();
        assert_eq!(values, ["50%", "%zz", "%4", "%4", "A"]);
    }

    #[test]
    fn a_parameter_without_a_value_is_absent() {
        // RFC 6749 section 3.1.
        let parameters = body("state=&scope&&=x&state=later").unwrap();
        assert_eq!(parameters.get("scope"), None);
        assert_eq!(parameters.get("state"), Some("later"));
        assert_eq!(parameters.iter().count(), 1);
    }

    #[test]
    fn two_values_for_one_name_are_refused_wherever_they_stand() {
        // HTTP-04.
        let duplicate = || FormError::Duplicate("state".to_owned());
        assert_eq!(body("state=a&state=b").unwrap_err(), duplicate());
        assert_eq!(body("state=a&%73tate=b").unwrap_err(), duplicate());
        assert_eq!(
            Parameters::parse(Some("state=a"), b"state=b").unwrap_err(),
            duplicate()
        );
        assert_eq!(
            Parameters::parse(Some("state=a&state=b"), b"").unwrap_err(),
            duplicate()
        );
    }

    #[test]
    fn one_value_twice_is_one_value_and_remembers_the_query() {
        let parameters = Parameters::parse(Some("password=a&x=1"), b"password=a&y=2").unwrap();
        assert!(parameters.came_in_query("password"));
        assert!(parameters.came_in_query("x"));
        assert!(!parameters.came_in_query("y"));
        assert!(!parameters.came_in_query("z"));
    }

    #[test]
    fn where_the_first_value_stays_the_others_are_dropped() {
        let parameters = Parameters::parse_first("state=a&code=1&%73tate=b&state=").unwrap();
        assert_eq!(parameters.get("state"), Some("a"));
        assert_eq!(parameters.iter().count(), 2);
        assert!(Parameters::parse_first("state=a%00").is_err());
    }

    #[test]
    fn control_characters_are_refused() {
        // HTTP-16: a `state` with line breaks would be returned in a header.
        for text in [
            "state=a%0D%0Ab",
            "state=a%00",
            "state=%7F",
            "state=a\tb",
            "state=%C2%85",
            "state=%EF%BF%BF",
        ] {
            assert_eq!(
                body(text).unwrap_err(),
                FormError::ControlCharacter("state".to_owned()),
                "{text}"
            );
        }
        assert_eq!(
            body("a%00b=1").unwrap_err(),
            FormError::ControlCharacter("(unknown)".to_owned())
        );
    }

    #[test]
    fn text_that_is_not_utf_8_is_refused() {
        assert_eq!(body("a=%FF").unwrap_err(), FormError::NotUtf8);
        assert_eq!(body("%C3=1").unwrap_err(), FormError::NotUtf8);
        assert_eq!(
            Parameters::parse(None, b"a=\xC3\x28").unwrap_err(),
            FormError::NotUtf8
        );
    }

    #[test]
    fn the_number_of_parameters_is_limited() {
        let many = |count: usize| {
            let pieces: Vec<_> = (0..count).map(|at| format!("p{at}=v")).collect();
            body(&pieces.join("&"))
        };
        assert_eq!(many(PARAMETERS_MAX).unwrap().iter().count(), PARAMETERS_MAX);
        assert_eq!(many(PARAMETERS_MAX + 1).unwrap_err(), FormError::TooMany);
    }

    #[test]
    fn a_secret_is_moved_out_and_values_are_not_printed() {
        let mut parameters = body("client_id=c&client_secret=hunter2").unwrap();
        assert_eq!(
            format!("{parameters:?}"),
            r#"{"client_id", "client_secret"}"#
        );
        let secret = parameters.take_secret("client_secret").unwrap();
        assert_eq!(secret.expose(), "hunter2");
        assert_eq!(parameters.get("client_secret"), None);
        assert!(!FormError::Duplicate("x".into()).to_string().is_empty());
    }

    proptest! {
        #[test]
        fn what_an_encoder_writes_is_read_back(
            pairs in proptest::collection::btree_map("[a-z_]{1,9}", "\\PC{1,30}", 0..9)
        ) {
            prop_assume!(!pairs.values().any(|value| holds_unprintable(value)));
            let text = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs(&pairs)
                .finish();
            let parameters = Parameters::parse(None, text.as_bytes()).unwrap();
            for (name, value) in &pairs {
                prop_assert_eq!(parameters.get(name), Some(value.as_str()));
            }
            prop_assert_eq!(parameters.iter().count(), pairs.len());
        }

        #[test]
        fn decoding_agrees_with_the_url_standard(value in "[a-zA-Z0-9%+=; ]{0,40}") {
            let Ok(parameters) = Parameters::parse(None, format!("a={value}").as_bytes()) else {
                return Ok(());
            };
            let expected = url::form_urlencoded::parse(format!("a={value}").as_bytes())
                .next()
                .map(|(_, value)| value.into_owned());
            prop_assert_eq!(parameters.get("a").unwrap_or(""), expected.unwrap_or_default());
        }
    }
}
