//! The commands of an administrator, as one runs them: what they print, how they end, and that a
//! refusal changes nothing. On both databases where a database is in play. One file per noun.
//!
//! Commands that need a running server are in `running.rs`.

mod at_once;
mod audit;
mod client;
mod config;
mod database;
mod general;
mod handler;
mod identifier;
mod key;
mod perform;
mod profile;
mod site;
mod standing;
mod template;
mod user;

use serde_json::Value;

use super::binary::Ran;
use super::serve::Installation;
use crate::fixture::postgres;

/// Every administrator's story runs on SQLite, and on PostgreSQL where there is one.
async fn installations() -> Vec<Installation> {
    let mut installations = vec![Installation::new("sqlite:vestibule.db", "")];
    installations.extend(
        postgres::database()
            .await
            .map(|url| Installation::new(&url, "")),
    );
    for installation in &installations {
        installation.run(&["migrate", "up"]).expect_code(0);
    }
    installations
}

/// Runs a command with and without `--json`: both go well, and what is printed differs.
#[track_caller]
fn both(installation: &Installation, arguments: &[&str]) -> (Value, String) {
    let text = installation.run(arguments).expect_code(0).stdout;
    let json = installation.run(&[arguments, &["--json"]].concat());
    (json.json(), text)
}

#[track_caller]
fn expect_refused(ran: Ran, code: i32, words: &[&str]) {
    assert_eq!(ran.code, code, "{ran:?}");
    assert_eq!(
        ran.stdout, "",
        "a refusal prints nothing on standard output"
    );
    for word in words {
        assert!(ran.stderr.contains(word), "{word}: {ran:?}");
    }
}

fn with_site_and_client(url: &str) -> Installation {
    let installation = Installation::new(url, "").with_site("https://id.example.com");
    let create = ["client", "create", "shop", "--set", "scopes=api"];
    installation.run(&create).expect_code(0);
    installation
}
