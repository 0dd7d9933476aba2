//! What the audit log says of failures, and that callers cannot fill it (threats LOG-01 to LOG-03). Wrong codes are
//! tested in `otp::audited`.

use std::time::Duration;

use serde_json::json;
use vestibule::store::audit::{DISTINGUISHED_PER_HOUR, RecordedEvent};
use vestibule::store::{self, tally, token};

use crate::fixture::{PASSWORD, Site, on_both_databases};
use crate::flow::tokens::{
    access_token, refresh_call, refresh_token, register_with, rotating, userinfo_status,
};

const JANICE: &str = "janice@example.com";
const WRONG: &str = "Wr0ng-password";

/// The rows of an event, the row with the largest number first.
pub async fn counted(site: &Site, event: &str) -> Vec<RecordedEvent> {
    let read = site.app.store.read("test.audit", &(), |tx, ()| {
        Box::pin(store::audit::list(tx, 10_000))
    });
    let mut events = read.await.expect("the database answers");
    events.retain(|row| row.event == event);
    events.sort_by_key(|row| -row.count);
    events
}

/// Asserts the numbers in the rows of an event.
pub async fn assert_counted(site: &Site, event: &str, expected: &[i64]) {
    let counts: Vec<i64> = counted(site, event)
        .await
        .iter()
        .map(|row| row.count)
        .collect();
    assert_eq!(counts, expected, "{event}");
}

on_both_databases! {
    async fn failed_logins_are_one_row_for_each_user_network_reason_and_hour(site: Site) {
        site.register(JANICE).await;
        let user_id = site.user(JANICE).await.map(|user| user.id);
        for _ in 0..3 {
            site.send(site.password_call(JANICE, WRONG)).await.expect_status(400);
            site.advance(Duration::from_secs(60));
        }
        let found = counted(&site, "login.failed").await;
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].count, &found[0].user_id), (3, &user_id));
        assert_eq!(found[0].last_at.map(|last| last - found[0].at), Some(120_000));
        assert_eq!(found[0].detail, json!({"by": "pwd", "reason": "password_wrong"}));
        for name in ["unknown@example.com", "other@example.com"] {
            site.send(site.password_call(name, WRONG)).await.expect_status(400);
        }
        assert_counted(&site, "login.failed", &[3, 2]).await;
        site.send_from("198.51.100.9", site.password_call(JANICE, WRONG)).await.expect_status(400);
        assert_counted(&site, "login.failed", &[3, 2, 1]).await;
        site.advance(Duration::from_secs(3_600));
        site.send(site.password_call(JANICE, WRONG)).await.expect_status(400);
        assert_counted(&site, "login.failed", &[3, 2, 1, 1]).await;
    }
}

on_both_databases! {
    async fn beyond_the_limit_of_an_hour_failures_are_one_row_without_a_user(site: Site) {
        site.register(JANICE).await;
        let site_id = site.entry("private").site.id.clone();
        let hour = tally::hour_of(site.app.now());
        site.execute(format!("INSERT INTO tally (subject, hour, count)
            VALUES ('site:{site_id}:password', {hour}, {DISTINGUISHED_PER_HOUR})")).await;
        for ip in ["203.0.113.7", "198.51.100.9", "192.0.2.1"] {
            site.send_from(ip, site.password_call(JANICE, WRONG)).await.expect_status(400);
        }
        let found = counted(&site, "login.failed").await;
        assert_eq!(found.len(), 1);
        let row = &found[0];
        assert_eq!((row.count, &row.user_id, &row.client_id, &row.ip), (3, &None, &None, &None));
    }
}

on_both_databases! {
    async fn a_failed_authentication_of_a_client_is_recorded_and_an_unknown_client_is_not(site: Site) {
        let code = site.registered_code(JANICE).await;
        let call = || site.token_call(&code).with("client_secret", Some("wrong"));
        for _ in 0..3 {
            site.send(call()).await.expect_status(400);
        }
        site.send(call().with("client_id", Some("nothing"))).await.expect_status(400);
        let found = counted(&site, "client.authentication_failed").await;
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].count, found[0].client_id.as_deref()), (3, Some(site.client.id.as_str())));
        assert_eq!(found[0].detail, json!({"reason": "client_secret_wrong"}));
        site.send(site.token_call(&code)).await.expect_ok();
    }
}

on_both_databases! {
    async fn a_code_presented_again_and_again_is_one_row_of_its_user(site: Site) {
        let code = site.registered_code(JANICE).await;
        site.send(site.token_call(&code)).await.expect_ok();
        for _ in 0..5 {
            site.send(site.token_call(&code)).await.expect_status(400);
        }
        let found = counted(&site, "code.replayed").await;
        assert_eq!(found.len(), 1);
        let user_id = site.user(JANICE).await.map(|user| user.id);
        assert_eq!((found[0].count, &found[0].user_id), (5, &user_id));
    }
}

on_both_databases! {
    async fn rt_11_a_refresh_token_that_is_retried_gives_few_access_tokens_and_one_row(site: Site) {
        let first = register_with(&site, rotating(), JANICE).await;
        site.advance(Duration::from_secs(1));
        let mut answers = Vec::new();
        for _ in 0..12 {
            answers.push(site.send(refresh_call(&site, refresh_token(&first))).await.expect_ok().json());
            site.advance(Duration::from_millis(10));
        }
        for answer in &answers {
            assert_eq!(answer["refresh_token"], answers[0]["refresh_token"], "one successor");
        }
        assert_counted(&site, "refresh_token.retried", &[11]).await;
        let kept = usize::try_from(token::PER_REFRESH_TOKEN).unwrap();
        for (number, answer) in answers.iter().enumerate() {
            let expected = if number + kept < answers.len() { 401 } else { 200 };
            assert_eq!(userinfo_status(&site, access_token(answer)).await, expected, "{number}");
        }
        assert_eq!(userinfo_status(&site, access_token(&first)).await, 200, "the token of the login");
        site.send(site.password_call(JANICE, PASSWORD)).await.expect_status(302);
    }
}
