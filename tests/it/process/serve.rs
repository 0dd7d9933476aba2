//! `vestibule serve`: a server with a config.
//!
//! Which routes it has and which it has not (the emulator), how it requires TLS, which forwarding headers it
//! trusts, and with which configs it refuses to start. Its database is set up by commands, as an administrator does
//! it.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use tempfile::tempdir;

use super::binary::{
    Launch, PATIENCE, Server, eventually, expect_clean_database, free_port, run, run_with_input,
};
use super::wire::{Headers, Reply, exchange, form, get, post};

/// A config in its own directory, with a master key and free ports.
pub struct Installation {
    pub directory: tempfile::TempDir,
    pub public: u16,
    pub management: u16,
}

impl Installation {
    /// Writes key and config; `more` is added to the config's text.
    pub fn new(database_url: &str, more: &str) -> Installation {
        let installation = Installation {
            directory: tempdir().unwrap(),
            public: free_port(),
            management: free_port(),
        };
        let key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n";
        write_private(&installation.path("master.key"), key);
        let text = format!(
            "[database]\nurl = \"{database_url}\"\n[keys]\nmaster_key_file = \"master.key\"\n\
             [listen]\npublic = \"127.0.0.1:{}\"\nmanagement = \"127.0.0.1:{}\"\n{more}",
            installation.public, installation.management
        );
        std::fs::write(installation.path("vestibule.toml"), text).unwrap();
        installation
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs a command on it.
    pub fn run(&self, arguments: &[&str]) -> super::binary::Ran {
        let all = [arguments, &["--config", "vestibule.toml"]].concat();
        run(self.directory.path(), &all)
    }

    pub fn run_with_input(&self, arguments: &[&str], input: &str) -> super::binary::Ran {
        let all = [arguments, &["--config", "vestibule.toml"]].concat();
        run_with_input(self.directory.path(), &all, input)
    }

    /// Schema and a site that is published at `base_url`.
    pub fn with_site(self, base_url: &str) -> Installation {
        self.run(&["migrate", "up"]).expect_code(0);
        self.create_site(base_url);
        self
    }

    /// The site `shop`.
    pub fn create_site(&self, base_url: &str) {
        self.run(&["site", "create", "shop", "--base-url", base_url])
            .expect_code(0);
    }

    /// `bot@example.com`, in whose name an integration client acts.
    pub fn create_integration_user(&self) {
        let create = ["user", "create", "bot@example.com", "--last-name", "Bot"];
        let profile = ["--integration", "--profile", "Integration"];
        self.run(&[&create[..], &profile].concat()).expect_code(0);
    }

    /// A client that gets tokens of `bot@example.com` by its own credentials, as the command prints it.
    pub fn create_integration_client(&self, more: &[&str]) -> Value {
        let create = ["client", "create", "bot", "--json"];
        let flow = ["--set", "isClientCredentialsFlowEnabled=true"];
        let user = ["--set", "clientCredentialsFlowUser=bot@example.com"];
        let scopes = ["--set", "scopes=user_registration_api"];
        self.run(&[&create[..], &flow, &user, &scopes, more].concat())
            .json()
    }

    pub fn management_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.management)
    }

    pub fn serve(&self) -> Server {
        Launch::new(
            self.directory.path(),
            &["serve", "--config", "vestibule.toml"],
        )
        .until_answering(&self.management_url())
    }
}

/// Writes a file that only its owner can read.
pub fn write_private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    set_mode(path, 0o600);
}

pub fn set_mode(path: &Path, mode: u32) {
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(path, permissions).unwrap();
}

const SQLITE: &str = "sqlite:vestibule.db";
const DISCOVERY: &str = "/.well-known/openid-configuration";

#[test]
fn plain_http_is_refused_with_https_required_on_every_endpoint() {
    let installation = Installation::new(SQLITE, "").with_site("https://id.example.com");
    let mut server = installation.serve();
    let origin = format!("http://127.0.0.1:{}", installation.public);
    let host = [("host", "id.example.com"), ("x-forwarded-proto", "https")];
    for path in [
        "/services/oauth2/token",
        "/services/oauth2/authorize",
        "/services/oauth2/userinfo",
        "/services/auth/headless/init/registration",
        DISCOVERY,
        "/nowhere",
    ] {
        let reply = post(&format!("{origin}{path}"), &host, "")
            .unwrap()
            .expect_status(403);
        assert!(
            reply.body.contains("use a URL that starts with HTTPS"),
            "{path}: {reply:?}"
        );
    }
    assert!(
        server.output().contains("every request will be refused"),
        "{}",
        server.output()
    );
    server.stop();
    expect_clean_database(&installation.path("vestibule.db"));
}

#[test]
fn it_has_no_inbox_and_no_ready_object() {
    let installation = Installation::new(SQLITE, "").with_site("https://id.example.com");
    let mut server = installation.serve();
    let management = installation.management_url();
    get(&format!("{management}/_emulator/v1/inbox"), &[])
        .unwrap()
        .expect_status(404);
    for path in [
        "/health/live",
        "/health/ready",
        "/health/started",
        "/metrics",
    ] {
        get(&format!("{management}{path}"), &[])
            .unwrap()
            .expect_status(200);
    }
    server.stop();
    let names: Vec<_> = std::fs::read_dir(installation.directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("ready") || name.contains("env.sh"))
        .collect();
    assert_eq!(names, Vec::<String>::new());
    Launch::new(
        installation.directory.path(),
        &["serve", "--config", "vestibule.toml", "--seed", "1"],
    )
    .spawn()
    .wait()
    .code()
    .filter(|code| *code == 2)
    .expect("`serve` knows no seed");
}

#[test]
fn a_trusted_proxy_is_believed_about_the_scheme_and_another_caller_is_not() {
    for (trusted, status) in [("127.0.0.0/8", 200), ("10.0.0.0/8", 403)] {
        let more = format!("[proxies]\ntrusted = [\"{trusted}\"]\n");
        let installation = Installation::new(SQLITE, &more).with_site("https://id.example.com");
        let mut server = installation.serve();
        let url = format!("http://127.0.0.1:{}{DISCOVERY}", installation.public);
        let ask = |proto: &str| {
            let headers = [("host", "id.example.com"), ("x-forwarded-proto", proto)];
            get(&url, &headers).unwrap()
        };
        let reply = ask("https").expect_status(status);
        if status == 200 {
            assert_eq!(reply.json()["issuer"], "https://id.example.com");
        }
        ask("http").expect_status(403);
        ask("https, http").expect_status(403);
        get(&url, &[("host", "id.example.com")])
            .unwrap()
            .expect_status(403);
        let elsewhere = [
            ("host", "other.example.com"),
            ("x-forwarded-proto", "https"),
        ];
        let expected = if status == 200 { 404 } else { 403 };
        get(&url, &elsewhere).unwrap().expect_status(expected);
        server.stop();
    }
}

#[test]
fn it_answers_by_tls_with_certificate_files() {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/delivery/tls");
    let installation = Installation::new(SQLITE, "");
    let mut config = std::fs::read_to_string(installation.path("vestibule.toml")).unwrap();
    config += &format!(
        "tls_certificate_file = \"{0}/localhost.pem\"\ntls_key_file = \"{0}/localhost.key.pem\"\n",
        files.display()
    );
    std::fs::write(installation.path("vestibule.toml"), config).unwrap();
    let base_url = format!("https://localhost:{}", installation.public);
    let installation = installation.with_site(&base_url);
    let mut server = installation.serve();
    let reply = send_by_tls(&installation, "GET", DISCOVERY, &[], "").expect_status(200);
    assert_eq!(reply.json()["issuer"], base_url);
    assert!(
        reply
            .header("strict-transport-security")
            .unwrap()
            .starts_with("max-age=")
    );
    let body = form(&[("grant_type", "client_credentials"), ("client_id", "x")]);
    let refused = send_by_tls(&installation, "POST", "/services/oauth2/token", &[], &body);
    assert_eq!(
        refused.expect_status(400).json()["error"],
        "invalid_client_id"
    );
    assert!(
        get(
            &format!("http://127.0.0.1:{}{DISCOVERY}", installation.public),
            &[]
        )
        .is_err(),
        "the port speaks TLS only"
    );
    server.stop();
}

fn send_by_tls(
    installation: &Installation,
    method: &str,
    path: &str,
    headers: Headers<'_>,
    body: &str,
) -> Reply {
    let mut roots = RootCertStore::empty();
    let ca = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/delivery/tls/ca.pem");
    roots
        .add(CertificateDer::from_pem_file(ca).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = TcpStream::connect(("127.0.0.1", installation.public)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let authority = format!("localhost:{}", installation.public);
    let stream = StreamOwned::new(connection, socket);
    exchange(stream, method, &authority, path, headers, body).unwrap()
}

#[test]
fn a_start_without_what_it_needs_is_refused_with_what_to_do() {
    let installation = Installation::new(SQLITE, "");
    let ran = installation.run(&["serve"]).expect_code(3);
    assert!(ran.stderr.contains("vestibule migrate up"), "{ran:?}");
    let installation = installation.with_site("https://id.example.com");

    let other = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=\n";
    std::fs::write(installation.path("master.key"), other).unwrap();
    let ran = installation.run(&["serve"]);
    assert!(
        ran.code != 0 && ran.stderr.contains("another master key"),
        "{ran:?}"
    );
    for wrong in ["", "short", "not base64 at all, is it"] {
        std::fs::write(installation.path("master.key"), wrong).unwrap();
        let ran = installation.run(&["serve"]).expect_code(3);
        assert!(ran.stderr.contains("32 bytes in base64"), "{ran:?}");
        assert!(wrong.is_empty() || !ran.stderr.contains(wrong), "{ran:?}");
    }
    std::fs::remove_file(installation.path("master.key")).unwrap();
    assert!(
        installation
            .run(&["serve"])
            .expect_code(3)
            .stderr
            .contains("master.key")
    );
}

#[test]
fn a_wrong_certificate_file_is_named() {
    let installation = Installation::new(
        SQLITE,
        "tls_certificate_file = \"no.pem\"\ntls_key_file = \"no.key\"\n",
    )
    .with_site("https://id.example.com");
    let ran = installation.run(&["serve"]);
    assert!(ran.code != 0 && ran.stderr.contains("no.pem"), "{ran:?}");
    let ran = installation.run(&["config", "check"]).expect_code(3);
    assert!(ran.stderr.contains("no.pem"), "{ran:?}");
}

#[test]
fn without_a_relay_a_registration_by_mail_is_refused_at_init() {
    let more = "[proxies]\ntrusted = [\"127.0.0.1\"]\n";
    let installation = Installation::new(SQLITE, more).with_site("https://id.example.com");
    installation.create_integration_user();
    installation
        .run(&[
            "site",
            "update",
            "shop",
            "--set",
            "isHeadlessUserRegistrationAllowed=true",
            "--set",
            "doesRegistrationRequireAuth=true",
            "--set",
            "registrationUserDefaultProfile=Customer",
            "--set",
            "registrationExecutionUser=bot@example.com",
        ])
        .expect_code(0);
    let client = installation.create_integration_client(&[]);
    let mut server = installation.serve();
    let origin = format!("http://127.0.0.1:{}", installation.public);
    let mut headers = vec![("host", "id.example.com"), ("x-forwarded-proto", "https")];
    let body = form(&[
        ("grant_type", "client_credentials"),
        ("client_id", client["client_id"].as_str().unwrap()),
        ("client_secret", client["client_secret"].as_str().unwrap()),
    ]);
    let token = post(&format!("{origin}/services/oauth2/token"), &headers, &body).unwrap();
    let token = token.expect_status(200).json();
    let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
    headers.push(("authorization", &bearer));
    let init = format!("{origin}/services/auth/headless/init/registration");
    let user = super::wire::registration("janice@example.com").to_string();
    let refused = post(&init, &headers, &user).unwrap().expect_status(400);
    let said = server.output();
    assert!(said.contains("no mail relay is configured"), "{said}");
    let expected = json!("otp_generation_failed");
    assert!(
        refused.body.contains(expected.as_str().unwrap()),
        "{refused:?}"
    );
    server.stop();
}

#[test]
fn cap_14_settings_that_cannot_be_read_again_are_reported_by_the_readiness() {
    let installation = Installation::new(SQLITE, "").with_site("https://id.example.com");
    let client = ["client", "create", "shop", "--set", "scopes=api"];
    installation.run(&client).expect_code(0);
    let mut server = installation.serve();
    let url = format!("{}/health/ready", installation.management_url());
    let ready = |status: u16| {
        eventually(PATIENCE, "the readiness", || {
            let reply = get(&url, &[]).unwrap();
            (reply.status == status).then_some(reply)
        })
    };
    let execute = |statements: &str| {
        let database = rusqlite::Connection::open(installation.path("vestibule.db")).unwrap();
        database.busy_timeout(PATIENCE).unwrap();
        database.execute_batch(statements).unwrap();
    };
    ready(200);
    execute(
        "CREATE TABLE kept AS SELECT id, sealed FROM signing_key;
         UPDATE signing_key SET sealed = x'00'; UPDATE installation SET version = version + 1",
    );
    assert!(
        ready(503)
            .body
            .contains("the settings could not be read again")
    );
    execute(
        "UPDATE signing_key SET sealed = (SELECT sealed FROM kept WHERE kept.id = signing_key.id);
         DROP TABLE kept",
    );
    assert!(!ready(200).body.contains("out_of_service"));
    execute(
        "UPDATE client SET secret_sealed = x'00'; UPDATE installation SET version = version + 1",
    );
    eventually(PATIENCE, "the client out of service", || {
        let reply = get(&url, &[]).unwrap();
        let body = reply.body;
        (reply.status == 200 && body.contains(r#""out_of_service":["client shop: "#)).then_some(())
    });
    server.stop();
}

#[test]
fn a_site_of_the_test_captcha_is_named_at_the_start_and_at_a_change() {
    let installation = Installation::new(SQLITE, "").with_site("https://id.example.com");
    let set = ["--set", "recaptchaProvider=test"];
    let update = ["site", "update", "shop"];
    installation
        .run(&[&update[..], &set[..]].concat())
        .expect_code(0);
    let mut server = installation.serve();
    let warnings = |server: &Server| {
        let output = server.output();
        let of = |line: &&str| line.contains("recaptchaProvider is test") && line.contains("shop");
        output.lines().filter(of).count()
    };
    assert_eq!(warnings(&server), 1, "{}", server.output());
    installation
        .run(&[&update[..], &["--set", "defaultLocale=de_DE"]].concat())
        .expect_code(0);
    eventually(PATIENCE, "the warning", || {
        (warnings(&server) == 2).then_some(())
    });
    server.stop();
}
