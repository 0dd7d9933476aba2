//! Faults of the database: writes are refused with 503 and `Retry-After`, reads continue where possible, nothing
//! takes effect twice, and everything works when the cause is gone.

mod on_postgres;
mod on_sqlite;

use std::sync::Arc;

use serde_json::Value;
use vestibule::admin::{Admin, seed};
use vestibule::app::{App, World};
use vestibule::audit::AuditSource;
use vestibule::metrics::Metrics;
use vestibule::moment::Entropy;
use vestibule::refusal::FaultKind;
use vestibule::sealing::Keyring;
use vestibule::store::{Location, Store, Synchronous};

use crate::fixture::{Answer, Call, START, Site, on_both_databases, registration, test_actor};

/// An init request, with a token that was issued before the fault.
async fn init(site: &Site, token: &str, username: &str) -> Answer {
    let call = Call::post("/services/auth/headless/init/registration").bearer(token);
    site.send(call.json(&registration(username))).await
}

/// The response of a server whose database is unreachable or full.
#[track_caller]
fn assert_is_temporary(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.body);
    let seconds: u32 = answer
        .header("retry-after")
        .expect("a Retry-After header")
        .parse()
        .expect("seconds");
    assert!(seconds >= 1);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let body = answer.json();
    let said = [&body["error"], &body["status"]];
    assert!(
        said.contains(&&Value::from("temporarily_unavailable")),
        "{body}"
    );
    for inside in ["sqlite", "SQLite", "postgres", "Fault", "disk", "INSERT"] {
        assert!(!answer.body.contains(inside), "{}", answer.body);
    }
}

/// Requests without a write: the keys, and the user of a token.
async fn assert_reads_live(site: &Site, access_token: &str) {
    site.send(Call::get("/id/keys")).await.expect_ok();
    let call = Call::get("/services/oauth2/userinfo").bearer(access_token);
    site.send(call).await.expect_ok();
}

on_both_databases! {
    async fn key_03_a_wrong_master_key_is_refused_when_the_database_is_opened(site: Site) {
        let metrics = Arc::new(Metrics::new());
        let store = Store::open(&site.location, Arc::clone(&metrics)).expect("the database opens");
        let (keyring, entropy) = (Keyring::new(&[43; 32]), Entropy::Os);
        let admin = Admin {
            store: &store, keyring: &keyring, entropy: &entropy, at: START, actor: test_actor(),
            source: AuditSource::CommandLine,
        };
        let fault = seed::installation(&admin).await.expect_err("the key is another");
        assert!(fault.to_string().contains("another master key"), "{fault}");
        let world = World::of_server(keyring, metrics, store);
        let assembled = App::assemble(&site.config, world);
        let fault = assembled.await.err().map(|fault| fault.to_string()).unwrap_or_default();
        assert!(fault.contains("another master key"), "{fault}");
        assert_eq!(site.count("SELECT COUNT(*) FROM installation").await, 1);
    }
}

#[test]
fn a_file_that_is_not_a_database_is_refused_by_name() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("letter.txt");
    std::fs::write(&file, "Dear database, ".repeat(100)).expect("a file");
    let metrics = Arc::new(Metrics::new());
    for path in [
        file.clone(),
        directory.path().to_owned(),
        directory.path().join("none/x.db"),
    ] {
        let location = Location::Sqlite(path.clone(), Synchronous::Full);
        let opened = Store::open(&location, Arc::clone(&metrics));
        let fault = opened.err().expect("it is no database").to_string();
        assert!(
            fault.contains(path.to_str().expect("a plain path")),
            "{fault}"
        );
    }
    assert!(
        std::fs::read_to_string(&file)
            .expect("it is there")
            .starts_with("Dear")
    );
}

#[tokio::test]
async fn an_unreachable_database_is_unavailable_and_its_password_is_not_shown() {
    let metrics = Arc::new(Metrics::new());
    let url = "postgres://u:Sw0rdfish@127.0.0.1:1/x?connect_timeout=1";
    let store = Store::open(
        &Location::Postgres(url.to_owned().into(), 1),
        metrics.clone(),
    );
    let store = store.expect("nothing is asked of it yet");
    let fault = store.migrations().await.expect_err("no server listens");
    assert_eq!(fault.kind, FaultKind::Unavailable);
    assert!(
        !format!("{fault:?} {fault}").contains("Sw0rdfish"),
        "{fault}"
    );
    for wrong in [
        "postgres://u:Sw0rdfish@[::1/x",
        "postgres://u:Sw0rdfish@h/x?port=many",
    ] {
        let opened = Store::open(
            &Location::Postgres(wrong.to_owned().into(), 1),
            metrics.clone(),
        );
        let fault = opened.err().expect("no URL").to_string();
        assert!(!fault.contains("Sw0rdfish"), "{fault}");
    }
}
