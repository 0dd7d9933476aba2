//! Changes to a bag of settings: checked one by one, so that the message can name the invalid one, and applied all
//! together or not at all.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// An invalid setting: its documented name and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The documented name.
    pub key: String,
    /// A sentence for the administrator.
    pub reason: String,
}

impl Invalid {
    /// An invalid setting.
    pub fn new(key: &str, reason: impl Into<String>) -> Invalid {
        Invalid {
            key: key.to_owned(),
            reason: reason.into(),
        }
    }
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.key, self.reason)
    }
}

impl std::error::Error for Invalid {}

/// `current` with `changes` applied. Members of `current` that this version does not know stay as they are; a change
/// may repeat one, as the printed settings do, and not set one.
///
/// # Errors
/// The first change whose name is not a setting, or whose value has the wrong type.
pub fn apply<T: Serialize + DeserializeOwned + Default>(
    current: &T,
    changes: &Map<String, Value>,
) -> Result<T, Invalid> {
    let written = |error: serde_json::Error| Invalid::new("settings", error.to_string());
    let table = |value: &T| match serde_json::to_value(value).map_err(written)? {
        Value::Object(table) => Ok(table),
        _ => Err(Invalid::new("settings", "they are not a table")),
    };
    let (known, mut all) = (table(&T::default())?, table(current)?);
    for (key, value) in changes {
        if !known.contains_key(key) {
            if all.get(key) == Some(value) {
                continue;
            }
            let known: Vec<&str> = known.keys().map(String::as_str).collect();
            let reason = format!("there is no such setting; there are {}", known.join(", "));
            return Err(Invalid::new(key, reason));
        }
        all.insert(key.clone(), value.clone());
        if let Err(error) = serde_json::from_value::<T>(Value::Object(all.clone())) {
            return Err(Invalid::new(key, error.to_string()));
        }
    }
    serde_json::from_value(Value::Object(all)).map_err(written)
}

/// Checks a number.
///
/// # Errors
/// It is out of range.
pub fn check_range(key: &str, value: i64, low: i64, high: i64) -> Result<(), Invalid> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    let reason = format!("{value} is not between {low} and {high}");
    Err(Invalid::new(key, reason))
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<String>),
    One(String),
}

/// Reads a list as a JSON array, or as text with one value per word.
///
/// # Errors
/// The value is neither, or an item is not a `T`.
pub fn words_or_list<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: TryFrom<String, Error: std::fmt::Display>,
    D: Deserializer<'de>,
{
    let items = match OneOrMany::deserialize(deserializer)? {
        OneOrMany::Many(items) => items,
        OneOrMany::One(text) => text
            .split(|c: char| c.is_whitespace() || c == ',')
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect(),
    };
    let parsed = items.into_iter().map(T::try_from);
    parsed
        .map(|item| item.map_err(serde::de::Error::custom))
        .collect()
}

/// Reads a list as a JSON array, or as a text that is its only item.
///
/// # Errors
/// The value is neither.
pub fn text_or_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::Many(items) => items,
        OneOrMany::One(item) => vec![item],
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_range_holds_its_two_ends_and_nothing_beyond() {
        for (value, is_within) in [
            (0, false),
            (1, true),
            (10, true),
            (11, false),
            (i64::MIN, false),
        ] {
            let checked = check_range("tries", value, 1, 10);
            assert_eq!(checked.is_ok(), is_within, "{value}");
        }
        let refused = check_range("tries", 11, 1, 10).unwrap_err();
        assert_eq!(refused.to_string(), "tries: 11 is not between 1 and 10");
    }

    #[derive(Default, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(default)]
    struct Kept {
        tries: u8,
        #[serde(flatten)]
        unknown: Map<String, Value>,
    }

    #[test]
    fn clu_04_a_member_of_a_newer_version_is_kept_and_is_not_written_by_an_operator() {
        let stored: Kept = serde_json::from_value(json!({"tries": 1, "newer": [1]})).unwrap();
        let change = |changes: Value| apply(&stored, changes.as_object().unwrap());
        let changed = change(json!({"tries": 2, "newer": [1]})).unwrap();
        let expected = json!({"tries": 2, "newer": [1]});
        assert_eq!(serde_json::to_value(changed).unwrap(), expected);
        for changes in [json!({"newer": [2]}), json!({"other": 1})] {
            let refused = change(changes).unwrap_err().to_string();
            assert!(
                refused.ends_with("there is no such setting; there are tries"),
                "{refused}"
            );
        }
        assert!(change(json!({"tries": "x"})).is_err());
    }

    #[test]
    fn a_list_is_an_array_or_a_text_of_words_or_of_one_item() {
        for (value, words, items) in [
            (json!(["a b", "c"]), vec!["a b", "c"], vec!["a b", "c"]),
            (json!("a b,c"), vec!["a", "b", "c"], vec!["a b,c"]),
            (json!([]), vec![], vec![]),
        ] {
            assert_eq!(words_or_list::<String, _>(&value).unwrap(), words);
            assert_eq!(text_or_list(&value).unwrap(), items);
        }
        assert!(words_or_list::<String, _>(&json!(7)).is_err());
        assert!(text_or_list(&json!({"a": 1})).is_err());
    }
}
