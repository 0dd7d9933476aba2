//! Every error of the endpoints: status, headers and whole body, one row each.
//!
//! The rows follow the Headless Identity error tables, the OAuth Authorization Errors page, RFC 6749 sections
//! 4.1.2.1 and 5.2 and RFC 6750 section 3.1, not the code. The page `docs/reference/errors.md` is printed at the
//! end, and compared.

mod reference;
mod rows;

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use serde_json::{Value, json};
use vestibule::admission::{Per, Rule, Surface};
use vestibule::delivery::Gateway;
use vestibule::hashing::{Hasher, QueueLine};

use self::rows::{INIT, Row, merged, oauth};
use crate::fixture::{
    Answer, Call, Database, PASSWORD, Setup, Site, on_both_databases, on_sqlite, registration,
};

/// The headers of every answer that must not be cached.
#[track_caller]
pub fn assert_private(answer: &Answer, what: &str) {
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
    assert_eq!(answer.header("pragma"), Some("no-cache"), "{what}");
    assert_eq!(
        answer.header("x-content-type-options"),
        Some("nosniff"),
        "{what}"
    );
    let id = answer.header("x-request-id").unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    assert!(
        id.len() >= 8 && id.bytes().all(is_plain),
        "{what}: x-request-id {id:?}"
    );
    assert_eq!(answer.header("server"), None, "{what}");
}

/// Compares a refusal with its row: no member may be missing or added.
#[track_caller]
fn assert_row(answer: &Answer, row: &Row) {
    let what = row.what;
    assert_eq!(answer.status, row.status, "{what}: {}", answer.body);
    assert_eq!(answer.json(), row.body, "{what}");
    let json = Some("application/json;charset=UTF-8");
    assert_eq!(answer.header("content-type"), json, "{what}");
    assert_private(answer, what);
    assert_eq!(answer.header("www-authenticate"), row.challenge, "{what}");
    assert_eq!(
        answer.header("error-detail"),
        row.detail.as_deref(),
        "{what}"
    );
    assert_eq!(answer.header("allow"), row.allow, "{what}");
    assert_eq!(answer.header("retry-after"), row.retry_after, "{what}");
    assert_eq!(answer.header("location"), None, "{what}");
}

on_sqlite! {
    async fn the_init_endpoint_refuses_as_documented(site: Site) {
        let token = site.integration_token(None).await;
        for (call, row) in rows::init_rows(&token) {
            assert_row(&site.send(call).await, &row);
        }
        site.deliver().await;
        assert!(site.inbox.list(None).is_empty(), "no refusal sends a message");
    }
}

on_sqlite! {
    async fn settings_disable_the_init_endpoint(site: Site) {
        let token = site.integration_token(None).await;
        let call = || Call::post(INIT).json(&registration("a@example.com"));
        site.update_settings(json!({"isHeadlessUserRegistrationAllowed": false})).await;
        let row = Row::of("switch off", 400, merged(
            "headless_registration_disabled", "invalid_experience", "enable the headless registration flow"));
        // The switch is checked before authentication, so that a mistake in the setup is reported as such.
        assert_row(&site.send(call()).await, &row);
        assert_row(&site.send(call().bearer(&token)).await, &row);

        // Such a site cannot be saved; if it existed, it would not be open to unauthenticated callers.
        site.force_settings_of("private", json!({
            "isHeadlessUserRegistrationAllowed": true, "doesRegistrationRequireAuth": false,
        })).await;
        let row = Row::of("no proof at all", 401, merged(
            "missing_auth_params", "invalid_request",
            "include an authentication header or reCAPTCHA parameter"))
            .challenge(r#"Bearer realm="Vestibule""#);
        assert_row(&site.send(call()).await, &row);
    }
}

on_sqlite! {
    async fn the_authorization_endpoint_refuses_as_documented(site: Site) {
        let identifier = site.pending("janice@example.com").await;
        let code = site.code_to("janice@example.com").await;
        let good = site.authorize_call(&identifier, &code);
        for (call, row) in rows::authorize_rows(&good) {
            assert_row(&site.send(call).await, &row);
        }
        // None of these mistakes was the user's, and none has spent an attempt: the code is still valid.
        site.send(good).await.expect_status(302);
    }
}

on_sqlite! {
    async fn policies_and_settings_refuse_at_authorize(site: Site) {
        let identifier = site.pending("janice@example.com").await;
        let code = site.code_to("janice@example.com").await;
        let good = site.authorize_call(&identifier, &code);
        for (row, off, on) in rows::client_rows() {
            site.update_client(&site.client.id, off).await;
            assert_row(&site.send(good.clone()).await, &row);
            site.update_client(&site.client.id, on).await;
        }
        for (row, off, on) in rows::settings_rows() {
            site.update_settings(off).await;
            assert_row(&site.send(good.clone()).await, &row);
            site.update_settings(on).await;
        }
        site.send(good).await.expect_status(302);
    }
}

on_both_databases! {
    async fn the_token_endpoint_refuses_as_documented(site: Site) {
        let code = site.registered_code("janice@example.com").await;
        let good = site.token_call(&code);
        for (call, row) in rows::token_rows(&good, &site) {
            assert_row(&site.send(call).await, &row);
        }
        // None of these spent the code.
        site.send(good.clone()).await.expect_ok();
        let row = Row::of("code spent", 400, oauth("invalid_grant", "invalid authorization code"));
        assert_row(&site.send(good).await, &row);

        let code = site.registered_code("other@example.com").await;
        site.advance(Duration::from_secs(61));
        let row = Row::of("code expired", 400, oauth("invalid_grant", "expired authorization code"));
        assert_row(&site.send(site.token_call(&code)).await, &row);
    }
}

on_sqlite! {
    async fn protected_endpoints_refuse_as_in_rfc_6750(site: Site) {
        let tokens = site.register("janice@example.com").await;
        let other = site.register("other@example.com").await;
        for (call, row) in rows::bearer_rows(&tokens, &other) {
            assert_row(&site.send(call).await, &row);
        }
    }
}

#[tokio::test]
async fn echo_refuses_what_is_not_a_short_get() {
    let site = Site::open(Database::Sqlite).await;
    for (call, row) in rows::echo_rows() {
        assert_row(&site.send(call).await, &row);
    }
}

#[tokio::test]
async fn http_02_a_request_in_clear_is_refused_in_the_shape_of_its_endpoint() {
    let site = Site::open_with_tls_required().await;
    let text = "use a URL that starts with HTTPS";
    let row = Row::of(
        "init",
        403,
        merged("https_required", "invalid_request", text),
    );
    assert_row(&site.send(Call::post(INIT)).await, &row);
    // Before the method and before the host: nothing else is disclosed over plain HTTP.
    assert_row(&site.send(Call::get(INIT)).await, &row);
    assert_row(
        &site.send(Call::post(INIT).host("evil.example")).await,
        &row,
    );
    for path in ["authorize", "token", "userinfo", "echo"] {
        let row = Row::of(path, 403, oauth("invalid_request", text));
        assert_row(
            &site
                .send(Call::get(&format!("/services/oauth2/{path}")))
                .await,
            &row,
        );
    }
    // Only a trusted proxy may report that the request was encrypted.
    let forged = Call::post(INIT)
        .header("x-forwarded-proto", "https")
        .header("forwarded", "proto=https");
    let row = Row::of(
        "forged",
        403,
        merged("https_required", "invalid_request", text),
    );
    assert_row(&site.send(forged).await, &row);
}

#[tokio::test]
async fn http_03_a_host_that_is_no_site_is_refused_in_the_shape_of_its_endpoint() {
    let site = Site::open(Database::Sqlite).await;
    let row = Row::of(
        "init",
        404,
        merged("invalid_domain", "invalid_request", "invalid domain"),
    );
    for host in [
        "evil.example",
        "site.example.com:8443",
        "site.example.com.evil.example",
        "127.0.0.1",
    ] {
        assert_row(&site.send(Call::post(INIT).host(host)).await, &row);
        // The method is checked before the host.
        let call = Call::get(INIT).host(host);
        site.send(call).await.expect_status(405);
    }
    // A path that only resembles a site's prefix belongs to the site at the root, which has no such path.
    let elsewhere = Call::post(INIT).at(&format!("/backendx{INIT}"));
    let answer = site.send(elsewhere).await.expect_status(404);
    assert_eq!(answer.json()["error"], "not_found");
    let row = Row::of("token", 404, oauth("invalid_request", "invalid domain"));
    assert_row(
        &site
            .send(Call::post("/services/oauth2/token").host("evil.example"))
            .await,
        &row,
    );
}

#[tokio::test]
async fn a_text_message_without_a_gateway_is_otp_generation_failed() {
    let setup = Setup {
        sms: Some(Gateway::None),
        ..Setup::default()
    };
    let site = Site::open_with(Database::Sqlite, setup).await;
    let mut body = registration("janice@example.com");
    body["verificationmethod"] = json!("sms");
    body["customdata"] = json!({"mobilePhone": "+12035550100"});
    let row = Row::of(
        "no gateway",
        400,
        merged(
            "otp_generation_failed",
            "otp_error",
            "OTP generation failed",
        ),
    );
    assert_row(&site.init(&body).await, &row);
}

on_both_databases! {
    async fn the_sixth_code_of_an_hour_is_refused_with_the_time_to_come_back(site: Site) {
        let token = site.integration_token(None).await;
        let call = Call::post(INIT).bearer(&token).json(&registration("janice@example.com"));
        for _ in 0..5 {
            site.send(call.clone()).await.expect_ok();
            site.advance(Duration::from_secs(60));
        }
        let row = Row::of("sixth", 429, merged(
            "rate_limit_exceeded", "rate_limit_exceeded", "too many one-time passwords requested"));
        // The first was sent five minutes ago and counts for fifty-five more.
        assert_row(&site.send(call.clone()).await, &row.clone().retry_after("3300"));
        // A caller that waits for `Retry-After` is accepted, so half a second is rounded up to one.
        site.advance(Duration::from_millis(500));
        assert_row(&site.send(call.clone()).await, &row.clone().retry_after("3300"));
        site.advance(Duration::from_millis(3_298_500));
        assert_row(&site.send(call.clone()).await, &row.retry_after("1"));
        site.advance(Duration::from_secs(1));
        let token = site.integration_token(None).await;
        let call = Call::post(INIT).bearer(&token).json(&registration("janice@example.com"));
        site.send(call).await.expect_ok();
        site.deliver().await;
        site.inbox.clear();
    }
}

/// Puts jobs into the hashing queue until it is full.
fn fill(hasher: &Hasher) -> Vec<Pin<Box<dyn Future<Output = bool> + '_>>> {
    let mut waiting: Vec<Pin<Box<dyn Future<Output = bool> + '_>>> = Vec::new();
    let mut context = Context::from_waker(Waker::noop());
    for network in 0..64 {
        let password = PASSWORD.to_owned().into();
        // Each from another network: a longer line would make room for the caller.
        let line = QueueLine::of(IpAddr::from([198, 51, network, 1]), "");
        let mut job = Box::pin(async { hasher.hash(line, password, [7; 16]).await.is_ok() });
        // A job is in the queue once its future was polled; a full queue responds at once.
        match job.as_mut().poll(&mut context) {
            Poll::Ready(false) => return waiting,
            _ => waiting.push(job),
        }
    }
    panic!("the queue never filled");
}

#[tokio::test]
async fn pwd_08_a_full_hashing_queue_is_503_and_nothing_is_queued_for_the_caller() {
    let mut setup = Setup::default();
    setup.config.hashing.threads = 1;
    setup.config.hashing.queue = 8;
    setup.config.limits.rules = vec![Rule {
        surface: Surface::Init,
        per: Per::Target,
        count: 1,
        seconds: 60,
        burst: None,
    }];
    let site = Site::open_with(Database::Sqlite, setup).await;
    let token = site.integration_token(None).await;
    let row = Row::of(
        "queue full",
        503,
        merged(
            "temporarily_unavailable",
            "temporarily_unavailable",
            "the server is busy; retry your request",
        ),
    )
    .retry_after("1");
    // One of the queued jobs may end just before the request arrives; then it is repeated.
    for round in 0..20 {
        let waiting = fill(&site.app.hasher);
        let username = format!("janice{round}@example.com");
        let answer = site
            .send(
                Call::post(INIT)
                    .bearer(&token)
                    .json(&registration(&username)),
            )
            .await;
        drop(waiting);
        if answer.status == 200 {
            site.code_to(&username).await;
            continue;
        }
        assert_row(&answer, &row);
        site.deliver().await;
        assert!(
            site.inbox.list(None).is_empty(),
            "a refused registration sends nothing"
        );
        // It was not charged to the rate limits, so the same request is accepted once there is room.
        let again = Call::post(INIT).bearer(&token);
        let answer = site.send(again.json(&registration(&username))).await;
        answer.expect_ok();
        site.code_to(&username).await;
        return;
    }
    panic!("the queue was never full");
}

#[tokio::test]
async fn pwd_08_a_mailbox_without_a_code_left_burns_no_hash() {
    let mut setup = Setup::default();
    setup.config.hashing.threads = 1;
    setup.config.hashing.queue = 8;
    setup.config.otp.registration.codes_per_hour = Some(1);
    let site = Site::open_with(Database::Sqlite, setup).await;
    let token = site.integration_token(None).await;
    site.init(&registration("janice@example.com"))
        .await
        .expect_ok();
    site.code_to("janice@example.com").await;
    // Nothing that hashes would get a 429 now; one job may have ended in between.
    for _ in 0..5 {
        let waiting = fill(&site.app.hasher);
        let call = Call::post(INIT).bearer(&token);
        let answer = site.send(call.json(&registration("janice@example.com")));
        assert_eq!(answer.await.status, 429);
        drop(waiting);
    }
}

on_both_databases! {
    async fn a_broken_database_is_500_and_discloses_nothing(site: Site) {
        let tokens = site.register("janice@example.com").await;
        let token = site.integration_token(None).await;
        let code = site.registered_code("other@example.com").await;
        let bearer = tokens["access_token"].as_str().unwrap();
        site.execute("ALTER TABLE challenge RENAME TO challenge_away").await;
        let row = Row::of("init", 500, merged("unknown_error", "unknown_error", "retry your request"));
        let call = Call::post(INIT).bearer(&token).json(&registration("new@example.com"));
        assert_row(&site.send(call).await, &row);
        let broken = oauth("server_error", "the server could not answer this request");
        let row = Row::of("authorize", 500, broken.clone());
        assert_row(&site.send(site.authorize_call("0RXabc", "123456")).await, &row);

        site.execute("ALTER TABLE access_token RENAME TO access_token_away").await;
        let row = Row::of("token", 500, broken.clone());
        assert_row(&site.send(site.token_call(&code)).await, &row);
        let row = Row::of("userinfo", 500, broken.clone());
        assert_row(&site.send(Call::get("/services/oauth2/userinfo").bearer(bearer)).await, &row);
        // A client logs out on 401, so an integration token that cannot be looked up is not a 401.
        let row = Row::of("init", 500, merged("unknown_error", "unknown_error", "retry your request"));
        let call = Call::post(INIT).bearer(&token).json(&registration("new@example.com"));
        assert_row(&site.send(call).await, &row);

        // The table is restored, and the code was not lost by the fault.
        site.execute("ALTER TABLE access_token_away RENAME TO access_token").await;
        site.send(site.token_call(&code)).await.expect_ok();
    }
}

/// Common properties of all errors, whatever is sent: never a success, never a page.
#[tokio::test]
async fn an_error_is_never_a_page() {
    let site = Site::open(Database::Sqlite).await;
    for path in [
        "/",
        "",
        "/services",
        "/login",
        "/services/oauth2/authorize/",
        "/id",
        "/id/",
        "/%00",
    ] {
        let answer = site
            .send(Call::get(path).header("accept", "text/html"))
            .await;
        assert!(answer.status >= 400, "{path}: {}", answer.status);
        assert_eq!(
            answer.header("content-type"),
            Some("application/json;charset=UTF-8"),
            "{path}"
        );
        let body: Value = answer.json();
        assert!(
            body["error"].is_string() && body["error_description"].is_string(),
            "{path}: {body}"
        );
    }
}
