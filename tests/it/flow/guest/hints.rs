//! Hostile hints: a hint that is neither an id nor a token of a guest of this app names no visitor (threats JWT-01
//! to JWT-21 for `Uvid-Hint`).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use vestibule::algorithm::Algorithm;
use vestibule::token::{SigningKey, encode};

use super::{UUID, access_token, assert_refused, claims, guest_call, guest_tokens};
use crate::fixture::{BASE_URL, Call, PASSWORD, START, Site, on_sqlite};
use crate::flow::tokens::{add_client, jwt_format};

const JANICE: &str = "janice@example.com";

fn part(token: &str, number: usize) -> Value {
    let part = token.split('.').nth(number).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}

fn write(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// Sends a hint in the guest flow and in the login of a user, with the prefix and without.
async fn assert_names_no_visitor(site: &Site, hint: &str, what: &str) {
    let login = || site.public_authorize_call("Named-User", JANICE, PASSWORD);
    for text in [hint.to_owned(), format!("JWT {hint}")] {
        for call in [guest_call(site), login()] {
            let answer = site.send(call.clone().header("uvid-hint", &text)).await;
            assert_refused(&answer, "invalid_request", "invalid uvid_hint", what);
            let answer = site.send(call.form("uvid_hint", &text)).await;
            assert_refused(&answer, "invalid_request", "invalid uvid_hint", what);
        }
    }
}

on_sqlite! {
    async fn jwt_01_to_18_a_changed_token_is_refused(site: Site) {
        site.register(JANICE).await;
        site.update_client(&site.public_client.id, jwt_format()).await;
        let tokens = guest_tokens(&site).await;
        let token = access_token(&tokens);
        let (header, claims) = (part(token, 0), part(token, 1));
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let with = |base: &Value, name: &str, value: Value| {
            let mut changed = base.clone();
            changed[name] = value;
            changed
        };
        let mut bad = vec![
            format!("{signed}.AAAA"),
            format!("{signed}.{}", "A".repeat(signature.len())),
            format!("{}.{}.{signature}", "A".repeat(60), write(&claims)),
        ];
        for alg in ["none", "None", "HS256", "ES256", ""] {
            let header = write(&with(&header, "alg", json!(alg)));
            bad.push(format!("{header}.{}.{signature}", write(&claims)));
        }
        for (name, value) in [
            ("kid", json!("../../etc/passwd")), ("kid", Value::Null), ("typ", json!("at+jwt")),
        ] {
            bad.push(format!("{}.{}.{signature}", write(&with(&header, name, value)), write(&claims)));
        }
        for (name, value) in [
            ("uvid", json!("11111111-1111-4111-8111-111111111111")), ("exp", json!(9_999_999_999_i64)),
            ("client_id", json!(site.client.id)), ("iss", json!("https://other.example.com")),
        ] {
            bad.push(format!("{}.{}.{signature}", write(&header), write(&with(&claims, name, value))));
        }
        // Signed with the HMAC of a public key, or by a foreign key under the server's kid.
        let (own, _) = SigningKey::generate(Algorithm::RS256, START).unwrap();
        bad.push(encode(&own, &claims).unwrap());
        let forged = format!("{}.{}", write(&header), write(&claims));
        bad.push(format!("{forged}.{}", URL_SAFE_NO_PAD.encode(own.sign(forged.as_bytes()).unwrap())));
        for hint in bad {
            assert_names_no_visitor(&site, &hint, &hint).await;
        }
        let good = guest_call(&site).header("uvid-hint", &format!("JWT {token}"));
        site.send(good).await.expect_status(302);
    }
}

on_sqlite! {
    async fn jwt_a_token_of_the_server_s_key_names_a_visitor_only_as_a_guest_of_this_app(site: Site) {
        site.register(JANICE).await;
        site.update_client(&site.public_client.id, jwt_format()).await;
        let tokens = guest_tokens(&site).await;
        let good = claims(access_token(&tokens));
        let directory = site.app.directory();
        let key = directory.keys.current(Algorithm::RS256).unwrap();
        let sign = |name: &str, value: Value| {
            let mut claims = good.clone();
            claims[name] = value;
            encode(key, &claims).unwrap()
        };
        let now = START.seconds();
        for (name, value) in [
            ("iss", json!(BASE_URL)), ("aud", json!([BASE_URL])), ("exp", json!(now)), ("nbf", json!(now + 1)),
            ("exp", json!(1e308)), ("exp", json!("9999999999")), ("mty", json!("id")), ("jti", json!("unknown")),
            ("uvid", Value::Null), ("uvid", json!("nonsense")), ("client_id", json!(site.client.id)), ("sub", json!("uid:005000000000001AAA")),
            ("gty", json!("client_credentials")),
        ] {
            assert_names_no_visitor(&site, &sign(name, value.clone()), &format!("{name} {value}")).await;
        }
        let control = guest_call(&site).header("uvid-hint", &sign("iat", json!(now)));
        site.send(control).await.expect_status(302);
    }
}

on_sqlite! {
    async fn jwt_16_no_other_token_of_the_server_names_a_visitor(site: Site) {
        site.register(JANICE).await;
        site.update_client(&site.public_client.id, jwt_format()).await;
        // A user's JWT, although it contains a UVID; and an id_token.
        let login = site.public_authorize_call("Named-User", JANICE, PASSWORD).form("uvid_hint", UUID);
        let code = site.send(login).await.expect_status(302).location_parameter("code");
        let tokens = site.send(site.public_token_call(&code)).await.expect_ok().json();
        assert_eq!(claims(access_token(&tokens))["uvid"], UUID);
        assert_names_no_visitor(&site, access_token(&tokens), "a user's").await;
        assert_names_no_visitor(&site, tokens["id_token"].as_str().unwrap(), "an id_token").await;
        // A service's, another app's guest's, and an opaque one.
        site.update_client(&site.integration.id, jwt_format()).await;
        assert_names_no_visitor(&site, &site.integration_token(None).await, "a service's").await;
        let other_app = add_client(&site, "other", json!({
            "isGuestFlowEnabled": true, "guestScopes": "api", "callbackUrl": [site.public_redirect_uri],
        })).await;
        let call = guest_call(&site).header("uvid-hint", UUID).with("client_id", Some(&other_app.id));
        let code = site.send(call).await.expect_status(302).location_parameter("code");
        let call = site.public_token_call(&code).with("client_id", Some(&other_app.id)).form("client_secret", &other_app.secret);
        let other = site.send(call).await.expect_ok().json();
        assert_names_no_visitor(&site, access_token(&other), "another app's").await;
        assert_names_no_visitor(&site, "00D000000000001!AQEAQnone", "opaque").await;
        // An expired one, and a revoked one.
        let tokens = guest_tokens(&site).await;
        let revoke = Call::post("/services/oauth2/revoke").on_public().form("token", access_token(&tokens));
        site.send(revoke).await.expect_ok();
        assert_names_no_visitor(&site, access_token(&tokens), "revoked").await;
        let tokens = guest_tokens(&site).await;
        site.advance(Duration::from_secs(1_800));
        assert_names_no_visitor(&site, access_token(&tokens), "expired").await;
    }
}

on_sqlite! {
    async fn a_hint_that_is_malformed_twice_or_in_the_wrong_place_is_refused(site: Site) {
        site.register(JANICE).await;
        site.update_client(&site.public_client.id, jwt_format()).await;
        for hint in ["nonsense", "00000000-0000-0000-0000-000000000000", "6f9619ff-8b86-1d01-b42d-00cf4fc964ff", "a.b.c"] {
            assert_names_no_visitor(&site, hint, hint).await;
        }
        let long = format!("{}.{}.{}", "a".repeat(10_000), "b".repeat(10_000), "c".repeat(300));
        assert_names_no_visitor(&site, &long, "20 kB").await;
        assert_names_no_visitor(&site, &"[".repeat(20_000), "20 kB of brackets").await;

        let other = "11111111-1111-4111-8111-111111111111";
        let hinted = guest_call(&site).header("uvid-hint", &format!("UVID {UUID}"));
        let answer = site.send(hinted.clone().form("uvid_hint", other)).await;
        assert_refused(&answer, "invalid_request", "invalid uvid_hint", "two visitors");
        site.send(hinted.clone().form("uvid_hint", UUID)).await.expect_status(302);
        let answer = site.send(hinted.header("uvid-hint", other)).await;
        assert_refused(&answer, "invalid_request", "header sent twice: uvid-hint", "twice");

        // An id may be in a URL; a token is a credential, and may not.
        let tokens = guest_tokens(&site).await;
        let at = |hint: &str| guest_call(&site).at(&format!("/services/oauth2/authorize?uvid_hint={hint}"));
        site.send(at(UUID)).await.expect_status(302);
        let answer = site.send(at(access_token(&tokens))).await;
        assert_refused(&answer, "invalid_request", "send credentials once, and never in the URL", "in the URL");
    }
}
