//! `GET|POST …/authorize` with mistakes that are the app's and not the user's.

use serde_json::{Value, json};

use super::{
    Row, body_too_large, compressed_body, duplicate_parameter, invalid_request, method_not_allowed,
    misplaced_credentials, missing_parameter, missing_redirect_uri, oauth, refused,
    scope_not_allowed, unknown_client,
};
use crate::fixture::Call;

const AUTHORIZE: &str = "/services/oauth2/authorize";

pub fn authorize_rows(good: &Call) -> Vec<(Call, Row)> {
    let mut rows = client_and_redirect_rows(good);
    rows.extend(scope_rows(good));
    rows.extend(request_type_rows(good));
    rows.extend(credential_rows(good));
    rows.extend(text_rows(good));
    rows.extend(response_type_rows(good));
    rows.extend(method_rows());
    rows
}

fn client_and_redirect_rows(good: &Call) -> Vec<(Call, Row)> {
    let without = |name: &str| good.clone().with(name, None);
    let other_redirect_uri = Some("https://evil.example/cb");
    vec![
        (
            without("client_id"),
            missing_parameter("no client", "client_id"),
        ),
        (
            good.clone().with("client_id", Some("3MVG9none")),
            unknown_client(),
        ),
        (without("redirect_uri"), missing_redirect_uri()),
        (
            good.clone().with("redirect_uri", other_redirect_uri),
            refused(
                "another redirect_uri",
                "redirect_uri_mismatch",
                "redirect_uri must match configuration",
            ),
        ),
    ]
}

fn scope_rows(good: &Call) -> Vec<(Call, Row)> {
    let with_scope = |scope: &str| good.clone().form("scope", scope);
    vec![
        (with_scope("openid web"), scope_not_allowed("scope")),
        (with_scope(" , "), scope_not_allowed("empty scope")),
        (with_scope("nonsense"), scope_not_allowed("unknown scope")),
    ]
}

fn request_type_rows(good: &Call) -> Vec<(Call, Row)> {
    let untyped = || good.clone().without_header("auth-request-type");
    let unknown = |what| invalid_request(what, "missing or unknown Auth-Request-Type header");
    vec![
        (
            untyped().header("auth-request-type", "guest"),
            invalid_request("guest", "guest flow not enabled"),
        ),
        (untyped(), unknown("no request type")),
        (
            untyped().header("auth-request-type", "login"),
            unknown("unknown request type"),
        ),
    ]
}

fn credential_rows(good: &Call) -> Vec<(Call, Row)> {
    let anonymous = || good.clone().without_header("authorization");
    vec![
        (
            anonymous(),
            invalid_request("no credentials", "missing Basic authorization header"),
        ),
        (
            anonymous().header("authorization", "Basic !!!"),
            refused(
                "unreadable credentials",
                "invalid_grant",
                "authentication failure",
            ),
        ),
        (
            good.clone().form("password", "x"),
            misplaced_credentials("credentials twice"),
        ),
        (
            good.clone().at(&format!("/backend{AUTHORIZE}?password=x")),
            misplaced_credentials("credentials in the URL"),
        ),
    ]
}

/// Parameters that are sent twice, or with a value that is too long or malformed.
fn text_rows(good: &Call) -> Vec<(Call, Row)> {
    let with = |name: &str, value: &str| good.clone().form(name, value);
    vec![
        (
            with("code_challenge", "too-short"),
            refused("challenge", "invalid_request", "invalid code challenge"),
        ),
        (
            with("state", "a").form("state", "b"),
            duplicate_parameter("state"),
        ),
        (
            with("state", "a\r\nb"),
            invalid_request("line break", "control character in parameter: state"),
        ),
        (
            with("state", &"x".repeat(4097)),
            invalid_request("long state", "parameter too long: state"),
        ),
        (with("state", &"x".repeat(128 * 1024)), body_too_large()),
        (
            good.clone().header("content-encoding", "gzip"),
            compressed_body(),
        ),
    ]
}

fn response_type_rows(good: &Call) -> Vec<(Call, Row)> {
    let missing = (
        good.clone().with("response_type", None),
        missing_parameter("no response type", "response_type"),
    );
    let unsupported = [
        "code",
        "token",
        "id_token",
        "token id_token",
        "none",
        "code code_credentials",
        "CODE_CREDENTIALS",
    ]
    .map(|response_type| {
        let row = refused(
            "response type",
            "unsupported_response_type",
            "response type is not supported",
        );
        (good.clone().with("response_type", Some(response_type)), row)
    });
    [missing].into_iter().chain(unsupported).collect()
}

/// Without HEAD: a real listener sends no body for it; another test asks the router.
fn method_rows() -> Vec<(Call, Row)> {
    [http::Method::PUT, http::Method::DELETE, http::Method::PATCH]
        .map(|method| {
            let row = method_not_allowed("GET, POST", "allowed methods: GET, POST");
            (Call::new(method, AUTHORIZE), row)
        })
        .into()
}

/// Policies of the client: the row, the change that causes it, and the change that ends it.
pub fn client_rows() -> Vec<(Row, Value, Value)> {
    vec![
        (
            refused(
                "flow off",
                "invalid_client",
                "code credential flow not enabled",
            ),
            json!({"isCodeCredFlowEnabled": false}),
            json!({"isCodeCredFlowEnabled": true}),
        ),
        (
            refused("PKCE", "invalid_request", "missing required code challenge"),
            json!({"isPkceRequired": true}),
            json!({"isPkceRequired": false}),
        ),
        (
            refused(
                "not approved",
                "invalid_grant",
                "user hasn't approved this consumer",
            ),
            json!({"permittedUsers": "AllSelfAuthorized"}),
            json!({"permittedUsers": "AdminApprovedPreAuthorized"}),
        ),
        (
            refused(
                "not permitted",
                "invalid_app_access",
                "user is not admin approved to access this app",
            ),
            json!({"permittedProfiles": []}),
            json!({"permittedProfiles": ["Customer"]}),
        ),
    ]
}

/// The same for the settings of the site.
pub fn settings_rows() -> Vec<(Row, Value, Value)> {
    let flows_off = oauth("invalid_client", "code credential flow not enabled");
    let registration_off = oauth(
        "invalid_experience",
        "enable the headless registration flow",
    );
    vec![
        (
            Row::of("flows off", 400, flows_off),
            json!({"oAuthCdCrdtFlowEnable": false}),
            json!({"oAuthCdCrdtFlowEnable": true}),
        ),
        (
            Row::of("registration off", 400, registration_off),
            json!({"isHeadlessUserRegistrationAllowed": false}),
            json!({"isHeadlessUserRegistrationAllowed": true}),
        ),
    ]
}
