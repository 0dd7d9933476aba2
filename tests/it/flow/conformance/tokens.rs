//! The points about codes and tokens, with logins by password at both sites.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::TOKEN;
use crate::fixture::{
    Answer, CHALLENGE, Call, PASSWORD, PUBLIC_URL, Site, VERIFIER, on_both_databases, on_sqlite,
};

const JANICE: &str = "janice@example.com";
/// S256 of the base64url of the bytes 0 to 127.
const LONG_CHALLENGE: &str = "m9v0o6VZCkA61J5U-X1Tz5TKs3SgkIws3KAW_OnRzjg";

fn long_verifier() -> String {
    URL_SAFE_NO_PAD.encode((0..128).collect::<Vec<u8>>())
}

/// A login at the public site up to the code, with this challenge.
async fn public_code(site: &Site, challenge: &str) -> String {
    let call = site
        .public_authorize_call("Named-User", JANICE, PASSWORD)
        .with("code_challenge", Some(challenge));
    let answer = site.send(call).await.expect_status(302);
    answer.location_parameter("code")
}

/// The tokens of a login at the public site.
async fn public_login(site: &Site) -> Value {
    let code = public_code(site, CHALLENGE).await;
    site.send(site.public_token_call(&code))
        .await
        .expect_ok()
        .json()
}

fn refresh(site: &Site, refresh_token: &str) -> Call {
    Call::post(TOKEN)
        .on_public()
        .form("grant_type", "refresh_token")
        .form("client_id", &site.public_client.id)
        .form("refresh_token", refresh_token)
}

async fn userinfo_status(site: &Site, tokens: &Value) -> u16 {
    let token = tokens["access_token"].as_str().unwrap();
    let call = Call::get("/services/oauth2/userinfo")
        .on_public()
        .bearer(token);
    site.send(call).await.status
}

#[track_caller]
fn assert_invalid_grant(answer: &Answer) {
    assert_eq!(
        (answer.status, &answer.json()["error"]),
        (400, &json!("invalid_grant"))
    );
}

on_both_databases! {
    async fn point_12_a_hybrid_code_with_171_characters_and_no_secret(site: Site) {
        site.register(JANICE).await;
        let verifier = long_verifier();
        assert_eq!(verifier.len(), 171);
        let code = public_code(&site, LONG_CHALLENGE).await;
        let call = site.public_token_call(&code).with("grant_type", Some("hybrid_auth_code"));
        let tokens = site.send(call.with("code_verifier", Some(&verifier))).await.expect_ok().json();
        assert_eq!(userinfo_status(&site, &tokens).await, 200);
        // Longer values are allowed, up to a limit.
        let code = public_code(&site, CHALLENGE).await;
        let call = site.public_token_call(&code).with("code_verifier", Some(&"a".repeat(257)));
        assert_invalid_grant(&site.send(call).await);
    }
}

on_both_databases! {
    async fn point_13_verifier_and_challenge_go_together(site: Site) {
        site.register(JANICE).await;
        let wrong = VERIFIER.replace('d', "e");
        for (challenge, verifier, is_granted) in [
            (None, None, true), (None, Some(VERIFIER), false), (Some(CHALLENGE), None, false),
            (Some(CHALLENGE), Some(wrong.as_str()), false), (Some(CHALLENGE), Some(CHALLENGE), false),
            (Some(CHALLENGE), Some(VERIFIER), true),
        ] {
            let mut call = site.password_call(JANICE, PASSWORD);
            if let Some(challenge) = challenge {
                call = call.form("code_challenge", challenge);
            }
            let code = site.send(call).await.expect_status(302).location_parameter("code");
            let answer = site.send(site.token_call(&code).with("code_verifier", verifier)).await;
            match is_granted {
                true => assert_eq!(answer.status, 200, "{}", answer.body),
                false => assert_invalid_grant(&answer),
            }
        }
        // A public client cannot avoid it.
        let bare = site.public_authorize_call("Named-User", JANICE, PASSWORD).with("code_challenge", None);
        let answer = site.send(bare).await.expect_status(400).json();
        assert_eq!((&answer["error"], &answer["error_description"]), (&json!("invalid_request"), &json!("missing required code challenge")));
    }
}

on_both_databases! {
    async fn point_14_a_replayed_code_revokes_its_tokens(site: Site) {
        site.register(JANICE).await;
        site.update_client(&site.public_client.id, json!({"scopes": "openid api refresh_token"})).await;
        let other = public_login(&site).await;
        let code = public_code(&site, CHALLENGE).await;
        let tokens = site.send(site.public_token_call(&code)).await.expect_ok().json();
        assert_eq!(userinfo_status(&site, &tokens).await, 200);
        assert_invalid_grant(&site.send(site.public_token_call(&code)).await);
        assert_eq!(userinfo_status(&site, &tokens).await, 401);
        assert_invalid_grant(&site.send(refresh(&site, tokens["refresh_token"].as_str().unwrap())).await);
        assert_eq!(userinfo_status(&site, &other).await, 200, "another login of the same user goes on");
    }
}

on_sqlite! {
    async fn point_15_every_format_is_asked_for_by_name_or_by_accept(site: Site) {
        site.register(JANICE).await;
        site.update_client(&site.public_client.id, json!({"scopes": "openid api refresh_token", "isRefreshTokenRotationEnabled": true})).await;
        let tokens = public_login(&site).await;
        let mut refresh_token = tokens["refresh_token"].as_str().unwrap().to_owned();
        let xml = "application/xml;charset=UTF-8";
        let form = "application/x-www-form-urlencoded";
        for (format, accept, content_type) in [
            (Some("xml"), None, xml), (Some("urlencoded"), None, form), (None, Some("application/xml"), xml),
            (None, Some("application/x-www-form-urlencoded"), form), (Some("json"), Some("application/xml"), "application/json;charset=UTF-8"),
            (None, Some("*/*"), "application/json;charset=UTF-8"),
        ] {
            let asked = |call: Call| {
                let call = call.with("format", format);
                accept.map_or(call.clone(), |accept| call.header("accept", accept))
            };
            let refused = site.send(asked(refresh(&site, "5Aep861none"))).await.expect_status(400);
            assert_eq!(refused.header("content-type"), Some(content_type));
            assert!(refused.body.contains("invalid_grant"), "{}", refused.body);
            let answer = site.send(asked(refresh(&site, &refresh_token))).await.expect_ok();
            assert_eq!(answer.header("content-type"), Some(content_type));
            refresh_token = match (content_type, &answer.body) {
                (kind, body) if kind == xml => between(body, "<refresh_token>", "</refresh_token>"),
                (kind, body) if kind == form => between(&format!("{body}&"), "refresh_token=", "&"),
                _ => answer.json()["refresh_token"].as_str().unwrap().to_owned(),
            };
        }
    }
}

fn between(text: &str, start: &str, end: &str) -> String {
    let (_, rest) = text.split_once(start).expect("the start");
    rest.split_once(end).expect("the end").0.to_owned()
}

on_both_databases! {
    async fn point_16_every_signature_verifies_and_covers_its_own_time(site: Site) {
        site.register(JANICE).await;
        site.update_client(&site.public_client.id, json!({"scopes": "openid api refresh_token"})).await;
        let tokens = public_login(&site).await;
        site.advance(std::time::Duration::from_millis(1_234));
        let again = site.send(refresh(&site, tokens["refresh_token"].as_str().unwrap())).await.expect_ok().json();
        for answer in [&tokens, &again] {
            let text = format!("{}{}", answer["id"].as_str().unwrap(), answer["issued_at"].as_str().unwrap());
            // A client without a secret has an internal one for the signature.
            let key = hmac::Key::new(hmac::HMAC_SHA256, site.public_client.secret.as_bytes());
            let signature = STANDARD.decode(answer["signature"].as_str().unwrap()).unwrap();
            hmac::verify(&key, text.as_bytes(), &signature).expect("id and issued_at as they stand");
        }
        let millis = |answer: &Value| answer["issued_at"].as_str().unwrap().parse::<i64>().unwrap();
        assert_eq!(millis(&again) - millis(&tokens), 1_234);
        assert_ne!(tokens["signature"], again["signature"]);
    }
}

on_both_databases! {
    async fn point_17_a_refresh_is_refused_with_400_and_a_fault_is_not(site: Site) {
        site.register(JANICE).await;
        for is_rotating in [true, false] {
            let policies = json!({"scopes": "openid api refresh_token", "isRefreshTokenRotationEnabled": is_rotating});
            site.update_client(&site.public_client.id, policies).await;
            let tokens = public_login(&site).await;
            let first = tokens["refresh_token"].as_str().unwrap();
            let answer = site.send(refresh(&site, first)).await.expect_ok().json();
            assert_eq!(answer.get("refresh_token").is_some(), is_rotating);
            // The SDKs log out on 400, 401 and 403.
            site.execute("ALTER TABLE token_family RENAME TO token_family_away").await;
            let newest = answer["refresh_token"].as_str().unwrap_or(first);
            let broken = site.send(refresh(&site, newest)).await;
            assert!(broken.status >= 500, "{}", broken.body);
            site.execute("ALTER TABLE token_family_away RENAME TO token_family").await;
            site.send(refresh(&site, newest)).await.expect_ok();
            // After the period in which a lost response may be repeated.
            site.advance(std::time::Duration::from_secs(11));
            let old = site.send(refresh(&site, first)).await;
            match is_rotating {
                true => assert_invalid_grant(&old),
                false => assert_eq!(old.status, 200),
            }
            for wrong in ["", "5Aep861none", tokens["access_token"].as_str().unwrap(), tokens["id_token"].as_str().unwrap()] {
                let answer = site.send(refresh(&site, wrong)).await.expect_status(400).json();
                assert!(answer["error"].is_string() && answer["error_description"].is_string());
            }
        }
    }
}

on_both_databases! {
    async fn point_18_the_identity_url_is_complete_after_every_kind_of_login(site: Site) {
        site.register(JANICE).await;
        site.execute("UPDATE app_user SET timezone = 'Asia/Kathmandu' WHERE username_key = 'janice@example.com'").await;
        let tokens = public_login(&site).await;
        let path = tokens["id"].as_str().unwrap().strip_prefix(PUBLIC_URL).unwrap();
        let token = tokens["access_token"].as_str().unwrap();
        for method in [http::Method::GET, http::Method::POST] {
            let call = Call::new(method, "").at(path).bearer(token);
            let identity = site.send(call).await.expect_ok().json();
            assert_eq!(identity["urls"].as_object().unwrap().len(), 14);
            assert_eq!(identity["photos"].as_object().unwrap().len(), 2);
            for url in ["urls", "photos"].into_iter().flat_map(|name| identity[name].as_object().unwrap().values()) {
                assert!(url.as_str().is_some_and(|url| url.starts_with(PUBLIC_URL)), "{url}");
            }
            // Five hours and three quarters.
            assert_eq!(identity["utcOffset"], 20_700_000);
        }
    }
}
