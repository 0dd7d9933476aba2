//! The three formats of an answer: JSON, form encoding and XML.
//!
//! This file owns how a list of members becomes text and how a request chooses the text it wants.
//! What the members are belongs to the answers themselves (`token`, `userinfo`, `identity`,
//! `error`). Form encoding is that of RFC 6749 appendix B; XML is 1.0, without attributes other
//! than `xsi:nil`.

use std::collections::HashSet;

use serde_json::Value;

/// The members of an answer, in the order in which they are written.
pub type Members = serde_json::Map<String, Value>;

/// How an answer is written.
///
/// Source: Headless Identity, token request parameter `format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// `application/json`, the default.
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`: nested members are dotted (`photos.picture`), members
    /// of a list are numbered (`roles.0`), and nulls are left out, because an empty parameter
    /// counts as absent (RFC 6749 3.1).
    UrlEncoded,
    /// `application/xml`: nested members are nested elements, a list repeats its element, and a
    /// null is an empty element with `xsi:nil="true"`.
    Xml,
}

/// Whether JSON is written on one line or indented (the request header `X-PrettyPrint`). The other
/// two formats are always compact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// No whitespace between the members.
    #[default]
    Compact,
    /// One member a line, two spaces of indentation.
    Pretty,
}

/// The `format` parameter named no known format (TOK-10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownFormat;

impl Format {
    /// The format a request asks for: the parameter wins over the `Accept` header, and an empty
    /// parameter counts as absent. Of the header, the media type with the highest weight that we
    /// know decides, the first among equals; a caller that accepts anything, or HTML (a browser
    /// lists XML too), gets JSON.
    ///
    /// # Refusals
    ///
    /// [`UnknownFormat`] for a parameter that is none of `json`, `urlencoded` and `xml`. A header
    /// is never refused.
    ///
    /// ```
    /// use vestibule_protocol::format::Format;
    /// assert_eq!(Format::choose(Some("xml"), Some("application/json")), Ok(Format::Xml));
    /// assert_eq!(Format::choose(None, Some("*/*, application/xml")), Ok(Format::Json));
    /// ```
    pub fn choose(parameter: Option<&str>, accept: Option<&str>) -> Result<Format, UnknownFormat> {
        match parameter {
            None | Some("") => Ok(accept.map(Format::of_accept).unwrap_or_default()),
            Some(word) if word.eq_ignore_ascii_case("json") => Ok(Format::Json),
            Some(word) if word.eq_ignore_ascii_case("urlencoded") => Ok(Format::UrlEncoded),
            Some(word) if word.eq_ignore_ascii_case("xml") => Ok(Format::Xml),
            Some(_) => Err(UnknownFormat),
        }
    }

    /// The value of the `Content-Type` header of an answer in this format.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Json => "application/json;charset=UTF-8",
            Format::UrlEncoded => "application/x-www-form-urlencoded",
            Format::Xml => "application/xml;charset=UTF-8",
        }
    }

    fn of_accept(header: &str) -> Format {
        let mut best: Option<(f32, Format)> = None;
        for range in header.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
            let weight = parts
                .find_map(|part| part.strip_prefix("q="))
                .map_or(1.0, |q| q.parse().unwrap_or(0.0));
            let format = match media_type.as_str() {
                "application/json"
                | "application/*"
                | "*/*"
                | "text/html"
                | "application/xhtml+xml" => Format::Json,
                "application/xml" | "text/xml" => Format::Xml,
                "application/x-www-form-urlencoded" => Format::UrlEncoded,
                _ => continue,
            };
            if weight > best.map_or(0.0, |(best_weight, _)| best_weight) {
                best = Some((weight, format));
            }
        }
        best.map(|(_, format)| format).unwrap_or_default()
    }
}

/// Writes an answer. `root` names the outermost XML element (`OAuth`, `user`) and is not seen in
/// the other formats.
///
/// A member name that XML does not allow as an element name has the forbidden characters replaced
/// by `_`; a second member that would then bear the same name is left out. Characters that XML 1.0
/// cannot carry at all, escaped or not, become U+FFFD.
pub fn render_members(format: Format, root: &str, members: &Members, layout: Layout) -> String {
    match format {
        Format::Json => render_json(members, layout),
        Format::UrlEncoded => render_urlencoded(members),
        Format::Xml => render_xml(root, members),
    }
}

fn render_json(members: &Members, layout: Layout) -> String {
    match layout {
        Layout::Compact => serde_json::to_string(members),
        Layout::Pretty => serde_json::to_string_pretty(members),
    }
    .expect("a map with text keys is always JSON")
}

fn render_urlencoded(members: &Members) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in members {
        append_pairs(&mut form, name, value);
    }
    form.finish()
}

fn append_pairs(
    form: &mut url::form_urlencoded::Serializer<'_, String>,
    name: &str,
    value: &Value,
) {
    match value {
        Value::Null => {}
        Value::Bool(truth) => {
            form.append_pair(name, if *truth { "true" } else { "false" });
        }
        Value::Number(number) => {
            form.append_pair(name, &number.to_string());
        }
        Value::String(text) => {
            form.append_pair(name, text);
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                append_pairs(form, &format!("{name}.{index}"), item);
            }
        }
        Value::Object(members) => {
            for (member, value) in members {
                append_pairs(form, &format!("{name}.{member}"), value);
            }
        }
    }
}

fn render_xml(root: &str, members: &Members) -> String {
    let namespace = if members.values().any(has_null) {
        r#" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance""#
    } else {
        ""
    };
    let root = element_name(root);
    let mut xml = String::from(r#"<?xml version="1.0" encoding="UTF-8"?>"#);
    xml.push_str(&format!("<{root}{namespace}>"));
    write_elements(&mut xml, members);
    xml.push_str(&format!("</{root}>"));
    xml
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(members) => members.values().any(has_null),
        _ => false,
    }
}

fn write_elements(xml: &mut String, members: &Members) {
    let mut written = HashSet::new();
    for (name, value) in members {
        let name = element_name(name);
        if written.insert(name.clone()) {
            write_element(xml, &name, value);
        }
    }
}

fn write_element(xml: &mut String, name: &str, value: &Value) {
    match value {
        Value::Null => xml.push_str(&format!(r#"<{name} xsi:nil="true"/>"#)),
        Value::Array(items) => {
            for item in items {
                write_element(xml, name, item);
            }
        }
        Value::Bool(truth) => xml.push_str(&format!("<{name}>{truth}</{name}>")),
        Value::Number(number) => xml.push_str(&format!("<{name}>{number}</{name}>")),
        Value::String(text) => {
            xml.push_str(&format!("<{name}>"));
            write_text(xml, text);
            xml.push_str(&format!("</{name}>"));
        }
        Value::Object(members) => {
            xml.push_str(&format!("<{name}>"));
            write_elements(xml, members);
            xml.push_str(&format!("</{name}>"));
        }
    }
}

/// Escapes the five markup characters, and the carriage return, which a parser would otherwise
/// turn into a line feed.
fn write_text(xml: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\'' => xml.push_str("&apos;"),
            '\r' => xml.push_str("&#13;"),
            '\t' | '\n' => xml.push(character),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => xml.push('\u{fffd}'),
            _ => xml.push(character),
        }
    }
}

/// Only ASCII letters, digits, `_`, `-` and `.` are kept: every name of ours is ASCII, and a name
/// that came from elsewhere must not be able to open a tag.
fn element_name(name: &str) -> String {
    let mut safe: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') {
                c
            } else {
                '_'
            }
        })
        .collect();
    if !safe.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        safe.insert(0, '_');
    }
    safe
}
