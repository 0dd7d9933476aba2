//! Who holds this access token: the question of every protected endpoint.

use vestibule_protocol::scope::ScopeSet;
use vestibule_protocol::secret::Secret;

use super::{App, SiteEntry};
use crate::identity::User;
use crate::moment::Moment;
use crate::refusal::{Failure, Refusal};
use crate::sealing::sha256;
use crate::store;
use crate::token::{AccessClaims, decode};

/// The `gty` claim of a token that is not in the store.
pub(crate) const CLIENT_CREDENTIALS: &str = "client_credentials";

/// The holder of a live access token.
#[derive(Debug)]
pub struct Holder {
    /// The client that it was issued to.
    pub client_id: String,
    /// What it is good for.
    pub scopes: ScopeSet,
    /// When the token was issued.
    pub issued_at: Moment,
    /// When it ends.
    pub expires_at: Moment,
    /// The user that it speaks for, who is neither locked nor disabled.
    pub user: User,
}

impl App {
    /// Finds the holder of an access token of a site.
    ///
    /// An opaque token and a JWT of a user are looked up, so that a revocation holds at once. A JWT
    /// of the client credentials grant is short-lived and not stored; its user, with the end of their
    /// sessions, and its client are still asked for.
    ///
    /// # Refusals
    /// `AccessTokenInvalid`, without saying why.
    pub async fn holder(
        &self,
        entry: &SiteEntry,
        token: &Secret,
        at: Moment,
    ) -> Result<Holder, Failure> {
        let text = token.expose();
        let holder = if text.contains('!') {
            self.holder_of_stored(entry, sha256(text.as_bytes()), at)
                .await?
        } else {
            self.holder_of_jwt(entry, text, at).await?
        };
        let is_live = holder.user.check_active().is_ok()
            && self.directory().client(&holder.client_id).is_some();
        if is_live {
            Ok(holder)
        } else {
            Err(Refusal::AccessTokenInvalid.into())
        }
    }

    async fn holder_of_stored(
        &self,
        entry: &SiteEntry,
        hash: [u8; 32],
        at: Moment,
    ) -> Result<Holder, Failure> {
        let found = self
            .store
            .read("token.find_live", &(hash, at), |tx, (hash, at)| {
                Box::pin(store::token::find_live(tx, hash, *at))
            })
            .await?
            .filter(|token| token.site_id == entry.site.id)
            .ok_or(Refusal::AccessTokenInvalid)?;
        Ok(Holder {
            client_id: found.client_id,
            scopes: ScopeSet::parse(&found.scope).unwrap_or_default(),
            issued_at: found.issued_at,
            expires_at: found.expires_at,
            user: found.user,
        })
    }

    async fn holder_of_jwt(
        &self,
        entry: &SiteEntry,
        token: &str,
        at: Moment,
    ) -> Result<Holder, Failure> {
        let invalid = || Failure::from(Refusal::AccessTokenInvalid);
        let claims: AccessClaims = decode(&self.directory().keys, token).map_err(|_| invalid())?;
        let is_ours = claims.iss == entry.site.base_url
            && claims.aud.contains(&entry.site.base_url)
            && claims.mty == "oauth"
            && claims.nbf <= at.seconds()
            && claims.exp > at.seconds();
        if !is_ours {
            return Err(invalid());
        }
        if claims.gty.as_deref() != Some(CLIENT_CREDENTIALS) {
            return self
                .holder_of_stored(entry, sha256(claims.jti.as_bytes()), at)
                .await;
        }
        let user_id = claims
            .sub
            .strip_prefix("uid:")
            .ok_or_else(invalid)?
            .to_owned();
        let user = self
            .store
            .read("user.find", &user_id, |tx, id| {
                Box::pin(store::user::find_by_id(tx, id))
            })
            .await?
            // Locked, disabled or given a password since, though all may be well again.
            .filter(|user| claims.session_generation == Some(user.session_generation))
            .ok_or_else(invalid)?;
        Ok(Holder {
            client_id: claims.client_id,
            scopes: ScopeSet::parse(&claims.scp).unwrap_or_default(),
            issued_at: Moment::from_millis(claims.iat.saturating_mul(1_000)),
            expires_at: Moment::from_millis(claims.exp.saturating_mul(1_000)),
            user,
        })
    }
}
