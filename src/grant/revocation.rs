//! Revocation (RFC 7009): an access token ends alone, a refresh token with its whole family.
//!
//! A caller that has a token may end it; the mobile SDKs log out without client authentication. A client
//! that authenticates ends its own tokens only. An answer never discloses whether there was such a
//! token. Source: Revoke OAuth Tokens.

use std::sync::Arc;

use vestibule_protocol::revocation::TokenQuestion;

use super::client_authentication::{ClientHeaders, ClientProof};
use crate::app::{App, CLIENT_CREDENTIALS, Visit};
use crate::client::Client;
use crate::refusal::{Failure, Fault, Refusal};
use crate::sealing::sha256;
use crate::store::audit::AuditEvent;
use crate::store::{self, Transaction};
use crate::token::{AccessClaims, Standing, decode, family_of};

/// Revokes a token. One that is unknown, has ended or is another client's is left alone, which is a success too.
///
/// # Refusals
/// `ParameterMissing`, those of client authentication when anything of a client was sent, and
/// `TokenTypeUnsupported` for a JWT that is not stored and still good.
pub async fn revoke(
    app: &App,
    visit: &Visit,
    question: TokenQuestion,
    headers: ClientHeaders,
) -> Result<(), Failure> {
    let proof = ClientProof::of_question(&question, headers);
    let client = proof.authenticate_if_named(app, visit).await?;
    let token = question
        .token
        .ok_or(Refusal::ParameterMissing { name: "token" })?;
    let text = token.expose();
    let (named, hash) = match (family_of(text), text.contains('!')) {
        (Some(family_name), _) => (Named::Family(family_name), sha256(text.as_bytes())),
        (None, true) => (Named::AccessToken, sha256(text.as_bytes())),
        (None, false) => match token_id(app, visit, text)? {
            Some(token_id) => (Named::AccessToken, sha256(token_id.as_bytes())),
            None => return Ok(()),
        },
    };
    let revocation = Revocation {
        named,
        hash,
        client,
        site_id: visit.site.site.id.clone(),
        guest_user_id: visit.site.guest_user_id.clone(),
        event: visit.event(&app.entropy, "token.revoked"),
    };
    let revoked = app
        .store
        .write("token.revoke", revocation, |tx, revocation| {
            Box::pin(revoke_within(tx, revocation))
        });
    Ok(revoked.await?)
}

/// What a token is, by its form.
enum Named {
    AccessToken,
    Family([u8; 32]),
}

struct Revocation {
    named: Named,
    hash: [u8; 32],
    /// The client that authenticated, if one did.
    client: Option<Arc<Client>>,
    site_id: String,
    guest_user_id: String,
    event: AuditEvent,
}

/// The `jti` of a JWT of ours. One of the client credentials grant is not in the store: to say that
/// it is revoked would not be true, and so it is refused for as long as it is good.
fn token_id(app: &App, visit: &Visit, text: &str) -> Result<Option<String>, Refusal> {
    let claims: Result<AccessClaims, _> = decode(&app.directory().keys, text);
    let Ok(claims) = claims else {
        return Ok(None);
    };
    let is_unstored = claims.gty.as_deref() == Some(CLIENT_CREDENTIALS);
    if !is_unstored {
        return Ok(Some(claims.jti));
    }
    let is_good = claims.iss == visit.site.site.base_url && claims.exp > visit.at.seconds();
    if is_good {
        return Err(Refusal::TokenTypeUnsupported);
    }
    Ok(None)
}

async fn revoke_within(tx: &mut Transaction<'_>, revocation: &Revocation) -> Result<(), Fault> {
    let owner = match &revocation.named {
        Named::AccessToken => revoke_access_token(tx, revocation).await?,
        Named::Family(name) => end_family(tx, name, revocation).await?,
    };
    // Every caller can become a guest, and must not fill the audit log.
    let owner = owner.filter(|(_, user_id)| *user_id != revocation.guest_user_id);
    if let Some((client_id, user_id)) = owner {
        let event = AuditEvent {
            client_id: Some(client_id),
            user_id: Some(user_id),
            ..revocation.event.clone()
        };
        store::audit::insert(tx, &event).await?;
    }
    Ok(())
}

async fn revoke_access_token(
    tx: &mut Transaction<'_>,
    revocation: &Revocation,
) -> Result<Option<(String, String)>, Fault> {
    let client_id = revocation.client.as_ref().map(|client| client.id.as_str());
    let revoked = store::token::revoke(
        tx,
        &revocation.hash,
        &revocation.site_id,
        client_id,
        revocation.event.at,
    );
    let revoked = revoked.await?;
    Ok(revoked.map(|token| (token.client_id, token.user_id)))
}

/// Ends the family of a refresh token, also of one that was replaced: a revoked refresh token ends the tokens of the
/// same grant (RFC 7009 section 2.1).
async fn end_family(
    tx: &mut Transaction<'_>,
    name: &[u8; 32],
    revocation: &Revocation,
) -> Result<Option<(String, String)>, Fault> {
    let Some(family) = store::family::find(tx, name, &revocation.site_id).await? else {
        return Ok(None);
    };
    let client = revocation.client.as_ref();
    if client.is_some_and(|client| client.id != family.client_id) {
        return Ok(None);
    }
    match family.state.standing(&revocation.hash, revocation.event.at) {
        Standing::Current | Standing::JustReplaced(_) | Standing::Reused => {
            let is_ended = store::family::end(tx, name, revocation.event.at).await?;
            Ok(is_ended.then_some((family.client_id, family.user.id)))
        }
        Standing::Ended => Ok(None),
    }
}
