//! The authorization code grant (RFC 6749 section 4.1.3, RFC 7636), also by its name
//! `hybrid_auth_code`.
//!
//! Spending the code is one statement whose row count is the answer. A code that is presented again
//! ends every token that came from it, and that is committed although the answer is an error. Of
//! several simultaneous requests with one code, one gets tokens, and the others end them: the server
//! cannot distinguish the thief from the client, so it stops both.
//!
//! A guest's code is redeemed in the same way, for a JWT with the visitor's UVID and nothing else.

use std::sync::Arc;

use aws_lc_rs::digest;
use subtle::ConstantTimeEq;
use vestibule_protocol::pkce::{encode_challenge, verifier_is_well_formed};
use vestibule_protocol::scope::ScopeSet;
use vestibule_protocol::secret::Secret;
use vestibule_protocol::uvid::Uvid;

use super::client_authentication::{Authenticated, VerifiedBy};
use super::issue::{AuthenticationEvent, MintedToken, PlannedToken, Redeemed};
use super::{Grant, Redeeming};
use crate::client::{AccessTokenFormat, Client};
use crate::identity::User;
use crate::refusal::{Failure, Fault, Reason, Refusal};
use crate::sealing::sha256;
use crate::store::audit::AuditEvent;
use crate::store::code::{AuthorizationCode, Presenter, Spent};
use crate::store::family::NewFamily;
use crate::store::{self, Transaction};
use crate::token::mint_refresh_token;
use crate::verification::Origin;

/// The hooks of the grant. The flow that issued a code has checked that it is allowed for the client.
pub(super) static GRANT: Grant = Grant {
    names: &["authorization_code", "hybrid_auth_code"],
    reads_guest_headers: true,
    client_id: |request| request.client_id.clone(),
    needs_secret: |client| !client.policies.is_consumer_secret_optional,
    check_allowed: |_| Ok(()),
    redeem: |redeeming| Box::pin(redeem(redeeming)),
};

/// Redeems a code.
///
/// # Refusals
/// `ParameterMissing`, `RedirectUriMissing`, `UvidInvalid`, `CodeUnknown`, `CodeExpired`, `CodeSpent`,
/// `ClientKeyMismatch`, `RedirectUriChanged`, `PkceMismatch`, `GuestMismatch`, `UserDisabled`, `UserLocked`,
/// `ClientNotApproved`.
async fn redeem(redeeming: Redeeming<'_>) -> Result<Redeemed, Failure> {
    let Authenticated { client, by } = redeeming.authenticated;
    let Redeeming { app, visit, .. } = redeeming;
    let (request, guest) = (redeeming.request, redeeming.guest);
    let code = request
        .code
        .ok_or(Refusal::ParameterMissing { name: "code" })?;
    let uvid = match guest.hint {
        Some(hint) => Some(app.visitor(visit, &client.id, hint).await?),
        None => None,
    };
    // Whose code it is shows when it is spent, and a guest's token is a JWT in any case.
    let users_token = MintedToken::new(app, client);
    let guests_token = MintedToken::of_format(app, client, AccessTokenFormat::Jwt);
    let code_hash = sha256(code.expose().as_bytes());
    let refresh_token = mint_refresh_token(&code_hash, &app.entropy);
    let redemption = Redemption {
        code_hash,
        client: client.clone(),
        by: by.clone(),
        site_id: visit.site.site.id.clone(),
        guest_user_id: visit.site.guest_user_id.clone(),
        redirect_uri: request.redirect_uri,
        verifier: request.code_verifier,
        is_guest: guest.is_guest,
        uvid,
        users_token: users_token.planned(visit, client),
        guests_token: guests_token.planned(visit, client),
        refresh_token_hash: refresh_token.hash,
        origin: visit.origin(),
        event: AuditEvent {
            client_id: Some(client.id.clone()),
            ..visit.event(&app.entropy, "code.replayed")
        },
    };
    let code = app
        .store
        .write("code.redeem", redemption, |tx, redemption| {
            Box::pin(redeem_within(tx, redemption))
        })
        .await??;
    let scope = ScopeSet::parse(&code.scope).unwrap_or_default();
    // A guest gets an access token alone: there is no login to describe and none to continue.
    let is_guest = code.user_id == visit.site.guest_user_id;
    let is_refreshable = !is_guest && client.policies.issues_refresh_tokens(&scope);
    let login = AuthenticationEvent {
        auth_at: code.auth_at,
        amr: code.amr,
        nonce: code.nonce,
    };
    Ok(Redeemed {
        token: if is_guest { guests_token } else { users_token },
        user_id: code.user_id,
        scope,
        uvid: code.uvid,
        login: (!is_guest).then_some(login),
        refresh_token: is_refreshable.then_some(refresh_token.text),
        unstored: None,
        more: code
            .state
            .map(|state| ("state", state))
            .into_iter()
            .collect(),
        refresh: None,
    })
}

/// What the write that redeems needs.
struct Redemption {
    code_hash: [u8; 32],
    client: Arc<Client>,
    by: VerifiedBy,
    site_id: String,
    guest_user_id: String,
    redirect_uri: Option<String>,
    verifier: Option<Secret>,
    /// Whether the request says that the code is a guest's, if it says anything.
    is_guest: Option<bool>,
    /// The visitor in the request.
    uvid: Option<Uvid>,
    users_token: PlannedToken,
    guests_token: PlannedToken,
    refresh_token_hash: [u8; 32],
    origin: Origin,
    event: AuditEvent,
}

/// Spends the code, asks whether it was rightly presented, and saves the tokens: one write. A wrong
/// verifier burns the code (threat PKCE-02); another redirect URI, or none, does not spend it.
async fn redeem_within(
    tx: &mut Transaction<'_>,
    redemption: &Redemption,
) -> Result<Result<Box<AuthorizationCode>, Refusal>, Fault> {
    let Redemption {
        code_hash,
        client,
        site_id,
        event,
        ..
    } = redemption;
    let presenter = Presenter {
        client_id: &client.id,
        site_id,
        redirect_uri: redemption.redirect_uri.as_deref(),
    };
    let code = match store::code::spend(tx, code_hash, presenter, event.at).await? {
        Spent::Now(code) => code,
        Spent::Before { user_id } => {
            store::family::end(tx, code_hash, event.at).await?;
            // Every caller can become a guest, and must not fill the audit log.
            if user_id != redemption.guest_user_id {
                let event = AuditEvent {
                    user_id: Some(user_id),
                    ..event.clone()
                };
                store::audit::count(tx, &event, &redemption.origin, 1).await?;
            }
            return Ok(Err(Refusal::CodeSpent));
        }
        Spent::Expired => return Ok(Err(expired(Reason::CodeExpired))),
        Spent::NotIts => return Ok(Err(unknown(Reason::CodeOfAnotherClient))),
        Spent::OtherRedirect if redemption.redirect_uri.is_none() => {
            return Ok(Err(Refusal::RedirectUriMissing));
        }
        Spent::OtherRedirect => return Ok(Err(Refusal::RedirectUriChanged)),
        Spent::Unknown => return Ok(Err(unknown(Reason::CodeUnknown))),
    };
    let is_guest = code.user_id == redemption.guest_user_id;
    let checked = if is_guest {
        check_guest(redemption, &code)
    } else {
        let user = store::user::find_by_id(tx, &code.user_id).await?;
        check_user(redemption, &code, user.as_ref())
    };
    if let Err(refusal) = checked {
        return Ok(Err(refusal));
    }
    let planned = if is_guest {
        &redemption.guests_token
    } else {
        &redemption.users_token
    };
    let token = planned.row(
        Some(*code_hash),
        &code.user_id,
        code.session_generation,
        code.scope.clone(),
    );
    store::token::insert(tx, &token).await?;
    if let Some(family) = family(redemption, &code).filter(|_| !is_guest) {
        store::family::insert(tx, &family).await?;
    }
    Ok(Ok(code))
}

fn unknown(because: Reason) -> Refusal {
    Refusal::CodeUnknown { because }
}

fn expired(because: Reason) -> Refusal {
    Refusal::CodeExpired { because }
}

/// The family that begins with the code, if its client may refresh.
fn family(redemption: &Redemption, code: &AuthorizationCode) -> Option<NewFamily> {
    let policies = &redemption.client.policies;
    let scope = ScopeSet::parse(&code.scope).unwrap_or_default();
    let at = redemption.event.at;
    policies.issues_refresh_tokens(&scope).then(|| NewFamily {
        code_hash: code.code_hash,
        client_id: code.client_id.clone(),
        user_id: code.user_id.clone(),
        site_id: code.site_id.clone(),
        scope: code.scope.clone(),
        auth_at: code.auth_at,
        amr: code.amr.clone(),
        session_generation: code.session_generation,
        token_hash: redemption.refresh_token_hash,
        created_at: at,
        expires_at: policies.refresh_tokens_end_at(at, at),
        uvid: code.uvid.clone(),
        client_key: code.client_key.clone(),
    })
}

/// Whether the code was issued to this client, key, redirect_uri and guest, as far as the request says.
fn check_presentation(redemption: &Redemption, code: &AuthorizationCode) -> Result<(), Refusal> {
    if !redemption.by.holds(code.client_key.as_deref()) {
        return Err(Refusal::ClientKeyMismatch);
    }
    check_callback(&redemption.client, code)?;
    check_pkce(code.code_challenge.as_deref(), redemption.verifier.as_ref())?;
    let is_guest = code.user_id == redemption.guest_user_id;
    let is_another = match (&redemption.uvid, &code.uvid) {
        (Some(named), Some(bound)) => named.as_str() != bound,
        _ => false,
    };
    if is_another || redemption.is_guest.is_some_and(|said| said != is_guest) {
        return Err(Refusal::GuestMismatch);
    }
    Ok(())
}

/// Whether a guest may have a token: an app that has no guests any more takes its codes along.
fn check_guest(redemption: &Redemption, code: &AuthorizationCode) -> Result<(), Refusal> {
    check_presentation(redemption, code)?;
    if !redemption.client.policies.is_guest_flow_enabled {
        return Err(expired(Reason::CodeGuestFlowDisabled));
    }
    Ok(())
}

fn check_user(
    redemption: &Redemption,
    code: &AuthorizationCode,
    user: Option<&User>,
) -> Result<(), Refusal> {
    check_presentation(redemption, code)?;
    let user = user.ok_or(unknown(Reason::CodeUserGone))?;
    user.check_active()?;
    if user.session_generation != code.session_generation {
        // A password was chosen anew in between, and that ends what was begun under the old one.
        return Err(expired(Reason::CodeSessionEnded));
    }
    redemption.client.check_permitted(&user.profile_id)
}

/// Whether the callback is still registered: one that was removed in the meantime takes its codes along (threat
/// CODE-11). A code that was returned without a redirect needs none.
fn check_callback(client: &Client, code: &AuthorizationCode) -> Result<(), Refusal> {
    if code.is_redirectless() {
        return Ok(());
    }
    let checked = client.check_redirect_uri(&code.redirect_uri);
    checked.map_err(|_| Refusal::RedirectUriChanged)
}

/// Challenge and verifier come together or not at all, and S256 of the one is the other, whatever
/// `code_challenge_method` said.
fn check_pkce(challenge: Option<&str>, verifier: Option<&Secret>) -> Result<(), Refusal> {
    let (challenge, verifier) = match (challenge, verifier) {
        (None, None) => return Ok(()),
        (Some(challenge), Some(verifier)) => (challenge, verifier.expose()),
        _ => return Err(Refusal::PkceMismatch),
    };
    let hash = digest::digest(&digest::SHA256, verifier.as_bytes());
    let is_equal = encode_challenge(hash.as_ref())
        .as_bytes()
        .ct_eq(challenge.as_bytes());
    if verifier_is_well_formed(verifier) && bool::from(is_equal) {
        Ok(())
    } else {
        Err(Refusal::PkceMismatch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pkce_01_to_04_challenge_and_verifier_belong_together() {
        let verifier = Secret::from("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned());
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert_eq!(check_pkce(None, None), Ok(()));
        assert_eq!(check_pkce(Some(challenge), Some(&verifier)), Ok(()));
        assert_eq!(
            check_pkce(Some(challenge), None),
            Err(Refusal::PkceMismatch)
        );
        assert_eq!(
            check_pkce(None, Some(&verifier)),
            Err(Refusal::PkceMismatch)
        );
        let plain = Secret::from(challenge.to_owned());
        assert_eq!(
            check_pkce(Some(challenge), Some(&plain)),
            Err(Refusal::PkceMismatch)
        );
    }
}
