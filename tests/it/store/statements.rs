//! Every statement is prepared on both databases, so that none is wrong on one of them.

use crate::fixture::on_both_databases;

on_both_databases! {
    async fn every_statement_parses_against_the_schema(site: Site) {
        let count = site.app.store.prepare_all().await.expect("every statement prepares");
        assert!(count > 40, "only {count} statements are registered");
    }
}
