//! PKCE (RFC 7636), always S256: the challenge at authorize and the verifier at the token endpoint, with the
//! published vectors.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::{assert_invalid_grant, code_with};
use crate::fixture::{Call, Site, on_sqlite};

/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
/// The challenge of 128 bytes 0x00 to 0x7F, which the mobile SDKs would send as 171 characters.
const LONG_CHALLENGE: &str = "m9v0o6VZCkA61J5U-X1Tz5TKs3SgkIws3KAW_OnRzjg";

fn challenge_of(verifier: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
    URL_SAFE_NO_PAD.encode(digest)
}

async fn challenged(site: &Site, username: &str, challenge: &str) -> String {
    code_with(site, username, &[("code_challenge", challenge)]).await
}

on_sqlite! {
    async fn pkce_01_a_challenge_without_a_verifier_is_refused_and_the_code_burnt(site: Site) {
        let code = challenged(&site, "a@example.com", CHALLENGE).await;
        assert_invalid_grant(&site.send(site.token_call(&code)).await);
        assert_invalid_grant(&site.send(site.token_call(&code).form("code_verifier", VERIFIER)).await);
    }
}

on_sqlite! {
    async fn pkce_02_a_wrong_verifier_burns_the_code(site: Site) {
        let code = challenged(&site, "a@example.com", CHALLENGE).await;
        let wrong = VERIFIER.replace('d', "e");
        let answer = site.send(site.token_call(&code).form("code_verifier", &wrong)).await;
        assert_invalid_grant(&answer);
        assert_eq!(answer.json()["error_description"], "invalid code verifier");
        assert_invalid_grant(&site.send(site.token_call(&code).form("code_verifier", VERIFIER)).await);
    }
}

on_sqlite! {
    async fn pkce_03_a_verifier_without_a_challenge_is_refused(site: Site) {
        let code = site.registered_code("a@example.com").await;
        assert_invalid_grant(&site.send(site.token_call(&code).form("code_verifier", VERIFIER)).await);
    }
}

on_sqlite! {
    async fn pkce_04_plain_never_succeeds(site: Site) {
        let parameters = [("code_challenge", CHALLENGE), ("code_challenge_method", "plain")];
        let code = code_with(&site, "a@example.com", &parameters).await;
        assert_invalid_grant(&site.send(site.token_call(&code).form("code_verifier", CHALLENGE)).await);
        // The method is ignored, as documented: the challenge is always S256.
        let code = code_with(&site, "b@example.com", &parameters).await;
        site.send(site.token_call(&code).form("code_verifier", VERIFIER)).await.expect_ok();
    }
}

on_sqlite! {
    async fn pkce_05_a_malformed_verifier_is_refused_even_if_its_hash_fits(site: Site) {
        let base = "a".repeat(43);
        let malformed = [
            base[..42].to_owned(),
            "a".repeat(257),
            format!("{base}+"),
            format!("{base}/"),
            format!("{base}="),
            format!("{base}é"),
            format!("{base} "),
            format!("{base}%"),
        ];
        for (number, verifier) in malformed.iter().enumerate() {
            let code = challenged(&site, &format!("u{number}@example.com"), &challenge_of(verifier)).await;
            assert_invalid_grant(&site.send(site.token_call(&code).form("code_verifier", verifier)).await);
        }
        // The limit of RFC 7636 is 128; the SDKs send 171, so the limit here is 256.
        for (number, length) in [43, 128, 171, 256].into_iter().enumerate() {
            let verifier = "-._~aZ09".chars().cycle().take(length).collect::<String>();
            let code = challenged(&site, &format!("v{number}@example.com"), &challenge_of(&verifier)).await;
            site.send(site.token_call(&code).form("code_verifier", &verifier)).await.expect_ok();
        }
    }
}

on_sqlite! {
    async fn pkce_06_a_public_client_must_send_a_challenge_with_any_policy(site: Site) {
        // Such a client cannot be saved; if it existed, its codes would still be bound.
        site.force_client(&site.client.id, json!({"isConsumerSecretOptional": true, "isPkceRequired": false})).await;
        let identifier = site.pending("a@example.com").await;
        let otp = site.code_to("a@example.com").await;
        let call = site.authorize_call(&identifier, &otp);
        let answer = site.send(call.clone()).await.expect_status(400);
        assert_eq!(answer.json()["error"], "invalid_request");
        let code = site.send(call.form("code_challenge", CHALLENGE)).await.location_parameter("code");
        let call = site.token_call(&code).with("client_secret", None).form("code_verifier", VERIFIER);
        site.send(call).await.expect_ok();
    }
}

on_sqlite! {
    async fn pkce_07_a_malformed_challenge_is_refused_before_the_user_is_asked(site: Site) {
        let identifier = site.pending("a@example.com").await;
        let otp = site.code_to("a@example.com").await;
        let good = site.authorize_call(&identifier, &otp);
        let malformed =
            [&CHALLENGE[..42], &format!("{CHALLENGE}A"), &format!("{CHALLENGE}="), &CHALLENGE.replace('-', "+"), "é", VERIFIER];
        for challenge in &malformed[..5] {
            let answer = site.send(good.clone().form("code_challenge", challenge)).await.expect_status(400);
            assert_eq!(answer.json()["error"], "invalid_request", "{challenge}");
            assert_eq!(answer.json()["error_description"], "invalid code challenge", "{challenge}");
        }
        site.send(good.form("code_challenge", malformed[5])).await.expect_status(302);
    }
}

on_sqlite! {
    async fn pkce_08_the_published_vectors(site: Site) {
        let code = challenged(&site, "a@example.com", CHALLENGE).await;
        site.send(site.token_call(&code).form("code_verifier", VERIFIER)).await.expect_ok();

        let bytes: Vec<u8> = (0..=0x7F).collect();
        let verifier = URL_SAFE_NO_PAD.encode(bytes);
        assert_eq!(verifier.len(), 171);
        let code = challenged(&site, "b@example.com", LONG_CHALLENGE).await;
        // As the mobile SDKs send it: with the hybrid grant name, without encoding.
        let body = format!(
            "code={code}&grant_type=hybrid_auth_code&client_id={}&client_secret={}&redirect_uri={}&code_verifier={verifier}",
            site.client.id, site.client.secret, site.redirect_uri,
        );
        site.send(Call::post("/services/oauth2/token").body(body.as_bytes())).await.expect_ok();
    }
}

on_sqlite! {
    async fn pkce_09_a_challenge_in_a_client_credentials_request_is_ignored(site: Site) {
        let call = Call::post("/services/oauth2/token")
            .form("grant_type", "client_credentials")
            .form("client_id", &site.integration.id)
            .form("client_secret", &site.integration.secret)
            .form("code_challenge", "x")
            .form("code_verifier", "y");
        site.send(call).await.expect_ok();
    }
}
