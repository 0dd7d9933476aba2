//! Changes from a file or from the command line, as one map.

use serde_json::{Map, Value};
use toml::de::DeTable;

/// A file that cannot be applied: the line that is wrong, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileProblem {
    /// Line, from 1.
    pub line: usize,
    /// A sentence for the administrator.
    pub reason: String,
}

/// Reads a TOML file of settings.
///
/// # Errors
/// The line that is not TOML.
pub fn parse_file(text: &str) -> Result<Map<String, Value>, FileProblem> {
    let table: toml::Table =
        toml::from_str(text).map_err(|error: toml::de::Error| FileProblem {
            line: error.span().map_or(1, |span| line_of(text, span.start)),
            reason: error.message().to_owned(),
        })?;
    match serde_json::to_value(table) {
        Ok(Value::Object(changes)) => Ok(changes),
        _ => Err(FileProblem {
            line: 1,
            reason: "a settings file is a table of settings".into(),
        }),
    }
}

/// The line of a TOML file in which a key is set, by the names from the top table down to it; `None`
/// when the file does not set it.
pub fn line_of_key(text: &str, path: &[&str]) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let (last, tables) = path.split_last()?;
    let mut table = document.get_ref();
    for name in tables {
        let (_, value) = table.iter().find(|(key, _)| key.get_ref() == name)?;
        table = value.get_ref().as_table()?;
    }
    let (key, _) = table.iter().find(|(key, _)| key.get_ref() == last)?;
    Some(line_of(text, key.span().start))
}

/// Reads `KEY=VALUE` pairs. A value is JSON when it parses as JSON, and text otherwise, so that
/// `true` and `10` need no quotes and neither does a name.
///
/// # Errors
/// A pair without `=`.
pub fn parse_changes(pairs: &[String]) -> Result<Map<String, Value>, String> {
    pairs
        .iter()
        .map(|pair| {
            let (key, value) = pair
                .split_once('=')
                .ok_or_else(|| format!("{pair:?}: write it as KEY=VALUE"))?;
            let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
            Ok((key.trim().to_owned(), value))
        })
        .collect()
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_wrong_line_is_named() {
        let problem = parse_file("a = true\nb = \nc = 1\n").unwrap_err();
        assert_eq!(problem.line, 2);
    }

    #[test]
    fn a_key_is_found_however_its_table_is_written() {
        let text = "a = true\n# bee = 0\nbee = \"\"\"\nsee = 1\n\"\"\"\n[see]\nx = 1\n\
                    \"y\" = 2\n[tee]\na.b = 3\nc = { d = 4 }\n";
        for (path, line) in [
            (&["a"][..], Some(1)),
            (&["bee"], Some(3)),
            (&["see"], Some(6)),
            (&["see", "x"], Some(7)),
            (&["see", "y"], Some(8)),
            (&["tee", "a", "b"], Some(10)),
            (&["tee", "c", "d"], Some(11)),
            (&["see", "z"], None),
            (&["a", "x"], None),
            (&["zee"], None),
            (&[], None),
        ] {
            assert_eq!(line_of_key(text, path), line, "{path:?}");
        }
        assert_eq!(line_of_key("not = = toml", &["not"]), None);
    }

    #[test]
    fn pairs_are_json_where_they_can_be() {
        let pairs = [
            "a=true".to_owned(),
            "b=some name".to_owned(),
            "c=[\"x\"]".to_owned(),
        ];
        let changes = parse_changes(&pairs).unwrap();
        assert_eq!(
            Value::Object(changes),
            json!({"a": true, "b": "some name", "c": ["x"]})
        );
        assert!(parse_changes(&["nothing".to_owned()]).is_err());
    }
}
