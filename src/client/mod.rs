//! Clients: external client apps, with their secret and their policies.
//!
//! A client is an OAuth 2.0 client (RFC 6749 section 2); its policies have the names of the external client app
//! settings. This module has the checks that need only the client: its secret, its callbacks, its scopes, its
//! permitted profiles.

mod attestation;
mod callback;
mod policies;

use subtle::ConstantTimeEq;
use vestibule_protocol::scope::ScopeSet;
use vestibule_protocol::secret::Secret;

use crate::moment::Moment;
use crate::refusal::Refusal;
use crate::sealing::sha256;
pub use attestation::{
    ASSERTION_KEY, Attested, AttestingSite, OneUse, Possession, PresentedAttestation,
};
pub use callback::check_callback;
pub use policies::{
    AccessTokenFormat, CERTIFICATES_MAX, PermittedUsers, Policies, RefreshTokenPolicyType,
    ValidityUnit,
};

/// An external client app.
#[derive(Clone, Debug)]
pub struct Client {
    /// Consumer key.
    pub id: String,
    /// Unique name.
    pub name: String,
    /// SHA-256 of the consumer secret.
    pub secret_hash: [u8; 32],
    /// The consumer secret, which signs the `signature` member.
    pub secret: Secret,
    /// What it may do.
    pub policies: Policies,
    /// When it was switched off.
    pub disabled_at: Option<Moment>,
    /// When it was made.
    pub created_at: Moment,
}

impl Client {
    /// Authenticates the client by its secret, in constant time.
    ///
    /// A client whose secret is optional may leave it out; one that is sent is always checked.
    ///
    /// # Refusals
    /// `ClientSecretMissing`, `ClientSecretWrong`.
    pub fn authenticate(
        &self,
        presented: Option<&Secret>,
        is_required: bool,
    ) -> Result<(), Refusal> {
        match presented {
            Some(secret) => {
                let hash = sha256(secret.expose().as_bytes());
                let is_equal = bool::from(hash.ct_eq(&self.secret_hash));
                if is_equal {
                    Ok(())
                } else {
                    Err(Refusal::ClientSecretWrong)
                }
            }
            None if is_required => Err(Refusal::ClientSecretMissing),
            None => Ok(()),
        }
    }

    /// Whether a redirect URI is one of the callbacks: equal as text, except that the port of a
    /// loopback IP literal is free (RFC 8252 section 7.3).
    ///
    /// # Refusals
    /// `RedirectUriMismatch`.
    pub fn check_redirect_uri(&self, presented: &str) -> Result<(), Refusal> {
        let is_known = self
            .policies
            .callback_url
            .iter()
            .any(|registered| callback::is_same(registered, presented));
        if is_known {
            Ok(())
        } else {
            Err(Refusal::RedirectUriMismatch)
        }
    }

    /// The scopes of a request: all of the client when there is no such parameter, otherwise exactly those it names,
    /// at least one: a token without scopes is of no use.
    ///
    /// # Refusals
    /// `ScopeNotAllowed`.
    pub fn check_scope(&self, requested: Option<&str>) -> Result<ScopeSet, Refusal> {
        scopes_within(&self.policies.scopes, requested)
    }

    /// The same for a guest, within the guests' scopes.
    ///
    /// # Refusals
    /// `ScopeNotAllowed`.
    pub fn check_guest_scope(&self, requested: Option<&str>) -> Result<ScopeSet, Refusal> {
        scopes_within(&self.policies.guest_scopes, requested)
    }

    /// Whether the user of a profile may use this client: an administrator has permitted the profile, or the user has
    /// approved the app. A headless flow has no page on which to approve it, so no approval is on record.
    ///
    /// # Refusals
    /// `AppAccessDenied`, `ClientNotApproved`.
    ///
    /// Source: the Permitted Users policy of a connected app.
    pub fn check_permitted(&self, profile_id: &str) -> Result<(), Refusal> {
        match self.policies.permitted_users {
            PermittedUsers::AllSelfAuthorized => Err(Refusal::ClientNotApproved),
            PermittedUsers::AdminApprovedPreAuthorized => {
                let permitted = &self.policies.permitted_profiles;
                match permitted.iter().any(|id| id == profile_id) {
                    true => Ok(()),
                    false => Err(Refusal::AppAccessDenied),
                }
            }
        }
    }

    /// Whether a challenge is needed at authorize: by policy, and always when there is no secret
    /// (a code of a public client must be bound to something).
    pub fn needs_pkce(&self) -> bool {
        self.policies.is_pkce_required || self.policies.is_consumer_secret_optional
    }
}

/// Exactly the scopes that a request names, if all of them are allowed; all that are allowed, if it has
/// no such parameter.
fn scopes_within(allowed: &ScopeSet, requested: Option<&str>) -> Result<ScopeSet, Refusal> {
    let Some(requested) = requested else {
        return Ok(allowed.clone());
    };
    let requested = ScopeSet::parse(requested).map_err(|_| Refusal::ScopeNotAllowed)?;
    if !requested.is_empty() && requested.is_subset_of(allowed) {
        Ok(requested)
    } else {
        Err(Refusal::ScopeNotAllowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_parameter_names_something_that_the_client_has() {
        let scopes = |text: &str| ScopeSet::parse(text).unwrap();
        let client = Client {
            id: "3MVG9".into(),
            name: "app".into(),
            secret_hash: [0; 32],
            secret: Secret::from(String::new()),
            policies: Policies {
                scopes: scopes("openid api"),
                ..Policies::default()
            },
            disabled_at: None,
            created_at: Moment::from_millis(0),
        };
        assert_eq!(client.check_scope(None), Ok(scopes("openid api")));
        assert_eq!(client.check_scope(Some("api")), Ok(scopes("api")));
        for none in [",", " ", " , ", "openid web", "\u{1}"] {
            let refused = Err(Refusal::ScopeNotAllowed);
            assert_eq!(client.check_scope(Some(none)), refused, "{none:?}");
        }
    }
}
