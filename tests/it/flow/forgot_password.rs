//! Headless Forgot Password Flow, phase by phase.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fixture::{Answer, Call, PASSWORD, Site, on_both_databases};

const NEW_PASSWORD: &str = "Another-Pa55word";

async fn send(site: &Site, body: &Value) -> Answer {
    let call = Call::post("/services/auth/headless/forgot_password").on_public();
    site.send(call.json(body)).await
}

async fn ask(site: &Site, username: &str) -> Answer {
    send(
        site,
        &json!({"username": username, "recaptcha": "test-pass", "otp": null, "newpassword": null}),
    )
    .await
}

async fn choose(site: &Site, username: &str, otp: &str, new_password: &str) -> Answer {
    send(
        site,
        &json!({"username": username, "otp": otp, "newpassword": new_password}),
    )
    .await
}

/// A code that is not this one.
fn other(code: &str) -> String {
    let first = if code.starts_with('1') { '2' } else { '1' };
    format!("{first}{}", &code[1..])
}

on_both_databases! {
    async fn a_new_password_is_chosen_and_ends_every_session(site: Site) {
        let before = site.register("janice@example.com").await;
        let asked = ask(&site, "janice@example.com").await.expect_ok();
        assert_eq!(asked.body, r#"{"status":"success","status_code":"otp_sent"}"#);
        let code = site.code_to("janice@example.com").await;
        let chosen = choose(&site, "janice@example.com", &code, NEW_PASSWORD).await.expect_ok();
        assert_eq!(chosen.body, r#"{"status":"success","status_code":"success"}"#);
        site.deliver().await;
        let notice = &site.inbox.list(Some("janice@example.com"))[0];
        assert_eq!(notice.code, None);
        assert!(!notice.text.contains(NEW_PASSWORD));
        site.inbox.clear();
        let old = Call::get("/services/oauth2/userinfo").bearer(before["access_token"].as_str().unwrap());
        site.send(old).await.expect_status(401);
        site.send(site.password_call("janice@example.com", PASSWORD)).await.expect_status(400);
        site.send(site.password_call("janice@example.com", NEW_PASSWORD)).await.expect_status(302);
        let again = choose(&site, "janice@example.com", &code, "Third-Pa55word").await.expect_status(400).json();
        assert_eq!(again, json!({"status_code": "invalid_otp", "otp_error": "invalid OTP", "status": "failed"}));
    }
}

on_both_databases! {
    async fn otp_01_after_five_tries_a_new_code_is_needed_known_user_or_not(site: Site) {
        site.register("janice@example.com").await;
        for username in ["janice@example.com", "unknown@example.com"] {
            ask(&site, username).await.expect_ok();
            site.deliver().await;
            let code = site.inbox.list(None).pop().and_then(|message| message.code.clone()).unwrap_or("000000".to_owned());
            site.inbox.clear();
            for _ in 0..5 {
                let answer = choose(&site, username, &other(&code), NEW_PASSWORD).await.expect_status(400).json();
                assert_eq!(answer["status_code"], "invalid_otp", "{username}");
            }
            let answer = choose(&site, username, &code, NEW_PASSWORD).await.expect_status(400).json();
            assert_eq!(
                answer,
                json!({"status_code": "regenerate_otp", "status": "failed",
                    "otp_error": "user made too many invalid attempts; regenerate OTP"}),
                "{username}"
            );
        }
    }
}

on_both_databases! {
    async fn pwd_07_a_password_that_the_policy_refuses_costs_a_try_and_the_code_stays(site: Site) {
        site.register("janice@example.com").await;
        ask(&site, "janice@example.com").await.expect_ok();
        let code = site.code_to("janice@example.com").await;
        let weak = choose(&site, "janice@example.com", &code, "short").await.expect_status(400).json();
        assert_eq!(weak["status_code"], "password_policy_check_failure");
        assert_eq!(weak["password error"], "password does not follow policy");
        // The current password is the first of the history.
        let same = choose(&site, "janice@example.com", &code, PASSWORD).await.expect_status(400).json();
        assert_eq!(same["status_code"], "password_policy_check_failure");
        choose(&site, "janice@example.com", &code, NEW_PASSWORD).await.expect_ok();
        site.deliver().await;
        site.inbox.clear();
    }
}

on_both_databases! {
    async fn five_resets_a_day_and_the_sixth_is_not_sent(site: Site) {
        site.register("janice@example.com").await;
        for count in 1..=5 {
            ask(&site, "janice@example.com").await.expect_ok();
            let code = site.code_to("janice@example.com").await;
            choose(&site, "janice@example.com", &code, &format!("Password-number-{count}")).await.expect_ok();
            site.deliver().await;
            site.inbox.clear();
            site.advance(Duration::from_secs(3_601));
        }
        ask(&site, "janice@example.com").await.expect_ok();
        site.deliver().await;
        let sixth = site.inbox.list(None).pop().unwrap();
        assert_eq!((sixth.code.as_ref(), sixth.suppressed.is_some()), (None, true));
        site.inbox.clear();
        // A day after the first.
        site.advance(Duration::from_secs(20 * 3_600));
        ask(&site, "janice@example.com").await.expect_ok();
        site.code_to("janice@example.com").await;
    }
}

on_both_databases! {
    async fn one_half_of_the_second_phase_is_no_phase(site: Site) {
        for body in [
            json!({"username": "a@example.com", "otp": "123456", "recaptcha": "test-pass"}),
            json!({"username": "a@example.com", "newpassword": "x", "recaptcha": "test-pass"}),
            json!({"username": "a@example.com", "otp": "", "newpassword": "", "recaptcha": "test-pass"}),
            json!({"username": "a@example.com", "otp": 123456, "newpassword": "x", "recaptcha": "test-pass"}),
            json!({"recaptcha": "test-pass"}),
            json!({"login_hint": "ORDER-1", "recaptcha": "test-pass"}),
            json!({"username": "a@example.com", "user_id": "005", "recaptcha": "test-pass"}),
        ] {
            let answer = send(&site, &body).await.expect_status(400).json();
            let expected = json!({"status_code": "invalid_params", "invalid_request": "invalid parameters",
                "status": "failed"});
            assert_eq!(answer, expected, "{body}");
        }
    }
}
