//! The requests and responses of a script's `fetch`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use vestibule::outbound::{AddressRule, Bounds, FetchRequest, NoFetch, NoReply, Outbound};

use crate::fixture::remote::{Behaviour, Remote};

fn outbound(allowed: &[&str]) -> Outbound {
    let bounds = Bounds {
        deadline: Duration::from_millis(500),
        in_flight_max: 4,
        answer_bytes_max: 64 * 1024,
    };
    let rule = AddressRule {
        allowed: allowed.iter().map(|text| text.parse().unwrap()).collect(),
        ..AddressRule::default()
    };
    Outbound::guarded(bounds, rule).unwrap()
}

fn host_of(remote: &Remote) -> [String; 1] {
    [format!("127.0.0.1:{}", remote.url.port().unwrap())]
}

fn request(value: &serde_json::Value) -> FetchRequest {
    serde_json::from_value(value.clone()).unwrap()
}

#[tokio::test]
async fn a_script_fetches_text_from_a_host_of_its_list() {
    let headers = "content-type: application/json\r\nset-cookie: a=b\r\nx-a: 1\r\nx-a: 2\r\n";
    let behaviour = Behaviour::Answer(404, headers, String::from(r#"{"orders":[]}"#));
    let remote = Remote::start(behaviour).await;
    let outbound = outbound(&["127.0.0.1"]);
    let asked = json!({
        "url": remote.url.join("orders?number=7").unwrap(),
        "method": "put",
        "headers": {"Authorization": "Bearer s3cret", "Content-Type": "text/plain"},
        "body": "héllo",
    });
    let reply = outbound
        .fetch(request(&asked), &host_of(&remote))
        .await
        .ok()
        .unwrap();
    let expected: BTreeMap<&str, &str> = [
        ("content-length", "13"),
        ("content-type", "application/json"),
        ("x-a", "1, 2"),
    ]
    .into();
    assert_eq!(
        serde_json::to_value(&reply).unwrap(),
        json!({"status": 404, "headers": expected, "body": r#"{"orders":[]}"#})
    );
    let received = remote.only_request();
    assert_eq!(received.line, "PUT /orders?number=7 HTTP/1.1");
    assert_eq!(received.header("authorization"), Some("Bearer s3cret"));
    assert_eq!(received.header("content-type"), Some("text/plain"));
    assert_eq!(received.body, "héllo");
}

#[tokio::test]
async fn ssrf_06_a_host_on_the_list_does_not_open_what_the_guard_keeps_shut() {
    let remote = Remote::start(Behaviour::status(200)).await;
    let get = || request(&json!({"url": remote.url.as_str()}));
    let failed = |outcome: Result<_, NoFetch>| outcome.err().unwrap();

    let elsewhere = [String::from("api.example.com")];
    let outcome = outbound(&["127.0.0.1"]).fetch(get(), &elsewhere).await;
    assert_eq!(failed(outcome), NoFetch::HostNotAllowed);
    let outcome = outbound(&[]).fetch(get(), &host_of(&remote)).await;
    let error = failed(outcome);
    assert!(
        matches!(error, NoFetch::Failed(NoReply::Forbidden(_))),
        "{error:?}"
    );
    // The reason names the rule, not the address.
    assert_eq!(
        error.to_string(),
        "the address may not be called: it is this machine (loopback)"
    );
    assert!(remote.received().is_empty());
}

#[tokio::test]
async fn a_response_is_text_and_bounded() {
    let remote = Remote::start(Behaviour::Endless).await;
    let outbound = outbound(&["127.0.0.1"]);
    let get = || request(&json!({"url": remote.url.as_str()}));
    let outcome = outbound.fetch(get(), &host_of(&remote)).await;
    assert_eq!(outcome.err(), Some(NoFetch::Failed(NoReply::Large)));
    remote.behave(Behaviour::Hang);
    let outcome = outbound.fetch(get(), &host_of(&remote)).await;
    assert_eq!(outcome.err(), Some(NoFetch::Failed(NoReply::Late)));
}
