//! The limits of text messages per day: counted for all nodes together, in the write that queues the message.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use vestibule::identity::country::Country;
use vestibule::identity::phone::PhoneNumber;
use vestibule::identity::text_message::SmsPolicy;
use vestibule::store;
use vestibule::worker::sweep::sweep_once;

use crate::fixture::{Site, on_both_databases};

fn policy(daily: i64, range: i64, germany: i64) -> SmsPolicy {
    SmsPolicy {
        daily_cap: Some(daily),
        range_daily_cap: Some(range),
        country_daily_caps: [(Country::parse("DE").unwrap(), germany)].into(),
        ..SmsPolicy::default()
    }
}

async fn take(site: &Site, policy: &SmsPolicy, number: &str) -> bool {
    let number = PhoneNumber::parse(number).unwrap();
    let country = policy.check(&number).unwrap();
    let budget = policy.budget(&number, country, site.app.now());
    site.app
        .store
        .write("test.take", budget, |tx, budget| {
            Box::pin(store::sms_count::take(tx, budget))
        })
        .await
        .expect("the database answers")
}

on_both_databases! {
    async fn mail_07_no_cap_is_exceeded_and_a_refused_message_takes_nothing(site: Site) {
        let caps = policy(5, 2, 3);
        assert!(take(&site, &caps, "+491511230001").await);
        assert!(take(&site, &caps, "+491511230002").await);
        // The range has reached its limit of two. Another range of the country has one left, which the third takes:
        // the refused ones in between have not used it.
        for _ in 0..5 {
            assert!(!take(&site, &caps, "+491511230003").await);
        }
        assert!(take(&site, &caps, "+491519990001").await);
        assert!(!take(&site, &caps, "+491519990002").await);
        // Five in total.
        assert!(take(&site, &caps, "+436641230001").await);
        assert!(take(&site, &caps, "+436649990001").await);
        assert!(!take(&site, &caps, "+436645550001").await);
        // On the next day, today's counts are deleted.
        site.advance(Duration::from_secs(86_400));
        assert!(take(&site, &caps, "+491511230001").await);
        assert_eq!(site.count("SELECT COUNT(*) FROM sms_count WHERE sent > 0").await, 9);
        sweep_once(&site.app, site.app.now()).await.unwrap();
        assert_eq!(site.count("SELECT COUNT(*) FROM sms_count").await, 3);
    }
}

on_both_databases! {
    async fn mail_07_many_at_once_on_two_nodes_share_the_days_messages(site: Site) {
        let caps = Arc::new(policy(7, 100, 100));
        let nodes = [Arc::new(site.another_node().await), Arc::new(site)];
        let mut taking = JoinSet::new();
        for n in 0..24 {
            let (node, caps) = (Arc::clone(&nodes[n % 2]), Arc::clone(&caps));
            taking.spawn(async move { take(&node, &caps, &format!("+4915{:08}", n * 31_337)).await });
        }
        let taken = taking.join_all().await;
        assert_eq!(taken.iter().filter(|is_taken| **is_taken).count(), 7);
    }
}
