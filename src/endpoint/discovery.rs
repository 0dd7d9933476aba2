//! `GET /id/keys` and the well-known documents (RFC 7517, OpenID Connect Discovery 1.0, RFC 8414, and
//! what the mobile SDKs ask for). Each is made once for a snapshot of the directory.

use axum::response::Response;
use bytes::Bytes;
use vestibule_protocol::auth_configuration::AuthConfiguration;
use vestibule_protocol::metadata::{Offer, ProviderMetadata};

use super::answer::public;
use super::arrival::Arrival;
use crate::algorithm::Algorithm;
use crate::grant;
use crate::settings::Site;

/// The scopes that have an effect in this version, in the order of the metadata.
const SCOPES_SUPPORTED: [&str; 14] = [
    "openid",
    "profile",
    "email",
    "address",
    "phone",
    "id",
    "api",
    "user_registration_api",
    "pwdless_login_api",
    "forgot_password",
    "web",
    "full",
    "refresh_token",
    "offline_access",
];

/// How a client may prove itself at the token endpoint.
const AUTH_METHODS: &[&str] = &[
    "client_secret_post",
    "client_secret_basic",
    "private_key_jwt",
    "none",
];

/// Further methods, at a site that allows first-party apps.
const ATTESTED_AUTH_METHODS: &[&str] = &["attest_jwt_client_auth", "attest_jwt_client_auth_dpop"];

/// The claims that userinfo and id_tokens may contain.
const CLAIMS_SUPPORTED: [&str; 35] = [
    "active",
    "address",
    "amr",
    "at_hash",
    "aud",
    "auth_time",
    "azp",
    "email",
    "email_verified",
    "exp",
    "family_name",
    "given_name",
    "iat",
    "is_app_installed",
    "is_salesforce_integration_user",
    "iss",
    "language",
    "locale",
    "name",
    "nickname",
    "nonce",
    "organization_id",
    "phone_number",
    "phone_number_verified",
    "photos",
    "picture",
    "preferred_username",
    "profile",
    "sub",
    "updated_at",
    "urls",
    "user_id",
    "user_type",
    "utcOffset",
    "zoneinfo",
];

/// The JWK Set.
pub(super) fn keys(arrival: &Arrival) -> Response {
    public(arrival.app.directory().jwks.clone())
}

/// The provider metadata.
pub(super) fn metadata(arrival: &Arrival) -> Response {
    let site = &arrival.site;
    let document = site.metadata.get_or_init(|| {
        let metadata = ProviderMetadata::new(&site.site.base_url, offer(&site.site));
        Bytes::from(metadata.to_json())
    });
    public(document.clone())
}

/// What the mobile SDKs ask before a login.
pub(super) fn auth_configuration(arrival: &Arrival) -> Response {
    let site = &arrival.site;
    let document = site.auth_configuration.get_or_init(|| {
        let org_id = &arrival.app.directory().org_id;
        let configuration = AuthConfiguration::new(org_id, &site.site.base_url);
        Bytes::from(configuration.to_json())
    });
    public(document.clone())
}

/// What the metadata of a site lists: only working features (RFC 8414 section 2).
fn offer(site: &Site) -> Offer {
    let is_first_party = site.settings.is_first_party_apps_allowed;
    let algorithms = Algorithm::ALL.map(Algorithm::as_str);
    let attested = match is_first_party {
        true => words(algorithms),
        false => Vec::new(),
    };
    let attested_auth_methods = match is_first_party {
        true => ATTESTED_AUTH_METHODS,
        false => &[],
    };
    Offer {
        scopes: words(SCOPES_SUPPORTED),
        response_types: words(["code_credentials"]),
        grant_types: words(grant::standard_names()),
        id_token_signing_algorithms: words(algorithms),
        token_endpoint_auth_methods: words([AUTH_METHODS, attested_auth_methods].concat()),
        token_endpoint_auth_signing_algorithms: words([Algorithm::RS256.as_str()]),
        authorization_challenge: is_first_party,
        client_attestation_signing_algorithms: attested.clone(),
        client_attestation_pop_signing_algorithms: attested,
        claims: words(CLAIMS_SUPPORTED),
        introspection: true,
        revocation: true,
        ..Offer::default()
    }
}

fn words(words: impl IntoIterator<Item = &'static str>) -> Vec<String> {
    words.into_iter().map(str::to_owned).collect()
}
