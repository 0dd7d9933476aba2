//! Passwords when they are set, changed and presented (threats PWD-01 to PWD-10). The password policy and the
//! hashes have their tests beside the code.

use std::time::Duration;

use serde_json::json;

use super::other_code;
use crate::fixture::{
    Answer, Call, Database, PASSWORD, Setup, Site, on_both_databases, on_sqlite, registration,
};

const FORGOT: &str = "/services/auth/headless/forgot_password";
const JANICE: &str = "janice@example.com";

async fn register_with(site: &Site, username: &str, password: &str) {
    let mut body = registration(username);
    body["password"] = json!(password);
    let answer = site.init(&body).await.expect_ok().json();
    let code = site.code_to(username).await;
    let identifier = answer["identifier"].as_str().unwrap();
    site.send(site.authorize_call(identifier, &code))
        .await
        .expect_status(302);
}

/// A login with credentials in the body, where every length is allowed.
async fn log_in(site: &Site, username: &str, password: &str) -> Answer {
    let call = site
        .password_call(username, "x")
        .without_header("authorization");
    site.send(call.form("username", username).form("password", password))
        .await
}

async fn code_for(site: &Site, username: &str) -> String {
    let body = json!({"username": username, "recaptcha": "test-pass"});
    site.send(Call::post(FORGOT).on_public().json(&body))
        .await
        .expect_ok();
    site.code_to(username).await
}

async fn choose(site: &Site, username: &str, otp: &str, password: &str) -> Answer {
    let body = json!({"username": username, "otp": otp, "newpassword": password});
    let answer = site.send(Call::post(FORGOT).on_public().json(&body)).await;
    site.deliver().await;
    site.inbox.clear();
    answer
}

on_both_databases! {
    async fn pwd_01_02_every_byte_counts_up_to_16_000(site: Site) {
        let long = format!("{}-Pa55", "x".repeat(72));
        register_with(&site, JANICE, &long).await;
        for other in [&long[..72], &long[..73], &format!("{long}x"), &format!("{}-Pa56", "x".repeat(72))] {
            log_in(&site, JANICE, other).await.expect_status(400);
        }
        log_in(&site, JANICE, &long).await.expect_status(302);
        let longest = format!("{}7", "aB3-".repeat(3_999));
        let code = code_for(&site, JANICE).await;
        let beyond = choose(&site, JANICE, &code, &"aB3-".repeat(4_001)).await.expect_status(400);
        assert_eq!(beyond.json()["status_code"], "password_policy_check_failure");
        choose(&site, JANICE, &code, &longest).await.expect_ok();
        log_in(&site, JANICE, &longest[..longest.len() - 1]).await.expect_status(400);
        log_in(&site, JANICE, &format!("{longest}{}", "x".repeat(9))).await.expect_status(400);
        log_in(&site, JANICE, &longest).await.expect_status(302);
    }
}

on_sqlite! {
    async fn pwd_03_a_megabyte_is_refused_before_anything_is_hashed(site: Site) {
        site.register(JANICE).await;
        let huge = "x".repeat(1 << 20);
        let hashed = |site: &Site| {
            let text = site.app.metrics.render();
            text.lines().filter(|line| line.starts_with("vestibule_password_hashes_total")).map(str::to_owned).collect::<Vec<_>>()
        };
        let before = hashed(&site);
        assert_eq!(log_in(&site, JANICE, &huge).await.status, 413);
        assert_eq!(choose(&site, JANICE, "123456", &huge).await.status, 413);
        assert_eq!(hashed(&site), before);
    }
}

on_both_databases! {
    async fn pwd_04_05_the_complete_string_counts_in_one_normal_form(site: Site) {
        // As set, as other keyboards and systems send it, and different passwords.
        let cases: [(&str, &[&str], &[&str]); 4] = [
            ("caf\u{e9}-Pa55word", &["cafe\u{301}-Pa55word"], &["cafe-Pa55word", "CAF\u{c9}-Pa55word"]),
            ("Pa55word-\u{1F469}\u{200D}\u{1F680}", &[], &["Pa55word-\u{1F469}\u{1F680}", "Pa55word-"]),
            ("pass  phrase 7  words", &[], &["pass phrase 7 words", "passphrase7words"]),
            ("Wide-\u{ff11}\u{ff12}-Pa55", &["Wide-12-Pa55"], &["Wide-1\u{200b}2-Pa55"]),
        ];
        for (number, (set, same, other)) in cases.into_iter().enumerate() {
            let username = format!("u{number}@example.com");
            register_with(&site, &username, set).await;
            // The same applies to a changed password.
            for is_reset in [false, true] {
                if is_reset {
                    let code = code_for(&site, &username).await;
                    choose(&site, &username, &code, "Something-Els3").await.expect_ok();
                    site.execute("UPDATE credential SET history = '[]'").await;
                    let code = code_for(&site, &username).await;
                    choose(&site, &username, &code, set).await.expect_ok();
                }
                for right in [&[set], same].concat() {
                    log_in(&site, &username, right).await.expect_status(302);
                }
                for wrong in [other, &[&format!(" {set}"), &format!("{set} "), &format!("{set}\u{0}")]].concat() {
                    log_in(&site, &username, wrong).await.expect_status(400);
                }
            }
        }
    }
}

on_both_databases! {
    async fn pwd_04_06_a_reset_takes_no_password_that_a_registration_would_not(site: Site) {
        let refused = [
            "short1", "password", "password1", "12345678", "janice-Edwards1", "Edwards-janice-2",
            "Xjanice@example.comX1", " leading-Pa55", "trailing-Pa55 ", "\u{2003}wide-Pa55", "vestibule1", "Vestibule-12",
        ];
        site.register(JANICE).await;
        for password in refused {
            // A separate code for each: a violation of the policy costs an attempt.
            let code = code_for(&site, JANICE).await;
            let answer = choose(&site, JANICE, &code, password).await.expect_status(400).json();
            assert_eq!(answer["status_code"], "password_policy_check_failure", "{password:?}");
            site.advance(Duration::from_secs(721));
        }
        let code = code_for(&site, JANICE).await;
        let body = json!({"username": JANICE, "otp": code, "newpassword": "nul\u{0}-Pa55word", "recaptcha": "test-pass"});
        let answer = site.send(Call::post(FORGOT).on_public().json(&body)).await.expect_status(400).json();
        assert_eq!(answer["status_code"], "invalid_params");
        log_in(&site, JANICE, PASSWORD).await.expect_status(302);
    }
}

on_both_databases! {
    async fn pwd_07_a_refused_password_costs_a_try_and_the_fifth_ends_the_code(site: Site) {
        site.register(JANICE).await;
        let code = code_for(&site, JANICE).await;
        for _ in 0..5 {
            let answer = choose(&site, JANICE, &code, "short").await.expect_status(400).json();
            assert_eq!(answer["status_code"], "password_policy_check_failure");
        }
        let answer = choose(&site, JANICE, &code, "Another-Pa55word").await.expect_status(400).json();
        assert_eq!(answer["status_code"], "regenerate_otp");
        log_in(&site, JANICE, PASSWORD).await.expect_status(302);
    }
}

on_both_databases! {
    async fn pwd_07_without_the_right_code_the_policy_is_not_disclosed(site: Site) {
        site.register(JANICE).await;
        let code = code_for(&site, JANICE).await;
        let other = other_code(&code);
        for password in ["short", PASSWORD, "password"] {
            let answer = choose(&site, JANICE, &other, password).await.expect_status(400).json();
            assert_eq!(answer["status_code"], "invalid_otp");
        }
    }
}

/// PWD-08: more concurrent logins than the queue holds, of existing and of unknown users.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pwd_08_a_full_queue_is_503_for_every_user_and_counts_no_failure() {
    let mut setup = Setup::default();
    setup.config.hashing.threads = 1;
    setup.config.hashing.queue = 8;
    let site = Site::open_with(Database::Sqlite, setup).await;
    site.register(JANICE).await;
    for username in [JANICE, "unknown@example.com"] {
        let calls = (0..60).map(|_| log_in(&site, username, "Wr0ng-password"));
        let answers = futures_util::future::join_all(calls).await;
        let busy: Vec<_> = answers
            .iter()
            .filter(|answer| answer.status == 503)
            .collect();
        assert!(!busy.is_empty(), "{username}: the queue was never full");
        for answer in &answers {
            assert!([400, 503].contains(&answer.status), "{}", answer.body);
        }
        for answer in &busy {
            assert_eq!(answer.header("retry-after"), Some("1"), "{username}");
            assert_eq!(answer.body, busy[0].body, "{username}");
        }
        let failed = i64::try_from(answers.len() - busy.len()).unwrap();
        let counted = site
            .count(
                "SELECT CAST(SUM(count) AS BIGINT) FROM audit_event WHERE event = 'login.failed'",
            )
            .await;
        assert_eq!(counted, failed, "{username}");
        site.execute("DELETE FROM audit_event; DELETE FROM login_hold")
            .await;
    }
    log_in(&site, JANICE, PASSWORD).await.expect_status(302);
}

on_both_databases! {
    async fn pwd_09_an_old_hash_is_accepted_and_replaced_at_the_next_login(site: Site) {
        site.register(JANICE).await;
        // "password" with m=64, t=1, from another tool.
        let old = "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$cpx6VEQbwTVZvcpxNIxOVUWZ5xnAipUmAe1cg2GMG70";
        site.execute(format!("UPDATE credential SET phc = '{old}'")).await;
        let olds = "SELECT COUNT(*) FROM credential WHERE phc LIKE '%m=64,t=1%'";
        log_in(&site, JANICE, "passwore").await.expect_status(400);
        assert_eq!(site.count(olds).await, 1, "a wrong password makes nothing anew");
        log_in(&site, JANICE, "password").await.expect_status(302);
        assert_eq!(site.count(olds).await, 0);
        log_in(&site, JANICE, "password").await.expect_status(302);
        log_in(&site, JANICE, "passwore").await.expect_status(400);
        assert_eq!(site.count("SELECT COUNT(*) FROM credential WHERE history = '[]'").await, 1, "it is the same password");
    }
}

on_both_databases! {
    async fn pwd_10_the_last_three_passwords_do_not_come_back(site: Site) {
        site.register(JANICE).await;
        let password = |number: usize| format!("Password-number-{number}");
        let set = async |new: &str| {
            let code = code_for(&site, JANICE).await;
            let answer = choose(&site, JANICE, &code, new).await;
            // Five resets a day and five codes an hour.
            site.advance(Duration::from_secs(6 * 3_600));
            answer
        };
        for number in 1..=3 {
            set(&password(number)).await.expect_ok();
        }
        for (number, is_taken) in [(3, false), (2, false), (1, false), (0, true)] {
            let again = if number == 0 { PASSWORD.to_owned() } else { password(number) };
            let answer = set(&again).await;
            assert_eq!(answer.status == 200, is_taken, "{number}: {}", answer.body);
        }
        // Another spelling of the same characters is the same password.
        set("Pass\u{e9}-number-9").await.expect_ok();
        let answer = set("Passe\u{301}-number-9").await.expect_status(400).json();
        assert_eq!(answer["status_code"], "password_policy_check_failure");
    }
}
