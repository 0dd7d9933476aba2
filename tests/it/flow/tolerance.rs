//! Requests that are accepted although they are not ideal, and that the provider metadata lists exactly the
//! supported features.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::fixture::{Call, PASSWORD, on_sqlite, registration};

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
    async fn a_host_has_several_spellings_and_http_1_1_needs_one(site: Site) {
        for host in ["site.example.com.", "SITE.example.com.:443"] {
            site.send(Call::get("/id/keys").host(host)).await.expect_ok();
        }
        let answer = site.send(Call::get("/id/keys").host("")).await.expect_status(400);
        assert!(answer.body.contains("missing header: host"), "{}", answer.body);
    }
}

on_sqlite! {
    async fn a_path_may_have_empty_segments(site: Site) {
        for path in ["//services/oauth2/userinfo", "/services/oauth2/userinfo/", "/services//oauth2/userinfo//"] {
            let token = site.integration_token(None).await;
            site.send(Call::get(path).bearer(&token)).await.expect_ok();
        }
    }
}

on_sqlite! {
    async fn an_access_token_may_follow_the_scheme_oauth(site: Site) {
        let token = site.integration_token(None).await;
        for scheme in ["OAuth", "oauth", "Bearer"] {
            let header = format!("{scheme} {token}");
            site.send(Call::get(USERINFO).header("authorization", &header)).await.expect_ok();
            let init = Call::post("/services/auth/headless/init/registration")
                .header("authorization", &header)
                .json(&registration(&format!("{scheme}@example.com")));
            site.send(init).await.expect_ok();
        }
        site.inbox.clear();
        let bad = Call::post("/services/auth/headless/init/registration").header("authorization", "OAuth ?");
        let refused = site.send(bad.json(&registration("a@example.com"))).await.expect_status(401).json();
        assert_eq!(refused["status_code"], "invalid_authorization");
    }
}

on_sqlite! {
    async fn a_password_of_a_page_may_be_latin_1(site: Site) {
        let mut body = registration("janice@example.com");
        body["password"] = json!("Pässwörd1x-long");
        let answer = site.init(&body).await.expect_ok().json();
        let otp = site.code_to("janice@example.com").await;
        site.send(site.authorize_call(answer["identifier"].as_str().unwrap(), &otp)).await.expect_status(302);
        let latin: Vec<u8> = "janice@example.com:Pässwörd1x-long".chars().map(|c| c as u8).collect();
        let header = format!("Basic {}", STANDARD.encode(latin));
        let login = site.password_call("", "").without_header("authorization").header("authorization", &header);
        site.send(login).await.expect_status(302);
        site.send(site.password_call("janice@example.com", "Pässwörd1x-long")).await.expect_status(302);
    }
}

on_sqlite! {
    async fn a_username_is_trimmed_and_has_every_character_of_an_address(site: Site) {
        for username in ["o'hara@example.com", "r&d@example.com", "jo#1@example.com", "a/b=c!{d}@example.com"] {
            site.register(username).await;
            for typed in [format!("{username} "), format!("\u{a0}{}", username.to_uppercase())] {
                site.send(site.password_call(&typed, PASSWORD)).await.expect_status(302);
            }
        }
        let mut body = registration("jo@example.com");
        body["userdata"]["username"] = json!(" jo@example.com\t".trim_end());
        site.init(&body).await.expect_ok();
        site.deliver().await;
        site.inbox.clear();
    }
}

on_sqlite! {
    async fn a_body_may_begin_with_a_byte_order_mark_and_a_method_has_any_case(site: Site) {
        let mut body = registration("janice@example.com");
        body["verificationmethod"] = json!("EMAIL");
        let token = site.integration_token(None).await;
        let call = Call::post("/services/auth/headless/init/registration").bearer(&token);
        let call = call.body(format!("\u{feff}{body}").as_bytes());
        site.send(call).await.expect_ok();
        site.code_to("janice@example.com").await;
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
