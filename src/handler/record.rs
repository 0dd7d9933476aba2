//! The record of a call: what went in, what the server was asked and answered, what came out.
//!
//! It is enough to run a script again. Secrets leave it before it is sealed: members that are called like
//! one, wherever they stand, and their values wherever those turn up again. A replay gets the same
//! word in their place, so that what is recorded and what is replayed can be compared.

use aho_corasick::{AhoCorasick, MatchKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::HandlerError;

/// What stands in the place of a secret.
pub const REMOVED: &str = "[removed]";

/// A value that is shorter is removed where it stands, but not searched for elsewhere.
const SEARCHED_LENGTH_MIN: usize = 4;

/// Nested deeper than any request may be.
const DEPTH_MAX: usize = 64;

/// The record of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallRecord {
    /// What the handler was given.
    pub argument: Value,
    /// Where secrets were removed, as JSON pointers into this record.
    #[serde(default)]
    pub removed: Vec<String>,
    /// Whether questions and log are all here; a very large record keeps neither, and cannot be replayed.
    pub is_whole: bool,
    /// Record id of the user whose rights it had.
    pub run_as: Option<String>,
    /// The instant that the script saw, in milliseconds since the epoch.
    pub at_ms: i64,
    /// What the script's randomness came from, in hexadecimal digits; none for a webhook.
    pub seed: Option<String>,
    /// What the server was asked, in order.
    pub questions: Vec<Question>,
    /// What came of it.
    pub outcome: Outcome,
    /// What the handler logged.
    pub log: Vec<Value>,
}

/// Something that the server was asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// The host function: `users.find`.
    pub name: String,
    /// What it was given.
    pub argument: Value,
    /// What it answered.
    pub answer: Outcome,
}

/// A result, or an exception.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It went well.
    Result(Value),
    /// It did not.
    Error {
        /// The kind of error.
        exception: String,
        /// What about it.
        message: String,
    },
}

impl Question {
    /// What a question looks like without secrets, by itself.
    pub fn cleaned_argument(argument: &Value) -> Value {
        let mut found = Secrets::default();
        found.search(argument, 0);
        found.settle();
        found.clean("", argument, &mut Vec::new(), 0)
    }
}

impl Outcome {
    /// An outcome of a handler.
    pub fn of(outcome: &Result<Value, HandlerError>) -> Outcome {
        match outcome {
            Ok(value) => Outcome::Result(value.clone()),
            Err(error) => Outcome::Error {
                exception: error.exception.clone(),
                message: error.explained(),
            },
        }
    }

    /// `ok` or `failed`.
    pub fn word(&self) -> &'static str {
        match self {
            Outcome::Result(_) => "ok",
            Outcome::Error { .. } => "failed",
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
            if let Outcome::Result(value) = &question.answer {
                found.search(value, 0);
            }
        }
        if let Outcome::Result(value) = &self.outcome {
            found.search(value, 0);
        }
        found.settle();
        let mut removed = Vec::new();
        let mut clean = |at: &str, value: &Value| found.clean(at, value, &mut removed, 0);
        let argument = clean("/argument", &self.argument);
        let questions = self.questions.iter().enumerate();
        let questions = questions
            .map(|(number, question)| Question {
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

impl Outcome {
    fn cleaned(&self, at: &str, clean: &mut impl FnMut(&str, &Value) -> Value) -> Outcome {
        match self {
            Outcome::Result(value) => Outcome::Result(clean(at, value)),
            Outcome::Error { exception, message } => {
                let mut clean_text = |text: &str| {
                    let clean = clean(at, &Value::from(text));
                    clean.as_str().unwrap_or_default().to_owned()
                };
                Outcome::Error {
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
            // `otp1` is one, too.
            WORDS.contains(&word.trim_end_matches(|c: char| c.is_ascii_digit()))
        })
}

/// The words of `camelCase`, `snake_case` and `Kebab-Case`.
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
    /// Finds all of them in one pass, once they are settled.
    finder: Option<AhoCorasick>,
}

impl Secrets {
    /// Notes every value that stands under a secret's name.
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

    /// Makes them findable in one pass over a text: of those that begin at one place the longest, so that
    /// no part of one is left over, and never in what has been put in the place of another, so that no
    /// text grows by more than the word for each.
    fn settle(&mut self) {
        self.values
            .retain(|value| value.chars().count() >= SEARCHED_LENGTH_MIN);
        self.values.sort_unstable();
        self.values.dedup();
        // More text than an automaton holds is more than any request brings.
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
            // What holds no secret stays as it was written.
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

/// A flag or nothing at all is no secret.
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

    fn record(argument: Value, questions: Vec<Question>, outcome: Outcome) -> CallRecord {
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
    fn a_member_is_removed_by_its_name_wherever_it_stands_and_the_record_says_where() {
        let custom = r#"{"plan":"gold","apiToken":"tk-0123456789","nested":{"pin":4711,"hasPassword":true}}"#;
        let argument = json!({"customUserDataMap": custom, "password": null,
            "data": {"attributeMap": {"secretAnswer": "Rosebud", "town": "Bonn"}}});
        let clean = record(
            argument,
            Vec::new(),
            Outcome::Result(json!({"attributes": {"town": "Bonn"}})),
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
    fn a_secret_that_turns_up_again_is_removed_there_too() {
        let argument = json!({"oneTimePassword": "493817", "phoneNumber": "+12035550100",
            "defaultText": "493817 is your code"});
        let question = Question {
            name: String::from("fetch"),
            argument: json!({"url": "https://sms.example/send?api_key=k-998877&to=1", "method": "POST",
                "headers": {"Authorization": "Bearer abcdefgh"}, "body": "{\"text\":\"493817\"}"}),
            answer: Outcome::Error {
                exception: String::from("FetchException"),
                message: String::from("493817 refused"),
            },
        };
        let mut dirty = record(argument, vec![question], Outcome::Result(json!("SUCCESS")));
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
    fn what_holds_no_secret_stays_as_it_was_written() {
        let argument =
            json!({"customDataJson": "{ \"b\": 1,\n \"a\": [2] }", "loginHint": "a=b", "n": 1.50});
        let dirty = record(
            argument,
            Vec::new(),
            Outcome::Result(json!({"userIds": []})),
        );
        assert_eq!(dirty.clone().cleaned(), dirty);
        let twice = record(
            json!({"password": "a secret of some length"}),
            Vec::new(),
            Outcome::Result(json!(1)),
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
        let clean = record(argument, Vec::new(), Outcome::Result(Value::Null)).cleaned();
        assert_eq!(clean.argument, json!({"pin": REMOVED, "amount": "1001"}));
    }

    #[test]
    fn a_text_does_not_grow_by_secrets_that_are_parts_of_the_word_for_them() {
        // Each of them is found in "[removed]", and in what that would become.
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
            Outcome::Result(json!({})),
        );
        dirty = dirty.cleaned();
        let clean = dirty.argument["note"].as_str().unwrap();
        assert_eq!(clean, format!("{REMOVED} ").repeat(500));
    }
}
