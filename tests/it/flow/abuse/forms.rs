//! HTTP requests to the endpoints that accept a form: logins at authorize, refreshing, revocation and introspection
//! (threats HTTP-01 to HTTP-04, HTTP-06, and HTTP-08 to HTTP-17).

use http::Method;
use serde_json::{Value, json};
use vestibule::network::Network;

use crate::fixture::{
    Answer, CHALLENGE, Call, Database, PASSWORD, PUBLIC_URL, Setup, Site, on_sqlite,
};

const AUTHORIZE: &str = "/services/oauth2/authorize";
const TOKEN: &str = "/services/oauth2/token";
const REVOKE: &str = "/services/oauth2/revoke";
const INTROSPECT: &str = "/services/oauth2/introspect";
const JANICE: &str = "janice@example.com";

#[track_caller]
fn assert_error(answer: &Answer, status: u16, error: &str, what: &str) {
    assert_eq!(answer.status, status, "{what}: {}", answer.body);
    assert_eq!(answer.json()["error"], error, "{what}");
}

/// Tokens of Janice, who is registered already, with a refresh token without rotation.
async fn logged_in(site: &Site) -> Value {
    let policies =
        json!({"scopes": "openid api refresh_token", "isRefreshTokenRotationEnabled": false});
    site.update_client(&site.client.id, policies).await;
    let answer = site
        .send(site.password_call(JANICE, PASSWORD))
        .await
        .expect_status(302);
    let call = site.token_call(&answer.location_parameter("code"));
    site.send(call).await.expect_ok().json()
}

fn text<'v>(tokens: &'v Value, name: &str) -> &'v str {
    tokens[name].as_str().expect("text")
}

fn refresh(site: &Site, tokens: &Value) -> Call {
    Call::post(TOKEN)
        .form("grant_type", "refresh_token")
        .form("client_id", &site.client.id)
        .form("client_secret", &site.client.secret)
        .form("refresh_token", text(tokens, "refresh_token"))
}

fn introspect(site: &Site, tokens: &Value) -> Call {
    Call::post(INTROSPECT)
        .form("client_id", &site.client.id)
        .form("client_secret", &site.client.secret)
        .form("token", text(tokens, "access_token"))
}

fn revoke(tokens: &Value) -> Call {
    Call::post(REVOKE).form("token", text(tokens, "refresh_token"))
}

/// Username and password in the body.
fn posted(site: &Site) -> Call {
    site.password_call("", "")
        .without_header("authorization")
        .form("username", JANICE)
        .form("password", PASSWORD)
}

on_sqlite! {
    async fn http_01_each_endpoint_has_its_methods(site: Site) {
        site.register(JANICE).await;
        let tokens = logged_in(&site).await;
        for (path, allow) in [(REVOKE, "GET, POST"), (INTROSPECT, "POST"), (AUTHORIZE, "GET, POST"), (TOKEN, "POST")] {
            for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "HEAD", "FOO", "get"] {
                let method = Method::from_bytes(method.as_bytes()).unwrap();
                let call = Call::new(method.clone(), path).form("token", text(&tokens, "refresh_token"));
                let answer = site.send(call.header("x-http-method-override", "POST")).await;
                // An answer to HEAD has no body.
                if method != Method::HEAD {
                    assert_error(&answer, 405, "invalid_request", method.as_str());
                }
                assert_eq!(answer.status, 405, "{method}");
                assert_eq!(answer.header("allow"), Some(allow), "{path}");
            }
        }
        site.send(refresh(&site, &tokens)).await.expect_ok();
    }
}

#[tokio::test]
async fn http_02_03_in_clear_and_at_no_site_nothing_is_answered() {
    let in_clear = Site::open_with_tls_required().await;
    let site = Site::open(Database::Sqlite).await;
    for path in [REVOKE, INTROSPECT, AUTHORIZE, TOKEN] {
        let call = Call::post(path).form("token", "x");
        let answer = in_clear.send(call.clone()).await;
        assert_error(&answer, 403, "invalid_request", path);
        assert_eq!(
            answer.json()["error_description"],
            "use a URL that starts with HTTPS"
        );
        let answer = site.send(call.host("evil.example")).await;
        assert_error(&answer, 404, "invalid_request", path);
        assert_eq!(answer.json()["error_description"], "invalid domain");
    }
}

on_sqlite! {
    async fn http_04_every_parameter_twice_is_refused(site: Site) {
        site.register(JANICE).await;
        let tokens = logged_in(&site).await;
        let login = posted(&site).form("login_hint", "x").form("customdata", "{}").form("code_challenge", CHALLENGE)
            .form("state", "s").form("scope", "openid").form("uvid_hint", "6f9619ff-8b86-4d01-b42d-00cf4fc964ff");
        let cases: [(&str, Call, &[&str]); 4] = [
            (AUTHORIZE, login, &["username", "password", "login_hint", "customdata", "code_challenge", "state", "scope",
                "uvid_hint", "client_id", "redirect_uri", "response_type"]),
            (TOKEN, refresh(&site, &tokens), &["refresh_token", "grant_type", "client_id", "client_secret", "scope", "format"]),
            (REVOKE, revoke(&tokens), &["token", "token_type_hint", "revoke_reason"]),
            (INTROSPECT, introspect(&site, &tokens), &["token", "token_type_hint", "client_id", "client_secret"]),
        ];
        for (path, good, names) in &cases {
            for name in *names {
                let twice = good.clone().form(name, "x").form(name, "y");
                assert_error(&site.send(twice).await, 400, "invalid_request", name);
                let split = good.clone().form(name, "x").at(&format!("/backend{path}?{name}=y"));
                assert_error(&site.send(split).await, 400, "invalid_request", name);
            }
        }
        // No token was revoked, and no attempt was counted.
        for (_, good, _) in cases {
            let status = site.send(good).await.status;
            assert!(status == 200 || status == 302, "{status}");
        }
    }
}

on_sqlite! {
    async fn http_06_08_a_form_is_a_form_of_a_size_and_in_clear(site: Site) {
        site.register(JANICE).await;
        let tokens = logged_in(&site).await;
        let token = json!({"token": text(&tokens, "refresh_token")});
        // A JSON body contains neither a token to revoke nor client credentials.
        for (path, status, error) in [(REVOKE, 400, "invalid_request"), (INTROSPECT, 400, "invalid_request")] {
            let call = Call::post(path).header("content-type", "application/json").json(&token);
            assert_error(&site.send(call).await, status, error, path);
            for size in [128 * 1024 + 1, 1 << 20] {
                site.send(Call::post(path).body(&vec![b'a'; size])).await.expect_status(413);
            }
            for encoding in ["gzip", "deflate", "br"] {
                let call = revoke(&tokens).at(&format!("/backend{path}")).header("content-encoding", encoding);
                site.send(call).await.expect_status(415);
            }
        }
        let as_json = json!({"username": JANICE, "password": PASSWORD});
        let call = site.password_call("", "").without_header("authorization");
        let query = format!("/backend{AUTHORIZE}?response_type=code_credentials&client_id={}&redirect_uri={}", site.client.id, site.redirect_uri);
        let call = ["response_type", "client_id", "redirect_uri"].iter().fold(call, |call, name| call.with(name, None));
        assert_error(&site.send(call.at(&query).json(&as_json)).await, 400, "invalid_request", "JSON at authorize");
        site.send(refresh(&site, &tokens)).await.expect_ok();
    }
}

on_sqlite! {
    async fn http_11_two_values_of_one_header_are_refused_and_not_picked_from(site: Site) {
        site.register(JANICE).await;
        let tokens = logged_in(&site).await;
        let login = site.password_call(JANICE, PASSWORD);
        let headers = [("auth-request-type", "passwordless-login"), ("authorization", "Basic eDp5")];
        for (name, other) in headers {
            assert_error(&site.send(login.clone().header(name, other)).await, 400, "invalid_request", name);
        }
        let secretless = |call: Call| call.with("client_id", None).with("client_secret", None);
        for call in [secretless(introspect(&site, &tokens)), secretless(refresh(&site, &tokens)), revoke(&tokens)] {
            let twice = call.basic(&site.client.id, &site.client.secret).basic(&site.client.id, "x");
            assert_error(&site.send(twice).await, 400, "invalid_request", "authorization");
        }
        site.send(refresh(&site, &tokens)).await.expect_ok();
    }
}

on_sqlite! {
    async fn http_12_a_path_is_the_path_or_nothing(site: Site) {
        site.register(JANICE).await;
        let tokens = logged_in(&site).await;
        for (path, call) in [(REVOKE, revoke(&tokens)), (INTROSPECT, introspect(&site, &tokens)), (AUTHORIZE, posted(&site))] {
            for wrong in [
                format!("/backend{path};v=1"), format!("/backend{path}/x"), format!("/backend{path}%2F"), format!("/backend{path}%20"),
                format!("/backend{}", path.to_uppercase()), format!("/backend{}", path.replace("oauth2", "oauth2/.")),
                format!("/backend{}", path.replace('2', "%32")), format!("/backend/x/..{path}"), format!("/BACKEND{path}"),
            ] {
                site.send(call.clone().at(&wrong)).await.expect_status(404);
            }
        }
        site.send(refresh(&site, &tokens)).await.expect_ok();
    }
}

on_sqlite! {
    async fn http_14_numbers_and_words_of_openid_connect_are_read_or_left(site: Site) {
        site.register(JANICE).await;
        for extra in [
            ("max_age", "1"), ("max_age", "\"1\""), ("display", "touch"), ("prompt", "login"), ("immediate", "true"),
            ("device_id", "4A5B"), ("sso_provider", "x"), ("response_mode", "query"), ("nonce", "1"), ("state", "1"),
        ] {
            let call = site.password_call(JANICE, PASSWORD).form(extra.0, extra.1);
            let answer = site.send(call).await.expect_status(302);
            let tokens = site.send(site.token_call(&answer.location_parameter("code"))).await.expect_ok().json();
            assert_eq!(tokens.get("state").is_some(), extra.0 == "state");
            assert!(tokens["issued_at"].is_string() && tokens["expires_in"].is_number());
        }
    }
}

#[tokio::test]
async fn http_15_no_answer_is_cached_and_hsts_follows_tls() {
    let setup = Setup {
        is_plain_allowed: false,
        trusted_proxies: vec!["203.0.113.7/32".parse::<Network>().expect("a network")],
        ..Setup::default()
    };
    let site = Site::open_with(Database::Sqlite, setup).await;
    let over_tls = |call: Call| site.send(call.header("x-forwarded-proto", "https"));
    let token = over_tls(
        Call::post(TOKEN)
            .form("grant_type", "client_credentials")
            .form("client_id", &site.integration.id)
            .form("client_secret", &site.integration.secret),
    );
    let tokens = token.await.expect_ok();
    let value = tokens.json();
    let calls = [
        Call::post(REVOKE).form("token", "x"),
        introspect(&site, &value),
        Call::get("/services/oauth2/userinfo").bearer(text(&value, "access_token")),
        site.password_call(JANICE, PASSWORD),
        Call::post(REVOKE),
        Call::get("/services/oauth2/echo?code=x"),
        Call::get("/no/such/path"),
    ];
    let mut answers = vec![tokens];
    for call in calls {
        answers.push(over_tls(call).await);
    }
    for answer in answers {
        assert_eq!(
            answer.header("cache-control"),
            Some("no-store"),
            "{}",
            answer.body
        );
        assert_eq!(answer.header("pragma"), Some("no-cache"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(
            answer.header("strict-transport-security"),
            Some("max-age=31536000")
        );
        for name in ["server", "x-powered-by", "set-cookie", "etag"] {
            assert_eq!(answer.header(name), None, "{name}");
        }
    }
}

on_sqlite! {
    async fn http_16_17_state_is_returned_unchanged_and_never_as_a_page(site: Site) {
        site.register(JANICE).await;
        let marks = ["\"><script>alert(1)</script>", "'; DROP TABLE app_user;--", "a b+c%20d&e=f#g", "ü€😀", &"x".repeat(4_096)];
        for mark in marks {
            let body = json!({"verificationmethod": "email", "username": JANICE, "recaptcha": "test-pass"});
            let begin = Call::post("/services/auth/headless/init/passwordless/login").on_public().json(&body);
            let begun = site.send(begin).await.expect_ok().json();
            let code = site.code_to(JANICE).await;
            for call in [
                site.public_authorize_call("passwordless-login", text(&begun, "identifier"), &code),
                site.public_authorize_call("Named-User", JANICE, PASSWORD),
            ] {
                let answer = site.send(call.form("state", mark).form("nonce", mark)).await.expect_status(302);
                assert_eq!(answer.location_parameter("state"), mark);
                let location = answer.header("location").unwrap();
                assert!(location.bytes().all(|byte| byte.is_ascii_graphic()) && !location.contains(['<', '"', '\'']));
                let echoed = site.send(Call::get("").at(location.strip_prefix(PUBLIC_URL).unwrap()).header("accept", "text/html")).await;
                assert_eq!(echoed.header("content-type"), Some("application/json;charset=UTF-8"));
                assert_eq!(echoed.header("x-content-type-options"), Some("nosniff"));
                assert_eq!(echoed.json()["state"], mark);
                let tokens = site.send(site.public_token_call(&answer.location_parameter("code"))).await.expect_ok().json();
                assert_eq!(tokens["state"], mark);
            }
        }
        for (name, mark) in [("state", "x".repeat(4_097)), ("nonce", "x".repeat(4_097)), ("state", "a\r\nSet-Cookie: b".to_owned()), ("state", "\0".to_owned())] {
            let answer = site.send(site.password_call(JANICE, PASSWORD).form(name, &mark)).await.expect_status(400);
            assert_eq!((answer.header("set-cookie"), answer.header("location")), (None, None));
        }
    }
}
