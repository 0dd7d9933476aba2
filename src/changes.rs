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

impl Invalid {
    /// Several findings as one, under the name of the first and with one line for each.
    ///
    /// # Errors
    /// There is one.
    pub fn all(found: impl IntoIterator<Item = Invalid>) -> Result<(), Invalid> {
        let mut found = found.into_iter();
        let Some(first) = found.next() else {
            return Ok(());
        };
        Err(found.fold(first, |first, next| Invalid {
            reason: format!("{}\n{next}", first.reason),
            ..first
        }))
    }
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.key, self.reason)
    }
}

impl std::error::Error for Invalid {}

/// A sentence that suggests the known word that was probably meant: nothing, or ` (did you mean "X"?)`.
pub fn suggestion<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    match nearest(word, known) {
        Some(meant) => format!(" (did you mean {meant:?}?)"),
        None => String::new(),
    }
}

/// The known word that differs from this one by a few mistyped letters; a third of them at most.
fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let typed: Vec<char> = word.to_lowercase().chars().take(WORD_CHARS_MAX).collect();
    known
        .into_iter()
        .map(|known| {
            let letters: Vec<char> = known.to_lowercase().chars().collect();
            (distance(&typed, &letters), known)
        })
        .filter(|(distance, known)| *distance * 3 <= known.chars().count().max(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// How many letters must be inserted, removed, replaced or swapped with their neighbour (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before = vec![0; b.len() + 1];
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.iter().enumerate() {
        let mut next = vec![i + 1; b.len() + 1];
        for (j, other) in b.iter().enumerate() {
            let replaced = row[j] + usize::from(letter != other);
            next[j + 1] = replaced.min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && *letter == b[j - 1] && a[i - 1] == *other {
                next[j + 1] = next[j + 1].min(before[j - 1] + 1);
            }
        }
        before = std::mem::replace(&mut row, next);
    }
    row[b.len()]
}

/// No known word is longer.
const WORD_CHARS_MAX: usize = 100;

/// `current` with `changes` applied. Members of `current` that this version does not know stay as they are; a change
/// may repeat one, as the printed settings do, and not set one.
///
/// # Errors
/// Every change whose name is not a setting, or whose value has the wrong type, under the name of the first.
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
    let mut wrong = Vec::new();
    for (key, value) in changes {
        let before = all.get(key).cloned();
        if !known.contains_key(key) {
            if before.as_ref() != Some(value) {
                let known: Vec<&str> = known.keys().map(String::as_str).collect();
                let reason = match nearest(key, known.iter().copied()) {
                    Some(meant) => format!("there is no such setting; did you mean {meant}?"),
                    None => format!("there is no such setting; there are {}", known.join(", ")),
                };
                wrong.push(Invalid::new(key, reason));
            }
            continue;
        }
        all.insert(key.clone(), value.clone());
        if let Err(error) = serde_json::from_value::<T>(Value::Object(all.clone())) {
            wrong.push(Invalid::new(key, error.to_string()));
            match before {
                Some(before) => all.insert(key.clone(), before),
                None => all.remove(key),
            };
        }
    }
    Invalid::all(wrong)?;
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
    Many(Vec<Item>),
    One(String),
}

/// An item of a list: the text itself, or an object with it as its only member, as the metadata of the original writes
/// it (`[{"emailTemplate": "unfiled$public/Welcome"}]`).
#[derive(Deserialize)]
#[serde(untagged)]
enum Item {
    Text(String),
    Member(std::collections::BTreeMap<String, String>),
}

impl Item {
    fn into_text<E: serde::de::Error>(self) -> Result<String, E> {
        match self {
            Item::Text(text) => Ok(text),
            Item::Member(members) => match (members.len(), members.into_values().next()) {
                (1, Some(text)) => Ok(text),
                _ => Err(E::custom("an item is a text, or an object with one text")),
            },
        }
    }
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
        OneOrMany::Many(items) => texts(items)?,
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

fn texts<E: serde::de::Error>(items: Vec<Item>) -> Result<Vec<String>, E> {
    items.into_iter().map(Item::into_text).collect()
}

/// Reads a list as a JSON array, or as a text that is its only item.
///
/// # Errors
/// The value is neither.
pub fn text_or_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::Many(items) => texts(items)?,
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
    fn a_mistyped_word_is_recognised_and_another_word_is_not() {
        let known = [
            "isPwdlessLoginAllowed",
            "isForgotPwdAllowed",
            "defaultLocale",
            "url",
        ];
        for (word, meant) in [
            ("isPwdlessLoginAlowed", Some("isPwdlessLoginAllowed")),
            ("ispwdlessloginallowed", Some("isPwdlessLoginAllowed")),
            ("isPwdlessLoginAllowde", Some("isPwdlessLoginAllowed")),
            ("defaultLokal", Some("defaultLocale")),
            ("urll", Some("url")),
            ("ulr", Some("url")),
            ("lifetime", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
        assert_eq!(suggestion("urll", known), " (did you mean \"url\"?)");
        assert_eq!(suggestion("lifetime", known), "");
    }

    #[test]
    fn several_findings_are_one_with_a_line_for_each() {
        let found = ["a", "b"].map(|key| Invalid::new(key, "is wrong"));
        assert_eq!(
            Invalid::all(found).unwrap_err().to_string(),
            "a: is wrong\nb: is wrong"
        );
        assert_eq!(Invalid::all([]), Ok(()));
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
