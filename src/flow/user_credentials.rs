//! The credentials of a user at the authorization endpoint: where a request may send them, and what it names.
//!
//! A username and a password are sent in the Basic header or in the body of a POST. A `login_hint` is a parameter; its
//! password is sent in the body, or in a Basic header whose username the hint replaces. A request identifier and a
//! one-time password are sent in the Basic header only. A request that sends credentials in both places is refused.
//!
//! Source: Authorization Code and Credentials Flow.

use serde_json::{Map, Value};
use vestibule_protocol::authorization::AuthorizationRequest;
use vestibule_protocol::basic::{BasicCredentials, parse_user};
use vestibule_protocol::headless::{HINT_LENGTH_MAX, UserReference, parse_customdata};
use vestibule_protocol::secret::Secret;

use super::addressee::CheckedReference;
use crate::client::Client;
use crate::refusal::Refusal;

/// A password, and what names its user.
pub struct PasswordCredentials {
    user: UserReference,
    /// The password, as sent.
    pub password: Secret,
}

impl PasswordCredentials {
    /// Takes the credentials of a login by password out of a request. `header` is `Authorization`.
    ///
    /// # Refusals
    /// `CredentialsMisplaced` for credentials in both places; `CredentialsMustBePosted` for credentials in
    /// the body of a GET, and for any but posted ones where the client's policy requires those;
    /// `ParameterMissing`, `FormMalformed`, `CredentialsMissing`, `CredentialsMalformed`.
    pub fn parse(
        client: &Client,
        is_post: bool,
        header: Option<&str>,
        request: AuthorizationRequest,
    ) -> Result<PasswordCredentials, Refusal> {
        let is_in_body = are_in_body(&request);
        if is_in_body && header.is_some() {
            return Err(Refusal::CredentialsMisplaced);
        }
        // The body of a GET has no meaning (RFC 9110 section 9.3.1).
        let is_posted = is_in_body && is_post;
        if (is_in_body || client.policies.is_code_cred_post_only) && !is_posted {
            return Err(Refusal::CredentialsMustBePosted);
        }
        if is_in_body {
            return PasswordCredentials::of_body(request);
        }
        if request.login_hint.is_some() && header.is_none() {
            // A hint is sent with its password in the body.
            return Err(Refusal::ParameterMissing { name: "password" });
        }
        let BasicCredentials { left, right } = basic(header)?;
        Ok(PasswordCredentials {
            user: UserReference {
                username: Some(left),
                login_hint: checked_hint(request.login_hint)?,
                customdata: customdata(request.customdata.as_deref())?,
            },
            password: right,
        })
    }

    fn of_body(request: AuthorizationRequest) -> Result<PasswordCredentials, Refusal> {
        let missing = |name| Refusal::ParameterMissing { name };
        if request.username.is_none() && request.login_hint.is_none() {
            return Err(missing("username"));
        }
        Ok(PasswordCredentials {
            user: UserReference {
                username: request.username,
                login_hint: checked_hint(request.login_hint)?,
                customdata: customdata(request.customdata.as_deref())?,
            },
            password: request.password.ok_or(missing("password"))?,
        })
    }

    /// The user that the request names.
    ///
    /// # Refusals
    /// Those of [`CheckedReference::of_login`].
    pub fn named(&self, reads_login_hint: bool) -> Result<CheckedReference<'_>, Refusal> {
        CheckedReference::of_login(&self.user, reads_login_hint)
    }
}

/// The request identifier and the one-time password of the Basic header.
///
/// # Refusals
/// `CredentialsMissing`, `CredentialsMalformed`; `CredentialsMisplaced` for a body with credentials.
pub fn one_time_password(
    header: Option<&str>,
    request: &AuthorizationRequest,
) -> Result<BasicCredentials, Refusal> {
    let credentials = basic(header)?;
    if are_in_body(request) {
        return Err(Refusal::CredentialsMisplaced);
    }
    Ok(credentials)
}

/// Whether a username or a password is sent as a parameter.
pub fn are_in_body(request: &AuthorizationRequest) -> bool {
    request.username.is_some() || request.password.is_some()
}

fn basic(header: Option<&str>) -> Result<BasicCredentials, Refusal> {
    parse_user(header.ok_or(Refusal::CredentialsMissing)?)
        .map_err(|_| Refusal::CredentialsMalformed)?
        .ok_or(Refusal::CredentialsMissing)
}

fn checked_hint(login_hint: Option<String>) -> Result<Option<String>, Refusal> {
    let is_too_long = |hint: &String| hint.chars().count() > HINT_LENGTH_MAX;
    match login_hint {
        Some(hint) if is_too_long(&hint) => Err(Refusal::FormMalformed {
            reason: String::from("parameter too long: login_hint"),
        }),
        hint => Ok(hint),
    }
}

/// `customdata` of a form: the text of a JSON object.
fn customdata(text: Option<&str>) -> Result<Option<Map<String, Value>>, Refusal> {
    let Some(text) = text else { return Ok(None) };
    parse_customdata(text)
        .map(Some)
        .map_err(|_| Refusal::FormMalformed {
            reason: String::from("customdata must be the text of a JSON object"),
        })
}
