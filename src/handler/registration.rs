//! The built-in registration handler.
//!
//! Source: HeadlessSelfRegistrationHandler Interface. Unlike the original's template it invents no
//! placeholders: what is missing is refused.

use serde_json::Value;

use crate::identity::Attributes;
use crate::identity::phone::PhoneNumber;
use crate::settings::{AccountRuleKind, FieldTarget, Settings};

/// Members that never become attributes, because they would look like privileges (threat REG-09).
const NEVER_ATTRIBUTES: [&str; 12] = [
    "__proto__",
    "constructor",
    "prototype",
    "id",
    "profileId",
    "role",
    "isActive",
    "active",
    "emailVerified",
    "phoneVerified",
    "locked",
    "password",
];

/// Longest attribute value that is kept, in bytes of JSON.
const ATTRIBUTE_BYTES_MAX: usize = 4_096;

/// Who registers, as the init call described them.
#[derive(Clone, Debug)]
pub struct Registrant<'r> {
    /// Given name.
    pub first_name: Option<&'r str>,
    /// Family name.
    pub last_name: &'r str,
    /// Phone number in E.164 form.
    pub phone: Option<&'r str>,
    /// Locale.
    pub locale: Option<&'r str>,
    /// Members of `userdata` that have no meaning of their own.
    pub extra: &'r Attributes,
    /// `customdata`.
    pub customdata: &'r Attributes,
}

/// What the user is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct NewUser {
    /// Given name.
    pub first_name: Option<String>,
    /// Phone number in E.164 form.
    pub phone: Option<String>,
    /// Locale.
    pub locale: String,
    /// Time zone.
    pub timezone: String,
    /// Attributes.
    pub attributes: Attributes,
    /// The account.
    pub account: AccountLink,
}

/// The account of a new user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountLink {
    /// The one with this name; a missing one is made if `create` says so.
    Named {
        /// Its name.
        name: String,
        /// Whether a missing one is made.
        create: bool,
    },
    /// None.
    None,
    /// A new one of this name, even if others bear it.
    Own {
        /// Its name.
        name: String,
    },
}

/// Why the handler failed; both parts are shown to the app as `apex_error`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerError {
    /// The kind, in the manner of an exception's name.
    pub exception: &'static str,
    /// What about it, without any value of the request.
    pub message: String,
}

impl HandlerError {
    /// A failure.
    pub fn new(exception: &'static str, message: impl Into<String>) -> HandlerError {
        HandlerError {
            exception,
            message: message.into(),
        }
    }

    /// `ExceptionType: message`.
    pub fn apex_error(&self) -> String {
        format!("{}: {}", self.exception, self.message)
    }
}

/// `createUser`: decides what the user is to be.
///
/// # Errors
/// A mapped member has the wrong type, or the account's name is missing.
pub fn create_user(
    settings: &Settings,
    registrant: &Registrant<'_>,
) -> Result<NewUser, HandlerError> {
    let mut user = NewUser {
        first_name: registrant.first_name.map(str::to_owned),
        phone: registrant.phone.map(str::to_owned),
        locale: registrant
            .locale
            .unwrap_or(&settings.default_locale)
            .to_owned(),
        timezone: settings.default_timezone.clone(),
        attributes: Attributes::new(),
        account: account(settings, registrant)?,
    };
    for (name, value) in registrant.extra {
        keep(&mut user.attributes, name, value);
    }
    for (member, value) in registrant.customdata {
        let target = settings
            .registration_field_mapping
            .get(member)
            .and_then(|target| FieldTarget::parse(target));
        put(&mut user, member, value, target)?;
    }
    Ok(user)
}

fn put(
    user: &mut NewUser,
    member: &str,
    value: &Value,
    target: Option<FieldTarget>,
) -> Result<(), HandlerError> {
    let text = || {
        value.as_str().map(str::to_owned).ok_or_else(|| {
            HandlerError::new("TypeException", format!("customdata.{member} must be text"))
        })
    };
    let wrong = |what: &str| {
        HandlerError::new(
            "IllegalArgumentException",
            format!("customdata.{member} is not {what}"),
        )
    };
    match target {
        None => keep(&mut user.attributes, member, value),
        Some(FieldTarget::Attribute(name)) => keep(&mut user.attributes, &name, value),
        Some(FieldTarget::FirstName) => user.first_name = Some(text()?),
        Some(FieldTarget::Locale) => user.locale = text()?,
        Some(FieldTarget::Phone) => {
            let number = PhoneNumber::parse(&text()?).map_err(|_| wrong("a phone number"))?;
            user.phone = Some(number.as_str().to_owned());
        }
        Some(FieldTarget::Timezone) => {
            let name = text()?;
            jiff::tz::TimeZone::get(&name).map_err(|_| wrong("a time zone"))?;
            user.timezone = name;
        }
    }
    Ok(())
}

fn keep(attributes: &mut Attributes, name: &str, value: &Value) {
    let is_harmless = !NEVER_ATTRIBUTES
        .iter()
        .any(|never| never.eq_ignore_ascii_case(name));
    if is_harmless && !value.is_null() && value.to_string().len() <= ATTRIBUTE_BYTES_MAX {
        attributes.insert(name.to_owned(), value.clone());
    }
}

fn account(settings: &Settings, registrant: &Registrant<'_>) -> Result<AccountLink, HandlerError> {
    let rule = &settings.registration_account;
    Ok(match rule.rule {
        AccountRuleKind::None => AccountLink::None,
        AccountRuleKind::Own => AccountLink::Own {
            name: match registrant.first_name {
                Some(first) => format!("{first} {}", registrant.last_name),
                None => registrant.last_name.to_owned(),
            },
        },
        AccountRuleKind::Shared => AccountLink::Named {
            name: rule.name.clone().unwrap_or_default(),
            create: rule.create,
        },
        AccountRuleKind::Customdata => {
            let member = rule.member.as_deref().unwrap_or_default();
            let name = registrant
                .customdata
                .get(member)
                .and_then(Value::as_str)
                .map(str::trim);
            match name.filter(|name| !name.is_empty() && name.chars().count() <= 255) {
                Some(name) => AccountLink::Named {
                    name: name.to_owned(),
                    create: rule.create,
                },
                None => {
                    let message = format!("customdata.{member} must name the account");
                    return Err(HandlerError::new("AccountException", message));
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(changes: Value) -> Settings {
        let mut all = serde_json::to_value(Settings::default()).unwrap();
        for (key, value) in changes.as_object().unwrap() {
            all[key] = value.clone();
        }
        serde_json::from_value(all).unwrap()
    }

    fn create(changes: Value, customdata: Value) -> Result<NewUser, HandlerError> {
        let customdata = customdata.as_object().unwrap().clone();
        let extra = json!({"department": "Sales"}).as_object().unwrap().clone();
        let registrant = Registrant {
            first_name: Some("Janice"),
            last_name: "Edwards",
            phone: None,
            locale: None,
            extra: &extra,
            customdata: &customdata,
        };
        create_user(&settings(changes), &registrant)
    }

    #[test]
    fn members_go_where_the_mapping_says_and_otherwise_become_attributes() {
        let mapping = json!({"registrationFieldMapping":
            {"mobilePhone": "phone", "tz": "timezone", "town": "attributes.city"}});
        let custom = json!({"mobilePhone": "+1 203 555 0100", "tz": "Europe/Berlin", "town": "Bonn",
            "privacyPolicy": true, "nothing": null});
        let user = create(mapping, custom).unwrap();
        assert_eq!(user.phone.as_deref(), Some("+12035550100"));
        assert_eq!(user.timezone, "Europe/Berlin");
        let expected = json!({"department": "Sales", "city": "Bonn", "privacyPolicy": true});
        assert_eq!(Value::Object(user.attributes), expected);
    }

    #[test]
    fn reg_09_what_looks_like_a_privilege_is_not_kept() {
        let custom = json!({"profileId": "00e", "isActive": true, "EMAILVERIFIED": true, "__proto__": {},
            "id": "005", "role": "admin"});
        let user = create(json!({}), custom).unwrap();
        assert_eq!(
            Value::Object(user.attributes),
            json!({"department": "Sales"})
        );
    }

    #[test]
    fn a_mapped_member_of_the_wrong_kind_fails_with_an_exception() {
        let mapping = json!({"registrationFieldMapping": {"mobilePhone": "phone"}});
        let error = create(mapping.clone(), json!({"mobilePhone": 5})).unwrap_err();
        assert_eq!(
            error.apex_error(),
            "TypeException: customdata.mobilePhone must be text"
        );
        let error = create(mapping, json!({"mobilePhone": "call me"})).unwrap_err();
        assert!(error.apex_error().starts_with("IllegalArgumentException"));
    }

    #[test]
    fn the_account_rules() {
        let own = create(json!({"registrationAccount": {"rule": "own"}}), json!({})).unwrap();
        assert_eq!(
            own.account,
            AccountLink::Own {
                name: "Janice Edwards".into()
            }
        );
        let rule = json!({"registrationAccount": {"rule": "customdata", "member": "company", "create": false}});
        let named = create(rule.clone(), json!({"company": " ACME "})).unwrap();
        assert_eq!(
            named.account,
            AccountLink::Named {
                name: "ACME".into(),
                create: false
            }
        );
        let error = create(rule, json!({})).unwrap_err();
        assert_eq!(
            error.apex_error(),
            "AccountException: customdata.company must name the account"
        );
    }
}
