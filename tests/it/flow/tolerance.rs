//! Requests that are accepted although they are not ideal, and that the provider metadata lists exactly the
//! supported features.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::fixture::{Call, on_sqlite, registration};

const ECHO: &str = "/services/oauth2/echo";
const USERINFO: &str = "/services/oauth2/userinfo";

on_sqlite! {
    async fn a_code_and_its_verifier_may_stand_in_the_url_and_a_secret_may_not(site: Site) {
        let identifier = site.pending("janice@example.com").await;
        let otp = site.code_to("janice@example.com").await;
        let call = site.authorize_call(&identifier, &otp)
            .form("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        let code = site.send(call).await.expect_status(302).location_parameter("code");
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let url = format!(
            "/services/oauth2/token?grant_type=authorization_code&code={code}&code_verifier={verifier}\
             &client_id={}&redirect_uri={}", site.client.id, site.redirect_uri);
        let with_secret = Call::post(&format!("{url}&client_secret={}", site.client.secret));
        let refused = site.send(with_secret).await.expect_status(400).json();
        assert_eq!(refused["error_description"], "send credentials once, and never in the URL");
        // The refusal has spent nothing.
        let call = Call::post(&url).form("client_secret", &site.client.secret);
        let tokens = site.send(call).await.expect_ok().json();
        assert!(tokens["access_token"].is_string());
    }
}

on_sqlite! {
    async fn echo_repeats_the_first_of_two_values(site: Site) {
        let answer = site.send(Call::get(&format!("{ECHO}?state=a&code=1&state=b&code=1"))).await;
        assert_eq!(answer.expect_ok().json(), json!({"code": "1", "state": "a"}));
    }
}

on_sqlite! {
    async fn the_port_that_https_implies_may_be_named(site: Site) {
        for host in ["site.example.com:443", "SITE.example.com:443", "Site.Example.Com"] {
            site.send(Call::get("/id/keys").host(host)).await.expect_ok();
        }
        for host in ["site.example.com:80", "site.example.com:4430"] {
            site.send(Call::get("/id/keys").host(host)).await.expect_status(404);
        }
    }
}

on_sqlite! {
    async fn a_number_that_nothing_is_sent_to_may_be_written_anyhow(site: Site) {
        for (number, place) in ["customdata", "userdata"].into_iter().enumerate() {
            let username = format!("u{number}@example.com");
            let mut body = registration(&username);
            body[place]["mobilePhone"] = json!("extension 12, ask for Janice");
            let answer = site.init(&body).await.expect_ok().json();
            let code = site.code_to(&username).await;
            let identifier = answer["identifier"].as_str().unwrap();
            site.send(site.authorize_call(identifier, &code)).await.expect_status(302);
            let user = site.user(&username).await.unwrap();
            assert_eq!(user.phone, None);
            // It is custom data, stored unread.
            assert_eq!(user.attributes.contains_key("mobilePhone"), place == "customdata");
            body["verificationmethod"] = json!("sms");
            body["userdata"]["username"] = json!("other@example.com");
            let refused = site.init(&body).await.expect_status(400).json();
            assert_eq!(refused["invalid_field"], format!("{place}.mobilePhone"));
        }
    }
}

on_sqlite! {
    async fn claims_supported_are_those_of_userinfo_and_the_id_token(site: Site) {
        let mut body = registration("janice@example.com");
        body["customdata"] = json!({"mobilePhone": "+12035550100"});
        let answer = site.init(&body).await.expect_ok().json();
        let otp = site.code_to("janice@example.com").await;
        let call = site.authorize_call(answer["identifier"].as_str().unwrap(), &otp).form("nonce", "n");
        let code = site.send(call).await.expect_status(302).location_parameter("code");
        let tokens = site.send(site.token_call(&code)).await.expect_ok().json();
        let payload = tokens["id_token"].as_str().unwrap().split('.').nth(1).unwrap();
        let payload: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
        let call = Call::get(USERINFO).bearer(tokens["access_token"].as_str().unwrap());
        let info = site.send(call).await.expect_ok().json();
        let served: BTreeSet<&str> = [&info, &payload]
            .into_iter()
            .flat_map(|claims| claims.as_object().unwrap().keys().map(String::as_str))
            .collect();
        let document = site.send(Call::get("/.well-known/openid-configuration")).await.expect_ok().json();
        let promised: Vec<&str> =
            document["claims_supported"].as_array().unwrap().iter().map(|claim| claim.as_str().unwrap()).collect();
        assert_eq!(promised, served.into_iter().collect::<Vec<_>>(), "each once, in order");
    }
}
