//! The differences between two JSON values: one line per path, for people.

use serde_json::Value;

/// The differences between two values, as lines: `- /path before` and `+ /path after`. Empty when the
/// values are the same.
pub fn differences(before: &Value, after: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    compare("", before, after, &mut lines);
    lines
}

fn compare(path: &str, before: &Value, after: &Value, lines: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            for (name, value) in old {
                let path = format!("{path}/{name}");
                match new.get(name) {
                    Some(other) => compare(&path, value, other, lines),
                    None => lines.push(format!("- {path} {value}")),
                }
            }
            for (name, value) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
                lines.push(format!("+ {path}/{name} {value}"));
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            for at in 0..old.len().max(new.len()) {
                let path = format!("{path}/{at}");
                match (old.get(at), new.get(at)) {
                    (Some(value), Some(other)) => compare(&path, value, other, lines),
                    (Some(value), None) => lines.push(format!("- {path} {value}")),
                    (None, Some(value)) => lines.push(format!("+ {path} {value}")),
                    (None, None) => {}
                }
            }
        }
        _ if before == after => {}
        _ => {
            let path = if path.is_empty() { "/" } else { path };
            lines.push(format!("- {path} {before}"));
            lines.push(format!("+ {path} {after}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_line_per_place() {
        for (before, after, lines) in [
            (
                json!({"a": [1, {"b": 2}]}),
                json!({"a": [1, {"b": 2}]}),
                &[][..],
            ),
            (json!("x"), json!(1), &["- / \"x\"", "+ / 1"]),
            (
                json!({"userIds": ["005a"], "old": 1}),
                json!({"userIds": ["005b", "005c"], "new": null}),
                &[
                    "- /userIds/0 \"005a\"",
                    "+ /userIds/0 \"005b\"",
                    "+ /userIds/1 \"005c\"",
                    "- /old 1",
                    "+ /new null",
                ],
            ),
            (json!([1, 2]), json!([1]), &["- /1 2"]),
        ] {
            assert_eq!(differences(&before, &after), lines, "{before} {after}");
        }
    }
}
