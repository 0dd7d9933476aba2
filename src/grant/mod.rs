//! Grants: how a grant becomes tokens (RFC 6749 sections 2.3, 3.2 and 5).
//!
//! [`exchange`] owns the five phases, which are the same for every grant type: parse, authenticate the client, check that
//! the grant is allowed for the client, redeem, issue. A grant type is a `Grant`: the hooks that the phases call. It
//! cannot leave a phase out and cannot answer by itself, because `Redeemed` is all that it returns.
//!
//! A new grant type is one file with a `GRANT`, its `mod` line, and its place in `GRANTS`. The metadata lists it then.

mod authorization_code;
mod client_authentication;
mod client_credentials;
mod introspection;
mod issue;
mod refresh_token;
mod revocation;

use std::pin::Pin;

use vestibule_protocol::scope::ScopeSet;
use vestibule_protocol::token::{TokenAnswer, TokenRequest};
use vestibule_protocol::uvid::UvidHint;

use crate::app::{App, Visit};
use crate::client::Client;
use crate::moment::Moment;
use crate::refusal::{Failure, Refusal};
use crate::store::family::TokenFamily;
pub use client_authentication::ClientHeaders;
use client_authentication::{Authenticated, ClientProof};
pub use introspection::introspect;
use issue::{Redeemed, issue};
pub use revocation::revoke;

/// Every grant type that the token endpoint accepts.
static GRANTS: [&Grant; 3] = [
    &authorization_code::GRANT,
    &client_credentials::GRANT,
    &refresh_token::GRANT,
];

/// A grant type: what differs between grants, one hook for each phase that has a difference.
struct Grant {
    /// The values of `grant_type` that name it. The first is the standard name, which the metadata lists.
    names: &'static [&'static str],
    /// Whether `Auth-Request-Type` and `Uvid-Hint` mean something to it. Otherwise they are not even parsed.
    reads_guest_headers: bool,
    /// Which client the request names when it uses no header. In RFC 7523 it is the issuer of the assertion.
    client_id: fn(&TokenRequest) -> Option<String>,
    /// Whether this client must authenticate by more than its `client_id`.
    needs_secret: fn(&Client) -> bool,
    /// Refuses a client that the grant is not for, before anything of the grant is looked up or spent.
    check_allowed: fn(&Authenticated) -> Result<(), Refusal>,
    /// Checks and spends what the client presents, and saves the access token in the same write.
    redeem: for<'r> fn(Redeeming<'r>) -> RedeemFuture<'r>,
}

/// A request whose client is authenticated and may use the grant.
struct Redeeming<'r> {
    app: &'r App,
    visit: &'r Visit,
    authenticated: &'r Authenticated,
    request: TokenRequest,
    guest: GuestHeaders,
}

/// The future of [`Grant::redeem`].
type RedeemFuture<'r> = Pin<Box<dyn Future<Output = Result<Redeemed, Failure>> + Send + 'r>>;

/// The headers of a token request about a guest. They may be left out, and must match the code if they
/// are sent.
#[derive(Debug, Default)]
pub struct GuestHeaders {
    /// Whether `Auth-Request-Type` is `guest`, if it was sent.
    pub is_guest: Option<bool>,
    /// `Uvid-Hint`.
    pub hint: Option<UvidHint>,
}

/// Exchanges a grant for tokens.
///
/// # Refusals
/// `GrantTypeUnsupported` (also for a request without a grant type, threat TOK-01), those of client
/// authentication, and those of the grant type.
pub async fn exchange(
    app: &App,
    visit: &Visit,
    request: TokenRequest,
    headers: ClientHeaders,
    guest: GuestHeaders,
) -> Result<TokenAnswer, Failure> {
    // 1. Parse.
    let grant = find(&request).ok_or(Refusal::GrantTypeUnsupported)?;
    let proof = ClientProof::of_token_request(&request, (grant.client_id)(&request), headers);
    // 2. Authenticate the client.
    let authenticated = proof.authenticate(app, visit, grant.needs_secret).await?;
    // 3. Check that the grant is allowed for the client.
    (grant.check_allowed)(&authenticated)?;
    // 4. Redeem.
    let redeeming = Redeeming {
        app,
        visit,
        authenticated: &authenticated,
        request,
        guest,
    };
    let redeemed = (grant.redeem)(redeeming).await;
    count(app, &redeemed);
    // 5. Issue.
    Ok(issue(app, visit, &authenticated.client, redeemed?)?)
}

/// The standard name of every grant type, for the metadata.
pub fn standard_names() -> impl Iterator<Item = &'static str> {
    GRANTS.iter().map(|grant| grant.names[0])
}

/// Whether the grant of a request reads the headers about a guest.
pub fn reads_guest_headers(request: &TokenRequest) -> bool {
    find(request).is_some_and(|grant| grant.reads_guest_headers)
}

/// The grant of a request. Names are case-sensitive.
fn find(request: &TokenRequest) -> Option<&'static Grant> {
    let name = request.grant_type.as_deref()?;
    let mut grants = GRANTS.into_iter();
    grants.find(|grant| grant.names.contains(&name))
}

/// Counts what became of a refresh token. Other grants are seen in the count of requests.
fn count(app: &App, redeemed: &Result<Redeemed, Failure>) {
    let outcome = match redeemed {
        Ok(redeemed) => redeemed.refresh,
        Err(Failure::Refused(Refusal::RefreshTokenReused)) => Some("reused"),
        Err(_) => None,
    };
    if let Some(outcome) = outcome {
        app.metrics.refreshed(outcome);
    }
}

/// Whether a login with a refresh token is still valid: by the present policy of its client, and by its
/// user.
fn is_login_live(client: &Client, family: &TokenFamily, at: Moment) -> bool {
    let policies = &client.policies;
    let granted = ScopeSet::parse(&family.scope).unwrap_or_default();
    let end = policies.refresh_tokens_end_at(family.created_at, family.last_used_at);
    end.is_none_or(|end| end > at)
        && policies.issues_refresh_tokens(&granted)
        && family.user.check_active().is_ok()
        && family.user.session_generation == family.session_generation
}

/// The scopes of a login that its client still has.
fn remaining_scope(client: &Client, family: &TokenFamily) -> ScopeSet {
    let granted = ScopeSet::parse(&family.scope).unwrap_or_default();
    granted.intersection(&client.policies.scopes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(grant_type: Option<&str>) -> Option<&'static str> {
        let request = TokenRequest {
            grant_type: grant_type.map(str::to_owned),
            ..TokenRequest::default()
        };
        find(&request).map(|grant| grant.names[0])
    }

    // TOK-01, and the names that are one grant.
    #[test]
    fn a_grant_is_found_by_its_exact_names_only() {
        for (name, grant) in [
            (Some("authorization_code"), Some("authorization_code")),
            (Some("hybrid_auth_code"), Some("authorization_code")),
            (Some("refresh_token"), Some("refresh_token")),
            (Some("hybrid_refresh"), Some("refresh_token")),
            (Some("client_credentials"), Some("client_credentials")),
            (Some("urn:ietf:params:oauth:grant-type:jwt-bearer"), None),
            (Some("password"), None),
            (Some("implicit"), None),
            (Some("Authorization_Code"), None),
            (Some(""), None),
            (None, None),
        ] {
            assert_eq!(named(name), grant, "{name:?}");
        }
    }
}
