//! The tables of headers and parameters, line by line: a missing required one is named in the refusal, and an
//! optional one is accepted.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use vestibule_protocol::purpose::Purpose;

use super::{TEMPLATE, message, template, text};
use crate::fixture::{CHALLENGE, Call, PASSWORD, VERIFIER, on_sqlite};

const REGISTRATION: &str = "/services/auth/headless/init/registration";
const LOGIN: &str = "/services/auth/headless/init/passwordless/login";
const JANICE: &str = "janice@example.com";
const UUID: &str = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff";

/// The minimal registration.
fn least(username: &str) -> Value {
    json!({
        "userdata": {"lastName": "Edwards", "email": username, "username": username},
        "password": PASSWORD,
    })
}

fn event() -> Value {
    json!({"token": "test-pass", "siteKey": "6Lc-site-key", "projectId": "shop-7"})
}

/// Removes a member, and returns its name in the refusal.
fn without(body: &Value, pointer: &str) -> (Value, String) {
    let mut body = body.clone();
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    let parent = body.pointer_mut(parent).expect("the parent");
    parent.as_object_mut().expect("an object").remove(name);
    (body, pointer.trim_start_matches('/').replace('/', "."))
}

on_sqlite! {
    async fn the_body_of_a_registration(site: Site) {
        template(&site, Purpose::Registration).await;
        site.update_settings(json!({"isRecaptchaRequiredRgstr": true, "recaptchaProvider": "test"})).await;
        let token = site.integration_token(None).await;
        let send = |body: &Value| site.send(Call::post(REGISTRATION).bearer(&token).json(body));
        let mut good = least("a@example.com");
        good["recaptcha"] = json!("test-pass");
        for pointer in ["/password", "/userdata", "/userdata/username", "/userdata/lastName", "/userdata/email"] {
            let (body, name) = without(&good, pointer);
            let answer = send(&body).await.expect_status(400).json();
            assert_eq!((&answer["status_code"], &answer["invalid_field"]), (&json!("invalid_params"), &json!(name)));
        }
        let (body, _) = without(&good, "/recaptcha");
        assert_eq!(send(&body).await.expect_status(400).json()["status_code"], "recaptcha_req");
        let mut with_action = event();
        with_action["expectedAction"] = json!("login");
        let optional = [
            ("recaptcha", json!("test-pass")), ("recaptchaevent", event()), ("recaptchaevent", with_action),
            ("verificationmethod", json!("email")), ("verificationmethod", json!("sms")),
            ("customdata", json!({"mobilePhone": "+12035550100", "streetAddress": "1 Main St"})),
            ("customdata", json!(r#"{"mobilePhone": "+12035550101"}"#)), ("emailtemplate", json!(TEMPLATE)),
        ];
        for (number, (name, value)) in optional.into_iter().enumerate() {
            let username = format!("u{number}@example.com");
            let phone = format!("+1203555{:04}", 110 + number);
            let mut body = least(&username);
            let is_text_message = value == "sms";
            if is_text_message {
                body["customdata"] = json!({"mobilePhone": phone});
            }
            if name != "recaptchaevent" {
                body["recaptcha"] = json!("test-pass");
            }
            body[name] = value;
            assert_eq!(send(&body).await.expect_ok().json()["email"], *username, "{name}");
            let (subject, code) = message(&site, if is_text_message { &phone } else { &username }).await;
            assert!(code.is_some());
            assert_eq!(subject == "Sales welcomes a new customer", name == "emailtemplate", "{subject}");
        }
        // Each member of an event except the action is required.
        for name in ["token", "siteKey", "projectId"] {
            let mut body = least("a@example.com");
            body["recaptchaevent"] = event();
            let (body, field) = without(&body, &format!("/recaptchaevent/{name}"));
            let answer = send(&body).await.expect_status(400).json();
            // A captcha that cannot be parsed counts as missing.
            assert!(answer["status_code"] == "recaptcha_req" || answer["invalid_field"] == json!(field), "{answer}");
        }
    }
}

on_sqlite! {
    async fn the_headers_and_the_body_of_an_authorization_request(site: Site) {
        site.update_client(&site.client.id, json!({"accessTokenFormat": "jwt"})).await;
        site.update_client(&site.client.id, json!({"isGuestFlowEnabled": true, "guestScopes": "api"})).await;
        let guest = Call::post("/services/oauth2/authorize").header("auth-request-type", "guest")
            .header("uvid-hint", &format!("UVID {UUID}")).form("response_type", "code_credentials")
            .form("client_id", &site.client.id).form("redirect_uri", &site.redirect_uri);
        let code = site.send(guest).await.expect_status(302).location_parameter("code");
        let tokens = site.send(site.token_call(&code)).await.expect_ok().json();
        let jwt = text(&tokens, "access_token");
        for (number, changed) in ["none", "content-type", "uvid-hint", "uvid_hint", "state", "challenge", "method"].into_iter().enumerate() {
            let username = format!("u{number}@example.com");
            let identifier = site.pending(&username).await;
            let code = site.code_to(&username).await;
            let good = site.authorize_call(&identifier, &code);
            for name in ["auth-request-type", "authorization", "auth-verification-type"] {
                let answer = site.send(good.clone().without_header(name)).await.expect_status(400);
                assert_eq!(answer.json()["error"], "invalid_request", "{name}");
            }
            for (name, error) in [
                ("client_id", "invalid_request"), ("response_type", "invalid_request"), ("redirect_uri", "redirect_uri_missing"),
            ] {
                let answer = site.send(good.clone().with(name, None)).await.expect_status(400);
                assert_eq!(answer.json()["error"], error, "{name}");
            }
            let call = match changed {
                "content-type" => good.header("content-type", "application/x-www-form-urlencoded"),
                "uvid-hint" => good.header("uvid-hint", jwt),
                "uvid_hint" => good.form("uvid_hint", UUID),
                "state" => good.form("state", "https://shop.example.com/"),
                "challenge" => good.form("code_challenge", CHALLENGE),
                // "Salesforce ignores any value that you send in this parameter."
                "method" => good.form("code_challenge", CHALLENGE).form("code_challenge_method", "plain"),
                _ => good,
            };
            let answer = site.send(call).await.expect_status(302);
            let call = site.token_call(&answer.location_parameter("code"));
            let is_challenged = matches!(changed, "challenge" | "method");
            let call = if is_challenged { call.form("code_verifier", VERIFIER) } else { call };
            let tokens = site.send(call).await.expect_ok().json();
            // "This value is included only if the state parameter is included in the original query string."
            let state = (changed == "state").then(|| json!("https://shop.example.com/"));
            assert_eq!(tokens.get("state"), state.as_ref());
            let claims = text(&tokens, "access_token").split('.').nth(1).expect("a JWT");
            let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
            let uvid = matches!(changed, "uvid-hint" | "uvid_hint").then(|| json!(UUID));
            assert_eq!(claims.get("uvid"), uvid.as_ref(), "{changed}");
        }
    }
}

on_sqlite! {
    async fn the_body_of_a_token_request(site: Site) {
        let code = site.registered_code(JANICE).await;
        let good = site.token_call(&code);
        for (name, error) in [
            ("client_id", "invalid_request"), ("client_secret", "invalid_client"), ("code", "invalid_request"),
            ("grant_type", "unsupported_grant_type"), ("redirect_uri", "redirect_uri_missing"),
        ] {
            let answer = site.send(good.clone().with(name, None)).await.expect_status(400);
            assert_eq!(answer.json()["error"], error, "{name}");
        }
        site.send(good).await.expect_ok();
        for (username, format, content_type, begins) in [
            ("a@example.com", "json", "application/json;charset=UTF-8", r#"{"access_token":"00D"#),
            ("b@example.com", "urlencoded", "application/x-www-form-urlencoded", "access_token=00D"),
            ("c@example.com", "xml", "application/xml;charset=UTF-8", r#"<?xml version="1.0" encoding="UTF-8"?><OAuth><access_token>00D"#),
        ] {
            let code = site.registered_code(username).await;
            let answer = site.send(site.token_call(&code).form("format", format)).await.expect_ok();
            assert_eq!(answer.header("content-type"), Some(content_type));
            assert!(answer.body.starts_with(begins), "{}", answer.body);
        }
    }
}

on_sqlite! {
    async fn the_refresh_token_of_the_token_answer(site: Site) {
        // "Returned only if your connected app or external client app is set up with a refresh_token scope."
        site.update_client(&site.client.id, json!({"scopes": "openid api"})).await;
        assert_eq!(site.register("a@example.com").await.get("refresh_token"), None);
        site.update_client(&site.client.id, json!({"scopes": "openid api refresh_token"})).await;
        assert!(text(&site.register("b@example.com").await, "refresh_token").len() > 20);
    }
}

on_sqlite! {
    async fn the_body_of_a_passwordless_login(site: Site) {
        site.register(JANICE).await;
        template(&site, Purpose::PasswordlessLogin).await;
        let send = |body: &Value| site.send(Call::post(LOGIN).on_public().json(body));
        let good = json!({"verificationmethod": "email", "username": JANICE, "recaptcha": "test-pass"});
        for pointer in ["/verificationmethod", "/username"] {
            let (body, name) = without(&good, pointer);
            let answer = send(&body).await.expect_status(400).json();
            assert_eq!((&answer["status_code"], &answer["invalid_field"]), (&json!("invalid_params"), &json!(name)));
        }
        let (bare, _) = without(&good, "/recaptcha");
        assert_eq!(send(&bare).await.expect_status(400).json()["status_code"], "recaptcha_req");
        let mut by_event = bare;
        by_event["recaptchaevent"] = event();
        by_event["recaptchaevent"]["expectedAction"] = json!("login");
        let mut by_template = good.clone();
        by_template["emailtemplate"] = json!(TEMPLATE);
        let mut with_data = good.clone();
        with_data["customdata"] = json!(r#"{"locale": "de"}"#);
        // With a username and without a handler the hint is ignored.
        let mut with_hint = good.clone();
        with_hint["login_hint"] = json!("ORDER-10023");
        for body in [good, by_event, by_template, with_data, with_hint] {
            assert_eq!(send(&body).await.expect_ok().json()["email"], JANICE, "{body}");
            let (subject, code) = message(&site, JANICE).await;
            assert!(code.is_some());
            let is_named = body.get("emailtemplate").is_some();
            assert_eq!(subject == "Sales welcomes a new customer", is_named, "{subject}");
        }
    }
}

on_sqlite! {
    async fn a_passwordless_login_by_text_message(site: Site) {
        site.register(JANICE).await;
        site.execute("UPDATE app_user SET phone = '+12035550100', phone_verified_at = 1 WHERE username_key = 'janice@example.com'").await;
        let body = json!({"verificationmethod": "sms", "username": JANICE, "recaptcha": "test-pass"});
        let begun = site.send(Call::post(LOGIN).on_public().json(&body)).await.expect_ok().json();
        let code = message(&site, "+12035550100").await.1.unwrap();
        let good = site.public_authorize_call("passwordless-login", text(&begun, "identifier"), &code)
            .without_header("auth-verification-type").header("auth-verification-type", "sms");
        for name in ["auth-request-type", "auth-verification-type", "authorization"] {
            let answer = site.send(good.clone().without_header(name)).await.expect_status(400);
            assert_eq!(answer.json()["error"], "invalid_request", "{name}");
        }
        for (name, error) in [
            ("client_id", "invalid_request"), ("response_type", "invalid_request"), ("redirect_uri", "redirect_uri_missing"),
            ("code_challenge", "invalid_request"),
        ] {
            let answer = site.send(good.clone().with(name, None)).await.expect_status(400);
            assert_eq!(answer.json()["error"], error, "{name}");
        }
        let good = good.form("uvid_hint", UUID).form("code_challenge_method", "S256");
        let code = site.send(good).await.expect_status(302).location_parameter("code");
        let good = site.public_token_call(&code);
        for (name, error) in [
            ("client_id", "invalid_request"), ("code", "invalid_request"), ("grant_type", "unsupported_grant_type"),
            ("redirect_uri", "redirect_uri_missing"),
        ] {
            let answer = site.send(good.clone().with(name, None)).await.expect_status(400);
            assert_eq!(answer.json()["error"], error, "{name}");
        }
        site.send(good).await.expect_ok();
    }
}
