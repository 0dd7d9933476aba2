//! Limits, over the wire: the rate limiter (here) and guessing (`guessing`), by the ids of the threat catalogue.
//! Buckets alone are tested beside their code.

mod accounts;
mod guessing;
mod page;

use std::time::Duration;

use serde_json::json;
use vestibule::admission::{Per, Rule, Surface};

use super::abuse::{assert_refused, opened, other_code};
use crate::fixture::{Answer, Call, Database, PASSWORD, Setup, Site, registration};

const INIT: &str = "/services/auth/headless/init/registration";
const TOKEN: &str = "/services/oauth2/token";

/// A site with one rule.
async fn limited(surface: Surface, per: Per, count: u32) -> Site {
    let mut setup = Setup::default();
    setup.config.limits.rules = vec![Rule {
        surface,
        per,
        count,
        seconds: 60,
        burst: None,
    }];
    Site::open_with(Database::Sqlite, setup).await
}

#[track_caller]
fn assert_limited(answer: &Answer, retry_after: &str) {
    assert_eq!(answer.status, 429, "{}", answer.body);
    assert_eq!(answer.header("retry-after"), Some(retry_after));
    let body = answer.json();
    assert_eq!(body["error"], "rate_limit_exceeded");
    assert_eq!(body["error_description"], "login rate exceeded");
}

#[tokio::test]
async fn codes_are_limited_by_address_and_a_right_code_does_not_count() {
    let site = limited(Surface::Redeem, Per::IpPrefix, 3).await;
    for number in 0..4 {
        let (identifier, code) = opened(&site, &format!("u{number}@example.com")).await;
        let answer = site.send(site.authorize_call(&identifier, &code)).await;
        answer.expect_status(302);
    }
    let (identifier, code) = opened(&site, "janice@example.com").await;
    let wrong = || site.authorize_call(&identifier, &other_code(&code));
    for _ in 0..3 {
        assert_refused(&site.send(wrong()).await);
    }
    assert_limited(&site.send(wrong()).await, "20");
    let right = site.authorize_call(&identifier, &code);
    assert_limited(&site.send(right.clone()).await, "20");
    // A request that the rate limiter refused was not an attempt: two attempts are left, here and elsewhere.
    site.send_from("203.0.113.8", right)
        .await
        .expect_status(302);
    site.advance(Duration::from_secs(20));
    assert_refused(&site.send(wrong()).await);
    assert_limited(&site.send(wrong()).await, "20");
}

#[tokio::test]
async fn net_13_codes_presented_from_one_64_share_a_limit() {
    let site = limited(Surface::Redeem, Per::IpPrefix, 4).await;
    let guess = || site.authorize_call("0RXunknown", "123456");
    for ip in [
        "2001:db8:1:2::1",
        "2001:db8:1:2::2",
        "2001:db8:1:2:a:b:c:d",
        "2001:db8:1:2:ffff::",
    ] {
        assert_refused(&site.send_from(ip, guess()).await);
    }
    assert_limited(&site.send_from("2001:db8:1:2::9", guess()).await, "15");
    assert_refused(&site.send_from("2001:db8:1:3::1", guess()).await);
    for _ in 0..2 {
        assert_refused(&site.send_from("192.0.2.1", guess()).await);
        assert_refused(&site.send_from("::ffff:192.0.2.1", guess()).await);
    }
    assert_limited(&site.send_from("::ffff:c000:201", guess()).await, "15");
}

#[tokio::test]
async fn net_12_a_forwarded_address_counts_from_a_listed_proxy_only() {
    let mut setup = Setup {
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
        ..Setup::default()
    };
    setup.config.limits.rules = vec![Rule {
        surface: Surface::Redeem,
        per: Per::IpPrefix,
        count: 3,
        seconds: 60,
        burst: None,
    }];
    let site = Site::open_with(Database::Sqlite, setup).await;
    let guess = |chain: &str| {
        let call = site.authorize_call("0RXunknown", "123456");
        call.header("x-forwarded-for", chain)
    };
    // The caller names a new address each time, and counts as one caller all the same.
    for number in 0..3 {
        let chain = format!("198.51.100.{number}");
        assert_refused(&site.send_from("203.0.113.7", guess(&chain)).await);
    }
    assert_limited(
        &site.send_from("203.0.113.7", guess("198.51.100.77")).await,
        "20",
    );
    // Behind the proxy, the address that the proxy added counts, whatever the client sent before it.
    let hops = "198.51.100.1, ".repeat(1_000);
    for claimed in ["192.0.2.200, ", "localhost, ", hops.as_str()] {
        let chain = format!("{claimed}192.0.2.1");
        assert_refused(&site.send_from("10.0.0.1", guess(&chain)).await);
    }
    assert_limited(
        &site
            .send_from("10.0.0.1", guess("192.0.2.99, 192.0.2.1, 10.0.0.2"))
            .await,
        "20",
    );
    assert_refused(&site.send_from("10.0.0.1", guess("192.0.2.2")).await);
    // A name is not an address: the proxy itself is the caller then, and nothing is resolved.
    for name in ["client.example.com", "_hidden", "192.0.2.1:443"] {
        assert_refused(&site.send_from("10.9.9.9", guess(name)).await);
    }
    assert_limited(&site.send_from("10.9.9.9", guess("unknown")).await, "20");
}

#[tokio::test]
async fn unauthenticated_requests_for_codes_are_limited_by_address_and_a_backend_s_are_not() {
    let site = limited(Surface::Init, Per::IpPrefix, 3).await;
    let body = registration("janice@example.com");
    let unauthenticated = || Call::post(INIT).json(&body);
    for call in [
        unauthenticated(),
        unauthenticated().bearer("00D!wrong"),
        unauthenticated().basic("a", "b"),
    ] {
        site.send(call).await.expect_status(401);
    }
    let answer = site.send(unauthenticated()).await;
    assert_limited(&answer, "20");
    assert_eq!(answer.json()["status_code"], "rate_limit_exceeded");
    for number in 0..5 {
        let username = format!("u{number}@example.com");
        site.pending(&username).await;
        site.code_to(&username).await;
    }
}

#[tokio::test]
async fn mail_07_a_backend_is_limited_as_a_client_and_a_site_as_a_whole() {
    for per in [Per::Client, Per::Site] {
        let site = limited(Surface::Init, per, 4).await;
        let token = site.integration_token(None).await;
        let init = |number: u32| {
            let body = registration(&format!("u{number}@example.com"));
            Call::post(INIT).bearer(&token).json(&body)
        };
        for number in 0..4 {
            site.send(init(number)).await.expect_ok();
        }
        assert_limited(&site.send(init(4)).await, "15");
        site.deliver().await;
        assert_eq!(site.inbox.clear(), 4);
    }
}

/// The site's bucket is for those who were admitted, and backends have one of their own.
#[tokio::test]
async fn requests_that_are_not_admitted_do_not_use_up_the_site_s_bucket() {
    let site = limited(Surface::Init, Per::Site, 2).await;
    let public = |number: u32, captcha: &str| {
        let mut body = registration(&format!("u{number}@example.com"));
        body["recaptcha"] = json!(captcha);
        Call::post(INIT).on_public().json(&body)
    };
    for _ in 0..5 {
        let empty = Call::post(INIT).on_public().json(&json!({}));
        site.send(empty).await.expect_status(400);
        site.send(public(0, "test-fail")).await.expect_status(400);
    }
    for number in 0..2 {
        site.send(public(number, "test-pass")).await.expect_ok();
    }
    assert_limited(&site.send(public(2, "test-pass")).await, "30");
    site.deliver().await;
    assert_eq!(site.inbox.clear(), 2);
}

#[tokio::test]
async fn backends_and_unauthenticated_callers_do_not_use_up_each_other_s_bucket() {
    let site = limited(Surface::Init, Per::Site, 2).await;
    // The private site without its requirement of a token, so that one site has both kinds of callers.
    let open = json!({"doesRegistrationRequireAuth": false, "isRecaptchaRequiredRgstr": true,
        "recaptchaProvider": "test"});
    site.update_settings(open).await;
    let token = site.integration_token(None).await;
    let call = |number: u32| {
        let mut body = registration(&format!("u{number}@example.com"));
        body["recaptcha"] = json!("test-pass");
        Call::post(INIT).json(&body)
    };
    for number in 0..2 {
        site.send(call(number)).await.expect_ok();
    }
    assert_limited(&site.send(call(2)).await, "30");
    for number in 3..5 {
        site.send(call(number).bearer(&token)).await.expect_ok();
    }
    assert_limited(&site.send(call(5).bearer(&token)).await, "30");
    site.deliver().await;
    assert_eq!(site.inbox.clear(), 4);
}

/// A caller with the right password is not limited like a guesser, but has a limit.
#[tokio::test]
async fn logins_that_succeed_are_given_back_at_a_bounded_rate() {
    let site = limited(Surface::Login, Per::IpPrefix, 2).await;
    site.register("janice@example.com").await;
    let login = || site.password_call("janice@example.com", PASSWORD);
    // Four times the rate is given back; then the bucket itself is used up.
    for _ in 0..10 {
        site.send(login()).await.expect_status(302);
    }
    assert_limited(&site.send(login()).await, "30");
    site.send_from("198.51.100.9", login())
        .await
        .expect_status(302);
}

#[tokio::test]
async fn the_token_endpoint_limits_what_shows_no_secret() {
    let site = limited(Surface::Token, Per::IpPrefixAndClient, 3).await;
    let call = |secret: &str| {
        Call::post(TOKEN)
            .form("grant_type", "client_credentials")
            .form("client_id", &site.integration.id)
            .form("client_secret", secret)
    };
    for _ in 0..3 {
        site.send(call("wrong")).await.expect_status(400);
    }
    assert_limited(&site.send(call("wrong")).await, "20");
    let unnamed = Call::post(TOKEN).form("grant_type", "authorization_code");
    assert_limited(&site.send(unnamed).await, "20");
    // A client with the right secret is not affected by callers without it, and is not limited by address.
    for _ in 0..5 {
        let answer = site.send(call(&site.integration.secret)).await;
        answer.expect_ok();
    }
    let without_secret = json!({"isConsumerSecretOptional": true, "isPkceRequired": true});
    site.update_client(&site.client.id, without_secret).await;
    let public = || {
        Call::post(TOKEN)
            .form("grant_type", "authorization_code")
            .form("code", "aPrx")
            .form("client_id", &site.client.id)
    };
    for _ in 0..3 {
        site.send(public()).await.expect_status(400);
    }
    assert_limited(&site.send(public()).await, "20");
    // An empty secret does not authenticate.
    let empty = public().with("client_id", None).basic(&site.client.id, "");
    assert_limited(&site.send(empty).await, "20");
}

#[tokio::test]
async fn a_client_with_a_secret_is_not_limited_by_callers_without_it() {
    let revoke = |id: &str| {
        Call::post("/services/oauth2/revoke")
            .form("token", "00D!none")
            .form("client_id", id)
    };
    // One address has one bucket, whichever client it names.
    let site = limited(Surface::Token, Per::IpPrefixAndClient, 3).await;
    for id in [&site.client.id, &site.integration.id, &site.client.id] {
        site.send(revoke(id)).await.expect_ok();
    }
    for id in [&site.client.id, &site.integration.id] {
        assert_limited(&site.send(revoke(id)).await, "20");
    }
    // A client with a valid secret has a bucket of its own.
    let authenticated = revoke(&site.client.id).form("client_secret", &site.client.secret);
    site.send(authenticated).await.expect_ok();

    let site = limited(Surface::Token, Per::Client, 3).await;
    for _ in 0..5 {
        site.send(revoke(&site.integration.id)).await.expect_ok();
    }
    site.integration_token(None).await;
}

#[tokio::test]
async fn limits_switched_off_are_off_and_the_failures_of_a_user_are_counted_all_the_same() {
    let mut setup = Setup::default();
    setup.config.limits.enabled = false;
    setup.config.otp.failures_per_day = 5;
    setup.config.limits.rules = vec![Rule {
        surface: Surface::Any,
        per: Per::Site,
        count: 1,
        seconds: 60,
        burst: None,
    }];
    let site = Site::open_with(Database::Sqlite, setup).await;
    let (identifier, code) = opened(&site, "janice@example.com").await;
    for _ in 0..5 {
        let wrong = site.authorize_call(&identifier, &other_code(&code));
        assert_refused(&site.send(wrong).await);
    }
    let (identifier, code) = opened(&site, "janice@example.com").await;
    assert_refused(&site.send(site.authorize_call(&identifier, &code)).await);
}
