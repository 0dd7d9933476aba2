//! Text messages that may not be sent, over HTTP: which callers learn of it, and which do not.

use serde_json::{Value, json};

use crate::fixture::{Answer, Call, Database, PASSWORD, Setup, Site, postgres, registration};

const INIT_REGISTRATION: &str = "/services/auth/headless/init/registration";
const INIT_LOGIN: &str = "/services/auth/headless/init/passwordless/login";

async fn site(change: impl FnOnce(&mut vestibule::config::SmsConfig)) -> Site {
    let mut setup = Setup::default();
    change(&mut setup.config.sms);
    Site::open_with(Database::Sqlite, setup).await
}

fn by_text(username: &str, number: &str) -> Value {
    let mut body = registration(username);
    body["verificationmethod"] = json!("sms");
    body["customdata"] = json!({ "mobilePhone": number });
    body["recaptcha"] = json!("test-pass");
    body
}

async fn register(site: &Site, username: &str, number: &str) -> Answer {
    let call = Call::post(INIT_REGISTRATION).on_public();
    site.send(call.json(&by_text(username, number))).await
}

async fn log_in(site: &Site, username: &str) -> Answer {
    let body = json!({"verificationmethod": "sms", "username": username, "recaptcha": "test-pass"});
    site.send(Call::post(INIT_LOGIN).on_public().json(&body))
        .await
}

#[track_caller]
fn is_otp_generation_failed(answer: Answer) {
    let answer = answer.expect_status(400).json();
    assert_eq!(answer["status_code"], "otp_generation_failed", "{answer}");
}

/// A user with a verified number.
async fn with_number(site: &Site, username: &str, number: &str) {
    site.register(username).await;
    site.execute(format!(
        "UPDATE app_user SET phone = '{number}', phone_verified_at = 1 WHERE username_key = '{username}'"
    ))
    .await;
}

#[tokio::test]
async fn mail_07_a_blocked_country_is_reported_to_the_caller_that_sent_the_number() {
    let site = site(|sms| sms.allowed_countries = vec!["DE".to_owned()]).await;
    is_otp_generation_failed(register(&site, "a@example.com", "+12035550100").await);
    is_otp_generation_failed(site.init(&by_text("a@example.com", "+12035550100")).await);
    is_otp_generation_failed(register(&site, "a@example.com", "+88213123456").await);
    assert_eq!(site.count("SELECT COUNT(*) FROM challenge").await, 0);
    register(&site, "a@example.com", "+491511234567")
        .await
        .expect_ok();
    site.code_to("+491511234567").await;
}

#[tokio::test]
async fn mail_07_a_user_s_blocked_number_is_disclosed_to_a_backend_only() {
    let site = site(|sms| sms.denied_countries = vec!["US".to_owned()]).await;
    with_number(&site, "janice@example.com", "+12035550100").await;
    let token = site.integration_token(None).await;
    let body = json!({"verificationmethod": "sms", "username": "janice@example.com"});
    let call = Call::post(INIT_LOGIN).bearer(&token).json(&body);
    is_otp_generation_failed(site.send(call).await);

    let blocked = log_in(&site, "janice@example.com").await.expect_ok();
    let unknown = log_in(&site, "unknown@example.com").await.expect_ok();
    let names = |answer: &Answer| -> Vec<String> {
        answer.json().as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(names(&blocked), names(&unknown));
    site.deliver().await;
    let messages = site.inbox.list(None);
    let reasons: Vec<Option<&str>> = messages.iter().map(|m| m.suppressed.as_deref()).collect();
    assert_eq!(messages.len(), 2, "{reasons:?}");
    assert!(messages.iter().all(|message| message.code.is_none()));
    assert!(
        reasons.contains(&Some("no text message may be sent to the number today")),
        "{reasons:?}"
    );
    site.inbox.clear();
}

/// The messages that were counted for ranges of numbers that callers sent.
const OF_NUMBERS_SENT: &str = "SELECT CAST(SUM(sent) AS BIGINT) FROM sms_count
    WHERE name LIKE '%range +%' AND name NOT LIKE '%on file'";

/// As many as the default permits for one range, without the rate limiter.
async fn a_range_runs_out(database: Database) {
    let mut setup = Setup::default();
    setup.config.limits.rules.clear();
    let site = Site::open_with(database, setup).await;
    let numbers = (0..101).map(|n| format!("+49151123{n:04}"));
    // Another range is not affected.
    let other = "+491519990000".to_owned();
    for (n, number) in numbers.chain([other.clone()]).enumerate() {
        // An unauthenticated caller does not learn what is left.
        let answer = register(&site, &format!("u{n}@example.com"), &number).await;
        answer.expect_ok();
    }
    site.deliver().await;
    let sent = site.inbox.list(None);
    let sent: Vec<_> = sent
        .iter()
        .filter(|message| message.code.is_some())
        .collect();
    assert_eq!(sent.len(), 101, "100 of the range, and the other");
    assert!(sent.iter().any(|message| message.to == other));
    site.inbox.clear();
    // A backend learns that the range has none left.
    let token = site.integration_token(None).await;
    let body = by_text("late@example.com", "+491511239999");
    let call = Call::post(INIT_REGISTRATION).bearer(&token).json(&body);
    is_otp_generation_failed(site.send(call).await);
    // A message to the number of a user is counted apart: it takes nothing from the range of numbers that callers send.
    let before = site.count(OF_NUMBERS_SENT).await;
    with_number(&site, "janice@example.com", "+491511238888").await;
    log_in(&site, "janice@example.com").await.expect_ok();
    site.deliver().await;
    assert!(site.inbox.list(None)[0].code.is_some());
    assert_eq!(site.count(OF_NUMBERS_SENT).await, before);
    site.inbox.clear();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_07_the_days_messages_run_out_for_a_range_on_sqlite() {
    a_range_runs_out(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_07_the_days_messages_run_out_for_a_range_on_postgres() {
    let Some(url) = postgres::database().await else {
        return;
    };
    a_range_runs_out(Database::Postgres(url)).await;
}

#[tokio::test]
async fn mail_07_a_reached_cap_discloses_nothing_about_an_account() {
    let site = site(|sms| sms.daily_cap = 1).await;
    with_number(&site, "janice@example.com", "+12035550100").await;
    // An unknown user takes one of the day's messages, as any other does: what is left discloses nothing.
    log_in(&site, "unknown@example.com").await.expect_ok();
    log_in(&site, "janice@example.com").await.expect_ok();
    site.deliver().await;
    let sent = |site: &Site| site.inbox.list(Some("+12035550100"));
    assert!(sent(&site)[0].code.is_none() && sent(&site)[0].suppressed.is_some());
    site.inbox.clear();
    // The next day the message goes to the user, and then there is none for anybody.
    site.advance(std::time::Duration::from_secs(86_400));
    log_in(&site, "janice@example.com").await.expect_ok();
    log_in(&site, "janice@example.com").await.expect_ok();
    site.deliver().await;
    let codes = sent(&site)
        .iter()
        .filter(|message| message.code.is_some())
        .count();
    assert_eq!((codes, sent(&site).len()), (1, 2));
    site.inbox.clear();
    // Login with a password still works.
    let call = site.password_call("janice@example.com", PASSWORD);
    site.send(call).await.expect_status(302);
}
