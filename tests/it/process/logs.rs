//! No output contains a secret, and no text of a caller can pass for a log line of the server.
//!
//! Complete flows at the most verbose level, with secrets that occur nowhere by chance; then everything that the
//! server has written is searched for them: both output streams, the metrics, the database.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::tempdir;

use super::binary::{Launch, PATIENCE, Server, eventually, finish, run};
use super::wire::{App, form, get, post, registration, send, text};
use crate::fixture::postgres;
use crate::fixture::remote::{Behaviour, Remote};

/// A password that every policy accepts and that no other text contains. Forms and JSON encode it.
const PASSWORD: &str = "Zq\"7&ü-Marker-Pa55 w0rd";

/// The secrets of a flow, by name.
type Secrets = Vec<(&'static str, String)>;

fn talkative(directory: &std::path::Path, format: &str) -> Launch {
    Launch::dev(directory)
        .env("VESTIBULE_LOG__LEVEL", "trace")
        .env("VESTIBULE_LOG__FORMAT", format)
        .env("VESTIBULE_LIMITS__ENABLED", "false")
        // Six digits could occur in a timestamp.
        .env("VESTIBULE_OTP__REGISTRATION__LENGTH", "10")
        .env("VESTIBULE_OTP__REGISTRATION__ALPHABET", "alphanumeric")
}

/// A registration from the first token to userinfo, with a refusal at each step.
fn flow(server: &Server, username: &str) -> Secrets {
    let app = server.app();
    let mut secrets = vec![
        ("password", PASSWORD.to_owned()),
        ("client secret", app.client_secret.clone()),
        ("integration secret", app.integration_secret.clone()),
        ("administrator's token", text(&server.ready["admin_token"])),
    ];
    let token = text(&app.integration_token().unwrap().json()["access_token"]);
    secrets.push(("integration token", signature(&token)));
    let mut body = registration(username);
    body["password"] = Value::from(PASSWORD);
    let answer = app.init(&token, &body).unwrap().expect_status(200).json();
    let identifier = text(&answer["identifier"]);
    let code = text(&app.inbox(username).unwrap()[0]["code"]);
    secrets.push(("request identifier", identifier.clone()));
    secrets.push(("one-time password", code.clone()));
    app.authorize(&identifier, "WRONGWRONG", "s")
        .unwrap()
        .expect_status(400);
    let redirect = app
        .authorize(&identifier, &code, "s")
        .unwrap()
        .expect_status(302);
    let authorization_code = redirect.location_parameter("code").unwrap();
    get(redirect.header("location").unwrap(), &[])
        .unwrap()
        .expect_status(200);
    secrets.push(("authorization code", authorization_code.clone()));
    let tokens = app
        .exchange(&authorization_code)
        .unwrap()
        .expect_status(200)
        .json();
    let access_token = text(&tokens["access_token"]);
    secrets.push(("id_token", signature(&text(&tokens["id_token"]))));
    app.userinfo(&access_token).unwrap().expect_status(200);
    app.exchange(&authorization_code)
        .unwrap()
        .expect_status(400);
    secrets.push(("access token", access_token));
    refusals(&app, &token, &mut secrets);
    secrets
}

/// Secrets in refused requests, in every part of a request.
fn refusals(app: &App, token: &str, secrets: &mut Secrets) {
    let mut marker = |name: &'static str| {
        let text = format!("mark-{}-Kx7Qw9Zv3", name.replace(' ', "-"));
        secrets.push((name, text.clone()));
        text
    };
    let token_url = format!("{}/services/oauth2/token", app.base_url);
    let wrong_secret = marker("wrong client secret");
    let grant = [
        ("grant_type", "client_credentials"),
        ("client_id", &app.client_id),
        ("client_secret", &wrong_secret),
    ];
    post(&token_url, &[], &form(&grant))
        .unwrap()
        .expect_status(400);
    let basic = STANDARD.encode(format!(
        "{}:{}",
        app.client_id,
        marker("wrong basic secret")
    ));
    let header = [("authorization", format!("Basic {basic}"))];
    let header = header
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    post(&token_url, &header, "grant_type=client_credentials").unwrap();
    let verifier = marker("pkce verifier");
    let exchange = [
        ("grant_type", "authorization_code"),
        ("code", &marker("wrong code")),
        ("code_verifier", &verifier),
    ];
    post(&token_url, &[], &form(&exchange)).unwrap();
    app.userinfo(&marker("wrong bearer"))
        .unwrap()
        .expect_status(401);
    for (path, name) in [
        (
            "/services/oauth2/userinfo?access_token=",
            "token in a query",
        ),
        (
            "/services/oauth2/authorize?oauth_token=",
            "token in a query of authorize",
        ),
        ("/services/oauth2/echo?code=", "code in a query"),
        ("/nowhere/", "secret in a path"),
    ] {
        let _ = get(&format!("{}{path}{}", app.base_url, marker(name)), &[]).unwrap();
    }
    let mut weak = registration("weak@example.com");
    weak["password"] = Value::from(format!("{} weak@example.com ", marker("refused password")));
    app.init(token, &weak).unwrap().expect_status(400);
    let mut unknown = registration("weak@example.com");
    unknown["userdata"]["password"] = Value::from(marker("misplaced password"));
    unknown["recaptcha"] = Value::from(marker("recaptcha token"));
    unknown.as_object_mut().unwrap().remove("password");
    app.init(token, &unknown).unwrap().expect_status(400);
    let url = format!("{}/services/auth/headless/init/registration", app.base_url);
    let bearer = format!("Bearer {token}");
    let broken = format!("{{\"password\":\"{}\",", marker("password in broken JSON"));
    post(&url, &[("authorization", &bearer)], &broken)
        .unwrap()
        .expect_status(400);
    let inbox = format!("{}/_emulator/v1/inbox", app.management);
    let wrong = format!("Bearer {}", marker("wrong administrator's token"));
    send("DELETE", &inbox, &[("authorization", &wrong)], "")
        .unwrap()
        .expect_status(401);
}

/// The signature of a JWT, without which the rest is useless.
fn signature(token: &str) -> String {
    match token.rsplit_once('.') {
        Some((_, signature)) if token.matches('.').count() == 2 => signature.to_owned(),
        _ => token.to_owned(),
    }
}

/// Every encoding of a secret.
fn spellings(secret: &str) -> Vec<String> {
    let escaped = Value::from(secret).to_string();
    let twice = Value::from(escaped.as_str()).to_string();
    let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    vec![
        secret.to_owned(),
        escaped.trim_matches('"').to_owned(),
        twice.trim_matches(['"', '\\']).to_owned(),
        form,
        STANDARD.encode(secret).trim_end_matches('=').to_owned(),
        secret.bytes().map(|byte| format!("{byte:02x}")).collect(),
    ]
}

#[track_caller]
fn expect_without(place: &str, bytes: &[u8], secrets: &Secrets) {
    for (name, secret) in secrets {
        for spelling in spellings(secret) {
            let found = bytes
                .windows(spelling.len())
                .position(|window| window == spelling.as_bytes());
            if let Some(at) = found {
                let around = &bytes[at.saturating_sub(200)..(at + spelling.len()).min(bytes.len())];
                panic!(
                    "{place} holds the {name}: …{}",
                    String::from_utf8_lossy(around)
                );
            }
        }
    }
}

/// Both halves of a Basic header as one, whose base64 differs from that of either.
fn with_basic_headers(mut secrets: Secrets) -> Secrets {
    let find = |name: &str| {
        let found = secrets.iter().find(|(known, _)| *known == name);
        found.expect("a secret of the flow").1.clone()
    };
    let basic = format!(
        "{}:{}",
        find("request identifier"),
        find("one-time password")
    );
    secrets.push(("Basic header", STANDARD.encode(basic)));
    secrets
}

#[test]
fn log_01_no_secret_is_in_logs_metrics_or_the_database() {
    for format in ["json", "pretty"] {
        let directory = tempdir().unwrap();
        let mut server = talkative(directory.path(), format).until_ready();
        let secrets = with_basic_headers(flow(&server, "janice@example.com"));
        let metrics = get(&format!("{}/metrics", server.management()), &[]).unwrap();
        let log = |server: &Server| server.output();
        assert!(log(&server).contains("answered"), "the log is on");
        expect_without(
            "/metrics",
            metrics.expect_status(200).body.as_bytes(),
            &secrets,
        );
        // The latest writes and the freed pages remain in the files until the end.
        for name in ["vestibule.db", "vestibule.db-wal"] {
            let bytes = std::fs::read(directory.path().join("data").join(name)).unwrap();
            expect_without(name, &bytes, &secrets);
        }
        server.stop();
        expect_without("the output", log(&server).as_bytes(), &secrets);
        let database = std::fs::read(server.database()).unwrap();
        assert!(
            database
                .windows(18)
                .any(|window| window == b"janice@example.com")
        );
        expect_without("the database", &database, &secrets);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn log_01_no_secret_is_in_the_logs_of_a_server_on_postgresql() {
    let Some(url) = postgres::database().await else {
        return;
    };
    let directory = tempdir().unwrap();
    let mut server = talkative(directory.path(), "json")
        .env("VESTIBULE_DATABASE__URL", &url)
        .until_ready();
    let mut secrets = with_basic_headers(flow(&server, "janice@example.com"));
    // Not a secret, but personal, and in the bound values of the statements.
    secrets.push(("bound value", "janice@example.com".into()));
    server.stop();
    assert!(!directory.path().join("data/vestibule.db").exists());
    expect_without("the output", server.output().as_bytes(), &secrets);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cap_14_no_secret_of_a_verifier_or_a_provider_is_in_the_logs() {
    let now = "{\"success\":true,\"score\":0.9}";
    let verifier = Remote::start(Behaviour::Answer(200, "", now.to_owned())).await;
    let provider = Remote::start(Behaviour::status(500)).await;
    let directory = tempdir().unwrap();
    let secrets = vec![
        ("captcha secret", "mark-captcha-key-Kx7Qw9Zv3".to_owned()),
        ("captcha token", "mark-captcha-token-Kx7Qw9Zv3".to_owned()),
        ("webhook secret", "mark-webhook-secret-Kx7Qw9Zv3".to_owned()),
        ("webhook path", "mark-webhook-path-Kx7Qw9Zv3".to_owned()),
    ];
    std::fs::write(directory.path().join("secret"), &secrets[2].1).unwrap();
    let webhook = provider.url.join(&secrets[3].1).unwrap();
    let mut server = talkative(directory.path(), "json")
        .env("VESTIBULE_CAPTCHA__SITEVERIFY_URL", verifier.url.as_str())
        .env("VESTIBULE_SMS__WEBHOOK_URL", webhook.as_str())
        .env("VESTIBULE_SMS__WEBHOOK_SECRET_FILE", "secret")
        .until_ready();
    std::fs::write(directory.path().join("captcha"), &secrets[0].1).unwrap();
    let update = [
        "site",
        "update",
        "public",
        "--data-dir",
        "data",
        "--set-from",
        "recaptchaSecretKey=captcha",
    ];
    run(
        directory.path(),
        &[&update[..], &["--set", "recaptchaProvider=google_v3"]].concat(),
    )
    .expect_code(0);
    let base_url = text(&server.ready["sites"]["public"]["base_url"]);
    let url = format!("{base_url}/services/auth/headless/init/registration");
    let mut body = registration("janice@example.com");
    body["verificationmethod"] = json!("sms");
    body["customdata"] = json!({"mobilePhone": "+491511234567"});
    body["recaptcha"] = json!(secrets[1].1);
    // The server loads the change within a second.
    eventually(PATIENCE, "a registration by the verifier", || {
        (post(&url, &[], &body.to_string()).unwrap().status == 200).then_some(())
    });
    assert!(verifier.only_request().body.contains(&secrets[0].1));
    let sent = eventually(PATIENCE, "a text message", || provider.received().pop());
    assert!(sent.header("vestibule-signature").is_some());
    // The provider's response is logged before the server ends.
    server.stop();
    let output = server.output();
    assert!(output.contains("PROVIDER_ERROR"), "{output}");
    expect_without("the output", output.as_bytes(), &secrets);
    let database = std::fs::read(server.database()).unwrap();
    expect_without("the database", &database, &secrets);
}

#[test]
fn log_01_no_secret_of_an_http_2_request_is_in_the_logs() {
    let version = Command::new("curl").arg("--version").output();
    if !version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("HTTP2")) {
        eprintln!("SKIPPED: there is no curl with HTTP/2");
        return;
    }
    let directory = tempdir().unwrap();
    let mut server = talkative(directory.path(), "json").until_ready();
    let app = server.app();
    let bearer = "mark-bearer-Kx7Qw9Zv3".to_owned();
    let mut curl = Command::new("curl");
    curl.args(["-s", "--http2-prior-knowledge", "-H"])
        .arg(format!("Authorization: Bearer {bearer}"))
        .args(["-d", &format!("client_secret={}", app.client_secret)])
        .args(["-w", "%{http_version}"])
        .arg(format!(
            "{}/services/oauth2/token?code=mark-query-Kx7Qw9Zv3",
            app.base_url
        ));
    let ran = finish(curl, "").expect_code(0);
    assert!(ran.stdout.ends_with('2'), "{ran:?}");
    server.stop();
    let secrets = vec![
        ("bearer", bearer),
        ("client secret", app.client_secret),
        ("query", "mark-query-Kx7Qw9Zv3".into()),
    ];
    expect_without("the output", server.output().as_bytes(), &secrets);
}

#[test]
fn log_03_text_of_a_caller_cannot_forge_a_log_line() {
    let directory = tempdir().unwrap();
    let mut server = talkative(directory.path(), "json")
        .args(&["--json"])
        .until_ready();
    let app = server.app();
    let token = text(&app.integration_token().unwrap().json()["access_token"]);
    let forged = "{\"level\":\"ERROR\",\"message\":\"forged\"}";
    for evil in [
        format!("a\n{forged}@example.com"),
        format!("a\r\n{forged}@example.com"),
        format!("\u{1b}[2J\u{1b}[31m{forged}@example.com"),
        format!("\u{202e}{forged}@example.com"),
        format!("a\u{2028}{forged}@example.com"),
        format!("a\u{0}{forged}@example.com"),
    ] {
        let refused = app
            .init(&token, &registration(&evil))
            .unwrap()
            .expect_status(400);
        assert!(!refused.body.contains('\u{1b}'), "{refused:?}");
        for member in ["firstName", "lastName", "locale"] {
            let mut body = registration("janice@example.com");
            body["userdata"][member] = Value::from(evil.clone());
            let _ = app.init(&token, &body).unwrap();
        }
        let mut body = registration("janice@example.com");
        body["customdata"] = json!({ evil.clone(): evil.clone() });
        body["emailtemplate"] = Value::from(evil.clone());
        let _ = app.init(&token, &body).unwrap();
        let _ = app.authorize(&evil, &evil, &evil).unwrap();
        let _ = app.exchange(&evil).unwrap();
    }
    let agent = [
        ("user-agent", "x\u{1b}[31m"),
        ("x-request-id", "forged"),
        ("x-forwarded-for", "forged"),
    ];
    let reply = get(
        &format!("{}/services/oauth2/userinfo", app.base_url),
        &agent,
    )
    .unwrap();
    assert_ne!(
        reply.header("x-request-id"),
        Some("forged"),
        "the id is the server's own"
    );
    server.stop();
    let output = server.output();
    assert!(
        !output.contains(['\u{1b}', '\u{202e}', '\u{2028}', '\0']),
        "a control character is in the log"
    );
    for line in output.lines() {
        let line: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_ne!(line["message"], "forged");
    }
}

#[test]
fn a_log_in_a_file_has_no_colours() {
    let directory = tempdir().unwrap();
    let mut server = talkative(directory.path(), "pretty").until_ready();
    server.app().integration_token().unwrap().expect_status(200);
    server.stop();
    let output = server.output();
    assert!(
        output.contains("answered") && !output.contains('\u{1b}'),
        "{output}"
    );
}

#[test]
fn a_fault_is_one_line_with_the_request_id_of_the_response() {
    let directory = tempdir().unwrap();
    let mut server = Launch::dev(directory.path())
        .env("VESTIBULE_LOG__FORMAT", "json")
        .until_ready();
    let app = server.app();
    let token = text(&app.integration_token().unwrap().json()["access_token"]);
    let rename = |from: &str, to: &str| {
        let database = rusqlite::Connection::open(server.database()).unwrap();
        database.busy_timeout(PATIENCE).unwrap();
        database
            .execute_batch(&format!("ALTER TABLE {from} RENAME TO {to}"))
            .unwrap();
    };
    rename("challenge", "elsewhere");
    let broken = app
        .init(&token, &registration("janice@example.com"))
        .unwrap();
    rename("elsewhere", "challenge");
    let id = broken.header("x-request-id").expect("an id").to_owned();
    assert_eq!(broken.status, 500, "{broken:?}");
    for word in ["challenge", "SELECT", "table", "sqlite", "janice"] {
        assert!(
            !broken.body.to_lowercase().contains(&word.to_lowercase()),
            "{word}: {}",
            broken.body
        );
    }
    app.init(&token, &registration("janice@example.com"))
        .unwrap()
        .expect_status(200);
    let metrics = get(&format!("{}/metrics", server.management()), &[])
        .unwrap()
        .body;
    assert!(metrics.contains("vestibule_faults_total 1\n"), "{metrics}");
    server.stop();
    let output = server.output();
    let lines: Vec<Value> = output
        .lines()
        .filter(|line| line.contains(&id))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 1, "{output}");
    assert_eq!(
        (&lines[0]["level"], &lines[0]["request"]),
        (&json!("ERROR"), &json!(id))
    );
    assert!(
        text(&lines[0]["fault"]).contains("(during "),
        "what was being done is named: {}",
        lines[0]
    );
    let errors = output
        .lines()
        .filter(|line| line.contains("\"ERROR\""))
        .count();
    assert_eq!(errors, 1, "{output}");
}
