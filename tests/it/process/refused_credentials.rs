//! One line of the log for each refused credential: with the reason that the caller does not learn, and
//! without any value of the request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::tempdir;

use super::binary::Launch;
use super::wire::{App, Reply, form, get, post, registration, text};

/// A password that the log must not have.
const WRONG_PASSWORD: &str = "mark-password-Kx7Qw9Zv3";

/// Requests with a credential each, and the reason that the log must give.
type Refused = Vec<(&'static str, Reply)>;

fn token(app: &App, client: (&str, &str), parameters: &[(&str, &str)]) -> Reply {
    let mut all = vec![("client_id", client.0), ("client_secret", client.1)];
    all.extend(parameters);
    all.retain(|(_, value)| !value.is_empty());
    let url = format!("{}/services/oauth2/token", app.base_url);
    post(&url, &[], &form(&all)).unwrap()
}

fn clients(app: &App) -> Refused {
    let grant = [("grant_type", "client_credentials")];
    let basic = format!(
        "Basic {}",
        STANDARD.encode(format!("{}:mark-secret", app.client_id))
    );
    let url = format!("{}/services/oauth2/token", app.base_url);
    let in_header = |basic: &str| post(&url, &[("authorization", basic)], &form(&grant)).unwrap();
    let id = app.client_id.as_str();
    vec![
        (
            "client_secret_wrong",
            token(app, (id, "mark-secret"), &grant),
        ),
        ("client_secret_missing", token(app, (id, ""), &grant)),
        (
            "client_unknown",
            token(app, ("mark-client", "mark-secret"), &grant),
        ),
        ("client_secret_wrong", in_header(&basic)),
        ("basic_header_malformed", in_header("Basic !!!")),
    ]
}

fn tokens(app: &App) -> Refused {
    let client = (app.client_id.as_str(), app.client_secret.as_str());
    let refresh = |text: &str| {
        token(
            app,
            client,
            &[("grant_type", "refresh_token"), ("refresh_token", text)],
        )
    };
    // The form of a refresh token, and no family of that name.
    let unknown = format!("5Aep861{}", "0".repeat(86));
    let redirect = ("redirect_uri", app.redirect_uri.as_str());
    let code = [
        ("grant_type", "authorization_code"),
        ("code", "mark-code"),
        redirect,
    ];
    vec![
        ("refresh_token_malformed", refresh("mark-refresh-token")),
        ("refresh_token_unknown", refresh(&unknown)),
        ("code_unknown", token(app, client, &code)),
        (
            "access_token_malformed",
            app.userinfo("mark-bearer").unwrap(),
        ),
        (
            "access_token_not_live",
            app.userinfo("00D!mark-bearer").unwrap(),
        ),
    ]
}

/// A registration, with each of its credentials refused on the way.
fn login(app: &App) -> Refused {
    let integration = text(&app.integration_token().unwrap().json()["access_token"]);
    let answer = app
        .init(&integration, &registration("janice@example.com"))
        .unwrap();
    let identifier = text(&answer.expect_status(200).json()["identifier"]);
    let otp = text(&app.inbox("janice@example.com").unwrap()[0]["code"]);
    let mut refused = vec![
        (
            "otp_wrong",
            app.authorize(&identifier, "mark00", "s").unwrap(),
        ),
        (
            "otp_request_not_live",
            app.authorize("mark-identifier", &otp, "s").unwrap(),
        ),
    ];
    let redirect = app
        .authorize(&identifier, &otp, "s")
        .unwrap()
        .expect_status(302);
    refused.push((
        "otp_request_not_live",
        app.authorize(&identifier, &otp, "s").unwrap(),
    ));
    let code = redirect.location_parameter("code").unwrap();
    let other = (app.integration_id.as_str(), app.integration_secret.as_str());
    let redirect_uri = ("redirect_uri", app.redirect_uri.as_str());
    let exchange = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        redirect_uri,
    ];
    refused.push(("code_of_another_client", token(app, other, &exchange)));
    let tokens = app.exchange(&code).unwrap().expect_status(200).json();
    refused.push(("code_spent", app.exchange(&code).unwrap()));
    // The second redemption has ended what the first one gave.
    let ended = text(&tokens["access_token"]);
    refused.push(("access_token_not_live", app.userinfo(&ended).unwrap()));
    for (reason, username) in [
        ("password_wrong", "janice@example.com"),
        ("password_user_unknown", "mark@example.com"),
    ] {
        refused.push((reason, with_password(app, username)));
    }
    refused
}

fn with_password(app: &App, username: &str) -> Reply {
    let basic = STANDARD.encode(format!("{username}:{WRONG_PASSWORD}"));
    let basic = format!("Basic {basic}");
    let headers = [
        ("auth-request-type", "Named-User"),
        ("authorization", basic.as_str()),
    ];
    let body = form(&[
        ("response_type", "code_credentials"),
        ("client_id", &app.client_id),
        ("redirect_uri", &app.redirect_uri),
    ]);
    let url = format!("{}/services/oauth2/authorize", app.base_url);
    post(&url, &headers, &body).unwrap()
}

#[test]
fn a_refused_credential_has_one_line_with_its_reason_and_no_value() {
    let directory = tempdir().unwrap();
    let mut server = Launch::dev(directory.path())
        .env("VESTIBULE_LOG__FORMAT", "json")
        .env("VESTIBULE_LIMITS__ENABLED", "false")
        .until_ready();
    let app = server.app();
    let mut refused = clients(&app);
    refused.extend(tokens(&app));
    refused.extend(login(&app));
    // What is no credential has no line at this level.
    let other = get(&format!("{}/services/oauth2/userinfo", app.base_url), &[]).unwrap();
    server.stop();
    let output = server.output();
    let lines = |reply: &Reply| -> Vec<Value> {
        let id = reply.header("x-request-id").expect("an id");
        // With the quotation marks, because one id can be the beginning of another.
        let id = format!("\"request\":\"{id}\"");
        let lines = output.lines().filter(|line| line.contains(&id));
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    for (reason, reply) in &refused {
        assert!((400..500).contains(&reply.status), "{reason}: {reply:?}");
        let found = lines(reply);
        let [line] = found.as_slice() else {
            panic!("{reason}: {} lines for {reply:?}\n{output}", found.len());
        };
        assert_eq!(line["reason"], json!(reason), "{line}");
        assert_eq!(line["level"], json!("INFO"), "{line}");
        assert_eq!(line["message"], json!("a credential was refused"), "{line}");
        for field in ["request", "endpoint", "site", "refusal"] {
            assert!(line[field].is_string(), "{field}: {line}");
        }
        assert!(!reply.body.contains(reason), "{reason}: {reply:?}");
    }
    // `vestibule dev` shows every refused request.
    assert_eq!(lines(&other)[0]["level"], json!("DEBUG"));
    for secret in ["mark", "janice@example.com", &app.client_secret, "5Aep861"] {
        let line = output.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}
