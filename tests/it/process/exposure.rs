//! `vestibule dev` for its developer: what the terminal and the browser show, other names and machines (`--expose`),
//! TLS, a missing master key, and a server that has ended.

use std::net::TcpStream;
use std::path::Path;

use serde_json::json;
use tempfile::tempdir;

use super::binary::{Launch, PATIENCE, eventually, run};
use super::wire::{Headers, Reply, exchange, form, get, post, text};

/// A request to a port of this machine, with any `Host`.
fn ask(url: &str, host: &str, path: &str, headers: Headers<'_>) -> Reply {
    let port = url::Url::parse(url).unwrap().port().unwrap();
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    exchange(stream, "GET", &format!("{host}:{port}"), path, headers, "").unwrap()
}

const DISCOVERY: &str = "/.well-known/openid-configuration";

#[test]
fn every_refused_request_is_one_line_of_the_terminal() {
    let directory = tempdir().unwrap();
    let mut server = Launch::dev(directory.path()).until_ready();
    let base_url = server.app().base_url;
    let public = text(&server.ready["sites"]["public"]["base_url"]);
    let wrong = form(&[("grant_type", "client_credentials"), ("client_id", "x")]);
    let refused = post(&format!("{base_url}/services/oauth2/token"), &[], &wrong).unwrap();
    let id = refused.header("x-request-id").unwrap().to_owned();
    get(&format!("{public}/nothing"), &[])
        .unwrap()
        .expect_status(404);
    ask(&public, "evil.example", "/services/oauth2/userinfo", &[]).expect_status(404);
    let lines = |part: &str| -> Vec<String> {
        let output = server.output();
        output
            .lines()
            .filter(|line| line.contains(part))
            .map(str::to_owned)
            .collect()
    };
    let line = eventually(PATIENCE, "the line", || lines(&id).pop());
    assert!(
        line.contains("POST /backend/services/oauth2/token"),
        "{line}"
    );
    assert!(line.contains("refusal="), "{line}");
    assert_eq!(lines(&id).len(), 1, "{:?}", lines(&id));
    assert_eq!(lines("GET /nothing").len(), 1);
    let unknown = lines("GET /services/oauth2/userinfo");
    assert!(
        unknown[0].contains(&public) && unknown[0].contains(&base_url),
        "{unknown:?}"
    );
    server.stop();
}

#[test]
fn the_page_of_the_management_listener_names_sites_and_inbox_and_no_secret() {
    let directory = tempdir().unwrap();
    let mut server = Launch::dev(directory.path()).until_ready();
    let page = get(&format!("{}/", server.management()), &[])
        .unwrap()
        .expect_status(200);
    assert!(
        page.header("content-type")
            .unwrap()
            .starts_with("text/html")
    );
    for site in ["public", "private"] {
        let site = &server.ready["sites"][site];
        assert!(page.body.contains(&text(&site["base_url"])));
        assert!(page.body.contains(&text(&site["client"]["client_id"])));
    }
    assert!(page.body.contains("/_emulator/v1/inbox"));
    for secret in [
        &server.ready["admin_token"],
        &server.ready["sites"]["private"]["client"]["client_secret"],
        &server.ready["sites"]["private"]["integration"]["client_secret"],
    ] {
        assert!(!page.body.contains(&text(secret)));
    }
    server.stop();
}

#[test]
fn an_exposed_server_answers_to_its_names_and_its_inbox_needs_the_token() {
    let directory = tempdir().unwrap();
    let without = ["dev", "--data-dir", "data", "--host", "vestibule"];
    run(directory.path(), &without).expect_code(2);
    let mut server = Launch::new(directory.path(), &["dev", "--data-dir", "data"])
        .args(&[
            "--listen",
            "0.0.0.0:0",
            "--management",
            "0.0.0.0:0",
            "--expose",
        ])
        .args(&["--host", "vestibule", "--host", "host.docker.internal"])
        .until_ready();
    assert!(server.output().contains("EXPOSED"));
    let public = text(&server.ready["sites"]["public"]["base_url"]);
    assert!(public.starts_with("http://127.0.0.1:"), "{public}");
    for (host, status) in [
        ("vestibule", 200),
        ("Host.Docker.Internal", 200),
        ("192.168.1.5", 200),
        ("localhost", 200),
        ("evil.example", 404),
    ] {
        assert_eq!(ask(&public, host, DISCOVERY, &[]).status, status, "{host}");
    }
    let management = server.management();
    let inbox =
        |headers: Headers<'_>| ask(&management, "vestibule", "/_emulator/v1/inbox", headers);
    inbox(&[]).expect_status(401);
    let token = format!("Bearer {}", text(&server.ready["admin_token"]));
    inbox(&[("authorization", "Bearer wrong")]).expect_status(401);
    inbox(&[("authorization", &token)]).expect_status(200);
    inbox(&[("authorization", &token), ("origin", "http://vestibule")]).expect_status(403);
    run(
        directory.path(),
        &["perform", "register", "--data-dir", "data"],
    )
    .expect_code(0);
    server.stop();
}

#[test]
fn with_tls_files_every_url_is_https_and_perform_trusts_the_certificate() {
    let directory = tempdir().unwrap();
    let tls = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/delivery/tls");
    for name in ["localhost.pem", "localhost.key.pem"] {
        std::fs::copy(tls.join(name), directory.path().join(name)).unwrap();
    }
    let mut server = Launch::dev(directory.path())
        .env("VESTIBULE_LISTEN__TLS_CERTIFICATE_FILE", "localhost.pem")
        .env("VESTIBULE_LISTEN__TLS_KEY_FILE", "localhost.key.pem")
        .until_ready();
    let site = &server.ready["sites"]["private"];
    assert!(
        text(&site["base_url"]).starts_with("https://127.0.0.1:"),
        "{site}"
    );
    assert!(text(&site["client"]["redirect_uri"]).starts_with("https://"));
    for flow in [&["perform", "register"][..], &["perform", "guest"]] {
        let flow = [flow, &["--data-dir", "data"]].concat();
        run(directory.path(), &flow).expect_code(0);
    }
    // Another certificate at the same address is not trusted.
    let ready = directory.path().join("data/ready.json");
    let text = std::fs::read_to_string(&ready).unwrap();
    std::fs::copy(tls.join("ca.pem"), directory.path().join("other.pem")).unwrap();
    std::fs::write(&ready, text.replace("localhost.pem", "other.pem")).unwrap();
    run(
        directory.path(),
        &["perform", "guest", "--data-dir", "data"],
    )
    .expect_code(5);
    server.stop();
}

#[test]
fn a_missing_master_key_is_not_replaced_beside_an_existing_database() {
    let directory = tempdir().unwrap();
    Launch::dev(directory.path()).until_ready().stop();
    let key = directory.path().join("data/master.key");
    let right = std::fs::read_to_string(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let arguments = ["--listen", "127.0.0.1:0", "--management", "127.0.0.1:0"];
    let ran = run(
        directory.path(),
        &[&["dev", "--data-dir", "data"][..], &arguments].concat(),
    );
    let ran = ran.expect_code(3);
    assert!(
        ran.stderr
            .contains("there is no master key at data/master.key"),
        "{ran:?}"
    );
    assert!(!key.exists(), "no key is written");
    std::fs::write(&key, right).unwrap();
    Launch::dev(directory.path()).until_ready().stop();
}

#[test]
fn the_demo_accepts_its_callbacks_by_localhost_too() {
    let directory = tempdir().unwrap();
    let mut server = Launch::dev(directory.path()).until_ready();
    for site in ["public", "private"] {
        let echo = text(&server.ready["sites"][site]["client"]["redirect_uri"]);
        let shown = run(
            directory.path(),
            &["client", "show", site, "--data-dir", "data", "--json"],
        );
        assert_eq!(
            shown.json()["policies"]["callbackUrl"],
            json!([echo, echo.replace("127.0.0.1", "localhost")])
        );
    }
    server.stop();
}

#[test]
fn isready_notices_a_server_that_has_ended_and_another_installation() {
    let directory = tempdir().unwrap();
    let mut server = Launch::dev(directory.path()).until_ready();
    let wait = ["isready", "--data-dir", "data", "--wait", "3600"];
    run(directory.path(), &wait).expect_code(0);
    let ready = directory.path().join("data/ready.json");
    let own = std::fs::read_to_string(&ready).unwrap();
    let org_id = text(&server.ready["org_id"]);
    std::fs::write(&ready, own.replace(&org_id, "00D000000000000AAA")).unwrap();
    let other = run(directory.path(), &["isready", "--data-dir", "data"]).expect_code(5);
    assert!(
        other.stderr.contains("another installation answers"),
        "{other:?}"
    );
    std::fs::write(&ready, own).unwrap();
    server.stop();
    // It does not wait for an hour.
    let ended = run(directory.path(), &wait).expect_code(5);
    assert!(
        ended.stderr.contains("the server is not running"),
        "{ended:?}"
    );
}
