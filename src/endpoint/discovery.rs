//! `GET /id/keys` and the well-known documents (RFC 7517, OpenID Connect Discovery 1.0, RFC 8414, and
//! what the mobile SDKs ask for): ready bytes.

use axum::response::Response;

use super::answer::public;
use super::arrival::Arrival;

/// The JWK Set.
pub(super) fn keys(arrival: &Arrival) -> Response {
    public(arrival.app.directory().jwks.clone())
}

/// The provider metadata.
pub(super) fn metadata(arrival: &Arrival) -> Response {
    public(arrival.site.metadata.clone())
}

/// What the mobile SDKs ask before a login.
pub(super) fn auth_configuration(arrival: &Arrival) -> Response {
    public(arrival.site.auth_configuration.clone())
}
