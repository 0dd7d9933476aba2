//! The look-ups of scripts, parsed from their JSON, and their results as JSON.
//!
//! The live host queries the database, a trial queries its fixture; the meaning of a look-up and the JSON of a user
//! are the same for both and are defined here.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::HandlerError;
use crate::identity::email::EmailAddress;
use crate::identity::phone::PhoneNumber;
use crate::identity::username::Username;
use crate::identity::{Account, Attributes, User};

/// The maximum number of users, accounts or identifiers in one result.
pub const FOUND_MAX: usize = 50;

/// The argument of `users.find`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserQuestion {
    /// By the address in its compared form.
    Email(String),
    /// By record id.
    Id(String),
    /// No user can match: the value is not an address, a number or a username.
    Invalid,
    /// By the phone number in E.164 form.
    Phone(String),
    /// By the username in its compared form.
    Username(String),
}

/// The argument of `accounts.find`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountQuestion {
    /// By record id.
    Id(String),
    /// By the name in its compared form.
    Name(String),
}

/// The argument of `identifiers.find`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentifierQuestion {
    /// The kind: `order`.
    pub kind: String,
    /// The value as given.
    pub value: String,
}

impl UserQuestion {
    /// Parses `{username}`, `{email}`, `{phone}` or `{id}`.
    ///
    /// # Errors
    /// `TypeException`: none of them, several, another member, or not a text.
    pub fn parse(argument: &Value) -> Result<UserQuestion, HandlerError> {
        let (name, text) = only(
            "users.find",
            argument,
            &["username", "email", "phone", "id"],
        )?;
        Ok(match name {
            "username" => Username::parse(text).map_or(UserQuestion::Invalid, |name| {
                UserQuestion::Username(name.key().to_owned())
            }),
            "email" => EmailAddress::parse(text).map_or(UserQuestion::Invalid, |email| {
                UserQuestion::Email(email.key())
            }),
            "phone" => PhoneNumber::parse(text).map_or(UserQuestion::Invalid, |phone| {
                UserQuestion::Phone(phone.as_str().to_owned())
            }),
            _ => UserQuestion::Id(text.to_owned()),
        })
    }
}

impl AccountQuestion {
    /// Parses `{name}` or `{id}`.
    ///
    /// # Errors
    /// `TypeException`: neither of them, both, another member, or not a text.
    pub fn parse(argument: &Value) -> Result<AccountQuestion, HandlerError> {
        let (name, text) = only("accounts.find", argument, &["name", "id"])?;
        Ok(match name {
            "name" => AccountQuestion::Name(Account::name_key(text)),
            _ => AccountQuestion::Id(text.to_owned()),
        })
    }
}

impl IdentifierQuestion {
    /// Parses `{kind, value}`.
    ///
    /// # Errors
    /// `TypeException`: one is missing, there is another member, or it is not a text.
    pub fn parse(argument: &Value) -> Result<IdentifierQuestion, HandlerError> {
        let members = argument.as_object();
        let text = |name| {
            members
                .and_then(|members| members.get(name))
                .and_then(Value::as_str)
        };
        match (text("kind"), text("value"), members.map(Map::len)) {
            (Some(kind), Some(value), Some(2)) => Ok(IdentifierQuestion {
                kind: kind.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err(misused(
                "identifiers.find takes {kind, value}, both of them text",
            )),
        }
    }
}

/// The one member of the argument.
fn only<'a>(
    function: &str,
    argument: &'a Value,
    names: &[&'static str],
) -> Result<(&'static str, &'a str), HandlerError> {
    let member = argument
        .as_object()
        .filter(|members| members.len() == 1)
        .and_then(|members| members.iter().next());
    let known = member.and_then(|(given, value)| {
        let name = names.iter().find(|name| *name == given)?;
        Some((*name, value.as_str()?))
    });
    known.ok_or_else(|| {
        misused(format!(
            "{function} takes an object with one text of {}",
            names.join(", ")
        ))
    })
}

fn misused(message: impl Into<String>) -> HandlerError {
    HandlerError::new("TypeException", message)
}

/// More was found than a script may receive.
pub fn too_many(function: &str) -> HandlerError {
    let message = format!("{function} found more than {FOUND_MAX}");
    HandlerError::new("LimitException", message)
}

/// A user as scripts see them. Credentials are not included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SeenUser {
    /// Record id.
    pub id: String,
    /// Username as entered.
    pub username: String,
    /// Address as entered.
    pub email: String,
    /// Whether the address was verified.
    pub email_verified: bool,
    /// Phone number in E.164 form.
    pub phone: Option<String>,
    /// Whether the number was verified.
    pub phone_verified: bool,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: String,
    /// The profile's record id.
    pub profile_id: String,
    /// The account's record id.
    pub account_id: Option<String>,
    /// Whether the user is neither locked nor disabled.
    pub active: bool,
    /// Attributes.
    pub attributes: Attributes,
    /// Language and region.
    pub locale: String,
    /// IANA time zone.
    pub timezone: String,
}

impl Default for SeenUser {
    /// The defaults for a user of a fixture.
    fn default() -> SeenUser {
        SeenUser {
            id: String::new(),
            username: String::new(),
            email: String::new(),
            email_verified: false,
            phone: None,
            phone_verified: false,
            first_name: None,
            last_name: String::new(),
            profile_id: String::from("00e000000000001AAA"),
            account_id: None,
            active: true,
            attributes: Attributes::new(),
            locale: String::from("en_US"),
            timezone: String::from("UTC"),
        }
    }
}

impl SeenUser {
    /// The view of a stored user.
    pub fn of(user: &User) -> SeenUser {
        SeenUser {
            id: user.id.clone(),
            username: user.username.clone(),
            email: user.email.clone(),
            email_verified: user.email_verified_at.is_some(),
            phone: user.phone.clone(),
            phone_verified: user.phone_verified_at.is_some(),
            first_name: user.first_name.clone(),
            last_name: user.last_name.clone(),
            profile_id: user.profile_id.clone(),
            account_id: user.account_id.clone(),
            active: user.check_active().is_ok(),
            attributes: user.attributes.clone(),
            locale: user.locale.clone(),
            timezone: user.timezone.clone(),
        }
    }

    /// The JSON form.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// An account as scripts see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenAccount {
    /// Record id.
    pub id: String,
    /// Name as entered.
    pub name: String,
}

/// An identifier as scripts see it, with its user.
pub fn seen_identifier(kind: &str, value: &str, user: &SeenUser) -> Value {
    json!({ "kind": kind, "value": value, "user": user.to_json() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_names_one_thing_in_its_compared_form() {
        for (argument, expected) in [
            (
                json!({"username": "Janice@Example.com"}),
                UserQuestion::Username("janice@example.com".into()),
            ),
            (
                json!({"email": "Janice@Example.COM"}),
                UserQuestion::Email("janice@example.com".into()),
            ),
            (
                json!({"phone": "+1 203 555 0100"}),
                UserQuestion::Phone("+12035550100".into()),
            ),
            (json!({"id": "005"}), UserQuestion::Id("005".into())),
            (json!({"email": "unknown"}), UserQuestion::Invalid),
            (json!({"phone": "call me"}), UserQuestion::Invalid),
        ] {
            assert_eq!(
                UserQuestion::parse(&argument).unwrap(),
                expected,
                "{argument}"
            );
        }
        assert_eq!(
            AccountQuestion::parse(&json!({"name": " ACME "})).unwrap(),
            AccountQuestion::Name("acme".into())
        );
    }

    #[test]
    fn hnd_04_a_question_of_another_shape_is_an_exception() {
        for argument in [
            json!({}),
            json!(null),
            json!("janice@example.com"),
            json!([]),
            json!({"email": 1}),
            json!({"email": "a@example.com", "username": "a@example.com"}),
            json!({"password": "x"}),
            json!({"__proto__": "x"}),
        ] {
            let error = UserQuestion::parse(&argument).unwrap_err();
            assert_eq!(error.exception, "TypeException", "{argument}");
            assert!(AccountQuestion::parse(&argument).is_err(), "{argument}");
            assert!(IdentifierQuestion::parse(&argument).is_err(), "{argument}");
        }
        assert!(
            IdentifierQuestion::parse(&json!({"kind": "order", "value": "1", "user": "2"}))
                .is_err()
        );
    }
}
