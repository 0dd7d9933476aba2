//! The two tables of errors of "Headless Forgot Password Flow": every row is reached, and compared byte for byte. A
//! test's name is the row's code, after its phase.

use serde_json::{Value, json};
use vestibule::delivery::Gateway;

use super::assert_json;
use crate::fixture::{Answer, Call, Database, PASSWORD, Setup, Site, on_both_databases, on_sqlite};

const PATH: &str = "/services/auth/headless/forgot_password";
const JANICE: &str = "janice@example.com";
const NEW_PASSWORD: &str = "Another-Pa55word";

/// "status_code", "error name", "error description", in the printed order.
#[track_caller]
fn assert_row(answer: &Answer, http_status: u16, code: &str, name: &str, description: &str) {
    let body = format!(r#"{{"status_code":"{code}","{name}":"{description}","status":"failed"}}"#);
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (http_status, body.as_str())
    );
    assert_json(answer);
}

fn ask(username: &str) -> Value {
    json!({"username": username})
}

fn choose(username: &str, otp: &str, new_password: &str) -> Value {
    json!({"username": username, "otp": otp, "newpassword": new_password})
}

fn with(mut body: Value, name: &str, value: &str) -> Value {
    body[name] = json!(value);
    body
}

/// At the public site, which requires a captcha in the first phase.
async fn in_public(site: &Site, body: &Value) -> Answer {
    site.send(Call::post(PATH).on_public().json(body)).await
}

/// At the private site, with a valid access token.
async fn behind(site: &Site, body: &Value) -> Answer {
    let token = site.integration_token(None).await;
    site.send(Call::post(PATH).bearer(&token).json(body)).await
}

/// Starts a reset and reads the code.
async fn begun(site: &Site) -> String {
    behind(site, &ask(JANICE)).await.expect_ok();
    site.code_to(JANICE).await
}

async fn in_clear() -> Site {
    Site::open_with_tls_required().await
}

on_sqlite! {
    async fn first_authentication_req(site: Site) {
        let answer = site.send(Call::post(PATH).json(&ask(JANICE))).await;
        assert_row(&answer, 401, "authentication_req", "invalid_request", "include an authentication header");
        // "You don't send the access token correctly."
        let token = site.integration_token(None).await;
        for header in [format!("Basic {token}"), format!("Token {token}"), token.clone()] {
            let answer = site.send(Call::post(PATH).header("authorization", &header).json(&ask(JANICE))).await;
            assert_row(&answer, 401, "authentication_req", "invalid_request", "include an authentication header");
        }
        // A captcha does not replace a required token.
        let answer = site.send(Call::post(PATH).json(&with(ask(JANICE), "recaptcha", "test-pass"))).await;
        assert_row(&answer, 401, "authentication_req", "invalid_request", "include an authentication header");
    }
}

on_sqlite! {
    async fn both_headless_forgot_password_disabled(site: Site) {
        site.update_settings(json!({"isForgotPwdAllowed": false})).await;
        for body in [ask(JANICE), choose(JANICE, "123abc", NEW_PASSWORD)] {
            // Whatever the caller, and however it authenticates.
            for answer in [behind(&site, &body).await, site.send(Call::post(PATH).json(&body)).await] {
                assert_row(&answer, 400, "headless_forgot_password_disabled", "invalid_experience",
                    "enable the headless forgot password flow");
            }
        }
    }
}

#[tokio::test]
async fn both_https_required() {
    let site = in_clear().await;
    for body in [ask(JANICE), choose(JANICE, "123abc", NEW_PASSWORD)] {
        let answer = site.send(Call::post(PATH).json(&body)).await;
        assert_row(
            &answer,
            403,
            "https_required",
            "invalid_request",
            "use a URL that starts with HTTPS",
        );
    }
}

on_sqlite! {
    async fn first_invalid_authorization(site: Site) {
        let unfit = site.integration_token(Some("api user_registration_api pwdless_login_api")).await;
        let users = site.register(JANICE).await["access_token"].as_str().unwrap().to_owned();
        let old = site.integration_token(None).await;
        let refused = |answer: Answer| {
            assert_row(&answer, 401, "invalid_authorization", "invalid_request", "authentication failure");
        };
        for token in ["00DR****************", &unfit, &users] {
            refused(site.send(Call::post(PATH).bearer(token).json(&ask(JANICE))).await);
        }
        site.advance(std::time::Duration::from_secs(7_200));
        refused(site.send(Call::post(PATH).bearer(&old).json(&ask(JANICE))).await);
    }
}

on_sqlite! {
    async fn both_invalid_domain(site: Site) {
        for body in [ask(JANICE), choose(JANICE, "123abc", NEW_PASSWORD)] {
            for host in ["login.example.com", "mydomain.my.example.com"] {
                let answer = site.send(Call::post(PATH).host(host).json(&body)).await;
                assert_row(&answer, 404, "invalid_domain", "invalid_request", "invalid domain");
            }
        }
    }
}

on_sqlite! {
    async fn both_invalid_params(site: Site) {
        let bodies = [
            json!({}), json!([]), json!("x"), json!({"username": ""}), json!({"username": null}),
            json!({"username": 5}), json!({"Username": JANICE}), json!({"username": JANICE, "unsupported": true}),
            json!({"username": JANICE, "customdata": 5}), json!({"username": JANICE, "emailtemplate": {}}),
            json!({"username": JANICE, "otp": "123abc"}), json!({"username": JANICE, "newpassword": NEW_PASSWORD}),
            json!({"username": JANICE, "otp": "", "newpassword": ""}), json!({"otp": "123abc", "newpassword": NEW_PASSWORD}),
            json!({"username": JANICE, "otp": "123abc", "newPassword": NEW_PASSWORD}),
            json!({"username": JANICE, "otp": "123abc", "new_password": NEW_PASSWORD}),
        ];
        for body in bodies {
            let answer = behind(&site, &body).await;
            assert_row(&answer, 400, "invalid_params", "invalid_request", "invalid parameters");
        }
        let token = site.integration_token(None).await;
        // As printed on the page: with an additional comma.
        for body in [r#"{"username":"lhansen@example.com",,"emailtemplate":"x"}"#, "", "{", "username=x"] {
            let answer = site.send(Call::post(PATH).bearer(&token).body(body.as_bytes())).await;
            assert_row(&answer, 400, "invalid_params", "invalid_request", "invalid parameters");
        }
    }
}

on_sqlite! {
    async fn first_invalid_recaptcha(site: Site) {
        let answer = in_public(&site, &with(ask(JANICE), "recaptcha", "test-fail")).await.expect_status(400);
        assert_json(&answer);
        // "The response includes an extra recaptcha_response claim."
        let expected = format!(
            r#"{{"status_code":"invalid_recaptcha","invalid_request":"invalid reCAPTCHA token","status":"failed","recaptcha_response":{{"success":false,"challenge_ts":"{}","hostname":"localhost","error-codes":["invalid-input-response"]}}}}"#,
            site.app.now().iso_seconds()
        );
        assert_eq!(answer.body, expected);
        // Accepted by the verifier, but with a low score.
        let answer = in_public(&site, &with(ask(JANICE), "recaptcha", "test-score-0.3")).await.expect_status(400).json();
        assert_eq!(answer["status_code"], "invalid_recaptcha");
        let response = &answer["recaptcha_response"];
        assert_eq!(response["success"], true);
        assert!(response["challenge_ts"].is_string() && response["hostname"].is_string(), "{response}");
    }
}

on_sqlite! {
    async fn first_invalid_template(site: Site) {
        let body = with(ask(JANICE), "emailtemplate", "unfiled$public/None");
        for is_listing in [false, true] {
            site.update_settings(json!({"isForgotPwdEmailTemplateAllowlistingEnabled": is_listing})).await;
            let answer = behind(&site, &body).await;
            assert_row(&answer, 400, "invalid_template", "invalid_param", "invalid email template");
        }
    }
}

on_sqlite! {
    async fn first_missing_auth_params(site: Site) {
        let both = json!({"doesForgotPasswordRequireAuth": true, "isRecaptchaRequiredForgotPwd": true});
        site.update_settings_of("public", both).await;
        let answer = in_public(&site, &ask(JANICE)).await;
        assert_row(&answer, 401, "missing_auth_params", "invalid_request",
            "include an authentication header or reCAPTCHA parameter");
        // With one of the two, the other is named.
        let answer = in_public(&site, &with(ask(JANICE), "recaptcha", "test-pass")).await;
        assert_row(&answer, 401, "authentication_req", "invalid_request", "include an authentication header");
    }
}

on_sqlite! {
    async fn first_not_allowed_template(site: Site) {
        let body = with(ask(JANICE), "emailtemplate", "vestibule$public/PasswordResetOtp");
        behind(&site, &body).await.expect_ok();
        site.update_settings(json!({"isForgotPwdEmailTemplateAllowlistingEnabled": true})).await;
        let answer = behind(&site, &body).await;
        assert_row(&answer, 400, "not_allowed_template", "invalid_param", "email template not allowlisted");
        site.deliver().await;
        site.inbox.clear();
    }
}

#[tokio::test]
async fn first_otp_generation_failed() {
    let setup = Setup {
        email: Some(Gateway::None),
        ..Setup::default()
    };
    let site = Site::open_with(Database::Sqlite, setup).await;
    let answer = behind(&site, &ask(JANICE)).await;
    assert_row(
        &answer,
        400,
        "otp_generation_failed",
        "otp_error",
        "OTP generation failed",
    );
}

on_sqlite! {
    async fn both_post_required(site: Site) {
        for method in ["GET", "PUT", "DELETE", "PATCH"] {
            for body in [ask(JANICE), choose(JANICE, "123abc", NEW_PASSWORD)] {
                let call = Call::new(method.parse().unwrap(), PATH).json(&body);
                let answer = site.send(call).await;
                // The page's sample has a space in the member's name, its table has none.
                assert_row(&answer, 405, "post_required", "invalid_request", "use a POST request");
                assert_eq!(answer.header("allow"), Some("POST"));
            }
        }
    }
}

on_sqlite! {
    async fn first_recaptcha_req(site: Site) {
        for body in [ask(JANICE), with(ask(JANICE), "recaptcha", "")] {
            let answer = in_public(&site, &body).await;
            assert_row(&answer, 400, "recaptcha_req", "invalid_request", "include a reCAPTCHA parameter");
        }
    }
}

on_both_databases! {
    async fn both_unknown_error(site: Site) {
        let row = |answer: Answer| assert_row(&answer, 500, "unknown_error", "unknown_error", "retry your request");
        // The captcha provider cannot be reached.
        row(in_public(&site, &with(ask(JANICE), "recaptcha", "test-timeout")).await);
        site.register(JANICE).await;
        let code = begun(&site).await;
        let token = site.integration_token(None).await;
        site.execute("ALTER TABLE challenge RENAME TO challenge_away").await;
        row(site.send(Call::post(PATH).bearer(&token).json(&ask(JANICE))).await);
        row(site.send(Call::post(PATH).bearer(&token).json(&choose(JANICE, &code, NEW_PASSWORD))).await);
    }
}

on_both_databases! {
    async fn both_user_account_locked(site: Site) {
        site.register(JANICE).await;
        let code = begun(&site).await;
        site.execute("UPDATE app_user SET locked_at = 1 WHERE username_key = 'janice@example.com'").await;
        for body in [ask(JANICE), choose(JANICE, &code, NEW_PASSWORD)] {
            let answer = behind(&site, &body).await;
            assert_row(&answer, 400, "user_account_locked", "invalid_user", "user account is locked");
        }
        // An unauthenticated caller gets this error only where the site discloses it.
        let body = with(ask(JANICE), "recaptcha", "test-pass");
        in_public(&site, &body).await.expect_ok();
        site.update_settings_of("public", json!({"disclose_account_state": true})).await;
        let answer = in_public(&site, &body).await;
        assert_row(&answer, 400, "user_account_locked", "invalid_user", "user account is locked");
        site.deliver().await;
        site.inbox.clear();
    }
}

on_both_databases! {
    async fn second_invalid_otp(site: Site) {
        site.register(JANICE).await;
        let row = |answer: Answer| assert_row(&answer, 400, "invalid_otp", "otp_error", "invalid OTP");
        // None was sent, there is no such user, it is another code, and it has expired.
        row(behind(&site, &choose(JANICE, "123abc", NEW_PASSWORD)).await);
        row(behind(&site, &choose("unknown@example.com", "123abc", NEW_PASSWORD)).await);
        let code = begun(&site).await;
        row(behind(&site, &choose(JANICE, "123abc", NEW_PASSWORD)).await);
        site.advance(std::time::Duration::from_secs(600));
        row(behind(&site, &choose(JANICE, &code, NEW_PASSWORD)).await);
    }
}

on_both_databases! {
    async fn second_password_policy_check_failure(site: Site) {
        site.register(JANICE).await;
        let code = begun(&site).await;
        for password in ["abcd", JANICE, PASSWORD] {
            let answer = behind(&site, &choose(JANICE, &code, password)).await.expect_status(400);
            // The documented name has a blank; the same name without it is also sent.
            let expected = r#"{"status_code":"password_policy_check_failure","password error":"password does not follow policy","password_error":"password does not follow policy","status":"failed"}"#;
            assert_eq!(answer.body, expected, "{password}");
            assert_json(&answer);
        }
    }
}

on_both_databases! {
    async fn second_regenerate_otp(site: Site) {
        site.register(JANICE).await;
        let code = begun(&site).await;
        for _ in 0..5 {
            let answer = behind(&site, &choose(JANICE, "123abc", NEW_PASSWORD)).await;
            assert_row(&answer, 400, "invalid_otp", "otp_error", "invalid OTP");
        }
        for otp in [&code, "123abc"] {
            let answer = behind(&site, &choose(JANICE, otp, NEW_PASSWORD)).await;
            assert_row(&answer, 400, "regenerate_otp", "otp_error",
                "user made too many invalid attempts; regenerate OTP");
        }
    }
}
