//! A mail as received by the test mail server, and its parser.
//!
//! This file owns a deliberately strict small MIME reader for tests: it reads what an ordinary mail program would,
//! and panics on anything that the server's messages must not contain.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A received mail.
#[derive(Debug, Clone, Default)]
pub struct Received {
    /// The envelope's sender.
    pub mail_from: String,
    /// The envelope's recipients.
    pub rcpt_to: Vec<String>,
    /// The user who was authenticated on the connection.
    pub authenticated_as: Option<String>,
    /// Whether it was sent over TLS.
    pub is_encrypted: bool,
    /// The bytes between `354` and the final dot, as on the wire: doubled dots are still doubled.
    pub wire: Vec<u8>,
}

impl Received {
    /// The message with the doubled dots undone (RFC 5321 section 4.5.2).
    pub fn message(&self) -> String {
        let text = String::from_utf8(self.wire.clone()).expect("our messages are UTF-8");
        let lines: Vec<&str> = text
            .split("\r\n")
            .map(|line| line.strip_prefix('.').unwrap_or(line))
            .collect();
        lines.join("\r\n")
    }

    /// The headers in order, unfolded.
    pub fn headers(&self) -> Vec<(String, String)> {
        headers_of(&self.message()).0
    }

    /// The first header of this name, unfolded, encoded words decoded.
    pub fn header(&self, name: &str) -> Option<String> {
        let found = self
            .headers()
            .into_iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| decode_words(&value))
    }

    /// The subject, decoded.
    pub fn subject(&self) -> String {
        self.header("Subject").expect("a mail has a subject")
    }

    /// The text part, decoded, with LF line ends.
    pub fn text(&self) -> String {
        self.part("text/plain").expect("a mail has a text part")
    }

    /// The HTML part, decoded, with LF line ends.
    pub fn html(&self) -> Option<String> {
        self.part("text/html")
    }

    /// The first word of the text part that is six to ten digits.
    pub fn code(&self) -> Option<String> {
        self.text()
            .split(|c: char| !c.is_ascii_alphanumeric())
            .find(|word| (6..=10).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_digit()))
            .map(str::to_owned)
    }

    fn part(&self, wanted: &str) -> Option<String> {
        let message = self.message();
        let (headers, body) = headers_of(&message);
        let content_type = value(&headers, "Content-Type");
        let Some((_, boundary)) = content_type.split_once("boundary=") else {
            return content_type
                .starts_with(wanted)
                .then(|| decode_body(&headers, body));
        };
        let mark = format!("\r\n--{}", boundary.trim_matches('"'));
        format!("\r\n{body}").split(&mark).skip(1).find_map(|part| {
            let (headers, body) = headers_of(part.trim_start_matches("\r\n"));
            value(&headers, "Content-Type")
                .starts_with(wanted)
                .then(|| decode_body(&headers, body))
        })
    }
}

type Headers = Vec<(String, String)>;

fn headers_of(message: &str) -> (Headers, &str) {
    let (head, body) = message.split_once("\r\n\r\n").unwrap_or((message, ""));
    let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    let headers = unfolded
        .split("\r\n")
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    (headers, body)
}

fn value(headers: &Headers, name: &str) -> String {
    let found = headers
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.clone()).unwrap_or_default()
}

fn decode_body(headers: &Headers, body: &str) -> String {
    let bytes = match value(headers, "Content-Transfer-Encoding").as_str() {
        "quoted-printable" => unquote(body),
        "base64" => STANDARD.decode(body.replace("\r\n", "")).expect("base64"),
        _ => body.as_bytes().to_vec(),
    };
    String::from_utf8(bytes)
        .expect("UTF-8")
        .replace("\r\n", "\n")
}

/// Quoted-printable, RFC 2045 section 6.7.
fn unquote(text: &str) -> Vec<u8> {
    let joined = text.replace("=\r\n", "");
    let mut bytes = Vec::new();
    let mut rest = joined.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'=' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || {
            rest.next()
                .and_then(|b| char::from(b).to_digit(16))
                .expect("two digits after =")
        };
        let value = digit() * 16 + digit();
        bytes.push(u8::try_from(value).expect("two digits fit a byte"));
    }
    bytes
}

/// Encoded words in base64, RFC 2047; white space between two of them does not count.
fn decode_words(value: &str) -> String {
    let mut out = String::new();
    let mut rest = value;
    let mut gap = String::new();
    let mut is_after_word = false;
    while let Some((before, after)) = rest.split_once("=?utf-8?b?") {
        gap.push_str(before);
        if !(is_after_word && gap.trim().is_empty()) {
            out.push_str(&gap);
        }
        gap.clear();
        let (word, after) = after.split_once("?=").expect("an encoded word ends");
        out.push_str(&String::from_utf8(STANDARD.decode(word).expect("base64")).expect("UTF-8"));
        is_after_word = true;
        rest = after;
    }
    out + &gap + rest
}
