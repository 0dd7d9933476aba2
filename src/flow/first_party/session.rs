//! The `auth_session`: the state of a login between two steps.
//!
//! The app gets a text of 256 random bits; the row is found by its SHA-256. A request with the text deletes
//! the row, if it comes from the app and the key that began the login, and every answer has a new text. Wrong
//! credentials use up the tries, and that is saved although the answer is an error.
//!
//! Source: draft-ietf-oauth-first-party-apps section 5.3.1.

use serde::{Deserialize, Serialize};
use vestibule_protocol::headless::{
    ChallengeAnswer, ChallengeRequest, UserReference, VerificationMethod,
};
use vestibule_protocol::purpose::Purpose;
use vestibule_protocol::secret::Secret;
use vestibule_protocol::uvid::Uvid;

use super::AuthenticatedApp;
use crate::app::{App, Visit};
use crate::refusal::{Failure, Fault, Reason, Refusal};
use crate::sealing::sha256;
use crate::store;
use crate::store::auth_session::{SessionOwner, StoredSession};
use crate::token::mint_auth_session;

/// How long a step may take, in seconds.
const LIFETIME_SECONDS: i64 = 600;

/// Wrong credentials in one login. What is guessed has limits of its own (the tries of the challenge, the
/// user's lockout), which apply as well.
const TRIES: i64 = 10;

/// A session whose row was deleted for this step.
pub(super) struct Session {
    hash: [u8; 32],
    waiting: StoredSession,
    state: State,
}

/// What is stored in the row.
#[derive(Serialize, Deserialize)]
struct State {
    parameters: SentParameters,
    awaits: Awaits,
}

/// The authorization request, as sent.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct SentParameters {
    pub scope: Option<String>,
    pub state: Option<String>,
    pub nonce: Option<String>,
    pub code_challenge: Option<String>,
    pub uvid: Option<String>,
}

/// What the next step may contain, if it does not begin a login.
#[derive(Clone, Serialize, Deserialize)]
pub(super) enum Awaits {
    /// A username with its password, or a request for a code.
    Credentials,
    /// The code of a passwordless login: the hash of its request identifier, and the channel that it is sent by.
    LoginCode {
        request: [u8; 32],
        method: VerificationMethod,
    },
    /// The code of a registration, and the channel if the request named one.
    RegistrationCode {
        request: [u8; 32],
        method: Option<VerificationMethod>,
    },
    /// The code of a password reset, with the new password of the user that the request named.
    ResetCode(UserReference),
}

impl Awaits {
    /// The purpose of the code that is awaited, if one is.
    pub fn code_for(&self) -> Option<Purpose> {
        match self {
            Awaits::Credentials => None,
            Awaits::LoginCode { .. } => Some(Purpose::PasswordlessLogin),
            Awaits::RegistrationCode { .. } => Some(Purpose::Registration),
            Awaits::ResetCode(_) => Some(Purpose::ForgotPassword),
        }
    }
}

/// The outcome of a step.
pub(super) enum Step {
    /// The login is complete, with this code.
    Done(Secret),
    /// Another step is needed.
    Next(Next, Awaits),
}

/// What the response says when another step is needed.
pub(super) enum Next {
    /// A code was sent, or for an unknown user the answer says so.
    CodeSent {
        purpose: Purpose,
        method: VerificationMethod,
    },
    /// The credentials are wrong.
    Failed,
    /// The new password is set.
    PasswordChanged,
    /// The policy refuses the new password.
    PasswordRefused,
}

impl Next {
    /// Whether it uses up a try.
    pub fn is_wrong(&self) -> bool {
        matches!(self, Next::Failed | Next::PasswordRefused)
    }
}

impl Session {
    pub fn awaits(&self) -> &Awaits {
        &self.state.awaits
    }
}

impl SentParameters {
    /// The parameters of the request; for those that are absent, the parameters of earlier steps. A later step
    /// may send another code challenge, because the same app redeems the code.
    pub fn of(
        request: &ChallengeRequest,
        uvid: Option<&Uvid>,
        session: Option<&Session>,
    ) -> SentParameters {
        let before = session.map(|session| &session.state.parameters);
        let earlier =
            |get: fn(&SentParameters) -> &Option<String>| before.and_then(|p| get(p).clone());
        SentParameters {
            scope: request.scope.clone().or_else(|| earlier(|p| &p.scope)),
            state: request.state.clone().or_else(|| earlier(|p| &p.state)),
            nonce: request.nonce.clone().or_else(|| earlier(|p| &p.nonce)),
            code_challenge: (request.code_challenge.clone())
                .or_else(|| earlier(|p| &p.code_challenge)),
            uvid: uvid
                .map(|uvid| uvid.as_str().to_owned())
                .or_else(|| earlier(|p| &p.uvid)),
        }
    }
}

/// Deletes the session that a request continues, if it continues one, and returns it.
///
/// # Refusals
/// `AuthSessionInvalid`.
pub(super) async fn take(
    app: &App,
    visit: &Visit,
    caller: &AuthenticatedApp,
    presented: Option<&Secret>,
) -> Result<Option<Session>, Failure> {
    let Some(presented) = presented else {
        return Ok(None);
    };
    let hash = sha256(presented.expose().as_bytes());
    let taken = app
        .store
        .write(
            "auth_session.take",
            (hash, holder(visit, caller), visit.at),
            |tx, (hash, holder, at)| Box::pin(store::auth_session::take(tx, hash, holder, *at)),
        )
        .await?;
    let waiting = taken.ok_or(Refusal::AuthSessionInvalid {
        because: Reason::AuthSessionNotLive,
    })?;
    let state = serde_json::from_str(&waiting.state)
        .map_err(|error| Fault::new("reading a login's session", error))?;
    Ok(Some(Session {
        hash,
        waiting,
        state,
    }))
}

/// Saves a session again under its text, for a step that was refused.
pub(super) async fn put_back(
    app: &App,
    visit: &Visit,
    caller: &AuthenticatedApp,
    session: Option<Session>,
) -> Result<(), Fault> {
    match session {
        None => Ok(()),
        Some(session) => {
            let Session { hash, waiting, .. } = session;
            save(app, hash, holder(visit, caller), waiting).await
        }
    }
}

/// Answers a step that was carried out, with a new session for the next one.
pub(super) async fn go_on(
    app: &App,
    visit: &Visit,
    caller: &AuthenticatedApp,
    parameters: SentParameters,
    session: Option<Session>,
    step: Step,
) -> Result<ChallengeAnswer, Failure> {
    let (next, awaits) = match step {
        Step::Done(code) => return Ok(ChallengeAnswer::Code(code)),
        Step::Next(next, awaits) => (next, awaits),
    };
    let tries_left = session.map_or(TRIES, |session| session.waiting.tries_left);
    let tries_left = tries_left - i64::from(next.is_wrong());
    let code_for = awaits.code_for();
    let auth_session = match tries_left {
        ..=0 => None,
        _ => Some(open(app, visit, caller, State { parameters, awaits }, tries_left).await?),
    };
    Ok(match (next, auth_session) {
        (Next::CodeSent { purpose, method }, Some(auth_session)) => ChallengeAnswer::CodeSent {
            purpose,
            method,
            auth_session,
        },
        (Next::PasswordChanged, Some(auth_session)) => {
            ChallengeAnswer::PasswordChanged { auth_session }
        }
        (Next::PasswordRefused, auth_session) => ChallengeAnswer::PasswordRefused { auth_session },
        (_, auth_session) => ChallengeAnswer::Failed {
            awaits: code_for,
            auth_session,
        },
    })
}

async fn open(
    app: &App,
    visit: &Visit,
    caller: &AuthenticatedApp,
    state: State,
    tries_left: i64,
) -> Result<Secret, Fault> {
    let minted = mint_auth_session(&app.entropy);
    let waiting = StoredSession {
        state: serde_json::to_string(&state)
            .map_err(|error| Fault::new("writing a login's session", error))?,
        tries_left,
        expires_at: visit.at.plus_seconds(LIFETIME_SECONDS),
    };
    save(app, minted.hash, holder(visit, caller), waiting).await?;
    Ok(minted.text)
}

async fn save(
    app: &App,
    hash: [u8; 32],
    owner: SessionOwner,
    waiting: StoredSession,
) -> Result<(), Fault> {
    app.store
        .write(
            "auth_session.save",
            (hash, owner, waiting),
            |tx, (hash, owner, waiting)| {
                Box::pin(store::auth_session::insert(tx, hash, owner, waiting))
            },
        )
        .await
}

fn holder(visit: &Visit, caller: &AuthenticatedApp) -> SessionOwner {
    SessionOwner {
        site_id: visit.site.site.id.clone(),
        client_id: caller.client.id.clone(),
        client_key: caller.key.clone(),
    }
}
