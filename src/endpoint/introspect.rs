//! `POST /services/oauth2/introspect` (RFC 7662).

use axum::response::Response;
use http::StatusCode;
use vestibule_protocol::error::Shape;
use vestibule_protocol::format::Format;
use vestibule_protocol::revocation::{Introspection, TokenQuestion};

use super::answer::private;
use super::arrival::Arrival;
use super::attempt;
use super::token::client_headers;
use super::userinfo::parameters;
use crate::grant;
use crate::refusal::{Failure, Refusal};

/// Answers in JSON.
pub(super) async fn answer(arrival: &mut Arrival) -> Response {
    let said = attempt!(
        arrival,
        Shape::OAuth,
        Format::Json,
        introspect(arrival).await
    );
    private(StatusCode::OK, Format::Json, said.to_json())
}

async fn introspect(arrival: &mut Arrival) -> Result<Introspection, Failure> {
    let parameters = parameters(arrival).await?;
    // Here the token is to stay good, so it must not stand where URLs are logged.
    if parameters.came_in_query("token") {
        return Err(Refusal::CredentialsMisplaced.into());
    }
    let question = TokenQuestion::parse(parameters);
    let headers = client_headers(arrival)?;
    grant::introspect(&arrival.app, &arrival.visit(), question, headers).await
}
