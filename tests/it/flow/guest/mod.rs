//! Guests and visitors: the guest flow up to the token and what that token permits, the visitor's id in the tokens
//! of users (`visitors`), and hostile hints (`hints`).

mod hints;
mod visitors;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::races::{all_at_once, two_nodes};
use crate::fixture::{
    Answer, CHALLENGE, Call, PASSWORD, PUBLIC_URL, START, Setup, Site, on_both_databases,
    on_sqlite, registration,
};

pub const AUTHORIZE: &str = "/services/oauth2/authorize";
pub const TOKEN: &str = "/services/oauth2/token";
pub const UUID: &str = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff";

/// The claims of a JWT.
pub fn claims(token: &str) -> Value {
    let claims = token.split('.').nth(1).expect("a JWT");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).expect("base64url")).expect("JSON")
}

/// The authorization call of a guest at the public site, without a hint.
pub fn guest_call(site: &Site) -> Call {
    Call::post(AUTHORIZE)
        .on_public()
        .header("auth-request-type", "guest")
        .form("response_type", "code_credentials")
        .form("client_id", &site.public_client.id)
        .form("redirect_uri", &site.public_redirect_uri)
        .form("code_challenge", CHALLENGE)
}

/// The same with the hint that most tests use.
pub fn hinted(site: &Site) -> Call {
    guest_call(site).header("uvid-hint", &format!("UVID {UUID}"))
}

pub async fn guest_code(site: &Site) -> String {
    let answer = site.send(hinted(site)).await.expect_status(302);
    answer.location_parameter("code")
}

/// The tokens of a guest.
pub async fn guest_tokens(site: &Site) -> Value {
    let code = guest_code(site).await;
    let answer = site.send(site.public_token_call(&code)).await;
    answer.expect_ok().json()
}

pub fn access_token(tokens: &Value) -> &str {
    tokens["access_token"].as_str().expect("an access token")
}

async fn userinfo(site: &Site, token: &str) -> Answer {
    let call = Call::get("/services/oauth2/userinfo").on_public();
    site.send(call.bearer(token)).await
}

async fn userinfo_status(site: &Site, token: &str) -> u16 {
    userinfo(site, token).await.status
}

#[track_caller]
pub fn assert_refused(answer: &Answer, error: &str, description: &str, what: &str) {
    assert_eq!(answer.status, 400, "{what}: {}", answer.body);
    let refused = json!({"error": error, "error_description": description});
    assert_eq!(answer.json(), refused, "{what}");
}

on_both_databases! {
    async fn a_guest_gets_a_jwt_with_the_uvid_and_nothing_else(site: Site) {
        let answer = site.send(hinted(&site).form("state", "s 1")).await.expect_status(302);
        let names: Vec<String> = answer.location_parameters().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["code", "sfdc_community_url", "sfdc_community_id", "state"]);
        let call = site.public_token_call(&answer.location_parameter("code"));
        let tokens = site.send(call).await.expect_ok().json();
        let guest_id = site.entry("public").guest_user_id.clone();
        let org_id = site.app.directory().org_id.clone();
        let claims = claims(access_token(&tokens));
        assert_eq!(claims["sub"], format!("uid:{guest_id}"));
        assert_eq!((&claims["uvid"], &claims["scp"]), (&json!(UUID), &json!("api")));
        assert_eq!((&claims["iss"], &claims["client_id"]), (&json!(PUBLIC_URL), &json!(site.public_client.id)));
        assert_eq!(claims["exp"], START.seconds() + 1_800);
        let mut names: Vec<&str> = tokens.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["access_token", "expires_in", "id", "instance_url", "issued_at", "scope",
            "sfdc_community_id", "sfdc_community_url", "signature", "state", "token_format", "token_type"]);
        assert_eq!(tokens["token_format"], "jwt", "though the app's users get opaque ones");
        assert_eq!((&tokens["scope"], &tokens["state"]), (&json!("api"), &json!("s 1")));
        assert_eq!(tokens["id"], format!("{PUBLIC_URL}/id/{org_id}/{guest_id}"));
        assert_eq!(site.count("SELECT COUNT(*) FROM token_family").await, 0);
        assert_eq!(site.count("SELECT COUNT(*) FROM app_user WHERE is_integration = 0").await, 0);
        assert_eq!(site.count("SELECT COUNT(*) FROM audit_event WHERE request_id IS NOT NULL").await, 0, "unauthenticated requests do not fill it");
    }
}

on_sqlite! {
    async fn a_guest_gets_the_minimum_of_claims(site: Site) {
        let tokens = guest_tokens(&site).await;
        let info = userinfo(&site, access_token(&tokens)).await.expect_ok().json();
        let guest_id = site.entry("public").guest_user_id.clone();
        let org_id = site.app.directory().org_id.clone();
        assert_eq!(info, json!({
            "sub": tokens["id"], "user_id": guest_id, "organization_id": org_id,
            "is_salesforce_integration_user": false, "active": true, "user_type": "GUEST", "is_app_installed": true,
        }));
        let path = tokens["id"].as_str().unwrap().strip_prefix(PUBLIC_URL).unwrap().to_owned();
        let identity = |path: &str| Call::get(path).on_public().bearer(access_token(&tokens));
        let shown = site.send(identity(&path)).await.expect_ok().json();
        assert_eq!((&shown["user_type"], &shown["username"]), (&json!("GUEST"), &Value::Null));
        assert_eq!((&shown["utcOffset"], &shown["language"]), (&json!(0), &json!("en_US")));
        assert!(shown.get("photos").is_none() && shown.get("urls").is_none(), "whole or not at all");

        // A guest may not read a user's identity, nor a user a guest's.
        let user = site.register("janice@example.com").await;
        let users_path = user["id"].as_str().unwrap().rsplit_once("/id/").unwrap().1.to_owned();
        site.send(identity(&format!("/id/{users_path}"))).await.expect_status(403);
        let call = Call::get(&path).bearer(user["access_token"].as_str().unwrap());
        site.send(call).await.expect_status(403);
        // A scope without read access permits neither.
        site.update_client(&site.public_client.id, json!({"scopes": "api chatter_api", "guestScopes": "chatter_api"})).await;
        let tokens = guest_tokens(&site).await;
        assert_eq!(userinfo_status(&site, access_token(&tokens)).await, 403);
    }
}

on_sqlite! {
    async fn a_guest_must_be_wanted_name_a_visitor_and_bring_nothing_else(site: Site) {
        let no_credentials = "a guest sends no credentials";
        for (what, call, error, description) in [
            ("no visitor", guest_call(&site), "invalid_request", "missing required parameter: uvid_hint"),
            ("empty", guest_call(&site).header("uvid-hint", ""), "invalid_request", "missing required parameter: uvid_hint"),
            ("basic", hinted(&site).basic("janice@example.com", PASSWORD), "invalid_request", no_credentials),
            ("bearer", hinted(&site).bearer("x"), "invalid_request", no_credentials),
            ("username", hinted(&site).form("username", "janice@example.com"), "invalid_request", no_credentials),
            ("password", hinted(&site).form("password", PASSWORD), "invalid_request", no_credentials),
            ("no challenge", hinted(&site).with("code_challenge", None), "invalid_request", "missing required code challenge"),
            ("a user's scope", hinted(&site).form("scope", "api openid"), "invalid_scope", "the requested scope is not allowed"),
            ("refresh", hinted(&site).form("scope", "api refresh_token"), "invalid_scope", "the requested scope is not allowed"),
            ("callback", hinted(&site).with("redirect_uri", Some("https://evil.example/cb")), "redirect_uri_mismatch",
                "redirect_uri must match configuration"),
        ] {
            assert_refused(&site.send(call).await, error, description, what);
        }
        let private = Call::post(AUTHORIZE).header("auth-request-type", "guest").header("uvid-hint", UUID)
            .form("response_type", "code_credentials").form("client_id", &site.client.id).form("redirect_uri", &site.redirect_uri);
        assert_refused(&site.send(private).await, "invalid_request", "guest flow not enabled", "no switch");
        site.update_settings_of("public", json!({"oAuthCdCrdtFlowEnable": false})).await;
        assert_refused(&site.send(hinted(&site)).await, "invalid_client", "code credential flow not enabled", "site");
        site.update_settings_of("public", json!({"oAuthCdCrdtFlowEnable": true})).await;
        for word in ["Guest", "GUEST"] {
            let call = hinted(&site).without_header("auth-request-type").header("auth-request-type", word);
            site.send(call).await.expect_status(302);
        }
    }
}

on_both_databases! {
    async fn a_guest_s_token_has_no_user(site: Site) {
        let tokens = guest_tokens(&site).await;
        let token = access_token(&tokens);
        // It is not an integration user's token, even if its app has the scopes.
        site.force_client(&site.public_client.id, json!({
            "scopes": "openid api user_registration_api pwdless_login_api forgot_password",
            "guestScopes": "api user_registration_api pwdless_login_api forgot_password",
        })).await;
        let strong = guest_tokens(&site).await;
        for token in [token, access_token(&strong)] {
            for path in ["init/registration", "init/passwordless/login", "forgot_password"] {
                let call = Call::post(&format!("/services/auth/headless/{path}")).on_public().bearer(token);
                let mut body = registration("new@example.com");
                body["recaptcha"] = json!("test-pass");
                site.send(call.json(&body)).await.expect_status(401);
            }
        }
        // Not at another site, for any app.
        let elsewhere = Call::get("/services/oauth2/userinfo").bearer(token);
        site.send(elsewhere).await.expect_status(401);
        // It is neither a refresh token nor a code.
        let refresh = Call::post(TOKEN).on_public().form("grant_type", "refresh_token")
            .form("client_id", &site.public_client.id).form("refresh_token", token);
        assert_refused(&site.send(refresh).await, "invalid_grant", "expired access/refresh token", "refresh");
        let code = site.send(site.public_token_call(token)).await;
        assert_refused(&code, "invalid_grant", "invalid authorization code", "code");
        // No user has the id, so no password can be set for it.
        let guest_id = site.entry("public").guest_user_id.clone();
        let found = site.app.store.read("user.find", &guest_id, |tx, id| Box::pin(vestibule::store::user::find_by_id(tx, id)));
        assert!(found.await.unwrap().is_none());
    }
}

on_both_databases! {
    async fn a_guest_s_token_ends_by_time_by_revocation_and_with_the_switch(site: Site) {
        let public = site.public_client.clone();
        let introspect = |token: &str| Call::post("/services/oauth2/introspect").on_public()
            .form("token", token).form("client_id", &public.id).form("client_secret", &public.secret);
        let tokens = guest_tokens(&site).await;
        let introspected = site.send(introspect(access_token(&tokens))).await.expect_ok().json();
        assert_eq!(introspected, json!({
            "active": true, "scope": "api", "client_id": public.id, "sub": tokens["id"], "token_type": "access_token",
            "exp": START.seconds() + 1_800, "iat": START.seconds(), "nbf": START.seconds(),
        }));
        let revoke = Call::post("/services/oauth2/revoke").on_public().form("token", access_token(&tokens));
        site.send(revoke).await.expect_ok();
        assert_eq!(userinfo_status(&site, access_token(&tokens)).await, 401);
        let introspected = site.send(introspect(access_token(&tokens))).await.expect_ok().json();
        assert_eq!(introspected, json!({"active": false}));
        assert_eq!(site.count("SELECT COUNT(*) FROM audit_event WHERE request_id IS NOT NULL").await, 0);

        let tokens = guest_tokens(&site).await;
        let code = guest_code(&site).await;
        site.update_client(&public.id, json!({"isGuestFlowEnabled": false})).await;
        assert_eq!(userinfo_status(&site, access_token(&tokens)).await, 401);
        assert_refused(&site.send(site.public_token_call(&code)).await, "invalid_grant", "expired authorization code", "switch");
        site.update_client(&public.id, json!({"isGuestFlowEnabled": true})).await;
        assert_eq!(userinfo_status(&site, access_token(&tokens)).await, 200);
        site.advance(Duration::from_secs(1_800));
        assert_eq!(userinfo_status(&site, access_token(&tokens)).await, 401);
        let code = guest_code(&site).await;
        site.advance(Duration::from_secs(60));
        assert_refused(&site.send(site.public_token_call(&code)).await, "invalid_grant", "expired authorization code", "time");
    }
}

on_both_databases! {
    async fn code_02_concurrent_redemptions_of_a_guest_s_code_succeed_once_and_revoke_the_token(site: Site) {
        let nodes = two_nodes(site).await;
        let code = guest_code(&nodes[0]).await;
        let calls = (0..20).map(|_| nodes[0].public_token_call(&code)).collect();
        let answers = all_at_once(&nodes, calls).await;
        let won: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 200).collect();
        assert_eq!(won.len(), 1);
        assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 400)));
        let tokens = won[0].json();
        assert_eq!(userinfo_status(&nodes[1], access_token(&tokens)).await, 401, "a replay ends it");
        assert_eq!(nodes[0].count("SELECT COUNT(*) FROM audit_event WHERE request_id IS NOT NULL").await, 0);
    }
}

on_sqlite! {
    async fn the_headers_of_the_token_request_may_be_left_out_and_must_fit(site: Site) {
        let other = "11111111-1111-4111-8111-111111111111";
        let headers = |call: Call, request_type: Option<&str>, hint: Option<String>| {
            let call = request_type.map_or(call.clone(), |word| call.header("auth-request-type", word));
            hint.map_or(call.clone(), |hint| call.header("uvid-hint", &hint))
        };
        let earlier = guest_tokens(&site).await;
        let earlier = access_token(&earlier);
        for (request_type, hint) in [
            (None, None), (Some("guest"), None), (Some("Guest"), Some(format!("UVID {UUID}"))),
            (None, Some(format!("UVID {}", UUID.to_uppercase()))), (Some("guest"), Some(UUID.to_owned())),
            (Some("guest"), Some(format!("JWT {earlier}"))), (Some("guest"), Some(earlier.to_owned())),
        ] {
            let call = site.public_token_call(&guest_code(&site).await);
            let answer = site.send(headers(call, request_type, hint.clone())).await;
            assert_eq!(answer.status, 200, "{request_type:?} {hint:?}: {}", answer.body);
        }
        for (request_type, hint) in [
            (Some("Named-User"), None), (Some("nonsense"), None), (Some("guest"), Some(format!("UVID {other}"))), (None, Some(other.to_owned())),
        ] {
            let code = guest_code(&site).await;
            let call = site.public_token_call(&code);
            let what = format!("{request_type:?} {hint:?}");
            let answer = site.send(headers(call, request_type, hint)).await;
            assert_refused(&answer, "invalid_grant", "invalid authorization code", &what);
            // As after a wrong redirect URI, the code is spent.
            let answer = site.send(site.public_token_call(&code)).await;
            assert_refused(&answer, "invalid_grant", "invalid authorization code", &what);
        }
        let code = guest_code(&site).await;
        let call = site.public_token_call(&code).header("uvid-hint", "UVID nonsense");
        assert_refused(&site.send(call).await, "invalid_request", "invalid uvid_hint", "malformed");
        site.send(site.public_token_call(&code)).await.expect_ok();

        // A user's code is not a guest's.
        site.register("janice@example.com").await;
        let call = site.public_authorize_call("Named-User", "janice@example.com", PASSWORD);
        let code = site.send(call).await.expect_status(302).location_parameter("code");
        let call = site.public_token_call(&code).header("auth-request-type", "guest");
        assert_refused(&site.send(call).await, "invalid_grant", "invalid authorization code", "a user's");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_from_one_network_are_limited() {
    let mut setup = Setup::default();
    setup.config.limits = vestibule::config::Config::default().limits;
    let site = Site::open_with(crate::fixture::Database::Sqlite, setup).await;
    for number in 0..60 {
        let status = site.send(hinted(&site)).await.status;
        assert_eq!(status, 302, "{number}");
    }
    let answer = site.send(hinted(&site)).await.expect_status(429);
    assert_eq!(answer.json()["error"], "rate_limit_exceeded");
    assert_eq!(answer.header("retry-after"), Some("1"));
    let elsewhere = site.send_from("198.51.100.9", hinted(&site)).await;
    elsewhere.expect_status(302);
}

on_sqlite! {
    async fn pages_of_the_list_may_read_a_guest_s_answers(site: Site) {
        let origin = "http://localhost:3000";
        let allowed = |answer: &Answer| answer.header("access-control-allow-origin").map(str::to_owned);
        let answer = site.send(hinted(&site).header("origin", origin)).await.expect_status(302);
        assert_eq!(allowed(&answer).as_deref(), Some(origin));
        let call = site.public_token_call(&answer.location_parameter("code")).header("origin", origin);
        assert_eq!(allowed(&site.send(call).await.expect_ok()).as_deref(), Some(origin));
        let refused = site.send(guest_call(&site).header("origin", origin)).await.expect_status(400);
        assert_eq!(allowed(&refused).as_deref(), Some(origin));
    }
}
