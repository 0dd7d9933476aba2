//! HTTP requests to the JSON endpoints for existing users: passwordless login and forgot password (threats HTTP-01
//! to HTTP-08, 11, 12, 14 and 15).

use http::Method;
use serde_json::{Value, json};

use crate::fixture::{Answer, Call, Database, Site, on_sqlite};

const LOGIN: &str = "/services/auth/headless/init/passwordless/login";
const RESET: &str = "/services/auth/headless/forgot_password";
const BOTH: [&str; 2] = [LOGIN, RESET];
const JANICE: &str = "janice@example.com";

/// A body that either endpoint accepts.
fn good(path: &str) -> Value {
    let mut body = json!({"username": JANICE, "recaptcha": "test-pass"});
    if path == LOGIN {
        body["verificationmethod"] = json!("email");
    }
    body
}

fn post(path: &str) -> Call {
    Call::post(path).on_public()
}

/// No message is queued, not even a suppressed one: no flow was started.
async fn assert_nothing_begun(site: &Site) {
    site.deliver().await;
    assert!(site.inbox.list(None).is_empty());
}

#[track_caller]
fn assert_code(answer: &Answer, status: u16, status_code: &str, what: &str) {
    assert_eq!(answer.status, status, "{what}: {}", answer.body);
    assert_eq!(answer.json()["status_code"], status_code, "{what}");
    assert_eq!(answer.json()["status"], "failed", "{what}");
}

on_sqlite! {
    async fn http_01_only_post_begins(site: Site) {
        for path in BOTH {
            for method in ["GET", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "TRACE", "post", "FOO"] {
                let method = Method::from_bytes(method.as_bytes()).unwrap();
                let call = Call::new(method.clone(), path).on_public().json(&good(path));
                for call in [call.clone(), call.clone().header("x-http-method-override", "POST"),
                    call.at(&format!("{path}?_method=POST"))] {
                    let answer = site.send(call).await;
                    // An answer to HEAD has no body.
                    if method != Method::HEAD {
                        assert_code(&answer, 405, "post_required", method.as_str());
                    }
                    assert_eq!(answer.status, 405, "{method}");
                    assert_eq!(answer.header("allow"), Some("POST"));
                }
            }
        }
        assert_nothing_begun(&site).await;
    }
}

#[tokio::test]
async fn http_02_03_in_clear_and_at_no_site_nothing_begins() {
    let in_clear = Site::open_with_tls_required().await;
    let site = Site::open(Database::Sqlite).await;
    for path in BOTH {
        let call = post(path).json(&good(path));
        let forged = call.clone().header("x-forwarded-proto", "https");
        for call in [call.clone(), forged] {
            let answer = in_clear.send(call).await;
            assert_code(&answer, 403, "https_required", path);
        }
        for host in [
            "evil.example",
            "site.example.com.evil.example",
            "site.example.com:8443",
            "127.0.0.1",
        ] {
            let answer = site.send(call.clone().host(host)).await;
            assert_code(&answer, 404, "invalid_domain", host);
        }
        let named = call
            .clone()
            .host("evil.example")
            .header("x-forwarded-host", "site.example.com");
        assert_code(&site.send(named).await, 404, "invalid_domain", "forwarded");
    }
    assert_nothing_begun(&in_clear).await;
    assert_nothing_begun(&site).await;
}

/// Bodies that are not JSON, or JSON that two parsers could interpret differently.
fn ambiguous(good: &str) -> Vec<Vec<u8>> {
    let inside = |text: &str| good.replacen('{', &format!("{{{text},"), 1);
    let deep = format!("{}1{}", r#"{"a":"#.repeat(10_000), "}".repeat(10_000));
    let mut utf_16: Vec<u8> = vec![0xFF, 0xFE];
    utf_16.extend(good.encode_utf16().flat_map(u16::to_le_bytes));
    let mut invalid = good.as_bytes().to_vec();
    invalid[15] = 0xFF;
    vec![
        inside(r#""username":"b@example.com""#).into_bytes(),
        inside(r#""username":"janice@example.com""#).into_bytes(),
        inside(r#""\u0075sername":"b@example.com""#).into_bytes(),
        inside(r#""customdata":{"a":1,"a":2}"#).into_bytes(),
        inside(r#""customdata":"{\"a\":1,\"a\":2}""#).into_bytes(),
        inside(&format!(r#""customdata":{deep}"#)).into_bytes(),
        inside(r#""customdata":{"a":1e400}"#).into_bytes(),
        inside(r#""login_hint":NaN"#).into_bytes(),
        inside(r#""login_hint":"\ud800""#).into_bytes(),
        inside(r#""login_hint":'y'"#).into_bytes(),
        good.replace('}', ",}").into_bytes(),
        format!("{good}x").into_bytes(),
        format!("{good}{good}").into_bytes(),
        format!("// c\n{good}").into_bytes(),
        format!("\u{feff}\u{feff}{good}").into_bytes(),
        format!("[{good}]").into_bytes(),
        "[".repeat(100_000).into_bytes(),
        utf_16,
        invalid,
        Vec::new(),
        b"null".to_vec(),
        b"\0".to_vec(),
    ]
}

on_sqlite! {
    async fn http_05_07_json_that_two_parsers_could_read_differently_is_refused(site: Site) {
        let token = site.integration_token(None).await;
        for path in BOTH {
            for body in ambiguous(&good(path).to_string()) {
                let start = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
                let answer = site.send(Call::post(path).bearer(&token).body(&body)).await;
                assert_code(&answer, 400, "invalid_params", &start);
                // A captcha that cannot be read for certain is none, so that an unauthenticated caller gets that error first.
                let answer = site.send(post(path).body(&body)).await;
                assert_eq!(answer.status, 400, "{start}: {}", answer.body);
            }
        }
        assert_nothing_begun(&site).await;
    }
}

on_sqlite! {
    async fn http_05_an_event_and_a_second_phase_have_each_member_once(site: Site) {
        let event = r#"{"username":"janice@example.com","verificationmethod":"email","recaptchaevent":{"token":"test-fail","siteKey":"k","projectId":"p","token":"test-pass"}}"#;
        let login = site.send(post(LOGIN).body(event.as_bytes())).await.expect_status(400).json();
        assert!(login["status_code"] == "invalid_params" || login["status_code"] == "recaptcha_req", "{login}");
        for twice in [
            r#"{"username":"janice@example.com","otp":"1","otp":"2","newpassword":"Another-Pa55word"}"#,
            r#"{"username":"janice@example.com","otp":"1","newpassword":"Another-Pa55word","newpassword":"x"}"#,
            r#"{"username":"janice@example.com","otp":"1","newpassword":"Another-Pa55word","recaptcha":"test-pass","recaptcha":"x"}"#,
        ] {
            let token = site.integration_token(None).await;
            let answer = site.send(Call::post(RESET).bearer(&token).body(twice.as_bytes())).await;
            assert_code(&answer, 400, "invalid_params", twice);
        }
        assert_nothing_begun(&site).await;
    }
}

on_sqlite! {
    async fn http_06_a_body_is_read_as_json_whatever_it_is_called(site: Site) {
        let token = site.integration_token(None).await;
        let form = "username=janice@example.com&verificationmethod=email";
        let multipart = "--b\r\nContent-Disposition: form-data; name=\"username\"\r\n\r\nx\r\n--b--";
        for path in BOTH {
            for (content_type, body) in [
                ("application/json", form), ("application/x-www-form-urlencoded", form), ("multipart/form-data; boundary=b", multipart),
            ] {
                let call = Call::post(path).bearer(&token).header("content-type", content_type).body(body.as_bytes());
                assert_code(&site.send(call).await, 400, "invalid_params", content_type);
            }
            // Parameters in the URL are not members.
            let call = Call::post(&format!("{path}?{form}")).bearer(&token).body(b"{}");
            assert_code(&site.send(call).await, 400, "invalid_params", "query");
            for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/json;charset=utf-8", "x"] {
                site.send(post(path).header("content-type", content_type).json(&good(path))).await.expect_ok();
            }
        }
        site.deliver().await;
        site.inbox.clear();
    }
}

on_sqlite! {
    async fn http_08_bodies_have_a_limit_and_are_not_compressed(site: Site) {
        for path in BOTH {
            for size in [128 * 1024 + 1, 1 << 20] {
                let answer = site.send(post(path).body(&vec![b' '; size])).await;
                assert_code(&answer, 413, "invalid_params", path);
            }
            for encoding in ["gzip", "deflate", "br", "GZIP", "identity, gzip"] {
                let call = post(path).header("content-encoding", encoding).json(&good(path));
                assert_code(&site.send(call).await, 415, "invalid_params", encoding);
            }
            let mut body = good(path);
            body["customdata"] = json!({"note": "x".repeat(100_000)});
            assert!(site.send(post(path).json(&body)).await.status < 500);
        }
        site.deliver().await;
        site.inbox.clear();
    }
}

on_sqlite! {
    async fn http_11_two_authorizations_are_refused_and_not_picked_from(site: Site) {
        let token = site.integration_token(None).await;
        for path in BOTH {
            let call = Call::post(path).bearer(&token).json(&good(path));
            for other in ["Bearer other", "Basic eDp5", ""] {
                for call in [call.clone().header("authorization", other),
                    Call::post(path).header("authorization", other).bearer(&token).json(&good(path))] {
                    assert_code(&site.send(call).await, 400, "invalid_params", other);
                }
            }
            let mut many = call.bearer(&token);
            for number in 0..200 {
                many = many.header(&format!("x-noise-{number}"), "x").header(&format!("x_under_{number}"), "y");
            }
            site.send(many).await.expect_ok();
        }
        site.deliver().await;
        site.inbox.clear();
    }
}

on_sqlite! {
    async fn http_12_a_path_is_the_path_or_nothing(site: Site) {
        for path in BOTH {
            for wrong in [
                format!("{path};v=1"), path.replace("headless", "Headless"), format!("{path}%2F"),
                path.replace("/auth/", "/./auth/"), path.replace("/auth/", "/x/../auth/"),
                path.replace("services/", "services%2F"), path.replace("/services", "/%73ervices"), format!("{path}%00"),
                format!("/public{path}"), format!("{path}/reset"), path.replace("login", "verify").replace("_password", "-password"),
            ] {
                let answer = site.send(post(path).at(&wrong).json(&good(path))).await;
                assert_eq!(answer.status, 404, "{wrong}: {}", answer.body);
            }
            // The other site's endpoint requires a token.
            let answer = site.send(Call::post(path).json(&good(path))).await;
            assert_code(&answer, 401, "authentication_req", path);
            site.send(post(path).at(&format!("{path}?")).json(&good(path))).await.expect_ok();
        }
        site.deliver().await;
        site.inbox.clear();
    }
}

on_sqlite! {
    async fn http_14_a_number_is_no_text_and_a_text_no_number(site: Site) {
        let token = site.integration_token(None).await;
        let send = |path: &str, body: &Value| site.send(Call::post(path).bearer(&token).json(body));
        for path in BOTH {
            for (name, value) in [
                ("username", json!(5)), ("username", json!(true)), ("username", json!([JANICE])), ("username", json!({"a": 1})),
                ("login_hint", json!(10_023)), ("emailtemplate", json!(0)), ("recaptcha", json!(1)), ("recaptchaevent", json!("x")),
                ("customdata", json!(1)), ("customdata", json!("1")),
            ] {
                let mut body = good(path);
                body[name] = value;
                assert_code(&send(path, &body).await, 400, "invalid_params", &body.to_string());
            }
        }
        let body = json!({"username": JANICE, "otp": 123_456, "newpassword": "Another-Pa55word"});
        assert_code(&send(RESET, &body).await, 400, "invalid_params", "otp");
        assert_nothing_begun(&site).await;
    }
}

on_sqlite! {
    async fn http_15_no_answer_is_cached(site: Site) {
        site.register(JANICE).await;
        for path in BOTH {
            for call in [post(path).json(&good(path)), post(path), Call::get(path).on_public()] {
                let answer = site.send(call).await;
                assert_eq!(answer.header("cache-control"), Some("no-store"));
                assert_eq!(answer.header("pragma"), Some("no-cache"));
                assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
                assert_eq!(answer.header("content-type"), Some("application/json;charset=UTF-8"));
                for name in ["server", "x-powered-by", "set-cookie", "etag", "location"] {
                    assert_eq!(answer.header(name), None, "{name}");
                }
            }
        }
        site.deliver().await;
        site.inbox.clear();
    }
}
