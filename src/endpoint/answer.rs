//! Answers: the headers that all of them have, and how failures are written.

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, PRAGMA, RETRY_AFTER,
    STRICT_TRANSPORT_SECURITY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use vestibule_protocol::error::{ErrorAnswer, Shape, WireError};
use vestibule_protocol::format::Format;

use super::arrival::{Arrival, status};
use crate::app::App;
use crate::refusal::{Failure, Fault, FaultKind, Refusal};

/// What is wrong in the caller's own input, beside the documented members of an error answer, which never change.
const ERROR_DETAIL: HeaderName = HeaderName::from_static("error-detail");

/// The request's id, on every answer and every log line.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// An answer that no cache may keep: any that contains a token, a code or user data.
pub(super) fn private(status: StatusCode, format: Format, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static(format.content_type()),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// A document that is the same for all callers.
pub(super) fn public(body: bytes::Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static(Format::Json.content_type()),
    );
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=300"),
    );
    response
}

/// The redirect at the end of authorize. The status is 302 and no other: clients then follow it with GET and
/// without the body.
///
/// Source: Authorization Code and Credentials Flow.
pub(super) fn redirect(location: &str) -> Result<Response, Fault> {
    let location = HeaderValue::from_str(location)
        .map_err(|error| Fault::new("writing the Location header", error))?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    let headers = response.headers_mut();
    headers.insert(LOCATION, location);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(
        HeaderName::from_static("referrer-policy"),
        HeaderValue::from_static("no-referrer"),
    );
    Ok(response)
}

/// A path that is no endpoint.
pub(super) fn not_found() -> Response {
    let body =
        String::from(r#"{"error":"not_found","error_description":"no endpoint at this path"}"#);
    private(StatusCode::NOT_FOUND, Format::Json, body)
}

/// Writes a failure: a refusal, or a fault of the server.
pub(super) fn refuse(
    arrival: &Arrival,
    failure: Failure,
    shape: Shape,
    format: Format,
) -> Response {
    match failure {
        Failure::Refused(refusal) => {
            arrival.visit().log_refusal(&refusal);
            write_refusal(&refusal, shape, format)
        }
        Failure::Broken(fault) => {
            write_fault(&arrival.app, &arrival.request_id, &fault, shape, format)
        }
    }
}

/// The target of the log lines about requests that belong to no site or no endpoint.
pub(super) const REFUSED: &str = "vestibule::refused";

/// Writes the log line of a request to a path that is no endpoint.
pub(super) fn log_not_found(arrival: &Arrival) {
    tracing::debug!(
        target: REFUSED, asked = arrival.asked(), request = %arrival.request_id, "no endpoint at this path"
    );
}

/// Writes the refusal of a request that has no site.
pub(super) fn refuse_unplaced(refusal: &Refusal, shape: Shape) -> Response {
    write_refusal(refusal, shape, Format::Json)
}

fn write_refusal(refusal: &Refusal, shape: Shape, format: Format) -> Response {
    let mut response = write(&refusal.wire(shape), shape, format);
    if let Refusal::MethodNotAllowed { allow } = refusal {
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static(allow));
    }
    if let Some(seconds) = refusal.retry_after_seconds() {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Writes a fault: one log line, and an answer that discloses nothing of it.
fn write_fault(
    app: &App,
    request_id: &str,
    fault: &Fault,
    shape: Shape,
    format: Format,
) -> Response {
    match fault.kind {
        // The defect is another service's, so it is a warning with a metric of its own.
        FaultKind::Remote => {
            app.metrics.remote_fault();
            tracing::warn!(request = %request_id, %fault, "another service did not answer");
        }
        _ => {
            app.metrics.fault();
            tracing::error!(request = %request_id, %fault, "the server failed");
        }
    }
    let is_temporary = !matches!(fault.kind, FaultKind::Broken | FaultKind::Remote);
    let error = match shape {
        _ if is_temporary => WireError::TemporarilyUnavailable,
        Shape::OAuth => WireError::ServerError,
        _ => WireError::UnknownError,
    };
    let mut response = write(&ErrorAnswer::new(error), shape, format);
    if is_temporary {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn write(answer: &ErrorAnswer, shape: Shape, format: Format) -> Response {
    let body = answer.render(shape, format);
    let mut response = private(status(answer.http_status()), format, body);
    if let Some(challenge) = answer.www_authenticate()
        && let Ok(challenge) = HeaderValue::from_str(&challenge)
    {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    if let Some(detail) = answer.public_detail()
        && let Ok(detail) = HeaderValue::from_str(&detail)
    {
        response.headers_mut().insert(ERROR_DETAIL, detail);
    }
    response
}

/// Adds the headers that every answer has.
pub(super) fn finish(response: &mut Response, request_id: &str, is_secure: bool) {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if is_secure {
        let value = HeaderValue::from_static("max-age=31536000");
        headers.insert(STRICT_TRANSPORT_SECURITY, value);
    }
}
