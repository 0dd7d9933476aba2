//! "Headless Forgot Password Flow", request by request.

use serde_json::json;
use vestibule_protocol::purpose::Purpose;

use super::{
    PRIVATE_HOST, PUBLIC_HOST, TEMPLATE, as_documented, assert_json, callback, customer,
    integration_token, message, template,
};
use crate::fixture::{Answer, Call, PASSWORD, Site, on_both_databases};

const LYLE: &str = "lhansen@example.com";

/// "An example request for a public client that's using a custom email template." It has no empty line before its
/// body.
fn begin_in_public() -> Call {
    Call::printed(&format!(
        r#"
        POST /services/auth/headless/forgot_password HTTP/1.1
        Host: {PUBLIC_HOST}
        Content-Type: application/json
        {{
            "username":"lhansen@example.com",
            "emailtemplate":"{TEMPLATE}",
            "recaptcha": "test-pass-1"
        }}
        "#
    ))
}

/// "An example request for a private client that's using the default email template."
fn begin_behind(token: &str) -> Call {
    Call::printed(&format!(
        r#"
        POST /services/auth/headless/forgot_password HTTP/1.1
        Host: {PRIVATE_HOST}
        Authorization: Bearer {token}
        Content-Type: application/json

        {{
            "username": "lhansen@example.com"
        }}"#
    ))
}

/// The second phase, with an access token or without. The printed password is a common one (see
/// `the_printed_password_is_too_common`), so a suffix is added here.
fn choose(host: &str, token: Option<&str>, otp: &str) -> Call {
    let header = token.map_or_else(String::new, |token| {
        format!("Authorization: Bearer {token}\n")
    });
    Call::printed(&format!(
        r#"
        POST /services/auth/headless/forgot_password HTTP/1.1
        Host: {host}
        {header}Content-Type: application/json
        {{
        "username": "lhansen@example.com",
        "otp" : "{otp}",
        "newpassword" : "abcd1234-x7"
        }}
        "#
    ))
}

#[track_caller]
fn assert_said(answer: &Answer, status: u16, body: &str) {
    assert_eq!((answer.status, answer.body.as_str()), (status, body));
    assert_json(answer);
}

const OTP_SENT: &str = r#"{"status":"success","status_code":"otp_sent"}"#;
const SUCCESS: &str = r#"{"status":"success","status_code":"success"}"#;
const INVALID_OTP: &str =
    r#"{"status_code":"invalid_otp","otp_error":"invalid OTP","status":"failed"}"#;

/// Whether Lyle can log in with a password.
async fn logs_in(site: &Site, password: &str) -> bool {
    let call = Call::printed("POST /services/oauth2/authorize HTTP/1.1")
        .host(PRIVATE_HOST)
        .header("Auth-Request-Type", "Named-User")
        .basic(LYLE, password)
        .form("response_type", "code_credentials")
        .form("client_id", &site.client.id)
        .form("redirect_uri", &callback());
    site.send(call).await.status == 302
}

on_both_databases! {
    async fn every_request_of_a_public_client_and_its_answer(site: Site) {
        as_documented(&site).await;
        customer(&site, LYLE, LYLE).await;
        template(&site, Purpose::ForgotPassword).await;
        assert_said(&site.send(begin_in_public()).await, 200, OTP_SENT);
        let (subject, code) = message(&site, LYLE).await;
        assert_eq!(subject, "Sales welcomes a new customer", "by the named template");

        // The printed code is another one; a failure leaves the sent code valid.
        assert_said(&site.send(choose(PUBLIC_HOST, None, "123abc")).await, 400, INVALID_OTP);
        // "Because the reCAPTCHA token was sent in the initial request, it's not required in this one."
        let code = code.unwrap();
        assert_said(&site.send(choose(PUBLIC_HOST, None, &code)).await, 200, SUCCESS);
        assert!(logs_in(&site, "abcd1234-x7").await && !logs_in(&site, PASSWORD).await);
        message(&site, LYLE).await;
        assert_said(&site.send(choose(PUBLIC_HOST, None, &code)).await, 400, INVALID_OTP);
    }
}

on_both_databases! {
    async fn every_request_of_a_private_client_and_its_answer(site: Site) {
        as_documented(&site).await;
        customer(&site, LYLE, LYLE).await;
        let token = integration_token(&site).await;
        assert_said(&site.send(begin_behind(&token)).await, 200, OTP_SENT);
        let (_, code) = message(&site, LYLE).await;
        let code = code.unwrap();
        // The header is required in both phases, although the second table has no row for it.
        let bare = site.send(choose(PRIVATE_HOST, None, &code)).await;
        let missing = r#"{"status_code":"authentication_req","invalid_request":"include an authentication header","status":"failed"}"#;
        assert_said(&bare, 401, missing);
        let wrong = site.send(choose(PRIVATE_HOST, Some("00DRnobodys"), &code)).await;
        let refused = r#"{"status_code":"invalid_authorization","invalid_request":"authentication failure","status":"failed"}"#;
        assert_said(&wrong, 401, refused);
        assert_said(&site.send(choose(PRIVATE_HOST, Some(&token), &code)).await, 200, SUCCESS);
        assert!(logs_in(&site, "abcd1234-x7").await && !logs_in(&site, PASSWORD).await);
        message(&site, LYLE).await;
    }
}

on_both_databases! {
    async fn an_unknown_username_gets_the_same_response_and_no_message(site: Site) {
        as_documented(&site).await;
        let token = integration_token(&site).await;
        assert_said(&site.send(begin_behind(&token)).await, 200, OTP_SENT);
        site.deliver().await;
        let message = site.inbox.list(None).pop().expect("what was not sent is shown as such");
        assert!(message.suppressed.is_some() && message.code.is_none());
        site.inbox.clear();
        assert_said(&site.send(choose(PRIVATE_HOST, Some(&token), "123abc")).await, 400, INVALID_OTP);
    }
}

on_both_databases! {
    async fn the_request_with_a_hint_needs_a_discovery_handler(site: Site) {
        as_documented(&site).await;
        let token = integration_token(&site).await;
        let call = Call::printed(&format!(
            r#"
            POST /services/auth/headless/forgot_password HTTP/1.1
            Host: {PRIVATE_HOST}
            Authorization: Bearer {token}
            Content-Type: application/json

            {{
                "login_hint": "ORDER-10023",
                "customdata": {{
                    "firstName": "Lyle",
                    "lastName": "Hansen"
                }}
            }}"#
        ));
        let answer = site.send(call).await.expect_status(400).json();
        assert_eq!(answer["status_code"], json!("invalid_params"));
    }
}

on_both_databases! {
    async fn the_printed_password_is_too_common(site: Site) {
        // It meets the documented default policy; the list of common passwords, which the documentation does not
        // have, refuses it.
        as_documented(&site).await;
        customer(&site, LYLE, LYLE).await;
        let token = integration_token(&site).await;
        assert_said(&site.send(begin_behind(&token)).await, 200, OTP_SENT);
        let code = message(&site, LYLE).await.1.unwrap();
        let body = json!({"username": LYLE, "otp": code, "newpassword": "abcd1234"});
        let answer = site.send(choose(PRIVATE_HOST, Some(&token), "").json(&body)).await;
        assert_eq!(answer.expect_status(400).json()["status_code"], "password_policy_check_failure");
    }
}

on_both_databases! {
    async fn a_refused_password_counts_against_the_same_code(site: Site) {
        // "If the client sends an incorrect OTP or the new password doesn't meet the standard Salesforce
        // security requirements … your client can make a set number of attempts … using the same OTP."
        as_documented(&site).await;
        customer(&site, LYLE, LYLE).await;
        site.update_settings(json!({"maxPasswordResetAttempts": 3})).await;
        let token = integration_token(&site).await;
        assert_said(&site.send(begin_behind(&token)).await, 200, OTP_SENT);
        let code = message(&site, LYLE).await.1.unwrap();
        let with = |otp: &str, password: &str| {
            let body = json!({"username": LYLE, "otp": otp, "newpassword": password});
            choose(PRIVATE_HOST, Some(&token), otp).json(&body)
        };
        let status_code = |answer: Answer| answer.expect_status(400).json()["status_code"].clone();
        assert_eq!(status_code(site.send(with(&code, "abcd")).await), "password_policy_check_failure");
        assert_eq!(status_code(site.send(with("123abc", "abcd1234-x7")).await), "invalid_otp");
        assert_eq!(status_code(site.send(with(&code, LYLE)).await), "password_policy_check_failure");
        assert_eq!(status_code(site.send(with(&code, "abcd1234-x7")).await), "regenerate_otp");
        // "Your client must send a new initial reset password request."
        assert_said(&site.send(begin_behind(&token)).await, 200, OTP_SENT);
        let code = message(&site, LYLE).await.1.unwrap();
        assert_said(&site.send(with(&code, "abcd1234-x7")).await, 200, SUCCESS);
        message(&site, LYLE).await;
    }
}
