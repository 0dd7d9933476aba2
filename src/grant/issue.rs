//! Issuing: the last phase of every grant. A grant that was redeemed becomes the answer of the token
//! endpoint, with an access token, an id_token where a user logged in with the scope `openid`, and the
//! refresh token that the grant made.
//!
//! Source: RFC 6749 section 5.1; OpenID Connect Core 1.0 sections 2 and 12.2; Headless Identity, token
//! response.

use vestibule_protocol::scope::ScopeSet;
use vestibule_protocol::secret::Secret;
use vestibule_protocol::token::{TokenAnswer, TokenFormat};

use crate::app::{App, CLIENT_CREDENTIALS, Visit};
use crate::client::{AccessTokenFormat, Client};
use crate::moment::Moment;
use crate::refusal::Fault;
use crate::store::token::AccessToken;
use crate::token::{
    AccessClaims, IdClaims, Minted, at_hash, encode, identity_signature, mint_access_token,
    mint_token_id,
};

/// A grant that was redeemed: all that the tokens are made of.
pub(super) struct Redeemed {
    /// The access token, which the redeeming write has saved.
    pub token: MintedToken,
    /// The user that it is issued for.
    pub user_id: String,
    /// What was granted.
    pub scope: ScopeSet,
    /// The visitor who logged in or is a guest.
    pub uvid: Option<String>,
    /// How the user logged in. A guest and a service have not.
    pub login: Option<AuthenticationEvent>,
    /// The first refresh token of a login, or a successor.
    pub refresh_token: Option<Secret>,
    /// The user's `session_generation`, for the client credentials grant, whose JWTs are not stored.
    pub unstored: Option<i64>,
    /// Members of the answer that belong to this grant type alone.
    pub more: Vec<(&'static str, String)>,
    /// What became of a refresh token, for the metric.
    pub refresh: Option<&'static str>,
}

/// How and when a user logged in, for the id_token.
pub(super) struct AuthenticationEvent {
    /// When.
    pub auth_at: Moment,
    /// How (RFC 8176), separated by blanks.
    pub amr: String,
    /// The `nonce` of the authorization request.
    pub nonce: Option<String>,
}

/// An access token of which only the random part exists: its hash can be saved, and its text is
/// made once its user is known. So one write redeems a grant and saves the token, and no signature is
/// computed inside it.
pub(super) struct MintedToken {
    minted: Minted,
    format: AccessTokenFormat,
    lifetime_seconds: i64,
}

/// The row of an access token, as far as it is known before the grant is redeemed.
#[derive(Clone)]
pub(super) struct PlannedToken {
    hash: [u8; 32],
    client_id: String,
    site_id: String,
    issued_at: Moment,
    expires_at: Moment,
}

impl MintedToken {
    /// Mints the random part of a user's token.
    pub fn new(app: &App, client: &Client) -> MintedToken {
        MintedToken::of_format(app, client, client.policies.access_token_format)
    }

    /// Mints the random part: the opaque token itself, or the `jti` of a JWT.
    pub fn of_format(app: &App, client: &Client, format: AccessTokenFormat) -> MintedToken {
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

    /// What the redeeming write saves.
    pub fn planned(&self, visit: &Visit, client: &Client) -> PlannedToken {
        PlannedToken {
            hash: self.minted.hash,
            client_id: client.id.clone(),
            site_id: visit.site.site.id.clone(),
            issued_at: visit.at,
            expires_at: visit.at.plus_seconds(self.lifetime_seconds),
        }
    }

    /// The text for the client: the opaque token, or the signed JWT.
    fn text(
        &self,
        app: &App,
        visit: &Visit,
        client: &Client,
        redeemed: &Redeemed,
    ) -> Result<Secret, Fault> {
        if self.format == AccessTokenFormat::Opaque {
            return Ok(self.minted.text.clone());
        }
        let base_url = &visit.site.site.base_url;
        let claims = AccessClaims {
            iss: base_url.clone(),
            sub: format!("uid:{}", redeemed.user_id),
            aud: vec![base_url.clone()],
            scp: redeemed.scope.to_string(),
            client_id: client.id.clone(),
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
            uvid: redeemed.uvid.clone(),
            gty: redeemed.unstored.map(|_| CLIENT_CREDENTIALS.to_owned()),
            session_generation: redeemed.unstored,
        };
        let directory = app.directory();
        let key = directory
            .keys
            .current(client.policies.access_token_signing_alg)?;
        Ok(Secret::from(encode(key, &claims)?))
    }
}

impl PlannedToken {
    /// The row of a token of this user. The hash of a code is also the name of the token family, and
    /// its end revokes the token.
    pub fn row(
        &self,
        code_hash: Option<[u8; 32]>,
        user_id: &str,
        session_generation: i64,
        scope: String,
    ) -> AccessToken {
        AccessToken {
            token_hash: self.hash,
            code_hash,
            client_id: self.client_id.clone(),
            user_id: user_id.to_owned(),
            site_id: self.site_id.clone(),
            scope,
            session_generation,
            issued_at: self.issued_at,
            expires_at: self.expires_at,
        }
    }
}

/// Makes the answer to a redeemed grant.
pub(super) fn issue(
    app: &App,
    visit: &Visit,
    client: &Client,
    redeemed: Redeemed,
) -> Result<TokenAnswer, Fault> {
    let site = &visit.site.site;
    let access_token = redeemed.token.text(app, visit, client, &redeemed)?;
    let login = redeemed.login.as_ref();
    let login = login.filter(|_| redeemed.scope.contains("openid"));
    let id_token =
        login.map(|login| id_token(app, visit, client, &redeemed.user_id, login, &access_token));
    let id = visit
        .site
        .identity_url(&app.directory().org_id, &redeemed.user_id);
    let issued_at = visit.at.millis();
    Ok(TokenAnswer {
        access_token,
        refresh_token: redeemed.refresh_token,
        id_token: id_token.transpose()?,
        signature: identity_signature(&client.secret, &id, &issued_at.to_string()),
        id,
        instance_url: site.base_url.clone(),
        api_instance_url: None,
        sfdc_community_url: Some(site.base_url.clone()),
        sfdc_community_id: Some(site.id.clone()),
        issued_at,
        scope: redeemed.scope,
        token_format: match redeemed.token.format {
            AccessTokenFormat::Jwt => TokenFormat::Jwt,
            AccessTokenFormat::Opaque => TokenFormat::Opaque,
        },
        expires_in: u64::try_from(redeemed.token.lifetime_seconds).ok(),
        more: redeemed.more,
    })
}

/// Signs the id_token that goes with an access token.
fn id_token(
    app: &App,
    visit: &Visit,
    client: &Client,
    user_id: &str,
    login: &AuthenticationEvent,
    access_token: &Secret,
) -> Result<Secret, Fault> {
    let directory = app.directory();
    let policies = &client.policies;
    let algorithm = policies.id_token_signing_alg;
    let expires_at = visit.at.plus_seconds(policies.id_token_lifetime_seconds);
    let claims = IdClaims {
        iss: visit.site.site.base_url.clone(),
        sub: visit.site.identity_url(&directory.org_id, user_id),
        aud: client.id.clone(),
        azp: client.id.clone(),
        exp: expires_at.seconds(),
        iat: visit.at.seconds(),
        auth_time: login.auth_at.seconds(),
        amr: login.amr.split(' ').map(str::to_owned).collect(),
        at_hash: at_hash(access_token.expose(), algorithm),
        nonce: login.nonce.clone(),
    };
    let key = directory.keys.current(algorithm)?;
    Ok(Secret::from(encode(key, &claims)?))
}
