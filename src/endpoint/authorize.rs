//! `GET|POST /services/oauth2/authorize`, for `response_type=code_credentials`.
//!
//! A headless request is always answered in JSON or with the redirect, never with a page.

use axum::response::Response;
use http::Method;
use serde_json::{Map, Value};
use vestibule_protocol::authorization::{
    AuthorizationAnswer, AuthorizationRequest, redirect_location,
};
use vestibule_protocol::basic::{BasicCredentials, parse_user};
use vestibule_protocol::form::Parameters;
use vestibule_protocol::headless::{
    AnswerWords, AuthRequestType, HINT_LENGTH_MAX, VerificationMethod, parse_customdata,
};
use vestibule_protocol::secret::Secret;
use vestibule_protocol::uvid::Uvid;

use super::answer::redirect;
use super::arrival::Arrival;
use super::content::Content;
use super::{authorization_challenge, limited, visitor};
use crate::admission::Surface;
use crate::client::AccessTokenFormat;
use crate::flow::addressee::Named;
use crate::flow::authorization::{self, Checked};
use crate::flow::username_password::Credentials;
use crate::flow::{Visit, addressee, guest, passwordless_login, registration, username_password};
use crate::refusal::{Failure, Refusal};

/// Answers.
pub(super) async fn answer(arrival: &Arrival, content: Content) -> Result<Response, Failure> {
    if authorization_challenge::is_meant(arrival, &content.body) {
        let words = AnswerWords::Documented;
        return authorization_challenge::answer(arrival, &content, words).await;
    }
    let parameters = Parameters::parse(arrival.query.as_deref(), &content.body);
    let parameters = parameters.map_err(Refusal::from)?;
    let request =
        AuthorizationRequest::parse(parameters).map_err(|too_long| Refusal::FormMalformed {
            reason: format!("parameter too long: {}", too_long.parameter),
        })?;
    if request.credentials_in_query {
        return Err(Refusal::CredentialsMisplaced.into());
    }
    let visit = arrival.visit();
    let is_guest = visitor::request_type(arrival) == Ok(Some(AuthRequestType::Guest));
    let mut checked = match is_guest {
        true => authorization::check_guest(&arrival.app, &visit, &request)?,
        false => authorization::check(&arrival.app, &visit, &request)?,
    };
    let request_type = visitor::request_type(arrival)?;
    if is_guest {
        admit_guest(arrival, &checked, &request)?;
    }
    checked.uvid = uvid(arrival, &visit, &checked, &request, is_guest).await?;
    let answer = log_in(arrival, &visit, &checked, request, request_type).await?;
    Ok(redirect(&redirect_location(
        &checked.redirect_uri,
        &answer,
    ))?)
}

/// Whether somebody may come as a guest: without credentials, and not too often.
fn admit_guest(
    arrival: &Arrival,
    checked: &Checked,
    request: &AuthorizationRequest,
) -> Result<(), Refusal> {
    let is_in_body = request.username.is_some() || request.password.is_some();
    if is_in_body || arrival.header("authorization")?.is_some() {
        return Err(Refusal::GuestHasCredentials);
    }
    limited::guest(arrival, &checked.client.id)
}

/// The visitor whom the request names. A user's opaque token has no place for one, so there the hint is
/// not looked at.
async fn uvid(
    arrival: &Arrival,
    visit: &Visit,
    checked: &Checked,
    request: &AuthorizationRequest,
    is_guest: bool,
) -> Result<Option<Uvid>, Failure> {
    let client = &checked.client;
    if !is_guest && client.policies.access_token_format == AccessTokenFormat::Opaque {
        return Ok(None);
    }
    match visitor::hint(arrival, request.uvid_hint.as_ref())? {
        Some(hint) => Ok(Some(arrival.app.visitor(visit, &client.id, hint).await?)),
        None => Ok(None),
    }
}

/// Asks the story that the request type names.
async fn log_in(
    arrival: &Arrival,
    visit: &Visit,
    checked: &Checked,
    request: AuthorizationRequest,
    request_type: Option<AuthRequestType>,
) -> Result<AuthorizationAnswer, Failure> {
    let app = &arrival.app;
    let client = Some(checked.client.id.as_str());
    match request_type {
        Some(AuthRequestType::NamedUser) => {
            let user = named_user(arrival, checked, request)?;
            let named = user.named(visit)?;
            let target = addressee::compared(named.text());
            let presenting = limited::presenting(arrival, Surface::Login, client, Some(&target))?;
            let password = user.password.clone();
            let credentials = Credentials { named, password };
            let answer = username_password::log_in(app, visit, checked, credentials).await?;
            presenting.succeeded();
            Ok(answer)
        }
        Some(AuthRequestType::PasswordlessLogin) => {
            let proof = proof(arrival, &request)?;
            // Unlike a registration's, this channel must always be named.
            if proof.channel.is_none() {
                return Err(Refusal::ChannelMismatch.into());
            }
            let presenting = limited::presenting(arrival, Surface::Redeem, client, None)?;
            let answer = passwordless_login::complete(app, visit, checked, proof).await?;
            presenting.succeeded();
            Ok(answer)
        }
        Some(AuthRequestType::UserRegistration) => {
            let proof = proof(arrival, &request)?;
            let presenting = limited::presenting(arrival, Surface::Redeem, client, None)?;
            let answer = registration::complete(app, visit, checked, proof).await?;
            presenting.succeeded();
            Ok(answer)
        }
        Some(AuthRequestType::Guest) => guest::enter(app, visit, checked).await,
        None => Err(Refusal::AuthRequestTypeUnknown.into()),
    }
}

/// Who logs in with a password, as the request names them.
struct NamedUser {
    username: Option<String>,
    login_hint: Option<String>,
    customdata: Option<Map<String, Value>>,
    password: Secret,
}

impl NamedUser {
    /// Whom the request names, by the switches of the site.
    ///
    /// # Refusals
    /// `ParameterMissing` when there is a hint alone, and discovery is off for this flow.
    fn named(&self, visit: &Visit) -> Result<Named<'_>, Refusal> {
        let is_on = username_password::discovers(&visit.site.site.settings);
        let (username, hint) = (self.username.as_deref(), self.login_hint.as_deref());
        Named::read(username, hint, self.customdata.as_ref(), is_on)
            .map_err(|_| Refusal::ParameterMissing { name: "username" })
    }
}

/// Username or hint, and password, from the Basic header or from the body of a POST, and from one of
/// them.
fn named_user(
    arrival: &Arrival,
    checked: &Checked,
    request: AuthorizationRequest,
) -> Result<NamedUser, Refusal> {
    let is_in_body = request.username.is_some() || request.password.is_some();
    let is_in_header = arrival.header("authorization")?.is_some();
    if is_in_body && is_in_header {
        return Err(Refusal::CredentialsMisplaced);
    }
    // The body of a GET has no meaning (RFC 9110 section 9.3.1).
    let is_posted = is_in_body && arrival.method == Method::POST;
    if (is_in_body || checked.client.policies.is_code_cred_post_only) && !is_posted {
        return Err(Refusal::CredentialsMustBePosted);
    }
    if is_in_body {
        let missing = |name| Refusal::ParameterMissing { name };
        if request.username.is_none() && request.login_hint.is_none() {
            return Err(missing("username"));
        }
        return Ok(NamedUser {
            username: request.username,
            login_hint: checked_hint(request.login_hint)?,
            customdata: customdata(request.customdata.as_deref())?,
            password: request.password.ok_or(missing("password"))?,
        });
    }
    if request.login_hint.is_some() && !is_in_header {
        // A hint comes with its password in the body.
        return Err(Refusal::ParameterMissing { name: "password" });
    }
    let BasicCredentials { left, right } = user_credentials(arrival)?;
    Ok(NamedUser {
        username: Some(left),
        login_hint: None,
        customdata: None,
        password: right,
    })
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

/// The request identifier and the one-time password of the Basic header, and the channel that the
/// request names.
fn proof(
    arrival: &Arrival,
    request: &AuthorizationRequest,
) -> Result<registration::Proof, Refusal> {
    let BasicCredentials { left, right } = user_credentials(arrival)?;
    if request.username.is_some() || request.password.is_some() {
        return Err(Refusal::CredentialsMisplaced);
    }
    let channel = match arrival.header("auth-verification-type")? {
        None => None,
        Some(word) => Some(VerificationMethod::parse_header(word).ok_or(Refusal::ChannelMismatch)?),
    };
    Ok(registration::Proof::new(&left, &right, channel))
}

fn user_credentials(arrival: &Arrival) -> Result<BasicCredentials, Refusal> {
    let header = arrival
        .header("authorization")?
        .ok_or(Refusal::CredentialsMissing)?;
    parse_user(header)
        .map_err(|_| Refusal::CredentialsMalformed)?
        .ok_or(Refusal::CredentialsMissing)
}
