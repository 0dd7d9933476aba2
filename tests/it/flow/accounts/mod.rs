//! Every operation in every account state (threats LOCK-05, LOCK-06, ENU-03, ENU-04).
//!
//! The tables in `expected` are compared, cell by cell, with what `observed` finds: for an
//! unauthenticated caller at the public site, for a backend at the private site, and at a site that
//! discloses the state of accounts. The page `docs/reference/accounts.md` is printed from the same table
//! (`VESTIBULE_UPDATE_DOCS=1` writes it).

mod expected;
mod observed;
mod person;

use std::path::Path;

use serde_json::json;

use self::expected::{OF_BACKEND, OF_DISCLOSING, OF_UNAUTHENTICATED, Row, page};
use self::observed::{Caller, STATES, State, observe};
use crate::fixture::{Site, on_both_databases};

fn table(caller: Caller) -> [Row; 15] {
    match caller {
        Caller::Unauthenticated => OF_UNAUTHENTICATED,
        Caller::Backend => OF_BACKEND,
        Caller::Disclosing => OF_DISCLOSING,
    }
}

/// Compares one table, cell by cell; all cells that differ are reported at once.
async fn compare(site: &Site, caller: Caller) {
    let clients = [&site.client.id, &site.public_client.id];
    for client in clients {
        let scopes = json!({"scopes": "openid api id refresh_token"});
        site.update_client(client, scopes).await;
    }
    let mut differing = Vec::new();
    for (column, state) in STATES.into_iter().enumerate() {
        let observed = observe(site, caller, state).await;
        let operations: Vec<&str> = observed.iter().map(|(operation, _)| *operation).collect();
        let rows: Vec<&str> = table(caller).iter().map(|row| row.0).collect();
        assert_eq!(operations, rows, "every operation has its row");
        for ((operation, is), row) in observed.iter().zip(table(caller)) {
            if is != row.1[column] {
                differing.push(format!(
                    "{operation}, {state:?}: {is:?}, not {:?}",
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
    async fn lock_05_06_an_unauthenticated_caller_gets_the_documented_answer_for_each_account(site: Site) {
        compare(&site, Caller::Unauthenticated).await;
    }
}

on_both_databases! {
    async fn lock_05_06_a_backend_gets_the_documented_answer_for_each_account(site: Site) {
        compare(&site, Caller::Backend).await;
    }
}

on_both_databases! {
    async fn lock_05_06_a_site_that_discloses_gives_the_documented_answer_for_each_account(site: Site) {
        site.update_settings_of("public", json!({"disclose_account_state": true})).await;
        compare(&site, Caller::Disclosing).await;
    }
}

/// An unauthenticated caller who has verified nothing must not distinguish these states from a good one.
#[test]
fn enu_03_the_table_discloses_no_state_to_an_unauthenticated_caller() {
    for row in OF_UNAUTHENTICATED
        .iter()
        .filter(|row| row.0.contains("request"))
    {
        for cell in row.1 {
            assert!(cell.starts_with("success"), "{}: {cell}", row.0);
        }
    }
    let (_, login) = OF_UNAUTHENTICATED[0];
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
        "docs/reference/accounts.md is out of date: run this test with VESTIBULE_UPDATE_DOCS=1"
    );
}
