//! Introspection (RFC 7662): what a client may know of a token that it holds.
//!
//! A client must authenticate and learns about its own tokens only: another client's token is not active,
//! like one that is unknown or has ended (threat TOK-08).

use vestibule_protocol::revocation::{Introspection, TokenQuestion};
use vestibule_protocol::scope::ScopeSet;
use vestibule_protocol::secret::Secret;

use super::client_authentication::{ClientHeaders, ClientProof};
use super::{is_login_live, remaining_scope};
use crate::app::{App, Bearer, Visit};
use crate::client::Client;
use crate::moment::Moment;
use crate::refusal::{Failure, Reason, Refusal};
use crate::sealing::sha256;
use crate::store;
use crate::token::{Standing, family_of};

/// Says what a token is.
///
/// # Refusals
/// `ParameterMissing`; `ClientSecretWrongInHeader` for every client that does not authenticate,
/// because RFC 7662 section 2.3 wants a 401; and what client authentication refuses otherwise.
pub async fn introspect(
    app: &App,
    visit: &Visit,
    question: TokenQuestion,
    headers: ClientHeaders,
) -> Result<Introspection, Failure> {
    let proof = ClientProof::of_question(&question, headers);
    let client = proof.authenticate(app, visit, |_| true).await;
    let client = client.map_err(unauthorized)?.client;
    let token = question
        .token
        .ok_or(Refusal::ParameterMissing { name: "token" })?;
    match family_of(token.expose()) {
        Some(name) => of_refresh_token(app, visit, &client, &token, name).await,
        None => of_access_token(app, visit, &client, &token).await,
    }
}

fn unauthorized(failure: Failure) -> Failure {
    let because = match failure {
        Failure::Refused(Refusal::ClientSecretMissing | Refusal::ParameterMissing { .. }) => {
            Reason::ClientSecretMissing
        }
        Failure::Refused(Refusal::ClientSecretWrong) => Reason::ClientSecretWrong,
        Failure::Refused(Refusal::ClientUnknown) => Reason::ClientUnknown,
        other => return other,
    };
    Refusal::ClientSecretWrongInHeader { because }.into()
}

async fn of_access_token(
    app: &App,
    visit: &Visit,
    client: &Client,
    token: &Secret,
) -> Result<Introspection, Failure> {
    let org_id = &app.directory().org_id;
    let sub = |user_id: &str| visit.site.identity_url(org_id, user_id);
    let described = match app.bearer(&visit.site, token, visit.at).await {
        Ok(Bearer::Guest(guest)) => DescribedToken {
            sub: sub(&visit.site.guest_user_id),
            client_id: guest.client_id,
            scopes: guest.scopes,
            username: None,
            issued_at: guest.issued_at,
            expires_at: guest.expires_at,
        },
        Ok(Bearer::User(holder)) => DescribedToken {
            sub: sub(&holder.user.id),
            client_id: holder.client_id,
            scopes: holder.scopes,
            username: Some(holder.user.username),
            issued_at: holder.issued_at,
            expires_at: holder.expires_at,
        },
        Err(Failure::Refused(refusal)) => {
            visit.log_refusal(&refusal);
            return Ok(Introspection::default());
        }
        Err(fault) => return Err(fault),
    };
    if described.client_id != client.id && !client.policies.is_introspect_all_tokens {
        return Ok(Introspection::default());
    }
    Ok(described.into_answer())
}

/// What the answer about an access token contains.
struct DescribedToken {
    client_id: String,
    scopes: ScopeSet,
    sub: String,
    /// A guest has none.
    username: Option<String>,
    issued_at: Moment,
    expires_at: Moment,
}

impl DescribedToken {
    fn into_answer(self) -> Introspection {
        Introspection {
            active: true,
            scope: Some(self.scopes.to_string()),
            client_id: Some(self.client_id),
            sub: Some(self.sub),
            username: self.username,
            token_type: Some("access_token"),
            exp: Some(self.expires_at.seconds()),
            iat: Some(self.issued_at.seconds()),
            nbf: Some(self.issued_at.seconds()),
        }
    }
}

/// A token that was replaced is not active, though its client may come with it once more.
async fn of_refresh_token(
    app: &App,
    visit: &Visit,
    client: &Client,
    token: &Secret,
    name: [u8; 32],
) -> Result<Introspection, Failure> {
    let key = (name, visit.site.site.id.clone());
    let found = app.store.read("family.find", &key, |tx, (name, site_id)| {
        Box::pin(store::family::find(tx, name, site_id))
    });
    let hash = sha256(token.expose().as_bytes());
    let family = found.await?.filter(|family| {
        family.client_id == client.id
            && family.state.standing(&hash, visit.at) == Standing::Current
            && is_login_live(client, family, visit.at)
            && client.check_permitted(&family.user.profile_id).is_ok()
    });
    let Some(family) = family else {
        return Ok(Introspection::default());
    };
    let org_id = &app.directory().org_id;
    Ok(Introspection {
        active: true,
        scope: Some(remaining_scope(client, &family).to_string()),
        client_id: Some(client.id.clone()),
        sub: Some(visit.site.identity_url(org_id, &family.user.id)),
        username: Some(family.user.username),
        token_type: Some("refresh_token"),
        exp: family.state.expires_at.map(|end| end.seconds()),
        iat: Some(family.created_at.seconds()),
        nbf: Some(family.created_at.seconds()),
    })
}
