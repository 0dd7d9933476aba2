//! Codes, tokens, userinfo and the identity URL.
//!
//! Who may redeem a code, where, how often and how long (`codes`), PKCE (`pkce`), which redirect URIs match a
//! registered one (`redirect_uris`), tokens of both formats at the endpoints that accept them (`bearers`, `jwt`),
//! the life of the keys that sign them (`keys`), refreshing (`refresh`), the end of all of them after a restore (`restored`), revocation (`revoke`) and introspection
//! (`introspect`). Ids in the names are those of the threat catalogue.

mod bearers;
mod codes;
mod introspect;
mod jwt;
mod keys;
mod pkce;
mod redirect_uris;
mod refresh;
mod restored;
mod revoke;

use serde_json::{Value, json};
use vestibule::admin;
use vestibule::admin::client::CreateClient;
use vestibule::admin::site::CreateSite;

use crate::fixture::{Answer, Call, Site, TestClient, members};

pub const USERINFO: &str = "/services/oauth2/userinfo";

/// The refusal of a code, for every reason.
#[track_caller]
pub fn assert_invalid_grant(answer: &Answer) {
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert_eq!(answer.json()["error"], "invalid_grant", "{}", answer.body);
}

/// The status of userinfo for a token.
pub async fn userinfo_status(site: &Site, token: &str) -> u16 {
    site.send(Call::get(USERINFO).bearer(token)).await.status
}

pub fn access_token(tokens: &Value) -> &str {
    tokens["access_token"].as_str().expect("an access token")
}

/// A second app of the same installation, with the policies of the demo's private one.
pub async fn add_client(site: &Site, name: &str, changes: Value) -> TestClient {
    let mut policies = {
        let directory = site.app.directory();
        let model = directory.client(&site.client.id);
        let model = model.expect("the private client");
        members(serde_json::to_value(&model.policies).expect("policies are JSON"))
    };
    policies.extend(members(changes));
    let request = CreateClient {
        name: name.to_owned(),
        changes: policies,
    };
    let created = admin::client::create(&site.admin(), request).await;
    let created = created.expect("the client is created");
    site.refresh().await;
    TestClient {
        id: created.client.id,
        secret: created.secret.expose().to_owned(),
    }
}

/// A second site of the same installation, with the settings of the demo's.
pub async fn add_site(site: &Site, name: &str, base_url: &str) {
    let settings = &site.entry("private").site.settings;
    let settings = serde_json::to_value(settings).expect("settings are JSON");
    let request = CreateSite {
        name: name.to_owned(),
        base_url: base_url.to_owned(),
        changes: members(settings),
    };
    let created = admin::site::create(&site.admin(), request).await;
    created.expect("the site is created");
    site.refresh().await;
}

/// Runs statements and reloads the directory.
pub async fn execute_and_refresh(site: &Site, statements: String) {
    let bump = "UPDATE installation SET version = version + 1";
    site.execute(format!("{statements}; {bump}")).await;
    site.app
        .refresh()
        .await
        .expect("the directory is read again");
}

/// The private client's token request, sent by another client.
pub fn token_call_of(site: &Site, client: &TestClient, code: &str) -> Call {
    site.token_call(code)
        .with("client_id", Some(&client.id))
        .with("client_secret", Some(&client.secret))
}

/// Registers a user and redeems the code with these policies of the private client.
pub async fn register_with(site: &Site, policies: Value, username: &str) -> Value {
    site.update_client(&site.client.id, policies).await;
    site.register(username).await
}

/// Registers up to the code, with more form parameters at authorize.
pub async fn code_with(site: &Site, username: &str, parameters: &[(&str, &str)]) -> String {
    let identifier = site.pending(username).await;
    let code = site.code_to(username).await;
    let mut call = site.authorize_call(&identifier, &code);
    for (name, value) in parameters {
        call = call.with(name, Some(value));
    }
    site.send(call)
        .await
        .expect_status(302)
        .location_parameter("code")
}

/// `accessTokenFormat=jwt`.
pub fn jwt_format() -> Value {
    json!({"accessTokenFormat": "jwt"})
}

/// The policies of an app that refreshes and rotates.
pub fn rotating() -> Value {
    json!({"scopes": "openid api refresh_token", "isRefreshTokenRotationEnabled": true})
}

/// The refresh call of the private client.
pub fn refresh_call(site: &Site, refresh_token: &str) -> Call {
    Call::post("/services/oauth2/token")
        .form("grant_type", "refresh_token")
        .form("refresh_token", refresh_token)
        .form("client_id", &site.client.id)
        .form("client_secret", &site.client.secret)
}

/// Refreshes and expects a success.
pub async fn refreshed(site: &Site, refresh_token: &str) -> Value {
    let answer = site.send(refresh_call(site, refresh_token)).await;
    answer.expect_ok().json()
}

/// The refusal of a refresh token, for every reason.
#[track_caller]
pub fn assert_expired(answer: &Answer) {
    assert_invalid_grant(answer);
    let text = answer.json()["error_description"].clone();
    assert_eq!(text, "expired access/refresh token", "{}", answer.body);
}

pub fn refresh_token(tokens: &Value) -> &str {
    tokens["refresh_token"].as_str().expect("a refresh token")
}
