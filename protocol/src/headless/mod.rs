//! The headless endpoints: request headers, and the JSON body that starts a registration.
//!
//! This file owns the members of a body, their types and their lengths, and which of them are always ignored. The
//! detailed syntax of usernames, addresses, phone numbers and passwords is left to the server's `identity` module,
//! templates and reCAPTCHA to theirs.
//!
//! Follows the headless documentation: Headless Registration Flow for Private and Public Clients,
//! Headless Passwordless Login, Headless Guest Flow.

use std::fmt;

use serde_json::{Map, Value, json};

use self::members::{BodyMembers, invalid};
use crate::characters::{holds_invisible, trimmed};
use crate::locale::parse_locale;
use crate::secret::Secret;
use crate::words;

pub use crate::locale::LOCALE_LENGTH_MAX;

pub use self::authorization_challenge::{
    AnswerWords, ChallengeAnswer, ChallengeRequest, ChallengeStep,
};
pub use self::captcha::{CaptchaProof, RecaptchaEvent, TOKEN_LENGTH_MAX};
pub use self::forgot_password::{ForgotPassword, ForgotPasswordAnswer, ForgotPasswordPhase};
pub use self::members::{NEVER_APPLIED, is_never_applied, parse_customdata};
pub use self::passwordless_login::{InitPasswordlessLogin, PasswordlessAnswer};
pub use self::user_reference::UserReference;

mod authorization_challenge;
mod captcha;
mod forgot_password;
mod members;
mod passwordless_login;
#[cfg(test)]
mod tests;
mod user_reference;

words! {
    /// How a user verifies an address or a number: with a one-time password by mail or by text message. The word is
    /// that of `verificationmethod` in a body.
    pub enum VerificationMethod {
        /// By mail.
        Email = "email",
        /// By text message.
        Sms = "sms",
    }
}

words! {
    /// The kind of login: the `Auth-Request-Type` header of the authorization endpoint, as the documentation writes
    /// it.
    pub enum AuthRequestType {
        /// An anonymous visitor.
        Guest = "guest",
        /// A user with a password.
        NamedUser = "Named-User",
        /// A user with a one-time password.
        PasswordlessLogin = "passwordless-login",
        /// A user who is created by verifying their address.
        UserRegistration = "user-registration",
    }
}

/// The body of `POST /services/auth/headless/init/registration`.
///
/// ```
/// use vestibule_protocol::headless::InitRegistration;
/// let registration = InitRegistration::parse(br#"{
///     "userdata": {"firstName": "Janice", "lastName": "Edwards",
///                  "email": "janice.edwards@example.com", "username": "jedwards@myapp.com"},
///     "customdata": {"mobilePhone": "+15551234567"},
///     "password": "Sup3rSecret", "verificationmethod": "email"}"#)?;
/// assert_eq!(registration.userdata.username, "jedwards@myapp.com");
/// assert_eq!(registration.phone_number(), Some(("customdata.mobilePhone", "+15551234567")));
/// # Ok::<(), vestibule_protocol::headless::InvalidParams>(())
/// ```
///
/// Source: Headless Registration Flow, "Your App Headlessly Sends the User Information".
#[derive(Clone, PartialEq)]
pub struct InitRegistration {
    /// The data of the new user.
    pub userdata: RegistrationUserData,
    /// The password, unchanged; the policy is checked elsewhere.
    pub password: Secret,
    /// The channel of the verification; absent means `email`. It takes effect at authorize.
    pub verification_method: Option<VerificationMethod>,
    /// For the registration handler; the server reads only a phone number from it.
    pub customdata: Option<Map<String, Value>>,
    /// Developer name of a mail template.
    pub email_template: Option<String>,
    /// `recaptcha` or `recaptchaevent`.
    pub captcha: Option<CaptchaProof>,
}

/// The user data of a registration. Known members contain no control characters and respect the lengths named in
/// this file.
#[derive(Clone, Debug, PartialEq)]
pub struct RegistrationUserData {
    /// The username.
    pub username: String,
    /// The email address.
    pub email: String,
    /// The family name.
    pub last_name: String,
    /// The given name.
    pub first_name: Option<String>,
    /// `languageLocaleKey`, else `locale`, else `language`.
    pub locale: Option<String>,
    /// `mobilePhone`, as written.
    pub mobile_phone: Option<String>,
    /// `phone`, as written; read only where there is no `mobilePhone`.
    pub phone: Option<String>,
    /// All other members, for the registration handler, without the [`NEVER_APPLIED`] names.
    pub extra: Map<String, Value>,
}

/// A body that is not as documented: `invalid_params` on the wire. Never contains a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidParams {
    /// Path of the member, such as `userdata.email`; empty for the body as a whole.
    pub field: String,
    /// What is wrong with the member.
    pub reason: &'static str,
}

impl fmt::Debug for InitRegistration {
    /// Omits personal data and the free members, which may contain anything.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InitRegistration")
            .field("verification_method", &self.verification_method)
            .field("email_template", &self.email_template)
            .finish_non_exhaustive()
    }
}

impl InitRegistration {
    /// Parses the body, whatever its `Content-Type`. A member that is `null` is absent, and so is an optional one
    /// that is empty. Unknown members are ignored, but a documented name in another case is refused: ignoring
    /// `verificationMethod` would send a mail instead of a text message.
    ///
    /// # Refusals
    /// [`InvalidParams`]: not one JSON object as [`strict_json`](crate::strict_json) has it; a required member missing,
    /// empty or blank; a wrong type; too long; a control character; `sms` without a phone number.
    pub fn parse(body: &[u8]) -> Result<InitRegistration, InvalidParams> {
        InitRegistration::read(&mut BodyMembers::of_body(body, &BODY_MEMBERS)?)
    }

    fn read(body: &mut BodyMembers) -> Result<InitRegistration, InvalidParams> {
        let userdata = body.object("userdata")?.ok_or(body.missing("userdata"))?;
        let userdata = RegistrationUserData::parse(BodyMembers::new("userdata.", userdata))?;
        let password = body.required("password", usize::MAX)?;
        let registration = InitRegistration {
            userdata,
            password: Secret::from(password),
            verification_method: body.verification_method()?,
            customdata: body.object_or_text("customdata")?,
            email_template: body.optional("emailtemplate", TEMPLATE_LENGTH_MAX)?,
            captcha: body.captcha()?,
        };
        if registration.verification_method == Some(VerificationMethod::Sms) {
            match registration.phone_number() {
                None => return Err(invalid("userdata.mobilePhone", "missing")),
                Some((path, "")) => return Err(invalid(path, "empty")),
                Some(_) => {}
            }
        }
        Ok(registration)
    }

    /// The phone number for a text message, as written, and the path of the member that contains it:
    /// `customdata.mobilePhone`, then `userdata.mobilePhone`, `userdata.phone` and `customdata.phone`. The
    /// documentation does not say which; the first is where its samples put it. Where none has a value, the first that
    /// was sent.
    pub fn phone_number(&self) -> Option<(&'static str, &str)> {
        let custom = |name| self.customdata.as_ref()?.get(name)?.as_str().map(trimmed);
        let userdata = &self.userdata;
        let sent = [
            ("customdata.mobilePhone", custom("mobilePhone")),
            ("userdata.mobilePhone", userdata.mobile_phone.as_deref()),
            ("userdata.phone", userdata.phone.as_deref()),
            ("customdata.phone", custom("phone")),
        ];
        let mut sent = sent
            .into_iter()
            .filter_map(|(path, number)| Some((path, number?)));
        let first = sent.next()?;
        if !first.1.is_empty() {
            return Some(first);
        }
        Some(sent.find(|(_, number)| !number.is_empty()).unwrap_or(first))
    }
}

impl RegistrationUserData {
    fn parse(mut members: BodyMembers) -> Result<RegistrationUserData, InvalidParams> {
        // Read in the order of the documentation, so that the first missing member is the one that the refusal
        // names.
        members.refuse_other_case(&USERDATA_MEMBERS)?;
        let username = members.required_trimmed("username", USERNAME_LENGTH_MAX)?;
        let last_name = members.required_trimmed("lastName", NAME_LENGTH_MAX)?;
        if holds_invisible(&last_name) {
            return Err(members.invalid("lastName", "invisible character"));
        }
        let email = members.required_trimmed("email", EMAIL_LENGTH_MAX)?;
        let first_name = members.person_name("firstName", NAME_LENGTH_MAX)?;
        let mobile_phone = members.optional_trimmed("mobilePhone", PHONE_LENGTH_MAX)?;
        let phone = match mobile_phone {
            Some(_) => None,
            None => members.optional_trimmed("phone", PHONE_LENGTH_MAX)?,
        };
        let mut locale = None;
        for name in ["languageLocaleKey", "locale", "language"] {
            if locale.is_none() && members.is_text(name) {
                locale = match members.optional_trimmed(name, LOCALE_LENGTH_MAX)? {
                    None => None,
                    Some(text) => Some(
                        parse_locale(&text)
                            .ok_or(members.invalid(name, "is not a locale such as en_US"))?,
                    ),
                };
            }
        }
        Ok(RegistrationUserData {
            username,
            email,
            last_name,
            first_name,
            locale,
            mobile_phone,
            phone,
            extra: members.rest()?,
        })
    }
}

/// The response to an accepted registration.
///
/// Source: Headless Registration Flow, "Salesforce Receives the Information".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitAnswer {
    /// The address as sent by the caller.
    pub email: String,
    /// Identifies the pending request. It contains no colon, because it is the left half of a Basic header.
    pub identifier: String,
}

impl InitAnswer {
    /// Renders the JSON body.
    pub fn to_json(&self) -> String {
        json!({"status": "success", "email": self.email, "identifier": self.identifier}).to_string()
    }
}

impl fmt::Display for InvalidParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.as_str() {
            "" => f.write_str(self.reason),
            field => write!(f, "{field}: {}", self.reason),
        }
    }
}

impl std::error::Error for InvalidParams {}

/// The members of `userdata` that have a meaning here, and what is said of another spelling.
const USERDATA_MEMBERS: [(&str, &str); 9] = [
    ("email", "this name is written email"),
    ("firstName", "this name is written firstName"),
    ("language", "this name is written language"),
    (
        "languageLocaleKey",
        "this name is written languageLocaleKey",
    ),
    ("lastName", "this name is written lastName"),
    ("locale", "this name is written locale"),
    ("mobilePhone", "this name is written mobilePhone"),
    ("phone", "this name is written phone"),
    ("username", "this name is written username"),
];

/// The members of the body that are read.
const BODY_MEMBERS: [&str; 7] = [
    "customdata",
    "emailtemplate",
    "password",
    "recaptcha",
    "recaptchaevent",
    "userdata",
    "verificationmethod",
];
/// Maximum code points of a username; the platform's documented limit.
pub const USERNAME_LENGTH_MAX: usize = 80;
/// Maximum code points of a first or last name, and of the short texts of a reCAPTCHA event.
pub const NAME_LENGTH_MAX: usize = 80;
/// Maximum code points of an address; RFC 5321 section 4.5.3.1.3 with erratum 1690 to RFC 3696.
pub const EMAIL_LENGTH_MAX: usize = 254;
/// Maximum code points of a phone number as written: fifteen digits and their separators.
pub const PHONE_LENGTH_MAX: usize = 64;
/// Maximum code points of the value that names a user. It is longer than any username, so that a username that is
/// too long is an unknown user and not an invalid request.
pub const HINT_LENGTH_MAX: usize = 10_240;
/// Maximum code points of a template's developer name with its folder.
pub const TEMPLATE_LENGTH_MAX: usize = 255;
