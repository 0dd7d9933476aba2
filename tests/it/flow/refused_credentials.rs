//! The reason that the log has for a refused credential, and the caller never learns.

use std::time::Duration;

use serde_json::{Value, json};
use vestibule::admin::user::{self, StateChange};

use super::tokens::{
    access_token, add_client, jwt_format, refresh_call, refreshed, register_with, rotating,
    token_call_of,
};
use crate::first_party::mint::{
    ATTESTATION, Instance, POP, STANDARD_PATH, asserted, assertion, assertion_claims, challenge,
    enable, enable_public, registered, strange,
};
use crate::fixture::log::Log;
use crate::fixture::{Call, PASSWORD, Site, on_sqlite, registration};

const JANICE: &str = "janice@example.com";

/// Sends a request and expects one log line with this reason and, for a JWT, the part that is wrong.
async fn expect(site: &Site, log: &Log, call: Call, reason: &str, part: Option<&str>) {
    log.lines();
    let answer = site.send(call).await;
    let lines = log.lines();
    let [line] = lines.as_slice() else {
        panic!("{reason}: {lines:?} for {}", answer.body);
    };
    let found = (&line["message"], &line["reason"], &line["part"]);
    let said = json!("a credential was refused");
    assert_eq!(found, (&said, &json!(reason), &json!(part)), "{line}");
    assert!(line["request"].is_string(), "{line}");
    assert!(!answer.body.contains(reason), "{reason}: {}", answer.body);
}

on_sqlite! {
    async fn a_client_assertion_is_refused_for_its_part(site: Site) {
        site.register(JANICE).await;
        enable(&site).await;
        let log = Log::capture();
        let login = || asserted(&site).form("username", JANICE).form("password", PASSWORD);
        let with_jwt = |jwt: &str| login().with("client_assertion", Some(jwt));
        let with = |claims: &Value| with_jwt(&registered().jwt(json!({"alg": "RS256"}), claims));
        let good = assertion_claims(&site, "jti");
        for (claim, value) in [("aud", json!("https://other.example.com")), ("exp", json!(1)), ("iss", json!("other"))] {
            let mut claims = good.clone();
            claims[claim] = value;
            expect(&site, &log, with(&claims), "client_assertion_invalid", Some(claim)).await;
        }
        let foreign = strange().jwt(json!({"alg": "RS256"}), &good);
        expect(&site, &log, with_jwt(&foreign), "client_assertion_invalid", Some("signature")).await;
        expect(&site, &log, with_jwt("mark"), "client_assertion_invalid", Some("form")).await;
        let call = login().form("client_assertion_type", "mark");
        expect(&site, &log, call, "client_assertion_type_unknown", None).await;
        site.send(with(&good)).await.expect_ok();
        expect(&site, &log, with(&good), "client_assertion_used_before", None).await;
        // The same at the token endpoint.
        let at_token = |jwt: &str| {
            Call::post("/services/oauth2/token")
                .form("grant_type", "client_credentials")
                .form("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
                .form("client_id", &site.client.id)
                .form("client_assertion", jwt)
        };
        expect(&site, &log, at_token("mark"), "client_assertion_invalid", Some("form")).await;
        let jwt = assertion(&site);
        site.send(at_token(&jwt)).await;
        expect(&site, &log, at_token(&jwt), "client_assertion_used_before", None).await;
    }
}

on_sqlite! {
    async fn an_attestation_and_its_proof_are_refused_for_their_parts(site: Site) {
        site.register(JANICE).await;
        enable_public(&site).await;
        let instance = Instance::new();
        let log = Log::capture();
        let call = async |attestation: &str, pop: &Value| {
            Call::post(STANDARD_PATH)
                .on_public()
                .header(ATTESTATION, attestation)
                .header(POP, &instance.pop(pop))
                .form("client_id", &site.public_client.id)
                .form("response_type", "code")
                .form("code_challenge", crate::fixture::CHALLENGE)
                .form("username", JANICE)
                .form("password", PASSWORD)
        };
        let attestation = instance.attestation(&site);
        let good = instance.pop_claims(&site, &challenge(&site).await);
        let alone = call(&attestation, &good).await.without_header(POP);
        expect(&site, &log, alone, "client_attestation_incomplete", None).await;
        let header = json!({"typ": "oauth-client-attestation+jwt"});
        let mut claims = instance.attestation_claims(&site);
        claims["sub"] = json!("other");
        let other = registered().jwt(header.clone(), &claims);
        expect(&site, &log, call(&other, &good).await, "client_attestation_invalid", Some("sub")).await;
        claims = instance.attestation_claims(&site);
        claims["exp"] = json!(site.app.now().seconds() - 120);
        let expired = registered().jwt(header, &claims);
        expect(&site, &log, call(&expired, &good).await, "client_attestation_expired", None).await;
        let mut claims = good.clone();
        claims["aud"] = json!("https://other.example.com");
        expect(&site, &log, call(&attestation, &claims).await, "client_possession_invalid", Some("aud")).await;
        let stale = instance.pop_claims(&site, "mark");
        expect(&site, &log, call(&attestation, &stale).await, "attestation_challenge_not_fresh", None).await;
        site.send(call(&attestation, &good).await).await.expect_ok();
        expect(&site, &log, call(&attestation, &good).await, "client_possession_used_before", None).await;
        let session = instance.asks(&site).await.form("auth_session", "mark").form("otp", "123456");
        expect(&site, &log, session, "auth_session_not_live", None).await;
    }
}

on_sqlite! {
    async fn the_token_of_a_backend_and_a_hint_are_refused_for_a_reason(site: Site) {
        let tokens = site.register(JANICE).await;
        let log = Log::capture();
        let init = |authorization: &str| {
            Call::post("/services/auth/headless/init/registration")
                .header("authorization", authorization)
                .json(&registration("jo@example.com"))
        };
        let users = format!("Bearer {}", access_token(&tokens));
        expect(&site, &log, init(&users), "access_token_not_of_integration_user", None).await;
        expect(&site, &log, init("Bearer mark"), "access_token_malformed", None).await;
        expect(&site, &log, init("Bearer 00D!mark"), "access_token_not_live", None).await;
        // For opaque tokens the hint is not read.
        site.update_client(&site.public_client.id, jwt_format()).await;
        let narrow = format!("Bearer {}", site.integration_token(Some("api")).await);
        expect(&site, &log, init(&narrow), "access_token_scope_missing", None).await;
        let login = || site.public_authorize_call("Named-User", JANICE, PASSWORD);
        expect(&site, &log, login().header("uvid-hint", "mark"), "uvid_malformed", None).await;
        let (one, other) = ("6f9619ff-8b86-4d01-b42d-00cf4fc964ff", "6f9619ff-8b86-4d01-b42d-00cf4fc96400");
        let both = login().header("uvid-hint", one).form("uvid_hint", other);
        expect(&site, &log, both, "uvid_hints_differ", None).await;
        let unsigned = login().header("uvid-hint", "e30.e30.c2ln");
        expect(&site, &log, unsigned, "access_token_malformed", None).await;
    }
}

on_sqlite! {
    async fn a_login_and_its_refresh_tokens_are_refused_for_a_reason(site: Site) {
        let tokens = register_with(&site, rotating(), JANICE).await;
        let other = add_client(&site, "other", rotating()).await;
        let log = Log::capture();
        let first = tokens["refresh_token"].as_str().unwrap().to_owned();
        let of_other = refresh_call(&site, &first)
            .with("client_id", Some(&other.id))
            .with("client_secret", Some(&other.secret));
        expect(&site, &log, of_other, "refresh_token_of_another_client", None).await;
        let second = refreshed(&site, &first).await["refresh_token"].as_str().unwrap().to_owned();
        site.advance(Duration::from_secs(60));
        expect(&site, &log, refresh_call(&site, &first), "refresh_token_reused", None).await;
        expect(&site, &log, refresh_call(&site, &second), "refresh_token_ended", None).await;

        let code = site.registered_code("jo@example.com").await;
        let of_other = token_call_of(&site, &other, &code);
        expect(&site, &log, of_other, "code_of_another_client", None).await;
        user::change_state(&site.admin(), "jo@example.com", StateChange::Lock).await.expect("a change");
        expect(&site, &log, site.token_call(&code), "user_locked", None).await;
        let right = site.password_call("jo@example.com", PASSWORD);
        expect(&site, &log, right, "password_not_permitted", None).await;
        let wrong = site.password_call("jo@example.com", "wrong");
        expect(&site, &log, wrong, "password_wrong", None).await;
    }
}
