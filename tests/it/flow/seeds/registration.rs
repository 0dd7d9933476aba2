//! "Headless Registration Flow for Private Clients", request by request.

use serde_json::json;
use vestibule_protocol::purpose::Purpose;

use super::{
    PRIVATE_HOST, TEMPLATE, as_documented, assert_begun, assert_redirect, assert_tokens, callback,
    identifier_and_code, integration_token, message, template,
};
use crate::fixture::{CHALLENGE, Call, Site, VERIFIER, on_both_databases};

/// The init request: the settings require both token and captcha, so it contains both.
fn init(token: &str) -> Call {
    Call::printed(&format!(
        r#"
        POST /services/auth/headless/init/registration? HTTP 1.1
        Host: {PRIVATE_HOST}
        Content-Type: application/json
        Authorization: Bearer {token}
        {{
         "userdata": {{
          "firstName": "Janice",
           "lastName": "Edwards",
           "email": "janice.edwards@example.com",
           "username": "jedwards@myapp.com"
            }},
         "customdata": {{
           "mobilePhone": "+12035550100"
           }},
         "password": "Sup3rSecret-9",
         "recaptcha":"test-pass-1",
         "verificationmethod": "email",
        "emailtemplate": "{TEMPLATE}"
        }}
        "#
    ))
}

fn authorize(site: &Site, credentials: &str) -> Call {
    Call::printed(&format!(
        "
        POST /services/oauth2/authorize? HTTP 1.1
        Host: {PRIVATE_HOST}
        Auth-Request-Type: user-registration
        Auth-Verification-Type: email
        Content-Type: application/x-www-form-urlencoded
        Authorization: Basic {credentials}

        response_type=code_credentials&
        client_id={}&
        redirect_uri={}&
        code_challenge={CHALLENGE}
        ",
        site.client.id,
        callback(),
    ))
}

fn token(site: &Site, code: &str) -> Call {
    Call::printed(&format!(
        "
        POST /services/oauth2/token HTTP 1.1
        Host: {PRIVATE_HOST}
        Content-Type: application/x-www-form-urlencoded

        grant_type=authorization_code&
        code={code}&
        client_id={}&
        client_secret={}&
        redirect_uri={}&
        code_verifier={VERIFIER}
        ",
        site.client.id,
        site.client.secret,
        callback(),
    ))
}

on_both_databases! {
    async fn every_request_of_the_page_and_its_answer(site: Site) {
        as_documented(&site).await;
        template(&site, Purpose::Registration).await;
        site.update_settings(json!({"isRecaptchaRequiredRgstr": true, "recaptchaProvider": "test"})).await;
        let bearer = integration_token(&site).await;

        // The sample shows the username as `email`; the response contains the address that the caller sent.
        let begun = assert_begun(&site.send(init(&bearer)).await, "janice.edwards@example.com");
        assert!(site.user("jedwards@myapp.com").await.is_none(), "queued, to be processed later");
        let (subject, code) = message(&site, "janice.edwards@example.com").await;
        assert_eq!(subject, "Sales welcomes a new customer", "by the named template");

        let credentials = identifier_and_code(&begun, &code.unwrap());
        let answer = site.send(authorize(&site, &credentials)).await;
        let code = assert_redirect(&answer, &callback(), PRIVATE_HOST);
        let user = site.user("jedwards@myapp.com").await.expect("created by the handler");
        assert_eq!((user.first_name.as_deref(), user.last_name.as_str()), (Some("Janice"), "Edwards"));
        assert!(user.email_verified_at.is_some());
        assert_eq!(user.phone.as_deref(), Some("+12035550100"), "from the custom data");

        // "GET requests aren't supported."
        let get = Call::printed("GET /services/oauth2/token?grant_type=authorization_code HTTP 1.1").host(PRIVATE_HOST);
        assert_eq!(site.send(get).await.expect_status(405).header("allow"), Some("POST"));
        assert_tokens(&site.send(token(&site, &code)).await, PRIVATE_HOST);
    }
}

on_both_databases! {
    async fn the_captcha_of_the_sample_lets_one_request_in(site: Site) {
        as_documented(&site).await;
        template(&site, Purpose::Registration).await;
        site.update_settings(json!({"isRecaptchaRequiredRgstr": true, "recaptchaProvider": "test"})).await;
        let bearer = integration_token(&site).await;
        site.send(init(&bearer)).await.expect_ok();
        let again = site.send(init(&bearer)).await.expect_status(400).json();
        assert_eq!(again["status_code"], "invalid_recaptcha");
        assert_eq!(again["recaptcha_response"]["error-codes"], json!(["timeout-or-duplicate"]));
        message(&site, "janice.edwards@example.com").await;
    }
}

on_both_databases! {
    async fn the_token_request_as_printed_names_another_callback_and_is_refused(site: Site) {
        // The page's token request has the callback of another site than its authorization request.
        as_documented(&site).await;
        let another = "https://www.MyExperienceCloudSite.my.site.com/services/apexrest/code/exchange";
        site.update_client(&site.client.id, json!({"callbackUrl": [callback(), another]})).await;
        let bearer = integration_token(&site).await;
        let body = json!({
            "userdata": {"lastName": "Edwards", "email": "janice.edwards@example.com", "username": "jedwards@myapp.com"},
            "password": "Sup3rSecret-9",
        });
        let begun = assert_begun(&site.send(init(&bearer).json(&body)).await, "janice.edwards@example.com");
        let (_, code) = message(&site, "janice.edwards@example.com").await;
        // Without a method at init none is required at authorize.
        let call = authorize(&site, &identifier_and_code(&begun, &code.unwrap())).without_header("Auth-Verification-Type");
        let code = site.send(call).await.expect_status(302).location_parameter("code");
        let printed = format!(
            "grant_type=authorization_code&\ncode={code}&\nclient_id={}&\nclient_secret={}&\nredirect_uri={another}&\n\
             code_verifier={VERIFIER}\n", site.client.id, site.client.secret);
        let answer = site.send(token(&site, &code).body(printed.as_bytes())).await.expect_status(400).json();
        assert_eq!(answer["error"], "redirect_uri_mismatch");
    }
}
