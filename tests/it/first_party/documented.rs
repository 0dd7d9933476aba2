//! OAuth 2.0 for First-Party Applications, with the documented names: a private client with a client assertion in
//! the body.

use serde_json::json;

use super::mint::{V1, asserted, assertion, enable};
use crate::fixture::{
    BASE_URL, CHALLENGE, Call, PASSWORD, Site, VERIFIER, on_both_databases, on_sqlite, registration,
};
use crate::flow::errors::assert_private;

const JANICE: &str = "janice@example.com";

fn token_call(site: &Site, code: &str) -> Call {
    Call::post("/services/oauth2/token")
        .form("grant_type", "authorization_code")
        .form("code", code)
        .form("client_id", &site.client.id)
        .form("client_secret", &site.client.secret)
        .form("code_verifier", VERIFIER)
}

on_both_databases! {
    async fn conformance_25_a_password_gives_a_code_and_the_code_tokens(site: Site) {
        site.register(JANICE).await;
        enable(&site).await;
        let call = asserted(&site).form("username", JANICE).form("password", PASSWORD).form("nonce", "n-1");
        let answer = site.send(call).await.expect_ok();
        assert_private(&answer, "a code");
        assert_eq!(answer.header("content-type"), Some("application/json;charset=UTF-8"));
        let body = answer.json();
        let names: Vec<&String> = body.as_object().unwrap().keys().collect();
        assert_eq!(names, ["authorization_code"]);
        let code = body["authorization_code"].as_str().unwrap();
        // Without a redirect URI, and with a secret.
        let tokens = site.send(token_call(&site, code)).await.expect_ok().json();
        assert!(tokens["access_token"].is_string() && tokens["id_token"].is_string());
        assert_eq!(tokens["sfdc_community_url"], BASE_URL);
        // The code was spent.
        let again = site.send(token_call(&site, code)).await.expect_status(400);
        assert_eq!(again.json()["error"], "invalid_grant");
    }
}

on_both_databases! {
    async fn conformance_25_wrong_credentials_are_a_challenge_and_the_session_continues(site: Site) {
        site.register(JANICE).await;
        enable(&site).await;
        let wrong = |who: &str| asserted(&site).form("username", who).form("password", "wrong");
        let answer = site.send(wrong(JANICE)).await.expect_status(403);
        assert_private(&answer, "a challenge");
        let mut body = answer.json();
        let session = body["auth_session"].as_str().unwrap().to_owned();
        assert!(session.len() >= 43, "256 bits");
        let known = body.clone();
        body["auth_session"] = json!("…");
        assert_eq!(body, json!({"error": "authorization_required", "error_code": "invalid_credentials",
            "auth_session": "…"}));
        // An unknown username gets the same response.
        let mut unknown = site.send(wrong("unknown@example.com")).await.expect_status(403).json();
        unknown["auth_session"] = known["auth_session"].clone();
        assert_eq!(unknown, known);
        // The session continues with another one, and ends with the code.
        let right = asserted(&site).form("auth_session", &session)
            .form("username", JANICE).form("password", PASSWORD);
        site.send(right.clone().with("client_assertion", Some(&assertion(&site)))).await.expect_ok();
        let again = site.send(right.with("client_assertion", Some(&assertion(&site)))).await;
        assert_eq!(again.expect_status(400).json()["error"], "invalid_session");
    }
}

on_both_databases! {
    async fn conformance_25_a_login_by_a_code_is_a_challenge_and_a_continuation(site: Site) {
        site.register(JANICE).await;
        enable(&site).await;
        let begin = asserted(&site).form("username", JANICE).form("verificationmethod", "email");
        let mut body = site.send(begin).await.expect_status(403).json();
        let session = body["auth_session"].as_str().unwrap().to_owned();
        body["auth_session"] = json!("…");
        assert_eq!(body, json!({
            "error": "authorization_required", "error_code": "login_initialized", "auth_session": "…",
            "login_status": {"state": "otp_sent", "type": "EMAIL"},
        }));
        let code = site.code_to(JANICE).await;
        // The continuation needs only the session.
        let go_on = |session: &str, otp: &str| Call::post(V1)
            .form("client_id", &site.client.id).form("client_assertion", &assertion(&site))
            .form("auth_session", session).form("otp", otp);
        let wrong = site.send(go_on(&session, "000000")).await.expect_status(403).json();
        assert_eq!(wrong["error_code"], "invalid_credentials");
        let next = wrong["auth_session"].as_str().unwrap();
        assert_ne!(next, session, "every answer has a new session");
        let old = site.send(go_on(&session, &code)).await.expect_status(400).json();
        assert_eq!(old["error"], "invalid_session");
        let answer = site.send(go_on(next, &code)).await.expect_ok().json();
        let tokens = token_call(&site, answer["authorization_code"].as_str().unwrap());
        site.send(tokens).await.expect_ok();
    }
}

on_both_databases! {
    async fn a_registration_is_posted_in_json_and_ends_in_a_code(site: Site) {
        enable(&site).await;
        let mut body = registration(JANICE);
        body["client_id"] = json!(site.client.id);
        body["client_assertion"] = json!(assertion(&site));
        body["code_challenge"] = json!(CHALLENGE);
        let mut answer = site.send(Call::post(V1).json(&body)).await.expect_status(403).json();
        let session = answer["auth_session"].take();
        assert_eq!(answer, json!({
            "error": "authorization_required", "error_code": "registration_initialized", "auth_session": null,
            "registration_status": {"state": "otp_sent", "type": "EMAIL"},
        }));
        assert!(site.user(JANICE).await.is_none());
        let go_on = json!({"client_id": site.client.id, "client_assertion": assertion(&site),
            "auth_session": session, "otp": site.code_to(JANICE).await});
        let done = site.send(Call::post(V1).json(&go_on)).await.expect_ok().json();
        assert!(site.user(JANICE).await.is_some());
        let tokens = token_call(&site, done["authorization_code"].as_str().unwrap());
        site.send(tokens).await.expect_ok();
    }
}

on_sqlite! {
    async fn a_post_to_authorize_with_an_assertion_and_no_request_type_is_a_step(site: Site) {
        site.register(JANICE).await;
        enable(&site).await;
        let call = asserted(&site).at("/backend/services/oauth2/authorize")
            .form("username", JANICE).form("password", PASSWORD);
        let answer = site.send(call).await.expect_ok().json();
        assert!(answer["authorization_code"].is_string());
        let body = json!({"client_id": site.client.id, "client_assertion": assertion(&site),
            "code_challenge": CHALLENGE, "username": JANICE, "password": "wrong"});
        let call = Call::post("/services/oauth2/authorize").json(&body);
        assert_eq!(site.send(call).await.expect_status(403).json()["error"], "authorization_required");
        // Without an assertion it is a headless request without a request type, in JSON too.
        let body = json!({"username": JANICE, "password": PASSWORD});
        let call = Call::post("/services/oauth2/authorize").json(&body);
        assert_eq!(site.send(call).await.expect_status(400).json()["error"], "invalid_request");
        // With a request type it is the headless flow.
        site.send(site.password_call(JANICE, PASSWORD)
            .form("code_challenge", CHALLENGE)).await.expect_status(302);
    }
}

on_sqlite! {
    async fn switches_and_policies_close_the_endpoint(site: Site) {
        site.register(JANICE).await;
        let call = || asserted(&site).form("username", JANICE).form("password", PASSWORD);
        let refused = |answer: crate::fixture::Answer, error: &str| {
            assert_eq!(answer.expect_status(400).json()["error"], error);
        };
        enable(&site).await;
        site.update_settings(json!({"isFirstPartyAppsAllowed": false})).await;
        refused(site.send(call()).await, "unauthorized_client");
        site.update_settings(json!({"isFirstPartyAppsAllowed": true})).await;
        site.update_client(&site.client.id, json!({"isFirstPartyAppEnabled": false})).await;
        refused(site.send(call()).await, "unauthorized_client");
        // Without a secret, a client cannot use this endpoint.
        site.update_client(&site.client.id, json!({"isFirstPartyAppEnabled": true, "isConsumerSecretOptional": true})).await;
        refused(site.send(call()).await, "unauthorized_client");
        site.update_client(&site.client.id, json!({"isConsumerSecretOptional": false})).await;
        refused(site.send(call().with("code_challenge", None)).await, "invalid_request");
        refused(site.send(call().with("code_challenge", Some("short"))).await, "invalid_request");
        refused(site.send(call().form("scope", "web")).await, "invalid_scope");
        refused(site.send(call().form("response_type", "token")).await, "unsupported_response_type");
        refused(site.send(call().with("client_id", Some("3MVG9none"))).await, "invalid_client_id");
        refused(site.send(call().with("client_id", None)).await, "invalid_request");
        refused(site.send(call().with("password", None)).await, "invalid_request");
        refused(site.send(call().form("challenge_type", "password_reset").with("password", None)).await,
            "invalid_request");
        site.update_settings(json!({"isPwdlessLoginAllowed": false})).await;
        let by_code = call().with("password", None).form("verificationmethod", "email");
        refused(site.send(by_code).await, "invalid_experience");
        site.send(call().form("scope", "openid").form("response_type", "code")).await.expect_ok();
    }
}

on_sqlite! {
    async fn a_login_needs_a_captcha_where_the_site_requires_it(site: Site) {
        site.register(JANICE).await;
        enable(&site).await;
        site.update_settings(json!({"doesPasswordLoginRequireAuth": true, "recaptchaProvider": "test"})).await;
        let call = || asserted(&site).form("username", JANICE).form("password", PASSWORD);
        let answer = site.send(call()).await.expect_status(400).json();
        assert_eq!(answer, json!({"error": "invalid_request", "error_description": "include a reCAPTCHA parameter"}));
        site.send(call().form("recaptcha", "test-fail")).await.expect_status(400);
        site.send(call().form("recaptcha", "test-pass")).await.expect_ok();
    }
}

on_sqlite! {
    async fn a_secret_does_not_stand_in_the_url(site: Site) {
        site.register(JANICE).await;
        enable(&site).await;
        let path = format!("/backend{V1}?password={PASSWORD}");
        let call = asserted(&site).form("username", JANICE).at(&path);
        assert_eq!(site.send(call).await.expect_status(400).json()["error"], "invalid_request");
        let get = Call::get(V1);
        assert_eq!(site.send(get).await.expect_status(405).header("allow"), Some("POST"));
    }
}
