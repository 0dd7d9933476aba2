//! Expiry: challenges, authorization codes, access tokens, and the sweep that deletes them. Every boundary is
//! tested to the millisecond.

use std::time::Duration;

use vestibule::identity::User;
use vestibule::moment::Moment;
use vestibule::store;
use vestibule::store::challenge::CodeScope;
use vestibule::store::code::{AuthorizationCode, Presenter, Spent};
use vestibule::store::sweep::{Horizon, ROWS_MAX};
use vestibule::store::token::AccessToken;
use vestibule::verification::{Challenge, Origin, Requester, RequesterClass, SentCode, Target};
use vestibule_protocol::headless::VerificationMethod;
use vestibule_protocol::purpose::Purpose;

use super::people::user;
use super::{in_read, in_write};
use crate::fixture::{START, Site, on_both_databases};

const SITE_ID: &str = "0DB000000000001AAA";
const MILLISECOND: Duration = Duration::from_millis(1);

/// `at` moved by milliseconds, which may be negative.
fn moved(at: Moment, millis: i64) -> Moment {
    Moment::from_millis(at.millis() + millis)
}

fn challenge(hash: u8) -> Challenge {
    Challenge {
        identifier_hash: [hash; 32],
        purpose: Purpose::Registration,
        site_id: SITE_ID.to_owned(),
        channel: VerificationMethod::Sms,
        is_channel_named: true,
        target: Target {
            key: String::from("a+tag@example.com"),
            budget_key: String::from("a@example.com"),
        },
        requester: requester("192.0.2.1"),
        code: SentCode {
            seed: [hash; 32],
            first_sent_at: START,
            sealed: vec![7],
        },
        code_mac: Some([200; 32]),
        tries: 3,
        payload: Some(String::from("{\"a\":\"ü\"}")),
        created_at: START,
        expires_at: START.plus_seconds(600),
    }
}

fn requester(network: &str) -> Requester {
    Requester {
        reference_key: "reference".to_owned(),
        network: network.to_owned(),
        class: RequesterClass::Other,
    }
}

fn origin(site_id: &str, network: &str) -> Origin {
    Origin {
        site_id: site_id.to_owned(),
        network: network.parse().unwrap(),
    }
}

async fn insert_challenge(site: &Site, challenge: &Challenge) {
    in_write!(site, challenge.clone(), |tx, row| store::challenge::insert(
        tx, row
    )
    .await);
}

async fn spend_try(site: &Site, hash: u8, at: Moment) -> Option<Challenge> {
    spend_try_from(site, hash, "192.0.2.1", at).await
}

async fn spend_try_from(site: &Site, hash: u8, network: &str, at: Moment) -> Option<Challenge> {
    let input = (hash, origin(SITE_ID, network), at);
    in_write!(site, input, |tx, input| store::challenge::spend_try(
        tx,
        &[input.0; 32],
        Purpose::Registration,
        &input.1,
        input.2
    )
    .await)
}

on_both_databases! {
    async fn a_challenge_is_loaded_unchanged(site: Site) {
        let saved = challenge(1);
        insert_challenge(&site, &saved).await;
        let spent = spend_try(&site, 1, START).await.expect("it is open");
        assert_eq!(format!("{spent:?}"), format!("{saved:?}"));
        assert_eq!((spent.requester, spent.code), (saved.requester, saved.code));
        let mut decoy = challenge(2);
        (decoy.code_mac, decoy.payload) = (None, None);
        (decoy.channel, decoy.is_channel_named) = (VerificationMethod::Email, false);
        insert_challenge(&site, &decoy).await;
        let spent = spend_try(&site, 2, START).await.expect("a decoy is spent like any other");
        assert_eq!(format!("{spent:?}"), format!("{decoy:?}"));
    }
}

on_both_databases! {
    async fn tries_are_spent_down_to_none_and_never_below(site: Site) {
        insert_challenge(&site, &challenge(1)).await;
        let mut spent = Vec::new();
        for _ in 0..5 {
            spent.push(spend_try(&site, 1, START).await.is_some());
        }
        assert_eq!(spent, [true, true, true, false, false]);
        assert_eq!(site.count("SELECT tries FROM code_try").await, 3);
        // Another network has attempts of its own, and so has another code.
        assert!(spend_try_from(&site, 1, "198.51.100.7", START).await.is_some());
        insert_challenge(&site, &challenge(2)).await;
        assert!(spend_try(&site, 2, START).await.is_some());
    }
}

on_both_databases! {
    async fn challenges_of_one_code_share_its_attempts_and_are_closed_together(site: Site) {
        insert_challenge(&site, &challenge(1)).await;
        let again = Challenge { code: challenge(1).code, ..challenge(2) };
        insert_challenge(&site, &again).await;
        insert_challenge(&site, &challenge(3)).await;
        for hash in [1, 2, 1] {
            assert!(spend_try(&site, hash, START).await.is_some());
        }
        assert!(spend_try(&site, 2, START).await.is_none(), "three attempts, by either identifier");
        assert!(in_write!(site, (), |tx, _in| store::challenge::close(tx, &[2; 32], START).await));
        assert!(!in_write!(site, (), |tx, _in| store::challenge::close(tx, &[1; 32], START).await));
        assert_eq!(site.count("SELECT COUNT(*) FROM challenge WHERE closed_at IS NULL").await, 1, "another code");
    }
}

on_both_databases! {
    async fn a_code_is_live_until_its_first_comparison_its_use_or_the_end_of_one_lifetime(site: Site) {
        let saved = challenge(1);
        let subject = |channel| CodeScope {
            reference_key: saved.requester.reference_key.clone(), purpose: saved.purpose, site_id: SITE_ID.to_owned(), channel,
            lifetime_seconds: 600,
        };
        let live = async |channel, at| in_read!(site, &(subject(channel), at), |tx, sought| {
            store::challenge::find_live_code(tx, &sought.0, sought.1).await
        });
        let sms = VerificationMethod::Sms;
        assert_eq!(live(sms, START).await, None);
        insert_challenge(&site, &saved).await;
        assert_eq!(live(sms, START).await, Some(saved.code.clone()));
        assert_eq!(live(VerificationMethod::Email, START).await, None, "another channel");
        // Sent again, it is valid for longer, and is still sent again for one lifetime only.
        let again = Challenge {
            code: saved.code.clone(), created_at: START.plus_seconds(300), expires_at: START.plus_seconds(900), ..challenge(2)
        };
        insert_challenge(&site, &again).await;
        assert_eq!(live(sms, moved(START.plus_seconds(600), -1)).await, Some(saved.code.clone()));
        assert_eq!(live(sms, START.plus_seconds(600)).await, None);
        assert!(spend_try(&site, 2, START.plus_seconds(601)).await.is_some(), "and can be used");
        assert_eq!(live(sms, START).await, None, "a code was presented for it");
        insert_challenge(&site, &challenge(3)).await;
        in_write!(site, (), |tx, _in| store::challenge::close(tx, &[3; 32], START).await);
        assert_eq!(live(sms, START).await, None, "it is used");
    }
}

on_both_databases! {
    async fn a_reset_is_found_by_its_text_the_own_network_first_and_decoys_last(site: Site) {
        let found = async |network: &str| in_read!(site, &requester(network), |tx, requester| {
            store::challenge::find_by_reference(tx, Purpose::Registration, requester, SITE_ID, START).await
        }).map(|begun| (begun.identifier_hash[0], begun.is_spent));
        assert_eq!(found("192.0.2.1").await, None);
        let later = |hash, seconds| Challenge { created_at: START.plus_seconds(seconds), ..challenge(hash) };
        insert_challenge(&site, &later(1, 0)).await;
        insert_challenge(&site, &Challenge { requester: requester("198.51.100.7"), ..later(2, 1) }).await;
        insert_challenge(&site, &Challenge { requester: requester("203.0.113.9"), code_mac: None, ..later(3, 2) }).await;
        assert_eq!(found("192.0.2.1").await, Some((1, false)));
        assert_eq!(found("198.51.100.7").await, Some((2, false)));
        assert_eq!(found("203.0.113.9").await, Some((3, false)));
        assert_eq!(found("192.0.2.200").await, Some((2, false)), "a network that began none");
        for _ in 0..3 {
            spend_try(&site, 1, START).await;
        }
        assert_eq!(found("192.0.2.1").await, Some((1, true)));
        assert_eq!(found("198.51.100.7").await, Some((2, false)), "each network has its own attempts");
    }
}

on_both_databases! {
    async fn otp_16_a_try_is_spent_until_the_last_millisecond(site: Site) {
        let saved = challenge(1);
        insert_challenge(&site, &saved).await;
        assert!(spend_try(&site, 1, saved.expires_at).await.is_none());
        assert!(spend_try(&site, 1, saved.expires_at + MILLISECOND).await.is_none());
        assert!(spend_try(&site, 1, moved(saved.expires_at, -1)).await.is_some());
        assert_eq!(site.count("SELECT tries FROM code_try").await, 1, "a late try is not counted");
    }
}

on_both_databases! {
    async fn a_challenge_is_spent_only_at_its_site_and_by_its_identifier(site: Site) {
        insert_challenge(&site, &challenge(1)).await;
        assert!(spend_try(&site, 2, START).await.is_none());
        let elsewhere = in_write!(site, (), |tx, _in| {
            let origin = origin("0DB000000000002AAA", "192.0.2.1");
            store::challenge::spend_try(tx, &[1; 32], Purpose::Registration, &origin, START).await
        });
        assert!(elsewhere.is_none());
        assert_eq!(site.count("SELECT COUNT(*) FROM code_try").await, 0);
    }
}

on_both_databases! {
    async fn a_challenge_is_closed_once_and_loses_what_it_carried(site: Site) {
        insert_challenge(&site, &challenge(1)).await;
        insert_challenge(&site, &challenge(2)).await;
        let close = async || in_write!(site, (), |tx, _in| store::challenge::close(tx, &[1; 32], START).await);
        assert!(close().await);
        assert!(!close().await, "the second has lost the race");
        assert!(spend_try(&site, 1, START).await.is_none());
        assert_eq!(site.count("SELECT COUNT(*) FROM challenge WHERE payload IS NULL AND closed_at IS NOT NULL").await, 1);
        assert!(spend_try(&site, 2, START).await.is_some(), "the other is untouched");
        assert!(!in_write!(site, (), |tx, _in| store::challenge::close(tx, &[9; 32], START).await), "there is none such");
    }
}

on_both_databases! {
    async fn an_identifier_is_given_once(site: Site) {
        insert_challenge(&site, &challenge(1)).await;
        let twin = Challenge { tries: 99, ..challenge(1) };
        let written = site.app.store.write("test.write", twin, |tx, row| Box::pin(store::challenge::insert(tx, row)));
        written.await.expect_err("the identifier is the primary key");
        assert_eq!(site.count("SELECT tries_left FROM challenge").await, 3);
    }
}

on_both_databases! {
    async fn a_newer_challenge_ends_the_open_older_ones_of_its_text_and_site_only(site: Site) {
        insert_challenge(&site, &challenge(1)).await;
        insert_challenge(&site, &challenge(2)).await;
        let other_text = Requester { reference_key: "other".into(), ..requester("192.0.2.1") };
        insert_challenge(&site, &Challenge { requester: other_text, ..challenge(3) }).await;
        insert_challenge(&site, &Challenge { site_id: "0DB000000000002AAA".into(), ..challenge(4) }).await;
        insert_challenge(&site, &Challenge { requester: requester("198.51.100.7"), ..challenge(5) }).await;
        let newer = Challenge { created_at: START.plus_seconds(5), ..challenge(6) };
        let ended = in_write!(site, newer, |tx, newer| store::challenge::end_older(tx, newer).await);
        assert_eq!(ended, 3, "from whatever network they were asked for");
        for (hash, is_open) in [(1, false), (2, false), (3, true), (5, false)] {
            assert_eq!(spend_try(&site, hash, START).await.is_some(), is_open, "{hash}");
        }
        assert_eq!(site.count("SELECT COUNT(*) FROM challenge WHERE closed_at IS NULL").await, 2);
        assert_eq!(site.count("SELECT COUNT(*) FROM challenge WHERE payload IS NULL").await, 3);
    }
}

on_both_databases! {
    async fn the_budget_counts_what_came_after_an_instant_open_or_closed(site: Site) {
        for (hash, seconds) in [(1, 0), (2, 10), (3, 20)] {
            insert_challenge(&site, &Challenge { created_at: START.plus_seconds(seconds), ..challenge(hash) }).await;
        }
        let target = Target { key: "b@example.com".into(), budget_key: "b@example.com".into() };
        insert_challenge(&site, &Challenge { target, ..challenge(4) }).await;
        in_write!(site, (), |tx, _in| store::challenge::close(tx, &[2; 32], START).await);
        let count = async |since: Moment| in_read!(site, &since, |tx, since| {
            let (target, requester) = (challenge(1).target, requester("192.0.2.1"));
            store::challenge::count_by_class(tx, &target, &requester, Purpose::Registration, *since).await
        });
        let count = async |since| { let counted = count(since).await; (counted.count, counted.first_at) };
        assert_eq!(count(moved(START, -1)).await, (3, Some(START)));
        assert_eq!(count(START).await, (2, Some(START.plus_seconds(10))), "the instant itself is outside");
        assert_eq!(count(START.plus_seconds(20)).await, (0, None));
    }
}

fn code(hash: u8) -> AuthorizationCode {
    AuthorizationCode {
        code_hash: [hash; 32],
        client_id: String::from("3MVGa"),
        user_id: String::from("005a"),
        site_id: SITE_ID.to_owned(),
        redirect_uri: REDIRECT_URI.to_owned(),
        code_challenge: Some(String::from("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")),
        scope: String::from("openid api"),
        state: Some(String::from("x y&z\u{e9}")),
        nonce: Some(String::from("n-0S6_WzA2Mj")),
        auth_at: START.plus_seconds(-3),
        amr: String::from("otp"),
        session_generation: 0,
        expires_at: START.plus_seconds(60),
        uvid: None,
        client_key: None,
    }
}

/// The redirect URI of every code here.
const REDIRECT_URI: &str = "https://app.example/cb?x=%20";

async fn insert_code(site: &Site, code: &AuthorizationCode) {
    in_write!(site, code.clone(), |tx, row| store::code::insert(tx, row)
        .await);
}

async fn spend(
    site: &Site,
    hash: u8,
    client_id: &'static str,
    site_id: &'static str,
    at: Moment,
) -> Spent {
    in_write!(site, (hash, client_id, site_id, at), |tx, input| {
        let presenter = Presenter {
            client_id: input.1,
            site_id: input.2,
            redirect_uri: Some(REDIRECT_URI),
        };
        store::code::spend(tx, &[input.0; 32], presenter, input.3).await
    })
}

on_both_databases! {
    async fn code_03_another_redirect_uri_does_not_spend_a_code(site: Site) {
        insert_code(&site, &code(1)).await;
        for redirect_uri in [None, Some(""), Some("https://app.example.com/other")] {
            let spent = in_write!(site, redirect_uri, |tx, redirect_uri| {
                let presenter = Presenter { client_id: "3MVGa", site_id: SITE_ID, redirect_uri: *redirect_uri };
                store::code::spend(tx, &[1; 32], presenter, START).await
            });
            assert!(matches!(spent, Spent::OtherRedirect), "{redirect_uri:?}: {spent:?}");
        }
        assert!(matches!(spend(&site, 1, "3MVGa", SITE_ID, START).await, Spent::Now(_)));
    }
}

on_both_databases! {
    async fn code_01_a_code_is_returned_unchanged_and_once(site: Site) {
        let saved = code(1);
        insert_code(&site, &saved).await;
        let Spent::Now(spent) = spend(&site, 1, "3MVGa", SITE_ID, START).await else { panic!("it is good") };
        assert_eq!(format!("{spent:?}"), format!("{saved:?}"));
        assert!(matches!(spend(&site, 1, "3MVGa", SITE_ID, START).await, Spent::Before { .. }));
        // A replay is reported as such while the row exists.
        let late = saved.expires_at.plus_seconds(3_600);
        assert!(matches!(spend(&site, 1, "3MVGa", SITE_ID, late).await, Spent::Before { .. }));
    }
}

on_both_databases! {
    async fn an_absent_column_of_a_code_is_absent_when_loaded(site: Site) {
        let saved = AuthorizationCode { code_challenge: None, state: None, nonce: None, ..code(1) };
        insert_code(&site, &saved).await;
        let Spent::Now(spent) = spend(&site, 1, "3MVGa", SITE_ID, START).await else { panic!("it is good") };
        assert_eq!(format!("{spent:?}"), format!("{saved:?}"));
    }
}

on_both_databases! {
    async fn code_07_a_code_is_valid_until_its_last_millisecond(site: Site) {
        insert_code(&site, &code(1)).await;
        let end = code(1).expires_at;
        assert!(matches!(spend(&site, 1, "3MVGa", SITE_ID, end + MILLISECOND).await, Spent::Expired));
        assert!(matches!(spend(&site, 1, "3MVGa", SITE_ID, end).await, Spent::Expired));
        assert!(matches!(spend(&site, 1, "3MVGa", SITE_ID, moved(end, -1)).await, Spent::Now(_)));
    }
}

on_both_databases! {
    async fn code_05_another_client_or_site_does_not_touch_a_code(site: Site) {
        insert_code(&site, &code(1)).await;
        assert!(matches!(spend(&site, 1, "3MVGb", SITE_ID, START).await, Spent::NotIts));
        assert!(matches!(spend(&site, 1, "3MVGa", "0DB000000000002AAA", START).await, Spent::NotIts));
        assert!(matches!(spend(&site, 2, "3MVGa", SITE_ID, START).await, Spent::Unknown));
        assert!(matches!(spend(&site, 1, "3MVGa", SITE_ID, START).await, Spent::Now(_)));
        assert!(matches!(spend(&site, 1, "3MVGb", SITE_ID, START).await, Spent::NotIts));
    }
}

fn token(hash: u8, user: &User) -> AccessToken {
    AccessToken {
        token_hash: [hash; 32],
        code_hash: Some([100; 32]),
        client_id: String::from("3MVGa"),
        user_id: user.id.clone(),
        site_id: SITE_ID.to_owned(),
        scope: String::from("openid api"),
        session_generation: 0,
        issued_at: START,
        expires_at: START.plus_seconds(7_200),
    }
}

/// Inserts a user and tokens of the user.
async fn insert_tokens(site: &Site, tokens: impl Fn(&User) -> Vec<AccessToken>) -> User {
    let user = user(site, "005000000000001AAA", "janice@example.com").await;
    let rows = tokens(&user);
    in_write!(site, (user.clone(), rows), |tx, input| {
        store::user::insert(tx, &input.0).await?;
        for token in &input.1 {
            store::token::insert(tx, token).await?;
        }
        Ok(())
    });
    user
}

async fn is_live(site: &Site, hash: u8, at: Moment) -> bool {
    in_read!(site, &(hash, at), |tx, input| store::token::find_live(
        tx,
        &[input.0; 32],
        input.1
    )
    .await)
    .is_some()
}

on_both_databases! {
    async fn a_live_token_is_loaded_with_its_user(site: Site) {
        let user = insert_tokens(&site, |user| vec![token(1, user)]).await;
        let found = in_read!(site, |tx| store::token::find_live(tx, &[1; 32], START).await).expect("it lives");
        assert_eq!(found.client_id, "3MVGa");
        assert_eq!(found.site_id, SITE_ID);
        assert_eq!(found.scope, "openid api");
        assert_eq!((found.issued_at, found.expires_at), (START, START.plus_seconds(7_200)));
        assert_eq!(format!("{:?}", found.user), format!("{user:?}"));
        assert!(!is_live(&site, 2, START).await);
        let end = START.plus_seconds(7_200);
        assert!(is_live(&site, 1, moved(end, -1)).await);
        assert!(!is_live(&site, 1, end).await);
    }
}

on_both_databases! {
    async fn a_revocation_takes_every_token_of_one_code_and_no_other(site: Site) {
        insert_tokens(&site, |user| {
            let of_another = AccessToken { code_hash: Some([101; 32]), ..token(3, user) };
            let of_none = AccessToken { code_hash: None, ..token(4, user) };
            vec![token(1, user), token(2, user), of_another, of_none]
        }).await;
        let revoke = async || in_write!(site, (), |tx, _in| store::token::revoke_by_code(tx, &[100; 32], START).await);
        assert_eq!(revoke().await, 2);
        assert_eq!(revoke().await, 0, "what was revoked keeps its instant");
        for (hash, lives) in [(1, false), (2, false), (3, true), (4, true)] {
            assert_eq!(is_live(&site, hash, START).await, lives, "{hash}");
        }
    }
}

on_both_databases! {
    async fn the_sweep_takes_what_ended_before_its_horizon_and_nothing_else(site: Site) {
        let at = START.plus_seconds(30 * 24 * 3_600);
        let horizon = Horizon::at(at);
        for (hash, millis) in [(1, -1), (2, 0)] {
            insert_challenge(&site, &Challenge { created_at: moved(horizon.challenges, millis), ..challenge(hash) }).await;
            insert_code(&site, &AuthorizationCode { expires_at: moved(horizon.codes, millis), ..code(hash) }).await;
        }
        insert_tokens(&site, |user| [(1, -1), (2, 0)].map(|(hash, millis)| AccessToken {
            expires_at: moved(horizon.tokens, millis), ..token(hash, user)
        }).to_vec()).await;
        let sweep = async || in_write!(site, horizon, |tx, horizon| store::sweep::sweep(tx, horizon).await);
        assert_eq!(sweep().await, 4, "three rows, and the draft in the challenge that stays");
        assert_eq!(sweep().await, 0);
        for rows in ["SELECT COUNT(*) FROM challenge", "SELECT COUNT(*) FROM authorization_code",
            "SELECT COUNT(*) FROM access_token"] {
            assert_eq!(site.count(rows).await, 1, "{rows}");
        }
    }
}

#[test]
fn the_horizon_keeps_a_day_of_challenges_and_an_hour_of_replays() {
    let horizon = Horizon::at(START);
    let hours = |at| (START - at) / 3_600_000;
    assert!(
        hours(horizon.challenges) >= 24,
        "the longest lifetime and the longest budget"
    );
    assert_eq!(
        hours(horizon.codes),
        25,
        "as long as an access token of theirs may live"
    );
    assert_eq!(hours(horizon.tokens), 1);
    assert_eq!(hours(horizon.messages), 7 * 24);
}

on_both_databases! {
    async fn a_sweep_takes_one_batch(site: Site) {
        let count = ROWS_MAX + 1;
        in_write!(site, count, |tx, count| {
            for number in 0..*count {
                let mut row = code(1);
                row.code_hash[..8].copy_from_slice(&number.to_be_bytes());
                store::code::insert(tx, &row).await?;
            }
            Ok(())
        });
        let horizon = Horizon::at(START.plus_seconds(26 * 3_600));
        let sweep = async || in_write!(site, horizon, |tx, horizon| store::sweep::sweep(tx, horizon).await);
        assert_eq!(sweep().await, ROWS_MAX as u64);
        assert_eq!(sweep().await, 1);
    }
}

on_both_databases! {
    async fn ended_lockouts_are_swept_a_day_after_the_last_failure(site: Site) {
        let at = START.plus_seconds(30 * 24 * 3_600);
        let horizon = Horizon::at(at);
        let old = moved(horizon.holds, -1);
        let rows = [
            // Three that are deleted: never locked out, locked out until now, and an unknown username.
            ("a", old, None), ("b", old, Some(at)), ("?c", old, Some(moved(at, 1))),
            // Three that remain: a recent failure, an active lockout, and one that only an administrator ends.
            ("d", horizon.holds, None), ("e", old, Some(moved(at, 1))), ("f", old, Some(moved(at, i64::from(u32::MAX)))),
        ];
        for (subject, failed_at, held_until) in rows {
            let held_until = held_until.map_or(String::from("NULL"), |at: Moment| at.millis().to_string());
            site.execute(format!("INSERT INTO login_hold (subject, failures, failed_at, held_until)
                VALUES ('{subject}', 1, {}, {held_until})", failed_at.millis())).await;
        }
        let sweep = async || in_write!(site, horizon, |tx, horizon| store::sweep::sweep(tx, horizon).await);
        assert_eq!((sweep().await, sweep().await), (3, 0));
        assert_eq!(site.count("SELECT COUNT(*) FROM login_hold WHERE subject IN ('d', 'e', 'f')").await, 3);
    }
}

on_both_databases! {
    async fn the_sweep_takes_failures_and_logins_out_of_the_audit_log(site: Site) {
        const DAY: i64 = 24 * 3_600_000;
        let horizon = Horizon::at(START);
        assert_eq!((START - horizon.failures, START - horizon.sessions), (30 * DAY, 90 * DAY));
        for (until, events) in [
            (Some(horizon.failures), &["client.authentication_failed", "code.replayed", "login.failed",
                "refresh_token.retried", "registration.failed", "verification.failed"][..]),
            (Some(horizon.sessions), &["refresh_token.reused", "token.revoked", "user.logged_in"]),
            (None, &["password.reset", "user.registered", "site.updated"]),
        ] {
            for event in events {
                for (name, millis) in [("old", -1), ("new", 0)] {
                    let at = until.map_or(0, |until| moved(until, millis).millis());
                    site.execute(format!("INSERT INTO audit_event (id, at, event, detail)
                        VALUES ('{event} {name}', {at}, '{event}', '{{}}')")).await;
                }
            }
        }
        let sweep = async || in_write!(site, horizon, |tx, horizon| store::sweep::sweep(tx, horizon).await);
        assert_eq!((sweep().await, sweep().await), (9, 0));
        assert_eq!(site.count("SELECT COUNT(*) FROM audit_event WHERE id LIKE '% old'").await, 3);
    }
}
