//! Attacks on one-time passwords, usernames and parsing, by their ids.
//!
//! One file per chapter of the threat catalogue: one-time passwords (`otp`), lockout (`lockout`), passwords when
//! they are set (`password_rules`), registration (`registering`), usernames (`usernames`), HTTP requests
//! (`requests` for registration, `headless` for the other JSON endpoints, `forms` for those that accept a form),
//! raw connections (`wire`, and `wire/http2`), the Basic header (`basic`, and `passwords` for existing users),
//! messages (`mail`), who asks for a code (`requesters`), what failures leave in the audit log (`audited`), and what an
//! unauthenticated caller may learn (`disclosure`). `VESTIBULE_TEST_ROUNDS`
//! multiplies the loops for a long run; it is 1 otherwise.

pub mod audited;
mod basic;
mod budgets;
mod disclosure;
mod forms;
mod headless;
mod lockout;
mod mail;
mod otp;
mod password_rules;
mod passwords;
mod registering;
mod requesters;
mod requests;
mod usernames;
mod wire;

use serde_json::Value;

use crate::fixture::{Answer, Call, Site};

pub const INIT: &str = "/services/auth/headless/init/registration";

/// How often a loop is repeated.
pub fn rounds(each: usize) -> usize {
    let knob = std::env::var("VESTIBULE_TEST_ROUNDS").ok();
    each * knob
        .and_then(|text| text.parse::<usize>().ok())
        .unwrap_or(1)
}

/// The one response to every wrong code, identifier and ended request.
#[track_caller]
pub fn assert_refused(answer: &Answer) {
    assert_eq!(answer.status, 400, "{}", answer.body);
    let expected = r#"{"error":"invalid_grant","error_description":"authentication failure"}"#;
    assert_eq!(answer.body, expected);
    assert_eq!(answer.header("location"), None);
}

/// Asserts a refusal of the init request by its code; no message is sent.
pub async fn assert_init_refused(site: &Site, body: &Value, status_code: &str) {
    let answer = site.init(body).await;
    assert_eq!(answer.status, 400, "{body}: {}", answer.body);
    assert_eq!(answer.json()["status_code"], status_code, "{body}");
    site.deliver().await;
    assert!(site.inbox.list(None).is_empty(), "{body}: a message left");
}

/// A pending registration: identifier and code.
pub async fn opened(site: &Site, username: &str) -> (String, String) {
    let identifier = site.pending(username).await;
    let code = site.code_to(username).await;
    (identifier, code)
}

/// Another code of the same length.
pub fn other_code(code: &str) -> String {
    let first = if code.starts_with('0') { '1' } else { '0' };
    format!("{first}{}", &code[1..])
}

/// An authorization call with this Authorization header.
pub fn with_authorization(site: &Site, value: &str) -> Call {
    site.authorize_call("x", "y")
        .without_header("authorization")
        .header("authorization", value)
}
