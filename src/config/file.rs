//! Reading the config: the file, then the environment over it.

use std::path::{Path, PathBuf};

use serde::de::Error as _;

use super::Config;

/// Environment variables of ours start with this.
const PREFIX: &str = "VESTIBULE_";

/// Why a config cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigProblem {
    /// An environment variable is wrong.
    #[error("{variable}: {reason}")]
    Environment {
        /// Its name.
        variable: String,
        /// What is wrong; never its value.
        reason: String,
    },
    /// The file is wrong.
    #[error("{}{}: {reason}", path.display(), line.map(|line| format!(", line {line}")).unwrap_or_default())]
    File {
        /// The file.
        path: PathBuf,
        /// The line, where one is to blame.
        line: Option<usize>,
        /// What is wrong.
        reason: String,
    },
    /// Every key is well formed, and together they do not work.
    #[error("{0}")]
    Rule(String),
}

/// Reads a config from a file, if one is given, and from environment variables.
///
/// # Errors
/// [`ConfigProblem`], which names the file and line, or the variable.
pub fn load(
    path: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, ConfigProblem> {
    let mut table = match path {
        Some(path) => read_file(path)?,
        None => toml::Table::new(),
    };
    for (variable, value) in environment {
        if let Some(key) = variable
            .strip_prefix(PREFIX)
            .filter(|key| key.contains("__"))
        {
            overlay(&mut table, key, &value);
            let checked = toml::Value::Table(table.clone()).try_into::<Config>();
            checked.map_err(|error| ConfigProblem::Environment {
                variable: variable.clone(),
                reason: error.message().to_owned(),
            })?;
        }
    }
    let mut config: Config = toml::Value::Table(table)
        .try_into()
        .map_err(|error: toml::de::Error| ConfigProblem::Rule(error.message().to_owned()))?;
    if let Some(path) = &config.database.url_file {
        config.database.url = read_secret(path)?;
    }
    config.validate().map_err(ConfigProblem::Rule)?;
    Ok(config)
}

/// Reads a secret from a file, without the line break at its end.
///
/// # Errors
/// The file cannot be read.
pub fn read_secret(path: &Path) -> Result<String, ConfigProblem> {
    std::fs::read_to_string(path)
        .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
        .map_err(|error| ConfigProblem::File {
            path: path.to_owned(),
            line: None,
            reason: error.to_string(),
        })
}

fn read_file(path: &Path) -> Result<toml::Table, ConfigProblem> {
    let file_problem = |line, reason| ConfigProblem::File {
        path: path.to_owned(),
        line,
        reason,
    };
    let text =
        std::fs::read_to_string(path).map_err(|error| file_problem(None, error.to_string()))?;
    let located = |error: toml::de::Error| {
        let line = error
            .span()
            .map(|span| text[..span.start].matches('\n').count() + 1);
        file_problem(line, error.message().to_owned())
    };
    // The types are checked against the text itself, because only there do keys have lines.
    toml::from_str::<Config>(&text).map_err(located)?;
    toml::from_str(&text).map_err(located)
}

/// Sets `SMTP__TIMEOUT_SECONDS` to a value: a number or truth value where it reads as one.
fn overlay(table: &mut toml::Table, key: &str, value: &str) {
    let mut path: Vec<String> = key.split("__").map(str::to_ascii_lowercase).collect();
    let last = path.pop().unwrap_or_default();
    let mut table = table;
    for part in path {
        let entry = table
            .entry(part)
            .or_insert_with(|| toml::Value::Table(toml::Table::new()));
        if !entry.is_table() {
            *entry = toml::Value::Table(toml::Table::new());
        }
        let Some(inner) = entry.as_table_mut() else {
            return;
        };
        table = inner;
    }
    table.insert(last, parse_value(value));
}

fn parse_value(text: &str) -> toml::Value {
    let parsed = toml::from_str::<toml::Table>(&format!("v = {text}")).and_then(|mut table| {
        table
            .remove("v")
            .ok_or_else(|| toml::de::Error::custom("no value"))
    });
    match parsed {
        Ok(value @ (toml::Value::Integer(_) | toml::Value::Boolean(_) | toml::Value::Array(_))) => {
            value
        }
        _ => toml::Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn the_environment_stands_over_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vestibule.toml");
        std::fs::write(&path, "[limits]\nenabled = true\n[hashing]\nqueue = 5\n").unwrap();
        let variables = environment(&[
            ("VESTIBULE_LIMITS__ENABLED", "false"),
            ("VESTIBULE_SMTP__URL", "smtp://127.0.0.1:25"),
            ("VESTIBULE_SMTP__FROM", "a@example.com"),
            ("VESTIBULE_OTP__REGISTRATION__LENGTH", "8"),
            ("VESTIBULE_PROXIES__TRUSTED", "[\"10.0.0.0/8\"]"),
            (
                "VESTIBULE_TEST_POSTGRES_BIN",
                "ignored: no double underscore",
            ),
        ]);
        let config = load(Some(&path), variables).unwrap();
        assert!(!config.limits.enabled);
        assert_eq!(config.hashing.queue, 5);
        assert_eq!(config.otp.registration.length, 8);
        assert_eq!(config.smtp.url.as_deref(), Some("smtp://127.0.0.1:25"));
        assert_eq!(config.proxies.trusted.len(), 1);
    }

    #[test]
    fn an_unknown_key_is_fatal_and_its_line_or_variable_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vestibule.toml");
        std::fs::write(&path, "[limits]\nenabled = true\nenabeld = true\n").unwrap();
        let problem = load(Some(&path), []).unwrap_err().to_string();
        assert!(problem.contains("line 3"), "{problem}");
        let problem = load(None, environment(&[("VESTIBULE_SMPT__URL", "x")])).unwrap_err();
        assert!(
            problem.to_string().contains("VESTIBULE_SMPT__URL"),
            "{problem}"
        );
        let problem = load(None, environment(&[("VESTIBULE_HASHING__QUEUE", "many")])).unwrap_err();
        assert!(
            problem.to_string().contains("VESTIBULE_HASHING__QUEUE"),
            "{problem}"
        );
    }

    #[test]
    fn a_database_url_of_no_kind_is_refused_without_being_repeated() {
        let variables = environment(&[("VESTIBULE_DATABASE__URL", "mysql://user:hunter2@host/db")]);
        let problem = load(None, variables).unwrap_err().to_string();
        assert!(
            problem.contains("[database] url") && !problem.contains("hunter2"),
            "{problem}"
        );
    }

    #[test]
    fn the_printed_template_is_a_valid_config_with_the_defaults() {
        let template: Config = toml::from_str(super::super::TEMPLATE).unwrap();
        let default = serde_json::to_value(Config::default()).unwrap();
        assert_eq!(serde_json::to_value(template).unwrap(), default);
    }
}
