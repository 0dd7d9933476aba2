//! Threats C.12, ATT-01 to ATT-08, ATT-11 and ATT-13, and those of C.11 that apply to an assertion or an
//! attestation.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::mint::{
    ATTESTATION, CHALLENGE_HEADER, Instance, Key, POP, STANDARD_PATH, V1, asserted, assertion,
    assertion_claims, challenge, enable, enable_public, registered, strange,
};
use crate::fixture::{
    Answer, BASE_URL, Call, PASSWORD, PUBLIC_URL, Site, on_both_databases, on_sqlite,
};
use crate::flow::errors::assert_private;

const JANICE: &str = "janice@example.com";

/// The challenge of a 401: no scheme is registered for it.
const ATTEST: &str = r#"OAuth-Client-Attestation realm="Vestibule""#;

/// A login at the documented endpoint with a JWT as the assertion.
fn with_assertion(site: &Site, jwt: &str) -> Call {
    asserted(site)
        .with("client_assertion", Some(jwt))
        .form("username", JANICE)
        .form("password", PASSWORD)
}

#[track_caller]
fn invalid_client(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 401, "{what}: {}", answer.body);
    let expected = json!({"error": "invalid_client",
        "error_description": "client attestation is missing or invalid"});
    assert_eq!(answer.json(), expected, "{what}");
    assert_eq!(answer.header("www-authenticate"), Some(ATTEST), "{what}");
    assert_private(answer, what);
}

#[track_caller]
fn invalid_attestation(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 401, "{what}: {}", answer.body);
    assert_eq!(
        answer.json()["error"],
        "invalid_client_attestation",
        "{what}"
    );
    assert_eq!(answer.header("www-authenticate"), Some(ATTEST), "{what}");
    assert!(answer.header(CHALLENGE_HEADER).is_some(), "{what}");
}

on_sqlite! {
    async fn att_01_a_client_without_an_attestation_is_refused(site: Site) {
        site.register(JANICE).await;
        enable(&site).await;
        enable_public(&site).await;
        let call = asserted(&site).with("client_assertion", None).form("username", JANICE).form("password", PASSWORD);
        // A secret is not an attestation.
        let call = call.form("client_secret", &site.client.secret);
        invalid_client(&site.send(call).await, "documented");
        let call = Call::post(STANDARD_PATH).on_public().form("client_id", &site.public_client.id)
            .form("username", JANICE).form("password", PASSWORD);
        let answer = site.send(call.clone()).await;
        invalid_client(&answer, "standard");
        assert!(answer.header(CHALLENGE_HEADER).is_some());
        // Neither is a proof alone, an attestation without a proof, or two of a kind.
        let instance = Instance::new();
        let good = instance.asks(&site).await.form("username", JANICE).form("password", PASSWORD);
        invalid_attestation(&site.send(good.clone().without_header(ATTESTATION)).await, "proof alone");
        invalid_attestation(&site.send(good.clone().without_header(POP)).await, "attestation alone");
        let twice = good.clone().header(ATTESTATION, &instance.attestation(&site));
        invalid_attestation(&site.send(twice).await, "two attestations");
        let both = good.clone().form("client_assertion", &assertion(&site));
        assert_eq!(site.send(both).await.expect_status(400).json()["error"], "invalid_request");
        // None of these requests has spent the proof.
        site.send(good).await.expect_ok();
    }
}

on_sqlite! {
    async fn att_02_the_key_must_belong_to_a_valid_certificate_of_the_app(site: Site) {
        site.register(JANICE).await;
        enable(&site).await;
        let claims = assertion_claims(&site, "a");
        let p256 = Key::p256();
        for (what, jwt) in [
            ("another key", strange().jwt(json!({}), &claims)),
            ("ES256", p256.jwt(json!({}), &claims)),
            ("EdDSA", Key::ed25519().jwt(json!({}), &claims)),
        ] {
            invalid_client(&site.send(with_assertion(&site, &jwt)).await, what);
        }
        let register = async |certificates: Value| {
            // One may expire after it was registered.
            let change = json!({"clientAssertionCertificate": certificates});
            site.force_client(&site.client.id, change).await;
        };
        // Registered with ES256, an assertion is still RS256.
        register(json!([p256.certificate()])).await;
        let jwt = p256.jwt(json!({}), &claims);
        invalid_client(&site.send(with_assertion(&site, &jwt)).await, "a certificate of P-256");
        for (what, not_before, not_after) in [
            ("expired", "200101000000Z", "260105095959Z"),
            ("not yet", "260105100001Z", "391231235959Z"),
        ] {
            register(json!([registered().certificate_of(not_before, not_after)])).await;
            invalid_client(&site.send(with_assertion(&site, &assertion(&site))).await, what);
        }
        // Two certificates, while one replaces the other; the old one ends with its removal.
        register(json!([strange().certificate(), registered().certificate()])).await;
        site.send(with_assertion(&site, &assertion(&site))).await.expect_ok();
        site.send(with_assertion(&site, &strange().jwt(json!({}), &claims))).await.expect_ok();
        register(json!([strange().certificate()])).await;
        invalid_client(&site.send(with_assertion(&site, &assertion(&site))).await, "removed");
    }
}

on_sqlite! {
    async fn att_02_an_attestation_by_an_unknown_key_is_refused(site: Site) {
        site.register(JANICE).await;
        enable_public(&site).await;
        let instance = Instance::new();
        let typ = || json!({"typ": "oauth-client-attestation+jwt"});
        let claims = instance.attestation_claims(&site);
        let changed = |name: &str, value: Value| {
            let mut claims = claims.clone();
            claims[name] = value;
            registered().jwt(typ(), &claims)
        };
        let now = site.app.now().seconds();
        for (what, attestation) in [
            ("another key", strange().jwt(typ(), &claims)),
            ("by the instance itself", instance.key.jwt(typ(), &claims)),
            ("another client", changed("sub", json!(site.client.id))),
            ("no client", changed("sub", Value::Null)),
            ("no key", changed("cnf", json!({}))),
            ("a secret key", changed("cnf", json!({"jwk": {"kty": "oct", "k": "AAAA"}}))),
            ("a day and more", changed("exp", json!(now + 90_000))),
            ("from tomorrow", changed("iat", json!(now + 90))),
            ("no end", changed("exp", Value::Null)),
            ("an end in words", changed("exp", json!("tomorrow"))),
            ("an untyped JWT", registered().jwt(json!({}), &claims)),
            ("an assertion", registered().jwt(json!({"typ": "JWT"}), &claims)),
            ("not a JWT", "hello".to_owned()),
        ] {
            let call = instance.asks(&site).await.without_header(ATTESTATION).header(ATTESTATION, &attestation);
            let call = call.form("username", JANICE).form("password", PASSWORD);
            invalid_attestation(&site.send(call).await, what);
        }
        let expired = changed("exp", json!(now - 61));
        let call = instance.asks(&site).await.without_header(ATTESTATION).header(ATTESTATION, &expired)
            .form("username", JANICE).form("password", PASSWORD);
        let answer = site.send(call).await.expect_status(400).json();
        assert_eq!(answer, json!({"error": "use_fresh_attestation",
            "error_description": "the client attestation is over"}));
    }
}

on_sqlite! {
    async fn att_03_an_assertion_names_its_client_and_only_this_site(site: Site) {
        site.register(JANICE).await;
        enable(&site).await;
        let mut number = 0;
        let mut jwt = |name: &str, value: Value| {
            number += 1;
            let mut claims = assertion_claims(&site, &format!("aud-{number}"));
            match value {
                Value::Null => { claims.as_object_mut().unwrap().remove(name); }
                value => claims[name] = value,
            }
            registered().jwt(json!({}), &claims)
        };
        let endpoint = format!("{BASE_URL}{V1}");
        let token = format!("{BASE_URL}/services/oauth2/token");
        for (name, value) in [
            ("iss", json!(site.integration.id)),
            ("iss", json!("")),
            ("iss", json!(7)),
            ("iss", Value::Null),
            ("sub", json!(site.integration.id)),
            ("sub", json!([])),
            ("aud", json!(PUBLIC_URL)),
            ("aud", json!("https://elsewhere.example.com")),
            ("aud", json!(endpoint)),
            // An assertion for the token endpoint is not valid for this one.
            ("aud", json!(token)),
            ("aud", json!(format!("{BASE_URL}/"))),
            ("aud", json!(["https://elsewhere.example.com", BASE_URL])),
            ("aud", json!([BASE_URL, "https://elsewhere.example.com"])),
            ("aud", json!([])),
            ("aud", Value::Null),
        ] {
            let what = format!("{name} {value}");
            let call = with_assertion(&site, &jwt(name, value));
            invalid_client(&site.send(call).await, &what);
        }
        for (name, value) in [("aud", json!([BASE_URL])), ("sub", Value::Null), ("iat", Value::Null)] {
            site.send(with_assertion(&site, &jwt(name, value))).await.expect_ok();
        }
        let kind = |kind: &str| with_assertion(&site, &assertion(&site)).form("client_assertion_type", kind);
        site.send(kind("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")).await.expect_ok();
        let answer = site.send(kind("urn:ietf:params:oauth:client-assertion-type:saml2-bearer")).await;
        invalid_client(&answer, "another type of assertion");
    }
}

on_sqlite! {
    async fn att_04_jwt_14_an_assertion_ends_soon_and_began_already(site: Site) {
        site.register(JANICE).await;
        enable(&site).await;
        let now = site.app.now().seconds();
        let mut number = 0;
        let mut jwt = |name: &str, value: Value| {
            number += 1;
            let mut claims = assertion_claims(&site, &format!("exp-{number}"));
            claims[name] = value;
            registered().jwt(json!({}), &claims)
        };
        for (name, value) in [
            ("exp", Value::Null),
            ("exp", json!(now - 60)),
            ("exp", json!(now + 361)),
            ("exp", json!(now + 315_360_000)),
            ("exp", json!((now + 60).to_string())),
            ("exp", json!(1e308)),
            ("exp", json!(-1)),
            ("iat", json!(now + 61)),
            ("iat", json!("now")),
            ("nbf", json!(now + 61)),
        ] {
            let what = format!("{name} {value}");
            invalid_client(&site.send(with_assertion(&site, &jwt(name, value))).await, &what);
        }
        for (name, value) in [
            ("exp", json!(now - 59)), ("exp", json!(now + 360)), ("iat", json!(now + 60)), ("nbf", json!(now - 5)),
        ] {
            site.send(with_assertion(&site, &jwt(name, value))).await.expect_ok();
        }
    }
}

on_both_databases! {
    async fn att_05_a_jti_counts_once_on_all_nodes(site: Site) {
        site.register(JANICE).await;
        enable(&site).await;
        let other = site.another_node().await;
        let jwt = assertion(&site);
        let mut calls = Vec::new();
        for number in 0..10 {
            let node = if number % 2 == 0 { &site } else { &other };
            calls.push(node.send(with_assertion(&site, &jwt)));
        }
        let answers = futures_util::future::join_all(calls).await;
        let (won, lost): (Vec<&Answer>, Vec<&Answer>) = answers.iter().partition(|answer| answer.status == 200);
        assert_eq!((won.len(), lost.len()), (1, 9));
        for answer in lost {
            invalid_client(answer, "replayed");
        }
        // A node that has just started accepts it too; after its window it has expired.
        let fresh = site.another_node().await;
        invalid_client(&fresh.send(with_assertion(&site, &jwt)).await, "on a new node");
        site.advance(Duration::from_secs(301));
        invalid_client(&site.send(with_assertion(&site, &jwt)).await, "over");
        // The same claims of another client are another proof.
        site.inbox.clear();
    }
}

on_both_databases! {
    async fn att_05_a_proof_of_possession_is_accepted_once(site: Site) {
        site.register(JANICE).await;
        enable_public(&site).await;
        let call = Instance::new().asks(&site).await.form("username", JANICE).form("password", PASSWORD);
        site.send(call.clone()).await.expect_ok();
        invalid_attestation(&site.send(call).await, "replayed");
    }
}

on_sqlite! {
    async fn att_06_an_assertion_without_a_jti_is_valid_until_it_expires(site: Site) {
        site.register(JANICE).await;
        enable(&site).await;
        let mut claims = assertion_claims(&site, "");
        claims.as_object_mut().unwrap().remove("jti");
        let jwt = registered().jwt(json!({}), &claims);
        for _ in 0..2 {
            site.send(with_assertion(&site, &jwt)).await.expect_ok();
        }
        assert_eq!(site.count("SELECT COUNT(*) FROM spent_proof").await, 0);
        claims["jti"] = json!("");
        let jwt = registered().jwt(json!({}), &claims);
        invalid_client(&site.send(with_assertion(&site, &jwt)).await, "an empty name");
        claims["jti"] = json!("x".repeat(2_000));
        let jwt = registered().jwt(json!({}), &claims);
        invalid_client(&site.send(with_assertion(&site, &jwt)).await, "a long name");
    }
}

on_sqlite! {
    async fn att_07_a_proof_of_possession_is_for_this_site_and_a_fresh_challenge(site: Site) {
        site.register(JANICE).await;
        enable_public(&site).await;
        let instance = Instance::new();
        let old = challenge(&site).await;
        site.advance(Duration::from_secs(301));
        let with_pop = async |pop: &str| {
            let call = instance.asks(&site).await.without_header(POP).header(POP, pop);
            site.send(call.form("username", JANICE).form("password", PASSWORD)).await
        };
        let fresh = challenge(&site).await;
        let claims = |name: &str, value: Value| {
            let mut claims = instance.pop_claims(&site, &fresh);
            claims[name] = value;
            claims
        };
        let now = site.app.now().seconds();
        let good = instance.pop_claims(&site, &fresh);
        let typ = json!({"typ": "oauth-client-attestation-pop+jwt"});
        for (what, pop) in [
            ("another key", Key::p256().jwt(typ.clone(), &good)),
            ("the app's key", registered().jwt(typ.clone(), &good)),
            ("another site", instance.pop(&claims("aud", json!(BASE_URL)))),
            ("two sites", instance.pop(&claims("aud", json!([PUBLIC_URL, BASE_URL])))),
            ("no site", instance.pop(&claims("aud", Value::Null))),
            ("no name", instance.pop(&claims("jti", Value::Null))),
            ("no date", instance.pop(&claims("iat", Value::Null))),
            ("an old date", instance.pop(&claims("iat", json!(now - 301)))),
            ("a date to come", instance.pop(&claims("iat", json!(now + 301)))),
            ("untyped", instance.key.jwt(json!({}), &good)),
            ("a DPoP proof", instance.key.jwt(json!({"typ": "dpop+jwt", "jwk": instance.key.jwk()}), &good)),
            ("not a JWT", "hello".to_owned()),
        ] {
            invalid_attestation(&with_pop(&pop).await, what);
        }
        for (what, value) in [
            ("an old challenge", json!(old)),
            ("a made-up one", json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")),
            ("none", Value::Null),
        ] {
            let mut claims = good.clone();
            match value {
                Value::Null => { claims.as_object_mut().unwrap().remove("challenge"); }
                value => claims["challenge"] = value,
            }
            let answer = with_pop(&instance.pop(&claims)).await.expect_status(400);
            assert_eq!(answer.json()["error"], "use_attestation_challenge", "{what}");
            // The response contains the challenge that was missing.
            let brought = answer.header(CHALLENGE_HEADER).unwrap();
            let next = instance.pop(&instance.pop_claims(&site, brought));
            with_pop(&next).await.expect_ok();
        }
        // A challenge of another site of the installation is not valid here.
        site.update_settings(json!({"isFirstPartyAppsAllowed": true})).await;
        let answer = site.send(Call::post(super::mint::CHALLENGES)).await.expect_ok().json();
        let foreign = instance.pop_claims(&site, answer["attestation_challenge"].as_str().unwrap());
        let answer = with_pop(&instance.pop(&foreign)).await.expect_status(400);
        assert_eq!(answer.json()["error"], "use_attestation_challenge");
        // A challenge is valid on every node.
        let other = site.another_node().await;
        let call = instance.asks(&site).await.form("username", JANICE).form("password", PASSWORD);
        other.send(call).await.expect_ok();
    }
}

on_sqlite! {
    async fn att_08_spent_proofs_are_deleted_after_their_window(site: Site) {
        site.register(JANICE).await;
        enable(&site).await;
        let now = site.app.now();
        let mut claims = assertion_claims(&site, "far");
        claims["exp"] = json!(now.seconds() + 360);
        let jwt = registered().jwt(json!({}), &claims);
        site.send(with_assertion(&site, &jwt)).await.expect_ok();
        // The last second at which one could be accepted; nothing is kept longer.
        let latest = site.count("SELECT MAX(expires_at) FROM spent_proof").await;
        assert_eq!(latest, now.plus_seconds(420).millis());
        // A refused proof is not stored.
        claims["exp"] = json!(now.seconds() + 315_360_000);
        let jwt = registered().jwt(json!({}), &claims);
        site.send(with_assertion(&site, &jwt)).await.expect_status(401);
        assert_eq!(site.count("SELECT COUNT(*) FROM spent_proof").await, 1);
    }
}

on_sqlite! {
    async fn att_11_a_success_and_an_error_have_the_shapes_of_the_draft(site: Site) {
        site.register(JANICE).await;
        enable_public(&site).await;
        let instance = Instance::new();
        let ok = instance.asks(&site).await.form("username", JANICE).form("password", PASSWORD);
        let ok = site.send(ok).await.expect_ok();
        assert_private(&ok, "success");
        assert_eq!(ok.header("content-type"), Some("application/json;charset=UTF-8"));
        assert_eq!(ok.json().as_object().unwrap().len(), 1);
        for (change, error) in [
            (("auth_session", "nonsense"), "invalid_session"),
            (("scope", "web"), "invalid_scope"),
            (("response_type", "token"), "unsupported_response_type"),
            (("code_challenge", "x"), "invalid_request"),
            (("verificationmethod", "fax"), "invalid_request"),
        ] {
            let call = instance.asks(&site).await.with(change.0, Some(change.1)).form("username", JANICE);
            let answer = site.send(call).await.expect_status(400);
            assert_private(&answer, error);
            assert_eq!(answer.json()["error"], error);
            assert!(answer.json()["error_description"].is_string());
        }
    }
}

on_both_databases! {
    async fn att_13_known_and_unknown_users_get_the_same_response(site: Site) {
        site.register(JANICE).await;
        enable_public(&site).await;
        let instance = Instance::new();
        for (name, known, unknown) in [
            ("username", JANICE, "unknown@example.com"),
            ("login_hint", JANICE, "ORDER-404"),
        ] {
            if name == "login_hint" {
                site.force_settings_of(vestibule::admin::seed::PUBLIC, json!({
                    "headlessDiscoveryHandler": "builtin", "headlessDiscoveryStrategies": ["username"],
                    "isUserDisambiguationAllowedUsernamePwd": true, "isUserDisambiguationAllowedForgotPwd": true,
                })).await;
            }
            for step in [
                &[("password", "wrong")][..],
                &[("verificationmethod", "email")],
                &[("challenge_type", "password_reset")],
            ] {
                let mut answers = Vec::new();
                for who in [known, unknown] {
                    let mut call = instance.asks(&site).await.form(name, who).form("customdata", r#"{"a":1}"#);
                    for (name, value) in step {
                        call = call.form(name, value);
                    }
                    let answer = site.send(call).await.expect_status(403);
                    let mut body = answer.json();
                    assert!(body["auth_session"].is_string());
                    body["auth_session"] = json!("…");
                    answers.push(body);
                }
                assert_eq!(answers[0], answers[1], "{name} {step:?}");
                site.deliver().await;
                site.inbox.clear();
                site.advance(Duration::from_secs(120));
            }
        }
    }
}

on_sqlite! {
    async fn jwt_01_to_19_no_trick_of_a_header_makes_an_assertion(site: Site) {
        site.register(JANICE).await;
        enable(&site).await;
        let claims = assertion_claims(&site, "trick");
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let unsigned = |header: Value, signature: &str| format!("{}.{}.{signature}", part(&header), part(&claims));
        let foreign = |header: Value| strange().jwt(header, &claims);
        let good = registered().jwt(json!({}), &claims);
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let payload = part(&json!({"iss": site.client.id, "aud": BASE_URL, "exp": 1}));
        let header = signed.split('.').next().unwrap();
        let jwks = "http://127.0.0.1:9/keys";
        for jwt in [
            unsigned(json!({"alg": "none"}), ""),
            unsigned(json!({"alg": "nOnE"}), ""),
            unsigned(json!({}), signature),
            unsigned(json!({"alg": "HS256"}), signature),
            unsigned(json!({"alg": "PS256"}), signature),
            unsigned(json!({"alg": "RS256"}), ""),
            registered().jwt(json!({"alg": "RS512"}), &claims),
            registered().jwt(json!({"crit": ["x"], "x": 1}), &claims),
            registered().jwt(json!({"b64": false}), &claims),
            registered().jwt(json!({"typ": "oauth-client-attestation+jwt"}), &claims),
            registered().jwt(json!({"typ": "dpop+jwt"}), &claims),
            foreign(json!({"jwk": strange().jwk()})),
            foreign(json!({"jku": jwks})),
            foreign(json!({"x5u": jwks})),
            foreign(json!({"x5c": ["AAAA"]})),
            foreign(json!({"kid": "../../etc/passwd"})),
            foreign(json!({"kid": "x".repeat(5_000)})),
            format!("{header}.{payload}.{signature}"),
            format!("{good}.{signature}"),
            format!("{good}="),
            "a".repeat(60_000),
        ] {
            let answer = site.send(with_assertion(&site, &jwt)).await;
            let what = &jwt[..jwt.len().min(120)];
            if answer.status == 400 {
                // The parameter was too long.
                assert_eq!(answer.json()["error"], "invalid_request", "{what}");
                continue;
            }
            invalid_client(&answer, what);
        }
        // Members that name a key are ignored.
        let claims = assertion_claims(&site, "named");
        let jwt = registered().jwt(json!({"kid": "1", "typ": "JWT", "jku": jwks, "x5t": "AA"}), &claims);
        site.send(with_assertion(&site, &jwt)).await.expect_ok();
    }
}

on_sqlite! {
    async fn jwt_16_tokens_and_kinds_of_proof_are_not_interchangeable(site: Site) {
        site.register(JANICE).await;
        enable(&site).await;
        enable_public(&site).await;
        let call = asserted(&site).form("username", JANICE).form("password", PASSWORD);
        let code = site.send(call).await.expect_ok().json()["authorization_code"].as_str().unwrap().to_owned();
        let tokens = Call::post("/services/oauth2/token").form("grant_type", "authorization_code")
            .form("code", &code).form("client_id", &site.client.id).form("client_assertion", &assertion(&site))
            .form("code_verifier", crate::fixture::VERIFIER);
        let tokens = site.send(tokens).await.expect_ok().json();
        let id_token = tokens["id_token"].as_str().unwrap();
        invalid_client(&site.send(with_assertion(&site, id_token)).await, "an id_token");
        let instance = Instance::new();
        let call = instance.asks(&site).await.without_header(ATTESTATION)
            .header(ATTESTATION, id_token).form("username", JANICE);
        invalid_attestation(&site.send(call).await, "an id_token as an attestation");
        let mut claims = assertion_claims(&site, "public");
        claims["iss"] = json!(site.public_client.id);
        claims["sub"] = json!(site.public_client.id);
        claims["aud"] = json!(PUBLIC_URL);
        claims["cnf"] = json!({"jwk": instance.key.jwk()});
        let call = instance.asks(&site).await.without_header(ATTESTATION)
            .header(ATTESTATION, &registered().jwt(json!({}), &claims)).form("username", JANICE);
        invalid_attestation(&site.send(call).await, "an assertion as an attestation");
        // An assertion is not an access token.
        let call = Call::get("/services/oauth2/userinfo").bearer(&assertion(&site));
        assert_eq!(site.send(call).await.expect_status(401).json()["error"], "invalid_token");
    }
}
