//! Text messages in the flows: where none may go, and when the day's are used up.

use serde_json::{Value, json};

use crate::fixture::{Answer, Call, Database, Setup, Site, on_sqlite, registration};

async fn site(change: impl FnOnce(&mut Setup)) -> Site {
    let mut setup = Setup::default();
    change(&mut setup);
    Site::open_with(Database::Sqlite, setup).await
}

fn by_text_message(username: &str, number: &str) -> Value {
    let mut body = registration(username);
    body["verificationmethod"] = json!("sms");
    body["customdata"] = json!({"mobilePhone": number});
    body
}

async fn begin(site: &Site, username: &str) -> Answer {
    let body = json!({"verificationmethod": "sms", "username": username, "recaptcha": "test-pass"});
    let call = Call::post("/services/auth/headless/init/passwordless/login").on_public();
    site.send(call.json(&body)).await
}

on_sqlite! {
    async fn a_registration_by_text_message_proves_the_number(site: Site) {
        let begun = site.init(&by_text_message("janice@example.com", "+1 203 555 0100")).await.expect_ok().json();
        let code = site.code_to("+12035550100").await;
        let call = site.authorize_call(begun["identifier"].as_str().unwrap(), &code);
        let call = call.without_header("auth-verification-type").header("auth-verification-type", "sms");
        site.send(call).await.expect_status(302);
        let user = site.user("janice@example.com").await.unwrap();
        assert!(user.phone_verified_at.is_some() && user.email_verified_at.is_none());
    }
}

#[tokio::test]
async fn mail_07_a_number_of_another_country_is_refused_and_on_file_it_is_passed_over() {
    let site = site(|setup| setup.config.sms.allowed_countries = vec!["DE".to_owned()]).await;
    let answer = site
        .init(&by_text_message("a@example.com", "+12035550100"))
        .await;
    assert_eq!(
        answer.expect_status(400).json()["status_code"],
        "otp_generation_failed"
    );
    site.register("janice@example.com").await;
    site.execute("UPDATE app_user SET phone = '+12035550100', phone_verified_at = 1")
        .await;
    let known = begin(&site, "janice@example.com").await.expect_ok();
    let unknown = begin(&site, "nobodyy@example.com").await.expect_ok();
    assert_eq!(known.body.len(), unknown.body.len() - 1);
    site.deliver().await;
    assert!(
        site.inbox
            .list(None)
            .iter()
            .all(|message| message.suppressed.is_some())
    );
    site.inbox.clear();
}

#[tokio::test]
async fn mail_07_the_messages_of_a_day_have_an_end_that_a_stranger_does_not_see() {
    let site = site(|setup| setup.config.sms.daily_cap = 1).await;
    site.register("janice@example.com").await;
    site.execute("UPDATE app_user SET phone = '+4915112345678', phone_verified_at = 1")
        .await;
    begin(&site, "janice@example.com").await.expect_ok();
    site.code_to("+4915112345678").await;
    begin(&site, "janice@example.com").await.expect_ok();
    site.deliver().await;
    let second = site.inbox.list(None).pop().unwrap();
    assert_eq!(
        (second.code.as_ref(), second.suppressed.is_some()),
        (None, true)
    );
    site.inbox.clear();
    // Whoever brings a number of their own is told.
    let answer = site
        .init(&by_text_message("b@example.com", "+4915112345679"))
        .await;
    assert_eq!(
        answer.expect_status(400).json()["status_code"],
        "otp_generation_failed"
    );
}
