//! Revocation (RFC 7009, threats TOK-04 to TOK-06).

use serde_json::json;

use super::{
    USERINFO, access_token, add_client, add_site, assert_expired, jwt_format, refresh_call,
    refresh_token, refreshed, register_with, rotating, userinfo_status,
};
use crate::fixture::{Answer, Call, Site, on_both_databases, on_sqlite};

const REVOKE: &str = "/services/oauth2/revoke";
const JANICE: &str = "janice@example.com";

async fn revoke(site: &Site, token: &str) -> Answer {
    let call = Call::post(REVOKE)
        .form("token", token)
        .form("revoke_reason", "user_logout");
    site.send(call).await.expect_ok()
}

on_both_databases! {
    async fn tok_05_a_refresh_token_takes_its_access_tokens_along(site: Site) {
        let first = register_with(&site, rotating(), JANICE).await;
        let second = refreshed(&site, refresh_token(&first)).await;
        let answer = revoke(&site, refresh_token(&second)).await;
        assert_eq!(answer.body, "");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_expired(&site.send(refresh_call(&site, refresh_token(&second))).await);
        for tokens in [&first, &second] {
            assert_eq!(userinfo_status(&site, access_token(tokens)).await, 401);
        }
        assert_eq!(site.count("SELECT COUNT(*) FROM audit_event WHERE event = 'token.revoked'").await, 1);
    }
}

on_both_databases! {
    async fn an_access_token_ends_alone_and_other_nodes_know(site: Site) {
        let first = register_with(&site, rotating(), JANICE).await;
        let second = refreshed(&site, refresh_token(&first)).await;
        let other = site.another_node().await;
        revoke(&site, access_token(&first)).await;
        for node in [&site, &other] {
            assert_eq!(userinfo_status(node, access_token(&first)).await, 401);
            assert_eq!(userinfo_status(node, access_token(&second)).await, 200);
        }
        refreshed(&site, refresh_token(&second)).await;
    }
}

on_both_databases! {
    async fn tok_06_of_two_logins_of_one_user_at_one_client_only_that_one_ends(site: Site) {
        let first = register_with(&site, rotating(), JANICE).await;
        // A second login of the same user: another family.
        let second = site.register("other@example.com").await;
        site.execute(format!(
            "UPDATE token_family SET user_id = (SELECT id FROM app_user WHERE username_key = '{JANICE}');
             UPDATE access_token SET user_id = (SELECT id FROM app_user WHERE username_key = '{JANICE}')
             WHERE code_hash IS NOT NULL")).await;
        revoke(&site, refresh_token(&first)).await;
        assert_eq!(userinfo_status(&site, access_token(&first)).await, 401);
        assert_eq!(userinfo_status(&site, access_token(&second)).await, 200);
        refreshed(&site, refresh_token(&second)).await;
    }
}

on_both_databases! {
    async fn tok_04_unknown_twice_and_wrongly_hinted_tokens_are_a_success(site: Site) {
        let tokens = register_with(&site, rotating(), JANICE).await;
        // The name of a family that does not exist.
        let mut made_up = refresh_token(&tokens).to_owned();
        made_up.replace_range(20..21, if &made_up[20..21] == "0" { "1" } else { "0" });
        for unknown in ["x", "00D1!AQ", "a.b.c", "5Aep861", made_up.as_str()] {
            assert_eq!(revoke(&site, unknown).await.body, "");
        }
        refreshed(&site, refresh_token(&tokens)).await;
        let call = Call::post(REVOKE).form("token", access_token(&tokens)).form("token_type_hint", "refresh_token");
        for _ in 0..2 {
            site.send(call.clone()).await.expect_ok();
        }
        assert_eq!(userinfo_status(&site, access_token(&tokens)).await, 401);
        assert_eq!(site.count("SELECT COUNT(*) FROM audit_event WHERE event = 'token.revoked'").await, 1);
    }
}

on_both_databases! {
    async fn tok_05_revoking_a_replaced_refresh_token_ends_the_login(site: Site) {
        let first = register_with(&site, rotating(), JANICE).await;
        let second = refreshed(&site, refresh_token(&first)).await;
        let third = refreshed(&site, refresh_token(&second)).await;
        // The first one was replaced twice, and is no longer stored.
        revoke(&site, refresh_token(&first)).await;
        for tokens in [&first, &second, &third] {
            assert_eq!(userinfo_status(&site, access_token(tokens)).await, 401);
        }
        assert_expired(&site.send(refresh_call(&site, refresh_token(&third))).await);
    }
}

on_both_databases! {
    async fn tok_04_an_authenticated_client_revokes_its_own_tokens_only(site: Site) {
        let tokens = register_with(&site, rotating(), JANICE).await;
        let other = add_client(&site, "other", json!({})).await;
        for token in [access_token(&tokens), refresh_token(&tokens)] {
            let call = Call::post(REVOKE).form("token", token);
            let by_form = call.clone().form("client_id", &other.id).form("client_secret", &other.secret);
            site.send(by_form).await.expect_ok();
            site.send(call.clone().form("client_id", &other.id)).await.expect_ok();
            site.send(call.clone().basic(&other.id, &other.secret)).await.expect_ok();
            let wrong = call.clone().form("client_id", &site.client.id).form("client_secret", "wrong");
            assert_eq!(site.send(wrong).await.expect_status(400).json()["error"], "invalid_client");
            let wrong = call.clone().basic(&site.client.id, "wrong");
            site.send(wrong).await.expect_status(401);
            let unknown = call.form("client_id", "3MVG9unknown");
            assert_eq!(site.send(unknown).await.expect_status(400).json()["error"], "invalid_client_id");
        }
        assert_eq!(userinfo_status(&site, access_token(&tokens)).await, 200);
        let tokens = refreshed(&site, refresh_token(&tokens)).await;
        let call = Call::post(REVOKE).form("token", refresh_token(&tokens));
        site.send(call.basic(&site.client.id, &site.client.secret)).await.expect_ok();
        assert_expired(&site.send(refresh_call(&site, refresh_token(&tokens))).await);
    }
}

on_sqlite! {
    async fn a_token_may_be_revoked_by_its_url_and_must_be_there(site: Site) {
        let tokens = register_with(&site, rotating(), JANICE).await;
        let token = access_token(&tokens).replace('!', "%21");
        let call = Call::get("").at(&format!("/backend{REVOKE}?token={token}&revoke_reason=user_logout"));
        site.send(call).await.expect_ok();
        assert_eq!(userinfo_status(&site, access_token(&tokens)).await, 401);
        for call in [Call::get(REVOKE), Call::post(REVOKE), Call::post(REVOKE).form("token", "")] {
            let answer = site.send(call).await.expect_status(400);
            assert_eq!(answer.json()["error"], "invalid_request");
            assert_eq!(answer.json()["error_description"], "missing required parameter: token");
        }
        let in_url = Call::post("").at(&format!("/backend{REVOKE}?client_secret=s")).form("token", "x");
        assert_eq!(site.send(in_url).await.expect_status(400).json()["error"], "invalid_request");
    }
}

on_sqlite! {
    async fn a_token_of_one_site_is_not_revoked_at_another(site: Site) {
        let tokens = register_with(&site, rotating(), JANICE).await;
        add_site(&site, "other", "https://other.example.com").await;
        for token in [access_token(&tokens), refresh_token(&tokens)] {
            let call = Call::post("").host("other.example.com").at(REVOKE).form("token", token);
            site.send(call).await.expect_ok();
        }
        assert_eq!(userinfo_status(&site, access_token(&tokens)).await, 200);
        refreshed(&site, refresh_token(&tokens)).await;
    }
}

on_sqlite! {
    async fn a_users_jwt_is_revoked_and_a_services_is_not_claimed_to_be(site: Site) {
        let tokens = register_with(&site, jwt_format(), JANICE).await;
        revoke(&site, access_token(&tokens)).await;
        assert_eq!(userinfo_status(&site, access_token(&tokens)).await, 401);
        revoke(&site, tokens["id_token"].as_str().unwrap()).await;

        site.update_client(&site.integration.id, jwt_format()).await;
        let token = site.integration_token(None).await;
        let answer = site.send(Call::post(REVOKE).form("token", &token)).await.expect_status(400);
        assert_eq!(answer.json()["error"], "unsupported_token_type");
        assert_eq!(site.send(Call::get(USERINFO).bearer(&token)).await.status, 200);
        site.advance(std::time::Duration::from_secs(1_800));
        revoke(&site, &token).await;
    }
}
