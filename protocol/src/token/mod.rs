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

/// The grant types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GrantType {
    /// `authorization_code`, and `hybrid_auth_code`, as the mobile SDKs call it in native login.
    AuthorizationCode,
    /// `client_credentials`.
    ClientCredentials,
    /// `urn:ietf:params:oauth:grant-type:jwt-bearer`.
    JwtBearer,
    /// `refresh_token`, and `hybrid_refresh`.
    RefreshToken,
    /// Any other value, or none (TOK-01).
    Unsupported,
}

impl GrantType {
    /// The grant of a `grant_type` parameter. Names are case-sensitive.
    pub fn parse(name: Option<&str>) -> GrantType {
        match name {
            Some("authorization_code" | "hybrid_auth_code") => GrantType::AuthorizationCode,
            Some("client_credentials") => GrantType::ClientCredentials,
            Some("urn:ietf:params:oauth:grant-type:jwt-bearer") => GrantType::JwtBearer,
            Some("refresh_token" | "hybrid_refresh") => GrantType::RefreshToken,
            _ => GrantType::Unsupported,
        }
    }

    /// The standard name, as discovery lists it.
    pub fn as_str(self) -> &'static str {
        match self {
            GrantType::AuthorizationCode => "authorization_code",
            GrantType::ClientCredentials => "client_credentials",
            GrantType::JwtBearer => "urn:ietf:params:oauth:grant-type:jwt-bearer",
            GrantType::RefreshToken => "refresh_token",
            GrantType::Unsupported => "unsupported",
        }
    }
}

/// The parameters of a token request, not yet checked. An empty parameter is absent (RFC 6749 3.1).
///
/// Source: RFC 6749 4.1.3, 4.4.2, 6; RFC 7523 2; Headless Identity, token request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenRequest {
    /// `grant_type` as sent; see [`TokenRequest::grant`].
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
}

impl TokenRequest {
    /// Takes the parameters; unknown ones are ignored (RFC 6749 3.2).
    pub fn parse(mut parameters: Parameters) -> TokenRequest {
        let secret_came_in_query = [
            "assertion",
            "client_assertion",
            "client_secret",
            "refresh_token",
        ]
        .iter()
        .any(|name| parameters.came_in_query(name));
        let text = |name: &str| parameters.get(name).map(str::to_owned);
        let request = TokenRequest {
            grant_type: text("grant_type"),
            redirect_uri: text("redirect_uri"),
            scope: text("scope"),
            client_id: text("client_id"),
            client_assertion_type: text("client_assertion_type"),
            format: text("format"),
            device_id: text("device_id"),
            secret_came_in_query,
            ..TokenRequest::default()
        };
        TokenRequest {
            code: parameters.take_secret("code"),
            code_verifier: parameters.take_secret("code_verifier"),
            refresh_token: parameters.take_secret("refresh_token"),
            assertion: parameters.take_secret("assertion"),
            client_secret: parameters.take_secret("client_secret"),
            client_assertion: parameters.take_secret("client_assertion"),
            ..request
        }
    }

    /// The requested grant.
    pub fn grant(&self) -> GrantType {
        GrantType::parse(self.grant_type.as_deref())
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
    /// `state` of the authorization request.
    pub state: Option<String>,
    /// `token_format`.
    pub token_format: TokenFormat,
    /// `expires_in`, in seconds. The real service omits it; RFC 6749 5.1 recommends it.
    pub expires_in: Option<u64>,
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
        insert_some(&mut members, "state", self.state.clone());
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
