//! Limits for accounts (threats LOCK-03, LOCK-08, OTP-08, ENU-07): the failures of a user and those of a site are
//! counted separately, and no limit discloses whether an account exists.

use std::time::Duration;

use serde_json::json;
use vestibule::admission::{Per, Surface};

use super::{assert_limited, limited};
use crate::fixture::{Answer, Call, PASSWORD, Site, on_both_databases};

const FORGOT: &str = "/services/auth/headless/forgot_password";
const PASSWORDLESS: &str = "/services/auth/headless/init/passwordless/login";
const WRONG: &str = "Wr0ng-password";

fn ask(path: &str, username: &str) -> Call {
    let mut body = json!({"username": username, "recaptcha": "test-pass"});
    if path == PASSWORDLESS {
        body["verificationmethod"] = json!("email");
    }
    Call::post(path).on_public().json(&body)
}

fn reset(username: &str, otp: &str) -> Call {
    let body = json!({"username": username, "otp": otp, "newpassword": "An0ther-Pa55word"});
    Call::post(FORGOT).on_public().json(&body)
}

async fn identifier(site: &Site, username: &str) -> String {
    let answer = site.send(ask(PASSWORDLESS, username)).await.expect_ok();
    answer.json()["identifier"].as_str().unwrap().to_owned()
}

on_both_databases! {
    async fn lock_03_failures_of_a_user_are_one_count_in_every_spelling_and_on_every_node(site: Site) {
        site.register("janice@example.com").await;
        let other = site.another_node().await;
        let spellings = ["janice@example.com", "Janice@Example.com", "JANICE@EXAMPLE.COM"];
        for number in 0..9 {
            let node = if number % 2 == 0 { &site } else { &other };
            node.send(node.password_call(spellings[number % 3], WRONG)).await.expect_status(400);
        }
        let right = |spelling: &str| site.password_call(spelling, PASSWORD);
        site.send(right(spellings[1])).await.expect_status(302);
        for number in 0..10 {
            let node = if number % 2 == 0 { &site } else { &other };
            node.send(node.password_call(spellings[number % 3], WRONG)).await.expect_status(400);
        }
        for spelling in spellings {
            site.send(right(spelling)).await.expect_status(400);
            other.send(right(spelling)).await.expect_status(400);
        }
    }
}

on_both_databases! {
    async fn lock_03_otp_08_the_codes_of_all_flows_share_the_failures_of_a_user(site: Site) {
        site.register("janice@example.com").await;
        let other = site.another_node().await;
        for _ in 0..2 {
            site.advance(Duration::from_secs(3_601));
            for _ in 0..5 {
                let identifier = identifier(&site, "Janice@Example.com").await;
                other.send(ask(FORGOT, "janice@example.com")).await.expect_ok();
                for _ in 0..5 {
                    let wrong = other.public_authorize_call("passwordless-login", &identifier, "!wrong");
                    other.send(wrong).await.expect_status(400);
                    site.send(reset("JANICE@example.com", "!wrong")).await.expect_status(400);
                }
            }
        }
        site.deliver().await;
        site.inbox.clear();
        site.advance(Duration::from_secs(3_601));
        let failures = "SELECT CAST(SUM(count) AS BIGINT) FROM tally WHERE subject LIKE 'guesses 005%'";
        assert_eq!(site.count(failures).await, 100);
        let identifier = identifier(&site, "janice@example.com").await;
        let code = site.code_to("janice@example.com").await;
        let right = site.public_authorize_call("passwordless-login", &identifier, &code);
        site.send(right).await.expect_status(400);
        site.send(ask(FORGOT, "janice@example.com")).await.expect_ok();
        let code = site.code_to("janice@example.com").await;
        let answer = other.send(reset("janice@example.com", &code)).await.expect_status(400);
        assert_eq!(answer.json()["status_code"], "invalid_otp");
        // Login with a password is not affected.
        site.send(site.password_call("janice@example.com", PASSWORD)).await.expect_status(302);
    }
}

on_both_databases! {
    async fn lock_08_one_password_at_each_of_many_users_is_a_spray(site: Site) {
        site.update_settings(json!({"passwordSprayThresholdPerHour": 10})).await;
        site.register("janice@example.com").await;
        let guess = async |number: u32| {
            let username = format!("u{number}@example.com");
            site.send(site.password_call(&username, WRONG)).await.expect_status(400)
        };
        let detected = |count: u32| {
            let site_id = &site.entry("private").site.id;
            let line = format!("vestibule_spray_detected_total{{site=\"{site_id}\",kind=\"password\"}} {count}\n");
            site.app.metrics.render().contains(&line)
        };
        for number in 0..9 {
            guess(number).await;
        }
        assert!(!detected(1));
        for number in 9..15 {
            guess(number).await;
        }
        assert!(detected(1));
        // The default only reports, and accepts logins.
        let right = || site.password_call("janice@example.com", PASSWORD);
        site.send(right()).await.expect_status(302);
        site.update_settings(json!({"passwordSprayAction": "refuse"})).await;
        let wrong = guess(20).await;
        assert_eq!(site.send(right()).await.expect_status(400).body, wrong.body);
        // Only for the network from which the guesses come.
        site.send_from("198.51.100.9", right()).await.expect_status(302);
        site.advance(Duration::from_secs(3_601));
        site.send(right()).await.expect_status(302);
    }
}

#[tokio::test]
async fn lock_08_passwords_tried_from_one_prefix_are_limited_and_right_ones_cost_nothing() {
    let site = limited(Surface::Login, Per::IpPrefix, 4).await;
    site.register("janice@example.com").await;
    for _ in 0..6 {
        let right = site.password_call("janice@example.com", PASSWORD);
        site.send(right).await.expect_status(302);
    }
    let guess = |number: u32| site.password_call(&format!("u{number}@example.com"), WRONG);
    for number in 0..4 {
        let ip = format!("2001:db8:1:2::{number}");
        site.send_from(&ip, guess(number)).await.expect_status(400);
    }
    assert_limited(&site.send_from("2001:db8:1:2::9", guess(9)).await, "15");
}

/// The number of successful requests before one is refused, and that refusal.
async fn until_limited(site: &Site, ip: &str, call: Call) -> (usize, Answer) {
    for count in 0..50 {
        let answer = site.send_from(ip, call.clone()).await;
        if answer.status == 429 {
            return (count, answer);
        }
    }
    panic!("it is never refused");
}

#[tokio::test]
async fn enu_07_the_rate_limiter_refuses_at_the_same_count_for_known_and_unknown_users() {
    for (surface, per) in [
        (Surface::Init, Per::IpPrefix),
        (Surface::Login, Per::IpPrefixAndUsername),
        (Surface::Login, Per::Target),
        (Surface::Reset, Per::IpPrefix),
        (Surface::Reset, Per::Target),
    ] {
        let site = limited(surface, per, 4).await;
        site.register("known@example.com").await;
        let mut seen = Vec::new();
        for (ip, username) in [
            ("192.0.2.1", "known@example.com"),
            ("192.0.2.2", "nobod@example.com"),
        ] {
            let call = match surface {
                Surface::Init => ask(PASSWORDLESS, username),
                Surface::Login => site.password_call(username, WRONG),
                _ => reset(username, "!wrong"),
            };
            let (count, answer) = until_limited(&site, ip, call).await;
            let retry_after = answer.header("retry-after").map(str::to_owned);
            seen.push((count, answer.body, retry_after));
        }
        assert_eq!(seen[0], seen[1], "{surface:?} {per:?}");
        assert_eq!(seen[0].0, 4, "{surface:?} {per:?}");
        site.deliver().await;
        site.inbox.clear();
    }
}
