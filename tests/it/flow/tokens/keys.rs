//! The life of signing keys: published before they sign, rotated under load, kept until the last token expires, and
//! removed at once in an emergency (threats KEY-01, KEY-02, RT-09).
//!
//! The verifier is a relying party written for these tests. It knows only the key set, and loads it again when it
//! receives an unknown `kid`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use vestibule::admin::key;
use vestibule::algorithm::Algorithm;
use vestibule::sealing::Keyring;
use vestibule::store;
use vestibule::token::{KeyRecord, KeyState, KeyStep, key_life};

use super::{
    access_token, jwt_format, refresh_token, refreshed, register_with, rotating, userinfo_status,
};
use crate::fixture::{Call, Site, on_both_databases, on_sqlite};
use crate::flow::races::two_nodes;

const DAY: u64 = 86_400;

/// Takes a step as a command does: if it can be taken.
async fn take(site: &Site, step: KeyStep) -> bool {
    let taken = key::take(&site.admin(), &step, None).await;
    taken.expect("the database answers")
}

async fn tend(site: &Site) -> usize {
    let taken = key::take_due(&site.app, site.app.now()).await;
    taken.expect("the database answers")
}

async fn refresh(site: &Site) {
    site.app.refresh().await.expect("the directory is read");
}

/// The keys of an algorithm, oldest first.
async fn keys_of(site: &Site, algorithm: Algorithm) -> Vec<KeyRecord> {
    let records = key::list(&site.admin())
        .await
        .expect("the database answers");
    let of_it = records.into_iter();
    of_it.filter(|key| key.algorithm == algorithm).collect()
}

fn states(keys: &[KeyRecord]) -> Vec<KeyState> {
    keys.iter().map(|key| key.state).collect()
}

/// Publishes a next key and lets it sign, with time for both nodes to reload in between.
async fn rotate(nodes: &[&Site], algorithm: Algorithm) {
    assert!(take(nodes[0], KeyStep::Publish { algorithm }).await);
    for node in nodes {
        refresh(node).await;
    }
    let records = key::list(&nodes[0].admin()).await.unwrap();
    let id = key_life::next(&records, algorithm).unwrap().id.clone();
    assert!(take(nodes[0], KeyStep::Activate { id }).await);
}

fn kid(token: &str) -> String {
    let header = token.split('.').next().unwrap();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

/// A relying party that verifies the server's JWTs.
#[derive(Default)]
struct RelyingParty {
    keys: HashMap<String, Value>,
    fetches: usize,
}

impl RelyingParty {
    /// Verifies a token; the key set is loaded from this node when the `kid` is unknown.
    async fn verifies(&mut self, node: &Site, token: &str) -> bool {
        let kid = kid(token);
        if !self.keys.contains_key(&kid) {
            self.fetches += 1;
            let set = node.send(Call::get("/id/keys")).await.expect_ok().json();
            let keys = set["keys"].as_array().unwrap().iter();
            self.keys = keys
                .map(|key| (key["kid"].as_str().unwrap().to_owned(), key.clone()))
                .collect();
        }
        self.keys.get(&kid).is_some_and(|key| verify(key, token))
    }
}

fn verify(key: &Value, token: &str) -> bool {
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let signed = signed.as_bytes();
    let verified = match key["kty"].as_str().unwrap() {
        "RSA" => RsaPublicKeyComponents {
            n: bytes("n"),
            e: bytes("e"),
        }
        .verify(&RSA_PKCS1_2048_8192_SHA256, signed, &signature),
        "EC" => {
            let point = [vec![4], bytes("x"), bytes("y")].concat();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed, &signature)
        }
        _ => UnparsedPublicKey::new(&ED25519, bytes("x")).verify(signed, &signature),
    };
    verified.is_ok()
}

on_both_databases! {
    async fn a_key_is_published_before_it_signs_and_after_it_has_signed(site: Site) {
        let policies = json!({"accessTokenFormat": "jwt", "accessTokenLifetimeSeconds": 86_400});
        site.update_client(&site.client.id, policies).await;
        assert_eq!(tend(&site).await, 0, "all keys are young");
        site.advance(Duration::from_secs(89 * DAY - 1));
        assert_eq!(tend(&site).await, 0);
        site.advance(Duration::from_secs(1));
        assert_eq!(tend(&site).await, 3, "one of each algorithm is published");
        assert_eq!(tend(&site).await, 0);
        let keys = keys_of(&site, Algorithm::RS256).await;
        assert_eq!(states(&keys), [KeyState::Current, KeyState::Next]);
        let (old, new) = (&keys[0].id, &keys[1].id);

        let mut relying_party = RelyingParty::default();
        let before = site.register("a@example.com").await;
        assert_eq!(kid(access_token(&before)), *old, "the next key does not sign yet");
        assert!(relying_party.verifies(&site, access_token(&before)).await);
        assert!(relying_party.keys.contains_key(new), "but it is published");

        site.advance(Duration::from_secs(DAY - 1));
        assert_eq!(tend(&site).await, 0);
        let last = site.register("b@example.com").await;
        site.advance(Duration::from_secs(1));
        assert_eq!(tend(&site).await, 3);
        let after = site.register("c@example.com").await;
        assert_eq!((kid(access_token(&last)), kid(access_token(&after))), (old.clone(), new.clone()));
        // A relying party that loaded the set a day ago has the key that signs now.
        assert!(relying_party.verifies(&site, access_token(&after)).await);
        assert_eq!(relying_party.fetches, 1);

        site.advance(Duration::from_secs(DAY - 2));
        assert_eq!(tend(&site).await, 0);
        assert_eq!(userinfo_status(&site, access_token(&last)).await, 200, "to its last second");
        assert!(RelyingParty::default().verifies(&site, access_token(&last)).await);
        site.advance(Duration::from_secs(3_602));
        assert_eq!(tend(&site).await, 3, "the retired keys go");
        assert!(!RelyingParty::default().verifies(&site, access_token(&last)).await);
        assert_eq!(states(&keys_of(&site, Algorithm::RS256).await), [KeyState::Current]);
    }
}

on_both_databases! {
    async fn of_two_nodes_that_see_a_step_due_one_takes_it(site: Site) {
        let nodes = two_nodes(site).await;
        nodes[0].advance(Duration::from_secs(89 * DAY));
        let (one, other) = tokio::join!(tend(&nodes[0]), tend(&nodes[1]));
        assert_eq!(one + other, 3);
        nodes[0].advance(Duration::from_secs(DAY));
        for node in &nodes {
            refresh(node).await;
        }
        let (one, other) = tokio::join!(tend(&nodes[0]), tend(&nodes[1]));
        assert_eq!(one + other, 3);
        for algorithm in Algorithm::ALL {
            let keys = keys_of(&nodes[0], algorithm).await;
            assert_eq!(states(&keys), [KeyState::Retired, KeyState::Current], "{algorithm:?}");
        }
        // Of each algorithm a key was published, and then activated in the place of one that was retired.
        let count = nodes[0].count("SELECT COUNT(*) FROM audit_event
            WHERE event LIKE 'key.%' AND detail LIKE '%\"kind\":\"server\"%'");
        assert_eq!(count.await, 9);
    }
}

on_both_databases! {
    async fn rt_09_a_refresh_during_rotation_signs_with_the_new_key_and_old_id_tokens_verify(site: Site) {
        let first = register_with(&site, rotating(), "janice@example.com").await;
        rotate(&[&site], Algorithm::RS256).await;
        refresh(&site).await;
        let second = refreshed(&site, refresh_token(&first)).await;
        let (old, new) = (first["id_token"].as_str().unwrap(), second["id_token"].as_str().unwrap());
        assert_ne!(kid(old), kid(new));
        let mut relying_party = RelyingParty::default();
        assert!(relying_party.verifies(&site, old).await && relying_party.verifies(&site, new).await);
        assert_eq!(userinfo_status(&site, access_token(&first)).await, 200, "no user is logged out");
        refreshed(&site, refresh_token(&second)).await;
    }
}

on_both_databases! {
    async fn key_01_no_verifier_that_asks_again_meets_a_key_that_it_cannot_find(site: Site) {
        let policies = json!({"accessTokenFormat": "jwt", "accessTokenSigningAlg": "EdDSA"});
        site.update_client(&site.integration.id, policies).await;
        let nodes = two_nodes(site).await;
        refresh(&nodes[1]).await;
        let (done, verified) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let tasks: Vec<_> = (0..8).map(|number| {
            let (nodes, done, verified) = (nodes.clone(), done.clone(), verified.clone());
            tokio::spawn(async move {
                let mut relying_party = RelyingParty::default();
                let mut turn = number;
                while !done.load(Ordering::Relaxed) {
                    // The token is issued by one node and the key set loaded from the other.
                    let token = nodes[turn % 2].integration_token(None).await;
                    let is_good = relying_party.verifies(&nodes[(turn + 1) % 2], &token).await;
                    assert!(is_good, "a token that cannot be verified");
                    verified.fetch_add(1, Ordering::Relaxed);
                    turn += 1;
                    // On SQLite nothing else would let the other tasks run.
                    tokio::task::yield_now().await;
                }
                relying_party.fetches
            })
        }).collect();
        let some_more = async || {
            let enough = verified.load(Ordering::Relaxed) + 40;
            while verified.load(Ordering::Relaxed) < enough && !tasks.iter().any(|task| task.is_finished()) {
                tokio::task::yield_now().await;
            }
        };
        for _ in 0..3 {
            some_more().await;
            rotate(&[&nodes[0], &nodes[1]], Algorithm::EdDSA).await;
            some_more().await;
            refresh(&nodes[0]).await;
            some_more().await;
            refresh(&nodes[1]).await;
        }
        some_more().await;
        done.store(true, Ordering::Relaxed);
        for task in tasks {
            let fetches = task.await.expect("every token verified");
            assert!((1..=4).contains(&fetches), "{fetches} fetches for four keys");
        }
        assert_eq!(keys_of(&nodes[0], Algorithm::EdDSA).await.len(), 4, "all of them are kept");
    }
}

on_both_databases! {
    async fn key_02_the_tokens_of_a_removed_key_are_refused_on_every_node(site: Site) {
        site.update_client(&site.client.id, jwt_format()).await;
        let nodes = two_nodes(site).await;
        let tokens = nodes[0].register("janice@example.com").await;
        let stolen = keys_of(&nodes[0], Algorithm::RS256).await.remove(0);
        let remove = || KeyStep::Remove { id: stolen.id.clone() };
        assert!(!take(&nodes[0], remove()).await, "no key could sign any more");
        assert!(take(&nodes[0], KeyStep::Publish { algorithm: Algorithm::RS256 }).await);
        for node in &nodes {
            refresh(node).await;
            assert_eq!(userinfo_status(node, access_token(&tokens)).await, 200);
        }
        assert!(take(&nodes[0], remove()).await);
        for node in &nodes {
            refresh(node).await;
            assert_eq!(userinfo_status(node, access_token(&tokens)).await, 401);
            assert!(!RelyingParty::default().verifies(node, access_token(&tokens)).await);
        }
        let again = nodes[1].register("other@example.com").await;
        assert_ne!(kid(access_token(&again)), stolen.id);
        assert_eq!(userinfo_status(&nodes[0], access_token(&again)).await, 200);
        assert!(!take(&nodes[0], remove()).await, "it is gone");
    }
}

on_sqlite! {
    async fn a_next_key_rests_sealed_for_this_installation_and_this_row(site: Site) {
        assert!(take(&site, KeyStep::Publish { algorithm: Algorithm::ES256 }).await);
        assert!(!take(&site, KeyStep::Publish { algorithm: Algorithm::ES256 }).await, "there is one");
        let listed = site.app.store.read("test.list", &(), |tx, ()| Box::pin(store::signing_key::list(tx)));
        let keys = listed.await.unwrap();
        let next = keys.iter().find(|key| key.record.state == KeyState::Next).unwrap();
        let opened = next.open(&site.app.keyring).unwrap();
        assert_eq!(opened.record, next.record);
        assert!(next.open(&Keyring::new(&[1; 32])).is_err());
        let mut moved = next.clone();
        // Any other row; the list is in the order of random ids, so the row itself may come first.
        let other = keys.iter().find(|key| key.record.id != next.record.id).unwrap();
        moved.record.id = other.record.id.clone();
        assert!(moved.open(&site.app.keyring).is_err());
    }
}
