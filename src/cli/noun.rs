//! What the commands of every noun share: how a list and a single object are printed, and how the
//! `KEY=VALUE` pairs of `--set` are read.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::exit::Exit;
use super::place::Place;
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

/// The changes of `--set KEY=VALUE …`.
pub fn read_changes(set: &[String]) -> Result<Map<String, Value>, Exit> {
    parse_changes(set).map_err(Exit::refused)
}

/// Prints that an object was deleted.
pub fn print_deleted(place: &Place, name: &str) -> Result<(), Exit> {
    place.print(
        &json!({"name": name, "deleted": true}),
        format!("{name} is deleted"),
    )
}
