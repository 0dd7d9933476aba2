//! RFC 6749 (OAuth 2.0) and RFC 6750 (bearer tokens), section by section, as far as they are supported.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fixture::{BASE_URL, Call, Site, on_sqlite};

const TOKEN: &str = "/services/oauth2/token";
const USERINFO: &str = "/services/oauth2/userinfo";

fn credentials(site: &Site) -> Call {
    Call::post(TOKEN)
        .form("grant_type", "client_credentials")
        .basic(&site.integration.id, &site.integration.secret)
}

/// Percent-encodes every byte, which the form encoding of RFC 6749 appendix B allows.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

on_sqlite! {
    async fn section_2_3_1_a_client_authenticates_by_basic_with_both_halves_form_encoded(site: Site) {
        site.send(credentials(&site)).await.expect_ok();
        let bare = credentials(&site).without_header("authorization");
        let halves = (encoded(&site.integration.id), encoded(&site.integration.secret));
        site.send(bare.clone().basic(&halves.0, &halves.1)).await.expect_ok();
        // Beside the header the id may be repeated; another id is another client.
        site.send(credentials(&site).form("client_id", &site.integration.id)).await.expect_ok();
        let answer = site.send(credentials(&site).form("client_id", &site.client.id)).await.expect_status(400);
        assert_eq!(answer.json()["error"], "invalid_request");
        // The alternative in the body, and never in the URL.
        let in_body = bare.clone()
            .form("client_id", &site.integration.id)
            .form("client_secret", &site.integration.secret);
        site.send(in_body).await.expect_ok();
        let url = format!(
            "/backend{TOKEN}?client_id={}&client_secret={}", site.integration.id, site.integration.secret,
        );
        let answer = site.send(bare.at(&url)).await.expect_status(400);
        assert_eq!(answer.json()["error"], "invalid_request");
    }
}

on_sqlite! {
    async fn section_3_1_parameters_without_a_value_are_absent_and_unknown_ones_ignored(site: Site) {
        let identifier = site.pending("janice@example.com").await;
        let otp = site.code_to("janice@example.com").await;
        let good = site.authorize_call(&identifier, &otp);
        let twice = good.clone().form("client_id", "other");
        let answer = site.send(twice).await.expect_status(400);
        assert_eq!(answer.json()["error"], "invalid_request");
        let repeated_in_url = good.clone().at("/backend/services/oauth2/authorize?response_type=code");
        assert_eq!(site.send(repeated_in_url).await.expect_status(400).json()["error"], "invalid_request");
        // The SDKs put an attestation into the form; the server ignores it.
        let call = good.form("state", "").form("scope", "").form("attestation", "x").form("device_id", "y");
        let answer = site.send(call).await.expect_status(302);
        assert!(answer.location_parameters().iter().all(|(name, _)| name != "state"));
    }
}

on_sqlite! {
    async fn section_3_2_the_token_endpoint_takes_post_only_and_each_parameter_once(site: Site) {
        for method in [http::Method::GET, http::Method::HEAD, http::Method::PUT, http::Method::OPTIONS] {
            let mut call = Call::new(method.clone(), TOKEN).basic(&site.integration.id, &site.integration.secret);
            if method == http::Method::GET {
                call = call.at(&format!("/backend{TOKEN}?grant_type=client_credentials"));
            }
            let answer = site.send(call).await.expect_status(405);
            assert_eq!(answer.header("allow"), Some("POST"), "{method}");
        }
        let twice = credentials(&site).form("grant_type", "authorization_code");
        assert_eq!(site.send(twice).await.expect_status(400).json()["error"], "invalid_request");
        site.send(credentials(&site).form("scope", "").form("unknown", "x")).await.expect_ok();
    }
}

on_sqlite! {
    async fn section_4_1_2_a_code_is_short_lived_single_use_and_bound_to_client_and_redirect(site: Site) {
        let identifier = site.pending("janice@example.com").await;
        let otp = site.code_to("janice@example.com").await;
        let mark = "a b&c=d+e%f/ü\"<>";
        let answer = site.send(site.authorize_call(&identifier, &otp).form("state", mark)).await.expect_status(302);
        assert_eq!(answer.location_parameter("state"), mark);
        assert!(answer.header("location").unwrap().is_ascii());
        let code = answer.location_parameter("code");
        let wrong = site.token_call(&code)
            .with("client_id", Some(&site.integration.id))
            .with("client_secret", Some(&site.integration.secret));
        assert_eq!(site.send(wrong).await.expect_status(400).json()["error"], "invalid_grant");
        let answer = site.send(site.token_call(&code)).await.expect_ok();
        assert_eq!(answer.json()["state"], mark);
        assert_eq!(site.send(site.token_call(&code)).await.expect_status(400).json()["error"], "invalid_grant");

        let code = site.registered_code("other@example.com").await;
        site.advance(Duration::from_secs(600));
        assert_eq!(site.send(site.token_call(&code)).await.expect_status(400).json()["error"], "invalid_grant");
    }
}

on_sqlite! {
    async fn section_4_1_2_1_an_untrusted_redirect_uri_is_never_followed(site: Site) {
        let identifier = site.pending("janice@example.com").await;
        let otp = site.code_to("janice@example.com").await;
        let good = site.authorize_call(&identifier, &otp);
        for call in [
            good.clone().with("client_id", Some("3MVG9none")),
            good.clone().with("redirect_uri", Some("https://evil.example/cb")),
            good.clone().with("redirect_uri", None),
            good.clone().with("response_type", Some("token")),
            good.clone().with("scope", Some("nonsense")),
        ] {
            let answer = site.send(call).await.expect_status(400);
            assert_eq!(answer.header("location"), None);
        }
    }
}

on_sqlite! {
    async fn section_4_1_3_and_4_1_4_the_exchange(site: Site) {
        let code = site.registered_code("janice@example.com").await;
        for missing in ["code", "redirect_uri", "client_id"] {
            let answer = site.send(site.token_call(&code).with(missing, None)).await.expect_status(400);
            assert!(answer.json()["error"].is_string(), "{missing}");
        }
        let bare = site.token_call(&code).with("client_id", None).with("client_secret", None);
        let answer = site.send(bare.basic(&site.client.id, &site.client.secret)).await.expect_ok();
        assert_eq!(answer.json()["token_type"], "Bearer");
        assert_eq!(answer.header("content-type"), Some("application/json;charset=UTF-8"));
    }
}

on_sqlite! {
    async fn section_4_4_a_client_acts_for_itself_and_gets_no_refresh_token(site: Site) {
        let tokens = site.send(credentials(&site)).await.expect_ok().json();
        assert_eq!(tokens["scope"], "api user_registration_api pwdless_login_api forgot_password");
        assert_eq!((tokens.get("refresh_token"), tokens.get("id_token")), (None, None));
        assert!(tokens["id"].as_str().unwrap().starts_with(&format!("{BASE_URL}/id/00D")));
        let narrowed = site.send(credentials(&site).form("scope", "user_registration_api")).await.expect_ok().json();
        assert_eq!(narrowed["scope"], "user_registration_api");
        let answer = site.send(credentials(&site).form("scope", "api full")).await.expect_status(400);
        assert_eq!(answer.json()["error"], "invalid_scope");
        // Only confidential clients may use it: a secret is required even where the policy makes it optional.
        // The product refuses to save such a client now; an older version may have left one.
        let id = site.integration.id.clone();
        site.force_client(&id, json!({"isConsumerSecretOptional": true})).await;
        let answer = site.send(
            Call::post(TOKEN).form("grant_type", "client_credentials").form("client_id", &id)).await.expect_status(400);
        assert_eq!(answer.json()["error"], "invalid_client");
        // Locking or disabling its user ends it (threat LOCK-07).
        let live = tokens["access_token"].as_str().unwrap();
        for state in ["locked_at", "disabled_at"] {
            site.execute(format!("UPDATE app_user SET {state} = 1 WHERE is_integration = 1")).await;
            assert_eq!(site.send(credentials(&site)).await.expect_status(400).json()["error"], "invalid_grant");
            site.send(Call::get(USERINFO).bearer(live)).await.expect_status(401);
            site.execute(format!("UPDATE app_user SET {state} = NULL WHERE is_integration = 1")).await;
        }
        site.send(Call::get(USERINFO).bearer(live)).await.expect_ok();
    }
}

on_sqlite! {
    async fn section_5_1_and_5_2_answers_are_not_kept_and_errors_have_their_words(site: Site) {
        let good = site.send(credentials(&site)).await.expect_ok();
        let wrong = credentials(&site).without_header("authorization").basic(&site.integration.id, "wrong");
        let wrong = site.send(wrong).await.expect_status(401);
        for answer in [&good, &wrong] {
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            assert_eq!(answer.header("pragma"), Some("no-cache"));
        }
        assert_eq!(wrong.json()["error"], "invalid_client");
        assert_eq!(wrong.header("www-authenticate"), Some(r#"Basic realm="Vestibule", charset="UTF-8""#));
        // Values of the request are not copied into the description (its alphabet is RFC 6749's).
        for (name, value) in [("grant_type", "é\"\\<x>"), ("scope", "é"), ("format", "<x>")] {
            let answer = site.send(credentials(&site).with(name, Some(value))).await.expect_status(400);
            let text = answer.json()["error_description"].as_str().unwrap().to_owned();
            assert!(text.bytes().all(|byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E)), "{text}");
            assert!(!text.contains("<x>"), "{text}");
        }
    }
}

on_sqlite! {
    async fn rfc_6750_section_2_one_method_and_not_the_url(site: Site) {
        let tokens: Value = site.register("janice@example.com").await;
        let token = tokens["access_token"].as_str().unwrap();
        site.send(Call::get(USERINFO).bearer(token)).await.expect_ok();
        site.send(Call::post(USERINFO).form("access_token", token)).await.expect_ok();
        site.send(Call::get(&format!("{USERINFO}?access_token={token}"))).await.expect_status(401);
        let twice = Call::post(USERINFO).bearer(token).form("access_token", token);
        assert_eq!(site.send(twice).await.expect_status(400).json()["error"], "invalid_request");
        // Two different headers are refused.
        let two = Call::get(USERINFO).bearer(token).bearer("other");
        assert_eq!(site.send(two).await.expect_status(400).json()["error"], "invalid_request");
    }
}

on_sqlite! {
    async fn rfc_6750_section_3_a_refused_bearer_gets_the_scheme_and_the_reason(site: Site) {
        let none = site.send(Call::get(USERINFO)).await.expect_status(401);
        assert_eq!(none.header("www-authenticate"), Some(r#"Bearer realm="Vestibule""#), "no reason without a token");
        let bad = site.send(Call::get(USERINFO).bearer("x")).await.expect_status(401);
        let challenge = bad.header("www-authenticate").unwrap();
        assert!(challenge.starts_with(r#"Bearer realm="Vestibule", error="invalid_token""#), "{challenge}");
        let token = site.integration_token(Some("user_registration_api")).await;
        let narrow = site.send(Call::get(USERINFO).bearer(&token)).await.expect_status(403);
        let challenge = narrow.header("www-authenticate").unwrap();
        assert!(challenge.starts_with(r#"Bearer realm="Vestibule", error="insufficient_scope""#), "{challenge}");
    }
}
