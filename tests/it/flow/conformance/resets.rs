//! The points that concern the password reset, and a handler that fails.

use serde_json::{Value, json};

use super::identifier;
use crate::fixture::{Answer, Call, Site, on_both_databases, on_sqlite, registration};

const RESET: &str = "/services/auth/headless/forgot_password";
const JANICE: &str = "janice@example.com";
const NEW_PASSWORD: &str = "Another-Pa55word";

async fn send(site: &Site, body: &Value) -> Answer {
    site.send(Call::post(RESET).on_public().json(body)).await
}

/// A body with every documented member, with null for the unused ones.
fn whole(changes: Value) -> Value {
    let mut body = json!({
        "username": JANICE, "login_hint": null, "customdata": null, "emailtemplate": null, "recaptcha": null,
        "recaptchaevent": null, "otp": null, "newpassword": null,
    });
    for (name, value) in changes.as_object().expect("a map") {
        body[name] = value.clone();
    }
    body
}

on_both_databases! {
    async fn point_19_nulls_are_no_members_and_a_captcha_left_over_is_no_mistake(site: Site) {
        site.register(JANICE).await;
        send(&site, &whole(json!({"recaptcha": "test-pass"}))).await.expect_ok();
        let code = site.code_to(JANICE).await;
        // The captcha of the first phase is sent again, spent or not, and is ignored.
        let body = whole(json!({"otp": code, "newpassword": NEW_PASSWORD, "recaptcha": "test-fail"}));
        send(&site, &body).await.expect_ok();
        site.deliver().await;
        site.inbox.clear();
        send(&site, &whole(json!({"recaptchaevent": {"token": "test-pass", "siteKey": "k", "projectId": "p"}}))).await.expect_ok();
        site.code_to(JANICE).await;
        // An undocumented name is refused, even beside valid ones.
        for name in ["Otp", "new_password", "user", "status", "otp2"] {
            let answer = send(&site, &whole(json!({"recaptcha": "test-pass", name: "x"}))).await.expect_status(400).json();
            assert_eq!(answer["status_code"], "invalid_params", "{name}");
        }
    }
}

on_both_databases! {
    async fn point_19_attempts_end_in_regenerate_otp_after_the_configured_number(site: Site) {
        site.register(JANICE).await;
        for attempts in [1, 3] {
            site.update_settings_of("public", json!({"maxPasswordResetAttempts": attempts})).await;
            for username in [JANICE, "unknown@example.com"] {
                send(&site, &json!({"username": username, "recaptcha": "test-pass"})).await.expect_ok();
                site.deliver().await;
                site.inbox.clear();
                let choose = json!({"username": username, "otp": "000000x", "newpassword": NEW_PASSWORD});
                for attempt in 0..attempts + 2 {
                    let answer = send(&site, &choose).await.expect_status(400).json();
                    let expected = if attempt < attempts { "invalid_otp" } else { "regenerate_otp" };
                    assert_eq!(answer["status_code"], expected, "{username} {attempt}/{attempts}");
                }
            }
        }
    }
}

on_both_databases! {
    async fn point_22_what_the_handler_refuses_has_apex_error_and_leaves_no_user(site: Site) {
        site.update_settings(json!({"registrationAccount": {"rule": "customdata", "member": "company", "create": true}})).await;
        let mut body = registration(JANICE);
        body["customdata"] = json!({"company": ""});
        let id = identifier(site.init(&body).await);
        let code = site.code_to(JANICE).await;
        let answer = site.send(site.authorize_call(&id, &code)).await.expect_status(400).json();
        assert_eq!(answer["error"], "registration_error");
        assert_eq!(answer["error_description"], "user was unable to be created in apex");
        let apex_error = answer["apex_error"].as_str().unwrap();
        let (exception, message) = apex_error.split_once(": ").expect("ExceptionType: message");
        assert!(!exception.is_empty() && !message.is_empty(), "{apex_error}");
        assert!(site.user(JANICE).await.is_none());
        // The request is spent: a corrected setup does not revive it.
        let again = site.send(site.authorize_call(&id, &code)).await.expect_status(400).json();
        assert_eq!(again["error"], "invalid_grant");
    }
}

on_both_databases! {
    async fn point_26_a_reset_code_expires_belongs_to_its_user_and_is_used_once(site: Site) {
        site.register(JANICE).await;
        site.register("other@example.com").await;
        let choose = |username: &str, code: &str| json!({"username": username, "otp": code, "newpassword": NEW_PASSWORD});
        let invalid = |answer: Answer| assert_eq!(answer.expect_status(400).json()["status_code"], "invalid_otp");
        let mut codes = Vec::new();
        for username in [JANICE, "other@example.com"] {
            send(&site, &json!({"username": username, "recaptcha": "test-pass"})).await.expect_ok();
            codes.push(site.code_to(username).await);
        }
        if codes[0] != codes[1] {
            invalid(send(&site, &choose(JANICE, &codes[1])).await);
        }
        send(&site, &choose(JANICE, &codes[0])).await.expect_ok();
        invalid(send(&site, &choose(JANICE, &codes[0])).await);
        site.advance(std::time::Duration::from_secs(600));
        invalid(send(&site, &choose("other@example.com", &codes[1])).await);
        site.deliver().await;
        site.inbox.clear();
    }
}

on_sqlite! {
    async fn point_28_of_a_reset_in_order(site: Site) {
        let token = site.integration_token(None).await;
        let both = json!({"doesForgotPasswordRequireAuth": true, "isRecaptchaRequiredForgotPwd": true, "recaptchaProvider": "test"});
        site.update_settings(both).await;
        // Each request has the named mistake and all that come later in the order.
        let post = || Call::post(RESET).body(br#"{"x":1}"#);
        let bad_template = json!({"username": JANICE, "recaptcha": "test-pass", "emailtemplate": "unfiled$public/None"});
        let in_order = [
            (Call::get(RESET).host("other.example.com").body(b"{"), "post_required"),
            (post().host("other.example.com"), "invalid_domain"),
            (post(), "missing_auth_params"),
            (post().bearer("unknown"), "invalid_authorization"),
            (post().bearer(&token), "recaptcha_req"),
            (Call::post(RESET).bearer(&token).json(&json!({"recaptcha": "test-fail", "x": 1})), "invalid_params"),
            (Call::post(RESET).bearer(&token).json(&json!({"username": JANICE, "recaptcha": "test-fail", "emailtemplate": "x"})), "invalid_recaptcha"),
            (Call::post(RESET).bearer(&token).json(&bad_template), "invalid_template"),
        ];
        for (call, status_code) in in_order.clone() {
            assert_eq!(site.send(call).await.json()["status_code"], status_code);
        }
        site.update_settings(json!({"isForgotPwdAllowed": false})).await;
        for (call, _) in in_order.into_iter().skip(2) {
            assert_eq!(site.send(call).await.json()["status_code"], "headless_forgot_password_disabled");
        }
    }
}

#[tokio::test]
async fn point_28_of_a_reset_the_transport_comes_first() {
    let site = Site::open_with_tls_required().await;
    for call in [
        Call::get(RESET),
        Call::post(RESET).host("other.example.com"),
    ] {
        let answer = site.send(call).await.expect_status(403).json();
        assert_eq!(answer["status_code"], "https_required");
    }
}
