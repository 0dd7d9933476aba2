//! JSON from unauthenticated callers: parsed completely, or refused.
//!
//! This file owns what serde_json leaves open: a member that occurs twice is refused at every level (a validator in
//! front of the server might have read the other one), and so is nesting deeper than [`DEPTH_MAX`]. serde_json
//! itself refuses comments, trailing commas, `NaN`, numbers beyond a double and lone surrogates. A byte order mark in
//! front of the text is ignored.
//! The meaning of the members is left to `headless`.
//!
//! Implements RFC 8259, narrowed as its sections 4 (unique names) and 9 (limits) allow, with the byte order mark of
//! section 8.1.

use std::cell::RefCell;
use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::form::public_name;

/// Why a text is refused as JSON. Contains at most a member's name, never a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonError {
    /// This member occurs twice in one object.
    DuplicateMember(String),
    /// Not JSON, not UTF-8, or a number that no double can represent.
    NotJson,
    /// JSON, but not an object.
    NotObject,
    /// Arrays or objects nested deeper than [`DEPTH_MAX`].
    TooDeep,
}

/// Parses one JSON object, followed by nothing but whitespace.
///
/// ```
/// use vestibule_protocol::strict_json::{JsonError, parse_object};
/// assert!(parse_object(br#"{"username":"a@b.example"}"#).is_ok());
/// assert_eq!(
///     parse_object(br#"{"username":"a@b.example","username":"c@d.example"}"#),
///     Err(JsonError::DuplicateMember("username".to_owned()))
/// );
/// ```
///
/// # Refusals
/// Any [`JsonError`].
pub fn parse_object(text: &[u8]) -> Result<Map<String, Value>, JsonError> {
    match parse(text)? {
        Value::Object(members) => Ok(members),
        _ => Err(JsonError::NotObject),
    }
}

/// Parses one JSON value, followed by nothing but whitespace.
///
/// # Refusals
/// Any [`JsonError`] but [`JsonError::NotObject`].
pub fn parse(text: &[u8]) -> Result<Value, JsonError> {
    // serde_json checks UTF-8 only inside strings, and only when necessary.
    let text = std::str::from_utf8(text).map_err(|_| JsonError::NotJson)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let problem = RefCell::new(JsonError::NotJson);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    Level {
        depth: 0,
        problem: &problem,
    }
    .deserialize(&mut deserializer)
    .and_then(|value| deserializer.end().map(|()| value))
    .map_err(|_| problem.into_inner())
}

/// One level of nesting. serde carries custom errors as text only, so they are stored in `problem`.
#[derive(Clone, Copy)]
struct Level<'p> {
    depth: usize,
    problem: &'p RefCell<JsonError>,
}

impl Level<'_> {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        if self.depth == DEPTH_MAX {
            return Err(self.refuse(JsonError::TooDeep));
        }
        Ok(Level {
            depth: self.depth + 1,
            ..self
        })
    }

    fn refuse<E: de::Error>(self, problem: JsonError) -> E {
        self.problem.replace(problem);
        E::custom("refused")
    }
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| self.refuse(JsonError::NotJson))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let level = self.deeper()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(level)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let level = self.deeper()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(self.refuse(JsonError::DuplicateMember(public_name(&name))));
            }
            let value = members.next_value_seed(level)?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JsonError::DuplicateMember(name) => write!(f, "member {name} comes twice"),
            JsonError::NotJson => f.write_str("not JSON"),
            JsonError::NotObject => f.write_str("not a JSON object"),
            JsonError::TooDeep => f.write_str("nested too deeply"),
        }
    }
}

impl std::error::Error for JsonError {}

/// The maximum nesting of arrays and objects. Documented bodies use two levels; the rest is for custom data.
pub const DEPTH_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn every_kind_of_value_is_read() {
        let text = r#" {"a":[1,-2,3.5,true,false,null,"é\ud83d\ude00"],"b":{"c":{}}} "#;
        assert_eq!(
            parse(text.as_bytes()),
            Ok(json!({"a":[1,-2,3.5,true,false,null,"é😀"],"b":{"c":{}}}))
        );
    }

    #[test]
    fn a_duplicate_member_is_refused_at_every_level() {
        // HTTP-05.
        let duplicate = |name: &str| Err(JsonError::DuplicateMember(name.to_owned()));
        assert_eq!(parse(br#"{"a":1,"a":1}"#), duplicate("a"));
        assert_eq!(parse(br#"{"a":1,"\u0061":2}"#), duplicate("a"));
        assert_eq!(parse(br#"[{"x":{"a":1,"b":2,"a":null}}]"#), duplicate("a"));
        assert_eq!(parse(br#"{"<b>":1,"<b>":2}"#), duplicate("(unknown)"));
        assert!(parse(br#"{"a":{"a":1},"A":2}"#).is_ok());
    }

    #[test]
    fn what_is_not_json_is_refused() {
        // HTTP-07.
        for text in [
            "",
            " ",
            "{",
            "{}x",
            "{} {}",
            "{\"a\":1,}",
            "[1,]",
            "{\"a\":NaN}",
            "{\"a\":Infinity}",
            "{\"a\":1e400}",
            "{\"a\":-1e400}",
            "{\"a\":01}",
            "{\"a\":+1}",
            "{\"a\":.5}",
            "{'a':1}",
            "{a:1}",
            "{\"a\":1}//",
            "/* */{}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":\"\\udc00\\ud800\"}",
            "{\"a\":\"\n\"}",
            "{\"a\":\"\\x41\"}",
            "\u{FEFF}\u{FEFF}{}",
            "{\u{FEFF}}",
            "{\"userdata\"=1}",
        ] {
            assert_eq!(parse(text.as_bytes()), Err(JsonError::NotJson), "{text:?}");
        }
        assert_eq!(parse(b"{\"a\":\"\xFF\"}"), Err(JsonError::NotJson));
        assert_eq!(parse(b"\xFF\xFE{\0}\0"), Err(JsonError::NotJson));
    }

    #[test]
    fn nesting_ends_at_its_limit() {
        // HTTP-07: ten thousand levels must not need ten thousand stack frames.
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(DEPTH_MAX).as_bytes()).is_ok());
        assert_eq!(
            parse(nested(DEPTH_MAX + 1).as_bytes()),
            Err(JsonError::TooDeep)
        );
        assert_eq!(parse(nested(10_000).as_bytes()), Err(JsonError::TooDeep));
        let objects = "{\"a\":".repeat(10_000);
        assert_eq!(parse(objects.as_bytes()), Err(JsonError::TooDeep));
    }

    #[test]
    fn a_number_of_a_megabyte_is_refused_or_rounded() {
        let digits = "9".repeat(1_000_000);
        assert_eq!(parse(digits.as_bytes()), Err(JsonError::NotJson));
        let fraction = format!("0.{digits}");
        assert_eq!(parse(fraction.as_bytes()), Ok(json!(1.0)));
    }

    #[test]
    fn only_an_object_is_an_object() {
        for text in ["[]", "1", "null", "\"{}\""] {
            assert_eq!(parse_object(text.as_bytes()), Err(JsonError::NotObject));
        }
        assert!(parse_object(b"{}").unwrap().is_empty());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::btree_map(".{0,4}", inner, 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value in any_json()) {
            prop_assert_eq!(parse(value.to_string().as_bytes()), Ok(value));
        }
    }
}
