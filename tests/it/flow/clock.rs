//! The clock of a machine that is behind the data (threat TIME-01).

use crate::fixture::log::Log;
use crate::fixture::on_both_databases;

on_both_databases! {
    async fn time_01_a_node_warns_at_its_start_when_the_newest_event_lies_in_the_future(site: Site) {
        for (millis, is_warned) in [(60_000, false), (60_001, true)] {
            let at = site.app.now().millis() + millis;
            site.execute(format!("UPDATE audit_event SET at = {at}")).await;
            let log = Log::capture();
            site.another_node().await;
            let lines = log.lines();
            let is_about_time = |line: &&serde_json::Value| line["message"].to_string().contains("lies in the future");
            let warning = lines.iter().find(is_about_time);
            assert_eq!(warning.is_some(), is_warned, "{millis}: {lines:?}");
            assert!(warning.is_none_or(|line| line["level"] == "WARN"));
        }
    }
}
