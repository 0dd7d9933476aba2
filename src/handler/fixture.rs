//! Fixtures: a JSON file with the data for trying out a handler.
//!
//! A fixture contains the argument, the existing data (users, accounts, identifiers, responses of other servers),
//! and the expected result. Without an expectation, a result must only have the shape of its contract.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::HandlerError;
use super::contract::Contract;
use super::question::{
    AccountQuestion, IdentifierQuestion, SeenAccount, SeenUser, UserQuestion, seen_identifier,
};
use super::record::RecordedOutcome;
use super::script::{Host, HostAnswer, HostError};
use crate::identity::Account;
use crate::identity::external_identifier::value_key;

/// One trial.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixture {
    /// Its title.
    #[serde(default)]
    pub name: String,
    /// The argument of the handler.
    pub argument: Value,
    /// The existing users.
    #[serde(default)]
    pub users: Vec<SeenUser>,
    /// The existing accounts.
    #[serde(default)]
    pub accounts: Vec<SeenAccount>,
    /// The existing external identifiers.
    #[serde(default)]
    pub identifiers: Vec<FixtureIdentifier>,
    /// The responses of other servers; the first that matches is used.
    #[serde(default)]
    pub fetch: Vec<FixtureFetch>,
    /// The expected outcome.
    #[serde(default)]
    pub expect: Option<Expectation>,
}

/// An external identifier of a fixture.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixtureIdentifier {
    /// Its kind.
    pub kind: String,
    /// Its value.
    pub value: String,
    /// Record id of its user.
    pub user: String,
}

/// A response of another server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixtureFetch {
    /// The URL; every URL if absent.
    #[serde(default)]
    pub url: Option<String>,
    /// The method; every method if absent.
    #[serde(default)]
    pub method: Option<String>,
    /// The response.
    pub answer: FixtureAnswer,
}

/// A response.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FixtureAnswer {
    /// The status.
    pub status: u16,
    /// The headers.
    #[serde(default)]
    pub headers: Map<String, Value>,
    /// The body.
    #[serde(default)]
    pub body: String,
}

/// The expected outcome of a trial: `{"result": …}` or `{"error": {"exception": …, "message": …}}`. In an object,
/// only the members that are listed are compared.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub enum Expectation {
    /// A result with these members.
    Result(Value),
    /// An error with these members.
    Error(Value),
}

impl Host for Fixture {
    fn call<'h>(&'h self, name: &'static str, argument: Value) -> HostAnswer<'h> {
        let answer = self.answer(name, &argument);
        let answer = answer.map_err(|error| HostError {
            exception: error.exception,
            message: error.message,
        });
        Box::pin(async move { answer })
    }
}

impl Fixture {
    /// Parses one fixture or a list of them.
    ///
    /// # Errors
    /// A sentence with the reason.
    pub fn parse(text: &str) -> Result<Vec<Fixture>, String> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum OneFixtureOrMany {
            Many(Vec<Value>),
            One(Value),
        }
        let read = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let all = match read {
            OneFixtureOrMany::Many(all) => all,
            OneFixtureOrMany::One(one) => vec![one],
        };
        all.into_iter()
            .map(|one| serde_json::from_value(one).map_err(|error| error.to_string()))
            .collect()
    }

    /// The fixtures that every handler of a contract should pass.
    pub fn built_in(contract: Contract) -> Vec<Fixture> {
        let text = match contract {
            Contract::CreateUser => include_str!("assets/fixtures/createUser.json"),
            Contract::DiscoverUser => include_str!("assets/fixtures/discoverUser.json"),
            Contract::SendOneTimePassword => {
                include_str!("assets/fixtures/sendOneTimePassword.json")
            }
        };
        Fixture::parse(text).expect("the built-in fixtures are tested")
    }

    /// Answers a host call of the script.
    ///
    /// # Errors
    /// The argument has another shape, or the fixture has no such server.
    pub fn answer(&self, function: &str, argument: &Value) -> Result<Value, HandlerError> {
        match function {
            "users.find" => {
                let question = UserQuestion::parse(argument)?;
                let found = self.users.iter().filter(|user| is_meant(&question, user));
                Ok(found.map(SeenUser::to_json).collect())
            }
            "accounts.find" => {
                let question = AccountQuestion::parse(argument)?;
                let found = self.accounts.iter().filter(|account| match &question {
                    AccountQuestion::Id(id) => account.id == *id,
                    AccountQuestion::Name(key) => Account::name_key(&account.name) == *key,
                });
                Ok(found.map(|account| json!(account)).collect())
            }
            "identifiers.find" => Ok(self.identifiers(&IdentifierQuestion::parse(argument)?)),
            "fetch" => self.fetched(argument),
            _ => Err(HandlerError::new(
                "TypeException",
                format!("there is no {function}"),
            )),
        }
    }

    fn identifiers(&self, question: &IdentifierQuestion) -> Value {
        let found = self.identifiers.iter().filter(|identifier| {
            identifier.kind == question.kind
                && value_key(&identifier.value) == value_key(&question.value)
        });
        let seen = found.filter_map(|identifier| {
            let user = self.users.iter().find(|user| user.id == identifier.user)?;
            Some(seen_identifier(&identifier.kind, &identifier.value, user))
        });
        seen.collect()
    }

    fn fetched(&self, argument: &Value) -> Result<Value, HandlerError> {
        let given = |name: &str| {
            argument
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let fits = |fetch: &&FixtureFetch| {
            let is_url = fetch.url.as_deref().is_none_or(|url| url == given("url"));
            let method = if given("method").is_empty() {
                "GET"
            } else {
                given("method")
            };
            let is_method = fetch
                .method
                .as_deref()
                .is_none_or(|wanted| wanted.eq_ignore_ascii_case(method));
            is_url && is_method
        };
        let answer = self
            .fetch
            .iter()
            .find(fits)
            .map(|fetch| json!(fetch.answer));
        answer.ok_or_else(|| {
            HandlerError::new("FetchException", "the fixture has no answer of this server")
        })
    }

    /// The problems of an outcome; empty when it is as expected.
    pub fn judge(&self, contract: Contract, outcome: &RecordedOutcome) -> Vec<String> {
        match (&self.expect, outcome) {
            (
                None | Some(Expectation::Result(_)),
                RecordedOutcome::Error { exception, message },
            ) => {
                vec![format!("it failed: {exception}: {message}")]
            }
            (Some(Expectation::Error(_)), RecordedOutcome::Result(value)) => {
                vec![format!("it should have failed, and answered {value}")]
            }
            (Some(Expectation::Error(expected)), RecordedOutcome::Error { exception, message }) => {
                let found = json!({"exception": exception, "message": message});
                missing("", expected, &found)
            }
            (None, RecordedOutcome::Result(value)) => {
                check(contract, value).err().into_iter().collect()
            }
            (Some(Expectation::Result(expected)), RecordedOutcome::Result(value)) => {
                match check(contract, value) {
                    Err(problem) => vec![problem],
                    Ok(()) => missing("", expected, value),
                }
            }
        }
    }
}

fn is_meant(question: &UserQuestion, user: &SeenUser) -> bool {
    let asks = |member: &str, text: &str| {
        UserQuestion::parse(&json!({ member: text })).is_ok_and(|own| own == *question)
    };
    match question {
        UserQuestion::Invalid => false,
        UserQuestion::Id(id) => user.id == *id,
        UserQuestion::Email(_) => asks("email", &user.email),
        UserQuestion::Phone(_) => user
            .phone
            .as_deref()
            .is_some_and(|phone| asks("phone", phone)),
        UserQuestion::Username(_) => asks("username", &user.username),
    }
}

/// Checks that a value is a result of a contract.
fn check(contract: Contract, value: &Value) -> Result<(), String> {
    let checked = contract.check(value.clone());
    checked.map(drop).map_err(|error| error.explained())
}

/// The places where a value lacks what is expected.
fn missing(path: &str, expected: &Value, found: &Value) -> Vec<String> {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => expected
            .iter()
            .flat_map(|(name, value)| {
                let none = Value::Null;
                missing(
                    &format!("{path}/{name}"),
                    value,
                    found.get(name).unwrap_or(&none),
                )
            })
            .collect(),
        _ if expected == found => Vec::new(),
        _ => {
            let path = if path.is_empty() { "/" } else { path };
            vec![format!("{path} should be {expected}, and is {found}")]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(text: Value) -> Fixture {
        Fixture::parse(&text.to_string()).unwrap().remove(0)
    }

    #[test]
    fn a_fixture_answers_as_the_server_would() {
        let world = fixture(json!({"argument": {},
            "users": [{"id": "005a", "username": "Janice@example.com", "email": "J@Example.com", "phone": "+12035550100"},
                {"id": "005b", "username": "other@example.com", "email": "j@example.com"}],
            "accounts": [{"id": "001a", "name": "ACME"}],
            "identifiers": [{"kind": "order", "value": "ORD-1", "user": "005b"}],
            "fetch": [{"url": "https://a.example/", "answer": {"status": 204}}, {"method": "POST", "answer": {"status": 201}}]}));
        for (function, argument, ids) in [
            (
                "users.find",
                json!({"email": "j@EXAMPLE.com"}),
                json!(["005a", "005b"]),
            ),
            (
                "users.find",
                json!({"username": "janice@example.com"}),
                json!(["005a"]),
            ),
            (
                "users.find",
                json!({"phone": "+1 203 555 0100"}),
                json!(["005a"]),
            ),
            ("users.find", json!({"id": "005b"}), json!(["005b"])),
            ("users.find", json!({"email": "nonsense"}), json!([])),
            ("accounts.find", json!({"name": "acme"}), json!(["001a"])),
        ] {
            let answer = world.answer(function, &argument).unwrap();
            let found: Value = answer
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one["id"].clone())
                .collect();
            assert_eq!(found, ids, "{function} {argument}");
        }
        let found = world
            .answer(
                "identifiers.find",
                &json!({"kind": "order", "value": " ord-1 "}),
            )
            .unwrap();
        assert_eq!(found[0]["user"]["id"], "005b");
        assert_eq!(
            world
                .answer("fetch", &json!({"url": "https://a.example/"}))
                .unwrap()["status"],
            204
        );
        assert_eq!(
            world
                .answer(
                    "fetch",
                    &json!({"url": "https://b.example/", "method": "post"})
                )
                .unwrap()["status"],
            201
        );
        assert!(
            world
                .answer("fetch", &json!({"url": "https://b.example/"}))
                .is_err()
        );
    }

    #[test]
    fn an_outcome_is_judged_by_the_expectation_and_the_contract() {
        let judge = |expect: Value, outcome: RecordedOutcome| {
            let mut text = json!({"argument": {}});
            if !expect.is_null() {
                text["expect"] = expect;
            }
            fixture(text).judge(Contract::DiscoverUser, &outcome)
        };
        let ok = |value: Value| RecordedOutcome::Result(value);
        let failed = || RecordedOutcome::Error {
            exception: "TypeError".into(),
            message: "x is null".into(),
        };
        assert!(judge(json!(null), ok(json!({"userIds": []}))).is_empty());
        assert!(
            judge(
                json!({"result": {"userIds": ["a"]}}),
                ok(json!({"userIds": ["a"], "customErrorMessage": "m"}))
            )
            .is_empty()
        );
        assert!(judge(json!({"error": {"exception": "TypeError"}}), failed()).is_empty());
        for (expect, outcome, words) in [
            (json!(null), ok(json!({"userId": "a"})), "userId"),
            (json!(null), failed(), "it failed: TypeError: x is null"),
            (
                json!({"result": {"userIds": ["a"]}}),
                ok(json!({"userIds": ["b"]})),
                "/userIds should be [\"a\"], and is [\"b\"]",
            ),
            (
                json!({"result": {"customErrorMessage": "m"}}),
                ok(json!({"userIds": []})),
                "/customErrorMessage",
            ),
            (
                json!({"error": {}}),
                ok(json!({"userIds": []})),
                "should have failed",
            ),
            (json!({"error": {"message": "y"}}), failed(), "/message"),
        ] {
            let problems = judge(expect, outcome);
            assert!(
                problems.len() == 1 && problems[0].contains(words),
                "{words}: {problems:?}"
            );
        }
    }

    #[test]
    fn the_built_in_fixtures_have_the_arguments_of_their_contract() {
        use super::super::contract::{
            CreateUserArguments, DiscoverUserArguments, SendOneTimePasswordArguments,
        };
        for contract in Contract::ALL {
            for fixture in Fixture::built_in(contract) {
                let argument = fixture.argument.clone();
                let back = match contract {
                    Contract::CreateUser => {
                        json!(CreateUserArguments::deserialize(argument).unwrap())
                    }
                    Contract::DiscoverUser => {
                        json!(DiscoverUserArguments::deserialize(argument).unwrap())
                    }
                    Contract::SendOneTimePassword => {
                        json!(SendOneTimePasswordArguments::deserialize(argument).unwrap())
                    }
                };
                assert_eq!(back, fixture.argument, "{}", fixture.name);
                assert!(!fixture.name.is_empty());
            }
        }
    }

    #[test]
    fn an_invalid_fixture_is_refused_with_the_reason() {
        for (text, words) in [
            ("{", "EOF"),
            ("{}", "argument"),
            (r#"[{"argument":1,"user":[]}]"#, "user"),
        ] {
            assert!(Fixture::parse(text).unwrap_err().contains(words), "{text}");
        }
    }
}
