//! The record of a call: its argument, the host calls with their results, and its outcome.
//!
//! It is sufficient to run a script again. Secrets are removed before it is sealed: every member with the name of a
//! secret, at any depth, and every other occurrence of its value. A replay has the same placeholder in their place,
//! so that the two can be compared.

use aho_corasick::{AhoCorasick, MatchKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::HandlerError;
use crate::contract::CallOutcome;

/// The placeholder for a secret.
pub const REMOVED: &str = "[removed]";

/// A shorter value is removed from its member, but not searched for elsewhere.
const SEARCHED_LENGTH_MIN: usize = 4;

/// More levels than any request may have.
const DEPTH_MAX: usize = 64;

/// The record of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallRecord {
    /// The argument of the handler.
    pub argument: Value,
    /// Where secrets were removed, as JSON pointers into this record.
    #[serde(default)]
    pub removed: Vec<String>,
    /// Whether host calls and log are complete; a very large record contains neither, and cannot be replayed.
    pub is_whole: bool,
    /// Record id of the user whose rights the handler had.
    pub run_as: Option<String>,
    /// The time of the script's clock, in milliseconds since the epoch.
    pub at_ms: i64,
    /// The seed of the script's randomness, in hexadecimal digits; none for a webhook.
    pub seed: Option<String>,
    /// The host calls, in order.
    pub questions: Vec<RecordedHostCall>,
    /// The outcome.
    pub outcome: RecordedOutcome,
    /// What the handler logged.
    pub log: Vec<Value>,
}

/// A host call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedHostCall {
    /// The host function: `users.find`.
    pub name: String,
    /// Its argument.
    pub argument: Value,
    /// Its result.
    pub answer: RecordedOutcome,
}

/// A result, or an exception.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RecordedOutcome {
    /// A success.
    Result(Value),
    /// A failure.
    Error {
        /// The kind of error.
        exception: String,
        /// The message.
        message: String,
    },
}

impl RecordedHostCall {
    /// A single argument without secrets.
    pub fn cleaned_argument(argument: &Value) -> Value {
        let mut found = Secrets::default();
        found.search(argument, 0);
        found.settle();
        found.clean("", argument, &mut Vec::new(), 0)
    }
}

impl RecordedOutcome {
    /// An outcome of a handler.
    pub fn of(outcome: &Result<Value, HandlerError>) -> RecordedOutcome {
        match outcome {
            Ok(value) => RecordedOutcome::Result(value.clone()),
            Err(error) => RecordedOutcome::Error {
                exception: error.exception.clone(),
                message: error.explained(),
            },
        }
    }

    /// The outcome without its value.
    pub fn word(&self) -> CallOutcome {
        match self {
            RecordedOutcome::Result(_) => CallOutcome::Ok,
            RecordedOutcome::Error { .. } => CallOutcome::Failed,
        }
    }
}

impl CallRecord {
    /// The record without secrets.
    pub fn cleaned(self) -> CallRecord {
        let mut found = Secrets::default();
        found.search(&self.argument, 0);
        for question in &self.questions {
            found.search(&question.argument, 0);
            if let RecordedOutcome::Result(value) = &question.answer {
                found.search(value, 0);
            }
        }
        if let RecordedOutcome::Result(value) = &self.outcome {
            found.search(value, 0);
        }
        found.settle();
        let mut removed = Vec::new();
        let mut clean = |at: &str, value: &Value| found.clean(at, value, &mut removed, 0);
        let argument = clean("/argument", &self.argument);
        let questions = self.questions.iter().enumerate();
        let questions = questions
            .map(|(number, question)| RecordedHostCall {
                name: question.name.clone(),
                argument: clean(&format!("/questions/{number}/argument"), &question.argument),
                answer: question
                    .answer
                    .cleaned(&format!("/questions/{number}/answer"), &mut clean),
            })
            .collect();
        let outcome = self.outcome.cleaned("/outcome", &mut clean);
        let log = self.log.iter().enumerate();
        let log = log
            .map(|(number, line)| clean(&format!("/log/{number}"), line))
            .collect();
        CallRecord {
            argument,
            removed,
            questions,
            outcome,
            log,
            ..self
        }
    }
}

impl RecordedOutcome {
    fn cleaned(&self, at: &str, clean: &mut impl FnMut(&str, &Value) -> Value) -> RecordedOutcome {
        match self {
            RecordedOutcome::Result(value) => RecordedOutcome::Result(clean(at, value)),
            RecordedOutcome::Error { exception, message } => {
                let mut clean_text = |text: &str| {
                    let clean = clean(at, &Value::from(text));
                    clean.as_str().unwrap_or_default().to_owned()
                };
                RecordedOutcome::Error {
                    exception: clean_text(exception),
                    message: clean_text(message),
                }
            }
        }
    }
}

/// Whether a member of this name may hold a secret.
pub fn is_secret_name(name: &str) -> bool {
    const PARTS: [&str; 11] = [
        "password",
        "passwd",
        "passphrase",
        "passcode",
        "secret",
        "token",
        "authorization",
        "cookie",
        "apikey",
        "credential",
        "onetime",
    ];
    const WORDS: [&str; 5] = ["otp", "pin", "pwd", "pass", "jwt"];
    let joined: String = name.chars().filter(|c| c.is_alphanumeric()).collect();
    let joined = joined.to_lowercase();
    PARTS.iter().any(|part| joined.contains(part))
        || words(name).any(|word| {
            let word = word.to_lowercase();
            // `otp1` is one as well.
            WORDS.contains(&word.trim_end_matches(|c: char| c.is_ascii_digit()))
        })
}

/// The words of a name in `camelCase`, `snake_case` or `Kebab-Case`.
fn words(name: &str) -> impl Iterator<Item = &str> {
    let mut starts = vec![0];
    let mut was_lower = false;
    for (at, character) in name.char_indices() {
        if character.is_uppercase() && was_lower {
            starts.push(at);
        }
        was_lower = character.is_lowercase() || character.is_numeric();
    }
    let ends = starts.clone().into_iter().skip(1).chain([name.len()]);
    let parts: Vec<&str> = starts
        .into_iter()
        .zip(ends)
        .map(|(a, b)| &name[a..b])
        .collect();
    parts
        .into_iter()
        .flat_map(|part| part.split(|c: char| !c.is_alphanumeric()))
}

/// The secrets of a call, by value.
#[derive(Default)]
struct Secrets {
    values: Vec<String>,
    /// Finds all of them in one pass, once they are complete.
    finder: Option<AhoCorasick>,
}

impl Secrets {
    /// Collects every value under a secret's name.
    fn search(&mut self, value: &Value, depth: usize) {
        if depth > DEPTH_MAX {
            return;
        }
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    if is_secret_name(name) {
                        self.note(value, depth + 1);
                    } else {
                        self.search(value, depth + 1);
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.search(item, depth + 1)),
            Value::String(text) => match inner_json(text) {
                Some(inner) => self.search(&inner, depth + 1),
                None => {
                    for (_, value) in pairs(text).filter(|(name, _)| is_secret_name(name)) {
                        self.note(&Value::from(value), depth + 1);
                    }
                }
            },
            _ => {}
        }
    }

    fn note(&mut self, value: &Value, depth: usize) {
        if depth > DEPTH_MAX {
            return;
        }
        match value {
            Value::Object(members) => members
                .values()
                .for_each(|value| self.note(value, depth + 1)),
            Value::Array(items) => items.iter().for_each(|item| self.note(item, depth + 1)),
            Value::String(text) if text != REMOVED => {
                self.values.push(text.clone());
                // `Bearer …` is a scheme and a secret.
                self.values
                    .extend(text.split_whitespace().skip(1).map(str::to_owned));
            }
            Value::Number(number) => self.values.push(number.to_string()),
            _ => {}
        }
    }

    /// Builds the automaton that finds them in one pass over a text: of several that begin at one position the
    /// longest, so that no part of one remains, and never inside a placeholder, so that a text grows by at most one
    /// placeholder for each.
    fn settle(&mut self) {
        self.values
            .retain(|value| value.chars().count() >= SEARCHED_LENGTH_MIN);
        self.values.sort_unstable();
        self.values.dedup();
        // An automaton holds more text than any request can contain.
        self.finder = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&self.values)
            .ok();
    }

    fn clean(&self, at: &str, value: &Value, removed: &mut Vec<String>, depth: usize) -> Value {
        if depth > DEPTH_MAX {
            return Value::from(REMOVED);
        }
        match value {
            Value::Object(members) => {
                let clean = members.iter().map(|(name, value)| {
                    let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                    let value = if is_secret_name(name) && is_removable(value) {
                        removed.push(at);
                        Value::from(REMOVED)
                    } else {
                        self.clean(&at, value, removed, depth + 1)
                    };
                    (name.clone(), value)
                });
                Value::Object(clean.collect())
            }
            Value::Array(items) => {
                let items = items.iter().enumerate();
                let clean = items.map(|(number, item)| {
                    self.clean(&format!("{at}/{number}"), item, removed, depth + 1)
                });
                Value::Array(clean.collect())
            }
            Value::String(text) => self.clean_text(at, text, removed, depth),
            Value::Number(number) if self.values.binary_search(&number.to_string()).is_ok() => {
                removed.push(at.to_owned());
                Value::from(REMOVED)
            }
            other => other.clone(),
        }
    }

    fn clean_text(&self, at: &str, text: &str, removed: &mut Vec<String>, depth: usize) -> Value {
        if let Some(inner) = inner_json(text) {
            let count = removed.len();
            let clean = self.clean(at, &inner, removed, depth + 1);
            // A text without secrets is not changed.
            let is_changed = removed.len() > count;
            return Value::from(if is_changed {
                clean.to_string()
            } else {
                text.to_owned()
            });
        }
        let Some(finder) = &self.finder else {
            removed.push(at.to_owned());
            return Value::from(REMOVED);
        };
        let mut clean = String::with_capacity(text.len());
        finder.replace_all_with(text, &mut clean, |_, _, clean| {
            clean.push_str(REMOVED);
            true
        });
        if clean != text {
            removed.push(at.to_owned());
        }
        Value::from(clean)
    }
}

/// Flags and null are not secrets.
fn is_removable(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) => false,
        Value::String(text) => !text.is_empty() && text != REMOVED,
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Number(_) => true,
    }
}

/// A text that is the JSON of an object or a list.
fn inner_json(text: &str) -> Option<Value> {
    let text = text.trim_start();
    if !text.starts_with(['{', '[']) {
        return None;
    }
    serde_json::from_str(text).ok()
}

/// The `name=value` pairs of a query or of a form.
fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(['?', '&', '#'])
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, value)| !value.is_empty() && !name.contains(char::is_whitespace))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(
        argument: Value,
        questions: Vec<RecordedHostCall>,
        outcome: RecordedOutcome,
    ) -> CallRecord {
        CallRecord {
            argument,
            removed: Vec::new(),
            is_whole: true,
            run_as: None,
            at_ms: 0,
            seed: None,
            questions,
            outcome,
            log: Vec::new(),
        }
    }

    #[test]
    fn names_that_look_like_a_secret() {
        for name in [
            "password",
            "oneTimePassword",
            "client_secret",
            "accessToken",
            "Authorization",
            "Set-Cookie",
            "X-Api-Key",
            "otp",
            "smsOtp",
            "user-otp",
            "PIN",
            "userPin",
            "pwd",
            "refresh_token",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "footprint",
            "email",
            "pinterest",
            "spinner",
            "passenger",
            "compass",
            "orderNumber",
            "zip",
            "code",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn a_member_is_removed_by_its_name_at_any_depth_and_the_record_lists_where() {
        let custom = r#"{"plan":"gold","apiToken":"tk-0123456789","nested":{"pin":4711,"hasPassword":true}}"#;
        let argument = json!({"customUserDataMap": custom, "password": null,
            "data": {"attributeMap": {"secretAnswer": "Rosebud", "town": "Bonn"}}});
        let clean = record(
            argument,
            Vec::new(),
            RecordedOutcome::Result(json!({"attributes": {"town": "Bonn"}})),
        )
        .cleaned();
        let inner: Value =
            serde_json::from_str(clean.argument["customUserDataMap"].as_str().unwrap()).unwrap();
        assert_eq!(
            inner,
            json!({"plan": "gold", "apiToken": REMOVED, "nested": {"pin": REMOVED, "hasPassword": true}})
        );
        assert_eq!(clean.argument["password"], Value::Null);
        assert_eq!(
            clean.argument["data"]["attributeMap"],
            json!({"secretAnswer": REMOVED, "town": "Bonn"})
        );
        assert_eq!(
            clean.removed,
            [
                "/argument/customUserDataMap/apiToken",
                "/argument/customUserDataMap/nested/pin",
                "/argument/data/attributeMap/secretAnswer",
            ]
        );
    }

    #[test]
    fn every_other_occurrence_of_a_secret_is_removed_too() {
        let argument = json!({"oneTimePassword": "493817", "phoneNumber": "+12035550100",
            "defaultText": "493817 is your code"});
        let question = RecordedHostCall {
            name: String::from("fetch"),
            argument: json!({"url": "https://sms.example/send?api_key=k-998877&to=1", "method": "POST",
                "headers": {"Authorization": "Bearer abcdefgh"}, "body": "{\"text\":\"493817\"}"}),
            answer: RecordedOutcome::Error {
                exception: String::from("FetchException"),
                message: String::from("493817 refused"),
            },
        };
        let mut dirty = record(
            argument,
            vec![question],
            RecordedOutcome::Result(json!("SUCCESS")),
        );
        dirty.log = vec![json!("sent 493817 with abcdefgh and k-998877")];
        let clean = dirty.cleaned();
        let text = serde_json::to_string(&clean).unwrap();
        for secret in ["493817", "abcdefgh", "k-998877"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        assert_eq!(clean.argument["phoneNumber"], "+12035550100");
        assert_eq!(clean.argument["defaultText"], "[removed] is your code");
        assert_eq!(
            clean.log,
            [json!("sent [removed] with [removed] and [removed]")]
        );
        assert_eq!(
            clean.questions[0].argument["body"],
            "{\"text\":\"[removed]\"}"
        );
    }

    #[test]
    fn text_without_a_secret_is_unchanged() {
        let argument =
            json!({"customDataJson": "{ \"b\": 1,\n \"a\": [2] }", "loginHint": "a=b", "n": 1.50});
        let dirty = record(
            argument,
            Vec::new(),
            RecordedOutcome::Result(json!({"userIds": []})),
        );
        assert_eq!(dirty.clone().cleaned(), dirty);
        let twice = record(
            json!({"password": "a secret of some length"}),
            Vec::new(),
            RecordedOutcome::Result(json!(1)),
        )
        .cleaned();
        assert_eq!(
            CallRecord {
                removed: Vec::new(),
                ..twice.clone()
            }
            .cleaned()
            .argument,
            twice.argument
        );
    }

    #[test]
    fn a_short_secret_is_not_searched_for_elsewhere() {
        let argument = json!({"pin": "1", "amount": "1001"});
        let clean = record(argument, Vec::new(), RecordedOutcome::Result(Value::Null)).cleaned();
        assert_eq!(clean.argument, json!({"pin": REMOVED, "amount": "1001"}));
    }

    #[test]
    fn a_text_does_not_grow_by_secrets_that_are_parts_of_the_word_for_them() {
        // Each of them occurs in "[removed]", and in what that would become.
        let secrets: Vec<String> = [
            "[rem", "move", "oved", "ved]", "remo", "emov", "remov", "removed",
        ]
        .into_iter()
        .cycle()
        .take(64)
        .map(str::to_owned)
        .collect();
        let note = "move ".repeat(500);
        let mut dirty = record(
            json!({"token": secrets, "note": note}),
            Vec::new(),
            RecordedOutcome::Result(json!({})),
        );
        dirty = dirty.cleaned();
        let clean = dirty.argument["note"].as_str().unwrap();
        assert_eq!(clean, format!("{REMOVED} ").repeat(500));
    }
}
