//! The claims of id_tokens and of JWT access tokens.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::algorithm::Algorithm;

/// The claims of an id_token (OpenID Connect Core 1.0 section 2).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IdClaims {
    /// The site's base URL, byte for byte as in the provider metadata.
    pub iss: String,
    /// The identity URL, as in userinfo.
    pub sub: String,
    /// The client id.
    pub aud: String,
    /// The client id again, as the authorized party.
    pub azp: String,
    /// When the token expires, in seconds.
    pub exp: i64,
    /// When it was issued, in seconds.
    pub iat: i64,
    /// When the user authenticated, in seconds.
    pub auth_time: i64,
    /// The authentication methods (RFC 8176).
    pub amr: Vec<String>,
    /// Hash of the access token, which binds the two.
    pub at_hash: String,
    /// `nonce` of the authorization request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
}

/// The claims of a JWT access token, with the names of the imitated service.
///
/// Source: JWT-Based Access Tokens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccessClaims {
    /// The site's base URL.
    pub iss: String,
    /// `uid:` and the user's record id.
    pub sub: String,
    /// The site's base URL, in a list.
    pub aud: Vec<String>,
    /// Scopes, separated by spaces.
    pub scp: String,
    /// The client id.
    pub client_id: String,
    /// When it was issued, in seconds.
    pub iat: i64,
    /// Fifteen seconds before the issue, for clocks that are behind.
    pub nbf: i64,
    /// When it expires, in seconds.
    pub exp: i64,
    /// Always `oauth`; an id_token has no such claim and is refused as an access token.
    pub mty: String,
    /// Identifies the token, so that it can be revoked.
    pub jti: String,
    /// Opaque session fingerprint.
    pub sfi: String,
    /// Always empty.
    pub roles: Vec<String>,
    /// Always false.
    pub hsc: bool,
    /// The app's id of the visitor: a guest, or a user who was a guest before the login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uvid: Option<String>,
    /// The grant, when the token is not in the store: `client_credentials`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gty: Option<String>,
    /// The `session_generation` of the user at the issue, when the token is not in the store: ending the user's
    /// sessions ends the token too.
    #[serde(rename = "gen", default, skip_serializing_if = "Option::is_none")]
    pub session_generation: Option<i64>,
}

/// `at_hash`: base64url of the left half of the access token's hash, by the hash of the signature
/// algorithm (OpenID Connect Core 1.0 section 3.1.3.6). Ed25519 hashes with SHA-512.
pub fn at_hash(access_token: &str, algorithm: Algorithm) -> String {
    let algorithm = match algorithm {
        Algorithm::RS256 | Algorithm::ES256 => &digest::SHA256,
        Algorithm::EdDSA => &digest::SHA512,
    };
    let hash = digest::digest(algorithm, access_token.as_bytes());
    URL_SAFE_NO_PAD.encode(&hash.as_ref()[..hash.as_ref().len() / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_hash_equals_the_published_value() {
        let token = "00D000000000001!AQEAQexample";
        assert_eq!(at_hash(token, Algorithm::RS256), "fmWjSZdXuU_ZLFtc-0bbFA");
    }
}
