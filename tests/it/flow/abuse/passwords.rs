//! The Basic header of existing users: a password, or the code of a login (threats BASIC-01 to BASIC-12).

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::json;

use super::assert_refused;
use crate::fixture::{Call, PASSWORD, Site, on_both_databases, on_sqlite, registration};

const JANICE: &str = "janice@example.com";

/// A user with this password.
async fn customer(site: &Site, username: &str, password: &str) {
    let mut body = registration(username);
    body["password"] = json!(password);
    let begun = site.init(&body).await.expect_ok().json();
    let code = site.code_to(username).await;
    let call = site.authorize_call(begun["identifier"].as_str().unwrap(), &code);
    site.send(call).await.expect_status(302);
}

/// A login by password with this Authorization header.
fn with_header(site: &Site, value: &str) -> Call {
    let call = site.password_call("", "").without_header("authorization");
    call.header("authorization", value)
}

/// Identifier and code of a started passwordless login.
async fn begun(site: &Site) -> (String, String) {
    let body = json!({"verificationmethod": "email", "username": JANICE, "recaptcha": "test-pass"});
    let call = Call::post("/services/auth/headless/init/passwordless/login").on_public();
    let begun = site.send(call.json(&body)).await.expect_ok().json();
    let code = site.code_to(JANICE).await;
    (begun["identifier"].as_str().unwrap().to_owned(), code)
}

on_sqlite! {
    async fn basic_01_02_a_password_may_hold_colons_and_any_letter(site: Site) {
        for (number, password) in ["::Pa55:word::", "Pa55w\u{f6}rd\u{2028}\u{1f511}", "p\u{e4}ss:w\u{f6}rt:1\u{df}"].into_iter().enumerate() {
            let username = format!("u{number}@example.com");
            customer(&site, &username, password).await;
            site.send(site.password_call(&username, password)).await.expect_status(302);
            let (first, _) = password.split_at(password.find(':').unwrap_or(4));
            assert_refused(&site.send(site.password_call(&username, first)).await);
        }
        // Compared as it was set: in one Unicode form.
        let decomposed = "Pa55wo\u{308}rd\u{2028}\u{1f511}";
        site.send(site.password_call("u1@example.com", decomposed)).await.expect_status(302);
    }
}

on_sqlite! {
    async fn basic_03_04_05_07_09_what_cannot_be_read_is_a_wrong_password(site: Site) {
        customer(&site, JANICE, PASSWORD).await;
        let pair = format!("{JANICE}:{PASSWORD}");
        let good = STANDARD.encode(&pair);
        let bytes = |bytes: &[u8]| STANDARD.encode(bytes);
        let mut latin = pair.clone().into_bytes();
        latin.push(0xE9);
        let encoded = [
            bytes(&latin), bytes(b"\xff\xfe:\x80"),
            // Nothing is cut off at a NUL, on either side.
            bytes(format!("{pair}\0").as_bytes()), bytes(format!("{pair}\0x").as_bytes()), bytes(format!("{JANICE}\0:{PASSWORD}").as_bytes()),
            bytes(format!("{JANICE}\0x:{PASSWORD}").as_bytes()),
            bytes(format!(":{PASSWORD}").as_bytes()), bytes(format!("{JANICE}:").as_bytes()), bytes(b":"), bytes(b""),
            bytes(format!("{JANICE}{PASSWORD}").as_bytes()), bytes(format!("{pair}\n").as_bytes()), bytes(format!("{pair} ").as_bytes()),
            format!("{}={}", &good[..8], &good[8..]), format!("{} {}", &good[..8], &good[8..]), format!("{good}==="),
            format!("\"{good}\""), "!!!!".to_owned(), "A".repeat(16_384), bytes("\u{e9}".repeat(4_000).as_bytes()),
        ];
        let distinct = encoded.len();
        for (number, encoded) in encoded.into_iter().enumerate() {
            let answer = site.send(with_header(&site, &format!("Basic {encoded}"))).await;
            assert_refused(&answer);
            if number % 5 == 4 {
                // The failures of one user stay below the lockout threshold.
                site.send(with_header(&site, &format!("Basic {good}"))).await.expect_status(302);
            }
        }
        assert!(distinct > 15);
        for value in ["Basic", "Digest x", "", &good, "Basic:", "Basi c"] {
            let answer = site.send(with_header(&site, value)).await.expect_status(400).json();
            assert!(answer["error"] == "invalid_request" || answer["error"] == "invalid_grant", "{value}");
        }
    }
}

on_sqlite! {
    async fn basic_05_06_every_spelling_that_clients_use_is_read(site: Site) {
        let password = "Pa55:w0rd?>~\u{ff}";
        customer(&site, JANICE, password).await;
        for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
            for scheme in ["Basic", "basic", "BASIC", "bAsIc"] {
                let value = format!("{scheme} {}", engine.encode(format!("{JANICE}:{password}")));
                site.send(with_header(&site, &value)).await.expect_status(302);
            }
        }
    }
}

on_sqlite! {
    async fn basic_08_credentials_come_once_and_in_one_place(site: Site) {
        customer(&site, JANICE, PASSWORD).await;
        let good = site.password_call(JANICE, PASSWORD);
        let bare = good.clone().without_header("authorization");
        let (identifier, code) = begun(&site).await;
        let login = site.public_authorize_call("passwordless-login", &identifier, &code);
        for call in [
            good.clone().basic(JANICE, "other"), good.clone().bearer("token"), good.clone().form("password", PASSWORD),
            good.clone().form("username", JANICE), good.clone().form("username", JANICE).form("password", PASSWORD),
            bare.clone().form("username", JANICE), bare.clone().form("password", PASSWORD),
            bare.clone().form("username", JANICE).form("password", PASSWORD).form("password", "x"),
            login.clone().basic("x", "y"), login.clone().form("username", JANICE), login.clone().form("password", PASSWORD),
        ] {
            let answer = site.send(call).await.expect_status(400);
            assert_eq!(answer.json()["error"], "invalid_request", "{}", answer.body);
        }
        // The same header twice counts once; none of the others was an attempt.
        site.send(good.basic(JANICE, PASSWORD)).await.expect_status(302);
        site.send(bare.form("username", JANICE).form("password", PASSWORD)).await.expect_status(302);
        site.send(login).await.expect_status(302);
    }
}

on_sqlite! {
    async fn basic_10_a_name_is_taken_literally(site: Site) {
        customer(&site, "jan+ice@example.com", "Pa%3A55+word").await;
        site.send(site.password_call("jan+ice@example.com", "Pa%3A55+word")).await.expect_status(302);
        for (username, password) in [
            ("jan%2Bice@example.com", "Pa%3A55+word"), ("jan ice@example.com", "Pa%3A55+word"),
            ("jan+ice@example.com", "Pa:55+word"), ("jan+ice@example.com", "Pa%3A55 word"),
        ] {
            assert_refused(&site.send(site.password_call(username, password)).await);
        }
        // In a form it is encoded, and decoded once.
        let bare = site.password_call("", "").without_header("authorization");
        let call = bare.form("username", "jan+ice@example.com").form("password", "Pa%3A55+word");
        site.send(call).await.expect_status(302);
    }
}

on_both_databases! {
    async fn basic_11_a_colon_more_is_a_wrong_code(site: Site) {
        customer(&site, JANICE, PASSWORD).await;
        let (identifier, code) = begun(&site).await;
        for (left, right) in [
            (identifier.clone(), format!("{code}:")), (identifier.clone(), format!(":{code}")),
            (format!("{identifier}:"), code.clone()), (format!("x:{identifier}"), code.clone()),
        ] {
            assert_refused(&site.send(site.public_authorize_call("passwordless-login", &left, &right)).await);
        }
        // Two or three of them were readable and have each spent an attempt; the code is still valid.
        site.send(site.public_authorize_call("passwordless-login", &identifier, &code)).await.expect_status(302);
    }
}

on_both_databases! {
    async fn basic_12_a_request_without_a_type_is_not_an_attempt(site: Site) {
        customer(&site, JANICE, PASSWORD).await;
        let (identifier, code) = begun(&site).await;
        let password = site.password_call(JANICE, "Wr0ng-password").without_header("auth-request-type");
        let wrong_code = site.public_authorize_call("x", &identifier, "000000x").without_header("auth-request-type");
        for request_type in ["", "login", "Named User", "Named-User,passwordless-login", "named_user", "guest", "passwordless"] {
            for call in [&password, &wrong_code] {
                let call = call.clone().header("auth-request-type", request_type);
                let answer = site.send(call).await.expect_status(400).json();
                assert_eq!(answer["error"], "invalid_request", "{request_type}");
            }
        }
        for call in [password.clone(), password, wrong_code.clone(), wrong_code] {
            assert_eq!(site.send(call).await.expect_status(400).json()["error"], "invalid_request");
        }
        // A credential that is right in one flow is wrong in the others, and costs no attempt in its own.
        for _ in 0..6 {
            for request_type in ["user-registration", "Named-User"] {
                let call = site.public_authorize_call(request_type, &identifier, &code);
                assert_refused(&site.send(call).await);
            }
            for request_type in ["user-registration", "passwordless-login"] {
                let call = site.public_authorize_call(request_type, JANICE, PASSWORD);
                assert_refused(&site.send(call).await);
            }
        }
        site.send(site.public_authorize_call("passwordless-login", &identifier, &code)).await.expect_status(302);
        site.send(site.password_call(JANICE, PASSWORD)).await.expect_status(302);
    }
}
