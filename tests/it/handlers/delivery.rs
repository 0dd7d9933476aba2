//! The delivery handler: text messages of a site that the customer's code sends, in all three forms.

use std::time::Duration;

use serde_json::{Value, json};
use vestibule::delivery::Gateway;
use vestibule::handler::contract::Contract;

use crate::fixture::remote::{Behaviour, Remote};
use crate::fixture::{
    Answer, Call, Database, PASSWORD, Setup, Site, on_both_databases, registration,
};

const NUMBER: &str = "+491511234567";

const CONTRACT: Contract = Contract::SendOneTimePassword;

/// Forwards each message to a server, whose response status decides.
const SCRIPT: &str = r#"
export async function sendOneTimePassword(message) {
  console.log("sending", message.oneTimePassword);
  const answer = await vestibule.fetch("URL", {
    method: "POST",
    headers: { authorization: "Bearer s3cret" },
    body: JSON.stringify(message),
  });
  const seen = await vestibule.users.find({ phone: message.phoneNumber });
  if (seen.length > 0) throw new Error("it sees a user, without the rights of any");
  return answer.ok ? "SUCCESS" : "PROVIDER_ERROR";
}
"#;

async fn name_handler(site: &Site, name: &str) {
    let change = json!({ "customOtpDeliveryHandlerId": name });
    site.update_settings(change).await;
}

async fn with_script(site: &Site, remote: &Remote) {
    let source = SCRIPT.replace("URL", remote.url.as_str());
    let host = format!("127.0.0.1:{}", remote.url.port().unwrap());
    site.set_script("texts", CONTRACT, &source, &[host]).await;
    name_handler(site, "texts").await;
}

async fn with_webhook(site: &Site, remote: &Remote) {
    site.set_webhook("texts", CONTRACT, remote).await;
    name_handler(site, "texts").await;
}

async fn init(site: &Site) -> Answer {
    let mut body = registration("ada@example.com");
    body["verificationmethod"] = json!("sms");
    body["customdata"] = json!({"mobilePhone": NUMBER});
    site.init(&body).await
}

async fn register(site: &Site) -> String {
    let answer = init(site).await.expect_ok();
    answer.json()["identifier"].as_str().unwrap().to_owned()
}

/// Completes a registration with a code.
async fn complete(site: &Site, identifier: &str, code: &str) -> Answer {
    let call = site.authorize_call(identifier, code);
    let call = call.without_header("auth-verification-type");
    site.send(call.header("auth-verification-type", "sms"))
        .await
}

fn word(status: &str) -> Behaviour {
    Behaviour::json(&json!(status))
}

on_both_databases! {
    async fn a_script_sends_the_texts_of_its_site_and_the_code_works(site: Site) {
        let remote = Remote::start(Behaviour::status(204)).await;
        with_script(&site, &remote).await;
        let identifier = register(&site).await;
        // The app has its answer, and the server was not called yet.
        assert!(remote.received().is_empty());
        site.deliver().await;
        let sent = remote.only_request().json();
        assert_is_argument(&site, &sent, &Value::Null);
        assert_eq!(site.newest_status(NUMBER).await, "sent");
        let code = sent["oneTimePassword"].as_str().unwrap();
        complete(&site, &identifier, code).await.expect_status(302);
        assert_nothing_is_left_of(&site, code).await;
    }
}

on_both_databases! {
    async fn a_webhook_sends_the_texts_of_its_site_and_the_code_works(site: Site) {
        let remote = Remote::start(word("SUCCESS")).await;
        with_webhook(&site, &remote).await;
        let identifier = register(&site).await;
        assert!(remote.received().is_empty());
        site.deliver().await;
        let request = remote.only_request();
        assert_eq!(request.header("vestibule-contract"), Some("sendOneTimePassword"));
        let sent = request.json()["argument"].clone();
        assert_is_argument(&site, &sent, &Value::Null);
        assert_eq!(site.newest_status(NUMBER).await, "sent");
        let code = sent["oneTimePassword"].as_str().unwrap();
        complete(&site, &identifier, code).await.expect_status(302);
        assert_nothing_is_left_of(&site, code).await;
        let line = r#"vestibule_text_messages_total{country="DE",status="SUCCESS"} 1"#;
        assert!(site.app.metrics.render().contains(line));

        // A login is about a user.
        let code = login_code(&site, &remote).await;
        assert_eq!(code.len(), 6);
    }
}

/// A passwordless login by text message; the code that the webhook received.
async fn login_code(site: &Site, remote: &Remote) -> String {
    let user = site.user("ada@example.com").await.expect("a user");
    let token = site.integration_token(None).await;
    site.update_settings(json!({
        "isPwdlessLoginAllowed": true,
        "doesPwdlessLoginRequireAuth": true,
    }))
    .await;
    let call = Call::post("/services/auth/headless/init/passwordless/login").bearer(&token);
    let body = json!({"verificationmethod": "sms", "username": "ada@example.com"});
    site.send(call.json(&body)).await.expect_ok();
    site.deliver().await;
    let received = remote.received();
    let sent = received.last().unwrap().json()["argument"].clone();
    assert_is_argument(site, &sent, &json!(user.id));
    sent["oneTimePassword"].as_str().unwrap().to_owned()
}

#[track_caller]
fn assert_is_argument(site: &Site, sent: &Value, user_id: &Value) {
    let code = sent["oneTimePassword"].as_str().unwrap();
    let text = sent["defaultText"].as_str().unwrap();
    assert!(code.len() == 6 && text.contains(code), "{text}");
    let site_id = &site.entry("private").site.id;
    assert_eq!(
        sent,
        &json!({
            "userId": user_id,
            "phoneNumber": NUMBER,
            "oneTimePassword": code,
            "defaultText": text,
            "networkId": site_id,
            "experienceId": site_id,
        })
    );
}

/// The record of the call contains "[removed]" in place of the code, and the replay does not reveal it either.
async fn assert_nothing_is_left_of(site: &Site, code: &str) {
    let calls = site.handler_calls().await;
    let (call, record) = &calls[0];
    assert_eq!((call.outcome.as_str(), calls.len()), ("ok", 1));
    let text = serde_json::to_string(record).unwrap();
    assert!(text.contains("[removed]") && !text.contains(code), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
    assert_eq!(record.argument["oneTimePassword"], "[removed]");
    let hidden = record.argument["defaultText"].as_str().unwrap();
    assert!(hidden.contains("[removed]"), "{hidden}");
}

#[tokio::test]
async fn the_built_in_delivery_is_the_gateway_and_other_sites_keep_it() {
    let site = Site::open(Database::Sqlite).await;
    name_handler(&site, "builtin").await;
    let identifier = register(&site).await;
    let code = site.code_to(NUMBER).await;
    complete(&site, &identifier, &code).await.expect_status(302);
    assert!(site.handler_calls().await.is_empty());

    // The private site has a handler; the text messages of the public one are sent by the gateway.
    let remote = Remote::start(word("SUCCESS")).await;
    with_webhook(&site, &remote).await;
    let body = json!({
        "userdata": {"firstName": "Bea", "lastName": "B", "email": "bea@example.com", "username": "bea@example.com"},
        "password": PASSWORD,
        "verificationmethod": "sms",
        "customdata": {"mobilePhone": "+491511234568"},
        "recaptcha": "test-pass",
    });
    let call = Call::post("/services/auth/headless/init/registration").on_public();
    site.send(call.json(&body)).await.expect_ok();
    assert_eq!(site.code_to("+491511234568").await.len(), 6);
    assert!(remote.received().is_empty());
}

#[tokio::test]
async fn ssrf_08_a_result_about_the_number_is_final_and_every_other_failure_is_retried() {
    let site = Site::open(Database::Sqlite).await;
    let remote = Remote::start(word("SUCCESS")).await;
    with_webhook(&site, &remote).await;
    for (n, status) in ["COUNTRY_BLOCK", "INVALID_PHONE_NUMBER"]
        .into_iter()
        .enumerate()
    {
        remote.behave(word(status));
        register(&site).await;
        site.deliver().await;
        site.expect_text_message_abandoned(NUMBER, status).await;
        assert_eq!(remote.received().len(), n + 1);
        // The newest message is the one with the latest instant.
        site.advance(Duration::from_secs(1));
    }
    register(&site).await;
    let mut tries = 0;
    for (behaviour, reason) in [
        (word("MESSAGE_LIMIT_EXCEEDED"), "MESSAGE_LIMIT_EXCEEDED: "),
        (word("PROVIDER_ERROR"), "PROVIDER_ERROR: "),
        (word("EXCEPTION"), "EXCEPTION: "),
        (word("fine"), "EXCEPTION: "),
        (Behaviour::status(503), "EXCEPTION: "),
        (Behaviour::Endless, "EXCEPTION: "),
    ] {
        remote.behave(behaviour);
        site.deliver().await;
        tries += 1;
        site.expect_message_queued(NUMBER, tries, reason).await;
        site.advance(Duration::from_secs(1 << (tries - 1)));
    }
    remote.behave(word("SUCCESS"));
    site.deliver().await;
    assert_eq!(site.newest_status(NUMBER).await, "sent");
    // The code is the same one over all tries, by which a handler knows the message again.
    let received = remote.received();
    let code = |n: usize| received[n].json()["argument"]["oneTimePassword"].clone();
    assert!((2..9).all(|n| code(n) == code(2)));
}

#[tokio::test]
async fn hnd_04_a_script_that_throws_the_code_shows_it_nowhere() {
    let site = Site::open(Database::Sqlite).await;
    let source = "export function sendOneTimePassword({ oneTimePassword }) {
        const error = new Error(oneTimePassword); error.name = oneTimePassword; throw error; }";
    site.set_script("texts", CONTRACT, source, &[]).await;
    name_handler(&site, "texts").await;
    register(&site).await;
    site.deliver().await;
    let message = site.newest_message(NUMBER).await;
    assert_eq!(message.status.as_str(), "queued");
    let reason = message.last_reason.unwrap();
    assert!(
        reason.starts_with("EXCEPTION: the delivery handler failed"),
        "{reason}"
    );
    let digits = |text: &str| {
        let mut runs = text.split(|c: char| !c.is_ascii_digit());
        runs.any(|run| run.len() == 6)
    };
    assert!(!digits(&reason), "{reason}");
    let (_, record) = site.handler_calls().await.remove(0);
    let outcome = serde_json::to_string(&record.outcome).unwrap();
    assert!(!digits(&outcome), "{outcome}");
}

#[tokio::test]
async fn hnd_06_a_handler_makes_the_channel_available_and_a_broken_one_closes_it() {
    let setup = Setup {
        sms: Some(Gateway::None),
        ..Setup::default()
    };
    let site = Site::open_with(Database::Sqlite, setup).await;
    let refused = |answer: Answer| {
        let said = answer.json().to_string();
        assert!(said.contains("otp_generation_failed"), "{said}");
    };
    refused(init(&site).await);
    let remote = Remote::start(word("SUCCESS")).await;
    with_webhook(&site, &remote).await;
    register(&site).await;
    site.deliver().await;
    assert_eq!(site.newest_status(NUMBER).await, "sent");

    let broken = "export function sendOneTimePassword( {";
    site.set_script("texts", CONTRACT, broken, &[]).await;
    refused(init(&site).await);
    // A handler of another contract, and a deleted one.
    let other = "export function discoverUser() { return { userIds: [] }; }";
    site.set_script("finder", Contract::DiscoverUser, other, &[])
        .await;
    for name in ["finder", "gone"] {
        let change = json!({ "customOtpDeliveryHandlerId": name });
        site.force_settings_of("private", change).await;
        refused(init(&site).await);
    }
    assert_eq!(remote.received().len(), 1);
}
