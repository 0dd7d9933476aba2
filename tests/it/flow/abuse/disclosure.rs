//! A caller without a trusted token learns nothing about an account.

use serde_json::{Value, json};

use super::assert_refused;
use crate::fixture::{Answer, Call, Site, on_both_databases, registration};

/// A registration at the public site, where a captcha replaces the token.
async fn init(site: &Site, body: &Value) -> Answer {
    let mut body = body.clone();
    body["recaptcha"] = json!("test-pass");
    let call = Call::post("/services/auth/headless/init/registration").on_public();
    site.send(call.json(&body)).await
}

async fn open(site: &Site, body: &Value) -> Answer {
    init(site, body).await.expect_ok()
}

fn identifier(answer: &Answer) -> String {
    answer.json()["identifier"].as_str().unwrap().to_owned()
}

on_both_databases! {
    async fn enu_05_a_taken_username_is_an_ordinary_success_that_fails_at_the_end(site: Site) {
        site.register("janice@example.com").await;
        let before = site.user("janice@example.com").await.unwrap();
        let mut body = registration("janice@example.com");
        body["userdata"]["email"] = json!("thief@example.com");
        let answer = open(&site, &body).await;
        let mut fresh = registration("fresh@example.com");
        fresh["userdata"]["email"] = json!("thief@example.com");
        let control = open(&site, &fresh).await;
        assert_eq!(answer.json()["email"], "thief@example.com");
        assert_eq!(answer.body.len(), control.body.len());
        site.deliver().await;
        site.inbox.clear();
        // The newer request ended the older one, so the name is requested once more.
        let answer = open(&site, &body).await;
        let code = site.code_to("thief@example.com").await;
        let end = site.send(site.public_authorize_call("user-registration", &identifier(&answer), &code)).await.expect_status(400).json();
        assert_eq!(end["error"], "registration_error");
        assert_eq!(end["apex_error"], "DuplicateUsernameException: the username is already in use");
        assert_eq!(site.user("janice@example.com").await.unwrap().email, before.email);
    }
}

on_both_databases! {
    async fn enu_05_the_owner_of_the_address_gets_a_notice_and_no_code(site: Site) {
        site.register("janice@example.com").await;
        let answer = open(&site, &registration("janice@example.com")).await;
        assert_eq!(answer.json()["email"], "janice@example.com");
        site.deliver().await;
        let messages = site.inbox.list(None);
        assert_eq!(messages.len(), 1);
        let message = &messages[0];
        assert_eq!(message.code, None);
        assert!(message.subject.contains("already have an account"), "{}", message.subject);
        let digits = message.text.split(|c: char| !c.is_ascii_digit()).any(|word| word.len() == 6);
        assert!(!digits, "{}", message.text);
        site.inbox.clear();
        for code in ["000000", "123456", "999999"] {
            assert_refused(&site.send(site.public_authorize_call("user-registration", &identifier(&answer), code)).await);
        }
    }
}

on_both_databases! {
    async fn enu_05_a_text_message_does_not_disclose_an_account(site: Site) {
        site.register("janice@example.com").await;
        let mut body = registration("janice@example.com");
        body["verificationmethod"] = json!("sms");
        body["customdata"] = json!({"mobilePhone": "+12035550100"});
        open(&site, &body).await;
        // The caller chooses the number, so it gets the usual message: a code.
        site.code_to("+12035550100").await;
    }
}

on_both_databases! {
    async fn enu_07_the_budget_of_an_unauthenticated_caller_ends_at_the_same_count(site: Site) {
        site.register("taken@example.com").await;
        for username in ["taken@example.com", "free@example.com"] {
            let mut sent = 0;
            let end = loop {
                let answer = init(&site, &registration(username)).await;
                match answer.status {
                    200 => sent += 1,
                    _ => break answer,
                }
                assert!(sent <= 5, "{username}");
            };
            assert_eq!(end.json()["error"], "rate_limit_exceeded", "{username}");
            assert!(end.header("retry-after").is_some(), "{username}");
            assert_eq!(end.status, 429, "{username}");
            assert_eq!(sent, 5, "{username}");
        }
        site.deliver().await;
        site.inbox.clear();
    }
}

on_both_databases! {
    async fn a_trusted_caller_learns_that_a_name_is_taken(site: Site) {
        site.register("janice@example.com").await;
        let answer = site.init(&registration("Janice@Example.com")).await.expect_status(400).json();
        assert_eq!(answer["status_code"], "invalid_params");
        assert_eq!(answer["invalid_field"], "userdata.username");
        assert!(answer["error_description"].as_str().unwrap().contains("already in use"));
    }
}
