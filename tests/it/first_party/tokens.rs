//! Clients that authenticate with a key at the token endpoint (threats ATT-12, JWT-16).

use serde_json::json;

use super::mint::{
    ATTESTATION, CHALLENGES, Instance, POP, asserted, assertion, assertion_claims, enable,
    enable_public, registered,
};
use crate::fixture::{BASE_URL, Call, PASSWORD, Site, VERIFIER, on_both_databases, on_sqlite};

const JANICE: &str = "janice@example.com";
const TOKEN: &str = "/services/oauth2/token";

/// A code of the documented endpoint.
async fn code(site: &Site) -> String {
    let call = asserted(site)
        .form("username", JANICE)
        .form("password", PASSWORD);
    let answer = site.send(call).await.expect_ok().json();
    answer["authorization_code"].as_str().unwrap().to_owned()
}

fn redeem(call: Call, code: &str) -> Call {
    call.form("grant_type", "authorization_code")
        .form("code", code)
        .form("code_verifier", VERIFIER)
}

on_both_databases! {
    async fn att_12_a_code_of_an_asserted_client_requires_client_authentication(site: Site) {
        site.register(JANICE).await;
        enable(&site).await;
        let named = || Call::post(TOKEN).form("client_id", &site.client.id);
        // The client id alone is refused, and spends nothing.
        let spare = code(&site).await;
        let answer = site.send(redeem(named(), &spare)).await.expect_status(400).json();
        assert_eq!(answer["error"], "invalid_client");
        site.send(redeem(named().form("client_secret", &site.client.secret), &spare)).await.expect_ok();
        let spare = code(&site).await;
        site.send(redeem(named().form("client_assertion", &assertion(&site)), &spare)).await.expect_ok();
        // If the secret became optional in the meantime, the code would still require a proof.
        let spare = code(&site).await;
        site.update_client(&site.client.id, json!({"isConsumerSecretOptional": true})).await;
        let answer = site.send(redeem(named(), &spare)).await.expect_status(400).json();
        assert_eq!(answer, json!({"error": "invalid_grant", "error_description": "invalid authorization code"}));
    }
}

on_both_databases! {
    async fn att_12_a_code_of_an_instance_is_its_own(site: Site) {
        site.register(JANICE).await;
        enable_public(&site).await;
        let (own, other) = (Instance::new(), Instance::new());
        let code = async || {
            let call = own.asks(&site).await.form("username", JANICE).form("password", PASSWORD);
            let answer = site.send(call).await.expect_ok().json();
            answer["authorization_code"].as_str().unwrap().to_owned()
        };
        let unauthenticated = || Call::post(TOKEN).on_public().form("client_id", &site.public_client.id);
        for call in [unauthenticated(), other.call(&site, TOKEN).await] {
            let code = code().await;
            let answer = site.send(redeem(call, &code)).await.expect_status(400).json();
            assert_eq!(answer["error"], "invalid_grant");
            // A code presented by another client is spent.
            let late = redeem(own.call(&site, TOKEN).await, &code);
            assert_eq!(site.send(late).await.expect_status(400).json()["error"], "invalid_grant");
        }
        let code = code().await;
        site.send(redeem(own.call(&site, TOKEN).await, &code)).await.expect_ok();
    }
}

on_both_databases! {
    async fn a_code_without_a_redirect_wants_its_verifier_and_takes_any_redirect_uri(site: Site) {
        site.register(JANICE).await;
        enable(&site).await;
        let named = || Call::post(TOKEN).form("client_id", &site.client.id)
            .form("client_secret", &site.client.secret);
        let answer = site.send(redeem(named(), &code(&site).await).with("code_verifier", None)).await;
        assert_eq!(answer.expect_status(400).json()["error"], "invalid_grant");
        let call = redeem(named(), &code(&site).await).form("redirect_uri", &site.redirect_uri);
        site.send(call).await.expect_ok();
        // A code of a redirect still requires the redirect URI, and a request without it does not spend the code.
        let call = site.password_call(JANICE, PASSWORD).form("code_challenge", crate::fixture::CHALLENGE);
        let headless = site.send(call).await.location_parameter("code");
        let answer = site.send(redeem(named(), &headless)).await.expect_status(400).json();
        assert_eq!(answer["error"], "redirect_uri_missing");
        site.send(redeem(named(), &headless).form("redirect_uri", &site.redirect_uri)).await.expect_ok();
    }
}

on_sqlite! {
    async fn an_assertion_authenticates_a_client_as_private_key_jwt_does(site: Site) {
        enable(&site).await;
        site.update_client(&site.integration.id, json!({
            "clientAssertionCertificate": [registered().certificate()]})).await;
        let mut number = 0;
        let mut call = |audience: &str, jti: Option<&str>| {
            number += 1;
            let mut claims = assertion_claims(&site, jti.unwrap_or(&format!("t-{number}")));
            claims["iss"] = json!(site.integration.id);
            claims["sub"] = json!(site.integration.id);
            claims["aud"] = json!(audience);
            Call::post(TOKEN).form("grant_type", "client_credentials").form("client_id", &site.integration.id)
                .form("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
                .form("client_assertion", &registered().jwt(json!({}), &claims))
        };
        site.send(call(BASE_URL, None)).await.expect_ok();
        site.send(call(&format!("{BASE_URL}{TOKEN}"), Some("once"))).await.expect_ok();
        for call in [
            call(&format!("{BASE_URL}{TOKEN}"), Some("once")),
            call("https://elsewhere.example.com", None),
            call(BASE_URL, None).with("client_id", Some(&site.client.id)),
        ] {
            let answer = site.send(call).await.expect_status(401).json();
            assert_eq!(answer["error"], "invalid_client");
        }
        let both = call(BASE_URL, None).form("client_secret", &site.integration.secret);
        assert_eq!(site.send(both).await.expect_status(400).json()["error"], "invalid_request");
        let unnamed = call(BASE_URL, None).with("client_id", None);
        assert_eq!(site.send(unnamed).await.expect_status(400).json()["error"], "invalid_request");
    }
}

on_sqlite! {
    async fn introspection_and_revocation_take_an_assertion(site: Site) {
        site.register(JANICE).await;
        enable(&site).await;
        let tokens = redeem(Call::post(TOKEN).form("client_id", &site.client.id)
            .form("client_assertion", &assertion(&site)), &code(&site).await);
        let tokens = site.send(tokens).await.expect_ok().json();
        let ask = |path: &str| Call::post(path).form("client_id", &site.client.id)
            .form("client_assertion", &assertion(&site)).form("token", tokens["access_token"].as_str().unwrap());
        assert_eq!(site.send(ask("/services/oauth2/introspect")).await.expect_ok().json()["active"], true);
        site.send(ask("/services/oauth2/revoke")).await.expect_ok();
        assert_eq!(site.send(ask("/services/oauth2/introspect")).await.expect_ok().json()["active"], false);
    }
}

on_sqlite! {
    async fn an_attested_instance_is_not_the_service_of_client_credentials(site: Site) {
        enable(&site).await;
        let id = site.integration.id.clone();
        site.update_client(&id, json!({"clientAssertionCertificate": [registered().certificate()]})).await;
        let instance = Instance::new();
        let now = site.app.now().seconds();
        let attestation = registered().jwt(
            json!({"typ": "oauth-client-attestation+jwt"}),
            &json!({"sub": id, "iat": now, "exp": now + 3_600, "cnf": {"jwk": instance.key.jwk()}}),
        );
        let challenge = site.send(Call::post(CHALLENGES)).await.expect_ok().json();
        let mut proof = instance.pop_claims(&site, challenge["attestation_challenge"].as_str().unwrap());
        proof["aud"] = json!(BASE_URL);
        let call = |path: &str| {
            Call::post(path).header(ATTESTATION, &attestation).header(POP, &instance.pop(&proof))
                .form("client_id", &id)
        };
        let refused = site.send(call(TOKEN).form("grant_type", "client_credentials")).await;
        assert_eq!(refused.json()["error"], "invalid_client", "{}", refused.body);
        assert!(refused.json()["error_description"].as_str().unwrap().contains("client credentials"), "{}", refused.body);
    }
}
