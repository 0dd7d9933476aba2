//! reCAPTCHA in front of the three flows, over HTTP at the public site of the demo.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{site_that_asks, yes};
use crate::fixture::remote::{Behaviour, Remote};
use crate::fixture::{Answer, Call, Database, Setup, Site, postgres, registration};

/// The three APIs with a captcha: the path, the other members of the body, and whether the response also has the
/// members of the OAuth shape.
const APIS: [(&str, bool); 3] = [
    ("/services/auth/headless/init/registration", true),
    ("/services/auth/headless/init/passwordless/login", true),
    ("/services/auth/headless/forgot_password", false),
];

fn body(path: &str) -> Value {
    match path {
        "/services/auth/headless/init/registration" => registration("janice@example.com"),
        "/services/auth/headless/init/passwordless/login" => {
            json!({"verificationmethod": "email", "username": "janice@example.com"})
        }
        _ => json!({"username": "janice@example.com"}),
    }
}

fn refusal(is_merged: bool, status_code: &str, name: &str, description: &str) -> Value {
    let mut refusal = json!({"status_code": status_code, "status": "failed"});
    refusal[name] = json!(description);
    if is_merged {
        refusal["error"] = json!(name);
        refusal["error_description"] = json!(description);
    }
    refusal
}

/// The demo, whose public site uses the test's verifier with a short deadline.
async fn site(database: Database, remote: &Remote, changes: Value) -> Site {
    let mut setup = Setup::default();
    setup.config.captcha.timeout_ms = 400;
    let site = Box::pin(site_that_asks(remote, database, setup)).await;
    let mut settings = json!({
        "recaptchaScoreThreshold": 0.7, "recaptchaHostnames": ["app.example.com"],
        "recaptchaExpectedAction": "login",
    });
    for (name, value) in changes.as_object().unwrap() {
        settings[name] = value.clone();
    }
    site.update_settings_of("public", settings).await;
    site
}

async fn send(site: &Site, path: &str, captcha: Value) -> Answer {
    let mut body = body(path);
    for (name, value) in captcha.as_object().unwrap() {
        body[name] = value.clone();
    }
    site.send(Call::post(path).on_public().json(&body)).await
}

/// No challenge was opened and no message is queued.
async fn assert_untouched(site: &Site) {
    for query in [
        "SELECT COUNT(*) FROM challenge",
        "SELECT COUNT(*) FROM outbox",
        "SELECT COUNT(*) FROM captcha_token",
    ] {
        assert_eq!(site.count(query).await, 0, "{query}");
    }
}

#[tokio::test]
async fn cap_01_without_a_token_each_flow_asks_for_one() {
    let remote = Remote::start(Behaviour::json(&yes())).await;
    let site = site(Database::Sqlite, &remote, json!({})).await;
    for (path, is_merged) in APIS {
        for nothing in [
            json!({}),
            json!({"recaptcha": null}),
            json!({"recaptcha": ""}),
        ] {
            let answer = send(&site, path, nothing).await.expect_status(400);
            let expected = refusal(
                is_merged,
                "recaptcha_req",
                "invalid_request",
                "include a reCAPTCHA parameter",
            );
            assert_eq!(answer.json(), expected, "{path}");
        }
    }
    assert!(remote.received().is_empty());
    assert_untouched(&site).await;
}

#[tokio::test]
async fn cap_02_the_verifier_s_response_is_in_the_answer() {
    let duplicate = json!({"success": false, "challenge_ts": "2026-01-01T00:00:00Z",
        "hostname": "app.example.com", "error-codes": ["timeout-or-duplicate"], "extra": 1});
    let mut low = yes();
    low["score"] = json!(0.699_999);
    let mut foreign = yes();
    foreign["hostname"] = json!("a.app.example.com");
    let mut other = yes();
    other["action"] = json!("signup");
    let remote = Remote::start(Behaviour::json(&duplicate)).await;
    let site = site(Database::Sqlite, &remote, json!({})).await;
    for (path, is_merged) in APIS {
        for said in [&duplicate, &low, &foreign, &other] {
            remote.behave(Behaviour::json(said));
            let answer = send(&site, path, json!({"recaptcha": "t"}))
                .await
                .expect_status(400);
            let mut expected = refusal(
                is_merged,
                "invalid_recaptcha",
                "invalid_request",
                "invalid reCAPTCHA token",
            );
            let mut shown = said.clone();
            shown.as_object_mut().unwrap().shift_remove("extra");
            expected["recaptcha_response"] = shown;
            assert_eq!(answer.json(), expected, "{path}");
        }
    }
    assert_untouched(&site).await;
    let asked = remote.received();
    assert!(
        asked
            .iter()
            .all(|asked| asked.body.contains("remoteip=203.0.113.7"))
    );
}

#[tokio::test]
async fn cap_11_while_the_verifier_is_unreachable_its_requests_fail_and_no_others() {
    let remote = Remote::start(Behaviour::Hang).await;
    let site = site(Database::Sqlite, &remote, json!({})).await;
    for (path, is_merged) in APIS {
        for behaviour in [
            Behaviour::Hang,
            Behaviour::status(500),
            Behaviour::Answer(200, "", String::from("<html>")),
            Behaviour::HalfAnswer(yes().to_string()),
        ] {
            remote.behave(behaviour);
            let answer = send(&site, path, json!({"recaptcha": "t"}))
                .await
                .expect_status(500);
            let expected = refusal(
                is_merged,
                "unknown_error",
                "unknown_error",
                "retry your request",
            );
            assert_eq!(answer.json(), expected, "{path}");
        }
    }
    assert_untouched(&site).await;
    // The private site requires no captcha.
    site.register("other@example.com").await;
}

#[tokio::test]
async fn cap_08_13_an_event_has_the_site_s_key_and_comes_without_a_token() {
    let assessment = json!({
        "tokenProperties": {"valid": true, "action": "login", "hostname": "app.example.com",
            "createTime": "2026-01-05T09:59:30Z"},
        "riskAnalysis": {"score": 0.9},
    });
    let remote = Remote::start(Behaviour::json(&assessment)).await;
    let enterprise = json!({
        "recaptchaProvider": "google_enterprise", "recaptchaProjectId": "shop-7",
        "recaptchaSiteKey": "6Lc-site-key",
    });
    let site = site(Database::Sqlite, &remote, enterprise).await;
    let event = |token: &str, project: &str| {
        json!({"token": token, "siteKey": "6Lc-site-key", "projectId": project,
            "expectedAction": "signup"})
    };
    for (path, _) in APIS {
        let foreign = json!({"recaptchaevent": event("t", "shop-8")});
        let answer = send(&site, path, foreign).await.expect_status(400).json();
        assert_eq!(answer["status_code"], "invalid_recaptcha");
        assert_eq!(answer.get("recaptcha_response"), None);
        let both = json!({"recaptcha": "t", "recaptchaevent": event("t", "shop-7")});
        let answer = send(&site, path, both).await.expect_status(400).json();
        assert_eq!(answer["status_code"], "invalid_params", "{path}");
    }
    assert!(remote.received().is_empty());
    assert_untouched(&site).await;
    for (path, _) in APIS {
        let own = json!({"recaptchaevent": event(path, "shop-7")});
        send(&site, path, own).await.expect_ok();
    }
    site.deliver().await;
    site.inbox.clear();
}

/// A node and another on one database; sixteen requests with one token, spread over both.
async fn one_token_on_two_nodes(database: Database) {
    let remote = Remote::start(Behaviour::json(&yes())).await;
    let site = Arc::new(site(database, &remote, json!({})).await);
    let other = Arc::new(site.another_node().await);
    for (path, _) in APIS {
        let mut sending = JoinSet::new();
        for n in 0..16 {
            let node = Arc::clone(if n % 2 == 0 { &site } else { &other });
            sending.spawn(async move { send(&node, path, json!({ "recaptcha": path })).await });
        }
        let mut admitted = 0;
        for answer in sending.join_all().await {
            if answer.status == 200 {
                admitted += 1;
                continue;
            }
            let answer = answer.expect_status(400).json();
            assert_eq!(answer["status_code"], "invalid_recaptcha");
            assert_eq!(
                answer["recaptcha_response"],
                json!({"success": false, "error-codes": ["timeout-or-duplicate"]})
            );
        }
        assert_eq!(admitted, 1, "{path}");
    }
    assert_eq!(site.count("SELECT COUNT(*) FROM challenge").await, 3);
    site.deliver().await;
    site.inbox.clear();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cap_09_one_token_opens_one_request_on_two_nodes_of_sqlite() {
    one_token_on_two_nodes(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cap_09_one_token_opens_one_request_on_two_nodes_of_postgres() {
    let Some(url) = postgres::database().await else {
        return;
    };
    one_token_on_two_nodes(Database::Postgres(url)).await;
}

#[tokio::test]
async fn the_fixed_tokens_work_at_the_demos_public_site() {
    let site = Site::open(Database::Sqlite).await;
    for (path, _) in APIS {
        for (token, status) in [
            ("test-pass", 200),
            ("test-fail", 400),
            ("test-score-0.4", 400),
            ("test-timeout", 500),
        ] {
            let answer = send(&site, path, json!({ "recaptcha": token })).await;
            assert_eq!(answer.status, status, "{path} {token} {}", answer.body);
        }
        let once = json!({"recaptcha": format!("test-pass-{path}")});
        send(&site, path, once.clone()).await.expect_ok();
        send(&site, path, once).await.expect_status(400);
    }
    site.deliver().await;
    site.inbox.clear();
}

#[tokio::test]
async fn a_trusted_caller_shows_a_captcha_as_well_where_both_are_required() {
    let site = Site::open(Database::Sqlite).await;
    let both = json!({"isRecaptchaRequiredRgstr": true, "recaptchaProvider": "test"});
    site.update_settings(both).await;
    let mut body = registration("janice@example.com");
    let answer = site.init(&body).await.expect_status(400).json();
    assert_eq!(answer["status_code"], "recaptcha_req");
    body["recaptcha"] = json!("test-fail");
    let answer = site.init(&body).await.expect_status(400).json();
    assert_eq!(answer["status_code"], "invalid_recaptcha");
    body["recaptcha"] = json!("test-pass");
    site.init(&body).await.expect_ok();
    site.code_to("janice@example.com").await;
}

#[tokio::test]
async fn cap_14_a_secret_that_does_not_open_closes_the_captcha_of_its_site_and_nothing_else() {
    let remote = Remote::start(Behaviour::json(&yes())).await;
    // Both kinds of verifier, for example after the settings were sealed under another master key.
    for changes in [
        json!({"recaptchaSecretKey": "sealed:AAAA"}),
        json!({"recaptchaSecretKey": "sealed:AAAA", "recaptchaProvider": "google_enterprise",
            "recaptchaProjectId": "shop-7", "recaptchaSiteKey": "6Lc-site-key"}),
    ] {
        let site = site(Database::Sqlite, &remote, json!({})).await;
        site.force_settings_of("public", changes).await;
        for (path, _) in APIS {
            let captcha = json!({"recaptcha": "token"});
            let answer = send(&site, path, captcha).await.expect_status(500);
            assert!(
                answer.json().to_string().contains("unknown_error"),
                "{path}"
            );
        }
        assert!(!site.app.is_stale());
        assert!(remote.received().is_empty());
        assert_untouched(&site).await;
        site.integration_token(None).await;
    }
}
