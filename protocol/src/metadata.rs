//! Discovery: the metadata of the authorization server.
//!
//! This file owns the members of the provider metadata (OpenID Connect Discovery 1.0 section 3, RFC 8414 section
//! 2). The caller lists what is enabled. The only members that this file adds itself are features that are not
//! supported and whose absence would mean "supported".

use serde::Serialize;

/// The features of a site; the caller lists only what is enabled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// The scopes a client may have.
    pub scopes: Vec<String>,
    /// The response types of the authorization endpoint.
    pub response_types: Vec<String>,
    /// The grants of the token endpoint, by their standard names.
    pub grant_types: Vec<String>,
    /// The algorithms that sign id_tokens (and JWT access tokens).
    pub id_token_signing_algorithms: Vec<String>,
    /// The authentication methods of clients at the token endpoint.
    pub token_endpoint_auth_methods: Vec<String>,
    /// The algorithms a client may sign its assertions with; empty when none may.
    pub token_endpoint_auth_signing_algorithms: Vec<String>,
    /// The claims that userinfo and id_tokens may contain.
    pub claims: Vec<String>,
    /// The locales of the pages, as BCP 47 tags; empty when the server shows none.
    pub ui_locales: Vec<String>,
    /// Whether the endpoint for first-party applications is enabled.
    pub authorization_challenge: bool,
    /// The algorithms of client attestations; empty when none is accepted.
    pub client_attestation_signing_algorithms: Vec<String>,
    /// The algorithms of the proofs of possession that go with them.
    pub client_attestation_pop_signing_algorithms: Vec<String>,
    /// Whether the introspection endpoint is enabled.
    pub introspection: bool,
    /// Whether the revocation endpoint is enabled.
    pub revocation: bool,
    /// The `display` values that the pages support; empty when the server has none.
    pub displays: Vec<String>,
    /// Whether a redirect of the authorization endpoint carries `iss` (RFC 9207).
    pub authorization_response_iss: bool,
}

/// The document at `/.well-known/openid-configuration` and at `/.well-known/oauth-authorization-server`, which are
/// the same.
///
/// Source: OpenID Connect Discovery 1.0 section 3; RFC 8414 section 2; RFC 9207 section 3;
/// draft-ietf-oauth-first-party-apps; draft-ietf-oauth-attestation-based-client-auth section 10.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProviderMetadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    revocation_endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    introspection_endpoint: Option<String>,
    userinfo_endpoint: String,
    jwks_uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_challenge_endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    challenge_endpoint: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    client_attestation_signing_alg_values_supported: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    client_attestation_pop_signing_alg_values_supported: Vec<String>,
    scopes_supported: Vec<String>,
    response_types_supported: Vec<String>,
    response_modes_supported: Vec<&'static str>,
    grant_types_supported: Vec<String>,
    code_challenge_methods_supported: Vec<&'static str>,
    subject_types_supported: Vec<&'static str>,
    id_token_signing_alg_values_supported: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    display_values_supported: Vec<String>,
    token_endpoint_auth_methods_supported: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    token_endpoint_auth_signing_alg_values_supported: Vec<String>,
    claims_supported: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ui_locales_supported: Vec<String>,
    claims_parameter_supported: bool,
    request_parameter_supported: bool,
    request_uri_parameter_supported: bool,
    authorization_response_iss_parameter_supported: bool,
}

impl ProviderMetadata {
    /// The metadata of the site at `base_url`, which is also the issuer. A trailing slash of the base URL is
    /// removed: libraries compare issuers character by character, and every token names the issuer without one.
    pub fn new(base_url: &str, offer: Offer) -> ProviderMetadata {
        let base_url = base_url.trim_end_matches('/');
        let below = |path: &str| format!("{base_url}{path}");
        ProviderMetadata {
            issuer: base_url.to_owned(),
            authorization_endpoint: below("/services/oauth2/authorize"),
            token_endpoint: below("/services/oauth2/token"),
            revocation_endpoint: offer.revocation.then(|| below("/services/oauth2/revoke")),
            introspection_endpoint: offer
                .introspection
                .then(|| below("/services/oauth2/introspect")),
            userinfo_endpoint: below("/services/oauth2/userinfo"),
            jwks_uri: below("/id/keys"),
            // This path uses the names of the draft; the other path uses the older names.
            authorization_challenge_endpoint: offer
                .authorization_challenge
                .then(|| below("/services/oauth2/authorization_challenge")),
            challenge_endpoint: (!offer.client_attestation_signing_algorithms.is_empty())
                .then(|| below("/services/oauth2/attestation_challenge")),
            client_attestation_signing_alg_values_supported: offer
                .client_attestation_signing_algorithms,
            client_attestation_pop_signing_alg_values_supported: offer
                .client_attestation_pop_signing_algorithms,
            scopes_supported: offer.scopes,
            response_types_supported: offer.response_types,
            response_modes_supported: vec!["query"],
            grant_types_supported: offer.grant_types,
            code_challenge_methods_supported: vec!["S256"],
            subject_types_supported: vec!["public"],
            id_token_signing_alg_values_supported: offer.id_token_signing_algorithms,
            display_values_supported: offer.displays,
            token_endpoint_auth_methods_supported: offer.token_endpoint_auth_methods,
            token_endpoint_auth_signing_alg_values_supported: offer
                .token_endpoint_auth_signing_algorithms,
            claims_supported: offer.claims,
            ui_locales_supported: offer.ui_locales,
            claims_parameter_supported: false,
            request_parameter_supported: false,
            // Absent, this member would mean true (Discovery section 3).
            request_uri_parameter_supported: false,
            authorization_response_iss_parameter_supported: offer.authorization_response_iss,
        }
    }

    /// The document as JSON on one line.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a structure of texts is always JSON")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn metadata(base_url: &str, offer: Offer) -> Value {
        serde_json::from_str(&ProviderMetadata::new(base_url, offer).to_json()).unwrap()
    }

    fn offer() -> Offer {
        Offer {
            scopes: words("openid api"),
            response_types: words("code"),
            grant_types: words("authorization_code refresh_token"),
            id_token_signing_algorithms: words("RS256"),
            token_endpoint_auth_methods: words("client_secret_post none"),
            claims: words("sub email"),
            introspection: true,
            revocation: true,
            displays: words("page"),
            ..Offer::default()
        }
    }

    #[test]
    fn what_is_not_offered_is_not_listed() {
        let document = metadata("https://site.example.com", Offer::default());
        for name in [
            "revocation_endpoint",
            "introspection_endpoint",
            "authorization_challenge_endpoint",
            "display_values_supported",
        ] {
            assert!(document.get(name).is_none(), "{name}");
        }
    }

    #[test]
    fn what_discovery_requires_is_there() {
        let document = metadata("https://site.example.com", offer());
        for (name, value) in [
            ("issuer", "https://site.example.com"),
            (
                "authorization_endpoint",
                "https://site.example.com/services/oauth2/authorize",
            ),
            (
                "token_endpoint",
                "https://site.example.com/services/oauth2/token",
            ),
            (
                "revocation_endpoint",
                "https://site.example.com/services/oauth2/revoke",
            ),
            (
                "introspection_endpoint",
                "https://site.example.com/services/oauth2/introspect",
            ),
            (
                "userinfo_endpoint",
                "https://site.example.com/services/oauth2/userinfo",
            ),
            ("jwks_uri", "https://site.example.com/id/keys"),
        ] {
            assert_eq!(document[name], value);
        }
        for name in [
            "response_types_supported",
            "subject_types_supported",
            "id_token_signing_alg_values_supported",
        ] {
            assert!(!document[name].as_array().unwrap().is_empty(), "{name}");
        }
        assert_eq!(document["code_challenge_methods_supported"][0], "S256");
    }

    #[test]
    fn what_is_not_offered_is_not_named() {
        let document = metadata("https://site.example.com", offer());
        for name in [
            "authorization_challenge_endpoint",
            "challenge_endpoint",
            "client_attestation_signing_alg_values_supported",
            "registration_endpoint",
            "token_endpoint_auth_signing_alg_values_supported",
            "ui_locales_supported",
        ] {
            assert!(document.get(name).is_none(), "{name}");
        }
        assert_eq!(document["request_uri_parameter_supported"], false);
        let document = metadata(
            "https://site.example.com",
            Offer {
                authorization_challenge: true,
                ..offer()
            },
        );
        assert_eq!(
            document["authorization_challenge_endpoint"],
            "https://site.example.com/services/oauth2/authorization_challenge"
        );
    }

    // Libraries compare the issuer character by character with the one in the tokens.
    #[test]
    fn the_issuer_has_no_slash_at_its_end() {
        let document = metadata("https://example.com/customers/", offer());
        assert_eq!(document["issuer"], "https://example.com/customers");
        assert_eq!(
            document["jwks_uri"],
            "https://example.com/customers/id/keys"
        );
    }
}
