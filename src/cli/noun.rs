//! What the commands of every noun share: how a list and a single object are printed, and how the
//! `KEY=VALUE` pairs of `--set` are read.

use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::exit::Exit;
use super::place::{Place, read_secret};
use crate::admin::{Admin, profile, user};
use crate::identity::prefix;
use crate::settings::parse_changes;

/// Prints objects: as JSON under their plural, or as one line each.
pub fn print_list<T>(
    place: &Place,
    plural: &str,
    objects: &[T],
    row: impl Fn(&T) -> Value,
    line: impl Fn(&T) -> String,
) -> Result<(), Exit> {
    let rows: Vec<Value> = objects.iter().map(row).collect();
    let lines: Vec<String> = objects.iter().map(line).collect();
    place.print(&json!({ plural: rows }), lines.join("\n"))
}

/// Prints one object: as JSON, or as its heading and its settings in TOML.
pub fn print_object(
    place: &Place,
    json: &Value,
    heading: &str,
    settings: &impl Serialize,
) -> Result<(), Exit> {
    let settings = toml::to_string_pretty(settings).unwrap_or_default();
    place.print(json, format!("{heading}\n{}", settings.trim_end()))
}

/// The same, with names of profiles and users.
pub async fn print_with_names(
    place: &Place,
    admin: &Admin<'_>,
    json: &Value,
    heading: &str,
    settings: &impl Serialize,
) -> Result<(), Exit> {
    let settings = toml::to_string_pretty(settings).unwrap_or_default();
    let settings = match place.is_json() {
        true => String::new(),
        false => with_names(admin, &settings).await?,
    };
    place.print(json, format!("{heading}\n{}", settings.trim_end()))
}

/// The changes of `--set KEY=VALUE …` and `--set-from KEY=FILE …`. A secret in an argument would be in the list of
/// processes and in the history of the shell.
pub fn read_changes(set: &[String], set_from: &[String]) -> Result<Map<String, Value>, Exit> {
    let mut changes = parse_changes(set).map_err(Exit::refused)?;
    for key in SECRETS {
        let secret = changes.get(*key).and_then(Value::as_str);
        if secret.is_some_and(|value| !value.starts_with(SEALED)) {
            return Err(Exit::misused(format!(
                "{key} is a secret and is not read from an argument: write it into a file and use \
                 --set-from {key}=FILE, or --set-from {key}=- for standard input"
            )));
        }
    }
    let mut reads_input = false;
    for pair in set_from {
        let (key, path) = pair
            .split_once('=')
            .ok_or_else(|| Exit::misused(format!("{pair:?}: write it as KEY=FILE")))?;
        if path == "-" && std::mem::replace(&mut reads_input, true) {
            return Err(Exit::misused(
                "standard input can be read for one setting only",
            ));
        }
        let value = read_secret("--set-from", Path::new(path))?;
        changes.insert(key.trim().to_owned(), Value::from(value.expose()));
    }
    Ok(changes)
}

/// Settings whose value is a secret.
const SECRETS: &[&str] = &["recaptchaSecretKey"];

/// How `show` prints a secret: sealed, so that it can be read again.
const SEALED: &str = "sealed:";

/// The text of settings with names in place of the record ids of profiles and users, which follow as a comment: so
/// the text can be used on another installation.
pub async fn with_names(admin: &Admin<'_>, text: &str) -> Result<String, Exit> {
    let profiles = profile::list(admin).await?;
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut shown = line.to_owned();
        let mut ids = Vec::new();
        for id in line
            .split('"')
            .skip(1)
            .step_by(2)
            .filter(|text| text.len() == ID_LENGTH)
        {
            let name = match profiles.iter().find(|profile| profile.id == id) {
                Some(profile) => Some(profile.name.clone()),
                None if id.starts_with(prefix::USER) => {
                    let user = user::load(admin, id).await.ok();
                    user.map(|state| state.user.username)
                }
                None => None,
            };
            if let Some(name) = name {
                shown = shown.replace(&format!("{id:?}"), &format!("{name:?}"));
                ids.push(id);
            }
        }
        if !ids.is_empty() {
            shown = format!("{shown} # {}", ids.join(", "));
        }
        lines.push(shown);
    }
    Ok(lines.join("\n"))
}

/// The length of a record id.
const ID_LENGTH: usize = 18;

/// What a change did, for people: one line for each setting, `KEY: OLD -> NEW`.
pub fn differences(before: &impl Serialize, after: &impl Serialize) -> String {
    let members = |settings: serde_json::Result<Value>| match settings {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    };
    let before = members(serde_json::to_value(before));
    let after = members(serde_json::to_value(after));
    let lines: Vec<String> = after
        .iter()
        .filter(|(key, value)| before.get(*key) != Some(value))
        .map(|(key, value)| {
            let old = before.get(key).unwrap_or(&Value::Null);
            format!(
                "{key}: {} -> {}",
                difference_text(old),
                difference_text(value)
            )
        })
        .collect();
    lines.join("\n")
}

fn difference_text(value: &Value) -> String {
    match value {
        Value::Null => String::from("none"),
        Value::String(text) if text.starts_with(SEALED) => String::from("(sealed)"),
        other => other.to_string(),
    }
}

/// Prints that an object was deleted.
pub fn print_deleted(place: &Place, name: &str) -> Result<(), Exit> {
    place.print(
        &json!({"name": name, "deleted": true}),
        format!("{name} is deleted"),
    )
}
