//! Headless Passwordless Login Flow, request by request.

use serde_json::{Value, json};

use crate::fixture::{Answer, Call, Site, on_both_databases};

/// An init request at the public site, with a captcha that is accepted.
async fn begin(site: &Site, body: Value) -> Answer {
    let mut body = body;
    body["recaptcha"] = json!("test-pass");
    let call = Call::post("/services/auth/headless/init/passwordless/login").on_public();
    site.send(call.json(&body)).await
}

/// The same at the private site, with the integration user's token.
async fn begin_behind(site: &Site, body: Value) -> Answer {
    let token = site.integration_token(None).await;
    let call = Call::post("/services/auth/headless/init/passwordless/login").bearer(&token);
    site.send(call.json(&body)).await
}

fn by_mail(username: &str) -> Value {
    json!({"verificationmethod": "email", "username": username})
}

on_both_databases! {
    async fn a_login_by_mail_ends_in_tokens(site: Site) {
        site.register("janice@example.com").await;
        let begun = begin(&site, by_mail("janice@example.com")).await.expect_ok().json();
        assert_eq!((&begun["status"], &begun["email"]), (&json!("success"), &json!("janice@example.com")));
        let identifier = begun["identifier"].as_str().unwrap();
        let code = site.code_to("janice@example.com").await;
        let call = site.public_authorize_call("passwordless-login", identifier, &code).form("state", "xyz");
        let answer = site.send(call).await.expect_status(302);
        let names: Vec<String> = answer.location_parameters().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["code", "sfdc_community_url", "sfdc_community_id", "state"]);
        let tokens = site.send(site.public_token_call(&answer.location_parameter("code"))).await.expect_ok().json();
        assert_eq!(tokens["state"], "xyz");
        assert!(tokens["id_token"].is_string() && tokens["access_token"].is_string());
        // The code was spent.
        let again = site.public_authorize_call("passwordless-login", identifier, &code);
        assert_eq!(site.send(again).await.expect_status(400).json()["error"], "invalid_grant");
    }
}

on_both_databases! {
    async fn the_channel_is_required_and_must_be_the_one_of_the_init_call(site: Site) {
        site.register("janice@example.com").await;
        let begun = begin(&site, by_mail("janice@example.com")).await.expect_ok().json();
        let identifier = begun["identifier"].as_str().unwrap();
        let code = site.code_to("janice@example.com").await;
        let call = || site.public_authorize_call("passwordless-login", identifier, &code);
        for call in [
            call().without_header("auth-verification-type"),
            call().without_header("auth-verification-type").header("auth-verification-type", "sms"),
            call().without_header("auth-verification-type").header("auth-verification-type", "fax"),
        ] {
            assert_eq!(site.send(call).await.expect_status(400).json()["error"], "invalid_request");
        }
        site.send(call()).await.expect_status(302);
    }
}

on_both_databases! {
    async fn a_login_by_text_message_needs_a_verified_number(site: Site) {
        site.register("janice@example.com").await;
        let body = json!({"verificationmethod": "sms", "username": "janice@example.com"});
        begin(&site, body.clone()).await.expect_ok();
        site.deliver().await;
        let messages = site.inbox.list(None);
        assert_eq!(messages.len(), 1);
        assert_eq!((messages[0].code.as_ref(), messages[0].suppressed.is_some()), (None, true));
        site.inbox.clear();
        site.execute("UPDATE app_user SET phone = '+12035550100', phone_verified_at = 1").await;
        let begun = begin(&site, body).await.expect_ok().json();
        let code = site.code_to("+12035550100").await;
        let call = site.public_authorize_call("passwordless-login", begun["identifier"].as_str().unwrap(), &code);
        let call = call.without_header("auth-verification-type").header("auth-verification-type", "sms");
        site.send(call).await.expect_status(302);
    }
}

on_both_databases! {
    async fn enu_09_a_response_echoes_the_sent_address_and_a_backend_gets_the_stored_one(site: Site) {
        site.register("janice@example.com").await;
        site.execute("UPDATE app_user SET email = 'other@example.com', email_key = 'other@example.com'
            WHERE username_key = 'janice@example.com'").await;
        let public = begin(&site, by_mail("janice@example.com")).await.expect_ok().json();
        assert_eq!(public["email"], "janice@example.com");
        let private = begin_behind(&site, by_mail("janice@example.com")).await.expect_ok().json();
        assert_eq!(private["email"], "other@example.com");
        let unknown = begin(&site, by_mail("ORDER-10023")).await.expect_ok().json();
        assert_eq!(unknown.get("email"), None);
        site.deliver().await;
        site.inbox.clear();
    }
}

on_both_databases! {
    async fn missing_members_and_disabled_logins_are_reported(site: Site) {
        for (body, field) in [
            (json!({"username": "janice@example.com"}), "verificationmethod"),
            (json!({"verificationmethod": "email"}), "username"),
            (json!({"verificationmethod": "email", "login_hint": "ORDER-1"}), "login_hint"),
        ] {
            let answer = begin(&site, body).await.expect_status(400).json();
            assert_eq!((&answer["status_code"], &answer["invalid_field"]), (&json!("invalid_params"), &json!(field)));
        }
        site.update_settings_of("public", json!({"isPwdlessLoginAllowed": false})).await;
        let answer = begin(&site, by_mail("janice@example.com")).await.expect_status(400).json();
        assert_eq!(answer["status_code"], "headless_passwordless_login_disabled");
        assert_eq!(answer["error"], "invalid_experience");
    }
}
