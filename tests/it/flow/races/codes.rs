//! One-time passwords and authorization codes: each succeeds once, and no more guesses are compared than there are
//! attempts.

use std::sync::Arc;
use std::time::Duration;

use vestibule::store;
use vestibule::verification::Origin;
use vestibule_protocol::purpose::Purpose;

use super::{WIDTH, all_at_once, codes_to, rounds, two_nodes, won_and_lost, wrong};
use crate::fixture::{Answer, Call, on_both_databases};

/// The attempts of a code in the default rules.
const TRIES: usize = 5;

#[track_caller]
fn assert_is_authentication_failure(answer: &Answer) {
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert!(
        answer.body.contains("authentication failure"),
        "{}",
        answer.body
    );
    assert_eq!(answer.header("location"), None);
}

on_both_databases! {
    async fn code_02_concurrent_redemptions_of_a_code_succeed_once_and_revoke_the_token(site: Site) {
        let nodes = two_nodes(site).await;
        for round in 0..rounds() {
            let code = nodes[0].registered_code(&format!("u{round}@example.com")).await;
            let calls = (0..WIDTH).map(|_| nodes[0].token_call(&code)).collect();
            let (won, lost) = won_and_lost(all_at_once(&nodes, calls).await, 200);
            assert_eq!(won.len(), 1, "round {round}");
            for answer in &lost {
                assert_eq!((answer.status, &answer.json()["error"]), (400, &"invalid_grant".into()));
            }
            // The others were replays, and a replay revokes the tokens of the code.
            let answer = won[0].json();
            let call = Call::get("/services/oauth2/userinfo").bearer(answer["access_token"].as_str().unwrap());
            assert!(matches!(nodes[1].send(call).await.status, 401 | 403), "round {round}: the token lives");
        }
        let rounds = i64::try_from(rounds()).unwrap();
        assert_eq!(nodes[0].count("SELECT COUNT(*) FROM access_token WHERE code_hash IS NOT NULL").await, rounds);
        assert_eq!(nodes[0].count("SELECT COUNT(*) FROM access_token WHERE code_hash IS NOT NULL AND revoked_at IS NULL").await, 0);
    }
}

on_both_databases! {
    async fn otp_02_parallel_guesses_are_limited_to_the_attempts_and_the_right_code_is_too_late(site: Site) {
        let nodes = two_nodes(site).await;
        for round in 0..rounds() {
            let username = format!("u{round}@example.com");
            let identifier = nodes[0].pending(&username).await;
            let code = nodes[0].code_to(&username).await;
            let calls = (0..WIDTH).map(|number| nodes[0].authorize_call(&identifier, &wrong(&code, number)));
            for answer in all_at_once(&nodes, calls.collect()).await {
                assert_is_authentication_failure(&answer);
            }
            assert_eq!(nodes[0].count("SELECT MIN(tries) FROM code_try").await, 5, "round {round}");
            for node in &nodes {
                assert_is_authentication_failure(&node.send(node.authorize_call(&identifier, &code)).await);
            }
            assert!(nodes[0].user(&username).await.is_none());
        }
    }
}

on_both_databases! {
    async fn otp_02_of_many_that_spend_a_try_as_many_are_answered_as_there_are_tries(site: Site) {
        let nodes = two_nodes(site).await;
        let identifier = nodes[0].pending("a@example.com").await;
        nodes[0].code_to("a@example.com").await;
        let origin = Origin { site_id: nodes[0].entry("private").site.id.clone(), network: "192.0.2.1".parse().unwrap() };
        let hash = vestibule::sealing::sha256(identifier.as_bytes());
        let spends = (0..WIDTH).map(|number| {
            let (node, input) = (nodes[number % 2].clone(), (hash, origin.clone(), nodes[0].app.now()));
            tokio::spawn(async move {
                let spent = node.app.store.write("test.spend", input, |tx, (hash, origin, at)| {
                    Box::pin(store::challenge::spend_try(tx, hash, Purpose::Registration, origin, *at))
                });
                spent.await.expect("the database answers").is_some()
            })
        });
        let spent = futures_util::future::join_all(spends).await;
        let count = spent.into_iter().filter(|spent| *spent.as_ref().expect("no panic")).count();
        assert_eq!(count, TRIES, "each comparison took a try of its own");
    }
}

on_both_databases! {
    async fn otp_03_the_right_code_many_times_at_once_succeeds_once(site: Site) {
        let nodes = two_nodes(site).await;
        for round in 0..rounds() {
            let username = format!("u{round}@example.com");
            let identifier = nodes[0].pending(&username).await;
            let code = nodes[0].code_to(&username).await;
            let calls = (0..WIDTH).map(|_| nodes[0].authorize_call(&identifier, &code)).collect();
            let (won, lost) = won_and_lost(all_at_once(&nodes, calls).await, 302);
            assert_eq!(won.len(), 1, "round {round}");
            lost.iter().for_each(assert_is_authentication_failure);
        }
        let rounds = i64::try_from(rounds()).unwrap();
        // One more: the integration user.
        assert_eq!(nodes[0].count("SELECT COUNT(*) FROM app_user").await, rounds + 1);
        assert_eq!(nodes[0].count("SELECT COUNT(*) FROM credential").await, rounds);
        assert_eq!(nodes[0].count("SELECT COUNT(*) FROM authorization_code").await, rounds);
        assert_eq!(nodes[0].count("SELECT COUNT(*) FROM audit_event WHERE event = 'user.registered'").await, rounds);
    }
}

on_both_databases! {
    async fn otp_03_right_and_wrong_codes_at_once_succeed_at_most_once(site: Site) {
        let nodes = two_nodes(site).await;
        for round in 0..rounds() {
            let username = format!("u{round}@example.com");
            let identifier = nodes[0].pending(&username).await;
            let code = nodes[0].code_to(&username).await;
            let calls = (0..WIDTH).map(|number| match number % 5 {
                0 => nodes[0].authorize_call(&identifier, &code),
                _ => nodes[0].authorize_call(&identifier, &wrong(&code, number)),
            });
            let (won, lost) = won_and_lost(all_at_once(&nodes, calls.collect()).await, 302);
            assert!(won.len() <= 1, "round {round}: {} succeeded", won.len());
            lost.iter().for_each(assert_is_authentication_failure);
            assert_eq!(nodes[0].user(&username).await.is_some(), won.len() == 1);
        }
    }
}

on_both_databases! {
    async fn otp_06_codes_of_two_people_do_not_open_each_others_request(site: Site) {
        let one = site.pending("one@example.com").await;
        let two = site.pending("two@example.com").await;
        let recipients = ["one@example.com", "two@example.com"].map(String::from);
        let codes = codes_to(&site, &recipients).await;
        assert_ne!(codes[0], codes[1], "chance, one in a million: run it again");
        for (identifier, code) in [(&one, &codes[1]), (&two, &codes[0])] {
            assert_is_authentication_failure(&site.send(site.authorize_call(identifier, code)).await);
        }
        assert_eq!(site.count("SELECT COUNT(*) FROM code_try WHERE tries = 1").await, 2, "each was counted");
        for (identifier, code) in [(&one, &codes[0]), (&two, &codes[1])] {
            site.send(site.authorize_call(identifier, code)).await.expect_status(302);
        }
    }
}

on_both_databases! {
    async fn otp_15_a_used_code_is_refused_at_once_later_and_on_another_node(site: Site) {
        let identifier = site.pending("a@example.com").await;
        let code = site.code_to("a@example.com").await;
        let again = site.authorize_call(&identifier, &code);
        site.send(again.clone()).await.expect_status(302);
        let user = format!("{:?}", site.user("a@example.com").await);
        let other = site.another_node().await;
        for pause in [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(3_600)] {
            site.advance(pause);
            for node in [&site, &other] {
                assert_is_authentication_failure(&node.send(again.clone()).await);
            }
        }
        assert_eq!(format!("{:?}", site.user("a@example.com").await), user);
        assert_eq!(site.count("SELECT COUNT(*) FROM authorization_code").await, 1);
    }
}

on_both_databases! {
    async fn otp_18_a_code_opens_no_other_of_many_requests(site: Site) {
        let nodes = [Arc::new(site)];
        let site = &nodes[0];
        let count = 10 * rounds();
        let recipients: Vec<String> = (0..count).map(|number| format!("u{number}@example.com")).collect();
        let mut identifiers = Vec::new();
        for recipient in &recipients {
            identifiers.push(site.pending(recipient).await);
        }
        let codes = codes_to(site, &recipients).await;
        // Another request with the same code by chance is not a failure.
        let others = (1..count).filter(|number| codes[*number] != codes[0]);
        let calls: Vec<Call> = others.map(|number| site.authorize_call(&identifiers[number], &codes[0])).collect();
        assert!(!calls.is_empty());
        for answer in all_at_once(&nodes, calls).await {
            assert_is_authentication_failure(&answer);
        }
        assert_eq!(site.count("SELECT COUNT(*) FROM app_user").await, 1);
        site.send(site.authorize_call(&identifiers[0], &codes[0])).await.expect_status(302);
    }
}
