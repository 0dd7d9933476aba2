//! Access tokens: finding the subject of a token, for every protected endpoint.

use vestibule_protocol::scope::ScopeSet;
use vestibule_protocol::secret::Secret;
use vestibule_protocol::uvid::{Uvid, UvidHint};

use super::{App, SiteEntry, Visit};
use crate::identity::User;
use crate::moment::Moment;
use crate::refusal::{Failure, Reason, Refusal};
use crate::sealing::sha256;
use crate::store;
use crate::token::{AccessClaims, decode};

/// The `gty` claim of a token that is not in the store.
pub(crate) const CLIENT_CREDENTIALS: &str = "client_credentials";

/// The user of a live access token.
#[derive(Debug)]
pub struct TokenUser {
    /// The client that it was issued to.
    pub client_id: String,
    /// Its scopes.
    pub scopes: ScopeSet,
    /// When the token was issued.
    pub issued_at: Moment,
    /// When it expires.
    pub expires_at: Moment,
    /// The user that it represents, who is neither locked nor disabled.
    pub user: User,
}

/// The guest of a live access token.
#[derive(Debug)]
pub struct Guest {
    /// The client that it was issued to.
    pub client_id: String,
    /// Its scopes.
    pub scopes: ScopeSet,
    /// When the token was issued.
    pub issued_at: Moment,
    /// When it expires.
    pub expires_at: Moment,
    /// The app's id of the visitor.
    pub uvid: Uvid,
}

/// The subject of a live access token.
#[derive(Debug)]
pub enum Bearer {
    /// A guest.
    Guest(Guest),
    /// A user.
    User(Box<TokenUser>),
}

impl App {
    /// Finds the user of an access token of a site. A guest's token is refused.
    ///
    /// # Refusals
    /// `AccessTokenInvalid`, for every reason.
    pub async fn holder(
        &self,
        entry: &SiteEntry,
        token: &Secret,
        at: Moment,
    ) -> Result<TokenUser, Failure> {
        match self.bearer(entry, token, at).await? {
            Bearer::User(holder) => Ok(*holder),
            Bearer::Guest(_) => Err(invalid(Reason::AccessTokenOfGuest)),
        }
    }

    /// Finds the subject of an access token of a site.
    ///
    /// An opaque token and a JWT of a user or a guest are looked up, so that a revocation takes effect at once. A
    /// JWT of the client credentials grant has a short lifetime and is not stored; its user, including the end of
    /// their sessions, and its client are still checked. A guest's client must still allow guests.
    ///
    /// # Refusals
    /// `AccessTokenInvalid`, for every reason.
    pub async fn bearer(
        &self,
        entry: &SiteEntry,
        token: &Secret,
        at: Moment,
    ) -> Result<Bearer, Failure> {
        let text = token.expose();
        let bearer = if text.contains('!') {
            let holder = self.holder_of_stored(entry, sha256(text.as_bytes()), at);
            Bearer::User(Box::new(holder.await?))
        } else {
            self.bearer_of_jwt(entry, text, at).await?
        };
        let directory = self.directory();
        match &bearer {
            Bearer::Guest(guest) => {
                let client = directory.client(&guest.client_id);
                if client.is_none_or(|client| !client.policies.is_guest_flow_enabled) {
                    return Err(invalid(Reason::AccessTokenClientDisabled));
                }
            }
            Bearer::User(holder) => {
                if holder.user.check_active().is_err() {
                    return Err(invalid(Reason::AccessTokenUserInactive));
                }
                if directory.client(&holder.client_id).is_none() {
                    return Err(invalid(Reason::AccessTokenClientDisabled));
                }
            }
        }
        Ok(bearer)
    }

    /// The visitor of a hint, for a client: the id itself, or that of a guest's live token that was issued to this
    /// client at this site.
    ///
    /// # Refusals
    /// `UvidInvalid`, for every reason.
    pub async fn visitor(
        &self,
        visit: &Visit,
        client_id: &str,
        hint: UvidHint,
    ) -> Result<Uvid, Failure> {
        let token = match hint {
            UvidHint::Uvid(uvid) => return Ok(uvid),
            UvidHint::Token(token) => token,
        };
        match self.bearer(&visit.site, &token, visit.at).await {
            Ok(Bearer::Guest(guest)) if guest.client_id == client_id => Ok(guest.uvid),
            Ok(_) => Err(Refusal::UvidInvalid {
                because: Reason::UvidOfAnotherClient,
            }
            .into()),
            Err(Failure::Refused(Refusal::AccessTokenInvalid { because })) => {
                Err(Refusal::UvidInvalid { because }.into())
            }
            Err(failure) => Err(failure),
        }
    }

    async fn holder_of_stored(
        &self,
        entry: &SiteEntry,
        hash: [u8; 32],
        at: Moment,
    ) -> Result<TokenUser, Failure> {
        let found = self
            .store
            .read("token.find_live", &(hash, at), |tx, (hash, at)| {
                Box::pin(store::token::find_live(tx, hash, *at))
            })
            .await?
            .ok_or_else(|| invalid(Reason::AccessTokenNotLive))?;
        // An integration user belongs to the organisation, and so to each of its sites.
        if found.site_id != entry.site.id && !found.user.is_integration {
            return Err(invalid(Reason::AccessTokenForeign));
        }
        Ok(TokenUser {
            client_id: found.client_id,
            scopes: ScopeSet::parse(&found.scope).unwrap_or_default(),
            issued_at: found.issued_at,
            expires_at: found.expires_at,
            user: found.user,
        })
    }

    async fn bearer_of_jwt(
        &self,
        entry: &SiteEntry,
        token: &str,
        at: Moment,
    ) -> Result<Bearer, Failure> {
        let claims: AccessClaims = decode(&self.directory().keys, token)
            .map_err(|_| invalid(Reason::AccessTokenMalformed))?;
        let is_valid = claims.mty == "oauth"
            && claims.nbf <= at.seconds()
            && claims.aud.contains(&claims.iss)
            && self.directory().has_site_at(&claims.iss);
        if !is_valid {
            return Err(invalid(Reason::AccessTokenForeign));
        }
        let is_of_site = claims.iss == entry.site.base_url;
        if claims.exp <= at.seconds() {
            return Err(invalid(Reason::AccessTokenExpired));
        }
        let user_id = claims
            .sub
            .strip_prefix("uid:")
            .ok_or_else(|| invalid(Reason::AccessTokenForeign))?
            .to_owned();
        if claims.gty.as_deref() != Some(CLIENT_CREDENTIALS) {
            let hash = sha256(claims.jti.as_bytes());
            if is_of_site && user_id == entry.guest_user_id {
                return Ok(Bearer::Guest(self.guest(entry, claims, hash, at).await?));
            }
            let holder = self.holder_of_stored(entry, hash, at).await?;
            return Ok(Bearer::User(Box::new(holder)));
        }
        let user = self
            .store
            .read("user.find", &user_id, |tx, id| {
                Box::pin(store::user::find_by_id(tx, id))
            })
            .await?
            // A lock, a disabling or a new password since then ended the sessions, even if it was undone.
            .filter(|user| claims.session_generation == Some(user.session_generation))
            .ok_or_else(|| invalid(Reason::AccessTokenNotLive))?;
        if !is_of_site && !user.is_integration {
            return Err(invalid(Reason::AccessTokenForeign));
        }
        Ok(Bearer::User(Box::new(TokenUser {
            client_id: claims.client_id,
            scopes: ScopeSet::parse(&claims.scp).unwrap_or_default(),
            issued_at: Moment::from_millis(claims.iat.saturating_mul(1_000)),
            expires_at: Moment::from_millis(claims.exp.saturating_mul(1_000)),
            user,
        })))
    }

    /// The guest of a token whose claims are valid, if it is neither revoked nor expired.
    async fn guest(
        &self,
        entry: &SiteEntry,
        claims: AccessClaims,
        hash: [u8; 32],
        at: Moment,
    ) -> Result<Guest, Failure> {
        let uvid = claims.uvid.as_deref().and_then(|uvid| uvid.parse().ok());
        let sought = (hash, &entry.site.id, &entry.guest_user_id, at);
        let find = self
            .store
            .read("token.is_live", &sought, |tx, (hash, site, user, at)| {
                Box::pin(store::token::is_live(tx, hash, site, user, *at))
            });
        if !find.await? {
            return Err(invalid(Reason::AccessTokenNotLive));
        }
        Ok(Guest {
            client_id: claims.client_id,
            scopes: ScopeSet::parse(&claims.scp).unwrap_or_default(),
            issued_at: Moment::from_millis(claims.iat.saturating_mul(1_000)),
            expires_at: Moment::from_millis(claims.exp.saturating_mul(1_000)),
            uvid: uvid.ok_or_else(|| invalid(Reason::AccessTokenForeign))?,
        })
    }
}

fn invalid(because: Reason) -> Failure {
    Refusal::AccessTokenInvalid { because }.into()
}
