//! The management listener: health and metrics. It is private to the machine or its network, and does not
//! authenticate its callers; a request that names the listener by a foreign host is refused, since a web page may have
//! caused it.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use vestibule_protocol::format::Format;

use super::answer::private;
use crate::app::{App, Directory};
use crate::network::is_direct_host;
use crate::store;

/// The routes, for requests that name this machine directly or by one of these hosts.
pub(super) fn router(app: Arc<App>, hosts: Vec<String>) -> Router {
    Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/health/started", get(live))
        .route("/metrics", get(metrics))
        .with_state(app)
        .layer(from_fn_with_state(Arc::new(hosts), refuse_foreign_host))
}

/// Refuses a request for a foreign host. One without a host comes from no browser.
async fn refuse_foreign_host(
    State(hosts): State<Arc<Vec<String>>>,
    request: Request,
    next: Next,
) -> Response {
    let host = match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => request
            .headers()
            .get(HOST)
            .map(|host| host.to_str().unwrap_or("")),
    };
    if host.is_none_or(|host| is_direct_host(host, &hosts)) {
        return next.run(request).await;
    }
    let body = r#"{"error":"the host is neither an address nor in [listen] management_hosts"}"#;
    private(StatusCode::FORBIDDEN, Format::Json, body.to_owned())
}

/// The process runs. The listener answers only once the server has started, so this serves `started` as well.
async fn live() -> Response {
    private(
        StatusCode::OK,
        Format::Json,
        String::from(r#"{"status":"ok"}"#),
    )
}

/// The database answers, and the latest configuration is in effect. A handler that cannot be used stops only the
/// flows that need it, and a site or client that cannot be read only itself, so they are reported and the server is ready.
async fn ready(State(app): State<Arc<App>>) -> Response {
    let read = app
        .store
        .read("health.ready", &(), |tx, ()| {
            Box::pin(store::installation::find(tx))
        })
        .await;
    let reason = match read {
        Ok(Some(_)) if app.is_stale() => "the settings could not be read again",
        Ok(Some(_)) => return ready_with(&app.directory()),
        _ => "the database does not answer",
    };
    let body = format!(r#"{{"status":"unavailable","reason":"{reason}"}}"#);
    private(StatusCode::SERVICE_UNAVAILABLE, Format::Json, body)
}

fn ready_with(directory: &Directory) -> Response {
    let (handler_problems, unreadable) = (directory.handler_problems(), directory.unreadable());
    // A script that asks the wrong server learns it by the organisation.
    let mut body = serde_json::json!({ "status": "ok", "org_id": directory.org_id });
    if !handler_problems.is_empty() {
        body["handlers"] = handler_problems.into();
    }
    if !unreadable.is_empty() {
        body["out_of_service"] = unreadable.into();
    }
    private(StatusCode::OK, Format::Json, body.to_string())
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    let waiting = app
        .store
        .read("outbox.count", &(), |tx, ()| {
            Box::pin(store::outbox::count_waiting(tx))
        })
        .await;
    // While the database does not answer, the last count is kept, because the other metrics are useful.
    if let Ok(waiting) = waiting {
        app.metrics.outbox_waiting(waiting);
    }
    app.metrics
        .hashing(app.hasher.depth(), app.hasher.busy_seconds());
    let mut response = Response::new(app.metrics.render().into());
    let value =
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, value);
    response
}
