//! The client credentials grant (RFC 6749 section 4.4): a client acts as the user that its app names,
//! which is how a private client gets the token for the headless APIs.

use vestibule_protocol::token::{TokenAnswer, TokenRequest};

use super::{Grant, MintedToken, answer};
use crate::app::{App, Visit};
use crate::client::{AccessTokenFormat, Client};
use crate::refusal::{Failure, Refusal};
use crate::store;
use crate::store::token::AccessToken;

/// Issues a token for the client's own user. No refresh token and no id_token: nobody logged in.
///
/// # Refusals
/// `ClientCredentialsFlowDisabled` when the app does not have the flow or its user is not active,
/// `ScopeNotAllowed`.
pub(super) async fn exchange(
    app: &App,
    visit: &Visit,
    client: &Client,
    request: &TokenRequest,
) -> Result<TokenAnswer, Failure> {
    let run_as = client
        .policies
        .client_credentials_flow_user
        .clone()
        .filter(|_| client.policies.is_client_credentials_flow_enabled)
        .ok_or(Refusal::ClientCredentialsFlowDisabled)?;
    let scope = client.check_scope(request.scope.as_deref())?;
    // Nobody's login is to be prolonged (RFC 6749 section 4.4.3).
    let scope = scope.without("refresh_token");
    if scope.is_empty() {
        return Err(Refusal::ScopeNotAllowed.into());
    }
    let user = app
        .store
        .read("user.find", &run_as, |tx, id| {
            Box::pin(store::user::find_by_id(tx, id))
        })
        .await?
        .filter(|user| user.check_active().is_ok())
        .ok_or(Refusal::ClientCredentialsFlowDisabled)?;
    let token = MintedToken::new(app, client);
    if client.policies.access_token_format == AccessTokenFormat::Opaque {
        let row = AccessToken {
            token_hash: token.minted.hash,
            code_hash: None,
            client_id: client.id.clone(),
            user_id: user.id.clone(),
            site_id: visit.site.site.id.clone(),
            scope: scope.to_string(),
            session_generation: user.session_generation,
            issued_at: visit.at,
            expires_at: token.ends_at(visit.at),
        };
        app.store
            .write("token.issue", row, |tx, row| {
                Box::pin(store::token::insert(tx, row))
            })
            .await?;
    }
    let grant = Grant {
        client,
        user_id: &user.id,
        scope: &scope,
        uvid: None,
        // A JWT for a service is not stored: it is short-lived, and its user is asked for at each use.
        unstored: Some(user.session_generation),
    };
    Ok(answer(app, visit, &token, &grant)?)
}
