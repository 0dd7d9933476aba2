//! The client credentials grant (RFC 6749 section 4.4): a client acts as the user that its policy names,
//! which is how a private client gets the token for the headless APIs.
//!
//! It gives no refresh token and no id_token: no user has logged in.

use super::client_authentication::{Authenticated, VerifiedBy};
use super::issue::{MintedToken, Redeemed};
use super::{Grant, Redeeming};
use crate::client::{AccessTokenFormat, Client};
use crate::refusal::{Failure, Refusal};
use crate::store;

/// The hooks of the grant.
pub(super) static GRANT: Grant = Grant {
    names: &["client_credentials"],
    reads_guest_headers: false,
    client_id: |request| request.client_id.clone(),
    needs_secret: |_| true,
    check_allowed,
    redeem: |redeeming| Box::pin(redeem(redeeming)),
};

/// # Refusals
/// `ClientSecretMissing` for an attested client, `ClientCredentialsFlowDisabled` when the client does not have the flow.
fn check_allowed(authenticated: &Authenticated) -> Result<(), Refusal> {
    if matches!(authenticated.by, VerifiedBy::Attestation(_)) {
        // An instance of an app on a user's phone is not the service that this grant is for.
        return Err(Refusal::ClientSecretMissing);
    }
    run_as(&authenticated.client).map(|_| ())
}

/// The id of the user as which the client acts.
fn run_as(client: &Client) -> Result<&String, Refusal> {
    let policies = &client.policies;
    let user_id = policies.client_credentials_flow_user.as_ref();
    user_id
        .filter(|_| policies.is_client_credentials_flow_enabled)
        .ok_or(Refusal::ClientCredentialsFlowDisabled)
}

/// Saves a token for the client's user. A JWT is not stored: it is short-lived, and its user is looked up
/// at each use.
///
/// # Refusals
/// `ScopeNotAllowed`, and `ClientCredentialsFlowDisabled` when the user is not active.
async fn redeem(redeeming: Redeeming<'_>) -> Result<Redeemed, Failure> {
    let Redeeming { app, visit, .. } = redeeming;
    let client = &redeeming.authenticated.client;
    let run_as = run_as(client)?;
    let scope = client.check_scope(redeeming.request.scope.as_deref())?;
    // There is no user's login to continue (RFC 6749 section 4.4.3).
    let scope = scope.without("refresh_token");
    if scope.is_empty() {
        return Err(Refusal::ScopeNotAllowed.into());
    }
    let user = app
        .store
        .read("user.find", run_as, |tx, id| {
            Box::pin(store::user::find_by_id(tx, id))
        })
        .await?
        .filter(|user| user.check_active().is_ok())
        .ok_or(Refusal::ClientCredentialsFlowDisabled)?;
    let token = MintedToken::new(app, client);
    let generation = user.session_generation;
    if client.policies.access_token_format == AccessTokenFormat::Opaque {
        let planned = token.planned(visit, client);
        let row = planned.row(None, &user.id, generation, scope.to_string());
        app.store
            .write("token.issue", row, |tx, row| {
                Box::pin(store::token::insert(tx, row))
            })
            .await?;
    }
    Ok(Redeemed {
        token,
        user_id: user.id,
        scope,
        uvid: None,
        login: None,
        refresh_token: None,
        unstored: Some(generation),
        more: Vec::new(),
        refresh: None,
    })
}
