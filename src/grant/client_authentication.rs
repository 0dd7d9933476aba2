//! Client authentication, as every endpoint that tokens are brought to shares it: one method,
//! `client_secret_basic`, `client_secret_post` or `none` (RFC 6749 section 2.3).

use std::sync::Arc;

use vestibule_protocol::basic::BasicCredentials;
use vestibule_protocol::revocation::TokenQuestion;
use vestibule_protocol::secret::Secret;
use vestibule_protocol::token::TokenRequest;

use crate::admission::{Keys, Surface};
use crate::app::{App, Visit};
use crate::client::Client;
use crate::refusal::Refusal;

/// What a request brings to prove which client it comes from.
pub(super) struct ClientProof {
    basic: Option<BasicCredentials>,
    client_id: Option<String>,
    client_secret: Option<Secret>,
    has_assertion: bool,
    came_in_query: bool,
}

impl ClientProof {
    /// What came to the token endpoint.
    pub(super) fn of_token_request(
        request: &TokenRequest,
        basic: Option<BasicCredentials>,
    ) -> ClientProof {
        ClientProof {
            basic,
            client_id: request.client_id.clone(),
            client_secret: request.client_secret.clone(),
            has_assertion: request.client_assertion.is_some(),
            came_in_query: request.secret_came_in_query,
        }
    }

    /// What came to the endpoints that are asked about a token.
    pub(super) fn of_question(
        question: &TokenQuestion,
        basic: Option<BasicCredentials>,
    ) -> ClientProof {
        ClientProof {
            basic,
            client_id: question.client_id.clone(),
            client_secret: question.client_secret.clone(),
            has_assertion: question.client_assertion.is_some(),
            came_in_query: question.secret_came_in_query,
        }
    }

    /// Authenticates the client if the request says anything of one. Where a secret is not asked for,
    /// one that came is verified all the same.
    ///
    /// # Refusals
    /// As of [`ClientProof::authenticate`].
    pub(super) fn authenticate_if_named(
        self,
        app: &App,
        visit: &Visit,
    ) -> Result<Option<Arc<Client>>, Refusal> {
        let is_named = self.basic.is_some()
            || self.client_id.is_some()
            || self.client_secret.is_some()
            || self.has_assertion
            || self.came_in_query;
        if is_named {
            return self.authenticate(app, visit, |_| false).map(Some);
        }
        let keys = Keys {
            ip: Some(visit.ip),
            client: None,
            site: Some(&visit.site.site.id),
            target: None,
        };
        app.edge.take(Surface::Token, &keys, visit.at)?;
        Ok(None)
    }

    /// Authenticates the client, and limits what is not authenticated: a client that has shown its
    /// secret speaks for all its users from one address, a public one and a stranger do not.
    ///
    /// # Refusals
    /// Those of [`ClientProof::identify`], and `RateLimited`.
    pub(super) fn authenticate(
        self,
        app: &App,
        visit: &Visit,
        needs_secret: impl FnOnce(&Client) -> bool,
    ) -> Result<Arc<Client>, Refusal> {
        let has_secret = self.client_secret.is_some()
            || self
                .basic
                .as_ref()
                .is_some_and(|basic| !basic.right.is_empty());
        let authenticated = self.identify(app, needs_secret);
        let client = authenticated.as_ref().ok();
        let is_proven = has_secret && client.is_some();
        // Nobody uses up what belongs to a client by naming it with a wrong secret, or with none where it
        // has one, as revoking takes it. A public client has no other proof than its name.
        let client =
            client.filter(|client| is_proven || client.policies.is_consumer_secret_optional);
        let keys = Keys {
            ip: (!is_proven).then_some(visit.ip),
            client: client.map(|client| client.id.as_str()),
            site: Some(&visit.site.site.id),
            target: None,
        };
        app.edge.take(Surface::Token, &keys, visit.at)?;
        authenticated
    }

    /// Says which client it is, by one method. An unauthenticated caller never gets as far as
    /// spending anything.
    ///
    /// # Refusals
    /// `CredentialsMisplaced`, `ClientAuthenticationAmbiguous`, `ParameterMissing`, `ClientUnknown`,
    /// `ClientSecretMissing` where `needs_secret` says so, `ClientSecretWrong`, and
    /// `ClientSecretWrongInHeader` for any of the last three when the Basic header was used.
    fn identify(
        self,
        app: &App,
        needs_secret: impl FnOnce(&Client) -> bool,
    ) -> Result<Arc<Client>, Refusal> {
        if self.came_in_query {
            return Err(Refusal::CredentialsMisplaced);
        }
        if self.has_assertion {
            let is_alone = self.basic.is_none() && self.client_secret.is_none();
            // private_key_jwt is not offered; saying so beats treating the client as a public one.
            let alone = Refusal::ClientSecretWrong;
            return Err(if is_alone {
                alone
            } else {
                Refusal::ClientAuthenticationAmbiguous
            });
        }
        let is_header = self.basic.is_some();
        let (id, secret) = self.named()?;
        let in_header = |refusal| {
            if is_header {
                Refusal::ClientSecretWrongInHeader
            } else {
                refusal
            }
        };
        let client = app.directory().client(&id).cloned();
        let client = client.ok_or_else(|| in_header(Refusal::ClientUnknown))?;
        let is_required = needs_secret(&client);
        client
            .authenticate(secret.as_ref(), is_required)
            .map_err(in_header)?;
        Ok(client)
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
