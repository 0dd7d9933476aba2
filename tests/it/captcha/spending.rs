//! A token is accepted for one request, on all nodes together; and the fixed tokens of the provider `test`.

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use vestibule::captcha::verifier::{Captcha, Verifiers};
use vestibule::captcha::{CaptchaProvider, Verified};
use vestibule::store;
use vestibule::worker::sweep::sweep_once;

use super::{Asked, broken, captcha, refused, yes};
use crate::fixture::remote::{Behaviour, Remote};
use crate::fixture::{Site, on_both_databases};

async fn spend(site: &Site, verified: &Verified) -> bool {
    site.app
        .store
        .write("test.spend", verified.clone(), |tx, verified| {
            Box::pin(store::captcha_token::spend(tx, verified))
        })
        .await
        .expect("the database answers")
}

on_both_databases! {
    async fn cap_09_of_many_that_bring_one_token_at_once_one_is_let_in(site: Site) {
        let remote = Remote::start(Behaviour::json(&yes())).await;
        let other = site.another_node().await;
        let mut asking = JoinSet::new();
        let site = std::sync::Arc::new(site);
        let other = std::sync::Arc::new(other);
        for n in 0..16 {
            // The verifier says yes to each of them.
            let verified = Asked::of(CaptchaProvider::GoogleV3, "one").verify(&captcha(&remote)).await.unwrap();
            let node = std::sync::Arc::clone(if n % 2 == 0 { &site } else { &other });
            asking.spawn(async move { spend(&node, &verified).await });
        }
        let outcomes = asking.join_all().await;
        assert_eq!(outcomes.iter().filter(|is_first| **is_first).count(), 1);
        let verified = Asked::of(CaptchaProvider::GoogleV3, "two").verify(&captcha(&remote)).await.unwrap();
        assert!(spend(&other, &verified).await);
        assert!(!spend(&site, &verified).await);
        assert_eq!(site.count("SELECT COUNT(*) FROM captcha_token").await, 2);
    }
}

on_both_databases! {
    async fn a_spent_token_is_deleted_when_no_verifier_accepts_it_any_more(site: Site) {
        let remote = Remote::start(Behaviour::json(&yes())).await;
        let verified = Asked::of(CaptchaProvider::GoogleV3, "one").verify(&captcha(&remote)).await.unwrap();
        assert!(spend(&site, &verified).await);
        site.advance(Duration::from_secs(3_600));
        sweep_once(&site.app, site.app.now()).await.unwrap();
        assert_eq!(site.count("SELECT COUNT(*) FROM captcha_token").await, 1);
        site.advance(Duration::from_secs(1));
        sweep_once(&site.app, site.app.now()).await.unwrap();
        assert_eq!(site.count("SELECT COUNT(*) FROM captcha_token").await, 0);
    }
}

#[test]
fn a_token_that_was_spent_before_is_refused_in_the_verifiers_words() {
    let refusal = vestibule::captcha::spent_before();
    let answer = refusal.wire(vestibule_protocol::error::Shape::Headless);
    assert_eq!(
        json!(answer.members(vestibule_protocol::error::Shape::Headless)),
        json!({
            "status_code": "invalid_recaptcha",
            "invalid_request": "invalid reCAPTCHA token",
            "status": "failed",
            "recaptcha_response": {"success": false, "error-codes": ["timeout-or-duplicate"]},
        })
    );
}

#[tokio::test]
async fn the_fixed_tokens_do_as_they_say() {
    let captcha = Captcha::new(Verifiers {
        is_test_allowed: true,
        ..Verifiers::default()
    })
    .unwrap();
    for (token, is_once) in [
        ("test-pass", false),
        ("test-pass-1", true),
        ("test-score-0.5", false),
        ("test-score-1", false),
        ("test-score-0.9-b", true),
    ] {
        let asked = Asked {
            hostnames: vec![String::from("app.example.com")],
            expected_action: Some("login"),
            ..Asked::of(CaptchaProvider::Test, token)
        };
        let verified = asked.verify(&captcha).await.unwrap();
        assert_eq!(verified.token_hash.is_some(), is_once, "{token}");
    }
    let score = refused(
        Asked::of(CaptchaProvider::Test, "test-score-0.3")
            .verify(&captcha)
            .await,
    );
    assert_eq!(score.unwrap()["score"], 0.3);
    for token in [
        "test-fail",
        "",
        "test",
        "test-passed",
        "test-score-",
        "test-score-x",
        "test-score-1.5",
        "test-score--1",
        "test-score-inf",
        "test-score-1e-1",
        "TEST-PASS",
        "03AGdBq2",
    ] {
        let response = refused(
            Asked::of(CaptchaProvider::Test, token)
                .verify(&captcha)
                .await,
        )
        .unwrap();
        assert!(
            response["success"] == json!(false) || response.get("score").is_none(),
            "{token}"
        );
    }
    broken(
        Asked::of(CaptchaProvider::Test, "test-timeout")
            .verify(&captcha)
            .await,
    );
}

#[tokio::test]
async fn a_real_server_knows_no_fixed_tokens() {
    let captcha = Captcha::new(Verifiers::default()).unwrap();
    broken(
        Asked::of(CaptchaProvider::Test, "test-pass")
            .verify(&captcha)
            .await,
    );
}
