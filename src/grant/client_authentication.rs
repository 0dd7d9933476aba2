//! Client authentication, as every endpoint that tokens are brought to shares it: one method,
//! `client_secret_basic`, `client_secret_post`, `private_key_jwt`, `attest_jwt_client_auth`,
//! `attest_jwt_client_auth_dpop` or `none` (RFC 6749 section 2.3, RFC 7523 section 2.2,
//! draft-ietf-oauth-attestation-based-client-auth).

use std::sync::Arc;

use serde_json::json;
use vestibule_protocol::basic::BasicCredentials;
use vestibule_protocol::revocation::TokenQuestion;
use vestibule_protocol::secret::Secret;
use vestibule_protocol::token::TokenRequest;

use crate::admission::{Keys, SiteShare, Surface};
use crate::app::{App, Visit};
use crate::client::{ASSERTION_KEY, Client, OneUse, PresentedAttestation};
use crate::refusal::{Failure, Fault, Refusal};
use crate::store::{self, audit::AuditEvent};

/// What a client authenticates itself with in headers.
#[derive(Debug, Default)]
pub struct ClientHeaders {
    /// `Authorization: Basic`.
    pub basic: Option<BasicCredentials>,
    /// A client attestation with its proof of possession.
    pub attestation: Option<PresentedAttestation>,
}

/// What a request contains to authenticate its client.
pub(super) struct ClientProof {
    basic: Option<BasicCredentials>,
    client_id: Option<String>,
    client_secret: Option<Secret>,
    assertion: Option<Secret>,
    attestation: Option<PresentedAttestation>,
    came_in_query: bool,
}

/// The client of a request, and how it authenticated.
pub(super) struct Authenticated {
    /// The client.
    pub client: Arc<Client>,
    /// By what.
    pub by: VerifiedBy,
}

/// How a client authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum VerifiedBy {
    /// An assertion by one of its certificates.
    Assertion,
    /// An attestation, by the key with this thumbprint.
    Attestation(String),
    /// Its name alone.
    Nothing,
    /// Its secret.
    Secret,
}

impl VerifiedBy {
    /// Whether what was issued to `client_key` may be used: a client that attested a key must attest the same
    /// again, and a client that used an assertion must authenticate in any way (threat ATT-12).
    pub(super) fn holds(&self, client_key: Option<&str>) -> bool {
        match (client_key, self) {
            (None, _) => true,
            (Some(key), VerifiedBy::Attestation(thumbprint)) if key != ASSERTION_KEY => {
                key == thumbprint
            }
            (Some(key), by) => key == ASSERTION_KEY && *by != VerifiedBy::Nothing,
        }
    }
}

/// A client that was identified. A proof that is valid once is not spent yet.
struct Identified {
    client: Arc<Client>,
    by: VerifiedBy,
    one_use: Option<OneUse>,
}

impl ClientProof {
    /// What came to the token endpoint, with the client that the body names.
    pub(super) fn of_token_request(
        request: &TokenRequest,
        client_id: Option<String>,
        headers: ClientHeaders,
    ) -> ClientProof {
        ClientProof {
            basic: headers.basic,
            client_id,
            client_secret: request.client_secret.clone(),
            assertion: request.client_assertion.clone(),
            attestation: headers.attestation,
            came_in_query: request.secret_came_in_query,
        }
    }

    /// What came to the endpoints that are asked about a token.
    pub(super) fn of_question(question: &TokenQuestion, headers: ClientHeaders) -> ClientProof {
        ClientProof {
            basic: headers.basic,
            client_id: question.client_id.clone(),
            client_secret: question.client_secret.clone(),
            assertion: question.client_assertion.clone(),
            attestation: headers.attestation,
            came_in_query: question.secret_came_in_query,
        }
    }

    /// Authenticates the client if the request says anything of one. Where a secret is not asked for,
    /// one that came is verified all the same.
    ///
    /// # Refusals
    /// As of [`ClientProof::authenticate`].
    pub(super) async fn authenticate_if_named(
        self,
        app: &App,
        visit: &Visit,
    ) -> Result<Option<Arc<Client>>, Failure> {
        let is_named = self.basic.is_some()
            || self.client_id.is_some()
            || self.client_secret.is_some()
            || self.assertion.is_some()
            || self.attestation.is_some()
            || self.came_in_query;
        if is_named {
            let authenticated = self.authenticate(app, visit, |_| false).await?;
            return Ok(Some(authenticated.client));
        }
        let keys = Keys {
            ip: Some(visit.ip),
            client: None,
            site: Some(&visit.site.site.id),
            share: SiteShare::Public,
            target: None,
        };
        app.admission
            .rate_limiter
            .take(Surface::Token, &keys, visit.at)?;
        Ok(None)
    }

    /// Authenticates the client, and limits requests without authentication: an authenticated backend sends
    /// requests for all its users from one address; an instance of an app, a public client and an
    /// unauthenticated caller do not. A proof that is valid once is spent.
    ///
    /// # Refusals
    /// Those of [`ClientProof::identify`], and `RateLimited`.
    pub(super) async fn authenticate(
        self,
        app: &App,
        visit: &Visit,
        needs_secret: impl FnOnce(&Client) -> bool,
    ) -> Result<Authenticated, Failure> {
        let identified = self.identify(app, visit, needs_secret);
        let is_verified = identified.as_ref().is_ok_and(|identified| {
            matches!(identified.by, VerifiedBy::Assertion | VerifiedBy::Secret)
        });
        let client = identified
            .as_ref()
            .ok()
            .map(|identified| &identified.client);
        // A request with a wrong secret, or without one where the client has one (revocation accepts that),
        // does not use up the budget of the client. A public client has nothing but its name.
        let client =
            client.filter(|client| is_verified || client.policies.is_consumer_secret_optional);
        let keys = Keys {
            ip: (!is_verified).then_some(visit.ip),
            client: client.map(|client| client.id.as_str()),
            site: Some(&visit.site.site.id),
            share: match is_verified {
                true => SiteShare::Backend,
                false => SiteShare::Public,
            },
            target: None,
        };
        app.admission
            .rate_limiter
            .take(Surface::Token, &keys, visit.at)?;
        let Identified {
            client,
            by,
            one_use,
        } = match identified {
            Ok(identified) => identified,
            Err(refusal) => {
                record_failure(app, visit, &refusal).await?;
                return Err(refusal.into());
            }
        };
        if let Some(one_use) = one_use {
            app.spend_proof(one_use).await?;
        }
        Ok(Authenticated { client, by })
    }

    /// Identifies the client by one method. An unauthenticated caller spends nothing.
    ///
    /// # Refusals
    /// `CredentialsMisplaced`, `ClientAuthenticationAmbiguous`, `ParameterMissing`, `ClientUnknown`,
    /// `ClientSecretMissing` where `needs_secret` says so, `ClientSecretWrong`, and
    /// `ClientSecretWrongInHeader` for any of the last three when the Basic header was used; those of
    /// [`App::check_assertion`] and [`App::check_attestation`].
    fn identify(
        self,
        app: &App,
        visit: &Visit,
        needs_secret: impl FnOnce(&Client) -> bool,
    ) -> Result<Identified, Refusal> {
        if self.came_in_query {
            return Err(Refusal::CredentialsMisplaced);
        }
        if self.assertion.is_some() || self.attestation.is_some() {
            return self.identify_by_key(app, visit);
        }
        let is_header = self.basic.is_some();
        let (id, secret) = self.named()?;
        let in_header = |refusal: Refusal| match refusal.reason() {
            Some(because) if is_header => Refusal::ClientSecretWrongInHeader { because },
            _ => refusal,
        };
        let client = app.directory().client(&id).cloned();
        let client = client.ok_or_else(|| in_header(Refusal::ClientUnknown))?;
        visit.note_client(&client);
        let is_required = needs_secret(&client);
        client
            .authenticate(secret.as_ref(), is_required)
            .map_err(in_header)?;
        Ok(Identified {
            client,
            by: match secret {
                Some(_) => VerifiedBy::Secret,
                None => VerifiedBy::Nothing,
            },
            one_use: None,
        })
    }

    /// Identifies the client by an assertion or an attestation, which must be the only method. The audience of an
    /// assertion is the token endpoint, as in `private_key_jwt`, or the site.
    fn identify_by_key(self, app: &App, visit: &Visit) -> Result<Identified, Refusal> {
        if self.basic.is_some() || self.client_secret.is_some() {
            return Err(Refusal::ClientAuthenticationAmbiguous);
        }
        let id = self
            .client_id
            .ok_or(Refusal::ParameterMissing { name: "client_id" })?;
        let client = app.directory().client(&id).cloned();
        let client = client.ok_or(Refusal::ClientUnknown)?;
        visit.note_client(&client);
        let (by, one_use) = match (self.assertion, self.attestation) {
            (Some(assertion), None) => {
                let site = visit.site.site.base_url.as_str();
                let endpoint = format!("{site}/services/oauth2/token");
                let audiences = [site, &endpoint];
                let one_use = app.check_assertion(visit, &client, &assertion, &audiences)?;
                (VerifiedBy::Assertion, one_use)
            }
            (None, Some(attestation)) => {
                let attested = app.check_attestation(visit, &client, &attestation)?;
                let by = VerifiedBy::Attestation(attested.thumbprint);
                (by, Some(attested.one_use))
            }
            _ => return Err(Refusal::ClientAuthenticationAmbiguous),
        };
        Ok(Identified {
            client,
            by,
            one_use,
        })
    }

    /// The client that is named, and the secret that came with it.
    fn named(self) -> Result<(String, Option<Secret>), Refusal> {
        let Some(basic) = self.basic else {
            let id = self
                .client_id
                .ok_or(Refusal::ParameterMissing { name: "client_id" })?;
            return Ok((id, self.client_secret));
        };
        let is_other = self.client_id.is_some_and(|id| id != basic.left);
        if self.client_secret.is_some() || is_other {
            return Err(Refusal::ClientAuthenticationAmbiguous);
        }
        let secret = Some(basic.right).filter(|secret| !secret.is_empty());
        Ok((basic.left, secret))
    }
}

/// Records a failed authentication of a client that exists. Without one there is nothing to protect.
async fn record_failure(app: &App, visit: &Visit, refusal: &Refusal) -> Result<(), Fault> {
    let (Some(client_id), Some(because)) = (visit.client_id(), refusal.reason()) else {
        return Ok(());
    };
    let event = AuditEvent {
        client_id: Some(client_id.to_owned()),
        detail: json!({"reason": because.as_str()}).to_string(),
        ..visit.event(&app.entropy, "client.authentication_failed")
    };
    let failure = (event, visit.origin());
    app.store
        .write("client.fail", failure, |tx, (event, origin)| {
            Box::pin(async move {
                let count = store::tally::client_failed(tx, &origin.site_id, event.at).await?;
                store::audit::count(tx, event, origin, count).await
            })
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn att_12_what_was_issued_to_an_attested_client_is_used_by_the_same_one_only() {
        let key = |text: &str| VerifiedBy::Attestation(text.to_owned());
        for (client_key, by, expected) in [
            (None, VerifiedBy::Nothing, true),
            (None, key("a"), true),
            (Some("a"), key("a"), true),
            (Some("a"), key("b"), false),
            (Some("a"), VerifiedBy::Secret, false),
            (Some("a"), VerifiedBy::Assertion, false),
            (Some("a"), VerifiedBy::Nothing, false),
            (Some(ASSERTION_KEY), VerifiedBy::Assertion, true),
            (Some(ASSERTION_KEY), VerifiedBy::Secret, true),
            (Some(ASSERTION_KEY), key("a"), true),
            (Some(ASSERTION_KEY), key(ASSERTION_KEY), true),
            (Some(ASSERTION_KEY), VerifiedBy::Nothing, false),
        ] {
            assert_eq!(by.holds(client_key), expected, "{client_key:?} {by:?}");
        }
    }
}
