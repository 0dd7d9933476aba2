//! The refresh token grant (RFC 6749 section 6), also by its name `hybrid_refresh`.
//!
//! A client that rotates gets a successor with every refresh, and the presented token is not valid any
//! more. Mobile networks lose answers, so the token just replaced may be presented once more within ten
//! seconds and gets the *same* successor. Any other token of the family that is not the current one ends
//! the family, and that is committed although the answer is an error: the server cannot distinguish the
//! thief from the client, so it stops both.
//!
//! SDKs log the user out at 400, 401 and 403, so these statuses mean that the login has ended, and nothing
//! else has them.

use std::sync::Arc;

use vestibule_protocol::scope::ScopeSet;

use super::client_authentication::{Authenticated, VerifiedBy};
use super::issue::{AuthenticationEvent, MintedToken, PlannedToken, Redeemed};
use super::{Grant, Redeeming, is_login_live, remaining_scope};
use crate::client::Client;
use crate::moment::Moment;
use crate::refusal::{Failure, Fault, FaultKind, Reason, Refusal};
use crate::sealing::sha256;
use crate::store::audit::AuditEvent;
use crate::store::family::TokenFamily;
use crate::store::{self, Transaction};
use crate::token::{Replaced, Salt, Standing, family_of, succeed_refresh_token};
use crate::verification::Origin;

/// The hooks of the grant. Whether the client may refresh is a question of its login, so it is decided in the write.
pub(super) static GRANT: Grant = Grant {
    names: &["refresh_token", "hybrid_refresh"],
    reads_guest_headers: false,
    client_id: |request| request.client_id.clone(),
    needs_secret: |client| client.policies.needs_secret_to_refresh(),
    check_allowed: |_| Ok(()),
    redeem: |redeeming| Box::pin(redeem(redeeming)),
};

/// Refreshes.
///
/// # Refusals
/// `ParameterMissing`, `RefreshTokenUnknown`, `RefreshTokenEnded`, `RefreshTokenReused`,
/// `ClientNotApproved`, `ScopeNotAllowed`.
async fn redeem(redeeming: Redeeming<'_>) -> Result<Redeemed, Failure> {
    let Authenticated { client, by } = redeeming.authenticated;
    let Redeeming {
        app,
        visit,
        request,
        ..
    } = redeeming;
    let presented = request.refresh_token.ok_or(Refusal::ParameterMissing {
        name: "refresh_token",
    })?;
    let family_name =
        family_of(presented.expose()).ok_or(unknown(Reason::RefreshTokenMalformed))?;
    let requested = match request.scope.as_deref().map(ScopeSet::parse) {
        None => None,
        Some(parsed) => Some(parsed.map_err(|_| Refusal::ScopeNotAllowed)?),
    };
    let token = MintedToken::new(app, client);
    let successor = client.policies.rotates_refresh_tokens().then(|| {
        let salt: Salt = app.entropy.bytes();
        let minted = succeed_refresh_token(&presented, &family_name, &salt, &app.keyring);
        (salt, minted)
    });
    let refresh = Refresh {
        family_name,
        presented_hash: sha256(presented.expose().as_bytes()),
        client: client.clone(),
        by: by.clone(),
        site_id: visit.site.site.id.clone(),
        requested,
        successor: successor
            .as_ref()
            .map(|(salt, minted)| (*salt, minted.hash)),
        token: token.planned(visit, client),
        origin: visit.origin(),
        event: AuditEvent {
            client_id: Some(client.id.clone()),
            ..visit.event(&app.entropy, "refresh_token.reused")
        },
    };
    let done = app.store.write("token.refresh", refresh, |tx, refresh| {
        Box::pin(refresh_within(tx, refresh))
    });
    let refreshed = done.await??;
    // A refresh token only if it was replaced.
    let next = match refreshed.repeats {
        Some(salt) => Some(succeed_refresh_token(
            &presented,
            &family_name,
            &salt,
            &app.keyring,
        )),
        None => successor.map(|(_, minted)| minted),
    };
    let is_retry = refreshed.repeats.is_some();
    Ok(Redeemed {
        token,
        user_id: refreshed.user_id,
        scope: refreshed.scope,
        uvid: refreshed.uvid,
        login: Some(AuthenticationEvent {
            auth_at: refreshed.auth_at,
            amr: refreshed.amr,
            // OpenID Connect Core 1.0 section 12.2.
            nonce: None,
        }),
        refresh_token: next.map(|minted| minted.text),
        unstored: None,
        more: Vec::new(),
        refresh: Some(if is_retry { "retried" } else { "refreshed" }),
    })
}

fn unknown(because: Reason) -> Refusal {
    Refusal::RefreshTokenUnknown { because }
}

fn ended(because: Reason) -> Refusal {
    Refusal::RefreshTokenEnded { because }
}

/// What the write needs.
struct Refresh {
    family_name: [u8; 32],
    presented_hash: [u8; 32],
    client: Arc<Client>,
    by: VerifiedBy,
    site_id: String,
    requested: Option<ScopeSet>,
    /// The salt and the hash of the token that takes the place of the presented one.
    successor: Option<(Salt, [u8; 32])>,
    token: PlannedToken,
    origin: Origin,
    event: AuditEvent,
}

/// A refresh that was granted.
struct Refreshed {
    user_id: String,
    scope: ScopeSet,
    auth_at: Moment,
    amr: String,
    uvid: Option<String>,
    /// The salt of the successor that was given before, when the answer was lost.
    repeats: Option<Salt>,
}

/// Asks what the token is to its family, moves the family on and saves the access token: one write.
async fn refresh_within(
    tx: &mut Transaction<'_>,
    refresh: &Refresh,
) -> Result<Result<Refreshed, Refusal>, Fault> {
    let Some(family) = store::family::find(tx, &refresh.family_name, &refresh.site_id).await?
    else {
        return Ok(Err(unknown(Reason::RefreshTokenUnknown)));
    };
    // Another client's presentation leaves the family untouched (threat RT-05), and so does that of the
    // same client with another key than the login's.
    if family.client_id != refresh.client.id {
        return Ok(Err(unknown(Reason::RefreshTokenOfAnotherClient)));
    }
    if !refresh.by.holds(family.client_key.as_deref()) {
        return Ok(Err(unknown(Reason::RefreshTokenOfAnotherKey)));
    }
    let at = refresh.event.at;
    let standing = family.state.standing(&refresh.presented_hash, at);
    match standing {
        Standing::Ended => return Ok(Err(ended(Reason::RefreshTokenEnded))),
        Standing::Reused => {
            store::family::end(tx, &refresh.family_name, at).await?;
            store::audit::insert(tx, &event(refresh, &family, "refresh_token.reused")).await?;
            return Ok(Err(Refusal::RefreshTokenReused));
        }
        Standing::Current | Standing::JustReplaced(_) => {}
    }
    let scope = match check(refresh, &family) {
        Ok(scope) => scope,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if !move_on(tx, refresh, &family, standing).await? {
        // Another request changed the family in between; the write runs again on its present state.
        let detail = String::from("another request moved the family on");
        return Err(Fault::described("refreshing", detail).with_kind(FaultKind::Conflict));
    }
    let token = refresh.token.row(
        Some(refresh.family_name),
        &family.user.id,
        family.session_generation,
        scope.to_string(),
    );
    store::token::insert(tx, &token).await?;
    if let (Standing::JustReplaced(_), Some(replaced)) = (standing, &family.state.replaced) {
        store::token::delete_of_retries(tx, &token, replaced.at).await?;
    }
    Ok(Ok(Refreshed {
        user_id: family.user.id,
        scope,
        auth_at: family.auth_at,
        amr: family.amr,
        uvid: family.uvid,
        repeats: match standing {
            Standing::JustReplaced(salt) => Some(salt),
            _ => None,
        },
    }))
}

/// Whether the login still holds, and which scopes are left of it: never more than it was granted
/// and than the app has now (threats RT-06, RT-07). A narrower request narrows this answer alone.
fn check(refresh: &Refresh, family: &TokenFamily) -> Result<ScopeSet, Refusal> {
    if !is_login_live(&refresh.client, family, refresh.event.at) {
        return Err(ended(Reason::RefreshTokenLoginEnded));
    }
    refresh.client.check_permitted(&family.user.profile_id)?;
    let remaining = remaining_scope(&refresh.client, family);
    let Some(requested) = &refresh.requested else {
        return Ok(remaining);
    };
    let granted = ScopeSet::parse(&family.scope).unwrap_or_default();
    let left = requested.intersection(&remaining);
    if requested.is_subset_of(&granted) && !left.is_empty() {
        Ok(left)
    } else {
        Err(Refusal::ScopeNotAllowed)
    }
}

/// Changes the row of the family, so that of simultaneous requests one succeeds.
async fn move_on(
    tx: &mut Transaction<'_>,
    refresh: &Refresh,
    family: &TokenFamily,
    standing: Standing,
) -> Result<bool, Fault> {
    let (name, presented) = (&refresh.family_name, &refresh.presented_hash);
    let at = refresh.event.at;
    if matches!(standing, Standing::JustReplaced(_)) {
        let event = event(refresh, family, "refresh_token.retried");
        // The row of the family first, as in every use of it.
        let is_unchanged = store::family::note_repeat(tx, name, presented, at).await?;
        store::audit::count(tx, &event, &refresh.origin, 1).await?;
        return Ok(is_unchanged);
    }
    let policies = &refresh.client.policies;
    let expires_at = policies.refresh_tokens_end_at(family.created_at, at);
    match refresh.successor {
        None => store::family::note_use(tx, name, presented, at, expires_at).await,
        Some((salt, successor_hash)) => {
            let replaced = Replaced {
                token_hash: *presented,
                salt,
                at,
            };
            store::family::replace(tx, name, &replaced, &successor_hash, expires_at).await
        }
    }
}

fn event(refresh: &Refresh, family: &TokenFamily, name: &'static str) -> AuditEvent {
    AuditEvent {
        event: name,
        user_id: Some(family.user.id.clone()),
        ..refresh.event.clone()
    }
}
