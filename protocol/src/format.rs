//! The three formats of a response: JSON, form encoding and XML.
//!
//! This file owns the rendering of a list of members and the choice of the format. The members belong to the
//! responses themselves (`token`, `userinfo`, `identity`, `error`). Form encoding is that of RFC 6749 appendix B;
//! XML is 1.0, without attributes other than `xsi:nil`.

use std::collections::HashSet;

use serde_json::Value;

/// The members of a response, in the order in which they are written.
pub type Members = serde_json::Map<String, Value>;

/// The format of a response.
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
    /// The format that a request asks for. The parameter takes precedence over the `Accept` header, and an empty
    /// parameter counts as absent. In the header, the known media type with the highest weight decides, and the
    /// first of equal ones; a caller that accepts anything, or HTML (a browser lists XML too), gets JSON.
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

    /// The value of the `Content-Type` header of a response in this format.
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

/// Renders a response. `root` names the outermost XML element (`OAuth`, `user`) and does not occur in the other
/// formats.
///
/// In a member name that XML does not allow as an element name, the forbidden characters are replaced by `_`; a
/// second member that would then have the same name is left out. Characters that XML 1.0 cannot represent at all,
/// escaped or not, become U+FFFD.
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

/// Only ASCII letters, digits, `_`, `-` and `.` are kept. All member names of the server are ASCII, and a name from
/// elsewhere must not be able to open a tag.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn members(value: Value) -> Members {
        value.as_object().unwrap().clone()
    }

    fn compact(format: Format, value: Value) -> String {
        render_members(format, "OAuth", &members(value), Layout::Compact)
    }

    #[test]
    fn the_parameter_wins_over_the_header() {
        for (parameter, accept, format) in [
            (None, None, Format::Json),
            (Some(""), Some("application/xml"), Format::Xml),
            (Some("json"), Some("application/xml"), Format::Json),
            (Some("XML"), None, Format::Xml),
            (Some("urlencoded"), Some("*/*"), Format::UrlEncoded),
        ] {
            assert_eq!(Format::choose(parameter, accept), Ok(format));
        }
    }

    // TOK-10: junk in the parameter is refused.
    #[test]
    fn an_unknown_format_is_refused() {
        for junk in ["yaml", "json ", "application/json", "json\0", "x"] {
            assert_eq!(Format::choose(Some(junk), None), Err(UnknownFormat));
        }
    }

    #[test]
    fn the_heaviest_known_media_type_of_the_header_decides() {
        for (accept, format) in [
            ("", Format::Json),
            ("image/png", Format::Json),
            ("application/xml", Format::Xml),
            ("text/xml; charset=utf-8", Format::Xml),
            ("application/x-www-form-urlencoded, */*", Format::UrlEncoded),
            ("application/json, application/xml", Format::Json),
            ("*/*, application/xml", Format::Json),
            (
                "application/xml;q=0.5, application/json;q=0.6",
                Format::Json,
            ),
            ("application/json;q=0, application/xml;q=0.1", Format::Xml),
            ("application/xml;q=NaN, text/xml;q=x", Format::Json),
            // What browsers send.
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                Format::Json,
            ),
        ] {
            assert_eq!(Format::choose(None, Some(accept)), Ok(format), "{accept}");
        }
    }

    #[test]
    fn nested_members_are_dotted_in_forms_and_nested_in_xml() {
        let answer = json!({
            "sub": "a b&c",
            "photos": {"picture": "https://x/?a=1&b=2", "thumbnail": null},
            "roles": ["x", 2],
            "active": true,
        });
        assert_eq!(
            compact(Format::UrlEncoded, answer.clone()),
            "sub=a+b%26c&photos.picture=https%3A%2F%2Fx%2F%3Fa%3D1%26b%3D2&roles.0=x&roles.1=2\
             &active=true"
        );
        assert_eq!(
            compact(Format::Xml, answer),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
             <OAuth xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><sub>a b&amp;c</sub>\
             <photos><picture>https://x/?a=1&amp;b=2</picture><thumbnail xsi:nil=\"true\"/></photos>\
             <roles>x</roles><roles>2</roles><active>true</active></OAuth>"
        );
    }

    // TOK-10: entities in values, and characters XML cannot carry.
    #[test]
    fn markup_in_values_and_names_stays_text() {
        let hostile = "</OAuth><!--&\"'\u{0}\u{b}\r\n]]>\u{fffe}";
        assert_eq!(
            compact(Format::Xml, json!({"state": hostile})),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><OAuth><state>&lt;/OAuth&gt;&lt;!--&amp;\
             &quot;&apos;\u{fffd}\u{fffd}&#13;\n]]&gt;\u{fffd}</state></OAuth>"
        );
        assert_eq!(
            compact(Format::Xml, json!({"a><b": 1, "1": 2, "a b": 3, "a_b": 4})),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><OAuth><a__b>1</a__b><_1>2</_1><a_b>3</a_b>\
             </OAuth>"
        );
    }

    #[test]
    fn json_is_indented_on_demand() {
        let text = render_members(
            Format::Json,
            "user",
            &members(json!({"a": 1})),
            Layout::Pretty,
        );
        assert_eq!(text, "{\n  \"a\": 1\n}");
    }

    proptest! {
        #[test]
        fn a_form_decoder_reads_back_what_was_written(name in "[a-z_]{1,8}", text in any::<String>()) {
            let form = compact(Format::UrlEncoded, json!({name.clone(): text}));
            prop_assert!(form.is_ascii());
            let pairs: Vec<_> = url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
            prop_assert_eq!(pairs, vec![(name, text)]);
        }

        #[test]
        fn xml_text_contains_no_markup_and_no_forbidden_character(text in any::<String>()) {
            let xml = compact(Format::Xml, json!({"x": text}));
            let inner = xml
                .split_once("<x>").unwrap().1
                .rsplit_once("</x>").unwrap().0;
            let is_allowed = |c: char| !matches!(c, '<' | '>') && (c >= ' ' || c == '\t' || c == '\n');
            prop_assert!(inner.chars().all(is_allowed));
        }

        #[test]
        fn choosing_a_format_never_panics(parameter in any::<Option<String>>(), accept in any::<Option<String>>()) {
            let _ = Format::choose(parameter.as_deref(), accept.as_deref());
        }
    }
}
