//! The rows: a request, and what is answered.

use serde_json::{Value, json};

use crate::fixture::{BASE_URL, Call, Site, registration};

/// The path of the init endpoint.
pub const INIT: &str = "/services/auth/headless/init/registration";
const AUTHORIZE: &str = "/services/oauth2/authorize";
const TOKEN: &str = "/services/oauth2/token";
const USERINFO: &str = "/services/oauth2/userinfo";
const ECHO: &str = "/services/oauth2/echo";

/// What is expected.
#[derive(Clone)]
pub struct Row {
    pub what: &'static str,
    pub status: u16,
    pub body: Value,
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
            challenge: None,
            allow: None,
            retry_after: None,
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

/// Shape O.
pub fn oauth(error: &str, description: &str) -> Value {
    json!({"error": error, "error_description": description})
}

fn invalid(field: &str, reason: &str) -> Value {
    let mut body = merged(
        "invalid_params",
        "invalid_request",
        &format!("invalid parameters: {field} {reason}"),
    );
    body["invalid_field"] = json!(field);
    body
}

const BEARER: &str = r#"Bearer realm="Vestibule""#;
const BEARER_REFUSED: &str = r#"Bearer realm="Vestibule", error="invalid_token", error_description="authentication failure""#;

/// `POST …/init/registration`, with good settings.
pub fn init_rows(token: &str) -> Vec<(Call, Row)> {
    let body = registration("janice@example.com");
    let good = || Call::post(INIT).bearer(token);
    let changed = |path: &str, value: Value| {
        let mut body = body.clone();
        *body.pointer_mut(path).expect("a member") = value;
        good().json(&body)
    };
    let with = |name: &str, value: Value| {
        let mut body = body.clone();
        body[name] = value;
        good().json(&body)
    };
    let post_required = || {
        Row::of(
            "method",
            405,
            merged("post_required", "invalid_request", "use a POST request"),
        )
        .allow("POST")
    };
    let refused = |what| {
        Row::of(
            what,
            401,
            merged(
                "invalid_authorization",
                "invalid_request",
                "authentication failure",
            ),
        )
        .challenge(BEARER_REFUSED)
    };
    let policy = json!({
        "status": "failed", "status_code": "password_policy_check_failure",
        "password error": "password does not follow policy",
        "password_error": "password does not follow policy",
        "error": "invalid_request", "error_description": "password does not follow policy",
    });
    let not_allowed = merged(
        "not_allowed_template",
        "invalid_param",
        "email template not allowlisted",
    );
    vec![
        (Call::get(INIT).bearer(token), post_required()),
        (
            Call::new(http::Method::PUT, INIT).bearer(token).json(&body),
            post_required(),
        ),
        (Call::new(http::Method::DELETE, INIT), post_required()),
        (
            Call::post(INIT).json(&body),
            Row::of(
                "no token",
                401,
                merged(
                    "authentication_req",
                    "invalid_request",
                    "include an authentication header",
                ),
            )
            .challenge(BEARER),
        ),
        (
            Call::post(INIT)
                .bearer("00D000000000001!AQEAQnone")
                .json(&body),
            refused("unknown token"),
        ),
        (
            Call::post(INIT).bearer("a.b.c").json(&body),
            refused("not a JWT"),
        ),
        (
            Call::post(INIT).basic("user", "password").json(&body),
            Row::of(
                "another scheme",
                401,
                merged(
                    "authentication_req",
                    "invalid_request",
                    "include an authentication header",
                ),
            )
            .challenge(BEARER),
        ),
        (
            good().bearer("another").json(&body),
            Row::of(
                "header twice",
                400,
                merged(
                    "invalid_params",
                    "invalid_request",
                    "invalid parameters: header sent twice: authorization",
                ),
            ),
        ),
        (
            good().header("host", "site.example.com").json(&body),
            Row::of(
                "host twice",
                400,
                merged(
                    "invalid_params",
                    "invalid_request",
                    "invalid parameters: header sent twice: host",
                ),
            ),
        ),
        (
            good().body(b"{"),
            Row::of(
                "not JSON",
                400,
                merged(
                    "invalid_params",
                    "invalid_request",
                    "invalid parameters: not JSON",
                ),
            ),
        ),
        (
            changed("/userdata/username", json!("")),
            Row::of("username", 400, invalid("userdata.username", "missing")),
        ),
        (
            changed("/userdata/lastName", Value::Null),
            Row::of("lastName", 400, invalid("userdata.lastName", "missing")),
        ),
        (
            changed("/verificationmethod", json!("pigeon")),
            Row::of("method", 400, invalid("verificationmethod", "unknown")),
        ),
        (
            changed("/password", json!("short1")),
            Row::of("policy", 400, policy.clone()),
        ),
        (
            changed("/password", json!("janice@example.com1")),
            Row::of("holds the username", 400, policy),
        ),
        (
            with("emailtemplate", json!("vestibule$public/RegistrationOtp")),
            Row::of("template", 400, not_allowed.clone()),
        ),
        (
            with("emailtemplate", json!("unfiled$public/None")),
            Row::of("unknown template", 400, not_allowed),
        ),
        (
            good().header("content-encoding", "gzip").json(&body),
            Row::of(
                "compressed",
                415,
                merged(
                    "invalid_params",
                    "invalid_request",
                    "content encoding or media type not supported",
                ),
            ),
        ),
        (
            good().body(&vec![b' '; 128 * 1024 + 1]),
            Row::of(
                "too large",
                413,
                merged(
                    "invalid_params",
                    "invalid_request",
                    "request body too large",
                ),
            ),
        ),
    ]
}

/// `GET|POST …/authorize` with mistakes that are the app's and not the user's.
pub fn authorize_rows(good: &Call) -> Vec<(Call, Row)> {
    let row = |what, error: &str, text: &str| Row::of(what, 400, oauth(error, text));
    let request_type = "missing or unknown Auth-Request-Type header";
    let misplaced = "send credentials once, and never in the URL";
    let mut rows = vec![
        (
            good.clone().with("client_id", None),
            row(
                "no client",
                "invalid_request",
                "missing required parameter: client_id",
            ),
        ),
        (
            good.clone().with("client_id", Some("3MVG9none")),
            row("client", "invalid_client_id", "client identifier invalid"),
        ),
        (
            good.clone().with("redirect_uri", None),
            row(
                "no redirect",
                "redirect_uri_missing",
                "redirect_uri not provided",
            ),
        ),
        (
            good.clone()
                .with("redirect_uri", Some("https://evil.example/cb")),
            row(
                "redirect",
                "redirect_uri_mismatch",
                "redirect_uri must match configuration",
            ),
        ),
        (
            good.clone().with("response_type", None),
            row(
                "no response type",
                "invalid_request",
                "missing required parameter: response_type",
            ),
        ),
        (
            good.clone()
                .without_header("auth-request-type")
                .header("auth-request-type", "guest"),
            row("guest", "invalid_request", "guest flow not enabled"),
        ),
        (
            good.clone().form("code_challenge", "too-short"),
            row("challenge", "invalid_request", "invalid code challenge"),
        ),
        (
            good.clone().form("scope", "openid refresh_token"),
            row(
                "scope",
                "invalid_scope",
                "the requested scope is not allowed",
            ),
        ),
        (
            good.clone().form("scope", " , "),
            row(
                "empty scope",
                "invalid_scope",
                "the requested scope is not allowed",
            ),
        ),
        (
            good.clone().form("scope", "nonsense"),
            row(
                "unknown scope",
                "invalid_scope",
                "the requested scope is not allowed",
            ),
        ),
        (
            good.clone().without_header("auth-request-type"),
            row("no request type", "invalid_request", request_type),
        ),
        (
            good.clone()
                .without_header("auth-request-type")
                .header("auth-request-type", "login"),
            row("unknown request type", "invalid_request", request_type),
        ),
        (
            good.clone().without_header("authorization"),
            row(
                "no credentials",
                "invalid_request",
                "missing Basic authorization header",
            ),
        ),
        (
            good.clone()
                .without_header("authorization")
                .header("authorization", "Basic !!!"),
            row(
                "unreadable credentials",
                "invalid_grant",
                "authentication failure",
            ),
        ),
        (
            good.clone().form("password", "x"),
            row("credentials twice", "invalid_request", misplaced),
        ),
        (
            good.clone().at(&format!("/backend{AUTHORIZE}?password=x")),
            row("credentials in the URL", "invalid_request", misplaced),
        ),
        (
            good.clone().form("state", "a").form("state", "b"),
            row("twice", "invalid_request", "duplicate parameter: state"),
        ),
        (
            good.clone().form("state", "a\r\nb"),
            row(
                "line break",
                "invalid_request",
                "control character in parameter: state",
            ),
        ),
        (
            good.clone().form("state", &"x".repeat(4097)),
            row("long state", "invalid_request", "parameter too long: state"),
        ),
        (
            good.clone().form("state", &"x".repeat(128 * 1024)),
            Row::of(
                "too large",
                413,
                oauth("invalid_request", "request body too large"),
            ),
        ),
        (
            good.clone().header("content-encoding", "gzip"),
            Row::of(
                "compressed",
                415,
                oauth(
                    "invalid_request",
                    "content encoding or media type not supported",
                ),
            ),
        ),
    ];
    for response_type in [
        "code",
        "token",
        "id_token",
        "token id_token",
        "none",
        "code code_credentials",
        "CODE_CREDENTIALS",
    ] {
        rows.push((
            good.clone().with("response_type", Some(response_type)),
            row(
                "response type",
                "unsupported_response_type",
                "response type is not supported",
            ),
        ));
    }
    for method in [
        http::Method::PUT,
        http::Method::DELETE,
        http::Method::HEAD,
        http::Method::PATCH,
    ] {
        if method == http::Method::HEAD {
            continue; // Its body is not sent by a real listener; the router is asked in another test.
        }
        rows.push((
            Call::new(method, AUTHORIZE),
            Row::of(
                "method",
                405,
                oauth("invalid_request", "allowed methods: GET, POST"),
            )
            .allow("GET, POST"),
        ));
    }
    rows
}

/// Policies of the client: the row, what switches it on, what switches it back.
pub fn client_rows() -> Vec<(Row, Value, Value)> {
    vec![
        (
            Row::of(
                "flow off",
                400,
                oauth("invalid_client", "code credential flow not enabled"),
            ),
            json!({"isCodeCredFlowEnabled": false}),
            json!({"isCodeCredFlowEnabled": true}),
        ),
        (
            Row::of(
                "PKCE",
                400,
                oauth("invalid_request", "missing required code challenge"),
            ),
            json!({"isPkceRequired": true}),
            json!({"isPkceRequired": false}),
        ),
        (
            Row::of(
                "not approved",
                400,
                oauth("invalid_grant", "user hasn't approved this consumer"),
            ),
            json!({"permittedProfiles": [], "permittedUsers": "AdminApprovedPreAuthorized"}),
            json!({"permittedUsers": "AllSelfAuthorized"}),
        ),
    ]
}

/// The same for the settings of the site.
pub fn settings_rows() -> Vec<(Row, Value, Value)> {
    vec![
        (
            Row::of(
                "flows off",
                400,
                oauth("invalid_client", "code credential flow not enabled"),
            ),
            json!({"oAuthCdCrdtFlowEnable": false}),
            json!({"oAuthCdCrdtFlowEnable": true}),
        ),
        (
            Row::of(
                "registration off",
                400,
                oauth(
                    "invalid_experience",
                    "enable the headless registration flow",
                ),
            ),
            json!({"isHeadlessUserRegistrationAllowed": false}),
            json!({"isHeadlessUserRegistrationAllowed": true}),
        ),
    ]
}

/// `POST …/token` with mistakes that do not spend the code.
pub fn token_rows(good: &Call, site: &Site) -> Vec<(Call, Row)> {
    let row = |what, error: &str, text: &str| Row::of(what, 400, oauth(error, text));
    let wrong_client = |what| row(what, "invalid_client", "invalid client credentials");
    let in_header = |what| {
        Row::of(
            what,
            401,
            oauth("invalid_client", "invalid client credentials"),
        )
        .challenge(r#"Basic realm="Vestibule", charset="UTF-8""#)
    };
    let unsupported = || {
        row(
            "grant type",
            "unsupported_grant_type",
            "grant type not supported",
        )
    };
    let bare = || {
        good.clone()
            .with("client_id", None)
            .with("client_secret", None)
    };
    let ambiguous = "use one method of client authentication";
    let get_refused = Row::of(
        "method",
        405,
        oauth("invalid_request", "use a POST request"),
    )
    .allow("POST");
    let credentials = |id: &str, secret: &str| {
        Call::post(TOKEN)
            .form("grant_type", "client_credentials")
            .form("client_id", id)
            .form("client_secret", secret)
    };
    let mut rows = vec![
        (Call::get(TOKEN), get_refused),
        (
            good.clone().with("client_secret", None),
            wrong_client("no secret"),
        ),
        (
            good.clone().with("client_secret", Some("wrong")),
            wrong_client("wrong secret"),
        ),
        (
            good.clone().with("client_id", Some("3MVG9none")),
            row("client", "invalid_client_id", "client identifier invalid"),
        ),
        (
            bare(),
            row(
                "no client",
                "invalid_request",
                "missing required parameter: client_id",
            ),
        ),
        (
            bare().basic(&site.client.id, "wrong"),
            in_header("wrong secret in the header"),
        ),
        (
            bare().basic("3MVG9none", "x"),
            in_header("unknown client in the header"),
        ),
        (
            bare().basic(&site.client.id, ""),
            in_header("no secret in the header"),
        ),
        (
            bare().header("authorization", "Basic !!!"),
            in_header("unreadable header"),
        ),
        (
            good.clone().basic(&site.client.id, &site.client.secret),
            row("two ways", "invalid_request", ambiguous),
        ),
        (
            bare()
                .form("client_id", &site.integration.id)
                .basic(&site.client.id, &site.client.secret),
            row("two clients", "invalid_request", ambiguous),
        ),
        (
            good.clone().with("code", None),
            row(
                "no code",
                "invalid_request",
                "missing required parameter: code",
            ),
        ),
        (
            good.clone().with("code", Some("aPrxNone")),
            row("code", "invalid_grant", "invalid authorization code"),
        ),
        (
            good.clone().with("redirect_uri", None),
            row(
                "no redirect",
                "redirect_uri_missing",
                "redirect_uri not provided",
            ),
        ),
        (
            good.clone().form("format", "yaml"),
            row(
                "format",
                "invalid_request",
                "format must be json, urlencoded or xml",
            ),
        ),
        (
            good.clone().form("code", "other"),
            row("twice", "invalid_request", "duplicate parameter: code"),
        ),
        (
            good.clone().at(&format!(
                "/backend{TOKEN}?client_secret={}",
                site.client.secret
            )),
            row(
                "secret in the URL",
                "invalid_request",
                "send credentials once, and never in the URL",
            ),
        ),
        (
            credentials(&site.client.id, &site.client.secret),
            row(
                "no such flow",
                "invalid_grant",
                "no client credentials user enabled",
            ),
        ),
        (
            credentials(&site.integration.id, &site.integration.secret).form("scope", ","),
            row(
                "empty scope",
                "invalid_scope",
                "the requested scope is not allowed",
            ),
        ),
        (
            credentials(&site.integration.id, &site.integration.secret).form("scope", "openid"),
            row(
                "scope",
                "invalid_scope",
                "the requested scope is not allowed",
            ),
        ),
        (
            good.clone().header("content-encoding", "br"),
            Row::of(
                "compressed",
                415,
                oauth(
                    "invalid_request",
                    "content encoding or media type not supported",
                ),
            ),
        ),
        (
            Call::post(TOKEN).body(&vec![b'a'; 128 * 1024 + 1]),
            Row::of(
                "too large",
                413,
                oauth("invalid_request", "request body too large"),
            ),
        ),
    ];
    for grant in [
        None,
        Some(""),
        Some("password"),
        Some("implicit"),
        Some("Authorization_Code"),
    ] {
        rows.push((good.clone().with("grant_type", grant), unsupported()));
    }
    rows
}

/// Userinfo and the identity URL.
pub fn bearer_rows(site: &Site, tokens: &Value, other: &Value) -> Vec<(Call, Row)> {
    let text = "the access token is expired, revoked or malformed";
    let refused = |what| {
        Row::of(what, 401, oauth("invalid_token", text)).challenge(
        r#"Bearer realm="Vestibule", error="invalid_token", error_description="the access token is expired, revoked or malformed""#,
    )
    };
    let scope = |what| {
        let text = "the access token lacks the scope this request needs";
        Row::of(what, 403, oauth("insufficient_scope", text)).challenge(
            r#"Bearer realm="Vestibule", error="insufficient_scope", error_description="the access token lacks the scope this request needs""#,
        )
    };
    let token = tokens["access_token"].as_str().unwrap();
    let origin = BASE_URL.strip_suffix("/backend").unwrap();
    let path = |tokens: &Value| {
        tokens["id"]
            .as_str()
            .unwrap()
            .strip_prefix(origin)
            .unwrap()
            .to_owned()
    };
    let identity = |path: &str| Call::get("").at(path);
    let _ = site;
    let misplaced = oauth(
        "invalid_request",
        "send credentials once, and never in the URL",
    );
    vec![
        (
            Call::get(USERINFO).bearer("00D000000000001!none"),
            refused("unknown"),
        ),
        (Call::get(USERINFO).bearer("a.b.c"), refused("not a JWT")),
        (
            Call::get(&format!("{USERINFO}?access_token={token}")),
            missing("in the URL"),
        ),
        (
            Call::get(&format!("{USERINFO}?oauth_token={token}")),
            missing("in the URL by its old name"),
        ),
        (Call::get(USERINFO), missing("none")),
        (
            Call::get(USERINFO).basic("a", "b"),
            missing("another scheme"),
        ),
        (
            Call::post(USERINFO)
                .bearer(token)
                .form("access_token", token),
            Row::of("twice", 400, misplaced),
        ),
        (
            Call::new(http::Method::PUT, USERINFO).bearer(token),
            Row::of(
                "method",
                405,
                oauth("invalid_request", "allowed methods: GET, POST"),
            )
            .allow("GET, POST"),
        ),
        (identity(&path(tokens)), missing("none")),
        (
            identity(&path(tokens)).bearer("00D000000000001!none"),
            refused("unknown"),
        ),
        // Whether the other user exists is not told: an unknown one is refused alike.
        (identity(&path(other)).bearer(token), scope("another user")),
        (
            identity("/backend/id/00D000000000001EAA/005000000000001AAA").bearer(token),
            scope("nobody"),
        ),
        (identity("/backend/id/x/y").bearer(token), scope("junk")),
    ]
}

/// RFC 6750 section 3.1: who sent no token at all is told the scheme and no reason.
fn missing(what: &'static str) -> Row {
    Row::of(
        what,
        401,
        oauth("invalid_request", "include an authentication header"),
    )
    .challenge(BEARER)
}

/// Echo.
pub fn echo_rows() -> Vec<(Call, Row)> {
    let post = Row::of(
        "method",
        405,
        oauth("invalid_request", "allowed methods: GET"),
    )
    .allow("GET");
    let long = format!("{ECHO}?state={}", "x".repeat(16 * 1024));
    vec![
        (Call::post(ECHO), post),
        (
            Call::get(&long),
            Row::of(
                "too long",
                413,
                oauth("invalid_request", "request body too large"),
            ),
        ),
        (
            Call::get(&format!("{ECHO}?state=a%00")),
            Row::of(
                "control character",
                400,
                oauth("invalid_request", "control character in parameter: state"),
            ),
        ),
    ]
}
