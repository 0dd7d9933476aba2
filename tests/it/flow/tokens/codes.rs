//! Authorization codes: redeemed once, by their client, at their site, before they expire (RFC 6749 section 4.1.2).

use std::time::Duration;

use serde_json::json;

use super::{
    access_token, add_client, add_site, assert_invalid_grant, execute_and_refresh, token_call_of,
    userinfo_status,
};
use crate::fixture::{Call, on_both_databases, on_sqlite};

on_both_databases! {
    async fn code_01_a_code_redeemed_twice_ends_its_tokens(site: Site) {
        let code = site.registered_code("janice@example.com").await;
        let other = site.register("other@example.com").await;
        let tokens = site.send(site.token_call(&code)).await.expect_ok().json();
        assert_eq!(userinfo_status(&site, access_token(&tokens)).await, 200);

        assert_invalid_grant(&site.send(site.token_call(&code)).await);
        assert_eq!(userinfo_status(&site, access_token(&tokens)).await, 401);
        assert_invalid_grant(&site.send(site.token_call(&code)).await);
        assert_eq!(userinfo_status(&site, access_token(&other)).await, 200, "other tokens are not affected");
    }
}

on_both_databases! {
    async fn code_01_a_replay_after_the_code_has_expired_still_ends_the_tokens(site: Site) {
        let code = site.registered_code("janice@example.com").await;
        let tokens = site.send(site.token_call(&code)).await.expect_ok().json();
        site.advance(Duration::from_secs(300));
        assert_invalid_grant(&site.send(site.token_call(&code)).await);
        assert_eq!(userinfo_status(&site, access_token(&tokens)).await, 401);
    }
}

on_both_databases! {
    async fn code_03_another_redirect_uri_is_refused_as_such_and_does_not_spend_the_code(site: Site) {
        let second = format!("{}/other", site.redirect_uri);
        site.update_client(&site.client.id, json!({"callbackUrl": [site.redirect_uri.as_str(), second.as_str()]})).await;
        let code = site.registered_code("janice@example.com").await;
        // The other URI is registered too, and is refused all the same.
        let answer = site.send(site.token_call(&code).with("redirect_uri", Some(&second))).await.expect_status(400);
        assert_eq!(answer.json()["error"], "redirect_uri_mismatch");
        let tokens = site.send(site.token_call(&code)).await.expect_ok().json();
        // With another URI a replay is still a replay, and ends the tokens.
        assert_invalid_grant(&site.send(site.token_call(&code).with("redirect_uri", Some(&second))).await);
        assert_eq!(userinfo_status(&site, access_token(&tokens)).await, 401);
    }
}

on_sqlite! {
    async fn code_04_an_unauthenticated_caller_cannot_burn_a_code(site: Site) {
        let code = site.registered_code("janice@example.com").await;
        let good = site.token_call(&code);
        let bare = good.clone().with("client_id", None).with("client_secret", None);
        let answer = site.send(good.clone().with("client_secret", Some("wrong"))).await.expect_status(400);
        assert_eq!(answer.json()["error"], "invalid_client");
        assert_eq!(answer.header("www-authenticate"), None);
        let answer = site.send(bare.basic(&site.client.id, "wrong")).await.expect_status(401);
        assert_eq!(answer.json()["error"], "invalid_client");
        assert!(answer.header("www-authenticate").unwrap().starts_with("Basic "));
        site.send(good).await.expect_ok();
    }
}

on_both_databases! {
    async fn code_05_a_code_presented_by_another_client_is_refused_and_remains_valid(site: Site) {
        let thief = add_client(&site, "thief", json!({})).await;
        let code = site.registered_code("janice@example.com").await;
        assert_invalid_grant(&site.send(token_call_of(&site, &thief, &code)).await);
        let tokens = site.send(site.token_call(&code)).await.expect_ok().json();
        // The thief cannot end the owner's tokens by presenting the spent code.
        assert_invalid_grant(&site.send(token_call_of(&site, &thief, &code)).await);
        assert_eq!(userinfo_status(&site, access_token(&tokens)).await, 200);
    }
}

on_sqlite! {
    async fn code_06_codes_that_never_were(site: Site) {
        for code in ["x", "aPrx", "../../etc/passwd", "' OR 1=1 --", "é", &"a".repeat(100_000)] {
            assert_invalid_grant(&site.send(site.token_call(code)).await);
        }
        let answer = site.send(site.token_call("")).await.expect_status(400);
        assert_eq!(answer.json()["error"], "invalid_request");
        site.send(site.token_call(&"a".repeat(1 << 20))).await.expect_status(413);
    }
}

on_both_databases! {
    async fn code_07_the_policy_sets_the_lifetime_of_a_code(site: Site) {
        for (lifetime, number) in [(60, 0), (600, 1), (1, 2)] {
            let policy = json!({"authorizationCodeLifetimeSeconds": lifetime});
            site.update_client(&site.client.id, policy).await;
            let young = site.registered_code(&format!("young{number}@example.com")).await;
            site.advance(Duration::from_secs(lifetime - 1));
            site.send(site.token_call(&young)).await.expect_ok();
            let old = site.registered_code(&format!("old{number}@example.com")).await;
            site.advance(Duration::from_secs(lifetime));
            let answer = site.send(site.token_call(&old)).await;
            assert_invalid_grant(&answer);
            assert_eq!(answer.json()["error_description"], "expired authorization code");
        }
    }
}

on_both_databases! {
    async fn code_08_a_code_of_a_locked_disabled_or_deleted_user_is_refused(site: Site) {
        let states = [
            "UPDATE app_user SET locked_at = 1 WHERE username_key",
            "UPDATE app_user SET disabled_at = 1 WHERE username_key",
            "DELETE FROM credential; DELETE FROM app_user WHERE username_key",
        ];
        for (number, state) in states.iter().enumerate() {
            let username = format!("user{number}@example.com");
            let code = site.registered_code(&username).await;
            site.execute(format!("{state} = '{username}'")).await;
            let answer = site.send(site.token_call(&code)).await;
            assert_invalid_grant(&answer);
            assert!(!answer.body.contains("locked") && !answer.body.contains("disabled"), "{}", answer.body);
        }
    }
}

on_sqlite! {
    async fn code_09_one_wrong_character_is_a_wrong_code(site: Site) {
        let code = site.registered_code("janice@example.com").await;
        assert!(code.starts_with("aPrx"), "{code}");
        assert!(code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte)), "{code}");
        for at in 0..code.len() {
            let mut wrong = code.clone().into_bytes();
            wrong[at] = if wrong[at] == b'a' { b'b' } else { b'a' };
            let wrong = String::from_utf8(wrong).unwrap();
            assert_invalid_grant(&site.send(site.token_call(&wrong)).await);
        }
        for wrong in [format!("{code}a"), code[..code.len() - 1].to_owned(), code.to_uppercase(), format!(" {code}")] {
            assert_invalid_grant(&site.send(site.token_call(&wrong)).await);
        }
        site.send(site.token_call(&code)).await.expect_ok();
    }
}

on_sqlite! {
    async fn code_10_the_redirect_is_not_cached_and_sends_no_referrer(site: Site) {
        let identifier = site.pending("janice@example.com").await;
        let otp = site.code_to("janice@example.com").await;
        let answer = site.send(site.authorize_call(&identifier, &otp)).await.expect_status(302);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("pragma"), Some("no-cache"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.body, "");
    }
}

on_both_databases! {
    async fn code_11_a_client_disabled_between_the_steps_gets_nothing(site: Site) {
        let tokens = site.register("first@example.com").await;
        let code = site.registered_code("janice@example.com").await;
        let id = site.client.id.clone();
        execute_and_refresh(&site, format!("UPDATE client SET disabled_at = 1 WHERE id = '{id}'")).await;
        let answer = site.send(site.token_call(&code)).await.expect_status(400);
        assert_eq!(answer.json()["error"], "invalid_client_id");
        assert_eq!(userinfo_status(&site, access_token(&tokens)).await, 401, "its live tokens are dead, too");
        execute_and_refresh(&site, format!("UPDATE client SET disabled_at = NULL WHERE id = '{id}'")).await;
        site.send(site.token_call(&code)).await.expect_ok();
    }
}

on_both_databases! {
    async fn code_11_a_callback_removed_between_the_steps_takes_its_codes_along(site: Site) {
        let code = site.registered_code("janice@example.com").await;
        site.update_client(&site.client.id, json!({"callbackUrl": "https://app.example.com/new"})).await;
        let answer = site.send(site.token_call(&code)).await.expect_status(400);
        assert_eq!(answer.json()["error"], "redirect_uri_mismatch");
    }
}

on_both_databases! {
    async fn code_11_a_profile_no_longer_permitted_between_the_steps(site: Site) {
        let code = site.registered_code("janice@example.com").await;
        site.update_client(&site.client.id, json!({"permittedProfiles": []})).await;
        let answer = site.send(site.token_call(&code)).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.json()["error"], "invalid_app_access");
        assert_eq!(answer.json()["error_description"], "user is not admin approved to access this app");
    }
}

on_both_databases! {
    async fn a_code_of_one_site_is_nothing_at_another(site: Site) {
        add_site(&site, "other", "https://other.example.com").await;
        let code = site.registered_code("janice@example.com").await;
        let there = || site.token_call(&code).host("other.example.com").at("/services/oauth2/token");
        assert_invalid_grant(&site.send(there()).await);
        let tokens = site.send(site.token_call(&code)).await.expect_ok().json();

        let info = Call::get("").host("other.example.com").at("/services/oauth2/userinfo");
        site.send(info.bearer(access_token(&tokens))).await.expect_status(401);
        let path = tokens["id"].as_str().unwrap().strip_prefix("https://site.example.com/backend").unwrap();
        let identity = Call::get("").host("other.example.com").at(path);
        site.send(identity.bearer(access_token(&tokens))).await.expect_status(401);
        assert_eq!(userinfo_status(&site, access_token(&tokens)).await, 200);
    }
}

on_sqlite! {
    async fn code_07_a_slow_body_does_not_prolong_the_life_of_a_code(site: Site) {
        let seconds = Duration::from_secs;
        let code = site.registered_code("quick@example.com").await;
        site.send_slowly(site.token_call(&code), seconds(59)).await.expect_ok();
        let code = site.registered_code("slow@example.com").await;
        let answer = site.send_slowly(site.token_call(&code), seconds(60)).await;
        assert_invalid_grant(&answer);
        assert_eq!(answer.json()["error_description"], "expired authorization code");
    }
}
