//! The commit that queues a message wakes the outbox: no task polls for it, and no story signals it.

use std::time::Duration;

use vestibule::worker::outbox;

use crate::fixture::on_both_databases;

/// The test ends long before the worker would look by itself.
const PERIOD: Duration = Duration::from_secs(3_600);

/// How long a message may take on a busy machine.
const SOON: Duration = Duration::from_secs(60);

on_both_databases! {
    async fn a_queued_message_is_sent_after_its_commit_without_a_tick(site: Site) {
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let worker = tokio::spawn(outbox::run_by_period(site.app.clone(), PERIOD, stopped));
        // The first message may be found by the look at the start; the others are not.
        for number in 0..4 {
            let to = format!("p{number}@example.com");
            site.pending(&to).await;
            let arrived = site.inbox.wait(Some(&to), None, SOON).await;
            assert_eq!(arrived.len(), 1, "{to}");
            while site.count("SELECT COUNT(*) FROM outbox WHERE status <> 'sent'").await > 0 {
                tokio::task::yield_now().await;
            }
        }
        site.inbox.clear();
        stop.send(true).expect("the worker listens");
        worker.await.expect("the worker ends");
    }
}
