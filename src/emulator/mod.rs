//! The emulator API: routes that `vestibule dev` adds to the management listener so that people and tests can read
//! the mail that the server sends. `vestibule serve` has none of these routes.
//!
//! `GET /_emulator/v1/inbox?to=ADDRESS&after=ID&wait_ms=2000` lists messages, waiting for the first; `DELETE
//! /_emulator/v1/inbox` empties it. The listener is on the loopback interface. A request with another host, or from
//! a web page, is refused, because a page in the developer's browser must not read codes. A token is not
//! required, but one that is sent must be valid. A server that other machines can reach (`--expose`) requires the token
//! for every call. `/` is a page for people.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use axum::routing::get;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderValue, ORIGIN,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, StatusCode};
use serde_json::json;
use subtle::ConstantTimeEq;
use vestibule_protocol::basic::parse_bearer;
use vestibule_protocol::form::Parameters;

use crate::delivery::{Inbox, InboxMessage};
use crate::network::is_direct_host;
use crate::sealing::sha256;

/// The maximum time that a listing waits for a message.
const WAIT_MS_MAX: u64 = 60_000;

/// The state of the routes.
#[derive(Clone)]
pub struct Emulator {
    /// The inbox.
    pub inbox: Arc<Inbox>,
    /// SHA-256 of the administrator's token.
    pub admin_token_hash: [u8; 32],
    /// Whether every call of the API needs the token: other machines can reach the listener.
    pub requires_token: bool,
    /// The HTML page at `/`, which contains no secret.
    pub page: Arc<str>,
}

/// The routes.
pub fn router(emulator: Emulator) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/_emulator/v1/inbox", get(list).delete(clear))
        .with_state(emulator)
}

async fn page(State(emulator): State<Emulator>) -> Response {
    let mut response = Response::new(emulator.page.to_string().into());
    let headers = response.headers_mut();
    let fixed = HeaderValue::from_static;
    headers.insert(CONTENT_TYPE, fixed("text/html;charset=UTF-8"));
    headers.insert(CACHE_CONTROL, fixed("no-store"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        fixed("default-src 'none'; frame-ancestors 'none'"),
    );
    headers.insert(X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
    response
}

async fn list(
    State(emulator): State<Emulator>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    if let Err(response) = check(&emulator, &headers) {
        return *response;
    }
    let Ok(parameters) = Parameters::parse(query.as_deref(), b"") else {
        return answer(
            StatusCode::BAD_REQUEST,
            &json!({"error": "the query cannot be read"}),
        );
    };
    let wait_ms = match parameters.get("wait_ms").map(str::parse::<u64>) {
        None => 0,
        Some(Ok(wait_ms)) if wait_ms <= WAIT_MS_MAX => wait_ms,
        Some(_) => {
            let error = format!("wait_ms is a number from 0 to {WAIT_MS_MAX}");
            return answer(StatusCode::BAD_REQUEST, &json!({ "error": error }));
        }
    };
    let to = parameters.get("to");
    let messages = emulator
        .inbox
        .wait(to, parameters.get("after"), Duration::from_millis(wait_ms))
        .await;
    let messages: Vec<&InboxMessage> = messages.iter().map(Arc::as_ref).collect();
    answer(StatusCode::OK, &json!({ "messages": messages }))
}

async fn clear(State(emulator): State<Emulator>, headers: HeaderMap) -> Response {
    match check(&emulator, &headers) {
        Ok(()) => answer(StatusCode::OK, &json!({"deleted": emulator.inbox.clear()})),
        Err(response) => *response,
    }
}

fn check(emulator: &Emulator, headers: &HeaderMap) -> Result<(), Box<Response>> {
    let refuse = |status, error: &str| Err(Box::new(answer(status, &json!({ "error": error }))));
    let text = |name| {
        headers
            .get(name)
            .map(|value: &HeaderValue| value.to_str().unwrap_or(""))
    };
    // A foreign name that DNS resolves to the loopback is refused (DNS rebinding). With a token any name may be used.
    let host = text(HOST).unwrap_or("");
    if !is_direct_host(host, &[]) && !emulator.requires_token {
        return refuse(
            StatusCode::FORBIDDEN,
            "ask for the inbox by a loopback address",
        );
    }
    if text(ORIGIN).is_some() {
        return refuse(StatusCode::FORBIDDEN, "web pages may not read the inbox");
    }
    if let Some(header) = text(AUTHORIZATION) {
        let hash = parse_bearer(header).map(|token| sha256(token.expose().as_bytes()));
        let is_right = hash.is_some_and(|hash| bool::from(hash.ct_eq(&emulator.admin_token_hash)));
        if !is_right {
            return refuse(
                StatusCode::UNAUTHORIZED,
                "this is not the administrator's token",
            );
        }
    } else if emulator.requires_token {
        return refuse(
            StatusCode::UNAUTHORIZED,
            "send the admin_token of ready.json: Authorization: Bearer TOKEN",
        );
    }
    Ok(())
}

fn answer(status: StatusCode, body: &serde_json::Value) -> Response {
    let mut response = Response::new(body.to_string().into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/json;charset=UTF-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
