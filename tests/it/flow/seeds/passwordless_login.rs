//! "Headless Passwordless Login Flow for Public Clients", request by request.

use serde_json::json;
use vestibule_protocol::purpose::Purpose;

use super::{
    PUBLIC_HOST, TEMPLATE, as_documented, assert_begun, assert_redirect, assert_tokens, customer,
    echo, identifier_and_code, message, template, text,
};
use crate::fixture::{CHALLENGE, Call, Site, VERIFIER, on_both_databases};

/// The init request, whose only header is the host.
fn init(username: &str) -> Call {
    Call::printed(&format!(
        r#"
        POST /services/auth/headless/init/passwordless/login? HTTP 1.1
        Host: {PUBLIC_HOST}
        {{
         "verificationmethod": "email",
        "username": "{username}",
        "recaptcha": "test-pass-1",
        "emailtemplate": "{TEMPLATE}"
        }}
        "#
    ))
}

fn authorize(site: &Site, credentials: &str) -> Call {
    Call::printed(&format!(
        "
        POST /services/oauth2/authorize? HTTP 1.1
        Host: {PUBLIC_HOST}
        Auth-Request-Type: passwordless-login
        Auth-Verification-Type: email
        Authorization: Basic {credentials}

        response_type=code_credentials&
        client_id={}&
        redirect_uri={}&
        code_challenge={CHALLENGE}
        ",
        site.public_client.id,
        echo(),
    ))
}

/// "This request has no headers."
fn token(site: &Site, code: &str) -> Call {
    Call::printed(&format!(
        "
        POST /services/oauth2/token? HTTP 1.1
        Host: {PUBLIC_HOST}

        code={code}&
        client_id={}&
        redirect_uri={}&
        grant_type=authorization_code&
        code_verifier={VERIFIER}
        ",
        site.public_client.id,
        echo(),
    ))
}

on_both_databases! {
    async fn every_request_of_the_page_and_its_answer(site: Site) {
        as_documented(&site).await;
        customer(&site, "janice.edwards@example.com", "janice.edwards@example.com").await;
        template(&site, Purpose::PasswordlessLogin).await;

        let answer = site.send(init("janice.edwards@example.com")).await;
        let begun = assert_begun(&answer, "janice.edwards@example.com");
        let (subject, code) = message(&site, "janice.edwards@example.com").await;
        assert_eq!(subject, "Sales welcomes a new customer", "by the named template");

        let credentials = identifier_and_code(&begun, &code.unwrap());
        let answer = site.send(authorize(&site, &credentials)).await;
        let code = assert_redirect(&answer, &echo(), PUBLIC_HOST);

        // "This endpoint automatically parses the 302 redirect, extracts the authorization code and
        // other parameters, and returns them to your app in JSON format."
        let location = answer.header("location").unwrap();
        let path = location.strip_prefix(&format!("https://www.{PUBLIC_HOST}")).unwrap();
        let echoed = site.send(Call::get("").at(path).host(PUBLIC_HOST)).await.expect_ok();
        let expected = json!({
            "code": code, "sfdc_community_url": format!("https://{}", PUBLIC_HOST.to_lowercase()),
            "sfdc_community_id": answer.location_parameter("sfdc_community_id"),
        });
        assert_eq!(echoed.json(), expected);

        let tokens = assert_tokens(&site.send(token(&site, &code)).await, PUBLIC_HOST);
        // "Your app calls the Salesforce User Info endpoint to confirm that the login was successful."
        let call = Call::printed("GET /services/oauth2/userinfo HTTP/1.1").host(PUBLIC_HOST);
        let info = site.send(call.bearer(text(&tokens, "access_token"))).await.expect_ok().json();
        assert_eq!((&info["sub"], &info["email"]), (&tokens["id"], &json!("janice.edwards@example.com")));
    }
}

on_both_databases! {
    async fn the_authorization_request_may_be_a_get(site: Site) {
        as_documented(&site).await;
        customer(&site, "janice.edwards@example.com", "janice.edwards@example.com").await;
        template(&site, Purpose::PasswordlessLogin).await;
        let begun = site.send(init("janice.edwards@example.com")).await.expect_ok().json();
        let (_, code) = message(&site, "janice.edwards@example.com").await;
        let credentials = identifier_and_code(&begun, &code.unwrap());
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("response_type", "code_credentials")
            .append_pair("client_id", &site.public_client.id)
            .append_pair("redirect_uri", &echo())
            .append_pair("code_challenge", CHALLENGE)
            .finish();
        let call = Call::printed(&format!(
            "
            GET /services/oauth2/authorize?{query} HTTP 1.1
            Host: {PUBLIC_HOST}
            Auth-Request-Type: passwordless-login
            Auth-Verification-Type: email
            Authorization: Basic {credentials}"
        ));
        let code = assert_redirect(&site.send(call).await, &echo(), PUBLIC_HOST);
        assert_tokens(&site.send(token(&site, &code)).await, PUBLIC_HOST);
    }
}

on_both_databases! {
    async fn the_request_with_a_hint_needs_a_discovery_handler(site: Site) {
        as_documented(&site).await;
        template(&site, Purpose::PasswordlessLogin).await;
        let call = Call::printed(&format!(
            r#"
            POST /services/auth/headless/init/passwordless/login? HTTP 1.1
            Host: {PUBLIC_HOST}
            {{
             "verificationmethod": "email",
            "login_hint": "ORDER-10023",
            "recaptcha": "test-pass-1",
            "emailtemplate": "{TEMPLATE}"
            }}
            "#
        ));
        let answer = site.send(call).await.expect_status(400).json();
        assert_eq!((&answer["status_code"], &answer["invalid_field"]), (&json!("invalid_params"), &json!("login_hint")));
    }
}
