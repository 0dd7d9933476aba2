//! Every state that an account can be in, at every door (threats LOCK-05, LOCK-06, ENU-03, ENU-04).
//!
//! The table in `expected` is what is wanted; `doors` finds out what is. Each cell is compared, for
//! a stranger at the public site, for a backend at the private one, and at a site that discloses the
//! state of accounts. The page `docs/reference/accounts.md` is printed from the same table
//! (`VESTIBULE_UPDATE_DOCS=1` writes it anew).

mod doors;
mod expected;
mod person;

use std::path::Path;

use serde_json::json;

use self::doors::{Caller, STATES, State, observe};
use self::expected::{OF_BACKEND, OF_DISCLOSING, OF_STRANGER, Row, page};
use crate::fixture::{Site, on_both_databases};

fn table(caller: Caller) -> &'static [Row] {
    match caller {
        Caller::Stranger => OF_STRANGER,
        Caller::Backend => OF_BACKEND,
        Caller::Disclosing => OF_DISCLOSING,
    }
}

/// Compares one table, cell by cell; all cells that differ are told at once.
async fn compare(site: &Site, caller: Caller) {
    let clients = [&site.client.id, &site.public_client.id];
    for client in clients {
        let scopes = json!({"scopes": "openid api id refresh_token"});
        site.update_client(client, scopes).await;
    }
    let mut differing = Vec::new();
    for (column, state) in STATES.into_iter().enumerate() {
        let observed = observe(site, caller, state).await;
        let doors: Vec<&str> = observed.iter().map(|(door, _)| *door).collect();
        let rows: Vec<&str> = table(caller).iter().map(|row| row.0).collect();
        assert_eq!(doors, rows, "every door has its row");
        for ((door, is), row) in observed.iter().zip(table(caller)) {
            if is != row.1[column] {
                differing.push(format!(
                    "{door}, {state:?}: {is:?}, not {:?}",
                    row.1[column]
                ));
            }
        }
    }
    assert!(
        differing.is_empty(),
        "{caller:?}:\n{}",
        differing.join("\n")
    );
}

on_both_databases! {
    async fn lock_05_06_a_stranger_meets_each_account_at_each_door(site: Site) {
        compare(&site, Caller::Stranger).await;
    }
}

on_both_databases! {
    async fn lock_05_06_a_backend_meets_each_account_at_each_door(site: Site) {
        compare(&site, Caller::Backend).await;
    }
}

on_both_databases! {
    async fn lock_05_06_a_site_that_discloses_tells_what_is_documented(site: Site) {
        site.update_settings_of("public", json!({"disclose_account_state": true})).await;
        compare(&site, Caller::Disclosing).await;
    }
}

/// The states that a stranger must not tell apart from a good one, where no proof was shown.
#[test]
fn enu_03_the_table_itself_tells_a_stranger_nothing_before_a_proof() {
    for row in OF_STRANGER.iter().filter(|row| row.0.contains("request")) {
        for cell in row.1 {
            assert!(cell.starts_with("success"), "{}: {cell}", row.0);
        }
    }
    let (_, login) = OF_STRANGER[0];
    for (state, cell) in STATES.into_iter().zip(login) {
        let is_in = matches!(state, State::Good | State::Unverified);
        assert_eq!(cell == "in", is_in, "{state:?}");
        assert!(
            is_in || cell == "invalid_grant: authentication failure",
            "{state:?}"
        );
    }
}

#[test]
fn the_page_on_accounts_is_what_the_tests_prove() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/accounts.md");
    let page = page();
    if std::env::var_os("VESTIBULE_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == page,
        "docs/reference/accounts.md is old: run this test with VESTIBULE_UPDATE_DOCS=1"
    );
}
