//! A webhook over the wire: its request, its signature, and the treatment of its responses.

use std::time::Duration;

use aws_lc_rs::hmac;
use serde_json::{Value, json};
use url::Url;
use vestibule::config::HandlersConfig;
use vestibule::handler::HandlerError;
use vestibule::handler::contract::Contract;
use vestibule::handler::webhook::{self, WebhookCall};
use vestibule::outbound::{NameResolver, Outbound};
use vestibule_protocol::secret::Secret;

use crate::fixture::remote::{Behaviour, Received, Remote};
use crate::fixture::{START, guarded};

const SECRET: &str = "whk-s3cret";

fn outbound() -> Outbound {
    let handlers = HandlersConfig {
        webhook_timeout_ms: 500,
        ..HandlersConfig::default()
    };
    guarded(&handlers.on_this_machine(), NameResolver::System)
}

async fn discover(outbound: &Outbound, url: &Url) -> Result<Value, HandlerError> {
    let call = WebhookCall {
        url,
        secret: &Secret::from(SECRET.to_owned()),
        contract: Contract::DiscoverUser,
        version: 3,
        call_id: "9HC000000000001AAA",
        argument: &argument(),
        at: START,
    };
    webhook::call(outbound, call).await
}

fn argument() -> Value {
    json!({
        "networkId": "0DB000000000001AAA",
        "loginHint": "ORDER-1",
        "verificationAction": "EMAIL",
        "customDataJson": "{\"a\":1}",
        "requestAttributes": {"IpAddress": "203.0.113.7"},
    })
}

/// A receiver as described on the how-to page, written without the server's code.
fn is_genuine(request: &Received, secret: &str, now_seconds: i64) -> bool {
    let timestamp = request.header("vestibule-timestamp").unwrap_or_default();
    let is_fresh = timestamp
        .parse::<i64>()
        .is_ok_and(|at| (now_seconds - at).abs() <= 300);
    let signature = request.header("vestibule-signature").unwrap_or_default();
    let hex = signature.strip_prefix("v1=").unwrap_or_default();
    let tag: Vec<u8> = (0..hex.len() / 2)
        .filter_map(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).ok())
        .collect();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signed = format!("{timestamp}.{}", request.body);
    is_fresh && hmac::verify(&key, signed.as_bytes(), &tag).is_ok()
}

#[tokio::test]
async fn ssrf_07_the_call_is_signed_with_its_time_and_contains_the_argument() {
    let answer = json!({"userIds": ["005000000000001AAA"], "customErrorMessage": null});
    let remote = Remote::start(Behaviour::json(&answer)).await;
    let url = remote.url.join("handlers/discover").unwrap();
    assert_eq!(discover(&outbound(), &url).await, Ok(answer));

    let request = remote.only_request();
    assert_eq!(request.line, "POST /handlers/discover HTTP/1.1");
    for (name, value) in [
        ("content-type", "application/json"),
        ("vestibule-contract", "discoverUser"),
        ("vestibule-handler-version", "3"),
        ("vestibule-call", "9HC000000000001AAA"),
        ("vestibule-timestamp", "1767607200"),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    assert_eq!(
        request.json(),
        json!({
            "contract": "discoverUser",
            "version": 3,
            "callId": "9HC000000000001AAA",
            "argument": argument(),
        })
    );
    let now = START.seconds();
    assert!(is_genuine(&request, SECRET, now));
    assert!(is_genuine(&request, SECRET, now + 300));
    assert!(!request.body.contains(SECRET));
}

#[tokio::test]
async fn ssrf_07_a_call_that_was_changed_or_is_old_is_not_genuine() {
    let remote = Remote::start(Behaviour::json(&json!({}))).await;
    discover(&outbound(), &remote.url).await.unwrap();
    let request = remote.only_request();
    let now = START.seconds();
    let changed = |change: fn(&mut Received)| {
        let mut request = request.clone();
        change(&mut request);
        is_genuine(&request, SECRET, now)
    };
    assert!(changed(|_| {}));
    assert!(!changed(
        |request| request.body = request.body.replace("ORDER-1", "ORDER-2")
    ));
    assert!(!changed(|request| request.body.push(' ')));
    let redate = |request: &mut Received| {
        let headers = request.headers.iter_mut();
        for (name, value) in headers {
            if name == "vestibule-timestamp" {
                *value = String::from("1767607201");
            }
        }
    };
    assert!(!changed(redate));
    assert!(!changed(|request| request
        .headers
        .retain(|(name, _)| name != "vestibule-signature")));
    assert!(!is_genuine(&request, "another secret", now));
    assert!(!is_genuine(&request, "", now));
    // A replay, and a clock with a large difference.
    assert!(!is_genuine(&request, SECRET, now + 301));
    assert!(!is_genuine(&request, SECRET, now - 301));
}

#[tokio::test]
async fn hnd_04_an_invalid_result_fails_closed_and_discloses_nothing_to_the_app() {
    let remote = Remote::start(Behaviour::status(200)).await;
    let outbound = outbound();
    let inside = Remote::start(Behaviour::json(&json!({"userIds": ["005"]}))).await;
    let location: &'static str = format!("location: {}\r\n", inside.url).leak();
    for (behaviour, detail) in [
        (
            Behaviour::status(200),
            "the answer's Content-Type is not JSON",
        ),
        (Behaviour::status(500), "status 500"),
        (
            Behaviour::Answer(302, location, String::new()),
            "status 302",
        ),
        (Behaviour::Hang, "no answer in time"),
        (Behaviour::Endless, "the answer is too large"),
        (
            Behaviour::HalfAnswer(String::from("{")),
            "no connection, or it broke",
        ),
    ] {
        remote.behave(behaviour);
        let error = discover(&outbound, &remote.url).await.unwrap_err();
        assert_eq!(error.apex_error(), "WebhookException: the handler failed");
        assert_eq!(error.detail.as_deref(), Some(detail));
    }
    assert!(inside.received().is_empty());
    // One request each: a handler may have acted before its response was lost.
    assert_eq!(remote.received().len(), 6);
    let refusal = json!({"error": "The order is from last year."}).to_string();
    remote.behave(Behaviour::Answer(
        422,
        "content-type: application/json\r\n",
        refusal,
    ));
    let error = discover(&outbound, &remote.url).await.unwrap_err();
    assert_eq!(
        error.apex_error(),
        "WebhookException: The order is from last year."
    );
}

#[tokio::test]
async fn ssrf_01_a_webhook_on_this_machine_needs_the_operators_leave() {
    let remote = Remote::start(Behaviour::json(&json!({}))).await;
    let handlers = HandlersConfig::default();
    assert_eq!(handlers.bounds().deadline, Duration::from_secs(2));
    let closed = guarded(&handlers, NameResolver::System);
    let error = discover(&closed, &remote.url).await.unwrap_err();
    assert_eq!(error.apex_error(), "WebhookException: the handler failed");
    assert_eq!(
        error.explained(),
        "the handler failed: the address may not be called: it is this machine (loopback)"
    );
    assert!(remote.received().is_empty());
}
