//! The outbox: claimed with a lease, settled once, retried when a lease expires.

use vestibule::moment::Moment;
use vestibule::store;
use vestibule::store::outbox::{MessageState, OutgoingMessage, Settlement};
use vestibule::store::sweep::Horizon;
use vestibule_protocol::headless::VerificationMethod;

use super::{in_read, in_write};
use crate::fixture::{START, Site, on_both_databases};

const LEASE_SECONDS: i64 = 120;

fn message(id: &str, created_at: Moment) -> OutgoingMessage {
    OutgoingMessage {
        id: id.to_owned(),
        channel: VerificationMethod::Email,
        template: String::from("vestibule$public/RegistrationOtp"),
        language: String::from("de"),
        recipient: String::from("jänice@example.com"),
        site_id: String::from("0DBa"),
        message_id: format!("<{id}@example.com>"),
        sealed: vec![0, 255, 7],
        attempts: 0,
        created_at,
        expires_at: created_at.plus_seconds(600),
    }
}

async fn queue(site: &Site, id: &str, created_at: Moment) {
    in_write!(site, message(id, created_at), |tx, message| {
        store::outbox::insert(tx, message).await
    });
}

async fn claim(site: &Site, at: Moment, limit: i64) -> Vec<OutgoingMessage> {
    in_write!(site, (at, limit), |tx, input| store::outbox::claim(
        tx,
        VerificationMethod::Email,
        input.0,
        input.0.plus_seconds(LEASE_SECONDS),
        input.1
    )
    .await)
}

/// Settles the first claim of a message.
async fn settle(site: &Site, id: &'static str, settlement: Settlement, at: Moment) {
    in_write!(site, (id, settlement, at), |tx, input| {
        store::outbox::settle(tx, input.0, 1, &input.1, input.2).await
    });
}

async fn state(site: &Site, id: &str) -> MessageState {
    let all = in_read!(site, |tx| store::outbox::list_recent(
        tx,
        "jänice@example.com"
    )
    .await);
    all.into_iter()
        .find(|message| message.id == id)
        .expect("it is listed")
}

async fn next_due(site: &Site) -> Option<Moment> {
    in_read!(site, |tx| store::outbox::next_due(
        tx,
        VerificationMethod::Email,
        START
    )
    .await)
}

fn ids(claimed: &[OutgoingMessage]) -> Vec<&str> {
    let mut ids: Vec<&str> = claimed.iter().map(|message| message.id.as_str()).collect();
    ids.sort_unstable();
    ids
}

on_both_databases! {
    async fn a_claimed_message_is_loaded_unchanged(site: Site) {
        let saved = message("a", START);
        queue(&site, "a", START).await;
        let claimed = claim(&site, START, 10).await.pop().expect("it is due");
        assert_eq!((claimed.id.as_str(), claimed.channel.as_str()), ("a", "email"));
        assert_eq!((claimed.template, claimed.language), (saved.template, saved.language));
        assert_eq!((claimed.recipient, claimed.site_id), (saved.recipient, saved.site_id));
        assert_eq!((claimed.message_id, claimed.sealed), (saved.message_id, saved.sealed));
        assert_eq!((claimed.attempts, claimed.expires_at, claimed.created_at), (1, saved.expires_at, START));
    }
}

on_both_databases! {
    async fn a_message_is_due_at_its_instant_and_oldest_first(site: Site) {
        for (id, seconds) in [("c", 3), ("a", 1), ("b", 2)] {
            queue(&site, id, START.plus_seconds(seconds)).await;
        }
        assert_eq!(next_due(&site).await, Some(START.plus_seconds(1)));
        assert!(claim(&site, Moment::from_millis(START.millis() + 999), 10).await.is_empty());
        assert_eq!(ids(&claim(&site, START.plus_seconds(1), 10).await), ["a"]);
        queue(&site, "d", START).await;
        assert_eq!(ids(&claim(&site, START.plus_seconds(3), 2).await), ["b", "d"]);
        assert_eq!(ids(&claim(&site, START.plus_seconds(3), 2).await), ["c"]);
    }
}

on_both_databases! {
    async fn a_claimed_message_is_claimed_again_when_its_lease_ends(site: Site) {
        queue(&site, "a", START).await;
        assert_eq!(claim(&site, START, 10).await.len(), 1);
        let end = START.plus_seconds(LEASE_SECONDS);
        assert_eq!(next_due(&site).await, Some(end));
        assert!(claim(&site, Moment::from_millis(end.millis() - 1), 10).await.is_empty());
        let again = claim(&site, end, 10).await.pop().expect("its worker died");
        assert_eq!((again.attempts, again.message_id.as_str()), (2, "<a@example.com>"));
    }
}

on_both_databases! {
    async fn many_workers_claim_each_message_once(site: Site) {
        for number in 0..40 {
            queue(&site, &format!("m{number:02}"), START).await;
        }
        let claims = (0..8).map(|_| claim(&site, START, 10));
        let claimed = futures_util::future::join_all(claims).await.concat();
        let mut once = ids(&claimed);
        once.dedup();
        assert_eq!(once.len(), claimed.len(), "two workers hold one message");
        // A worker that conflicts with another may claim fewer than there are; none is lost.
        let rest = claim(&site, START, 40).await;
        assert_eq!(claimed.len() + rest.len(), 40);
    }
}

on_both_databases! {
    async fn expired_messages_are_marked_and_wiped_unless_a_worker_has_claimed_them(site: Site) {
        let expire = async |at: Moment| {
            in_write!(site, at, |tx, at| store::outbox::expire(tx, *at).await)
        };
        queue(&site, "a", START).await;
        queue(&site, "b", START.plus_seconds(1)).await;
        let end = START.plus_seconds(600);
        assert_eq!(expire(Moment::from_millis(end.millis() - 1)).await, 0);
        assert_eq!(expire(end).await, 1);
        let ended = state(&site, "a").await;
        assert_eq!((ended.status.as_str(), ended.is_wiped), ("expired", true));
        assert_eq!(ids(&claim(&site, end, 10).await), ["b"]);
        let leased_until = end.plus_seconds(LEASE_SECONDS);
        assert_eq!(expire(end.plus_seconds(1)).await, 0, "it may be on its way");
        assert_eq!(expire(leased_until).await, 1, "its worker died");
        assert!(claim(&site, leased_until, 10).await.is_empty());
    }
}

on_both_databases! {
    async fn the_message_that_expires_next_is_sent_first_except_late_ones(site: Site) {
        for (id, lifetime) in [("day", 86_400), ("new", 600), ("old", 60), ("late", 29)] {
            let mut saved = message(id, START);
            saved.expires_at = START.plus_seconds(lifetime);
            in_write!(site, saved, |tx, message| {
                store::outbox::insert(tx, message).await
            });
        }
        for expected in ["old", "new", "day", "late"] {
            assert_eq!(ids(&claim(&site, START, 1).await), [expected]);
        }
    }
}

on_both_databases! {
    async fn a_settled_message_is_wiped_and_never_claimed_again(site: Site) {
        let reason = || String::from("no such mailbox");
        let settlements = [("a", Settlement::Sent, "sent", None), ("b", Settlement::Expired, "expired", None),
            ("c", Settlement::Abandoned { reason: reason() }, "abandoned", Some(reason()))];
        for (id, settlement, status, last_reason) in settlements {
            queue(&site, id, START).await;
            assert_eq!(ids(&claim(&site, START, 10).await), [id]);
            assert!(!state(&site, id).await.is_wiped);
            settle(&site, id, settlement, START.plus_seconds(1)).await;
            let found = state(&site, id).await;
            assert_eq!((found.status.as_str(), found.last_reason), (status, last_reason));
            assert!(found.is_wiped, "{status}: the code is still in the database");
            assert_eq!(found.attempts, 1);
        }
        assert_eq!(next_due(&site).await, None);
        assert!(claim(&site, START.plus_seconds(9_999), 10).await.is_empty());
        assert_eq!(site.count("SELECT COUNT(*) FROM outbox WHERE settled_at IS NOT NULL").await, 3);
    }
}

on_both_databases! {
    async fn a_message_to_be_retried_waits_for_its_instant_and_keeps_its_code(site: Site) {
        queue(&site, "a", START).await;
        claim(&site, START, 10).await;
        let retry = Settlement::Retry { due_at: START.plus_seconds(8), reason: String::from("450 busy") };
        settle(&site, "a", retry, START.plus_seconds(1)).await;
        let found = state(&site, "a").await;
        assert_eq!((found.status.as_str(), found.last_reason.as_deref()), ("queued", Some("450 busy")));
        assert!(!found.is_wiped);
        assert_eq!(next_due(&site).await, Some(START.plus_seconds(8)), "its lease has expired");
        assert!(claim(&site, START.plus_seconds(7), 10).await.is_empty());
        assert_eq!(claim(&site, START.plus_seconds(8), 10).await[0].attempts, 2);
    }
}

on_both_databases! {
    async fn a_late_worker_does_not_change_a_settled_message(site: Site) {
        queue(&site, "a", START).await;
        claim(&site, START, 10).await;
        settle(&site, "a", Settlement::Sent, START).await;
        settle(&site, "a", Settlement::Abandoned { reason: String::from("late") }, START).await;
        let retry = Settlement::Retry { due_at: START, reason: String::from("late") };
        settle(&site, "a", retry, START).await;
        let found = state(&site, "a").await;
        assert_eq!((found.status.as_str(), found.last_reason), ("sent", None));
        assert!(claim(&site, START.plus_seconds(9_999), 10).await.is_empty());
    }
}

on_both_databases! {
    async fn a_late_worker_cannot_retry_a_message_that_another_has_claimed(site: Site) {
        queue(&site, "a", START).await;
        claim(&site, START, 10).await;
        let later = START.plus_seconds(LEASE_SECONDS);
        assert_eq!(claim(&site, later, 10).await[0].attempts, 2, "the first lease has ended");
        let retry = Settlement::Retry { due_at: later, reason: String::from("late") };
        settle(&site, "a", retry, later).await;
        assert_eq!(state(&site, "a").await.status.as_str(), "sending");
        assert!(claim(&site, later, 10).await.is_empty(), "the second lease holds");
        settle(&site, "a", Settlement::Sent, later).await;
        assert_eq!(state(&site, "a").await.status.as_str(), "sent", "a sent message remains sent");
    }
}

on_both_databases! {
    async fn waiting_messages_are_counted_claimed_or_not(site: Site) {
        let count = async || in_read!(site, |tx| store::outbox::count_waiting(tx).await);
        assert_eq!(count().await, 0);
        queue(&site, "a", START).await;
        queue(&site, "b", START).await;
        assert_eq!(count().await, 2);
        claim(&site, START, 1).await;
        assert_eq!(count().await, 2);
        claim(&site, START, 1).await;
        settle(&site, "a", Settlement::Sent, START).await;
        assert_eq!(count().await, 1);
    }
}

on_both_databases! {
    async fn the_sweep_leaves_what_waits_and_a_week_of_what_was_settled(site: Site) {
        for (id, seconds) in [("a", 0), ("b", 1), ("c", 0), ("d", 0)] {
            queue(&site, id, START.plus_seconds(seconds)).await;
        }
        claim(&site, START, 3).await;
        claim(&site, START.plus_seconds(1), 1).await;
        settle(&site, "a", Settlement::Sent, START).await;
        settle(&site, "b", Settlement::Expired, START.plus_seconds(1)).await;
        // "c" is being sent and "d" is to be retried: neither has ended, however old.
        settle(&site, "d", Settlement::Retry { due_at: START, reason: String::new() }, START).await;
        let sweep = async |seconds: i64| {
            let horizon = Horizon::at(START.plus_seconds(7 * 24 * 3_600 + seconds));
            in_write!(site, horizon, |tx, horizon| store::sweep::sweep(tx, horizon).await)
        };
        assert_eq!(sweep(0).await, 0);
        assert_eq!(sweep(1).await, 1);
        assert_eq!(sweep(365 * 24 * 3_600).await, 1);
        assert_eq!(site.count("SELECT COUNT(*) FROM outbox WHERE id IN ('c', 'd')").await, 2);
    }
}
