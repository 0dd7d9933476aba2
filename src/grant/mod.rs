//! Grants: how a grant becomes tokens.
//!
//! The phases are the same for every grant type (RFC 6749 sections 2.3, 3.2 and 5): authenticate the
//! client, check that the grant is allowed to it, redeem, issue. The first and the last stand here;
//! one file per grant type does what lies between.

mod authorization_code;
mod client_authentication;
mod client_credentials;
mod introspection;
mod refresh_token;
mod revocation;

use vestibule_protocol::scope::ScopeSet;
use vestibule_protocol::secret::Secret;
use vestibule_protocol::token::{GrantType, TokenAnswer, TokenFormat, TokenRequest};

use vestibule_protocol::uvid::UvidHint;

use crate::app::{App, CLIENT_CREDENTIALS, Visit};
use crate::client::{AccessTokenFormat, Client};
use crate::moment::Moment;
use crate::refusal::{Failure, Fault, Refusal};
use crate::store::family::TokenFamily;
use crate::token::{
    AccessClaims, IdClaims, Minted, at_hash, encode, identity_signature, mint_access_token,
    mint_token_id,
};
pub use client_authentication::ClientHeaders;
use client_authentication::{Authenticated, ClientProof, ProvenBy};
pub use introspection::introspect;
pub use revocation::revoke;

/// Exchanges a grant for tokens.
///
/// # Refusals
/// `GrantTypeUnsupported` (also when there is none, threat TOK-01), those of client authentication, and those of the
/// grant type.
pub async fn exchange(
    app: &App,
    visit: &Visit,
    request: TokenRequest,
    headers: ClientHeaders,
    guest: GuestHeaders,
) -> Result<TokenAnswer, Failure> {
    let proof = ClientProof::of_token_request(&request, headers);
    match request.grant() {
        GrantType::AuthorizationCode => {
            let needs_secret = |client: &Client| !client.policies.is_consumer_secret_optional;
            let client = proof.authenticate(app, visit, needs_secret).await?;
            authorization_code::exchange(app, visit, client, request, guest).await
        }
        GrantType::ClientCredentials => {
            let Authenticated { client, by, .. } = proof.authenticate(app, visit, |_| true).await?;
            if matches!(by, ProvenBy::Attestation(_)) {
                // An instance on somebody's phone is not the service that this grant is for.
                return Err(Refusal::ClientSecretMissing.into());
            }
            client_credentials::exchange(app, visit, &client, &request).await
        }
        GrantType::RefreshToken => {
            let needs_secret = |client: &Client| client.policies.needs_secret_to_refresh();
            let client = proof.authenticate(app, visit, needs_secret).await?;
            refresh_token::exchange(app, visit, client, request).await
        }
        _ => Err(Refusal::GrantTypeUnsupported.into()),
    }
}

/// What the headers of a token request say of a guest. They may be left out, and must fit the code if
/// they are there.
#[derive(Debug, Default)]
pub struct GuestHeaders {
    /// Whether `Auth-Request-Type` says `guest`, if it was sent.
    pub is_guest: Option<bool>,
    /// `Uvid-Hint`.
    pub hint: Option<UvidHint>,
}

/// An access token of which only the random part exists: its hash can be saved, and its text is
/// made once it is known whom it speaks for. So one write redeems a grant and saves the token, and
/// no signature is computed inside it.
struct MintedToken {
    minted: Minted,
    format: AccessTokenFormat,
    lifetime_seconds: i64,
}

/// For whom and for what a token is issued.
struct Grant<'g> {
    client: &'g Client,
    user_id: &'g str,
    scope: &'g ScopeSet,
    /// The visitor who logged in or is a guest.
    uvid: Option<&'g str>,
    /// The user's `session_generation`, for the client credentials grant, whose JWTs are not stored.
    unstored: Option<i64>,
}

impl MintedToken {
    /// Mints the random part of a user's token.
    fn new(app: &App, client: &Client) -> MintedToken {
        MintedToken::of_format(app, client, client.policies.access_token_format)
    }

    /// Mints the random part: the opaque token itself, or the `jti` of a JWT.
    fn of_format(app: &App, client: &Client, format: AccessTokenFormat) -> MintedToken {
        MintedToken {
            minted: match format {
                AccessTokenFormat::Opaque => {
                    mint_access_token(&app.directory().org_id, &app.entropy)
                }
                AccessTokenFormat::Jwt => mint_token_id(&app.entropy),
            },
            format,
            lifetime_seconds: client.policies.access_token_lifetime(format),
        }
    }

    /// When it ends, if it is issued at an instant.
    fn ends_at(&self, at: Moment) -> Moment {
        at.plus_seconds(self.lifetime_seconds)
    }

    /// The text for the client: the opaque token, or the signed JWT.
    fn text(&self, app: &App, visit: &Visit, grant: &Grant<'_>) -> Result<Secret, Fault> {
        let policies = &grant.client.policies;
        if self.format == AccessTokenFormat::Opaque {
            return Ok(self.minted.text.clone());
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
            exp: self.ends_at(visit.at).seconds(),
            mty: String::from("oauth"),
            jti: self.minted.text.expose().to_owned(),
            sfi: self.minted.hash[..8]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            roles: Vec::new(),
            hsc: false,
            uvid: grant.uvid.map(str::to_owned),
            gty: grant.unstored.map(|_| CLIENT_CREDENTIALS.to_owned()),
            session_generation: grant.unstored,
        };
        let directory = app.directory();
        let key = directory.keys.current(policies.access_token_signing_alg)?;
        Ok(Secret::from(encode(key, &claims)?))
    }
}

/// Whether a login that has a refresh token still holds: by the policy of its app as it is now, and by
/// its user.
fn is_login_live(client: &Client, family: &TokenFamily, at: Moment) -> bool {
    let policies = &client.policies;
    let granted = ScopeSet::parse(&family.scope).unwrap_or_default();
    let end = policies.refresh_tokens_end_at(family.created_at, family.last_used_at);
    end.is_none_or(|end| end > at)
        && policies.issues_refresh_tokens(&granted)
        && family.user.check_active().is_ok()
        && family.user.session_generation == family.session_generation
}

/// The scopes of a login that its app still has.
fn remaining_scope(client: &Client, family: &TokenFamily) -> ScopeSet {
    let granted = ScopeSet::parse(&family.scope).unwrap_or_default();
    granted.intersection(&client.policies.scopes)
}

/// A login, as an id_token tells of it.
struct Login<'l> {
    user_id: &'l str,
    auth_at: Moment,
    /// How (RFC 8176), separated by blanks.
    amr: &'l str,
    nonce: Option<&'l str>,
}

/// Signs the id_token that goes with an access token.
fn id_token(
    app: &App,
    visit: &Visit,
    client: &Client,
    login: &Login<'_>,
    access_token: &Secret,
) -> Result<Secret, Fault> {
    let directory = app.directory();
    let algorithm = client.policies.id_token_signing_alg;
    let claims = IdClaims {
        iss: visit.site.site.base_url.clone(),
        sub: visit.site.identity_url(&directory.org_id, login.user_id),
        aud: client.id.clone(),
        azp: client.id.clone(),
        exp: visit
            .at
            .plus_seconds(client.policies.id_token_lifetime_seconds)
            .seconds(),
        iat: visit.at.seconds(),
        auth_time: login.auth_at.seconds(),
        amr: login.amr.split(' ').map(str::to_owned).collect(),
        at_hash: at_hash(access_token.expose(), algorithm),
        nonce: login.nonce.map(str::to_owned),
    };
    let key = directory.keys.current(algorithm)?;
    Ok(Secret::from(encode(key, &claims)?))
}

/// The members that every token answer has.
fn answer(
    app: &App,
    visit: &Visit,
    token: &MintedToken,
    grant: &Grant<'_>,
) -> Result<TokenAnswer, Fault> {
    let site = &visit.site.site;
    let id = visit
        .site
        .identity_url(&app.directory().org_id, grant.user_id);
    let issued_at = visit.at.millis();
    Ok(TokenAnswer {
        access_token: token.text(app, visit, grant)?,
        refresh_token: None,
        id_token: None,
        signature: identity_signature(&grant.client.secret, &id, &issued_at.to_string()),
        id,
        instance_url: site.base_url.clone(),
        api_instance_url: None,
        sfdc_community_url: Some(site.base_url.clone()),
        sfdc_community_id: Some(site.id.clone()),
        issued_at,
        scope: grant.scope.clone(),
        state: None,
        token_format: match token.format {
            AccessTokenFormat::Jwt => TokenFormat::Jwt,
            AccessTokenFormat::Opaque => TokenFormat::Opaque,
        },
        expires_in: u64::try_from(token.lifetime_seconds).ok(),
    })
}
