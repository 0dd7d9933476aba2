//! What every flow that ends at authorize has in common: the ordered checks of the request before
//! a user is authenticated, and the code at the end.
//!
//! RFC 6749 section 4.1, RFC 7636, and the Authorization Code and Credentials Flow.

use std::sync::Arc;

use vestibule_protocol::authorization::{
    AuthorizationAnswer, AuthorizationRequest, check_code_challenge,
};
use vestibule_protocol::scope::ScopeSet;
use vestibule_protocol::secret::Secret;
use vestibule_protocol::uvid::Uvid;

use crate::app::{App, Visit};
use crate::client::Client;
use crate::identity::User;
use crate::refusal::{Fault, Refusal};
use crate::store::code::AuthorizationCode;
use crate::store::{self, Transaction};
use crate::token::mint_authorization_code;

/// The redirect URI of a code that is sent in the response itself.
pub const NO_REDIRECT: &str = "";

/// The `response_type` of every headless flow.
const CODE_CREDENTIALS: &str = "code_credentials";

/// An authorization request that passed every check that needs no user.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The client that asks.
    pub client: Arc<Client>,
    /// One of its callbacks, or [`NO_REDIRECT`].
    pub redirect_uri: String,
    /// What the code will be good for.
    pub scope: ScopeSet,
    /// S256 challenge.
    pub code_challenge: Option<String>,
    /// To be repeated to the client.
    pub state: Option<String>,
    /// To be carried into the id_token.
    pub nonce: Option<String>,
    /// The visitor who logs in or asks as a guest, to be carried into a JWT access token. The endpoint sets it: a hint
    /// may have to be looked up.
    pub uvid: Option<Uvid>,
    /// The key that the client must show again to redeem the code, if it has attested itself.
    pub client_key: Option<String>,
}

/// What a request asks a code for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CodeSubject {
    Guest,
    User,
}

/// Checks an authorization request in a fixed order, so that the same mistake always gets the same
/// answer: client → redirect_uri → response_type → flow → PKCE → scope.
///
/// # Refusals
/// `ParameterMissing`, `ClientUnknown`, `RedirectUriMissing`, `RedirectUriMismatch`,
/// `ResponseTypeUnsupported`, `SiteFlowDisabled`, `ClientFlowDisabled`, `CodeChallengeMissing`,
/// `CodeChallengeInvalid`, `ScopeNotAllowed`.
pub fn check(app: &App, visit: &Visit, request: &AuthorizationRequest) -> Result<Checked, Refusal> {
    check_for(app, visit, request, CodeSubject::User)
}

/// The same for a guest, who gets a guest's scopes.
///
/// # Refusals
/// Those of [`check`]; with the flows, `GuestFlowDisabled`.
pub fn check_guest(
    app: &App,
    visit: &Visit,
    request: &AuthorizationRequest,
) -> Result<Checked, Refusal> {
    check_for(app, visit, request, CodeSubject::Guest)
}

fn check_for(
    app: &App,
    visit: &Visit,
    request: &AuthorizationRequest,
    subject: CodeSubject,
) -> Result<Checked, Refusal> {
    let client = known_client(app, request)?;
    visit.note_client(&client);
    let redirect_uri = registered_redirect_uri(&client, request)?;
    headless_response_type(request)?;
    allowed_flow(visit, &client, subject)?;
    let code_challenge = sufficient_pkce(&client, request.code_challenge.as_deref())?;
    let requested = request.scope.as_deref();
    let scope = match subject {
        CodeSubject::Guest => client.check_guest_scope(requested)?,
        CodeSubject::User => client.check_scope(requested)?,
    };
    Ok(Checked {
        client,
        redirect_uri,
        scope,
        code_challenge,
        state: request.state.clone(),
        nonce: request.nonce.clone(),
        uvid: None,
        client_key: None,
    })
}

fn known_client(app: &App, request: &AuthorizationRequest) -> Result<Arc<Client>, Refusal> {
    let id = request
        .client_id
        .as_deref()
        .ok_or(Refusal::ParameterMissing { name: "client_id" })?;
    app.directory()
        .client(id)
        .cloned()
        .ok_or(Refusal::ClientUnknown)
}

fn registered_redirect_uri(
    client: &Client,
    request: &AuthorizationRequest,
) -> Result<String, Refusal> {
    let redirect_uri = request
        .redirect_uri
        .as_deref()
        .ok_or(Refusal::RedirectUriMissing)?;
    client.check_redirect_uri(redirect_uri)?;
    Ok(redirect_uri.to_owned())
}

fn headless_response_type(request: &AuthorizationRequest) -> Result<(), Refusal> {
    match request.response_type.as_deref() {
        Some(CODE_CREDENTIALS) => Ok(()),
        Some(_) => Err(Refusal::ResponseTypeUnsupported),
        None => Err(Refusal::ParameterMissing {
            name: "response_type",
        }),
    }
}

fn allowed_flow(visit: &Visit, client: &Client, subject: CodeSubject) -> Result<(), Refusal> {
    if !visit.site.site.settings.o_auth_cd_crdt_flow_enable {
        return Err(Refusal::SiteFlowDisabled);
    }
    if !client.policies.is_code_cred_flow_enabled {
        return Err(Refusal::ClientFlowDisabled);
    }
    if subject == CodeSubject::Guest && !client.policies.is_guest_flow_enabled {
        return Err(Refusal::GuestFlowDisabled);
    }
    Ok(())
}

/// The PKCE challenge of a request; required from a client that needs one.
///
/// # Refusals
/// `CodeChallengeInvalid`, `CodeChallengeMissing`.
pub(super) fn sufficient_pkce(
    client: &Client,
    code_challenge: Option<&str>,
) -> Result<Option<String>, Refusal> {
    match code_challenge {
        Some(challenge) => {
            check_code_challenge(challenge).map_err(|_| Refusal::CodeChallengeInvalid)?;
            Ok(Some(challenge.to_owned()))
        }
        None if client.needs_pkce() => Err(Refusal::CodeChallengeMissing),
        None => Ok(None),
    }
}

/// A code that is about to be issued: the text for the client and the row for the write that
/// completes the flow.
#[derive(Debug)]
pub struct IssuedCode {
    /// The text.
    pub text: Secret,
    /// The row, still without a user.
    pub row: UnownedCode,
}

/// The row of a code before its user is known; some flows learn it inside their write.
#[derive(Clone, Debug)]
pub struct UnownedCode {
    code: AuthorizationCode,
    /// The network that the user logs in from.
    network: String,
}

impl UnownedCode {
    /// Saves the code of an authenticated user, and that the user has logged in from this network.
    ///
    /// # Faults
    /// The database is away.
    pub async fn save_for(&self, tx: &mut Transaction<'_>, user: &User) -> Result<(), Fault> {
        store::code::insert(tx, &self.of(user)).await?;
        store::known_network::note(tx, &user.id, &self.network, self.code.auth_at).await
    }

    /// The row for an authenticated user.
    fn of(&self, user: &User) -> AuthorizationCode {
        AuthorizationCode {
            user_id: user.id.clone(),
            session_generation: user.session_generation,
            ..self.code.clone()
        }
    }

    /// The row for a site's guest user, who is not authenticated.
    pub fn of_guest(&self, guest_user_id: &str) -> AuthorizationCode {
        AuthorizationCode {
            user_id: guest_user_id.to_owned(),
            ..self.code.clone()
        }
    }
}

/// Mints the code of a checked request. The caller saves the row in the same write that spends the credential. `amr`
/// is how the user was authenticated (RFC 8176).
pub fn issue_code(app: &App, visit: &Visit, checked: &Checked, amr: &str) -> IssuedCode {
    let minted = mint_authorization_code(&app.entropy);
    let lifetime = checked.client.policies.authorization_code_lifetime_seconds;
    IssuedCode {
        text: minted.text,
        row: UnownedCode {
            network: visit.origin().network.to_string(),
            code: AuthorizationCode {
                code_hash: minted.hash,
                client_id: checked.client.id.clone(),
                user_id: String::new(),
                site_id: visit.site.site.id.clone(),
                redirect_uri: checked.redirect_uri.clone(),
                code_challenge: checked.code_challenge.clone(),
                scope: checked.scope.to_string(),
                state: checked.state.clone(),
                nonce: checked.nonce.clone(),
                auth_at: visit.at,
                amr: amr.to_owned(),
                session_generation: 0,
                expires_at: visit.at.plus_seconds(lifetime),
                uvid: checked.uvid.as_ref().map(|uvid| uvid.as_str().to_owned()),
                client_key: checked.client_key.clone(),
            },
        },
    }
}

/// The parameters of the redirect, exactly four: `code`, `sfdc_community_url`, `sfdc_community_id`
/// and, if it was sent, `state`.
pub fn answer(visit: &Visit, checked: &Checked, code: Secret) -> AuthorizationAnswer {
    AuthorizationAnswer {
        code,
        sfdc_community_url: visit.site.site.base_url.clone(),
        sfdc_community_id: visit.site.site.id.clone(),
        state: checked.state.clone(),
    }
}
