//! Redirect URIs: exactly the registered text (RFC 9700 section 2.1, RFC 8252 section 7.3).

use serde_json::{Value, json};
use vestibule::client::Policies;

use crate::fixture::{Call, Site, on_sqlite};

const REGISTERED: &str = "https://app.example.com/cb";

async fn ready(site: &Site, callbacks: Value) -> Call {
    site.update_client(&site.client.id, json!({"callbackUrl": callbacks}))
        .await;
    let identifier = site.pending("janice@example.com").await;
    let code = site.code_to("janice@example.com").await;
    site.authorize_call(&identifier, &code)
}

on_sqlite! {
    async fn ruri_01_to_16_what_is_not_the_registered_text_is_refused_without_a_redirect(site: Site) {
        let good = ready(&site, json!(REGISTERED)).await;
        let long = format!("{REGISTERED}/{}", "x".repeat(10_000));
        let presented = [
            "https://app.example.com/cb/", "https://app.example.com/cb?x=1", "https://app.example.com/cb?",
            "https://app.example.com/cb#f", "https://app.example.com/cb#", "https://APP.example.com/cb",
            "HTTPS://app.example.com/cb", "https://app.example.com/CB", "https://app.example.com:443/cb",
            "http://app.example.com/cb", "//app.example.com/cb", "/cb",
            "https://app.example.com@evil.test/", "https://app.example.com@evil.test/cb",
            "https://a@b@app.example.com/cb", "https://user@app.example.com/cb",
            "https://app.example.com/cb/../x", "https://app.example.com/x/../cb", "https://app.example.com/cb/..;/x",
            "https://app.example.com/%63b", "https://app.example.com/cb%2F", "https://app.example.com/cb/%2e%2e",
            "https://app.example.com\\cb", "https:\\\\app.example.com\\cb",
            "https://app.example.com.evil.test/cb", "https://evil.test/https://app.example.com/cb",
            "javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd",
            "https://аpp.example.com/cb", "https://xn--pp-6kc.example.com/cb", "https://app。example.com/cb",
            " https://app.example.com/cb", "https://app.example.com/cb ", "*", "null", &long,
        ];
        for redirect_uri in presented {
            let answer = site.send(good.clone().with("redirect_uri", Some(redirect_uri))).await;
            assert_eq!(answer.status, 400, "{redirect_uri}: {}", answer.body);
            assert_eq!(answer.json()["error"], "redirect_uri_mismatch", "{redirect_uri}");
            assert_eq!(answer.header("location"), None, "{redirect_uri}");
            assert!(!answer.body.contains("evil") && !answer.body.contains("alert"), "{redirect_uri}");
        }
        for control in ["\r\nX-Evil: 1", "\n", "\0", "\t"] {
            let presented = format!("{REGISTERED}{control}x");
            let answer = site.send(good.clone().with("redirect_uri", Some(&presented))).await.expect_status(400);
            assert_eq!(answer.header("x-evil"), None);
            assert_eq!(answer.header("location"), None);
        }
        let answer = site.send(good.with("redirect_uri", Some(REGISTERED))).await.expect_status(302);
        assert!(answer.header("location").unwrap().starts_with("https://app.example.com/cb?code=aPrx"));
    }
}

on_sqlite! {
    async fn ruri_12_13_only_the_port_of_a_loopback_ip_is_free(site: Site) {
        let callbacks = json!(["http://127.0.0.1/cb", "http://localhost:3000/cb", "http://[::1]:1/cb"]);
        let good = ready(&site, callbacks).await;
        for redirect_uri in [
            "http://localhost:3001/cb", "http://localhost/cb", "http://localhost.evil.test:3000/cb",
            "http://127.0.0.1.evil.test/cb", "http://127.0.0.1:80@evil.test/cb", "http://127.0.0.2/cb",
            "http://127.0.0.1:5000/other", "https://127.0.0.1:5000/cb", "http://0.0.0.0/cb", "http://2130706433/cb",
            "http://127.0.0.1:5000/cb/../other", "http://127.1/cb", "http://[::1]:2/other",
        ] {
            let answer = site.send(good.clone().with("redirect_uri", Some(redirect_uri))).await;
            assert_eq!(answer.status, 400, "{redirect_uri}");
            assert_eq!(answer.json()["error"], "redirect_uri_mismatch", "{redirect_uri}");
        }
        // The token request repeats the redirect URI of authorize, including the port (RFC 6749 section 4.1.3).
        let native = "http://127.0.0.1:51004/cb";
        let code = site.send(good.with("redirect_uri", Some(native))).await.expect_status(302).location_parameter("code");
        site.send(site.token_call(&code).with("redirect_uri", Some(native))).await.expect_ok();
    }
}

on_sqlite! {
    async fn ruri_17_a_registered_query_is_kept_and_the_answer_has_one_code_and_one_state(site: Site) {
        let registered = "https://app.example.com/cb?tenant=1&x=%20y";
        let good = ready(&site, json!(registered)).await;
        let call = good.with("redirect_uri", Some(registered)).form("state", "s");
        let answer = site.send(call).await.expect_status(302);
        let location = answer.header("location").unwrap();
        assert!(location.starts_with("https://app.example.com/cb?tenant=1&x=%20y&code=aPrx"), "{location}");
        let names: Vec<String> = answer.location_parameters().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["tenant", "x", "code", "sfdc_community_url", "sfdc_community_id", "state"]);
    }
}

#[test]
fn ruri_14_17_18_what_may_not_be_registered() {
    let register = |callback: &str| {
        let changes = json!({"scopes": "openid", "callbackUrl": callback});
        Policies::default().updated(changes.as_object().unwrap())
    };
    for bad in [
        "javascript:alert(1)",
        "JAVASCRIPT:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "https://app.example.com/cb?code=1&state=2",
        "https://app.example.com/cb?%63ode=1",
        "https://app.example.com/cb?state=",
        "https://*.example.com/cb",
        "https://app.example.com/*",
        "https://app.example.com/cb#f",
        "https://user:pw@app.example.com/cb",
        "app.example.com/cb",
        "/cb",
        "myapp:/cb",
        "http://app.example.com/cb",
        "http://localhost.evil.test/cb",
        "http://127.0.0.1.evil.test/cb",
        "https://app.example.com/c b",
        "https://app.example.com/cb\r\nX-Evil: 1",
        "https://аpp.example.com/cb",
        "https:///cb",
    ] {
        assert!(register(bad).is_err(), "{bad}");
    }
    for good in [
        REGISTERED,
        "http://127.0.0.1/cb",
        "http://localhost:3000/cb",
        "com.example.app:/cb",
        "https://192.0.2.1/cb",
    ] {
        assert!(register(good).is_ok(), "{good}");
    }
}
