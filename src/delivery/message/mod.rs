//! One outgoing mail, from rendered text to the bytes that are sent to the relay.
//!
//! This file owns the form of the message: exactly one recipient, a fixed set of headers, a plain part and, when
//! there is one, an HTML part. It is the last defence against header injection and SMTP smuggling: whatever a
//! template or a name contains, it cannot add a header, a recipient or a second message. The text comes from
//! `template`, `smtp` sends the message, and the outbox decides whether and when.
//!
//! Implements RFC 5322 (format), RFC 2045–2047 (MIME), RFC 3834 section 5 (`Auto-Submitted`) and RFC 5321 section
//! 2.3.8 (only CR LF ends a line).

use std::fmt;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart, SinglePart};
use lettre::{Address, address::Envelope};

/// The result of a template: a subject line and one or two bodies.
///
/// The bodies usually hold a one-time password, so `Debug` shows only their lengths.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The subject, one line of Unicode text, not yet encoded.
    pub subject: String,
    /// The plain-text body. Lines may end in LF or CR LF.
    pub text: String,
    /// The HTML body, if the template has one.
    pub html: Option<String>,
}

/// A mail that is ready to be sent: rendered, addressed and with an id.
///
/// The same value is built again for each attempt, so that a repeated mail has the same `Message-ID` and a receiver
/// can recognise a duplicate.
#[derive(Clone, PartialEq, Eq)]
pub struct OutgoingMail {
    /// The value of `Message-ID`, with or without angle brackets, for example `<m01@login.example>`.
    pub message_id: String,
    /// The one recipient, a bare address.
    pub to: String,
    /// The sender, a bare address or `Name <address>`.
    pub from: String,
    /// Subject and bodies.
    pub rendered: Rendered,
    /// The instant for the `Date` header, in milliseconds since 1970.
    pub date_at_ms: i64,
}

/// Why a mail cannot be written as a message. The problem is permanent: a retry does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageProblem {
    /// The `Date` is before 1970.
    #[error("the date of the message is out of range")]
    DateOutOfRange,
    /// The message id is not one printable `left@right`.
    #[error("the message id is not of the form left@right")]
    MessageIdMalformed,
    /// The recipient is not exactly one plain address.
    #[error("the recipient is not one plain e-mail address")]
    RecipientMalformed,
    /// The sender is not exactly one address with an optional name.
    #[error("the sender is not one e-mail address with an optional name")]
    SenderMalformed,
}

impl OutgoingMail {
    /// Builds the message in its wire form.
    ///
    /// The same mail always gives the same bytes: the boundary between the parts comes from the message id.
    ///
    /// # Refusals
    /// See [`MessageProblem`]: a sender, recipient, id or date that is not valid in a header.
    pub fn to_message(&self) -> Result<Message, MessageProblem> {
        let to = parse_recipient(&self.to)?;
        let from = parse_sender(&self.from)?;
        let message_id = bracketed_id(&self.message_id)?;
        let envelope = Envelope::new(Some(from.email.clone()), vec![to.clone()])
            .expect("an envelope with a sender and one recipient is complete");
        let builder = Message::builder()
            .envelope(envelope)
            .date(date(self.date_at_ms)?)
            .from(from)
            .to(Mailbox::new(None, to))
            .raw_header(subject_header(&self.rendered.subject))
            .message_id(Some(message_id.clone()))
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        let text = part(ContentType::TEXT_PLAIN, &self.rendered.text);
        let built = match &self.rendered.html {
            None => builder.singlepart(text),
            Some(html) => builder.multipart(
                MultiPart::builder()
                    .kind(lettre::message::MultiPartKind::Alternative)
                    .boundary(boundary(&message_id))
                    .singlepart(text)
                    .singlepart(part(ContentType::TEXT_HTML, html)),
            ),
        };
        Ok(built.expect("a message with one sender, an envelope and a date is complete"))
    }
}

impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rendered")
            .field("subject_bytes", &self.subject.len())
            .field("text_bytes", &self.text.len())
            .field("html_bytes", &self.html.as_ref().map(String::len))
            .finish()
    }
}

impl fmt::Debug for OutgoingMail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingMail")
            .field("message_id", &self.message_id)
            .field("rendered", &self.rendered)
            .field("date_at_ms", &self.date_at_ms)
            .finish_non_exhaustive()
    }
}

/// Parses a recipient: one address and nothing else.
///
/// A domain outside ASCII is converted to its A-labels. Quoted local parts and address literals are legal in RFC
/// 5321 but refused here: no user has one, and each could pass a second address to a weaker parser downstream.
///
/// # Refusals
/// [`MessageProblem::RecipientMalformed`] for anything else.
pub fn parse_recipient(text: &str) -> Result<Address, MessageProblem> {
    plain_address(text).ok_or(MessageProblem::RecipientMalformed)
}

/// Parses a sender: an address, or a name and an address in angle brackets.
///
/// # Refusals
/// [`MessageProblem::SenderMalformed`] for anything else, including a name with control characters.
pub fn parse_sender(text: &str) -> Result<Mailbox, MessageProblem> {
    let refused = MessageProblem::SenderMalformed;
    if text.chars().any(breaks_a_line) {
        return Err(refused);
    }
    let mailbox: Mailbox = match text.rsplit_once('<') {
        // An unquoted name may contain anything but the characters that would end it; the header writer quotes it.
        Some((name, rest)) => {
            let address = rest.trim_end().strip_suffix('>').unwrap_or_default();
            let name = name.trim().trim_matches('"').trim();
            if name.contains(['<', '>']) {
                return Err(refused);
            }
            let address = plain_address(address).ok_or(refused)?;
            Mailbox::new((!name.is_empty()).then(|| name.to_owned()), address)
        }
        None => Mailbox::new(None, plain_address(text.trim()).ok_or(refused)?),
    };
    Ok(mailbox)
}

/// Makes a text suitable for one header line: control characters, line and paragraph separators and direction
/// overrides become single spaces, and the length is limited.
pub fn single_line(text: &str, chars_max: usize) -> String {
    let mut line = String::new();
    for (count, word) in text
        .split(|c: char| c.is_whitespace() || breaks_a_line(c))
        .filter(|word| !word.is_empty())
        .enumerate()
    {
        if count > 0 {
            line.push(' ');
        }
        line.push_str(word);
    }
    if line.chars().count() > chars_max {
        line = line.chars().take(chars_max.saturating_sub(1)).collect();
        line.push('…');
    }
    line
}

fn breaks_a_line(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn plain_address(text: &str) -> Option<Address> {
    let has_delimiter =
        |c: char| c.is_whitespace() || breaks_a_line(c) || "<>()[],;:\\\"".contains(c);
    if text.len() > ADDRESS_BYTES_MAX || text.contains(has_delimiter) {
        return None;
    }
    let (local, domain) = text.split_once('@')?;
    if domain.contains('@') {
        return None;
    }
    let domain = idna::domain_to_ascii(domain).ok()?;
    Address::new(local, domain).ok()
}

fn bracketed_id(id: &str) -> Result<String, MessageProblem> {
    let bare = id
        .strip_prefix('<')
        .and_then(|rest| rest.strip_suffix('>'))
        .unwrap_or(id);
    let is_printable = bare
        .bytes()
        .all(|b| b.is_ascii_graphic() && b != b'<' && b != b'>');
    let has_both_sides = bare
        .split_once('@')
        .is_some_and(|(left, right)| !left.is_empty() && !right.is_empty());
    if !is_printable || !has_both_sides || bare.len() > MESSAGE_ID_BYTES_MAX {
        return Err(MessageProblem::MessageIdMalformed);
    }
    Ok(format!("<{bare}>"))
}

fn date(at_ms: i64) -> Result<SystemTime, MessageProblem> {
    u64::try_from(at_ms)
        .ok()
        .filter(|ms| *ms < DATE_MS_MAX)
        .map(|ms| SystemTime::UNIX_EPOCH + Duration::from_millis(ms))
        .ok_or(MessageProblem::DateOutOfRange)
}

/// The boundary must not occur in either body. The message id is unguessable for the author of a name in the body.
fn boundary(message_id: &str) -> String {
    let letters = message_id
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(48);
    format!("=_alternative_{}", letters.collect::<String>())
}

fn subject_header(subject: &str) -> HeaderValue {
    let name = HeaderName::new_from_ascii_str("Subject");
    let line = single_line(subject, SUBJECT_CHARS_MAX);
    if !line.contains("=?") {
        return HeaderValue::new(name, line);
    }
    // A literal `=?…?=` would be decoded by the mail program into text that was never written. Encoding the whole
    // subject preserves it as it was typed (RFC 2047 section 5).
    let mut words = Vec::new();
    let mut chunk = String::new();
    for c in line.chars() {
        if chunk.len() + c.len_utf8() > ENCODED_WORD_BYTES_MAX {
            words.push(std::mem::take(&mut chunk));
        }
        chunk.push(c);
    }
    words.push(chunk);
    let encoded: Vec<String> = words
        .iter()
        .map(|word| format!("=?utf-8?b?{}?=", STANDARD.encode(word)))
        .collect();
    HeaderValue::dangerous_new_pre_encoded(name, line, encoded.join("\r\n "))
}

/// One body part. The encoder selects 7bit, quoted-printable or base64, so that the message is ASCII whatever the
/// text contains and a relay without 8BITMIME cannot damage it.
fn part(kind: ContentType, text: &str) -> SinglePart {
    SinglePart::builder().header(kind).body(crlf_ready(text))
}

/// Every kind of line end becomes LF (the encoder makes CR LF of it), and the other control characters are removed.
/// A bare CR or LF on the wire would allow SMTP smuggling.
fn crlf_ready(text: &str) -> String {
    text.replace("\r\n", "\n")
        .replace('\r', "\n")
        .chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .collect()
}

/// RFC 5321 section 4.5.3.1: a path has at most 256 octets including its brackets.
const ADDRESS_BYTES_MAX: usize = 254;
/// The last second of the year 9999, the maximum of the `Date` header.
const DATE_MS_MAX: u64 = 253_402_300_800_000;
/// Before base64: 45 bytes become 60 characters, and an encoded word may have 75 (RFC 2047 section 2).
const ENCODED_WORD_BYTES_MAX: usize = 45;
/// Leaves room in a line of 998 characters (RFC 5322 section 2.1.1).
const MESSAGE_ID_BYTES_MAX: usize = 250;
/// Mail programs truncate longer subjects.
const SUBJECT_CHARS_MAX: usize = 200;

#[cfg(test)]
mod tests;
