//! The rows of the error tables: a request, and the refusal that answers it. One file per endpoint.
//!
//! A refusal that several endpoints share is defined here, once.

mod authorize;
mod bearer;
mod echo;
mod init;
mod token;

use serde_json::{Value, json};

pub use self::authorize::{authorize_rows, client_rows, settings_rows};
pub use self::bearer::bearer_rows;
pub use self::echo::echo_rows;
pub use self::init::init_rows;
pub use self::token::token_rows;

/// The path of the init endpoint.
pub const INIT: &str = "/services/auth/headless/init/registration";

/// The challenge of a request without a token: the scheme and no reason (RFC 6750 section 3.1).
const BEARER: &str = r#"Bearer realm="Vestibule""#;

/// What is expected.
#[derive(Clone)]
pub struct Row {
    pub what: &'static str,
    pub status: u16,
    pub body: Value,
    /// The header `Error-Detail`.
    pub detail: Option<String>,
    pub challenge: Option<&'static str>,
    pub allow: Option<&'static str>,
    pub retry_after: Option<&'static str>,
}

impl Row {
    pub fn of(what: &'static str, status: u16, body: Value) -> Row {
        Row {
            what,
            status,
            body,
            detail: None,
            challenge: None,
            allow: None,
            retry_after: None,
        }
    }

    pub fn detail(self, detail: &str) -> Row {
        Row {
            detail: Some(detail.to_owned()),
            ..self
        }
    }

    pub fn challenge(self, challenge: &'static str) -> Row {
        Row {
            challenge: Some(challenge),
            ..self
        }
    }

    pub fn allow(self, allow: &'static str) -> Row {
        Row {
            allow: Some(allow),
            ..self
        }
    }

    pub fn retry_after(self, retry_after: &'static str) -> Row {
        Row {
            retry_after: Some(retry_after),
            ..self
        }
    }
}

/// Shape M: the headless members and the OAuth members at once.
pub fn merged(status_code: &str, name: &str, description: &str) -> Value {
    json!({
        "status": "failed", "status_code": status_code, name: description,
        "error": name, "error_description": description,
    })
}

/// Shape M with a detail, which its alias `error_description` has in addition to the documented text.
pub fn merged_with(status_code: &str, name: &str, description: &str, detail: &str) -> Value {
    let mut body = merged(status_code, name, description);
    body["error_description"] = format!("{description}: {detail}").into();
    body
}

/// Shape O.
pub fn oauth(error: &str, description: &str) -> Value {
    json!({"error": error, "error_description": description})
}

/// A 400 in shape O.
fn refused(what: &'static str, error: &str, description: &str) -> Row {
    Row::of(what, 400, oauth(error, description))
}

/// A 400 in shape O about the request as such.
fn invalid_request(what: &'static str, description: &str) -> Row {
    refused(what, "invalid_request", description).detail(description)
}

fn missing_parameter(what: &'static str, parameter: &str) -> Row {
    let description = format!("missing required parameter: {parameter}");
    invalid_request(what, &description)
}

fn duplicate_parameter(parameter: &str) -> Row {
    let description = format!("duplicate parameter: {parameter}");
    invalid_request("duplicate parameter", &description)
}

/// Credentials that are sent twice, or in the URL.
fn misplaced_credentials(what: &'static str) -> Row {
    invalid_request(what, "send credentials once, and never in the URL")
}

fn unknown_client() -> Row {
    let description = "client identifier invalid";
    refused("unknown client", "invalid_client_id", description)
}

fn missing_redirect_uri() -> Row {
    let description = "redirect_uri not provided";
    refused("no redirect_uri", "redirect_uri_missing", description)
}

fn scope_not_allowed(what: &'static str) -> Row {
    refused(what, "invalid_scope", "the requested scope is not allowed")
}

/// 405 in shape O; `allowed` is the list as the `Allow` header has it.
fn method_not_allowed(allowed: &'static str, description: &str) -> Row {
    Row::of("method", 405, oauth("invalid_request", description)).allow(allowed)
}

/// 413 in shape O.
fn body_too_large() -> Row {
    let body = oauth("invalid_request", "request body too large");
    Row::of("too large", 413, body)
}

/// 415 in shape O.
fn compressed_body() -> Row {
    let description = "content encoding or media type not supported";
    Row::of("compressed", 415, oauth("invalid_request", description))
}
