//! Logins of first-party apps at the authorization challenge endpoint: without a browser and a redirect, by an
//! app that has attested itself.
//!
//! ① The app authenticates itself ([`authenticate`]): by an assertion with a registered certificate, or by a
//! client attestation and a proof of possession of its key. ② Each step calls the flow that it belongs to,
//! with every limit of that flow. An attestation replaces the access token that the headless APIs require,
//! and discloses no more about an account. ③ The state between two steps is kept under an `auth_session`,
//! which belongs to the app and its key, can be used once and has few tries. The last step answers an
//! authorization code that only the same app can redeem.
//!
//! Source: OAuth 2.0 for First-Party Applications; draft-ietf-oauth-first-party-apps.

mod session;
mod steps;

use std::sync::Arc;

use vestibule_protocol::headless::{AnswerWords, ChallengeAnswer, ChallengeRequest};
use vestibule_protocol::uvid::UvidHint;

use super::authorization::{self, Checked};
use crate::app::{App, Visit};
use crate::client::{ASSERTION_KEY, AccessTokenFormat, Client, OneUse, PresentedAttestation};
use crate::refusal::{Failure, Reason, Refusal};
use session::{SentParameters, Session};

/// The type of a client assertion, if a request names one (RFC 7523 section 2.2).
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A first-party app that has authenticated itself.
pub struct AuthenticatedApp {
    /// The client.
    pub client: Arc<Client>,
    /// What its logins and codes are bound to: the thumbprint of its attested key, or [`ASSERTION_KEY`] for a
    /// registered certificate.
    key: String,
    /// The proof, if it may be used only once.
    one_use: Option<OneUse>,
}

/// Authenticates a first-party app, and checks that it may use the endpoint. Nothing is spent yet.
///
/// # Refusals
/// `CredentialsMisplaced`, `FirstPartySiteDisabled`, `ParameterMissing`, `ClientUnknown`,
/// `ClientAuthenticationAmbiguous`, `ClientAttestationMissing`, those of [`App::check_assertion`] and
/// of [`App::check_attestation`], `FirstPartyClientDisabled`.
pub fn authenticate(
    app: &App,
    visit: &Visit,
    words: AnswerWords,
    request: &ChallengeRequest,
    attestation: Option<&PresentedAttestation>,
) -> Result<AuthenticatedApp, Refusal> {
    if request.secret_came_in_query {
        return Err(Refusal::CredentialsMisplaced);
    }
    if !visit.site.site.settings.is_first_party_apps_allowed {
        return Err(Refusal::FirstPartySiteDisabled);
    }
    let id = request
        .client_id
        .as_deref()
        .ok_or(Refusal::ParameterMissing { name: "client_id" })?;
    let client = app.directory().client(id).cloned();
    let client = client.ok_or(Refusal::ClientUnknown)?;
    visit.note_client(&client);
    if request.client_assertion.is_some() && attestation.is_some() {
        return Err(Refusal::ClientAuthenticationAmbiguous);
    }
    let caller = match words {
        AnswerWords::Documented => asserted(app, visit, client, request)?,
        AnswerWords::Standard => attested(app, visit, client, attestation)?,
    };
    check_enabled(&caller.client, words)?;
    Ok(caller)
}

/// By an assertion, with a registered certificate.
fn asserted(
    app: &App,
    visit: &Visit,
    client: Arc<Client>,
    request: &ChallengeRequest,
) -> Result<AuthenticatedApp, Refusal> {
    let assertion = request.client_assertion.as_ref();
    let assertion = assertion.ok_or(Refusal::ClientAttestationMissing)?;
    let kind = request.client_assertion_type.as_deref();
    if kind.is_some_and(|kind| kind != JWT_BEARER) {
        return Err(Refusal::ClientAssertionInvalid {
            because: Reason::ClientAssertionTypeUnknown,
            problem: None,
        });
    }
    let audience = visit.site.site.base_url.as_str();
    let one_use = app.check_assertion(visit, &client, assertion, &[audience])?;
    Ok(AuthenticatedApp {
        client,
        key: ASSERTION_KEY.to_owned(),
        one_use,
    })
}

/// By an attestation of the client, with a proof of possession of its key.
fn attested(
    app: &App,
    visit: &Visit,
    client: Arc<Client>,
    attestation: Option<&PresentedAttestation>,
) -> Result<AuthenticatedApp, Refusal> {
    let attestation = attestation.ok_or(Refusal::ClientAttestationMissing)?;
    let attested = app.check_attestation(visit, &client, attestation)?;
    Ok(AuthenticatedApp {
        client,
        key: attested.thumbprint,
        one_use: Some(attested.one_use),
    })
}

/// The documented endpoint is for apps with a backend. A native app uses the other endpoint and attests its
/// instances.
fn check_enabled(client: &Client, words: AnswerWords) -> Result<(), Refusal> {
    let policies = &client.policies;
    let is_public = policies.is_consumer_secret_optional;
    let is_enabled =
        policies.is_first_party_app_enabled && !(is_public && words == AnswerWords::Documented);
    if is_enabled {
        Ok(())
    } else {
        Err(Refusal::FirstPartyClientDisabled)
    }
}

/// Carries out a step.
///
/// # Refusals
/// The client's own for a proof that was used before; `UvidInvalid`, `AuthSessionInvalid`, `ResponseTypeUnsupported`,
/// `CodeChallengeMissing`, `CodeChallengeInvalid`, `ScopeNotAllowed`, and those of the story that the
/// step belongs to. Wrong credentials are no refusal but an answer.
pub async fn answer(
    app: &App,
    visit: &Visit,
    mut caller: AuthenticatedApp,
    request: ChallengeRequest,
    hint: Option<UvidHint>,
) -> Result<ChallengeAnswer, Failure> {
    if let Some(one_use) = caller.one_use.take() {
        app.spend_proof(one_use).await?;
    }
    // The opaque token of a user cannot contain a visitor, so for opaque tokens the hint is not read.
    let is_jwt = caller.client.policies.access_token_format == AccessTokenFormat::Jwt;
    let uvid = match hint.filter(|_| is_jwt) {
        Some(hint) => Some(app.visitor(visit, &caller.client.id, hint).await?),
        None => None,
    };
    let session = session::take(app, visit, &caller, request.auth_session.as_ref()).await?;
    let parameters = SentParameters::of(&request, uvid.as_ref(), session.as_ref());
    let stepped = step(app, visit, &caller, &parameters, session.as_ref(), request).await;
    match stepped {
        Ok(step) => session::go_on(app, visit, &caller, parameters, session, step).await,
        Err(failure) => {
            // The session is still valid: the app may repeat the step with other parameters.
            session::put_back(app, visit, &caller, session).await?;
            Err(failure)
        }
    }
}

async fn step(
    app: &App,
    visit: &Visit,
    caller: &AuthenticatedApp,
    parameters: &SentParameters,
    session: Option<&Session>,
    request: ChallengeRequest,
) -> Result<session::Step, Failure> {
    let checked = check(caller, parameters, request.response_type.as_deref())?;
    steps::take(app, visit, &checked, session, request.step).await
}

/// The authorization request behind the steps: response_type → PKCE → scope.
fn check(
    caller: &AuthenticatedApp,
    parameters: &SentParameters,
    response_type: Option<&str>,
) -> Result<Checked, Refusal> {
    let client = &caller.client;
    if response_type.is_some_and(|word| word != "code") {
        return Err(Refusal::ResponseTypeUnsupported);
    }
    let code_challenge =
        authorization::sufficient_pkce(client, parameters.code_challenge.as_deref())?;
    Ok(Checked {
        client: Arc::clone(client),
        redirect_uri: authorization::NO_REDIRECT.to_owned(),
        scope: client.check_scope(parameters.scope.as_deref())?,
        code_challenge,
        state: parameters.state.clone(),
        nonce: parameters.nonce.clone(),
        uvid: parameters
            .uvid
            .as_deref()
            .and_then(|uvid| uvid.parse().ok()),
        client_key: Some(caller.key.clone()),
    })
}
