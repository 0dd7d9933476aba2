//! `GET /id/keys` and the two well-known documents (RFC 7517, OpenID Connect Discovery 1.0,
//! RFC 8414): ready bytes.

use axum::response::Response;
use vestibule_protocol::error::Shape;
use vestibule_protocol::format::Format;

use super::answer::public;
use super::arrival::Arrival;
use super::{attempt, check_method};

/// The JWK Set.
pub(super) fn keys(arrival: &Arrival) -> Response {
    attempt!(
        arrival,
        Shape::OAuth,
        Format::Json,
        check_method(arrival, "GET, HEAD")
    );
    public(arrival.app.directory().jwks.clone())
}

/// The provider metadata.
pub(super) fn metadata(arrival: &Arrival) -> Response {
    attempt!(
        arrival,
        Shape::OAuth,
        Format::Json,
        check_method(arrival, "GET, HEAD")
    );
    public(arrival.site.metadata.clone())
}
