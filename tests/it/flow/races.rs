//! Races: many at once, and one succeeds.

use crate::fixture::on_both_databases;

on_both_databases! {
    async fn x(site: Site) {
        assert_eq!(site.count("SELECT COUNT(*) FROM app_user").await, 1);
        site.execute("UPDATE app_user SET locale = 'de'").await;
        let other = site.another_node().await;
        other.register("a@example.com").await;
    }
}
