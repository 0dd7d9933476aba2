//! JWT access tokens, and the refusal of forged ones (RFC 8725, threats JWT-01 to JWT-18).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use vestibule::admin::seed;
use vestibule::admin::user::{self, StateChange};
use vestibule::algorithm::Algorithm;
use vestibule::token::{SigningKey, encode};

use super::{
    USERINFO, access_token, add_site, assert_invalid_grant, execute_and_refresh, jwt_format,
    register_with, userinfo_status,
};
use crate::fixture::{BASE_URL, Call, START, on_both_databases, on_sqlite, registration};

fn part(token: &str, number: usize) -> Value {
    let part = token.split('.').nth(number).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}

fn write(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// The token with another header or other claims and the old signature.
fn forged(token: &str, header: &Value, claims: &Value) -> String {
    let signature = token.rsplit('.').next().unwrap();
    format!("{}.{}.{signature}", write(header), write(claims))
}

on_sqlite! {
    async fn a_jwt_access_token_has_the_documented_claims_and_opens_userinfo(site: Site) {
        let mut number = 0;
        for algorithm in ["RS256", "ES256", "EdDSA"] {
            number += 1;
            let policies = json!({"accessTokenFormat": "jwt", "accessTokenSigningAlg": algorithm});
            let tokens = register_with(&site, policies, &format!("u{number}@example.com")).await;
            assert_eq!(tokens["token_format"], "jwt");
            assert_eq!(tokens["expires_in"], 1_800);
            let token = access_token(&tokens);
            let header = part(token, 0);
            assert_eq!((header["alg"].as_str(), header["typ"].as_str()), (Some(algorithm), Some("JWT")));
            let claims = part(token, 1);
            let now = START.seconds();
            let user_id = tokens["id"].as_str().unwrap().rsplit('/').next().unwrap();
            assert_eq!(claims["iss"], BASE_URL);
            assert_eq!(claims["sub"], format!("uid:{user_id}"));
            assert_eq!(claims["aud"], json!([BASE_URL]), "a list");
            assert_eq!(claims["scp"], "openid api id profile email refresh_token", "a string");
            assert_eq!(claims["client_id"], site.client.id);
            assert_eq!((claims["iat"].as_i64(), claims["nbf"].as_i64()), (Some(now), Some(now - 15)));
            assert_eq!(claims["exp"], now + 1_800);
            assert_eq!(claims["mty"], "oauth");
            assert_eq!((&claims["roles"], &claims["hsc"]), (&json!([]), &json!(false)));
            let info = site.send(Call::get(USERINFO).bearer(token)).await.expect_ok().json();
            assert_eq!(info["sub"], tokens["id"]);
        }
    }
}

on_sqlite! {
    async fn jwt_16_an_id_token_is_no_access_token(site: Site) {
        for (number, policies) in [json!({}), jwt_format()].into_iter().enumerate() {
            let tokens = register_with(&site, policies, &format!("u{number}@example.com")).await;
            let id_token = tokens["id_token"].as_str().unwrap();
            assert_eq!(userinfo_status(&site, id_token).await, 401);
            let init = Call::post("/services/auth/headless/init/registration").bearer(id_token);
            site.send(init.json(&registration("x@example.com"))).await.expect_status(401);
        }
    }
}

on_sqlite! {
    async fn jwt_01_to_18_a_changed_token_is_refused(site: Site) {
        let tokens = register_with(&site, jwt_format(), "janice@example.com").await;
        let token = access_token(&tokens);
        let (header, claims) = (part(token, 0), part(token, 1));
        assert_eq!(userinfo_status(&site, token).await, 200);
        let with = |base: &Value, name: &str, value: Value| {
            let mut changed = base.clone();
            changed[name] = value;
            changed
        };
        let mut bad = Vec::new();
        for alg in ["none", "None", "NONE", "nOnE", "", "HS256", "RS384", "ES256"] {
            let header = with(&header, "alg", json!(alg));
            bad.push(forged(token, &header, &claims));
            bad.push(format!("{}.{}.", write(&header), write(&claims)));
        }
        let mut without_alg = header.clone();
        without_alg.as_object_mut().unwrap().remove("alg");
        bad.push(forged(token, &without_alg, &claims));
        for kid in [json!("../../etc/passwd"), json!("' OR 1=1"), json!("https://evil.test"), json!([]), json!("\0"),
            json!("x".repeat(4_000)), Value::Null] {
            bad.push(forged(token, &with(&header, "kid", kid), &claims));
        }
        for (name, value) in [
            ("sub", json!("uid:005000000000001AAA")), ("exp", json!(9_999_999_999_i64)), ("exp", json!("9999999999")),
            ("exp", json!(1e308)), ("nbf", json!(-1)), ("iss", json!(format!("{BASE_URL}/"))), ("scp", json!("full")),
            ("aud", json!(["https://other.example.com"])), ("gty", json!("client_credentials")),
        ] {
            bad.push(forged(token, &header, &with(&claims, name, value)));
        }
        let (signed, signature) = token.rsplit_once('.').unwrap();
        bad.push(format!("{signed}."));
        bad.push(signed.to_owned());
        bad.push(format!("{signed}.{}", "A".repeat(signature.len())));
        bad.push(format!("{signed}.{signature}="));
        bad.push(format!("{signed}.{signature}.{signature}"));
        bad.push(format!("{}.{}.{signature}", "A".repeat(60_000), write(&claims)));
        for bad in bad {
            let answer = site.send(Call::get(USERINFO).bearer(&bad)).await;
            assert_eq!(answer.status, 401, "{bad}");
        }
    }
}

on_sqlite! {
    async fn jwt_04_05_a_token_signed_by_a_foreign_key_is_refused(site: Site) {
        let tokens = register_with(&site, jwt_format(), "janice@example.com").await;
        let (header, claims) = (part(access_token(&tokens), 0), part(access_token(&tokens), 1));
        for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
            let (own, _) = SigningKey::generate(algorithm, START).unwrap();
            let own_token = encode(&own, &claims).unwrap();
            assert_eq!(userinfo_status(&site, &own_token).await, 401, "its own kid");
            // Under the server's kid, with the attacker's key embedded in the header.
            let mut header = header.clone();
            header["alg"] = json!(algorithm.as_str());
            header["jwk"] = json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"});
            header["jku"] = json!("https://evil.test/keys");
            let signed = format!("{}.{}", write(&header), write(&claims));
            let signature = URL_SAFE_NO_PAD.encode(own.sign(signed.as_bytes()).unwrap());
            assert_eq!(userinfo_status(&site, &format!("{signed}.{signature}")).await, 401, "our kid");
        }
    }
}

on_sqlite! {
    async fn jwt_a_token_of_the_server_s_key_still_needs_the_right_claims(site: Site) {
        let tokens = register_with(&site, jwt_format(), "janice@example.com").await;
        let claims = part(access_token(&tokens), 1);
        let directory = site.app.directory();
        let key = directory.keys.current(Algorithm::RS256).unwrap();
        let sign = |name: &str, value: Value| {
            let mut claims = claims.clone();
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value,
            }
            encode(key, &claims).unwrap()
        };
        let now = START.seconds();
        assert_eq!(userinfo_status(&site, &sign("iat", json!(now))).await, 200, "the control");
        for (name, value) in [
            ("iss", json!("https://other.example.com")), ("iss", json!(format!("{BASE_URL}/"))),
            ("aud", json!(["https://other.example.com"])), ("aud", json!([])), ("exp", json!(now)),
            ("exp", json!(now.to_string())), ("nbf", json!(now + 1)), ("mty", json!("id")), ("jti", json!("unknown")),
            ("exp", Value::Null), ("aud", Value::Null), ("iss", Value::Null), ("mty", Value::Null), ("jti", Value::Null),
        ] {
            assert_eq!(userinfo_status(&site, &sign(name, value.clone())).await, 401, "{name} {value}");
        }
    }
}

on_both_databases! {
    async fn a_jwt_dies_by_a_replay_by_its_time_and_with_its_user(site: Site) {
        site.update_client(&site.client.id, jwt_format()).await;
        let code = site.registered_code("janice@example.com").await;
        let tokens = site.send(site.token_call(&code)).await.expect_ok().json();
        assert_eq!(userinfo_status(&site, access_token(&tokens)).await, 200);
        assert_invalid_grant(&site.send(site.token_call(&code)).await);
        assert_eq!(userinfo_status(&site, access_token(&tokens)).await, 401);

        let tokens = site.register("other@example.com").await;
        site.execute("UPDATE app_user SET disabled_at = 1 WHERE username_key = 'other@example.com'").await;
        assert_eq!(userinfo_status(&site, access_token(&tokens)).await, 401);

        let tokens = site.register("third@example.com").await;
        site.advance(Duration::from_secs(1_799));
        assert_eq!(userinfo_status(&site, access_token(&tokens)).await, 200);
        site.advance(Duration::from_secs(1));
        assert_eq!(userinfo_status(&site, access_token(&tokens)).await, 401);
    }
}

on_both_databases! {
    async fn lock_07_a_jwt_of_a_service_dies_with_its_user_and_its_client(site: Site) {
        site.update_client(&site.integration.id, jwt_format()).await;
        let init = |token: &str| {
            Call::post("/services/auth/headless/init/registration").bearer(token).body(b"{")
        };
        let token = site.integration_token(None).await;
        assert_eq!(part(&token, 1)["gty"], "client_credentials");
        site.send(init(&token)).await.expect_status(400);
        for (off, on) in [("disabled_at = 1", "disabled_at = NULL"), ("locked_at = 1", "locked_at = NULL")] {
            site.execute(format!("UPDATE app_user SET {off} WHERE is_integration = 1")).await;
            site.send(init(&token)).await.expect_status(401);
            site.execute(format!("UPDATE app_user SET {on} WHERE is_integration = 1")).await;
            site.send(init(&token)).await.expect_status(400);
        }
        // An administrator's lock permanently ends everything that was issued before it.
        assert_eq!(part(&token, 1)["gen"], 0);
        let changed = async |change: StateChange| {
            let changed = user::change_state(&site.admin(), seed::INTEGRATION_USERNAME, change).await;
            changed.expect("the state changes");
        };
        changed(StateChange::Lock).await;
        site.send(init(&token)).await.expect_status(401);
        changed(StateChange::Unlock).await;
        site.send(init(&token)).await.expect_status(401);
        let token = site.integration_token(None).await;
        assert_eq!(part(&token, 1)["gen"], 1);
        site.send(init(&token)).await.expect_status(400);
        let id = site.integration.id.clone();
        execute_and_refresh(&site, format!("UPDATE client SET disabled_at = 1 WHERE id = '{id}'")).await;
        site.send(init(&token)).await.expect_status(401);
    }
}

on_sqlite! {
    async fn jwt_11_12_a_jwt_of_one_site_is_nothing_at_another(site: Site) {
        add_site(&site, "other", "https://other.example.com").await;
        let tokens = register_with(&site, jwt_format(), "janice@example.com").await;
        let call = Call::get("").host("other.example.com").at("/services/oauth2/userinfo");
        site.send(call.bearer(access_token(&tokens))).await.expect_status(401);
    }
}

on_sqlite! {
    async fn tok_12_an_id_token_claims_no_more_than_a_one_time_password(site: Site) {
        let identifier = site.pending("janice@example.com").await;
        let otp = site.code_to("janice@example.com").await;
        site.advance(Duration::from_secs(90));
        let code = site.send(site.authorize_call(&identifier, &otp)).await.location_parameter("code");
        site.advance(Duration::from_secs(30));
        let tokens = site.send(site.token_call(&code)).await.expect_ok().json();
        let claims = part(tokens["id_token"].as_str().unwrap(), 1);
        assert_eq!(claims["amr"], json!(["otp"]));
        assert_eq!(claims.get("acr"), None);
        assert_eq!(claims["auth_time"], START.seconds() + 90);
        assert_eq!(claims["iat"], START.seconds() + 120);
        assert_eq!(claims["exp"], START.seconds() + 240);
        assert_eq!(claims.get("nonce"), None);
    }
}
