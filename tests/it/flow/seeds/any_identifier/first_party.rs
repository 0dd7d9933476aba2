//! The flows of "OAuth 2.0 for First-Party Applications" on the same page: an order number with a password and with
//! a one-time password, at the documented endpoint (and at authorize, where the page has it) and at the endpoint of
//! the draft; there a reset, too.

use serde_json::Value;

use super::*;
use crate::first_party::mint::{Instance, STANDARD_PATH, asserted, enable, enable_public};
use crate::fixture::VERIFIER;

const COOKIE: &str = r#"{"cookie":"seen-before"}"#;

fn text(body: &Value, name: &str) -> String {
    let member = body[name].as_str();
    member
        .unwrap_or_else(|| panic!("no {name}: {body}"))
        .to_owned()
}

/// The user of the code, by the token of the private client.
async fn whose(site: &Site, answer: Answer) -> String {
    let code = text(&answer.expect_ok().json(), "authorization_code");
    let call = Call::post("/services/oauth2/token")
        .form("grant_type", "authorization_code")
        .form("code", &code)
        .form("client_id", &site.client.id)
        .form("client_secret", &site.client.secret)
        .form("code_verifier", VERIFIER);
    text(&site.send(call).await.expect_ok().json(), "id")
}

/// With a client assertion, posted to the documented endpoint and to authorize.
pub(super) async fn at_the_documented_endpoint(site: &Site, way: Way) {
    let shop = shop(site, way).await;
    enable(site).await;
    let hinted = |call: Call| call.form("login_hint", ORDER).form("customdata", COOKIE);
    for path in [
        "/services/oauth2/v1/authorization_challenge",
        "/services/oauth2/authorize",
    ] {
        let call = hinted(asserted(site))
            .at(&format!("/backend{path}"))
            .form("password", PASSWORD);
        let id = whose(site, site.send(call).await).await;
        assert!(id.ends_with(&shop.user_id), "{way:?} {path}");
    }
    let begin = hinted(asserted(site)).form("verificationmethod", "email");
    let begun = site.send(begin).await.expect_status(403).json();
    assert_eq!(begun["error_code"], "login_initialized");
    let otp = site.code_to(USERNAME).await;
    let go_on = asserted(site)
        .form("auth_session", &text(&begun, "auth_session"))
        .form("otp", &otp);
    assert!(
        whose(site, site.send(go_on).await)
            .await
            .ends_with(&shop.user_id),
        "{way:?}"
    );
    // An unknown number gets the response to a wrong password, and the offer of a code that is never sent.
    shop.knows(false);
    let hinted = |call: Call| {
        call.form("login_hint", "ORD-99999")
            .form("customdata", COOKIE)
    };
    let unknown = site
        .send(hinted(asserted(site)).form("password", PASSWORD))
        .await;
    assert_eq!(
        unknown.expect_status(403).json()["error_code"],
        "invalid_credentials"
    );
    let unknown = site
        .send(hinted(asserted(site)).form("verificationmethod", "email"))
        .await;
    assert_eq!(
        unknown.expect_status(403).json()["error_code"],
        "login_initialized"
    );
    site.deliver().await;
    site.inbox.clear();
}

/// Attested by an instance of the public app, at the endpoint of the draft.
pub(super) async fn at_the_standard_endpoint(site: &Site, way: Way) {
    const NEW_PASSWORD: &str = "An0ther-Secret-Pa55";
    let _shop = shop(site, way).await;
    enable_public(site).await;
    let instance = Instance::new();
    let asks = async || {
        instance
            .asks(site)
            .await
            .form("login_hint", ORDER)
            .form("customdata", COOKIE)
    };
    let continues = async |session: &Value| {
        let call = instance.call(site, STANDARD_PATH).await;
        call.form("auth_session", &text(session, "auth_session"))
    };
    site.send(asks().await.form("password", PASSWORD))
        .await
        .expect_ok();
    let begun = site.send(asks().await).await.expect_status(403).json();
    assert_eq!(begun["error_code"], "login_initialized", "{way:?}");
    let otp = site.code_to(USERNAME).await;
    site.send(continues(&begun).await.form("otp", &otp))
        .await
        .expect_ok();

    let reset = asks().await.form("challenge_type", "password_reset");
    let begun = site.send(reset).await.expect_status(403).json();
    let otp = site.code_to(USERNAME).await;
    let choose = continues(&begun)
        .await
        .form("otp", &otp)
        .form("newpassword", NEW_PASSWORD);
    let done = site.send(choose).await.expect_status(403).json();
    assert_eq!(done["error_code"], "password_changed", "{way:?}");
    site.send(asks().await.form("password", NEW_PASSWORD))
        .await
        .expect_ok();
    site.send(asks().await.form("password", PASSWORD))
        .await
        .expect_status(403);
    site.deliver().await;
    site.inbox.clear();
}
