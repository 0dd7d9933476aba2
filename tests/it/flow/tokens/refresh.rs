//! Refreshing (RFC 6749 section 6, threats RT-01 to RT-12).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{
    access_token, add_client, add_site, assert_expired, assert_invalid_grant, code_with,
    execute_and_refresh, refresh_call, refresh_token, refreshed, register_with, rotating,
    userinfo_status,
};
use crate::fixture::{Call, Site, on_both_databases, on_sqlite};

const JANICE: &str = "janice@example.com";
const EVENTS: &str = "SELECT COUNT(*) FROM audit_event WHERE event = 'refresh_token.reused'";
const RETRIES: &str = "SELECT COUNT(*) FROM audit_event WHERE event = 'refresh_token.retried'";

fn claims(tokens: &Value) -> Value {
    let token = tokens["id_token"].as_str().expect("an id_token");
    let part = token.split('.').nth(1).expect("claims");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}

/// The policies of an app that refreshes without rotation.
fn keeping() -> Value {
    json!({"scopes": "openid api refresh_token", "isRefreshTokenRotationEnabled": false})
}

async fn count(site: &Site, query: &'static str) -> i64 {
    site.count(query).await
}

on_both_databases! {
    async fn rt_01_a_refresh_answers_like_a_code_and_rotates(site: Site) {
        let first = register_with(&site, rotating(), JANICE).await;
        assert!(refresh_token(&first).starts_with("5Aep861"), "{first}");
        assert_eq!(first["scope"], "openid api refresh_token");
        site.advance(Duration::from_secs(100));
        let answer = site.send(refresh_call(&site, refresh_token(&first))).await.expect_ok();
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let second = answer.json();
        assert_ne!(second["refresh_token"], first["refresh_token"]);
        assert_ne!(second["access_token"], first["access_token"]);
        assert_ne!(second["signature"], first["signature"]);
        assert_ne!(second["issued_at"], first["issued_at"]);
        let names = |tokens: &Value| tokens.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&first), names(&second));
        for name in ["id", "scope", "token_type", "instance_url", "sfdc_community_id", "sfdc_community_url", "token_format"] {
            assert_eq!(first[name], second[name], "{name}");
        }
        for tokens in [&first, &second] {
            assert_eq!(userinfo_status(&site, access_token(tokens)).await, 200);
        }
        let third = refreshed(&site, refresh_token(&second)).await;
        assert_ne!(third["refresh_token"], second["refresh_token"]);
    }
}

on_both_databases! {
    async fn without_rotation_the_refresh_token_stays_and_is_not_repeated(site: Site) {
        let first = register_with(&site, keeping(), JANICE).await;
        for _ in 0..3 {
            site.advance(Duration::from_secs(3_600));
            let tokens = refreshed(&site, refresh_token(&first)).await;
            assert_eq!(tokens.get("refresh_token"), None);
            assert_eq!(userinfo_status(&site, access_token(&tokens)).await, 200);
        }
        assert_eq!(count(&site, "SELECT COUNT(*) FROM token_family").await, 1);
    }
}

on_both_databases! {
    async fn a_refresh_token_comes_with_the_scope_and_by_either_of_its_names(site: Site) {
        site.update_client(&site.client.id, rotating()).await;
        for (number, (scope, is_given)) in [
            ("openid api", false), ("refresh_token", true), ("openid offline_access", true),
        ].into_iter().enumerate() {
            let code = code_with(&site, &format!("u{number}@example.com"), &[("scope", scope)]).await;
            let tokens = site.send(site.token_call(&code)).await.expect_ok().json();
            assert_eq!(tokens.get("refresh_token").is_some(), is_given, "{scope}");
            assert_eq!(tokens["scope"], scope);
        }
        site.update_client(&site.client.id, json!({"refreshTokenPolicyType": "Zero"})).await;
        let tokens = site.register(JANICE).await;
        assert_eq!(tokens.get("refresh_token"), None, "it would expire at once");
    }
}

on_both_databases! {
    async fn rt_02_rt_03_a_replaced_token_ends_the_family_and_its_access_tokens(site: Site) {
        let first = register_with(&site, rotating(), JANICE).await;
        let second = refreshed(&site, refresh_token(&first)).await;
        let other = site.register("other@example.com").await;
        site.advance(Duration::from_secs(10));
        assert_expired(&site.send(refresh_call(&site, refresh_token(&first))).await);
        // The refusal took effect: no token of the family is valid any more.
        assert_expired(&site.send(refresh_call(&site, refresh_token(&second))).await);
        for tokens in [&first, &second] {
            assert_eq!(userinfo_status(&site, access_token(tokens)).await, 401);
        }
        assert_eq!(count(&site, EVENTS).await, 1, "an ended family is not reused again");
        assert_eq!(userinfo_status(&site, access_token(&other)).await, 200, "other tokens are not affected");
        refreshed(&site, refresh_token(&other)).await;
    }
}

on_both_databases! {
    async fn rt_03_a_token_older_than_the_last_ends_the_family_at_once(site: Site) {
        let first = register_with(&site, rotating(), JANICE).await;
        let second = refreshed(&site, refresh_token(&first)).await;
        let third = refreshed(&site, refresh_token(&second)).await;
        assert_expired(&site.send(refresh_call(&site, refresh_token(&first))).await);
        assert_expired(&site.send(refresh_call(&site, refresh_token(&third))).await);
        assert_eq!(userinfo_status(&site, access_token(&third)).await, 401);
    }
}

on_sqlite! {
    async fn rt_04_otp_12_no_token_passes_for_another(site: Site) {
        site.update_client(&site.client.id, rotating()).await;
        let unspent = site.registered_code("other@example.com").await;
        let tokens = site.register(JANICE).await;
        for wrong in [access_token(&tokens), tokens["id_token"].as_str().unwrap(), unspent.as_str(), "5Aep861", "x"] {
            assert_expired(&site.send(refresh_call(&site, wrong)).await);
        }
        assert_eq!(userinfo_status(&site, refresh_token(&tokens)).await, 401);
        assert_invalid_grant(&site.send(site.token_call(refresh_token(&tokens))).await);
        // It is neither a request identifier nor a one-time password.
        let identifier = site.pending("third@example.com").await;
        site.code_to("third@example.com").await;
        for call in [
            site.authorize_call(refresh_token(&tokens), "123456"),
            site.authorize_call(&identifier, refresh_token(&tokens)),
        ] {
            assert_invalid_grant(&site.send(call).await);
        }
        refreshed(&site, refresh_token(&tokens)).await;
        site.send(site.token_call(&unspent)).await.expect_ok();
    }
}

on_both_databases! {
    async fn rt_05_another_clients_token_is_refused_and_its_family_untouched(site: Site) {
        let tokens = register_with(&site, rotating(), JANICE).await;
        let thief = add_client(&site, "thief", json!({})).await;
        let second = refreshed(&site, refresh_token(&tokens)).await;
        for token in [refresh_token(&tokens), refresh_token(&second)] {
            let call = refresh_call(&site, token)
                .with("client_id", Some(&thief.id)).with("client_secret", Some(&thief.secret));
            assert_expired(&site.send(call).await);
        }
        refreshed(&site, refresh_token(&second)).await;
        assert_eq!(count(&site, EVENTS).await, 0);
    }
}

on_both_databases! {
    async fn rt_05_a_token_of_one_site_is_nothing_at_another(site: Site) {
        let tokens = register_with(&site, rotating(), JANICE).await;
        add_site(&site, "other", "https://other.example.com").await;
        let there = refresh_call(&site, refresh_token(&tokens)).host("other.example.com").at("/services/oauth2/token");
        assert_expired(&site.send(there).await);
        refreshed(&site, refresh_token(&tokens)).await;
    }
}

on_both_databases! {
    async fn rt_06_a_scope_may_be_narrowed_for_once_and_never_widened(site: Site) {
        site.update_client(&site.client.id, rotating()).await;
        let code = code_with(&site, JANICE, &[("scope", "openid refresh_token")]).await;
        let tokens = site.send(site.token_call(&code)).await.expect_ok().json();
        for wider in ["openid api", "web", ",", "\"", "openid refresh_token api"] {
            let call = refresh_call(&site, refresh_token(&tokens)).form("scope", wider);
            let answer = site.send(call).await.expect_status(400);
            assert_eq!(answer.json()["error"], "invalid_scope", "{wider}");
        }
        let call = refresh_call(&site, refresh_token(&tokens)).form("scope", "refresh_token");
        let narrow = site.send(call).await.expect_ok().json();
        assert_eq!(narrow["scope"], "refresh_token");
        assert_eq!(narrow.get("id_token"), None);
        let whole = refreshed(&site, refresh_token(&narrow)).await;
        assert_eq!(whole["scope"], "openid refresh_token", "it was narrowed for that answer only");
    }
}

on_both_databases! {
    async fn rt_07_scopes_that_the_app_has_lost_are_lost_to_its_logins(site: Site) {
        let tokens = register_with(&site, rotating(), JANICE).await;
        site.update_client(&site.client.id, json!({"scopes": "openid refresh_token"})).await;
        let tokens = refreshed(&site, refresh_token(&tokens)).await;
        assert_eq!(tokens["scope"], "openid refresh_token");
        let call = refresh_call(&site, refresh_token(&tokens)).form("scope", "api");
        assert_eq!(site.send(call).await.expect_status(400).json()["error"], "invalid_scope");
        site.update_client(&site.client.id, json!({"scopes": "openid api"})).await;
        assert_expired(&site.send(refresh_call(&site, refresh_token(&tokens))).await);
        // When the app gets the scopes again, they are granted again.
        site.update_client(&site.client.id, rotating()).await;
        assert_eq!(refreshed(&site, refresh_token(&tokens)).await["scope"], "openid api refresh_token");
    }
}

on_both_databases! {
    async fn rt_07_a_locked_disabled_or_deleted_user_cannot_refresh(site: Site) {
        site.update_client(&site.client.id, rotating()).await;
        for (number, (state, undo)) in [
            ("UPDATE app_user SET locked_at = 1", Some("UPDATE app_user SET locked_at = NULL")),
            ("UPDATE app_user SET disabled_at = 1", Some("UPDATE app_user SET disabled_at = NULL")),
            ("DELETE FROM credential; DELETE FROM app_user", None),
        ].into_iter().enumerate() {
            let username = format!("user{number}@example.com");
            let tokens = site.register(&username).await;
            site.execute(format!("{state} WHERE username_key = '{username}'")).await;
            assert_expired(&site.send(refresh_call(&site, refresh_token(&tokens))).await);
            if let Some(undo) = undo {
                site.execute(format!("{undo} WHERE username_key = '{username}'")).await;
                refreshed(&site, refresh_token(&tokens)).await;
            }
        }
    }
}

on_both_databases! {
    async fn tok_07_ending_all_sessions_of_a_user_ends_the_family(site: Site) {
        let tokens = register_with(&site, rotating(), JANICE).await;
        let other = site.register("other@example.com").await;
        site.execute(format!("UPDATE app_user SET session_generation = 1 WHERE username_key = '{JANICE}'")).await;
        assert_expired(&site.send(refresh_call(&site, refresh_token(&tokens))).await);
        assert_eq!(userinfo_status(&site, access_token(&tokens)).await, 401);
        refreshed(&site, refresh_token(&other)).await;
    }
}

on_both_databases! {
    async fn rt_07_an_app_or_a_profile_that_is_no_longer_permitted(site: Site) {
        let tokens = register_with(&site, rotating(), JANICE).await;
        let profiles = site.app.directory().client(&site.client.id).unwrap().policies.permitted_profiles.clone();
        site.update_client(&site.client.id, json!({"permittedProfiles": []})).await;
        let answer = site.send(refresh_call(&site, refresh_token(&tokens))).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.json()["error"], "invalid_app_access");
        assert_eq!(answer.json()["error_description"], "user is not admin approved to access this app");
        site.update_client(&site.client.id, json!({"permittedProfiles": profiles})).await;
        let tokens = refreshed(&site, refresh_token(&tokens)).await;
        let id = site.client.id.clone();
        execute_and_refresh(&site, format!("UPDATE client SET disabled_at = 1 WHERE id = '{id}'")).await;
        let answer = site.send(refresh_call(&site, refresh_token(&tokens))).await.expect_status(400);
        assert_eq!(answer.json()["error"], "invalid_client_id");
    }
}

on_both_databases! {
    async fn rt_08_a_login_ends_by_its_policy_however_often_it_is_used(site: Site) {
        const HOUR: Duration = Duration::from_secs(3_600);
        for (number, policy) in ["SpecificLifetime", "SpecificInactivity"].into_iter().enumerate() {
            for (second, rotates) in [true, false].into_iter().enumerate() {
                site.update_client(&site.client.id, json!({
                    "scopes": "openid refresh_token", "isRefreshTokenRotationEnabled": rotates,
                    "refreshTokenPolicyType": policy, "refreshTokenValidityPeriod": 3,
                    "refreshTokenValidityUnit": "Hours",
                })).await;
                let mut token = refresh_token(&site.register(&format!("u{number}{second}@example.com")).await).to_owned();
                for _ in 0..2 {
                    site.advance(HOUR);
                    let tokens = refreshed(&site, &token).await;
                    if rotates {
                        token = refresh_token(&tokens).to_owned();
                    }
                }
                site.advance(HOUR);
                let answer = site.send(refresh_call(&site, &token)).await;
                if policy == "SpecificLifetime" {
                    assert_expired(&answer);
                    continue;
                }
                let tokens = answer.expect_ok().json();
                if rotates {
                    token = refresh_token(&tokens).to_owned();
                }
                site.advance(3 * HOUR);
                assert_expired(&site.send(refresh_call(&site, &token)).await);
            }
        }
    }
}

on_both_databases! {
    async fn rt_08_a_stricter_policy_applies_at_once(site: Site) {
        let tokens = register_with(&site, rotating(), JANICE).await;
        site.advance(Duration::from_secs(3_600));
        let stricter = json!({
            "refreshTokenPolicyType": "SpecificInactivity", "refreshTokenValidityPeriod": 1,
            "refreshTokenValidityUnit": "Hours",
        });
        site.update_client(&site.client.id, stricter).await;
        assert_expired(&site.send(refresh_call(&site, refresh_token(&tokens))).await);
        site.update_client(&site.client.id, json!({"refreshTokenPolicyType": "Zero"})).await;
        assert_expired(&site.send(refresh_call(&site, refresh_token(&tokens))).await);
    }
}

on_both_databases! {
    async fn rt_11_a_lost_answer_is_given_again_for_ten_seconds(site: Site) {
        let first = register_with(&site, rotating(), JANICE).await;
        let lost = refreshed(&site, refresh_token(&first)).await;
        site.advance(Duration::from_millis(9_999));
        let again = refreshed(&site, refresh_token(&first)).await;
        assert_eq!(again["refresh_token"], lost["refresh_token"], "the same successor");
        assert_ne!(again["access_token"], lost["access_token"]);
        assert_eq!(count(&site, RETRIES).await, 1);
        // The family has one branch, which continues.
        let next = refreshed(&site, refresh_token(&again)).await;
        refreshed(&site, refresh_token(&next)).await;
    }
}

on_both_databases! {
    async fn rt_11_another_node_finds_the_same_successor(site: Site) {
        let first = register_with(&site, rotating(), JANICE).await;
        let other = site.another_node().await;
        let lost = refreshed(&site, refresh_token(&first)).await;
        let again = refreshed(&other, refresh_token(&first)).await;
        assert_eq!(again["refresh_token"], lost["refresh_token"]);
    }
}

on_both_databases! {
    async fn rt_11_the_window_is_counted_from_the_first_answer(site: Site) {
        let first = register_with(&site, rotating(), JANICE).await;
        let second = refreshed(&site, refresh_token(&first)).await;
        for _ in 0..2 {
            site.advance(Duration::from_secs(4));
            refreshed(&site, refresh_token(&first)).await;
        }
        site.advance(Duration::from_secs(2));
        assert_expired(&site.send(refresh_call(&site, refresh_token(&first))).await);
        assert_expired(&site.send(refresh_call(&site, refresh_token(&second))).await);
    }
}

on_both_databases! {
    async fn rt_12_a_thief_within_the_retry_period_gets_no_separate_branch(site: Site) {
        let first = register_with(&site, rotating(), JANICE).await;
        let owners = refreshed(&site, refresh_token(&first)).await;
        let thiefs = refreshed(&site, refresh_token(&first)).await;
        assert_eq!(owners["refresh_token"], thiefs["refresh_token"]);
        assert_eq!(count(&site, RETRIES).await, 1, "the metrics report it");
        // Both have the same token now: the second request after the period ends the family.
        let next = refreshed(&site, refresh_token(&thiefs)).await;
        site.advance(Duration::from_secs(10));
        assert_expired(&site.send(refresh_call(&site, refresh_token(&owners))).await);
        assert_expired(&site.send(refresh_call(&site, refresh_token(&next))).await);
    }
}

on_both_databases! {
    async fn code_01_a_replayed_code_ends_the_family(site: Site) {
        site.update_client(&site.client.id, rotating()).await;
        let code = site.registered_code(JANICE).await;
        let tokens = site.send(site.token_call(&code)).await.expect_ok().json();
        let second = refreshed(&site, refresh_token(&tokens)).await;
        assert_invalid_grant(&site.send(site.token_call(&code)).await);
        assert_expired(&site.send(refresh_call(&site, refresh_token(&second))).await);
        for tokens in [&tokens, &second] {
            assert_eq!(userinfo_status(&site, access_token(tokens)).await, 401);
        }
    }
}

on_sqlite! {
    async fn the_id_token_of_a_refresh_describes_the_same_login(site: Site) {
        site.update_client(&site.client.id, rotating()).await;
        let code = code_with(&site, JANICE, &[("nonce", "n-1"), ("state", "s-1")]).await;
        let first = site.send(site.token_call(&code)).await.expect_ok().json();
        site.advance(Duration::from_secs(500));
        let second = refreshed(&site, refresh_token(&first)).await;
        let (before, after) = (claims(&first), claims(&second));
        for name in ["iss", "sub", "aud", "azp", "auth_time", "amr"] {
            assert_eq!(before[name], after[name], "{name}");
        }
        assert_eq!(after["iat"].as_i64().unwrap() - before["iat"].as_i64().unwrap(), 500);
        assert_ne!(before["at_hash"], after["at_hash"]);
        assert_eq!((before["nonce"].as_str(), after.get("nonce")), (Some("n-1"), None));
        assert_eq!(second.get("state"), None);
    }
}

on_sqlite! {
    async fn jwt_access_tokens_are_refreshed_and_end_with_their_family(site: Site) {
        let mut policies = rotating();
        policies["accessTokenFormat"] = json!("jwt");
        let first = register_with(&site, policies, JANICE).await;
        let second = refreshed(&site, refresh_token(&first)).await;
        assert_eq!(second["token_format"], "jwt");
        assert_eq!(userinfo_status(&site, access_token(&second)).await, 200);
        site.advance(Duration::from_secs(10));
        assert_expired(&site.send(refresh_call(&site, refresh_token(&first))).await);
        assert_eq!(userinfo_status(&site, access_token(&second)).await, 401);
    }
}

on_sqlite! {
    async fn a_refresh_is_asked_for_as_the_sdks_do(site: Site) {
        let tokens = register_with(&site, json!({"scopes": "openid api refresh_token"}), JANICE).await;
        site.update_client(&site.client.id, json!({"isConsumerSecretOptional": true, "isPkceRequired": true})).await;
        let bare = |token: &str| refresh_call(&site, token).with("client_secret", None)
            .with("grant_type", Some("hybrid_refresh")).form("format", "json")
            .form("redirect_uri", "x:///done").form("device_id", "d");
        // No app rotates unless its policy says so, also without a secret: the SDKs never store a successor.
        for _ in 0..2 {
            let again = site.send(bare(refresh_token(&tokens))).await.expect_ok().json();
            assert_eq!(again.get("refresh_token"), None);
        }
        let wrong = bare(refresh_token(&tokens)).form("client_secret", "wrong");
        assert_eq!(site.send(wrong).await.expect_status(400).json()["error"], "invalid_client");
        site.update_client(&site.client.id, json!({"isSecretRequiredForRefreshToken": true})).await;
        let answer = site.send(bare(refresh_token(&tokens))).await.expect_status(400);
        assert_eq!(answer.json()["error"], "invalid_client");
        refreshed(&site, refresh_token(&tokens)).await;
    }
}

on_sqlite! {
    async fn a_private_client_authenticates_to_refresh(site: Site) {
        let tokens = register_with(&site, rotating(), JANICE).await;
        let bare = refresh_call(&site, refresh_token(&tokens)).with("client_secret", None);
        assert_eq!(site.send(bare.clone()).await.expect_status(400).json()["error"], "invalid_client");
        let header = bare.clone().with("client_id", None).basic(&site.client.id, "wrong");
        site.send(header).await.expect_status(401);
        let missing = refresh_call(&site, "");
        assert_eq!(site.send(missing).await.expect_status(400).json()["error"], "invalid_request");
        let in_url = bare.clone().with("refresh_token", None)
            .at(&format!("/backend/services/oauth2/token?refresh_token={}", refresh_token(&tokens)));
        assert_eq!(site.send(in_url).await.expect_status(400).json()["error"], "invalid_request");
        let header = bare.with("client_id", None).basic(&site.client.id, &site.client.secret);
        site.send(header).await.expect_ok();
    }
}

on_sqlite! {
    async fn a_broken_database_never_logs_anybody_out(site: Site) {
        let tokens = register_with(&site, rotating(), JANICE).await;
        site.execute("ALTER TABLE token_family RENAME TO gone").await;
        let answer = site.send(refresh_call(&site, refresh_token(&tokens))).await;
        assert!(answer.status >= 500, "{} {}", answer.status, answer.body);
        site.execute("ALTER TABLE gone RENAME TO token_family").await;
        refreshed(&site, refresh_token(&tokens)).await;
    }
}

on_both_databases! {
    async fn the_database_contains_no_refresh_token(site: Site) {
        let first = register_with(&site, rotating(), JANICE).await;
        refreshed(&site, refresh_token(&first)).await;
        assert_eq!(count(&site, "SELECT COUNT(*) FROM token_family
            WHERE LENGTH(token_hash) = 32 AND LENGTH(replaced_hash) = 32 AND LENGTH(successor_salt) = 16").await, 1);
    }
}

on_sqlite! {
    async fn a_service_gets_no_refresh_token_and_no_such_scope(site: Site) {
        site.update_client(&site.integration.id, json!({"scopes": "api refresh_token"})).await;
        let call = Call::post("/services/oauth2/token").form("grant_type", "client_credentials")
            .form("client_id", &site.integration.id).form("client_secret", &site.integration.secret);
        let tokens = site.send(call.clone()).await.expect_ok().json();
        assert_eq!((tokens.get("refresh_token"), tokens["scope"].as_str()), (None, Some("api")));
        let answer = site.send(call.form("scope", "refresh_token")).await.expect_status(400);
        assert_eq!(answer.json()["error"], "invalid_scope");
    }
}
