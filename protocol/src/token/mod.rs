//! The token endpoint: its request and its response.
//!
//! This file owns the names of the parameters and members (RFC 6749 4.1.3, 4.4.2, 5.1, 6; RFC 7523; Headless
//! Identity, token request and response). Authenticating the client, checking the grant and making the tokens
//! belong to the server.

use serde_json::Value;

use crate::form::Parameters;
use crate::format::{Format, Layout, Members, render_members};
use crate::scope::ScopeSet;
use crate::secret::Secret;

/// The parameters of a token request, not yet checked. An empty parameter is absent (RFC 6749 3.1).
///
/// Source: RFC 6749 4.1.3, 4.4.2, 6; RFC 7523 2; Headless Identity, token request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenRequest {
    /// `grant_type` as sent. Which grants there are is decided by the server.
    pub grant_type: Option<String>,
    /// `code`: the authorization code.
    pub code: Option<Secret>,
    /// `redirect_uri`, which must equal that of the authorization request.
    pub redirect_uri: Option<String>,
    /// `code_verifier` of RFC 7636.
    pub code_verifier: Option<Secret>,
    /// `refresh_token`.
    pub refresh_token: Option<Secret>,
    /// `assertion` of the JWT bearer grant.
    pub assertion: Option<Secret>,
    /// `scope` as sent.
    pub scope: Option<String>,
    /// `client_id`.
    pub client_id: Option<String>,
    /// `client_secret`.
    pub client_secret: Option<Secret>,
    /// `client_assertion_type` of RFC 7521 4.2.
    pub client_assertion_type: Option<String>,
    /// `client_assertion` of RFC 7521 4.2.
    pub client_assertion: Option<Secret>,
    /// `format` as sent; see [`Format::choose`].
    pub format: Option<String>,
    /// `device_id`: the mobile SDKs add it to the query.
    pub device_id: Option<String>,
    /// Whether the query contained a credential that outlives the request. Such a request is refused before it is
    /// processed (RFC 6749 2.3.1). `code` and `code_verifier` do not count: existing clients put the whole request
    /// on the URL, and the request spends both.
    pub secret_came_in_query: bool,
    /// All other parameters. RFC 6749 3.2 has the server ignore what it does not know; a grant type may
    /// define its own.
    pub more: Parameters,
}

impl TokenRequest {
    /// Takes the parameters.
    pub fn parse(mut parameters: Parameters) -> TokenRequest {
        let secret_came_in_query = [
            "assertion",
            "client_assertion",
            "client_secret",
            "refresh_token",
        ]
        .iter()
        .any(|name| parameters.came_in_query(name));
        TokenRequest {
            grant_type: parameters.take("grant_type"),
            code: parameters.take_secret("code"),
            redirect_uri: parameters.take("redirect_uri"),
            code_verifier: parameters.take_secret("code_verifier"),
            refresh_token: parameters.take_secret("refresh_token"),
            assertion: parameters.take_secret("assertion"),
            scope: parameters.take("scope"),
            client_id: parameters.take("client_id"),
            client_secret: parameters.take_secret("client_secret"),
            client_assertion_type: parameters.take("client_assertion_type"),
            client_assertion: parameters.take_secret("client_assertion"),
            format: parameters.take("format"),
            device_id: parameters.take("device_id"),
            secret_came_in_query,
            more: parameters,
        }
    }
}

/// The format of an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenFormat {
    /// A random string that only the server can read.
    Opaque,
    /// A signed JWT.
    Jwt,
}

impl TokenFormat {
    /// The value of the member `token_format`.
    pub fn as_str(self) -> &'static str {
        match self {
            TokenFormat::Opaque => "opaque",
            TokenFormat::Jwt => "jwt",
        }
    }
}

/// The successful token response.
///
/// Source: RFC 6749 5.1; Headless Identity, token response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenAnswer {
    /// `access_token`.
    pub access_token: Secret,
    /// `refresh_token`, when the scope grants one, or when one was rotated.
    pub refresh_token: Option<Secret>,
    /// `id_token`, when the scope contains `openid`.
    pub id_token: Option<Secret>,
    /// `id`: the identity URL.
    pub id: String,
    /// `instance_url`: where the SDKs send their calls; the base URL of the site.
    pub instance_url: String,
    /// `api_instance_url`, where it differs.
    pub api_instance_url: Option<String>,
    /// `sfdc_community_url`: the base URL of the site.
    pub sfdc_community_url: Option<String>,
    /// `sfdc_community_id`: the identifier of the site.
    pub sfdc_community_id: Option<String>,
    /// `issued_at`, in milliseconds since 1970; a string on the wire. The signature covers this number.
    pub issued_at: i64,
    /// `signature`: HMAC-SHA-256 under the client's secret over the identity URL and `issued_at`
    /// with nothing in between, in padded base64.
    pub signature: String,
    /// `scope`: the granted scopes.
    pub scope: ScopeSet,
    /// `token_format`.
    pub token_format: TokenFormat,
    /// `expires_in`, in seconds. The real service omits it; RFC 6749 5.1 recommends it.
    pub expires_in: Option<u64>,
    /// Members that one grant type adds, such as `state` of the authorization request; they come last.
    pub more: Vec<(&'static str, String)>,
}

impl TokenAnswer {
    /// The body of the response. The result contains the tokens in clear text and is sent only to the caller, with
    /// `Cache-Control: no-store`.
    pub fn render(&self, format: Format) -> String {
        render_members(format, "OAuth", &self.members(), Layout::Compact)
    }

    fn members(&self) -> Members {
        let secret = |secret: &Option<Secret>| secret.as_ref().map(|s| s.expose().to_owned());
        let mut members = Members::new();
        insert(&mut members, "access_token", self.access_token.expose());
        insert_some(&mut members, "refresh_token", secret(&self.refresh_token));
        insert_some(
            &mut members,
            "sfdc_community_url",
            self.sfdc_community_url.clone(),
        );
        insert_some(
            &mut members,
            "sfdc_community_id",
            self.sfdc_community_id.clone(),
        );
        insert(&mut members, "signature", self.signature.as_str());
        insert(&mut members, "scope", self.scope.to_string());
        insert_some(&mut members, "id_token", secret(&self.id_token));
        insert(&mut members, "instance_url", self.instance_url.as_str());
        insert_some(
            &mut members,
            "api_instance_url",
            self.api_instance_url.clone(),
        );
        insert(&mut members, "id", self.id.as_str());
        insert(&mut members, "token_type", "Bearer");
        insert(&mut members, "issued_at", self.issued_at.to_string());
        insert(&mut members, "token_format", self.token_format.as_str());
        insert_some(&mut members, "expires_in", self.expires_in);
        for (name, value) in &self.more {
            insert(&mut members, name, value.as_str());
        }
        members
    }
}

fn insert(members: &mut Members, name: &str, value: impl Into<Value>) {
    members.insert(name.to_owned(), value.into());
}

fn insert_some(members: &mut Members, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        insert(members, name, value);
    }
}

#[cfg(test)]
mod tests;
