//! The Basic header at authorize, and the client's at the token endpoint (threats BASIC-01 to 12).

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use super::{assert_refused, opened, with_authorization};
use crate::fixture::{Call, on_sqlite};

on_sqlite! {
    async fn basic_05_06_every_spelling_that_clients_use_is_read(site: Site) {
        for (number, engine) in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD].into_iter().enumerate() {
            for (scheme, letter) in [("Basic", 'a'), ("basic", 'b'), ("BASIC", 'c')] {
                let (identifier, code) = opened(&site, &format!("{letter}{number}@example.com")).await;
                let value = format!("{scheme} {}", engine.encode(format!("{identifier}:{code}")));
                site.send(with_authorization(&site, &value)).await.expect_status(302);
            }
        }
    }
}

on_sqlite! {
    async fn basic_01_to_09_what_cannot_be_read_is_refused_like_a_wrong_code(site: Site) {
        let (identifier, code) = opened(&site, "a@example.com").await;
        let good = STANDARD.encode(format!("{identifier}:{code}"));
        let bytes = |bytes: &[u8]| STANDARD.encode(bytes);
        let encoded = [
            bytes(b"\xff\xfe:\x80"), bytes(format!("{identifier}:\u{0}{code}").as_bytes()),
            bytes(format!("{identifier}:{code}\n").as_bytes()), bytes(format!("{identifier}\u{0}:{code}").as_bytes()),
            bytes(format!(":{code}").as_bytes()), bytes(format!("{identifier}:").as_bytes()), bytes(b":"),
            bytes(format!("{identifier}{code}").as_bytes()), bytes(b""), "!!!!".to_owned(), "=".to_owned(),
            format!("{good}=="), format!("{}={}", &good[..8], &good[8..]), format!("{} {}", &good[..8], &good[8..]),
            format!("\"{good}\""), format!("{good},"), "A".repeat(16_384), bytes("é".repeat(4_000).as_bytes()),
            bytes(format!("{identifier}:{code}:").as_bytes()), bytes(format!("x:{identifier}:{code}").as_bytes()),
        ];
        for encoded in encoded {
            let answer = site.send(with_authorization(&site, &format!("Basic {encoded}"))).await;
            assert_refused(&answer);
        }
        for value in ["Basic", "Digest x", "Bearer x", "", &good] {
            let answer = site.send(with_authorization(&site, value)).await.expect_status(400);
            assert!(answer.json()["error"] == "invalid_request" || answer.json()["error"] == "invalid_grant", "{value}");
        }
        // Only the two readable headers were attempts: a colon in the code belongs to the code.
        site.send(with_authorization(&site, &format!("Basic {good}"))).await.expect_status(302);
    }
}

on_sqlite! {
    async fn basic_08_credentials_come_once(site: Site) {
        let (identifier, code) = opened(&site, "a@example.com").await;
        let good = site.authorize_call(&identifier, &code);
        for call in [
            good.clone().basic("other", "code"),
            good.clone().bearer("token"),
            good.clone().form("password", "x"),
            good.clone().form("username", "x"),
        ] {
            let answer = site.send(call).await.expect_status(400);
            assert_eq!(answer.json()["error"], "invalid_request", "{}", answer.body);
        }
        site.send(good).await.expect_status(302);
    }
}

on_sqlite! {
    async fn basic_10_form_encoding_means_something_at_the_token_endpoint_only(site: Site) {
        let (identifier, code) = opened(&site, "a@example.com").await;
        let encoded: String = identifier.bytes().map(|byte| format!("%{byte:02X}")).collect();
        assert_refused(&site.send(site.authorize_call(&encoded, &code)).await);
        let code = site.send(site.authorize_call(&identifier, &code)).await.expect_status(302).location_parameter("code");
        let id: String = site.client.id.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let call = site.token_call(&code).with("client_id", None).with("client_secret", None);
        site.send(call.basic(&id, &site.client.secret)).await.expect_ok();
    }
}

on_sqlite! {
    async fn basic_12_the_request_type_is_one_word(site: Site) {
        let (identifier, code) = opened(&site, "a@example.com").await;
        let bare = site.authorize_call(&identifier, &code).without_header("auth-request-type");
        let calls: [Call; 5] = [
            bare.clone(),
            bare.clone().header("auth-request-type", "registration"),
            bare.clone().header("auth-request-type", "user-registration,user-registration"),
            bare.clone().header("auth-request-type", "user-registration").header("auth-request-type", "Named-User"),
            bare.clone().header("auth-request-type", "user_registration"),
        ];
        for call in calls {
            let answer = site.send(call).await.expect_status(400);
            assert_eq!(answer.json()["error"], "invalid_request");
        }
        let twice = bare.header("auth-request-type", "user-registration").header("auth-request-type", "user-registration");
        site.send(twice).await.expect_status(302);
    }
}
