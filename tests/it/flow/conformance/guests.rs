//! Point 23: guests, with both forms of the header.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{AUTHORIZE, ECHO};
use crate::fixture::{CHALLENGE, Call, PUBLIC_URL, Site, on_both_databases};

const UUID: &str = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff";

/// The complete exchange of a guest, as a web page performs it: authorize, echo, and the token request with the
/// headers of the first request.
async fn guest(site: &Site, hint: &str) -> Value {
    let authorize = Call::post(AUTHORIZE)
        .on_public()
        .header("auth-request-type", "guest")
        .header("uvid-hint", hint)
        .form("response_type", "code_credentials")
        .form("client_id", &site.public_client.id)
        .form("redirect_uri", &site.public_redirect_uri)
        .form("code_challenge", CHALLENGE);
    let answer = site.send(authorize).await.expect_status(302);
    let location = answer.header("location").expect("a redirect").to_owned();
    let path = location
        .strip_prefix(PUBLIC_URL)
        .expect("the echo endpoint");
    assert!(path.starts_with(ECHO), "{path}");
    let echoed = site.send(Call::get("").at(path)).await.expect_ok().json();
    let call = site
        .public_token_call(echoed["code"].as_str().expect("a code"))
        .header("auth-request-type", "guest")
        .header("uvid-hint", hint);
    site.send(call).await.expect_ok().json()
}

fn claims(tokens: &Value) -> Value {
    let token = tokens["access_token"].as_str().expect("an access token");
    let claims = token.split('.').nth(1).expect("a JWT");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).expect("base64url")).expect("JSON")
}

on_both_databases! {
    async fn point_23_the_guest_flow_with_both_forms_of_the_header(site: Site) {
        let first = guest(&site, &format!("UVID {UUID}")).await;
        let again = guest(&site, &format!("JWT {}", first["access_token"].as_str().unwrap())).await;
        for tokens in [&first, &again] {
            assert_eq!(claims(tokens)["uvid"], UUID);
            assert_eq!(tokens["token_format"], "jwt");
            assert_eq!(tokens.get("refresh_token"), None);
            assert_eq!(tokens.get("id_token"), None);
        }
        assert_eq!(claims(&first)["sub"], claims(&again)["sub"], "one guest user for all guests of a site");
        assert_ne!(claims(&first)["jti"], claims(&again)["jti"]);
        let info = Call::get("/services/oauth2/userinfo").on_public().bearer(again["access_token"].as_str().unwrap());
        assert_eq!(site.send(info).await.expect_ok().json()["user_type"], json!("GUEST"));
    }
}
