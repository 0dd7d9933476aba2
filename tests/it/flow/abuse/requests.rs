//! HTTP requests to the registration endpoint (threats HTTP-01 to HTTP-08, 11, 12, 15 to 17).

use http::Method;
use serde_json::{Value, json};

use super::{INIT, opened};
use crate::fixture::{BASE_URL, Call, Database, Setup, Site, on_sqlite, registration};

const TOKEN: &str = "/services/oauth2/token";

on_sqlite! {
    async fn http_01_only_post_starts_a_registration(site: Site) {
        let token = site.integration_token(None).await;
        for method in ["GET", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "TRACE", "post", "FOO"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let call = Call::new(method.clone(), INIT).bearer(&token).json(&registration("a@example.com"));
            for call in [call.clone(), call.clone().header("x-http-method-override", "POST"),
                call.at(&format!("/backend{INIT}?_method=POST"))] {
                let answer = site.send(call).await;
                assert_eq!(answer.status, 405, "{method}");
                assert_eq!(answer.header("allow"), Some("POST"), "{method}");
            }
        }
        site.deliver().await;
        assert!(site.inbox.list(None).is_empty());
    }
}

on_sqlite! {
    async fn http_04_every_parameter_twice_is_refused(site: Site) {
        let (identifier, code) = opened(&site, "a@example.com").await;
        let good = site.authorize_call(&identifier, &code)
            .form("state", "s").form("nonce", "n").form("scope", "openid")
            .form("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        for name in ["response_type", "client_id", "redirect_uri", "state", "nonce", "scope", "code_challenge", "unknown"] {
            let twice = good.clone().form(name, "x").form(name, "y");
            let answer = site.send(twice).await.expect_status(400);
            assert_eq!(answer.json()["error"], "invalid_request", "{name}");
            let split = good.clone().form(name, "x").at(&format!("/backend/services/oauth2/authorize?{name}=y"));
            let answer = site.send(split).await.expect_status(400);
            assert_eq!(answer.json()["error"], "invalid_request", "{name} in the query");
        }
        // The same value twice counts once; different values are refused.
        let answer = site.send(good.form("state", "s").at("/backend/services/oauth2/authorize?state=s")).await;
        let code = answer.expect_status(302).location_parameter("code");
        let good = site.token_call(&code);
        for name in ["grant_type", "code", "client_id", "client_secret", "redirect_uri", "code_verifier", "format"] {
            let answer = site.send(good.clone().form(name, "x").form(name, "y")).await.expect_status(400);
            assert_eq!(answer.json()["error"], "invalid_request", "{name}");
        }
    }
}

on_sqlite! {
    async fn http_05_07_json_that_two_parsers_could_read_differently_is_refused(site: Site) {
        let token = site.integration_token(None).await;
        let good = registration("a@example.com").to_string();
        let inside = |text: &str| good.replacen('{', &format!("{{{text},"), 1);
        let deep = format!("{}1{}", r#"{"a":"#.repeat(10_000), "}".repeat(10_000));
        let mut utf_16: Vec<u8> = vec![0xFF, 0xFE];
        utf_16.extend(good.encode_utf16().flat_map(u16::to_le_bytes));
        let mut invalid = good.clone().into_bytes();
        invalid[30] = 0xFF;
        let bad: Vec<Vec<u8>> = vec![
            inside(r#""password":"Other-Pa55word""#).into_bytes(),
            good.replace(r#""username""#, r#""username":"b@example.com","username""#).into_bytes(),
            inside(r#""p\u0061ssword":"Other-Pa55word""#).into_bytes(),
            inside(&format!(r#""customdata":{deep}"#)).into_bytes(),
            "[".repeat(100_000).into_bytes(),
            inside(r#""x":1e400"#).into_bytes(),
            inside(r#""x":NaN"#).into_bytes(),
            inside(r#""x":01"#).into_bytes(),
            inside(r#""x":'y'"#).into_bytes(),
            good.replace('}', ",}").into_bytes(),
            format!("{good}x").into_bytes(),
            format!("{good}{good}").into_bytes(),
            format!("/* c */{good}").into_bytes(),
            format!("\u{feff}\u{feff}{good}").into_bytes(),
            utf_16, invalid, Vec::new(), b"null".to_vec(), b"\0".to_vec(),
        ];
        for body in bad {
            let start = body.iter().take(60).copied().collect::<Vec<u8>>();
            let answer = site.send(Call::post(INIT).bearer(&token).body(&body)).await;
            assert_eq!(answer.status, 400, "{}", String::from_utf8_lossy(&start));
            assert_eq!(answer.json()["status_code"], "invalid_params");
        }
        let digits = inside(&format!(r#""x":{}"#, "9".repeat(100_000)));
        let status = site.send(Call::post(INIT).bearer(&token).body(digits.as_bytes())).await.status;
        assert!(status < 500, "{status}");
        site.deliver().await;
        site.inbox.clear();
    }
}

on_sqlite! {
    async fn http_06_a_body_of_another_kind_is_refused(site: Site) {
        let token = site.integration_token(None).await;
        let form = "userdata=x&password=y";
        let multipart = "--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nx\r\n--b--";
        for (content_type, body) in [
            ("application/json", form), ("application/x-www-form-urlencoded", form), ("multipart/form-data; boundary=b", multipart),
        ] {
            let call = Call::post(INIT).bearer(&token).header("content-type", content_type).body(body.as_bytes());
            assert_eq!(site.send(call).await.expect_status(400).json()["status_code"], "invalid_params");
        }
        // JSON at the token endpoint is no form, and the refusal says so.
        let body = json!({"grant_type": "client_credentials", "client_id": site.integration.id, "client_secret": site.integration.secret});
        let call = Call::post(TOKEN).header("content-type", "application/json").json(&body);
        assert_eq!(site.send(call).await.expect_status(400).json()["error"], "invalid_request");
        let call = Call::post(TOKEN).header("content-type", "multipart/form-data; boundary=b").body(multipart.as_bytes());
        site.send(call).await.expect_status(400);
    }
}

on_sqlite! {
    async fn http_08_bodies_have_a_limit_and_are_not_compressed(site: Site) {
        let token = site.integration_token(None).await;
        let mut body = registration("a@example.com");
        body["customdata"] = json!({"note": "x".repeat(100_000)});
        site.send(Call::post(INIT).bearer(&token).json(&body)).await.expect_ok();
        site.code_to("a@example.com").await;
        for size in [128 * 1024 + 1, 1 << 20] {
            for path in [INIT, TOKEN, "/services/oauth2/authorize", "/services/oauth2/userinfo"] {
                let answer = site.send(Call::post(path).body(&vec![b' '; size])).await;
                assert_eq!(answer.status, 413, "{path} {size}");
            }
        }
        for encoding in ["gzip", "deflate", "br", "GZIP", "identity, gzip"] {
            let call = Call::post(INIT).bearer(&token).header("content-encoding", encoding).json(&body);
            site.send(call).await.expect_status(415);
        }
    }
}

on_sqlite! {
    async fn http_11_two_values_of_one_header_are_refused_and_not_picked_from(site: Site) {
        let (identifier, code) = opened(&site, "a@example.com").await;
        let good = site.authorize_call(&identifier, &code);
        for (name, other) in [
            ("auth-request-type", "Named-User"), ("auth-verification-type", "sms"), ("authorization", "Basic eDp5"),
        ] {
            let answer = site.send(good.clone().header(name, other)).await.expect_status(400);
            assert_eq!(answer.json()["error"], "invalid_request", "{name}");
        }
        let token = site.integration_token(None).await;
        let two = Call::post(INIT).bearer(&token).bearer("other").json(&registration("b@example.com"));
        let answer = site.send(two).await;
        assert!(matches!(answer.status, 400 | 401), "{}", answer.body);
        let mut many = good;
        for number in 0..200 {
            many = many.header(&format!("x-noise-{number}"), "x").header(&format!("x_under_{number}"), "y");
        }
        site.send(many).await.expect_status(302);
    }
}

on_sqlite! {
    async fn http_12_a_path_is_the_path_or_nothing(site: Site) {
        let token = site.integration_token(None).await;
        for path in [
            "/backend/services/auth/headless/init/registration/x", "/backend//x/services/auth/headless/init/registration",
            "/backend/./services/auth/headless/init/registration", "/backend/x/../services/auth/headless/init/registration",
            "/backend/services%2Fauth/headless/init/registration", "/backend/services/auth/headless/init/registration%2F",
            "/backend/services/auth/headless/init/registration;v=1", "/backend/services/auth/headless/init/Registration",
            "/BACKEND/services/auth/headless/init/registration", "/backend/services/auth/headless/init/registratio%6e",
            "/backend/services/auth/headless/init/registration%00", "/%62ackend/services/auth/headless/init/registration",
            "/backend/backend/services/auth/headless/init/registration", "/backend",
        ] {
            let call = Call::post("").at(path).bearer(&token).json(&registration("a@example.com"));
            let answer = site.send(call).await;
            assert_eq!(answer.status, 404, "{path}: {}", answer.body);
        }
        site.deliver().await;
        assert!(site.inbox.list(None).is_empty());
        let tokens = site.register("b@example.com").await;
        let path = tokens["id"].as_str().unwrap().strip_prefix("https://site.example.com").unwrap();
        for path in [format!("{path}/x"), path.replace("/id/", "/id/x/"), format!("{path};x")] {
            let call = Call::get("").at(&path).bearer(tokens["access_token"].as_str().unwrap());
            let status = site.send(call).await.status;
            assert!(matches!(status, 403 | 404), "{path}: {status}");
        }
    }
}

on_sqlite! {
    async fn http_15_responses_with_secrets_are_not_cached(site: Site) {
        let identifier = site.init(&registration("a@example.com")).await.expect_ok();
        let code = site.code_to("a@example.com").await;
        let value: Value = identifier.json();
        let redirect = site.send(site.authorize_call(value["identifier"].as_str().unwrap(), &code)).await;
        let tokens = site.send(site.token_call(&redirect.location_parameter("code"))).await;
        let token = tokens.json()["access_token"].as_str().unwrap().to_owned();
        let info = site.send(Call::get("/services/oauth2/userinfo").bearer(&token)).await;
        for answer in [&identifier, &redirect, &tokens, &info] {
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            assert_eq!(answer.header("pragma"), Some("no-cache"));
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
            assert!(answer.header("x-request-id").is_some());
            for name in ["server", "x-powered-by", "set-cookie", "etag"] {
                assert_eq!(answer.header(name), None, "{name}");
            }
        }
    }
}

on_sqlite! {
    async fn http_16_state_and_nonce_come_back_byte_for_byte_or_not_at_all(site: Site) {
        let marks = ["\"><script>alert(1)</script>", "'; DROP TABLE app_user;--", "a b+c%20d&e=f#g", "ü€😀", "\\", &"x".repeat(4_096)];
        for (number, mark) in marks.into_iter().enumerate() {
            let (identifier, code) = opened(&site, &format!("u{number}@example.com")).await;
            let call = site.authorize_call(&identifier, &code).form("state", mark).form("nonce", mark);
            let answer = site.send(call).await.expect_status(302);
            assert_eq!(answer.location_parameter("state"), mark);
            assert!(answer.header("location").unwrap().bytes().all(|byte| byte.is_ascii_graphic()));
            let tokens = site.send(site.token_call(&answer.location_parameter("code"))).await.expect_ok().json();
            assert_eq!(tokens["state"], mark);
            let payload = tokens["id_token"].as_str().unwrap().split('.').nth(1).unwrap().to_owned();
            let bytes = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, payload).unwrap();
            assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap()["nonce"], mark);
        }
        let (identifier, code) = opened(&site, "last@example.com").await;
        for (name, mark) in [("state", "x".repeat(4_097)), ("nonce", "x".repeat(4_097)), ("state", "a\r\nSet-Cookie: b".to_owned()), ("state", "\0".to_owned())] {
            let answer = site.send(site.authorize_call(&identifier, &code).form(name, &mark)).await.expect_status(400);
            assert_eq!((answer.header("set-cookie"), answer.header("location")), (None, None));
        }
    }
}

on_sqlite! {
    async fn http_17_echo_reflects_no_page_and_no_unknown_name(site: Site) {
        let page = "%3Chtml%3E%3Cscript%3Ealert(1)%3C/script%3E";
        for name in ["code", "state", "error", "error_description", "x", "access_token", "callback"] {
            let answer = site.send(Call::get(&format!("/services/oauth2/echo?{name}={page}")).header("accept", "text/html")).await;
            let answer = answer.expect_ok();
            assert_eq!(answer.header("content-type"), Some("application/json;charset=UTF-8"));
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
            let is_known = !matches!(name, "x" | "access_token" | "callback");
            assert_eq!(answer.json().as_object().unwrap().len(), usize::from(is_known), "{name}");
        }
    }
}

/// MAIL-09: the host of a request does not change the content of the response.
#[tokio::test]
async fn mail_09_no_header_decides_where_an_answer_points() {
    let setup = Setup {
        trusted_proxies: vec!["203.0.113.0/24".parse().unwrap()],
        ..Setup::default()
    };
    let site = Site::open_with(Database::Sqlite, setup).await;
    let hostile = |call: Call| {
        call.header("forwarded", "host=evil.test;proto=http")
            .header("x-forwarded-host", "evil.test")
            .header("x-forwarded-server", "evil.test")
            .header("x-forwarded-prefix", "/evil.test")
            .header("x-original-url", "/evil.test")
            .header("x-rewrite-url", "/evil.test")
            .header("origin", "https://evil.test")
            .header("referer", "https://evil.test/")
    };
    let token = site.integration_token(None).await;
    let init = Call::post(INIT)
        .bearer(&token)
        .json(&registration("a@example.com"));
    let answer = site.send(hostile(init)).await.expect_ok();
    assert!(!answer.body.contains("evil"));
    site.deliver().await;
    let message = site.inbox.list(None).pop().unwrap();
    site.inbox.clear();
    for part in [
        &message.subject,
        &message.text,
        message.html.as_ref().unwrap(),
        &message.message_id,
    ] {
        assert!(!part.contains("evil"), "{part}");
    }
    assert!(
        message.text.contains("site.example.com")
            || message.message_id.contains("site.example.com"),
        "{}",
        message.text
    );
    let identifier = answer.json()["identifier"].as_str().unwrap().to_owned();
    let call = site.authorize_call(&identifier, &message.code.clone().unwrap());
    let redirect = site.send(hostile(call)).await.expect_status(302);
    assert_eq!(redirect.location_parameter("sfdc_community_url"), BASE_URL);
    assert!(!redirect.header("location").unwrap().contains("evil"));
    let tokens = site
        .send(hostile(
            site.token_call(&redirect.location_parameter("code")),
        ))
        .await
        .expect_ok();
    assert!(!tokens.body.contains("evil"));
    for path in [
        "/.well-known/openid-configuration",
        "/services/oauth2/userinfo",
    ] {
        let call = Call::get(path).bearer(tokens.json()["access_token"].as_str().unwrap());
        assert!(
            !site
                .send(hostile(call))
                .await
                .expect_ok()
                .body
                .contains("evil"),
            "{path}"
        );
    }
}
