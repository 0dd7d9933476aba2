//! The arguments of a customer's registration handler, and its permitted result.
//!
//! A handler decides names, phone number, locale, attributes and account of a new user, or names an existing user.
//! It cannot give the registrant another username, address or profile: the first two were checked and reserved, the
//! third is a right (threat HND-09).

use std::collections::BTreeMap;

use serde_json::Value;
use vestibule_protocol::form::public_name;
use vestibule_protocol::headless::is_never_applied;

use super::contract::{AccountDraft, Contract, CreateUserArguments, CreateUserResult, UserData};
use super::registration::{AccountLink, HandlerError, NewUser, Registrant, illegal};
use crate::settings::{Settings, Site};

/// The maximum length of an account name, in characters.
const ACCOUNT_NAME_LENGTH_MAX: usize = 255;

/// What a registration results in.
#[derive(Clone, Debug, PartialEq)]
pub enum Created {
    /// No new user: the registration is attached to the user with this record id, if the verified address or number
    /// is that user's.
    Existing(String),
    /// A new user.
    New(Box<NewUser>),
}

/// The argument of `createUser` for a registrant. It contains no password.
pub fn arguments(
    site: &Site,
    profile_id: &str,
    registrant: &Registrant<'_>,
) -> CreateUserArguments {
    let full_name = match registrant.first_name {
        Some(first) => format!("{first} {}", registrant.last_name),
        None => registrant.last_name.to_owned(),
    };
    let mut attribute_map: BTreeMap<String, String> = registrant
        .extra
        .iter()
        .map(|(name, value)| (name.clone(), text_of(value)))
        .collect();
    if let Some(phone) = registrant.phone {
        attribute_map.insert(String::from("phone"), phone.to_owned());
    }
    CreateUserArguments {
        profile_id: profile_id.to_owned(),
        data: UserData {
            first_name: registrant.first_name.map(str::to_owned),
            last_name: registrant.last_name.to_owned(),
            full_name,
            email: registrant.email.to_owned(),
            username: registrant.username.to_owned(),
            locale: registrant.locale.map(str::to_owned),
            site_login_url: site.base_url.clone(),
            attribute_map,
            ..UserData::default()
        },
        custom_user_data_map: (!registrant.customdata.is_empty())
            .then(|| Value::Object(registrant.customdata.clone()).to_string()),
        experience_id: site.id.clone(),
        password: None,
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Checks the result of `createUser`. `profile_id` is the profile in the argument.
///
/// # Errors
/// `NullPointerException` when the result is null; `TypeException` for a result of another shape;
/// `IllegalArgumentException` for a value that is invalid, or that the handler may not choose.
pub fn accept(
    settings: &Settings,
    profile_id: &str,
    registrant: &Registrant<'_>,
    answer: Value,
) -> Result<Created, HandlerError> {
    let answer = Contract::CreateUser.check(answer)?;
    let result: CreateUserResult = serde_json::from_value(answer)
        .map_err(|_| HandlerError::new("TypeException", "createUser returned no user"))?;
    if let Some(id) = result.id.clone() {
        let alone = CreateUserResult {
            id: Some(id.clone()),
            ..CreateUserResult::default()
        };
        if result != alone {
            return Err(illegal(
                "id",
                "comes alone: a user who is there is not changed",
            ));
        }
        return Ok(Created::Existing(id));
    }
    for (name, answered, given) in [
        ("username", &result.username, registrant.username),
        ("email", &result.email, registrant.email),
        ("profileId", &result.profile_id, profile_id),
    ] {
        if answered
            .as_deref()
            .is_some_and(|answered| answered != given)
        {
            return Err(illegal(name, "is not the handler's to change"));
        }
    }
    new_user(settings, registrant, result).map(|user| Created::New(Box::new(user)))
}

fn new_user(
    settings: &Settings,
    registrant: &Registrant<'_>,
    result: CreateUserResult,
) -> Result<NewUser, HandlerError> {
    let mut user = NewUser::of(settings, registrant);
    if let Some(name) = &result.first_name {
        user.set_first_name("firstName", name)?;
    }
    if let Some(name) = &result.last_name {
        user.set_last_name("lastName", name)?;
    }
    if let Some(number) = &result.phone {
        user.set_phone("phone", number)?;
    }
    if let Some(locale) = &result.locale {
        user.set_locale("locale", locale)?;
    }
    if let Some(zone) = &result.timezone {
        user.set_timezone("timezone", zone)?;
    }
    for (name, value) in &result.attributes {
        let path = format!("attributes.{}", public_name(name));
        if is_never_applied(name) {
            return Err(illegal(&path, "has a name that looks like a right"));
        }
        user.keep(&path, name, value)?;
    }
    user.account = account(result.account_id, result.account)?;
    Ok(user)
}

fn account(id: Option<String>, draft: Option<AccountDraft>) -> Result<AccountLink, HandlerError> {
    match (id, draft) {
        (Some(_), Some(_)) => Err(illegal("account", "comes beside accountId")),
        (Some(id), None) => Ok(AccountLink::Existing { id }),
        (None, Some(AccountDraft { name, create })) => {
            let name = name.trim();
            let is_name = !name.is_empty() && name.chars().count() <= ACCOUNT_NAME_LENGTH_MAX;
            match is_name && !name.chars().any(char::is_control) {
                true => Ok(AccountLink::Named {
                    name: name.to_owned(),
                    create,
                }),
                false => Err(illegal(
                    "account.name",
                    "is not a name of 1 to 255 characters",
                )),
            }
        }
        (None, None) => Ok(AccountLink::None),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    const PROFILE: &str = "00e000000000001AAA";

    fn accepted(answer: Value) -> Result<Created, HandlerError> {
        let (extra, customdata) = (Map::new(), Map::new());
        let registrant = Registrant {
            username: "janice@example.com",
            email: "Janice@example.com",
            first_name: Some("Janice"),
            last_name: "Edwards",
            phone: Some("+12035550100"),
            locale: None,
            extra: &extra,
            customdata: &customdata,
        };
        accept(&Settings::default(), PROFILE, &registrant, answer)
    }

    fn new(answer: Value) -> NewUser {
        match accepted(answer) {
            Ok(Created::New(user)) => *user,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_a_handler_leaves_out_is_as_the_request_has_it() {
        let user = new(json!({}));
        assert_eq!(user.first_name.as_deref(), Some("Janice"));
        assert_eq!(
            (user.last_name.as_str(), user.locale.as_str()),
            ("Edwards", "en_US")
        );
        assert_eq!(user.phone.as_deref(), Some("+12035550100"));
        let user = new(
            json!({"lastName": "E.", "phone": "+49 171 5550100", "timezone": "europe/berlin",
            "username": "janice@example.com", "email": "Janice@example.com", "profileId": PROFILE,
            "attributes": {"tier": "gold"}, "account": {"name": " ACME ", "create": true}}),
        );
        assert_eq!(
            (user.last_name.as_str(), user.timezone.as_str()),
            ("E.", "Europe/Berlin")
        );
        assert_eq!(user.phone.as_deref(), Some("+491715550100"));
        assert_eq!(user.attributes["tier"], "gold");
        let acme = AccountLink::Named {
            name: "ACME".into(),
            create: true,
        };
        assert_eq!(user.account, acme);
    }

    #[test]
    fn an_existing_user_is_named_by_id_alone() {
        assert_eq!(
            accepted(json!({"id": "005000000000001AAA"})),
            Ok(Created::Existing("005000000000001AAA".into()))
        );
        let both = accepted(json!({"id": "005000000000001AAA", "lastName": "E"}));
        assert_eq!(both.unwrap_err().exception, "IllegalArgumentException");
    }

    #[test]
    fn hnd_04_and_09_what_is_not_the_handlers_to_say_is_refused() {
        for (answer, exception) in [
            (json!(null), "NullPointerException"),
            (json!("a user"), "TypeException"),
            (json!([]), "TypeException"),
            (json!({"lastName": 7}), "TypeException"),
            (json!({"isActive": true}), "TypeException"),
            (json!({"__proto__": {"id": "005"}}), "TypeException"),
            (json!({"sub": "x"}), "TypeException"),
            (
                json!({"attributes": {"isAdmin": true}}),
                "IllegalArgumentException",
            ),
            (
                json!({"attributes": {"__proto__": 1}}),
                "IllegalArgumentException",
            ),
            (
                json!({"profileId": "00e000000000009AAA"}),
                "IllegalArgumentException",
            ),
            (
                json!({"username": "admin@example.com"}),
                "IllegalArgumentException",
            ),
            (
                json!({"email": "admin@example.com"}),
                "IllegalArgumentException",
            ),
            (json!({"lastName": ""}), "IllegalArgumentException"),
            (json!({"lastName": "a\r\nb"}), "IllegalArgumentException"),
            (
                json!({"accountId": "001", "account": {"name": "A"}}),
                "IllegalArgumentException",
            ),
            (
                json!({"account": {"name": " "}}),
                "IllegalArgumentException",
            ),
        ] {
            let error = accepted(answer.clone()).unwrap_err();
            assert_eq!(error.exception, exception, "{answer} {error:?}");
        }
    }
}
