//! The draft: what the init call brought, checked, as it waits in the challenge.

use serde::{Deserialize, Serialize};
use vestibule_protocol::headless::{InitRegistration, VerificationMethod};

use crate::app::{App, Visit};
use crate::identity::email::EmailAddress;
use crate::identity::password::Owner;
use crate::identity::phone::PhoneNumber;
use crate::identity::username::Username;
use crate::identity::{Attributes, Profile, password};
use crate::refusal::{Failure, Fault, Refusal};
use crate::settings::Settings;
use crate::verification::Target;

/// A registration that waits for its code. The password is in it as a PHC string only. There is no
/// `Debug`: nothing in it is for a log.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Draft {
    pub username: String,
    pub username_key: String,
    pub email: String,
    pub email_key: String,
    pub first_name: Option<String>,
    pub last_name: String,
    pub phone: Option<String>,
    pub locale: Option<String>,
    pub extra: Attributes,
    pub customdata: Attributes,
    pub phc: String,
}

/// What [`Draft::check`] found out in addition to the draft itself.
pub(super) struct CheckedDraft {
    pub draft: Draft,
    pub password: password::Prepared,
    pub target: Target,
    pub recipient: String,
    pub channel: VerificationMethod,
}

impl Draft {
    /// Checks everything that needs neither the database nor a hash.
    ///
    /// # Refusals
    /// `ParametersInvalid`, `PasswordPolicy`.
    pub fn check(
        app: &App,
        visit: &Visit,
        request: &InitRegistration,
    ) -> Result<CheckedDraft, Failure> {
        let userdata = &request.userdata;
        let username = Username::parse(&userdata.username)
            .map_err(|problem| invalid("userdata.username", problem))?;
        let email = EmailAddress::parse(&userdata.email)
            .map_err(|problem| invalid("userdata.email", problem))?;
        let channel = request
            .verification_method
            .unwrap_or(VerificationMethod::Email);
        let phone = phone(request, channel)?;
        let profile = default_profile(app, &visit.site.site.settings)?;
        let password = password(&profile, request, &username)?;
        let target = match (&phone, channel) {
            (Some(phone), VerificationMethod::Sms) => Target {
                key: phone.as_str().to_owned(),
                budget_key: phone.as_str().to_owned(),
            },
            _ => Target {
                key: email.key(),
                budget_key: email.budget_key(),
            },
        };
        let recipient = match (&phone, channel) {
            (Some(phone), VerificationMethod::Sms) => phone.as_str(),
            _ => email.as_str(),
        };
        let recipient = recipient.to_owned();
        Ok(CheckedDraft {
            draft: Draft {
                username: username.as_str().to_owned(),
                username_key: username.key().to_owned(),
                email: email.as_str().to_owned(),
                email_key: email.key(),
                first_name: userdata.first_name.clone(),
                last_name: userdata.last_name.clone(),
                phone: phone.map(|phone| phone.as_str().to_owned()),
                locale: userdata.locale.clone(),
                extra: userdata.extra.clone(),
                customdata: request.customdata.clone().unwrap_or_default(),
                phc: String::new(),
            },
            password,
            target,
            recipient,
            channel,
        })
    }
}

/// The number that the request brings. A text message needs one that it can be sent to; otherwise
/// `customdata` is the app's own affair, and what is no international number there is not ours.
fn phone(
    request: &InitRegistration,
    channel: VerificationMethod,
) -> Result<Option<PhoneNumber>, Refusal> {
    let written = request.phone_number();
    match (channel, written) {
        (VerificationMethod::Sms, Some((path, number))) => PhoneNumber::parse(number)
            .map(Some)
            .map_err(|problem| invalid(path, problem)),
        (VerificationMethod::Sms, None) => Err(invalid("userdata.mobilePhone", "missing")),
        (VerificationMethod::Email, _) => {
            Ok(written.and_then(|(_, number)| PhoneNumber::parse(number).ok()))
        }
    }
}

/// The password, checked against the policy of the profile and prepared for hashing.
fn password(
    profile: &Profile,
    request: &InitRegistration,
    username: &Username,
) -> Result<password::Prepared, Refusal> {
    let owner = Owner {
        username: username.as_str(),
        first_name: request.userdata.first_name.as_deref(),
        last_name: &request.userdata.last_name,
    };
    let accepted = profile
        .password_policy
        .accept(request.password.expose(), &owner);
    accepted.map_err(|problem| Refusal::PasswordPolicy {
        reason: problem.to_string(),
    })
}

/// The profile that new users of a site get.
///
/// # Faults
/// The settings name none that exists, which saving them rules out.
pub(super) fn default_profile(
    app: &App,
    settings: &Settings,
) -> Result<std::sync::Arc<Profile>, Fault> {
    let directory = app.directory();
    settings
        .registration_user_default_profile
        .as_deref()
        .and_then(|name| directory.find_profile(name))
        .cloned()
        .ok_or_else(|| Fault::described("registering", "the default profile is gone".into()))
}

fn invalid(field: &str, reason: impl std::fmt::Display) -> Refusal {
    Refusal::ParametersInvalid {
        field: field.to_owned(),
        reason: reason.to_string(),
    }
}
