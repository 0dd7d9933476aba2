//! `POST …/init/registration`, with settings that allow it.

use serde_json::{Value, json};

use super::{BEARER, INIT, Row, merged, merged_with};
use crate::fixture::{Call, registration};

const BEARER_REFUSED: &str = r#"Bearer realm="Vestibule", error="invalid_token", error_description="authentication failure""#;

/// The username of every request.
const USERNAME: &str = "janice@example.com";

pub fn init_rows(token: &str) -> Vec<(Call, Row)> {
    let mut rows = method_rows(token);
    rows.extend(authentication_rows());
    rows.extend(parsing_rows(token));
    rows.extend(value_rows(token));
    rows
}

fn method_rows(token: &str) -> Vec<(Call, Row)> {
    let body = registration(USERNAME);
    let post_required = || {
        let body = merged("post_required", "invalid_request", "use a POST request");
        Row::of("method", 405, body).allow("POST")
    };
    let put = Call::new(http::Method::PUT, INIT);
    vec![
        (Call::get(INIT).bearer(token), post_required()),
        (put.bearer(token).json(&body), post_required()),
        (Call::new(http::Method::DELETE, INIT), post_required()),
    ]
}

fn authentication_rows() -> Vec<(Call, Row)> {
    let call = || Call::post(INIT).json(&registration(USERNAME));
    let required = |what| {
        let description = "include an authentication header";
        let body = merged("authentication_req", "invalid_request", description);
        Row::of(what, 401, body).challenge(BEARER)
    };
    let refused = |what| {
        let description = "authentication failure";
        let body = merged("invalid_authorization", "invalid_request", description);
        Row::of(what, 401, body).challenge(BEARER_REFUSED)
    };
    vec![
        (call(), required("no token")),
        (
            call().bearer("00D000000000001!AQEAQnone"),
            refused("unknown token"),
        ),
        (call().bearer("a.b.c"), refused("not a JWT")),
        (call().basic("user", "password"), required("another scheme")),
    ]
}

/// Requests that are refused before a member of the body is looked at.
fn parsing_rows(token: &str) -> Vec<(Call, Row)> {
    let call = || Call::post(INIT).bearer(token);
    let good = || call().json(&registration(USERNAME));
    let refused = |what, status, description: &str| {
        let body = merged("invalid_params", "invalid_request", description);
        Row::of(what, status, body)
    };
    let detailed = |what, detail: &str| {
        let body = merged_with(
            "invalid_params",
            "invalid_request",
            "invalid parameters",
            detail,
        );
        Row::of(what, 400, body).detail(detail)
    };
    let header_twice = |what, name: &str| detailed(what, &format!("header sent twice: {name}"));
    vec![
        (
            good().bearer("another"),
            header_twice("header twice", "authorization"),
        ),
        (
            good().header("host", "site.example.com"),
            header_twice("host twice", "host"),
        ),
        (call().body(b"{"), detailed("not JSON", "not JSON")),
        (
            good().header("content-encoding", "gzip"),
            refused(
                "compressed",
                415,
                "content encoding or media type not supported",
            ),
        ),
        (
            call().body(&vec![b' '; 128 * 1024 + 1]),
            refused("too large", 413, "request body too large"),
        ),
    ]
}

/// Bodies with a member that is missing, unknown or not allowed.
fn value_rows(token: &str) -> Vec<(Call, Row)> {
    let send = |body: &Value| Call::post(INIT).bearer(token).json(body);
    let changed = |path: &str, value: Value| {
        let mut body = registration(USERNAME);
        *body.pointer_mut(path).expect("a member") = value;
        send(&body)
    };
    let with_template = |name: &str| {
        let mut body = registration(USERNAME);
        body["emailtemplate"] = json!(name);
        send(&body)
    };
    let policy = |what, rule: &str| {
        let documented = "password does not follow policy";
        let body = json!({
            "status": "failed", "status_code": "password_policy_check_failure",
            "password error": documented, "password_error": documented,
            "error": "invalid_request", "error_description": format!("{documented}: {rule}"),
        });
        Row::of(what, 400, body).detail(rule)
    };
    let not_allowed = |what| {
        let description = "email template not allowlisted";
        let body = merged("not_allowed_template", "invalid_param", description);
        Row::of(what, 400, body)
    };
    vec![
        (
            changed("/userdata/username", json!("")),
            invalid("username", "userdata.username", "missing"),
        ),
        (
            changed("/userdata/lastName", Value::Null),
            invalid("lastName", "userdata.lastName", "missing"),
        ),
        (
            changed("/verificationmethod", json!("pigeon")),
            invalid("method", "verificationmethod", "unknown"),
        ),
        (
            changed("/password", json!("short1")),
            policy("policy", "the password must have at least 8 characters"),
        ),
        (
            changed("/password", json!("janice@example.com1")),
            policy(
                "contains the username",
                "the password must not contain the username",
            ),
        ),
        (
            with_template("vestibule$public/RegistrationOtp"),
            not_allowed("template"),
        ),
        (
            with_template("unfiled$public/None"),
            not_allowed("unknown template"),
        ),
    ]
}

/// A 400 about one member of the body.
fn invalid(what: &'static str, field: &str, reason: &str) -> Row {
    let detail = format!("{field} {reason}");
    let mut body = merged_with(
        "invalid_params",
        "invalid_request",
        "invalid parameters",
        &detail,
    );
    body["invalid_field"] = json!(field);
    Row::of(what, 400, body).detail(&detail)
}
