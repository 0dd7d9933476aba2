//! The providers over the wire: the requests to them, and the effect of their responses.

use std::time::Duration;

use aws_lc_rs::hmac;
use serde_json::json;
use vestibule::delivery::Gateway;
use vestibule::delivery::sms::twilio::Twilio;
use vestibule::delivery::sms::webhook::Webhook;
use vestibule::delivery::sms::{SmsGateway, SmsProvider};
use vestibule::worker::outbox;
use vestibule_protocol::secret::Secret;

use crate::fixture::remote::{Behaviour, Remote};
use crate::fixture::{Database, START, Setup, Site, registration};

const NUMBER: &str = "+491511234567";

fn secret() -> Secret {
    Secret::from("wh-s3cret".to_owned())
}

fn webhook(remote: &Remote) -> SmsProvider {
    SmsProvider::Webhook(Webhook::new(
        remote.url.join("sms").unwrap(),
        Some(&secret()),
    ))
}

fn twilio(remote: &Remote) -> SmsProvider {
    let base = remote.url.join("2010-04-01/").unwrap();
    let token = Secret::from("tw-t0ken".to_owned());
    SmsProvider::Twilio(Twilio::new(&base, "AC7", &token, "+15550100".to_owned()).unwrap())
}

fn provider(is_twilio: bool, remote: &Remote) -> SmsProvider {
    if is_twilio {
        twilio(remote)
    } else {
        webhook(remote)
    }
}

async fn site(provider: SmsProvider) -> Site {
    let deadline = Duration::from_millis(500);
    let gateway = SmsGateway::new(provider, deadline, 4, None).unwrap();
    let mut setup = Setup {
        sms: Some(Gateway::Sms(Box::new(gateway))),
        ..Setup::default()
    };
    setup.config.sms.cost_micros = [(String::from("DE"), 75_000)].into();
    Site::open_with(Database::Sqlite, setup).await
}

/// A registration that is verified by a text message.
async fn register_by_text(site: &Site) -> String {
    let mut body = registration("ada@example.com");
    body["verificationmethod"] = json!("sms");
    body["customdata"] = json!({"mobilePhone": NUMBER});
    let answer = site.init(&body).await.expect_ok();
    answer.json()["identifier"].as_str().unwrap().to_owned()
}

fn code_in(text: &str) -> String {
    let digits = text.split(|c: char| !c.is_ascii_digit());
    let mut codes = digits.filter(|digits| digits.len() == 6);
    codes.next().expect("a code").to_owned()
}

#[tokio::test]
async fn the_webhook_gets_signed_json_whose_code_completes_the_registration() {
    let remote = Remote::start(Behaviour::status(204)).await;
    let site = site(webhook(&remote)).await;
    let identifier = register_by_text(&site).await;
    site.deliver().await;

    let request = remote.only_request();
    assert_eq!(request.line, "POST /sms HTTP/1.1");
    assert_eq!(request.header("content-type"), Some("application/json"));
    let timestamp = request.header("vestibule-timestamp").unwrap();
    assert_eq!(timestamp, START.seconds().to_string());
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"wh-s3cret");
    let signed = format!("{timestamp}.{}", request.body);
    let tag = hmac::sign(&key, signed.as_bytes());
    let hex: String = tag
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        request.header("vestibule-signature"),
        Some(format!("v1={hex}").as_str())
    );

    let body = request.json();
    let names: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        ["message_id", "to", "text", "site", "template", "language"]
    );
    assert_eq!(body["to"], NUMBER);
    assert_eq!(body["language"], "en");
    assert_eq!(
        request.header("idempotency-key"),
        body["message_id"].as_str()
    );
    assert_eq!(
        body["message_id"],
        json!(site.newest_message(NUMBER).await.message_id)
    );

    let code = code_in(body["text"].as_str().unwrap());
    let call = site.authorize_call(&identifier, &code);
    let call = call
        .without_header("auth-verification-type")
        .header("auth-verification-type", "sms");
    site.send(call).await.expect_status(302);
}

#[tokio::test]
async fn twilio_gets_its_form_from_its_account() {
    let remote = Remote::start(Behaviour::Answer(201, "", String::from(r#"{"sid":"SM1"}"#))).await;
    let site = site(twilio(&remote)).await;
    register_by_text(&site).await;
    site.deliver().await;
    let request = remote.only_request();
    assert_eq!(
        request.line,
        "POST /2010-04-01/Accounts/AC7/Messages.json HTTP/1.1"
    );
    // Basic of AC7:tw-t0ken.
    assert_eq!(
        request.header("authorization"),
        Some("Basic QUM3OnR3LXQwa2Vu")
    );
    let form = request.form();
    assert_eq!(form[0], ("To".to_owned(), NUMBER.to_owned()));
    assert_eq!(form[1], ("From".to_owned(), "+15550100".to_owned()));
    assert_eq!(form[2].0, "Body");
    assert_eq!(code_in(&form[2].1).len(), 6);
    let message = site.newest_message(NUMBER).await;
    assert_eq!((message.status.as_str(), message.is_wiped), ("sent", true));
    assert_eq!(
        request.header("i-twilio-idempotency-token"),
        Some(message.message_id.as_str())
    );
    let metrics = site.app.metrics.render();
    for line in [
        r#"vestibule_text_messages_total{country="DE",status="SUCCESS"} 1"#,
        r#"vestibule_text_message_cost_micros_total{country="DE"} 75000"#,
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}

#[tokio::test]
async fn a_transient_failure_is_retried_under_the_same_id() {
    for is_twilio in [false, true] {
        let remote = Remote::start(Behaviour::status(503)).await;
        let site = site(provider(is_twilio, &remote)).await;
        register_by_text(&site).await;
        let mut tries = 0;
        for (behaviour, reason) in [
            (Behaviour::status(503), "PROVIDER_ERROR: "),
            (Behaviour::status(429), "MESSAGE_LIMIT_EXCEEDED: "),
            (Behaviour::Hang, "EXCEPTION: no answer in time"),
            (
                Behaviour::HalfAnswer(String::from("{")),
                "EXCEPTION: no connection",
            ),
            (Behaviour::Endless, "EXCEPTION: the answer is too large"),
            (
                Behaviour::Answer(302, "location: /elsewhere\r\n", String::new()),
                "PROVIDER_ERROR: ",
            ),
        ] {
            remote.behave(behaviour);
            site.deliver().await;
            tries += 1;
            site.expect_message_queued(NUMBER, tries, reason).await;
            site.advance(Duration::from_secs(1 << (tries - 1)));
        }
        remote.behave(Behaviour::status(200));
        site.deliver().await;
        assert_eq!(site.newest_status(NUMBER).await, "sent");
        let received = remote.received();
        assert_eq!(received.len(), 7);
        let names = ["idempotency-key", "i-twilio-idempotency-token"];
        let id = |n: usize| received[n].header(names[usize::from(is_twilio)]).unwrap();
        assert!((1..7).all(|n| id(n) == id(0)));
    }
}

#[tokio::test]
async fn a_refusal_of_the_number_is_final_and_has_the_documented_status() {
    let twilio_says = |code: i64| {
        let body = json!({"code": code, "message": format!("no {NUMBER}"), "status": 400});
        Behaviour::Answer(400, "", body.to_string())
    };
    let webhook_says = |status: &str| Behaviour::json(&json!({ "status": status }));
    let cases: [(bool, Behaviour, &str); 4] = [
        (true, twilio_says(21_211), "INVALID_PHONE_NUMBER"),
        (true, twilio_says(21_408), "COUNTRY_BLOCK"),
        (
            false,
            webhook_says("INVALID_PHONE_NUMBER"),
            "INVALID_PHONE_NUMBER",
        ),
        (false, webhook_says("COUNTRY_BLOCK"), "COUNTRY_BLOCK"),
    ];
    for (is_twilio, behaviour, status) in cases {
        let remote = Remote::start(behaviour).await;
        let site = site(provider(is_twilio, &remote)).await;
        register_by_text(&site).await;
        site.deliver().await;
        let reason = site.expect_text_message_abandoned(NUMBER, status).await;
        assert!(!reason.contains("49151"), "{reason}");
        site.advance(Duration::from_secs(60));
        site.deliver().await;
        assert_eq!(remote.received().len(), 1);
    }
}

#[tokio::test]
async fn in_the_inbox_a_text_message_is_one_that_went_out() {
    let site = Site::open(Database::Sqlite).await;
    register_by_text(&site).await;
    assert_eq!(site.code_to(NUMBER).await.len(), 6);
    let line = r#"vestibule_text_messages_total{country="DE",status="SUCCESS"} 1"#;
    assert!(site.app.metrics.render().contains(line));
}

#[tokio::test]
async fn log_01_a_gateway_prints_neither_secret_nor_path() {
    let remote = Remote::start(Behaviour::status(200)).await;
    for provider in [webhook(&remote), twilio(&remote)] {
        let gateway = SmsGateway::new(provider, Duration::from_secs(1), 1, None).unwrap();
        let text = format!("{gateway:?}");
        for hidden in ["s3cret", "t0ken", "QUM3", "AC7", "/sms"] {
            assert!(!text.contains(hidden), "{text}");
        }
    }
}

/// A hanging provider occupies as many messages as it has connections, here one, until its deadline.
#[tokio::test]
async fn mail_13_a_provider_of_text_messages_that_hangs_leaves_mail_alone() {
    let remote = Remote::start(Behaviour::Hang).await;
    let gateway = SmsGateway::new(webhook(&remote), Duration::from_secs(60), 1, None).unwrap();
    let setup = Setup {
        sms: Some(Gateway::Sms(Box::new(gateway))),
        ..Setup::default()
    };
    let site = Site::open_with(Database::Sqlite, setup).await;
    register_by_text(&site).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let worker = tokio::spawn(outbox::run(site.app.clone(), stopped));
    let asked = tokio::time::timeout(Duration::from_secs(20), async {
        while remote.received().is_empty() {
            tokio::task::yield_now().await;
        }
    });
    asked.await.expect("the provider is asked");
    site.init(&registration("bea@example.com"))
        .await
        .expect_ok();
    let soon = Duration::from_secs(20);
    let mail = site.inbox.wait(Some("bea@example.com"), None, soon).await;
    assert_eq!(mail.len(), 1, "mail waits for a provider of text messages");
    assert_eq!(site.newest_status(NUMBER).await, "sending");
    site.inbox.clear();
    drop(stop);
    worker.abort();
}
