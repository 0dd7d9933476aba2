//! The built-in registration handler.
//!
//! Source: HeadlessSelfRegistrationHandler Interface. Unlike the imitated service's template it invents no
//! placeholders: missing data is refused.

use serde_json::Value;
use vestibule_protocol::form::{holds_unprintable, public_name};
use vestibule_protocol::headless::{NAME_LENGTH_MAX, is_never_applied};
use vestibule_protocol::locale::parse_locale;

use crate::identity::Attributes;
use crate::identity::phone::PhoneNumber;
use crate::settings::{AccountRuleKind, FieldTarget, Settings};

/// The maximum length of an attribute value, in bytes of JSON.
const ATTRIBUTE_BYTES_MAX: usize = 4_096;

/// The maximum number of attributes of a registration: several times the longest form in use.
const ATTRIBUTES_MAX: usize = 100;

/// The registrant, as described in the init request.
#[derive(Clone)]
pub struct Registrant<'r> {
    /// Username.
    pub username: &'r str,
    /// Email address.
    pub email: &'r str,
    /// Given name.
    pub first_name: Option<&'r str>,
    /// Family name.
    pub last_name: &'r str,
    /// Phone number in E.164 form.
    pub phone: Option<&'r str>,
    /// Locale.
    pub locale: Option<&'r str>,
    /// Members of `userdata` without a defined meaning.
    pub extra: &'r Attributes,
    /// `customdata`.
    pub customdata: &'r Attributes,
}

/// The data of the new user.
#[derive(Clone, Debug, PartialEq)]
pub struct NewUser {
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: String,
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
    /// The one with this record id.
    Existing {
        /// Its record id.
        id: String,
    },
    /// The one with this name; a missing one is created if `create` is true.
    Named {
        /// Its name.
        name: String,
        /// Whether a missing account is created.
        create: bool,
    },
    /// No account.
    None,
    /// A new account with this name, even if others have the same name.
    Own {
        /// Its name.
        name: String,
    },
}

/// A handler's failure; exception and message are shown to the app as `apex_error`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerError {
    /// The name of the exception.
    pub exception: String,
    /// The message, without any value of the request.
    pub message: String,
    /// Details for the operator that the app does not receive.
    pub detail: Option<String>,
}

impl HandlerError {
    /// A failure.
    pub fn new(exception: impl Into<String>, message: impl Into<String>) -> HandlerError {
        HandlerError {
            exception: exception.into(),
            message: message.into(),
            detail: None,
        }
    }

    /// The same failure, with details for the operator.
    pub fn with_detail(mut self, detail: impl Into<String>) -> HandlerError {
        self.detail = Some(detail.into());
        self
    }

    /// The message with the details for the operator.
    pub fn explained(&self) -> String {
        match &self.detail {
            Some(detail) => format!("{}: {detail}", self.message),
            None => self.message.clone(),
        }
    }

    /// `ExceptionType: message`.
    pub fn apex_error(&self) -> String {
        format!("{}: {}", self.exception, self.message)
    }
}

/// `createUser`: decides the data of the user.
///
/// # Errors
/// A mapped member has the wrong type or shape, an attribute is too long or there are too many, or the account's
/// name is missing.
pub fn create_user(
    settings: &Settings,
    registrant: &Registrant<'_>,
) -> Result<NewUser, HandlerError> {
    let mut user = NewUser::of(settings, registrant);
    user.account = account(settings, registrant)?;
    for (name, value) in registrant.extra {
        let path = format!("userdata.{}", public_name(name));
        user.keep(&path, name, value)?;
    }
    for (member, value) in registrant.customdata {
        let target = settings.registration_field_mapping.get(member);
        put(&mut user, member, value, target)?;
    }
    Ok(user)
}

fn put(
    user: &mut NewUser,
    member: &str,
    value: &Value,
    target: Option<&FieldTarget>,
) -> Result<(), HandlerError> {
    let path = format!("customdata.{}", public_name(member));
    let text = || {
        value
            .as_str()
            .ok_or_else(|| HandlerError::new("TypeException", format!("{path} must be text")))
    };
    match target {
        None => user.keep(&path, member, value)?,
        Some(FieldTarget::Attribute(name)) => user.keep(&path, name, value)?,
        Some(FieldTarget::FirstName) => user.set_first_name(&path, text()?)?,
        Some(FieldTarget::Locale) => user.set_locale(&path, text()?)?,
        Some(FieldTarget::Phone) => user.set_phone(&path, text()?)?,
        Some(FieldTarget::Timezone) => user.set_timezone(&path, text()?)?,
    }
    Ok(())
}

pub(super) fn illegal(path: &str, reason: &str) -> HandlerError {
    HandlerError::new("IllegalArgumentException", format!("{path} {reason}"))
}

/// The members of a new user that a site's mapping or a handler may set. `path` is the member's name in errors; no
/// error contains its value.
impl NewUser {
    /// The user described by the request, without attributes and without an account.
    pub(super) fn of(settings: &Settings, registrant: &Registrant<'_>) -> NewUser {
        let locale = registrant.locale.unwrap_or(&settings.default_locale);
        NewUser {
            first_name: registrant.first_name.map(str::to_owned),
            last_name: registrant.last_name.to_owned(),
            phone: registrant.phone.map(str::to_owned),
            locale: locale.to_owned(),
            timezone: settings.default_timezone.clone(),
            attributes: Attributes::new(),
            account: AccountLink::None,
        }
    }

    pub(super) fn set_first_name(&mut self, path: &str, name: &str) -> Result<(), HandlerError> {
        check_name(path, name)?;
        self.first_name = Some(name.to_owned()).filter(|name| !name.trim().is_empty());
        Ok(())
    }

    pub(super) fn set_last_name(&mut self, path: &str, name: &str) -> Result<(), HandlerError> {
        check_name(path, name)?;
        if name.trim().is_empty() {
            return Err(illegal(path, "is empty"));
        }
        name.clone_into(&mut self.last_name);
        Ok(())
    }

    pub(super) fn set_locale(&mut self, path: &str, locale: &str) -> Result<(), HandlerError> {
        self.locale = parse_locale(locale).ok_or_else(|| illegal(path, "is not a locale"))?;
        Ok(())
    }

    pub(super) fn set_phone(&mut self, path: &str, number: &str) -> Result<(), HandlerError> {
        let number = PhoneNumber::parse(number);
        let number = number.map_err(|_| illegal(path, "is not a phone number"))?;
        self.phone = Some(number.as_str().to_owned());
        Ok(())
    }

    pub(super) fn set_timezone(&mut self, path: &str, zone: &str) -> Result<(), HandlerError> {
        let zone = jiff::tz::TimeZone::get(zone).ok();
        // The canonical name of the zone, not the spelling of the request.
        let name = zone.as_ref().and_then(jiff::tz::TimeZone::iana_name);
        let name = name.ok_or_else(|| illegal(path, "is not a time zone"))?;
        name.clone_into(&mut self.timezone);
        Ok(())
    }

    /// Keeps a member as an attribute. A member that looks like a privilege is dropped (threat REG-09). A value
    /// that is too large is refused, because a silently missing attribute would be noticed too late.
    pub(super) fn keep(
        &mut self,
        path: &str,
        name: &str,
        value: &Value,
    ) -> Result<(), HandlerError> {
        if value.is_null() || is_never_applied(name) {
            return Ok(());
        }
        if name.chars().count() > NAME_LENGTH_MAX {
            return Err(illegal(path, "has a name of more than 80 characters"));
        }
        if value.to_string().len() > ATTRIBUTE_BYTES_MAX {
            return Err(illegal(path, "is longer than 4096 bytes"));
        }
        self.attributes.insert(name.to_owned(), value.clone());
        if self.attributes.len() > ATTRIBUTES_MAX {
            let message = "a user has more than 100 attributes";
            return Err(HandlerError::new("IllegalArgumentException", message));
        }
        Ok(())
    }
}

fn check_name(path: &str, name: &str) -> Result<(), HandlerError> {
    if name.chars().count() > NAME_LENGTH_MAX || holds_unprintable(name) {
        return Err(illegal(path, "is not a name of at most 80 characters"));
    }
    Ok(())
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
            username: "janice@example.com",
            email: "janice@example.com",
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
    fn mapped_members_set_fields_and_others_become_attributes() {
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
            "id": "005", "role": "admin", "profile_id": "00e", "is-active": true, "Phone_Number_Verified": true,
            "userRoleId": "00E", "isIntegration": true, "Locked": false});
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
    fn a_mapped_member_of_the_wrong_shape_fails_with_an_exception() {
        let mapping = |target: &str| json!({"registrationFieldMapping": {"x": target}});
        for (target, value) in [
            ("firstName", "x".repeat(81)),
            ("firstName", "Jan\r\nBcc: x@example.com".to_owned()),
            ("firstName", "Jan\u{85}".to_owned()),
            ("locale", "de_DE\n".to_owned()),
            ("locale", "german".to_owned()),
            ("locale", "de_".to_owned()),
            ("locale", "../de".to_owned()),
            ("locale", format!("de{}", "_abcdefgh".repeat(5))),
            ("timezone", "../../etc/passwd".to_owned()),
            ("timezone", "Mars/Base".to_owned()),
        ] {
            let error = create(mapping(target), json!({"x": value})).unwrap_err();
            assert_eq!(error.exception, "IllegalArgumentException", "{value:?}");
            assert!(
                error.message.starts_with("customdata.x is not"),
                "{error:?}"
            );
        }
        let user = create(mapping("firstName"), json!({"x": "Ǧ".repeat(80)})).unwrap();
        assert_eq!(user.first_name.unwrap().chars().count(), 80);
        for (sent, locale) in [
            ("de", "de"),
            ("de-DE", "de_DE"),
            ("zh-Hant-TW", "zh_Hant_TW"),
        ] {
            let user = create(mapping("locale"), json!({"x": sent})).unwrap();
            assert_eq!(user.locale, locale);
        }
        let user = create(mapping("timezone"), json!({"x": "europe/berlin"})).unwrap();
        assert_eq!(user.timezone, "Europe/Berlin");
    }

    #[test]
    fn an_attribute_too_long_or_one_too_many_is_refused_and_not_dropped() {
        let longest = json!({"note": "x".repeat(4_094)});
        assert!(create(json!({}), longest).is_ok());
        let error = create(json!({}), json!({"note": "x".repeat(4_095)})).unwrap_err();
        assert_eq!(
            error.apex_error(),
            "IllegalArgumentException: customdata.note is longer than 4096 bytes"
        );
        let error = create(json!({}), json!({"n".repeat(81): 1})).unwrap_err();
        assert_eq!(
            error.message,
            "customdata.(unknown) has a name of more than 80 characters"
        );
        let many = |count: usize| {
            let members = (0..count).map(|number| (format!("m{number}"), json!(number)));
            create(json!({}), Value::Object(members.collect()))
        };
        // The hundredth comes from userdata.
        assert_eq!(many(99).unwrap().attributes.len(), 100);
        assert_eq!(many(100).unwrap_err().exception, "IllegalArgumentException");
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
