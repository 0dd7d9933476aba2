//! Grants: how a grant becomes tokens.
//!
//! The phases are the same for every grant type (RFC 6749 sections 2.3, 3.2 and 5): authenticate the
//! client, check that the grant is allowed to it, redeem, issue. The first and the last stand here;
//! one file per grant type does what lies between.

mod authorization_code;
mod client_credentials;

use std::sync::Arc;

use vestibule_protocol::basic::BasicCredentials;
use vestibule_protocol::scope::ScopeSet;
use vestibule_protocol::secret::Secret;
use vestibule_protocol::token::{GrantType, TokenAnswer, TokenFormat, TokenRequest};

use crate::admission::{Keys, Surface};
use crate::app::{App, Visit};
use crate::client::{AccessTokenFormat, Client};
use crate::refusal::{Failure, Fault, Refusal};
use crate::token::{
    AccessClaims, Minted, encode, identity_signature, mint_access_token, mint_token_id,
};

/// Exchanges a grant for tokens.
///
/// # Refusals
/// `GrantTypeUnsupported` (also when there is none, threat TOK-01), those of client authentication, and those of the
/// grant type.
pub async fn exchange(
    app: &App,
    visit: &Visit,
    request: TokenRequest,
    basic: Option<BasicCredentials>,
) -> Result<TokenAnswer, Failure> {
    match request.grant() {
        GrantType::AuthorizationCode => {
            let client = authenticate(app, visit, &request, basic, IsSecretRequired::ByPolicy)?;
            authorization_code::exchange(app, visit, &client, request).await
        }
        GrantType::ClientCredentials => {
            let client = authenticate(app, visit, &request, basic, IsSecretRequired::Always)?;
            client_credentials::exchange(app, visit, &client, &request).await
        }
        _ => Err(Refusal::GrantTypeUnsupported.into()),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum IsSecretRequired {
    Always,
    ByPolicy,
}

/// Authenticates the client, and limits what is not authenticated: a client that has shown its
/// secret speaks for all its users from one address, a public one and a stranger do not.
fn authenticate(
    app: &App,
    visit: &Visit,
    request: &TokenRequest,
    basic: Option<BasicCredentials>,
    is_secret_required: IsSecretRequired,
) -> Result<Arc<Client>, Refusal> {
    let has_secret = request.client_secret.is_some()
        || basic.as_ref().is_some_and(|basic| !basic.right.is_empty());
    let authenticated = identify(app, request, basic, is_secret_required);
    let client = authenticated.as_ref().ok();
    let is_proven = has_secret && client.is_some();
    let keys = Keys {
        ip: (!is_proven).then_some(visit.ip),
        // Nobody uses up what belongs to a client by naming it with a wrong secret.
        client: client.map(|client| client.id.as_str()),
        site: Some(&visit.site.site.id),
        target: None,
    };
    app.edge.take(Surface::Token, &keys, visit.at)?;
    authenticated
}

/// Authenticates the client by one method: `client_secret_basic`, `client_secret_post` or `none`
/// (RFC 6749 section 2.3). An unauthenticated caller never gets as far as spending a code.
fn identify(
    app: &App,
    request: &TokenRequest,
    basic: Option<BasicCredentials>,
    is_secret_required: IsSecretRequired,
) -> Result<Arc<Client>, Refusal> {
    if request.secret_came_in_query {
        return Err(Refusal::CredentialsMisplaced);
    }
    if request.client_assertion.is_some() {
        let is_alone = basic.is_none() && request.client_secret.is_none();
        // private_key_jwt is not offered; saying so beats treating the client as a public one.
        let alone = Refusal::ClientSecretWrong;
        return Err(if is_alone {
            alone
        } else {
            Refusal::ClientAuthenticationAmbiguous
        });
    }
    let is_header = basic.is_some();
    let (id, secret) = match basic {
        Some(basic) => {
            let other_id = request
                .client_id
                .as_ref()
                .is_some_and(|id| *id != basic.left);
            if request.client_secret.is_some() || other_id {
                return Err(Refusal::ClientAuthenticationAmbiguous);
            }
            (
                basic.left,
                Some(basic.right).filter(|secret| !secret.is_empty()),
            )
        }
        None => {
            let id = request.client_id.clone();
            (
                id.ok_or(Refusal::ParameterMissing { name: "client_id" })?,
                request.client_secret.clone(),
            )
        }
    };
    let client = app.directory().client(&id).cloned();
    let in_header = |refusal| {
        if is_header {
            Refusal::ClientSecretWrongInHeader
        } else {
            refusal
        }
    };
    let client = client.ok_or_else(|| in_header(Refusal::ClientUnknown))?;
    let is_required = is_secret_required == IsSecretRequired::Always
        || !client.policies.is_consumer_secret_optional;
    client
        .authenticate(secret.as_ref(), is_required)
        .map_err(in_header)?;
    Ok(client)
}

/// An access token of which only the random part exists: its hash can be saved, and its text is
/// made once it is known whom it speaks for. So one write redeems a grant and saves the token, and
/// no signature is computed inside it.
struct MintedToken {
    minted: Minted,
    lifetime_seconds: i64,
}

/// For whom and for what a token is issued.
struct Grant<'g> {
    client: &'g Client,
    user_id: &'g str,
    scope: &'g ScopeSet,
    /// The `gty` claim of a JWT that is not stored.
    unstored_as: Option<&'static str>,
}

impl MintedToken {
    /// Mints the random part: the opaque token itself, or the `jti` of a JWT.
    fn new(app: &App, client: &Client) -> MintedToken {
        MintedToken {
            minted: match client.policies.access_token_format {
                AccessTokenFormat::Opaque => {
                    mint_access_token(&app.directory().org_id, &app.entropy)
                }
                AccessTokenFormat::Jwt => mint_token_id(&app.entropy),
            },
            lifetime_seconds: client.policies.access_token_lifetime(),
        }
    }

    /// The text for the client: the opaque token, or the signed JWT.
    fn into_text(self, app: &App, visit: &Visit, grant: &Grant<'_>) -> Result<Secret, Fault> {
        let policies = &grant.client.policies;
        if policies.access_token_format == AccessTokenFormat::Opaque {
            return Ok(self.minted.text);
        }
        let base_url = &visit.site.site.base_url;
        let claims = AccessClaims {
            iss: base_url.clone(),
            sub: format!("uid:{}", grant.user_id),
            aud: vec![base_url.clone()],
            scp: grant.scope.to_string(),
            client_id: grant.client.id.clone(),
            iat: visit.at.seconds(),
            nbf: visit.at.seconds() - 15,
            exp: visit.at.plus_seconds(self.lifetime_seconds).seconds(),
            mty: String::from("oauth"),
            jti: self.minted.text.expose().to_owned(),
            sfi: self.minted.hash[..8]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            roles: Vec::new(),
            hsc: false,
            gty: grant.unstored_as.map(str::to_owned),
        };
        let directory = app.directory();
        let key = directory.keys.current(policies.access_token_signing_alg)?;
        Ok(Secret::from(encode(key, &claims)?))
    }
}

/// The members that every token answer has.
fn answer(
    app: &App,
    visit: &Visit,
    client: &Client,
    user_id: &str,
    scope: ScopeSet,
    access_token: Secret,
) -> TokenAnswer {
    let site = &visit.site.site;
    let id = visit.site.identity_url(&app.directory().org_id, user_id);
    let issued_at = visit.at.millis();
    TokenAnswer {
        access_token,
        refresh_token: None,
        id_token: None,
        signature: identity_signature(&client.secret, &id, &issued_at.to_string()),
        id,
        instance_url: site.base_url.clone(),
        api_instance_url: None,
        sfdc_community_url: Some(site.base_url.clone()),
        sfdc_community_id: Some(site.id.clone()),
        issued_at,
        scope,
        state: None,
        token_format: match client.policies.access_token_format {
            AccessTokenFormat::Jwt => TokenFormat::Jwt,
            AccessTokenFormat::Opaque => TokenFormat::Opaque,
        },
        expires_in: u64::try_from(client.policies.access_token_lifetime()).ok(),
    }
}
