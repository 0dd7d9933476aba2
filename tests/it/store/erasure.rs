//! What a deleted user leaves behind: nothing that names them, in no row, in no free page and in no backup.

use std::time::Duration;

use serde_json::json;
use vestibule::admin;
use vestibule::store::{self, Location};

use crate::fixture::{Call, PASSWORD, Site, on_both_databases, registration};

const XANTHIPPE: &str = "xanthippe.zq@example.com";

/// Every table with rows of users.
const TABLES: [&str; 18] = [
    "account",
    "app_user",
    "credential",
    "challenge",
    "turn",
    "authorization_code",
    "access_token",
    "outbox",
    "audit_event",
    "login_hold",
    "captcha_token",
    "sms_count",
    "token_family",
    "tally",
    "external_identifier",
    "user_attribute",
    "handler_call",
    "auth_session",
];

/// Registers, fails in every way, asks for codes and gets a handler of rows; the texts that must go.
async fn leave_traces(site: &Site) -> Vec<String> {
    for first in ["Xanthippe", "Xanthipa"] {
        let mut body = registration(XANTHIPPE);
        body["userdata"]["firstName"] = json!(first);
        body["userdata"]["lastName"] = json!("Quillfeather");
        let answer = site.init(&body).await.expect_ok().json();
        if first == "Xanthipa" {
            let code = site.code_to(XANTHIPPE).await;
            let call = site.authorize_call(answer["identifier"].as_str().unwrap(), &code);
            site.send(call).await.expect_status(302);
        }
    }
    site.send(site.password_call(XANTHIPPE, "Wr0ng-password"))
        .await
        .expect_status(400);
    for (path, body) in [
        (
            "/services/auth/headless/init/passwordless/login",
            json!({"username": XANTHIPPE, "verificationmethod": "email", "recaptcha": "test-pass"}),
        ),
        (
            "/services/auth/headless/forgot_password",
            json!({"username": XANTHIPPE, "recaptcha": "test-pass"}),
        ),
        (
            "/services/auth/headless/forgot_password",
            json!({"username": XANTHIPPE, "otp": "000000", "newpassword": PASSWORD}),
        ),
    ] {
        site.send(Call::post(path).on_public().json(&body)).await;
    }
    site.deliver().await;
    site.inbox.clear();
    let user = site.user(XANTHIPPE).await.expect("registered");
    site.add_identifier(&user.id, "order", "ORD-XANTHIPPE")
        .await;
    admin::user::change_state(&site.admin(), XANTHIPPE, admin::user::StateChange::Lock)
        .await
        .expect("locked");
    let credential = site.app.store.read("credential.find", &user.id, |tx, id| {
        Box::pin(store::credential::find(tx, id))
    });
    let phc = credential
        .await
        .expect("the database answers")
        .expect("a password")
        .phc;
    let hash = phc.rsplit('$').next().expect("a hash").to_owned();
    ["xanthip", "quillfeather", "ord-xanthippe"]
        .map(String::from)
        .into_iter()
        .chain([hash])
        .collect()
}

/// The texts that a file contains, whatever their case.
fn found_in(bytes: &[u8], texts: &[String]) -> Vec<String> {
    let lower = bytes.to_ascii_lowercase();
    let is_in = |text: &&String| {
        let text = text.to_ascii_lowercase();
        lower
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    texts.iter().filter(is_in).cloned().collect()
}

#[track_caller]
fn assert_none(bytes: &[u8], texts: &[String]) {
    let found = found_in(bytes, texts);
    assert!(found.is_empty(), "{found:?}");
}

on_both_databases! {
    async fn a_deleted_user_is_in_no_row_no_free_page_and_no_backup(site: Site) {
        let texts = leave_traces(&site).await;
        let path = match &site.location {
            Location::Sqlite(path, _) => Some(path.clone()),
            Location::Postgres(..) => None,
        };
        if let Some(path) = &path {
            assert_eq!(found_in(&everything(path), &texts), texts, "the test finds what is there");
        }
        admin::user::delete(&site.admin(), XANTHIPPE).await.expect("deleted");
        match path {
            Some(path) => {
                assert_none(&everything(&path), &texts);
                let backup = site.directory().join("backup.db");
                site.app.store.backup(&backup).expect("the backup is written");
                assert_none(&std::fs::read(backup).unwrap(), &texts);
            }
            None => {
                for (table, text) in TABLES.iter().flat_map(|table| texts.iter().map(move |text| (table, text))) {
                    let text = text.to_lowercase();
                    let query = format!("SELECT COUNT(*) FROM {table} t WHERE POSITION('{text}' IN LOWER(t::text)) > 0");
                    assert_eq!(site.count(Box::leak(query.into_boxed_str())).await, 0, "{table} {text}");
                }
            }
        }
    }
}

/// The database file, after the write-ahead log was written back into it.
fn everything(path: &std::path::Path) -> Vec<u8> {
    let connection = rusqlite::Connection::open(path).expect("the database opens");
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .expect("the log is written back");
    let log = path.with_added_extension("x").with_extension("db-wal");
    let mut bytes = std::fs::read(path).expect("the file");
    bytes.extend(std::fs::read(log).unwrap_or_default());
    bytes
}

on_both_databases! {
    async fn what_two_users_share_stays_with_the_other(site: Site) {
        site.register("ann@example.com").await;
        site.register("bob@example.com").await;
        site.execute("UPDATE app_user SET email = 'ann@example.com', email_key = 'ann@example.com'
            WHERE username = 'bob@example.com'").await;
        let count = || site.count("SELECT COUNT(*) FROM outbox WHERE recipient = 'ann@example.com'");
        let before = count().await;
        assert!(before > 0);
        admin::user::delete(&site.admin(), "ann@example.com").await.expect("deleted");
        assert_eq!(count().await, before);
        admin::user::delete(&site.admin(), "bob@example.com").await.expect("deleted");
        assert_eq!(count().await, 0);
    }
}

on_both_databases! {
    async fn the_draft_of_a_registration_is_wiped_soon_after_its_code_expired(site: Site) {
        site.pending("ann@example.com").await;
        let drafts = || site.count("SELECT COUNT(*) FROM challenge WHERE payload IS NOT NULL");
        let sweep = async || vestibule::worker::sweep::sweep_once(&site.app, site.app.now()).await.expect("swept");
        sweep().await;
        assert_eq!(drafts().await, 1);
        let lifetime = site.config.otp.rules(vestibule_protocol::purpose::Purpose::Registration).lifetime_seconds;
        site.advance(Duration::from_secs(u64::try_from(lifetime).unwrap() + 60));
        sweep().await;
        assert_eq!(drafts().await, 1, "a request that came in time may still need it");
        site.advance(Duration::from_millis(1));
        assert_eq!(sweep().await, 1);
        assert_eq!(drafts().await, 0);
        assert_eq!(site.count("SELECT COUNT(*) FROM challenge").await, 1, "the hourly budget counts it");
    }
}
