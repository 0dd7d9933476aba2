//! Reading the config: the file, then the environment variables, which override it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::de::Error as _;

use super::{Config, keys};
use crate::settings::line_of_key;

/// The prefix of the server's environment variables.
const PREFIX: &str = "VESTIBULE_";

/// Why a config cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigProblem {
    /// An environment variable is invalid.
    #[error("{variable}: {reason}")]
    Environment {
        /// Its name.
        variable: String,
        /// The reason; never its value.
        reason: String,
    },
    /// The file is invalid.
    #[error("{}{}: {reason}", path.display(), line.map(|line| format!(", line {line}")).unwrap_or_default())]
    File {
        /// The file.
        path: PathBuf,
        /// The line, if known.
        line: Option<usize>,
        /// The reason.
        reason: String,
    },
    /// Every key is well formed, but some contradict each other.
    #[error("{0}")]
    Rule(String),
    /// The file of a secret cannot be read.
    #[error("{key} {}: {reason}", path.display())]
    Secret {
        /// The key of the config, or the option, that names the file.
        key: String,
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// Several of them.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Several(Vec<ConfigProblem>),
}

/// Reads a config from a file, if one is given, and from environment variables.
///
/// # Errors
/// [`ConfigProblem`], which names the file and line, or the variable, and contains no value. Everything that is wrong
/// with the keys is reported at once, and so is everything that is wrong with the rules, once every key is well formed.
pub fn load(
    path: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Config, ConfigProblem> {
    let mut problems = Vec::new();
    let mut table = match path {
        Some(path) => read_file(path, &mut problems)?,
        None => toml::Table::new(),
    };
    for (variable, value) in environment {
        // A variable that is not UTF-8 does not belong to the server; many environments have one.
        let Ok(variable) = variable.into_string() else {
            continue;
        };
        let Some(path) = key_of(&variable) else {
            continue;
        };
        let wrong = |reason| ConfigProblem::Environment {
            variable: variable.clone(),
            reason,
        };
        let Ok(value) = value.into_string() else {
            problems.push(wrong(String::from("it is not UTF-8")));
            continue;
        };
        let mut alone = toml::Table::new();
        set(&mut alone, &path, parse_value(&value));
        match parse(&alone) {
            Ok(_) => set(&mut table, &path, parse_value(&value)),
            Err(_) => problems.push(wrong(keys::reason(&path))),
        }
    }
    one_or_several(problems)?;
    let mut config = parse(&table).expect("each part of it was checked");
    config.limits.is_enabled_named = table
        .get("limits")
        .is_some_and(|limits| limits.get("enabled").is_some());
    if let Some(path) = &config.database.url_file {
        config.database.url = read_secret("[database] url_file", path)?;
    }
    one_or_several(config.problems().into_iter().map(ConfigProblem::Rule))?;
    Ok(config)
}

fn one_or_several(problems: impl IntoIterator<Item = ConfigProblem>) -> Result<(), ConfigProblem> {
    let mut problems: Vec<ConfigProblem> = problems.into_iter().collect();
    match (problems.pop(), problems.is_empty()) {
        (None, _) => Ok(()),
        (Some(only), true) => Err(only),
        (Some(last), false) => {
            problems.push(last);
            Err(ConfigProblem::Several(problems))
        }
    }
}

fn parse(table: &toml::Table) -> Result<Config, toml::de::Error> {
    toml::Value::Table(table.clone()).try_into()
}

/// Reads the secret of a key or an option from a file, without the line break at its end.
///
/// # Errors
/// The file cannot be read.
pub fn read_secret(key: &str, path: &Path) -> Result<String, ConfigProblem> {
    std::fs::read_to_string(path)
        .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
        .map_err(|error| ConfigProblem::Secret {
            key: key.to_owned(),
            path: path.to_owned(),
            reason: error.to_string(),
        })
}

/// Reads the file. Wrong keys are reported in `problems` and left out.
fn read_file(path: &Path, problems: &mut Vec<ConfigProblem>) -> Result<toml::Table, ConfigProblem> {
    let file_problem = |line, reason| ConfigProblem::File {
        path: path.to_owned(),
        line,
        reason,
    };
    let text =
        std::fs::read_to_string(path).map_err(|error| file_problem(None, error.to_string()))?;
    let table: toml::Table = toml::from_str(&text).map_err(|error: toml::de::Error| {
        let line = error
            .span()
            .map(|span| text[..span.start].matches('\n').count() + 1);
        file_problem(line, error.message().to_owned())
    })?;
    let mut leaves = Vec::new();
    collect_leaves(&table, &mut Vec::new(), &mut leaves);
    let mut kept = toml::Table::new();
    let mut wrong = Vec::new();
    for (path, value) in leaves {
        let mut alone = toml::Table::new();
        set(&mut alone, &path, value.clone());
        match parse(&alone) {
            Ok(_) => set(&mut kept, &path, value.clone()),
            Err(_) => {
                let names: Vec<&str> = path.iter().map(String::as_str).collect();
                wrong.push((line_of_key(&text, &names), path));
            }
        }
    }
    wrong.sort();
    let wrong = wrong.into_iter();
    problems.extend(wrong.map(|(line, path)| file_problem(line, keys::reason(&path))));
    Ok(kept)
}

/// Every key that is not a section, and empty sections.
fn collect_leaves<'t>(
    table: &'t toml::Table,
    path: &mut Vec<String>,
    leaves: &mut Vec<(Vec<String>, &'t toml::Value)>,
) {
    for (name, value) in table {
        path.push(name.clone());
        match value.as_table() {
            Some(inner) if !inner.is_empty() => collect_leaves(inner, path, leaves),
            _ => leaves.push((path.clone(), value)),
        }
        path.pop();
    }
}

/// `VESTIBULE_SMTP__TIMEOUT_SECONDS` is `smtp`, `timeout_seconds`; a variable without two consecutive underscores
/// is not config.
fn key_of(variable: &str) -> Option<Vec<String>> {
    let key = variable.strip_prefix(PREFIX)?;
    let names = key.split("__").map(str::to_ascii_lowercase);
    key.contains("__").then(|| names.collect())
}

/// Sets the value at a path of names, and creates the sections on the path.
fn set(table: &mut toml::Table, path: &[String], value: toml::Value) {
    match path {
        [] => {}
        [last] => {
            table.insert(last.clone(), value);
        }
        [section, rest @ ..] => {
            let entry = table
                .entry(section.clone())
                .or_insert_with(|| toml::Value::Table(toml::Table::new()));
            if !entry.is_table() {
                *entry = toml::Value::Table(toml::Table::new());
            }
            if let Some(inner) = entry.as_table_mut() {
                set(inner, rest, value);
            }
        }
    }
}

/// A number, a boolean or a list where the text is one, and text otherwise.
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

    fn environment(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        pairs
            .iter()
            .map(|(key, value)| (OsString::from(key), OsString::from(value)))
            .collect()
    }

    #[test]
    fn the_environment_overrides_the_file() {
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
    fn rules_of_a_config_stand_in_place_of_all_built_in_ones() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vestibule.toml");
        let rules = |text: &str| {
            std::fs::write(&path, text).unwrap();
            load(Some(&path), []).map(|config| config.limits.without_addresses().rules)
        };
        let built_in = crate::admission::DEFAULT_RULES.len();
        let enabled = "[limits]\nenabled = true\n";
        assert_eq!(rules(enabled).unwrap().len(), built_in);
        assert!(rules("").unwrap().len() < built_in);
        let row = "[[limits.rules]]\nsurface = \"any\"\nper = \"site\"\ncount = 5\nseconds = 1\n";
        assert_eq!(rules(&format!("{row}{row}burst = 9\n")).unwrap().len(), 2);
        assert_eq!(rules("[limits]\nrules = []\n").unwrap().len(), 0);
        for wrong in [
            row.replace("any", "every"),
            row.replace("per = \"site\"\n", ""),
            format!("{row}cuont = 5\n"),
            row.replace("count = 5", "count = 0"),
        ] {
            let problem = rules(&wrong).unwrap_err().to_string();
            assert!(problem.contains("[limits] rules"), "{problem}");
        }
        let variable = environment(&[("VESTIBULE_LIMITS__ENABLED", "true")]);
        assert!(load(None, variable).unwrap().limits.is_enabled_named);
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
    fn everything_that_is_wrong_is_reported_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vestibule.toml");
        let text = "[limits]\nenabeld = true\n[hashing]\nqueue = \"x\"\n[log]\nlevel = \"debug\"\n";
        std::fs::write(&path, text).unwrap();
        let variables = environment(&[
            ("VESTIBULE_SMPT__URL", "x"),
            ("VESTIBULE_LOG__FORMAT", "xml"),
        ]);
        let problem = load(Some(&path), variables).unwrap_err().to_string();
        for part in [
            "line 2",
            "line 4",
            "VESTIBULE_SMPT__URL",
            "VESTIBULE_LOG__FORMAT",
        ] {
            assert!(problem.contains(part), "{part}: {problem}");
        }
        assert_eq!(problem.lines().count(), 4, "{problem}");
        let text = "[log]\nlevel = \"loud\"\n[hashing]\nqueue = 0\n[database]\nconnections = 0\nurl = \"x\"\n";
        std::fs::write(&path, text).unwrap();
        let problem = load(Some(&path), []).unwrap_err().to_string();
        for part in [
            "[log] level",
            "[hashing] queue",
            "[database] connections",
            "[database] url",
        ] {
            assert!(problem.contains(part), "{part}: {problem}");
        }
    }

    #[test]
    fn a_wrong_value_is_never_repeated() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vestibule.toml");
        for (section, key, value) in [
            ("database", "connections", "s3cret"),
            ("database", "synchronous", "s3cret"),
            ("database", "url", "s3cret"),
            ("hashing", "queue", "s3cret, expected s3cret"),
            ("hashing", "threads", "-7313"),
            ("keys", "master_key_file", "7313"),
            ("keys", "master_key", "s3cret"),
            ("limits", "enabled", "s3cret"),
            ("listen", "public", "s3cret"),
            ("log", "format", "s3cret"),
            ("otp__registration", "alphabet", "s3cret"),
            ("proxies", "trusted", "[\"s3cret\"]"),
            ("smtp", "password", "s3cret"),
            ("smtp", "url", "[\"s3cret\"]"),
        ] {
            let variable = format!("VESTIBULE_{section}__{key}").to_uppercase();
            let problem = load(None, environment(&[(&variable, value)])).unwrap_err();
            let quoted = match value.starts_with(['[', '-', '7']) {
                true => value.to_owned(),
                false => format!("{value:?}"),
            };
            let section = section.replace("__", ".");
            std::fs::write(&path, format!("[{section}]\n{key} = {quoted}\n")).unwrap();
            let in_file = load(Some(&path), []).unwrap_err();
            for message in [problem.to_string(), in_file.to_string()] {
                assert!(message.contains(key), "{message}");
                assert!(
                    !message.contains("s3cret") && !message.contains("7313"),
                    "{message}"
                );
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_not_utf_8_is_passed_over_unless_it_is_the_value_of_a_key() {
        use std::os::unix::ffi::OsStringExt;
        let broken = || OsString::from_vec(b"a\xffb".to_vec());
        let mut foreign = vec![
            (broken(), OsString::from("x")),
            (OsString::from("LANG"), broken()),
            (OsString::from("VESTIBULE_DATA_DIR"), broken()),
        ];
        assert!(load(None, foreign.clone()).is_ok());
        foreign.push((OsString::from("VESTIBULE_SMTP__URL"), broken()));
        let problem = load(None, foreign).unwrap_err().to_string();
        assert_eq!(problem, "VESTIBULE_SMTP__URL: it is not UTF-8");
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
        let template: Config = toml::from_str(&super::super::template()).unwrap();
        let default = serde_json::to_value(Config::default()).unwrap();
        assert_eq!(serde_json::to_value(template).unwrap(), default);
    }
}
