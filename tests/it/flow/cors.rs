//! Cross-origin requests: which answers a page of another origin may read (threat ADM-03).

use http::Method;
use serde_json::json;

use crate::fixture::{Answer, Call, Site, on_sqlite};

const PAGE: &str = "https://shop.example.com";
const OAUTH: [&str; 5] = [
    "/services/oauth2/authorize",
    "/services/oauth2/token",
    "/services/oauth2/introspect",
    "/services/oauth2/revoke",
    "/services/auth/headless/init/registration",
];
const OPEN: [&str; 5] = [
    "/services/oauth2/echo",
    "/id/keys",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
    "/.well-known/auth-configuration",
];

async fn allow(site: &Site, origins: &[&str], is_on: bool) {
    let settings = json!({"corsAllowedOrigins": origins, "enableOauthCorsPolicy": is_on});
    site.update_settings(settings).await;
}

fn reader(answer: &Answer) -> Option<&str> {
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    answer.header("access-control-allow-origin")
}

fn preflight(path: &str) -> Call {
    Call::new(Method::OPTIONS, path)
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "auth-request-type,authorization",
        )
}

on_sqlite! {
    async fn a_preflight_is_answered_on_every_path(site: Site) {
        allow(&site, &[PAGE], true).await;
        let others = ["/services/oauth2/userinfo", "/id/00D/005", "/no/such/path", ""];
        for path in OAUTH.iter().chain(&OPEN).chain(&others) {
            let answer = site.send(preflight(path).header("origin", PAGE)).await.expect_status(204);
            assert_eq!(answer.body, "", "{path}");
            let expected = if OPEN.contains(path) { "*" } else { PAGE };
            assert_eq!(reader(&answer), Some(expected), "{path}");
            let methods = answer.header("access-control-allow-methods").unwrap();
            for method in ["GET", "POST", "OPTIONS"] {
                assert!(methods.contains(method), "{path}");
            }
            let headers = answer.header("access-control-allow-headers").unwrap();
            for header in ["Authorization", "Content-Type", "Auth-Request-Type", "Auth-Verification-Type",
                "Uvid-Hint", "Accept", "X-PrettyPrint", "OAuth-Client-Attestation", "OAuth-Client-Attestation-PoP", "DPoP"] {
                assert!(headers.split(", ").any(|known| known == header), "{header}");
            }
            let age: u32 = answer.header("access-control-max-age").unwrap().parse().unwrap();
            assert!(age >= 600);
            assert_eq!(answer.header("vary"), (!OPEN.contains(path)).then_some("Origin"), "{path}");
        }
    }
}

on_sqlite! {
    async fn adm_03_a_preflight_of_another_page_allows_nothing(site: Site) {
        allow(&site, &[PAGE, "https://*.example.org"], true).await;
        for origin in ["null", "https://evil.example", "https://shop.example.com.evil.example",
            "https://evilshop.example.com", "http://shop.example.com", "https://shop.example.com:8443",
            "https://evilexample.org", "https://example.org", "https://SHOP.example.com", ""] {
            let answer = site.send(preflight(OAUTH[1]).header("origin", origin)).await.expect_status(204);
            assert_eq!(reader(&answer), None, "{origin}");
            assert_eq!(answer.header("access-control-allow-headers"), None, "{origin}");
            assert_eq!(answer.header("vary"), Some("Origin"), "{origin}");
        }
        let answer = site.send(preflight(OAUTH[1]).header("origin", "https://a.example.org")).await;
        assert_eq!(reader(&answer), Some("https://a.example.org"));
    }
}

on_sqlite! {
    async fn the_list_opens_what_a_token_opens_and_the_switch_the_rest(site: Site) {
        let bearer_paths = ["/services/oauth2/userinfo", "/id/00D000000000001EAA/005000000000001AAA"];
        for (is_listed, is_on) in [(false, false), (false, true), (true, false), (true, true)] {
            let origins: &[&str] = if is_listed { &[PAGE] } else { &[] };
            allow(&site, origins, is_on).await;
            for path in OAUTH {
                let answer = site.send(Call::post(path).header("origin", PAGE)).await;
                assert_eq!(reader(&answer), (is_listed && is_on).then_some(PAGE), "{path}");
            }
            for path in bearer_paths {
                let answer = site.send(Call::get(path).header("origin", PAGE)).await.expect_status(401);
                assert_eq!(reader(&answer), is_listed.then_some(PAGE), "{path}");
                assert_eq!(answer.header("vary"), Some("Origin"));
            }
            for path in OPEN {
                for origin in [PAGE, "https://anybody.example", "null"] {
                    let answer = site.send(Call::get(path).header("origin", origin)).await.expect_ok();
                    assert_eq!(reader(&answer), Some("*"), "{path}");
                }
            }
        }
    }
}

on_sqlite! {
    async fn a_page_reads_the_redirect_the_errors_and_what_they_say_of_time(site: Site) {
        allow(&site, &[PAGE], true).await;
        let identifier = site.pending("janice@example.com").await;
        let code = site.code_to("janice@example.com").await;
        let call = site.authorize_call(&identifier, &code).header("origin", PAGE);
        let wrong = call.clone().with("client_id", Some("x"));
        for answer in [
            site.send(wrong).await.expect_status(400),
            site.send(call).await.expect_status(302),
            site.send(Call::get(OAUTH[1]).header("origin", PAGE)).await.expect_status(405),
            site.send(Call::get("/no/such/path").header("origin", PAGE)).await.expect_status(404),
        ] {
            assert_eq!(reader(&answer), Some(PAGE));
            let exposed = answer.header("access-control-expose-headers").unwrap();
            for header in ["Retry-After", "X-Request-Id", "WWW-Authenticate"] {
                assert!(exposed.split(", ").any(|known| known == header), "{header}");
            }
        }
    }
}

#[tokio::test]
async fn a_refusal_in_clear_can_be_read_and_a_preflight_in_clear_is_refused() {
    let site = Site::open_with_tls_required().await;
    allow(&site, &[PAGE], true).await;
    let call = Call::post(OAUTH[1]).header("origin", PAGE);
    let answer = site.send(call).await.expect_status(403);
    assert_eq!(reader(&answer), Some(PAGE));
    // A preflight asks whether the browser may send credentials in this way.
    let answer = site.send(preflight(OAUTH[1]).header("origin", PAGE)).await;
    answer.expect_status(403);
}

on_sqlite! {
    async fn where_there_is_no_site_no_origin_is_named(site: Site) {
        allow(&site, &[PAGE], true).await;
        for call in [preflight(OAUTH[1]), Call::post(OAUTH[1])] {
            let call = call.host("other.example.com").header("origin", PAGE);
            let answer = site.send(call).await;
            assert_eq!(reader(&answer), None);
            assert!(answer.status >= 400);
        }
    }
}

on_sqlite! {
    async fn a_request_without_an_origin_is_answered_without_cors_headers(site: Site) {
        let answer = site.send(Call::new(Method::OPTIONS, OAUTH[1])).await.expect_status(405);
        assert_eq!(answer.header("allow"), Some("POST"));
        let answer = site.send(Call::post(OAUTH[1])).await.expect_status(400);
        assert_eq!((reader(&answer), answer.header("vary")), (None, Some("Origin")));
    }
}

on_sqlite! {
    async fn the_sdks_learn_that_a_site_has_no_login_page(site: Site) {
        let answer = site.send(Call::get("/.well-known/auth-configuration")).await.expect_ok();
        assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
        let document = answer.json();
        assert_eq!(document["OrgId"], site.app.directory().org_id.as_str());
        assert_eq!(document["Url"], "https://site.example.com/backend");
        assert_eq!(document["MobileSDK"]["UseAndroidNativeBrowserForAuthentication"], false);
        assert_eq!(document["SamlProviders"], json!([]));
    }
}
