//! Introspection (RFC 7662, threat TOK-08).

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    access_token, add_client, add_site, jwt_format, refresh_token, refreshed, register_with,
    rotating,
};
use crate::fixture::{BASE_URL, Call, START, Site, TestClient, on_both_databases, on_sqlite};

const INTROSPECT: &str = "/services/oauth2/introspect";
const JANICE: &str = "janice@example.com";

async fn introspect(site: &Site, client: &TestClient, token: &str) -> Value {
    let call = Call::post(INTROSPECT).basic(&client.id, &client.secret);
    let answer = site.send(call.form("token", token)).await.expect_ok();
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    answer.json()
}

fn inactive() -> Value {
    json!({"active": false})
}

on_both_databases! {
    async fn a_client_introspects_its_own_tokens(site: Site) {
        let tokens = register_with(&site, rotating(), JANICE).await;
        let said = introspect(&site, &site.client, access_token(&tokens)).await;
        let issued = START.seconds();
        assert_eq!(said, json!({
            "active": true, "scope": "openid api refresh_token", "client_id": site.client.id,
            "username": JANICE, "sub": tokens["id"], "token_type": "access_token",
            "exp": issued + 7_200, "iat": issued, "nbf": issued,
        }));
        let said = introspect(&site, &site.client, refresh_token(&tokens)).await;
        assert_eq!((said["active"].as_bool(), said["token_type"].as_str()), (Some(true), Some("refresh_token")));
        assert_eq!((&said["sub"], said.get("exp")), (&tokens["id"], None));
        let next = refreshed(&site, refresh_token(&tokens)).await;
        assert_eq!(introspect(&site, &site.client, refresh_token(&tokens)).await, inactive());
        site.send(Call::post("/services/oauth2/revoke").form("token", refresh_token(&next))).await.expect_ok();
        for token in [access_token(&tokens), access_token(&next), refresh_token(&next)] {
            assert_eq!(introspect(&site, &site.client, token).await, inactive());
        }
    }
}

on_both_databases! {
    async fn tok_08_tokens_of_other_clients_or_sites_and_unknown_ones_are_inactive(site: Site) {
        let tokens = register_with(&site, rotating(), JANICE).await;
        let other = add_client(&site, "other", json!({})).await;
        add_site(&site, "elsewhere", "https://other.example.com").await;
        for token in [access_token(&tokens), refresh_token(&tokens)] {
            assert_eq!(introspect(&site, &other, token).await, inactive());
            let there = Call::post("").host("other.example.com").at(INTROSPECT)
                .basic(&site.client.id, &site.client.secret).form("token", token);
            assert_eq!(site.send(there).await.expect_ok().json(), inactive());
        }
        for token in ["x", "a.b.c", "00D1!x", "5Aep861", tokens["id_token"].as_str().unwrap()] {
            assert_eq!(introspect(&site, &site.client, token).await, inactive(), "{token}");
        }
        site.advance(Duration::from_secs(7_200));
        assert_eq!(introspect(&site, &site.client, access_token(&tokens)).await, inactive());
        site.execute(format!("UPDATE app_user SET locked_at = 1 WHERE username_key = '{JANICE}'")).await;
        assert_eq!(introspect(&site, &site.client, refresh_token(&tokens)).await, inactive());
    }
}

on_sqlite! {
    async fn tok_08_an_unauthenticated_client_learns_nothing(site: Site) {
        let tokens = register_with(&site, rotating(), JANICE).await;
        let call = || Call::post(INTROSPECT).form("token", access_token(&tokens));
        let (id, secret) = (site.client.id.as_str(), site.client.secret.as_str());
        for call in [
            call(), call().form("client_id", id), call().basic(id, "wrong"), call().basic("x", secret),
            call().form("client_id", id).form("client_secret", "wrong"),
        ] {
            let answer = site.send(call).await.expect_status(401);
            assert_eq!(answer.json()["error"], "invalid_client");
            assert!(answer.header("www-authenticate").unwrap().starts_with("Basic "));
        }
        let answer = site.send(Call::post(INTROSPECT).basic(id, secret)).await.expect_status(400);
        assert_eq!(answer.json()["error_description"], "missing required parameter: token");
        let in_url = Call::post("").at(&format!("/backend{INTROSPECT}?token=x")).basic(id, secret);
        site.send(in_url).await.expect_status(400);
        site.send(Call::get(INTROSPECT)).await.expect_status(405);
        let by_form = call().form("client_id", id).form("client_secret", secret);
        assert_eq!(site.send(by_form).await.expect_ok().json()["active"], true);
    }
}

on_sqlite! {
    async fn jwts_are_introspected_like_opaque_tokens(site: Site) {
        let tokens = register_with(&site, jwt_format(), JANICE).await;
        let said = introspect(&site, &site.client, access_token(&tokens)).await;
        assert_eq!((&said["username"], &said["exp"]), (&json!(JANICE), &json!(START.seconds() + 1_800)));
        site.update_client(&site.integration.id, jwt_format()).await;
        let service = site.integration_token(None).await;
        let said = introspect(&site, &site.integration, &service).await;
        assert_eq!(said["active"], true);
        assert!(said["sub"].as_str().unwrap().starts_with(BASE_URL));
        assert_eq!(introspect(&site, &site.client, &service).await, inactive());
    }
}
