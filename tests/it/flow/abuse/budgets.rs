//! The limit of codes per hour: which user it belongs to, and that an unauthenticated caller cannot learn that.

use serde_json::json;

use crate::fixture::{Answer, Call, Site, on_both_databases, registration};

async fn begin(site: &Site, username: &str, method: &str) -> Answer {
    let body =
        json!({"verificationmethod": method, "username": username, "recaptcha": "test-pass"});
    let call = Call::post("/services/auth/headless/init/passwordless/login").on_public();
    site.send(call.json(&body)).await
}

async fn ask(site: &Site, username: &str) -> Answer {
    let call = Call::post("/services/auth/headless/forgot_password").on_public();
    site.send(call.json(&json!({"username": username, "recaptcha": "test-pass"})))
        .await
}

on_both_databases! {
    async fn enu_07_the_codes_of_an_hour_are_counted_over_all_channels_for_anybody(site: Site) {
        site.register("janice@example.com").await;
        site.register("ben@example.com").await;
        site.execute("UPDATE app_user SET phone = '+12035550100', phone_verified_at = 1
            WHERE username_key = 'janice@example.com'").await;
        for username in ["janice@example.com", "ben@example.com", "unknown@example.com"] {
            for _ in 0..5 {
                begin(&site, username, "email").await.expect_ok();
            }
            for method in ["email", "sms"] {
                let end = begin(&site, username, method).await.expect_status(429);
                assert!(end.header("retry-after").is_some(), "{username} {method}");
            }
        }
        site.deliver().await;
        site.inbox.clear();
    }
}

on_both_databases! {
    async fn enu_07_a_shared_mailbox_discloses_nothing(site: Site) {
        for username in ["a@example.com", "b@example.com"] {
            let mut body = registration(username);
            body["userdata"]["email"] = json!("shared@example.com");
            let identifier = site.init(&body).await.expect_ok().json()["identifier"].as_str().unwrap().to_owned();
            let code = site.code_to("shared@example.com").await;
            site.send(site.authorize_call(&identifier, &code)).await.expect_status(302);
        }
        for _ in 0..5 {
            ask(&site, "a@example.com").await.expect_ok();
        }
        site.deliver().await;
        site.inbox.clear();
        // The mailbox has reached its limit; a request for the other user gets the usual response.
        assert_eq!(ask(&site, "b@example.com").await.expect_ok().body, ask(&site, "unknown@example.com").await.expect_ok().body);
        site.deliver().await;
        assert!(site.inbox.list(None).iter().all(|message| message.code.is_none()));
        site.inbox.clear();
        // A backend has a budget of its own, and learns of its end.
        let token = site.integration_token(None).await;
        let call = Call::post("/services/auth/headless/forgot_password").bearer(&token);
        let call = call.json(&json!({"username": "b@example.com"}));
        for _ in 0..5 {
            site.send(call.clone()).await.expect_ok();
            site.deliver().await;
            assert!(site.inbox.list(None)[0].code.is_some());
            site.inbox.clear();
        }
        let end = site.send(call).await.expect_status(429);
        assert_eq!(end.json()["rate_limit_exceeded"], "too many one-time passwords requested");
    }
}

on_both_databases! {
    async fn otp_07_a_newer_code_ends_the_older_whatever_way_it_went(site: Site) {
        site.register("janice@example.com").await;
        site.execute("UPDATE app_user SET phone = '+12035550100', phone_verified_at = 1").await;
        let first = begin(&site, "janice@example.com", "email").await.expect_ok().json();
        let first_code = site.code_to("janice@example.com").await;
        let second = begin(&site, "janice@example.com", "sms").await.expect_ok().json();
        let second_code = site.code_to("+12035550100").await;
        let identifier = |begun: &serde_json::Value| begun["identifier"].as_str().unwrap().to_owned();
        let old = site.public_authorize_call("passwordless-login", &identifier(&first), &first_code);
        site.send(old).await.expect_status(400);
        let new = site.public_authorize_call("passwordless-login", &identifier(&second), &second_code);
        let new = new.without_header("auth-verification-type").header("auth-verification-type", "sms");
        site.send(new).await.expect_status(302);
    }
}

on_both_databases! {
    async fn lock_04_a_code_from_before_all_sessions_ended_opens_nothing(site: Site) {
        site.register("janice@example.com").await;
        let begun = begin(&site, "janice@example.com", "email").await.expect_ok().json();
        let code = site.code_to("janice@example.com").await;
        ask(&site, "janice@example.com").await.expect_ok();
        let reset_code = site.code_to("janice@example.com").await;
        // As a lock or a new password by an administrator does it.
        site.execute("UPDATE app_user SET session_generation = session_generation + 1").await;
        let identifier = begun["identifier"].as_str().unwrap();
        site.send(site.public_authorize_call("passwordless-login", identifier, &code)).await.expect_status(400);
        let body = json!({"username": "janice@example.com", "otp": reset_code, "newpassword": "Another-Pa55word"});
        let call = Call::post("/services/auth/headless/forgot_password").on_public();
        assert_eq!(site.send(call.json(&body)).await.expect_status(400).json()["status_code"], "invalid_otp");
    }
}

on_both_databases! {
    async fn lock_01_a_lockout_does_not_disclose_a_right_password(site: Site) {
        site.register("janice@example.com").await;
        site.update_client(&site.client.id, json!({"permittedProfiles": []})).await;
        let right = || site.password_call("janice@example.com", crate::fixture::PASSWORD);
        let right_password = site.send(right()).await.expect_status(400).json();
        assert_eq!(right_password["error_description"], "user is not admin approved to access this app");
        for _ in 0..10 {
            site.send(site.password_call("janice@example.com", "Wr0ng-password")).await.expect_status(400);
        }
        let locked_out = site.send(right()).await.expect_status(400).json();
        assert_eq!(locked_out["error_description"], "authentication failure");
    }
}

on_both_databases! {
    async fn a_second_phase_that_lacks_its_password_is_not_asked_for_a_captcha(site: Site) {
        let call = Call::post("/services/auth/headless/forgot_password").on_public();
        let answer = site.send(call.json(&json!({"username": "a@example.com", "otp": "123456"}))).await;
        assert_eq!(answer.expect_status(400).json()["status_code"], "invalid_params");
    }
}
