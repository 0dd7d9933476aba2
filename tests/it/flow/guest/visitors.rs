//! The visitor's id in the tokens of users: every flow copies it from the guest's token into the user's, and
//! through every refresh.

use serde_json::{Value, json};

use super::{TOKEN, UUID, access_token, claims, guest_tokens};
use crate::fixture::{Call, PASSWORD, Site, on_both_databases, on_sqlite};

const JANICE: &str = "janice@example.com";

fn with_refresh() -> Value {
    json!({"accessTokenFormat": "jwt", "scopes": "openid api refresh_token", "isRefreshTokenRotationEnabled": true})
}

/// Redeems the code in a response.
async fn redeemed(site: &Site, call: Call) -> Value {
    let code = site
        .send(call)
        .await
        .expect_status(302)
        .location_parameter("code");
    site.send(site.public_token_call(&code))
        .await
        .expect_ok()
        .json()
}

/// The init request of a flow at the public site; the identifier and the code.
async fn begun(site: &Site, path: &str, body: Value) -> (String, String) {
    let call = Call::post(path).on_public().json(&body);
    let answer = site.send(call).await.expect_ok().json();
    let code = site
        .code_to(body["username"].as_str().unwrap_or("new@example.com"))
        .await;
    (answer["identifier"].as_str().unwrap().to_owned(), code)
}

on_both_databases! {
    async fn every_flow_carries_the_visitor_into_the_user_s_token(site: Site) {
        site.register(JANICE).await;
        site.update_client(&site.public_client.id, with_refresh()).await;
        let guest = guest_tokens(&site).await;
        let guest = access_token(&guest).to_owned();

        // The header with the bare token, as the pages of the named flows show it.
        let call = site.public_authorize_call("Named-User", JANICE, PASSWORD).header("uvid-hint", &guest);
        let tokens = redeemed(&site, call).await;
        let named = claims(access_token(&tokens));
        assert_eq!(named["uvid"], UUID);
        assert_ne!(named["sub"], claims(&guest)["sub"], "the user's own");

        let body = json!({"username": JANICE, "verificationmethod": "email", "recaptcha": "test-pass"});
        let (identifier, code) = begun(&site, "/services/auth/headless/init/passwordless/login", body).await;
        let call = site.public_authorize_call("passwordless-login", &identifier, &code).form("uvid_hint", UUID);
        assert_eq!(claims(access_token(&redeemed(&site, call).await))["uvid"], UUID);

        let mut body = crate::fixture::registration("new@example.com");
        body["recaptcha"] = json!("test-pass");
        let (identifier, code) = begun(&site, "/services/auth/headless/init/registration", body).await;
        let call = site.public_authorize_call("user-registration", &identifier, &code)
            .header("uvid-hint", &format!("UVID {UUID}"));
        assert_eq!(claims(access_token(&redeemed(&site, call).await))["uvid"], UUID);

        // Through two refreshes of the first login.
        let mut tokens = tokens;
        for _ in 0..2 {
            let call = Call::post(TOKEN).on_public().form("grant_type", "refresh_token")
                .form("client_id", &site.public_client.id).form("refresh_token", tokens["refresh_token"].as_str().unwrap());
            tokens = site.send(call).await.expect_ok().json();
            assert_eq!(claims(access_token(&tokens))["uvid"], UUID);
        }
        // And no id where the request named no visitor.
        let call = site.public_authorize_call("Named-User", JANICE, PASSWORD);
        assert_eq!(claims(access_token(&redeemed(&site, call).await)).get("uvid"), None);
    }
}

on_sqlite! {
    async fn an_opaque_token_has_no_place_for_a_visitor_and_the_hint_is_not_looked_at(site: Site) {
        site.register(JANICE).await;
        for hint in [UUID, "nonsense"] {
            let call = site.public_authorize_call("Named-User", JANICE, PASSWORD).header("uvid-hint", hint);
            let tokens = redeemed(&site, call).await;
            assert_eq!(tokens["token_format"], "opaque");
        }
        assert_eq!(site.count("SELECT COUNT(*) FROM authorization_code WHERE uvid IS NOT NULL").await, 0);
    }
}

on_sqlite! {
    async fn a_wrong_hint_spends_no_try_and_no_code(site: Site) {
        site.update_client(&site.client.id, json!({"accessTokenFormat": "jwt"})).await;
        let identifier = site.pending(JANICE).await;
        let code = site.code_to(JANICE).await;
        let good = site.authorize_call(&identifier, &code);
        for _ in 0..10 {
            site.send(good.clone().header("uvid-hint", "a.b.c")).await.expect_status(400);
        }
        site.send(good).await.expect_status(302);
    }
}
