//! The headless endpoints' words: request headers, and the JSON body that starts a registration.
//!
//! Owns which members a body has, their types and their lengths, and which of them are never
//! listened to. The deep syntax of usernames, addresses, phone numbers and passwords is left to the
//! server's identity room, templates and reCAPTCHA to theirs.
//!
//! Follows the headless documentation: Headless Registration Flow for Private and Public Clients,
//! Headless Passwordless Login, Headless Guest Flow.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::form::{holds_unprintable, is_noncharacter, public_name};
use crate::secret::Secret;
use crate::strict_json;

/// How a user proves an address of theirs: with a one-time password by mail or by text message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VerificationMethod {
    /// `email`
    Email,
    /// `sms`
    Sms,
}

impl VerificationMethod {
    /// Reads `verificationmethod` of a body: the lower-case words and nothing else.
    pub fn parse(text: &str) -> Option<VerificationMethod> {
        [VerificationMethod::Email, VerificationMethod::Sms]
            .into_iter()
            .find(|method| method.as_str() == text)
    }

    /// Reads the `Auth-Verification-Type` header, without regard to case.
    pub fn parse_header(text: &str) -> Option<VerificationMethod> {
        VerificationMethod::parse(&text.to_ascii_lowercase())
    }

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            VerificationMethod::Email => "email",
            VerificationMethod::Sms => "sms",
        }
    }
}

/// Who wants to log in: the `Auth-Request-Type` header of the authorization endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthRequestType {
    /// Nobody in particular.
    Guest,
    /// A user with a password.
    NamedUser,
    /// A user with a one-time password.
    PasswordlessLogin,
    /// A user who proves their address and is created by that.
    UserRegistration,
}

impl AuthRequestType {
    /// Reads the header, without regard to case: clients write `Guest` and `guest`.
    pub fn parse(text: &str) -> Option<AuthRequestType> {
        [
            AuthRequestType::Guest,
            AuthRequestType::NamedUser,
            AuthRequestType::PasswordlessLogin,
            AuthRequestType::UserRegistration,
        ]
        .into_iter()
        .find(|request_type| request_type.as_str().eq_ignore_ascii_case(text))
    }

    /// The word on the wire, as the documentation writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            AuthRequestType::Guest => "guest",
            AuthRequestType::NamedUser => "Named-User",
            AuthRequestType::PasswordlessLogin => "passwordless-login",
            AuthRequestType::UserRegistration => "user-registration",
        }
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
/// assert_eq!(registration.phone_number(), Some("+15551234567"));
/// # Ok::<(), vestibule_protocol::headless::InvalidParams>(())
/// ```
///
/// Source: Headless Registration Flow, "Your App Headlessly Sends the User Information".
#[derive(Clone, Debug, PartialEq)]
pub struct InitRegistration {
    /// The user to be.
    pub userdata: UserData,
    /// Their password, untouched; the policy is checked elsewhere.
    pub password: Secret,
    /// How they will prove their address; absent means `email`, and matters at authorize.
    pub verification_method: Option<VerificationMethod>,
    /// For the registration handler, unread by us except for a phone number.
    pub customdata: Option<Map<String, Value>>,
    /// Developer name of a mail template.
    pub email_template: Option<String>,
    /// reCAPTCHA v2 or v3 token.
    pub recaptcha: Option<String>,
    /// reCAPTCHA Enterprise event.
    pub recaptcha_event: Option<RecaptchaEvent>,
}

/// What a registration says about the user. Known members hold no control characters and keep
/// within the lengths named in this file.
#[derive(Clone, Debug, PartialEq)]
pub struct UserData {
    /// What they will log in with.
    pub username: String,
    /// Their address.
    pub email: String,
    /// Their family name.
    pub last_name: String,
    /// Their given name.
    pub first_name: Option<String>,
    /// `languageLocaleKey`, else `locale`, else `language`.
    pub locale: Option<String>,
    /// `mobilePhone`, else `phone`, as written.
    pub phone: Option<String>,
    /// Everything else, for the registration handler. [`NEVER_APPLIED`] names are not in it.
    pub extra: Map<String, Value>,
}

/// A reCAPTCHA Enterprise event, `recaptchaevent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecaptchaEvent {
    /// What the browser got from Google.
    pub token: String,
    /// `siteKey`
    pub site_key: String,
    /// `projectId`
    pub project_id: String,
    /// `expectedAction`
    pub expected_action: Option<String>,
}

/// A body that is not as documented: `invalid_params` on the wire. Never holds a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidParams {
    /// Path of the member, such as `userdata.email`; empty when it is the body as a whole.
    pub field: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl InitRegistration {
    /// Reads the body, whatever its `Content-Type`. A member that is `null` is absent, and so is an
    /// optional one that is empty. Unknown members are ignored, but a documented name in another
    /// case is refused: taking `verificationMethod` for a stranger would send a mail instead of a
    /// text message.
    ///
    /// # Refusals
    /// [`InvalidParams`]: not one JSON object as [`strict_json`] has it; a required member missing,
    /// empty or blank; a wrong type; too long; a control character; `sms` without a phone number.
    pub fn parse(body: &[u8]) -> Result<InitRegistration, InvalidParams> {
        let mut body = Members::of_body(body, &BODY_MEMBERS)?;
        let userdata = body.object("userdata")?.ok_or(body.missing("userdata"))?;
        let userdata = UserData::parse(Members::new("userdata.", userdata))?;
        let password = body.required("password", usize::MAX)?;
        let recaptcha_event = body.object("recaptchaevent")?;
        let registration = InitRegistration {
            userdata,
            password: Secret::from(password),
            verification_method: body.verification_method()?,
            customdata: body.object_or_text("customdata")?,
            email_template: body.optional("emailtemplate", TEMPLATE_LENGTH_MAX)?,
            recaptcha: body.optional("recaptcha", TOKEN_LENGTH_MAX)?,
            recaptcha_event: recaptcha_event.map(RecaptchaEvent::parse).transpose()?,
        };
        if registration.verification_method == Some(VerificationMethod::Sms)
            && registration.phone_number().is_none()
        {
            return Err(invalid("userdata.mobilePhone", "missing"));
        }
        Ok(registration)
    }

    /// The number that a text message goes to, as written: `customdata.mobilePhone`, then
    /// `userdata.mobilePhone`, `userdata.phone` and `customdata.phone`. The documentation does not
    /// say which; the first is where its own samples put it.
    pub fn phone_number(&self) -> Option<&str> {
        let custom = |name| {
            let text = self.customdata.as_ref()?.get(name)?.as_str()?;
            let is_usable = !text.trim().is_empty()
                && text.len() <= PHONE_LENGTH_MAX
                && !holds_unprintable(text);
            is_usable.then_some(text)
        };
        custom("mobilePhone")
            .or(self.userdata.phone.as_deref())
            .or_else(|| custom("phone"))
    }
}

impl UserData {
    fn parse(mut members: Members) -> Result<UserData, InvalidParams> {
        // Read in the order in which the documentation asks for them, so that the first missing one
        // is named.
        let username = members.required("username", USERNAME_LENGTH_MAX)?;
        let last_name = members.required("lastName", NAME_LENGTH_MAX)?;
        let email = members.required("email", EMAIL_LENGTH_MAX)?;
        let first_name = members.optional("firstName", NAME_LENGTH_MAX)?;
        let phone = match members.optional("mobilePhone", PHONE_LENGTH_MAX)? {
            Some(phone) => Some(phone),
            None => members.optional("phone", PHONE_LENGTH_MAX)?,
        };
        let mut locale = None;
        for name in ["languageLocaleKey", "locale", "language"] {
            if locale.is_none() && members.is_text(name) {
                locale = members.optional(name, LOCALE_LENGTH_MAX)?;
            }
        }
        Ok(UserData {
            username,
            email,
            last_name,
            first_name,
            locale,
            phone,
            extra: members.rest()?,
        })
    }
}

impl RecaptchaEvent {
    fn parse(members: Map<String, Value>) -> Result<RecaptchaEvent, InvalidParams> {
        let mut members = Members::new("recaptchaevent.", members);
        Ok(RecaptchaEvent {
            token: members.required("token", TOKEN_LENGTH_MAX)?,
            site_key: members.required("siteKey", NAME_LENGTH_MAX)?,
            project_id: members.required("projectId", NAME_LENGTH_MAX)?,
            expected_action: members.optional("expectedAction", NAME_LENGTH_MAX)?,
        })
    }
}

/// The members of an object that are still to be read, and where the object stands.
struct Members {
    path: &'static str,
    members: Map<String, Value>,
}

impl Members {
    fn of_body(body: &[u8], documented: &[&str]) -> Result<Members, InvalidParams> {
        let members = strict_json::parse_object(body).map_err(|error| match error {
            strict_json::JsonError::DuplicateMember(name) => InvalidParams {
                field: name,
                reason: "comes twice",
            },
            strict_json::JsonError::NotJson => invalid("", "not JSON"),
            strict_json::JsonError::NotObject => invalid("", "not an object"),
            strict_json::JsonError::TooDeep => invalid("", "nested too deeply"),
        })?;
        for name in members.keys() {
            let lower_case = name.to_ascii_lowercase();
            if *name != lower_case && documented.contains(&lower_case.as_str()) {
                return Err(InvalidParams {
                    field: public_name(name),
                    reason: "this name is written in lower case",
                });
            }
        }
        Ok(Members::new("", members))
    }

    fn new(path: &'static str, members: Map<String, Value>) -> Members {
        Members { path, members }
    }

    /// Takes a member out; `null` is absent.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.members
            .shift_remove(name)
            .filter(|value| !value.is_null())
    }

    fn is_text(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(Value::is_string)
    }

    fn required(&mut self, name: &str, length_max: usize) -> Result<String, InvalidParams> {
        let text = self.optional(name, length_max)?.ok_or(self.missing(name))?;
        if text.trim().is_empty() {
            return Err(self.invalid(name, "empty"));
        }
        Ok(text)
    }

    fn optional(&mut self, name: &str, length_max: usize) -> Result<Option<String>, InvalidParams> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.chars().count() > length_max => {
                Err(self.invalid(name, "too long"))
            }
            Some(Value::String(text)) if holds_unprintable(&text) => {
                Err(self.invalid(name, "control character"))
            }
            Some(Value::String(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
            Some(_) => Err(self.invalid(name, "not a string")),
        }
    }

    fn object(&mut self, name: &str) -> Result<Option<Map<String, Value>>, InvalidParams> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(members)) => Ok(Some(members)),
            Some(_) => Err(self.invalid(name, "not an object")),
        }
    }

    /// An object, or a text that holds one: the documentation describes custom data as a JSON string
    /// and shows an object.
    fn object_or_text(&mut self, name: &str) -> Result<Option<Map<String, Value>>, InvalidParams> {
        let object = match self.take(name) {
            None => return Ok(None),
            Some(Value::String(text)) if text.is_empty() => return Ok(None),
            Some(Value::Object(members)) => members,
            Some(Value::String(text)) => strict_json::parse_object(text.as_bytes())
                .map_err(|_| self.invalid(name, "not the text of an object"))?,
            Some(_) => return Err(self.invalid(name, "not an object")),
        };
        if holds_unstorable_member(&object) {
            return Err(self.invalid(name, "control character"));
        }
        Ok(Some(object))
    }

    fn verification_method(&mut self) -> Result<Option<VerificationMethod>, InvalidParams> {
        let name = "verificationmethod";
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => VerificationMethod::parse(&text)
                .map(Some)
                .ok_or(self.invalid(name, "unknown")),
            Some(_) => Err(self.invalid(name, "not a string")),
        }
    }

    /// What nobody asked for, without nulls and without [`NEVER_APPLIED`].
    fn rest(self) -> Result<Map<String, Value>, InvalidParams> {
        let rest = self
            .members
            .into_iter()
            .filter(|(name, value)| !value.is_null() && !is_never_applied(name))
            .collect();
        if holds_unstorable_member(&rest) {
            return Err(invalid(
                self.path.trim_end_matches('.'),
                "control character",
            ));
        }
        Ok(rest)
    }

    fn missing(&self, name: &str) -> InvalidParams {
        self.invalid(name, "missing")
    }

    fn invalid(&self, name: &str, reason: &'static str) -> InvalidParams {
        InvalidParams {
            field: format!("{}{name}", self.path),
            reason,
        }
    }
}

fn invalid(field: &str, reason: &'static str) -> InvalidParams {
    InvalidParams {
        field: field.to_owned(),
        reason,
    }
}

fn is_never_applied(name: &str) -> bool {
    let folded: String = name
        .chars()
        .filter(|character| !matches!(character, '_' | '-'))
        .map(|character| character.to_ascii_lowercase())
        .collect();
    NEVER_APPLIED.contains(&folded.as_str())
}

/// Free members may hold line breaks and tabs (a street address does), but no other control
/// character.
fn holds_unstorable(value: &Value) -> bool {
    match value {
        Value::String(text) => text_is_unstorable(text),
        Value::Array(items) => items.iter().any(holds_unstorable),
        Value::Object(members) => holds_unstorable_member(members),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn holds_unstorable_member(members: &Map<String, Value>) -> bool {
    members
        .iter()
        .any(|(name, value)| text_is_unstorable(name) || holds_unstorable(value))
}

fn text_is_unstorable(text: &str) -> bool {
    text.chars().any(|character| {
        (character.is_control() && !matches!(character, '\t' | '\n' | '\r'))
            || is_noncharacter(character)
    })
}

/// The answer to an accepted registration.
///
/// Source: Headless Registration Flow, "Salesforce Receives the Information".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitAnswer {
    /// The address as the caller sent it.
    pub email: String,
    /// Names the pending request; free of colons, for it stands left of one in a Basic header.
    pub identifier: String,
}

impl InitAnswer {
    /// Writes the JSON body.
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

/// Members of `userdata` that are dropped unread, whatever they hold: they would give rights, state a
/// verification, name a record, or trip a handler written in a language with prototypes. Compared
/// without case, `_` and `-`. A nested `password` is among them: only the top-level one counts.
pub const NEVER_APPLIED: [&str; 39] = [
    "accountid",
    "active",
    "admin",
    "constructor",
    "contactid",
    "createdat",
    "createdby",
    "createdbyid",
    "createddate",
    "emailverified",
    "federationidentifier",
    "groups",
    "id",
    "isactive",
    "isadmin",
    "isemailverified",
    "isfrozen",
    "ismobileverified",
    "isphoneverified",
    "mobileverified",
    "networkid",
    "newpassword",
    "organizationid",
    "otp",
    "ownerid",
    "password",
    "permissions",
    "permissionsets",
    "phonenumberverified",
    "phoneverified",
    "profile",
    "profileid",
    "proto",
    "prototype",
    "role",
    "roles",
    "userid",
    "userroleid",
    "usertype",
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
/// Code points of a username; the platform's documented limit.
pub const USERNAME_LENGTH_MAX: usize = 80;
/// Code points of a first or last name, and of the short texts of a reCAPTCHA event.
pub const NAME_LENGTH_MAX: usize = 80;
/// Code points of an address; RFC 5321 section 4.5.3.1.3 with erratum 1690 to RFC 3696.
pub const EMAIL_LENGTH_MAX: usize = 254;
/// Code points of a phone number as written: fifteen digits and their separators.
pub const PHONE_LENGTH_MAX: usize = 64;
/// Code points of a locale such as `zh_Hant_TW`.
pub const LOCALE_LENGTH_MAX: usize = 40;
/// Code points of a template's developer name with its folder.
pub const TEMPLATE_LENGTH_MAX: usize = 255;
/// Code points of a reCAPTCHA token, which are about two thousand characters today.
pub const TOKEN_LENGTH_MAX: usize = 8192;
