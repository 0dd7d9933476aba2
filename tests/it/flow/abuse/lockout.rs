//! Lockout and credential stuffing (threats LOCK-01 to LOCK-10). The account states at all endpoints are tested in
//! `flow::accounts`, the common count for all spellings and the password-spray attacks on a site in `flow::limits`.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use vestibule::admin::user::{self, StateChange};

use crate::fixture::{Answer, Call, PASSWORD, Site, on_both_databases, registration};
use crate::flow::races::{all_at_once, two_nodes};

const FORGOT: &str = "/services/auth/headless/forgot_password";
const INIT_LOGIN: &str = "/services/auth/headless/init/passwordless/login";
const JANICE: &str = "janice@example.com";
const WRONG: &str = "Wr0ng-password";

async fn guess(site: &Site, password: &str) -> Answer {
    site.send(site.password_call(JANICE, password)).await
}

async fn hold(site: &Site) {
    for _ in 0..10 {
        guess(site, WRONG).await.expect_status(400);
    }
}

/// A passwordless login from the init request to the code.
async fn log_in_by_code(site: &Site) -> Answer {
    let (identifier, code) = code_by_mail(site).await;
    site.send(site.public_authorize_call("passwordless-login", &identifier, &code))
        .await
}

async fn code_by_mail(site: &Site) -> (String, String) {
    let body = json!({"username": JANICE, "verificationmethod": "email", "recaptcha": "test-pass"});
    let answer = site
        .send(Call::post(INIT_LOGIN).on_public().json(&body))
        .await
        .expect_ok();
    let identifier = answer.json()["identifier"].as_str().unwrap().to_owned();
    (identifier, site.code_to(JANICE).await)
}

async fn ask_for_a_reset(site: &Site) -> String {
    let body = json!({"username": JANICE, "recaptcha": "test-pass"});
    site.send(Call::post(FORGOT).on_public().json(&body))
        .await
        .expect_ok();
    site.code_to(JANICE).await
}

async fn reset(site: &Site, otp: &str, password: &str) -> Answer {
    let body = json!({"username": JANICE, "otp": otp, "newpassword": password});
    let answer = site.send(Call::post(FORGOT).on_public().json(&body)).await;
    site.deliver().await;
    site.inbox.clear();
    answer
}

/// Locks or unlocks the user, as an administrator does.
async fn administer(site: &Site, is_lock: bool) {
    let change = if is_lock {
        StateChange::Lock
    } else {
        StateChange::Unlock
    };
    let changed = user::change_state(&site.admin(), JANICE, change).await;
    changed.expect("the state changes");
}

on_both_databases! {
    async fn lock_01_the_tenth_failure_locks_out_and_the_right_password_is_refused(site: Site) {
        site.register(JANICE).await;
        let wrong = guess(&site, WRONG).await.expect_status(400);
        for _ in 0..8 {
            guess(&site, WRONG).await;
        }
        guess(&site, PASSWORD).await.expect_status(302);
        hold(&site).await;
        let right = guess(&site, PASSWORD).await.expect_status(400);
        assert_eq!((&right.body, right.headers.len()), (&wrong.body, wrong.headers.len()));
        assert_eq!(right.header("retry-after"), None, "an unknown user would have none");
        // The lockout survives a restart, holds on every node, and ends at the exact millisecond.
        guess(&site.another_node().await, PASSWORD).await.expect_status(400);
        site.advance(Duration::from_millis(15 * 60 * 1000 - 1));
        guess(&site, PASSWORD).await.expect_status(400);
        site.advance(Duration::from_millis(1));
        guess(&site, PASSWORD).await.expect_status(302);
    }
}

on_both_databases! {
    async fn lock_01_many_guesses_at_once_are_stopped_like_one_after_the_other(site: Site) {
        site.register(JANICE).await;
        let nodes = two_nodes(site).await;
        let calls = (0..24).map(|_| nodes[0].password_call(JANICE, WRONG)).collect();
        for answer in all_at_once(&nodes, calls).await {
            assert_eq!(answer.status, 400, "{}", answer.body);
        }
        for node in &nodes {
            guess(node, PASSWORD).await.expect_status(400);
        }
        assert_eq!(nodes[0].count("SELECT COUNT(*) FROM login_hold WHERE held_until IS NOT NULL").await, 1);
    }
}

on_both_databases! {
    async fn lock_01_a_lockout_does_not_disclose_an_expired_password_or_an_app(site: Site) {
        site.register(JANICE).await;
        hold(&site).await;
        let wrong = guess(&site, WRONG).await.body;
        site.update_client(&site.client.id, json!({"permittedProfiles": []})).await;
        assert_eq!(guess(&site, PASSWORD).await.body, wrong);
        site.advance(Duration::from_secs(15 * 60));
        let disclosed = guess(&site, PASSWORD).await.expect_status(400);
        assert_ne!(disclosed.body, wrong, "the right password discloses the reason");
    }
}

on_both_databases! {
    async fn lock_02_an_attacker_cannot_lock_out_a_user_permanently(site: Site) {
        site.register(JANICE).await;
        let start = site.app.now();
        for round in 0..6 {
            hold(&site).await;
            // More failures do not extend it.
            site.advance(Duration::from_secs(10 * 60));
            for _ in 0..3 {
                guess(&site, WRONG).await.expect_status(400);
            }
            log_in_by_code(&site).await.expect_status(302);
            site.advance(Duration::from_secs(5 * 60));
            guess(&site, PASSWORD).await.expect_status(302);
            if round == 3 {
                // To stay within five codes an hour.
                site.advance(Duration::from_secs(3_600));
            }
        }
        assert!(site.app.now() > start);
        // A password reset ends the lockout at once.
        hold(&site).await;
        let code = ask_for_a_reset(&site).await;
        reset(&site, &code, "Another-Pa55word").await.expect_ok();
        guess(&site, "Another-Pa55word").await.expect_status(302);
    }
}

on_both_databases! {
    async fn lock_02_a_hold_until_an_administrator_opens_it_is_opened_by_a_reset_too(site: Site) {
        site.register(JANICE).await;
        site.execute(r#"UPDATE profile SET password_policy = '{"lockoutInterval": 0, "maxLoginAttempts": 3}';
            UPDATE installation SET version = version + 1"#).await;
        site.app.refresh().await.unwrap();
        for _ in 0..3 {
            guess(&site, WRONG).await.expect_status(400);
        }
        site.advance(Duration::from_secs(365 * 86_400));
        guess(&site, PASSWORD).await.expect_status(400);
        log_in_by_code(&site).await.expect_status(302);
        let code = ask_for_a_reset(&site).await;
        reset(&site, &code, "Another-Pa55word").await.expect_ok();
        guess(&site, "Another-Pa55word").await.expect_status(302);
    }
}

on_both_databases! {
    async fn lock_02_an_administrator_opens_what_wrong_passwords_and_codes_have_closed(site: Site) {
        site.register(JANICE).await;
        hold(&site).await;
        let id = site.user(JANICE).await.unwrap().id;
        let hour = site.app.now().millis() / 3_600_000;
        site.execute(format!("INSERT INTO tally (subject, hour, count) VALUES ('guesses {id}', {hour}, 100)")).await;
        guess(&site, PASSWORD).await.expect_status(400);
        log_in_by_code(&site).await.expect_status(400);
        administer(&site, false).await;
        guess(&site, PASSWORD).await.expect_status(302);
        log_in_by_code(&site).await.expect_status(302);
    }
}

on_both_databases! {
    async fn lock_04_what_was_begun_before_a_lock_does_not_go_on_after_it(site: Site) {
        site.register(JANICE).await;
        let (identifier, login_code) = code_by_mail(&site).await;
        let reset_code = ask_for_a_reset(&site).await;
        let authorization_code = guess(&site, PASSWORD).await.expect_status(302).location_parameter("code");
        administer(&site, true).await;
        administer(&site, false).await;
        let call = site.public_authorize_call("passwordless-login", &identifier, &login_code);
        site.send(call).await.expect_status(400);
        let answer = reset(&site, &reset_code, "Another-Pa55word").await.expect_status(400);
        assert_eq!(answer.json()["status_code"], "invalid_otp");
        site.send(site.token_call(&authorization_code)).await.expect_status(400);
        // A newly started flow continues.
        log_in_by_code(&site).await.expect_status(302);
        let code = ask_for_a_reset(&site).await;
        reset(&site, &code, "Another-Pa55word").await.expect_ok();
    }
}

on_both_databases! {
    async fn lock_04_a_new_password_ends_a_login_that_waits_for_its_code(site: Site) {
        site.register(JANICE).await;
        // An attacker who reads the mailbox has started a login; the user chooses another password.
        let (identifier, login_code) = code_by_mail(&site).await;
        let code = ask_for_a_reset(&site).await;
        reset(&site, &code, "Another-Pa55word").await.expect_ok();
        let call = site.public_authorize_call("passwordless-login", &identifier, &login_code);
        site.send(call).await.expect_status(400);
    }
}

on_both_databases! {
    async fn lock_04_a_hold_that_ends_between_two_requests_ends_for_the_next_one_only(site: Site) {
        site.register(JANICE).await;
        let code = ask_for_a_reset(&site).await;
        hold(&site).await;
        site.advance(Duration::from_secs(15 * 60));
        let late = reset(&site, &code, "Another-Pa55word").await.expect_status(400);
        assert_eq!(late.json()["status_code"], "invalid_otp", "the code ended before the hold did");
        guess(&site, PASSWORD).await.expect_status(302);
    }
}

on_both_databases! {
    async fn lock_07_a_backend_whose_user_is_disabled_has_no_api_left(site: Site) {
        let token = site.integration_token(None).await;
        site.execute("UPDATE app_user SET disabled_at = 1 WHERE is_integration = 1").await;
        let bodies = [
            ("/services/auth/headless/init/registration", registration(JANICE)),
            (INIT_LOGIN, json!({"username": JANICE, "verificationmethod": "email"})),
            (FORGOT, json!({"username": JANICE})),
        ];
        for (path, body) in &bodies {
            let answer = site.send(Call::post(path).bearer(&token).json(body)).await.expect_status(401);
            assert_eq!(answer.json()["status_code"], "invalid_authorization", "{path}");
        }
        let call = Call::post("/services/oauth2/token")
            .form("grant_type", "client_credentials")
            .form("client_id", &site.integration.id)
            .form("client_secret", &site.integration.secret);
        site.send(call).await.expect_status(400);
        site.deliver().await;
        assert!(site.inbox.list(None).is_empty());
    }
}

on_both_databases! {
    async fn lock_08_at_a_site_that_is_sprayed_a_right_password_is_a_wrong_one(site: Site) {
        site.register(JANICE).await;
        site.update_settings(json!({"passwordSprayThresholdPerHour": 10, "passwordSprayAction": "refuse",
            "disclose_account_state": true})).await;
        for number in 0..10 {
            let name = format!("u{number}@example.com");
            site.send(site.password_call(&name, WRONG)).await.expect_status(400);
        }
        let wrong = guess(&site, WRONG).await.expect_status(400).body;
        assert_eq!(guess(&site, PASSWORD).await.body, wrong);
        // Also not when a right password is refused for another reason.
        site.update_client(&site.client.id, json!({"permittedProfiles": []})).await;
        assert_eq!(guess(&site, PASSWORD).await.body, wrong);
        site.execute("UPDATE app_user SET disabled_at = 1 WHERE username_key = 'janice@example.com'").await;
        assert_eq!(guess(&site, PASSWORD).await.body, wrong);
        site.advance(Duration::from_secs(3_600));
        let disclosed = guess(&site, PASSWORD).await.expect_status(400).json();
        assert_eq!(disclosed["error"], "inactive_user");
    }
}

on_both_databases! {
    async fn lock_09_failures_and_lockouts_survive_a_restart(site: Site) {
        site.register(JANICE).await;
        let mut node = Arc::new(site);
        for _ in 0..10 {
            guess(&node, WRONG).await.expect_status(400);
            node = Arc::new(node.another_node().await);
        }
        guess(&node, PASSWORD).await.expect_status(400);
    }
}

on_both_databases! {
    async fn lock_10_a_user_without_a_password_has_none_that_fits(site: Site) {
        site.register(JANICE).await;
        let phc = "SELECT COUNT(*) FROM credential";
        site.execute("DELETE FROM credential").await;
        assert_eq!(site.count(phc).await, 0);
        let long = "x".repeat(73);
        let longest = "x".repeat(16_001);
        for password in [
            "", " ", PASSWORD, "password", "dummy", "null", "None", "\u{0}", &long, &longest, "$argon2id$v=19$m=19456,t=2,p=1$$",
            "*", "!", "x", "undefined",
        ] {
            let form = site.password_call(JANICE, "x").without_header("authorization");
            let form = form.form("username", JANICE).form("password", password);
            for call in [site.password_call(JANICE, password), form] {
                let answer = site.send(call).await;
                assert!([400, 431].contains(&answer.status), "{password:.20}: {}", answer.body);
                assert_eq!(answer.header("location"), None);
            }
            site.execute("DELETE FROM login_hold").await;
        }
        assert_eq!(site.count(phc).await, 0);
    }
}
