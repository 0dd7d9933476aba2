//! The authorization challenge endpoint of draft-ietf-oauth-first-party-apps: instances of a native app that are
//! attested, with a proof of possession or with DPoP.

use serde_json::{Value, json};

use super::mint::{
    ATTESTATION, CHALLENGE_HEADER, CHALLENGES, Instance, Key, STANDARD_PATH, challenge,
    enable_public, registered,
};
use crate::fixture::{
    Call, PASSWORD, PUBLIC_URL, Site, VERIFIER, on_both_databases, on_sqlite, registration,
};

const JANICE: &str = "janice@example.com";

/// The token call of an instance for a code.
async fn token_call(instance: &Instance, site: &Site, code: &str) -> Call {
    let call = instance.call(site, "/services/oauth2/token").await;
    call.form("grant_type", "authorization_code")
        .form("code", code)
        .form("code_verifier", VERIFIER)
}

fn text(body: &Value, name: &str) -> String {
    body[name]
        .as_str()
        .unwrap_or_else(|| panic!("no {name}: {body}"))
        .to_owned()
}

on_both_databases! {
    async fn an_attested_instance_logs_in_and_refreshes(site: Site) {
        site.register(JANICE).await;
        enable_public(&site).await;
        let instance = Instance::new();
        let call = instance.asks(&site).await.form("username", JANICE).form("password", PASSWORD);
        let answer = site.send(call).await.expect_ok();
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(answer.header(CHALLENGE_HEADER).is_some());
        let code = text(&answer.json(), "authorization_code");
        let tokens = site.send(token_call(&instance, &site, &code).await).await.expect_ok().json();
        let refresh = |call: Call| call.form("grant_type", "refresh_token")
            .form("refresh_token", tokens["refresh_token"].as_str().unwrap());
        // Neither an unauthenticated caller nor another instance of the same app may refresh.
        let unauthenticated = refresh(Call::post("/services/oauth2/token").on_public().form("client_id", &site.public_client.id));
        assert_eq!(site.send(unauthenticated).await.expect_status(400).json()["error"], "invalid_grant");
        let other = refresh(Instance::new().call(&site, "/services/oauth2/token").await);
        assert_eq!(site.send(other).await.expect_status(400).json()["error"], "invalid_grant");
        let own = refresh(instance.call(&site, "/services/oauth2/token").await);
        site.send(own).await.expect_ok();
    }
}

on_both_databases! {
    async fn a_username_alone_asks_for_a_code_by_mail(site: Site) {
        site.register(JANICE).await;
        enable_public(&site).await;
        let instance = Instance::new();
        let call = instance.asks(&site).await.form("username", JANICE);
        let mut body = site.send(call).await.expect_status(403).json();
        let session = body["auth_session"].take();
        assert_eq!(body, json!({
            "error": "insufficient_authorization", "error_description": "a one-time password was sent",
            "error_code": "login_initialized", "auth_session": null, "verificationmethod": "email",
            "otp_required": true,
        }));
        let code = site.code_to(JANICE).await;
        let go_on = |call: Call, session: &str, otp: &str| call.form("auth_session", session).form("otp", otp);
        let call = instance.call(&site, STANDARD_PATH).await;
        let wrong = site.send(go_on(call, session.as_str().unwrap(), "000000")).await.expect_status(403).json();
        assert_eq!((&wrong["error"], &wrong["error_code"], &wrong["otp_required"]),
            (&json!("insufficient_authorization"), &json!("invalid_credentials"), &json!(true)));
        let call = instance.call(&site, STANDARD_PATH).await;
        let done = site.send(go_on(call, &text(&wrong, "auth_session"), &code)).await.expect_ok().json();
        let code = text(&done, "authorization_code");
        site.send(token_call(&instance, &site, &code).await).await.expect_ok();
    }
}

on_both_databases! {
    async fn a_registration_by_an_instance_ends_in_a_code(site: Site) {
        enable_public(&site).await;
        let instance = Instance::new();
        let userdata = registration(JANICE)["userdata"].to_string();
        let call = instance.asks(&site).await.form("userdata", &userdata).form("password", PASSWORD);
        let begun = site.send(call).await.expect_status(403).json();
        assert_eq!(begun["error_code"], "registration_initialized");
        let otp = site.code_to(JANICE).await;
        let call = instance.call(&site, STANDARD_PATH).await
            .form("auth_session", &text(&begun, "auth_session")).form("otp", &otp);
        let done = site.send(call).await.expect_ok().json();
        site.send(token_call(&instance, &site, &text(&done, "authorization_code")).await).await.expect_ok();
    }
}

on_both_databases! {
    async fn a_reset_answers_with_an_auth_session_and_the_new_password_logs_in(site: Site) {
        const NEW: &str = "An0ther-Secret-Pa55";
        site.register(JANICE).await;
        enable_public(&site).await;
        let instance = Instance::new();
        let call = instance.asks(&site).await.form("challenge_type", "password_reset").form("username", JANICE);
        let mut begun = site.send(call).await.expect_status(403).json();
        let session = begun["auth_session"].take();
        assert_eq!(begun, json!({
            "error": "insufficient_authorization", "error_description": "a one-time password was sent",
            "error_code": "password_reset_initialized", "auth_session": null,
            "verificationmethod": "email", "otp_required": true, "new_password_required": true,
        }));
        let otp = site.code_to(JANICE).await;
        let step = async |session: &str, otp: &str, password: &str| {
            let call = instance.call(&site, STANDARD_PATH).await.form("auth_session", session)
                .form("otp", otp).form("newpassword", password);
            site.send(call).await.expect_status(403).json()
        };
        let wrong = step(session.as_str().unwrap(), "000000", NEW).await;
        assert_eq!(wrong["error_code"], "invalid_credentials");
        let weak = step(&text(&wrong, "auth_session"), &otp, "short").await;
        assert_eq!((&weak["error_code"], &weak["new_password_required"]),
            (&json!("password_policy_check_failure"), &json!(true)));
        let done = step(&text(&weak, "auth_session"), &otp, NEW).await;
        assert_eq!((&done["error_code"], &done["password_required"]), (&json!("password_changed"), &json!(true)));
        let call = instance.call(&site, STANDARD_PATH).await
            .form("auth_session", &text(&done, "auth_session")).form("username", JANICE).form("password", NEW);
        site.send(call).await.expect_ok();
        site.deliver().await;
        site.inbox.clear();
    }
}

/// The proof of the combined mode.
fn dpop(instance: &Instance, site: &Site, path: &str, challenge: &str) -> Value {
    json!({
        "htm": "POST", "htu": format!("{PUBLIC_URL}{path}"), "iat": site.app.now().seconds(),
        "jti": site.app.entropy.text(b"0123456789abcdef", 32), "nonce": challenge,
        "sub": instance.key.alg(),
    })
}

on_both_databases! {
    async fn dpop_proves_possession_in_the_combined_mode(site: Site) {
        site.register(JANICE).await;
        enable_public(&site).await;
        for key in [Key::p256(), Key::ed25519(), Key::rsa()] {
            let instance = Instance { key };
            let header = || json!({"typ": "dpop+jwt", "jwk": instance.key.jwk()});
            let call = async |path: &str, change: &dyn Fn(&mut Value), header: Value| {
                let mut claims = dpop(&instance, &site, path, &challenge(&site).await);
                change(&mut claims);
                Call::post(path).on_public()
                    .header(ATTESTATION, &instance.attestation(&site))
                    .header("dpop", &instance.key.jwt(header, &claims))
                    .form("client_id", &site.public_client.id)
            };
            let log_in = |call: Call| call.form("code_challenge", crate::fixture::CHALLENGE)
                .form("username", JANICE).form("password", PASSWORD);
            let good = log_in(call(STANDARD_PATH, &|_| {}, header()).await);
            let code = text(&site.send(good).await.expect_ok().json(), "authorization_code");
            let redeem = call("/services/oauth2/token", &|_| {}, header()).await
                .form("grant_type", "authorization_code").form("code", &code).form("code_verifier", VERIFIER);
            site.send(redeem).await.expect_ok();

            type Change = fn(&mut Value);
            let changes: [(Change, &str); 6] = [
                (|claims| claims["htm"] = json!("GET"), "invalid_client_attestation"),
                (|claims| claims["htu"] = json!("https://other.example.com/"), "invalid_client_attestation"),
                (|claims| claims["jti"] = Value::Null, "invalid_client_attestation"),
                (|claims| claims["iat"] = json!(1), "invalid_client_attestation"),
                (|claims| { claims.as_object_mut().unwrap().remove("nonce"); }, "use_attestation_challenge"),
                (|claims| claims["nonce"] = json!("AAAA"), "use_attestation_challenge"),
            ];
            for (change, error) in changes {
                let answer = site.send(log_in(call(STANDARD_PATH, &change, header()).await)).await;
                assert_eq!(answer.json()["error"], error);
            }
            for wrong in [
                json!({"typ": "dpop+jwt"}),
                json!({"typ": "dpop+jwt", "jwk": registered().jwk()}),
                json!({"typ": "JWT", "jwk": instance.key.jwk()}),
            ] {
                let answer = site.send(log_in(call(STANDARD_PATH, &|_| {}, wrong).await)).await;
                assert_eq!(answer.expect_status(401).json()["error"], "invalid_client_attestation");
            }
        }
    }
}

on_sqlite! {
    async fn the_metadata_lists_the_features_of_the_site(site: Site) {
        let document = async |site: &Site| {
            let call = Call::get("/.well-known/oauth-authorization-server").on_public();
            site.send(call).await.expect_ok().json()
        };
        let off = document(&site).await;
        for name in ["authorization_challenge_endpoint", "challenge_endpoint",
            "client_attestation_signing_alg_values_supported"] {
            assert!(off.get(name).is_none(), "{name}");
        }
        assert_eq!(off["token_endpoint_auth_methods_supported"],
            json!(["client_secret_post", "client_secret_basic", "private_key_jwt", "none"]));
        assert_eq!(off["token_endpoint_auth_signing_alg_values_supported"], json!(["RS256"]));
        enable_public(&site).await;
        let on = document(&site).await;
        assert_eq!(on["authorization_challenge_endpoint"], format!("{PUBLIC_URL}{STANDARD_PATH}"));
        assert_eq!(on["challenge_endpoint"], format!("{PUBLIC_URL}{CHALLENGES}"));
        assert_eq!(on["token_endpoint_auth_methods_supported"], json!(["client_secret_post",
            "client_secret_basic", "private_key_jwt", "none", "attest_jwt_client_auth", "attest_jwt_client_auth_dpop"]));
        for name in ["client_attestation_signing_alg_values_supported",
            "client_attestation_pop_signing_alg_values_supported"] {
            assert_eq!(on[name], json!(["RS256", "ES256", "EdDSA"]), "{name}");
        }
    }
}

on_sqlite! {
    async fn a_challenge_is_given_to_every_caller(site: Site) {
        let call = || Call::post(CHALLENGES).on_public();
        assert_eq!(site.send(call()).await.expect_status(400).json()["error"], "unauthorized_client");
        enable_public(&site).await;
        let answer = site.send(call()).await.expect_ok();
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let body = answer.json();
        assert_eq!(body.as_object().unwrap().len(), 1);
        assert_ne!(body["attestation_challenge"], json!(challenge(&site).await));
        site.send(Call::get(CHALLENGES).on_public()).await.expect_status(405);
    }
}

on_sqlite! {
    async fn a_certificate_of_p256_attests_as_well(site: Site) {
        site.register(JANICE).await;
        enable_public(&site).await;
        let backend = Key::p256();
        site.update_client(&site.public_client.id, json!({"clientAssertionCertificate": [
            registered().certificate(), backend.certificate()]})).await;
        let instance = Instance::new();
        let claims = instance.attestation_claims(&site);
        let attestation = backend.jwt(json!({"typ": "oauth-client-attestation+jwt"}), &claims);
        let call = instance.asks(&site).await.without_header(ATTESTATION).header(ATTESTATION, &attestation);
        site.send(call.form("username", JANICE).form("password", PASSWORD)).await.expect_ok();
    }
}
