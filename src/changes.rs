//! Changes to a bag of settings: checked one by one, so that the message can name the one that is
//! wrong, and applied all together or not at all.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// A setting that is wrong: its documented name, and what about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The documented name.
    pub key: String,
    /// A sentence for the administrator.
    pub reason: String,
}

impl Invalid {
    /// A wrong setting.
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

/// `current` with `changes` applied.
///
/// # Errors
/// The first change that names no setting, or whose value has the wrong type.
pub fn apply<T: Serialize + DeserializeOwned>(
    current: &T,
    changes: &Map<String, Value>,
) -> Result<T, Invalid> {
    let written = |error: serde_json::Error| Invalid::new("settings", error.to_string());
    let mut all = match serde_json::to_value(current).map_err(written)? {
        Value::Object(all) => all,
        _ => return Err(Invalid::new("settings", "they are not a table")),
    };
    for (key, value) in changes {
        if !all.contains_key(key) {
            let known: Vec<&str> = all.keys().map(String::as_str).collect();
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

/// Reads a list as a JSON array, or as text with one value per word.
///
/// # Errors
/// The value is neither.
pub fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        Many(Vec<String>),
        One(String),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::Many(values) => values,
        OneOrMany::One(text) => text
            .split(|c: char| c.is_whitespace() || c == ',')
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect(),
    })
}
