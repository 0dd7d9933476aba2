//! Which addresses the guard lets a handler call, and what a server can do to the caller (SSRF-01 to 09).

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::HeaderMap;
use serde_json::json;
use url::Url;
use vestibule::outbound::{AddressRule, Bounds, NameResolver, NoReply, Outbound, Post, Reply};

use crate::fixture::remote::{Behaviour, Remote};
use crate::fixture::{Call, on_sqlite};

const BOUNDS: Bounds = Bounds {
    deadline: Duration::from_millis(500),
    in_flight_max: 1,
    answer_bytes_max: 64 * 1024,
};

fn outbound(allowed: &[&str], names: NameResolver) -> Outbound {
    let allowed = allowed.iter().map(|text| text.parse().unwrap()).collect();
    Outbound::guarded(
        BOUNDS,
        AddressRule {
            allowed,
            names,
            proxy: None,
        },
    )
    .unwrap()
}

/// A resolver that returns different results in sequence, and counts.
fn changing(answers: &'static [&'static [&'static str]]) -> (NameResolver, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let names = NameResolver::Fixed(Arc::new(move |_| {
        let n = counter
            .fetch_add(1, Ordering::SeqCst)
            .min(answers.len() - 1);
        answers[n]
            .iter()
            .map(|ip| ip.parse::<IpAddr>().unwrap())
            .collect()
    }));
    (names, asked)
}

async fn post(outbound: &Outbound, url: &str) -> Result<Reply, NoReply> {
    let post = Post {
        url: Url::parse(url).unwrap(),
        content_type: "application/json",
        headers: HeaderMap::new(),
        body: String::from("{}"),
    };
    outbound.post(post).await
}

#[track_caller]
fn assert_forbidden(reply: Result<Reply, NoReply>, part: &str) {
    match reply.map(|reply| reply.status) {
        Err(NoReply::Forbidden(why)) => assert!(why.contains(part), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn ssrf_01_this_machine_is_not_called_unless_it_is_allow_listed() {
    let remote = Remote::start(Behaviour::status(200)).await;
    let port = remote.url.port().unwrap();
    let names = || NameResolver::System;
    for host in [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "2130706433",
        "0x7f.1",
    ] {
        let url = format!("http://{host}:{port}/");
        assert_forbidden(post(&outbound(&[], names()), &url).await, "this machine");
        assert_forbidden(
            post(&outbound(&["10.0.0.0/8"], names()), &url).await,
            "this machine",
        );
    }
    assert!(remote.received().is_empty());
    let allowed = outbound(&["127.0.0.0/8", "::1"], names());
    for host in ["127.0.0.1", "localhost"] {
        let reply = post(&allowed, &format!("http://{host}:{port}/")).await;
        assert_eq!(reply.map(|reply| reply.status), Ok(200), "{host}");
    }
    // URLs of the operator use a client without a guard.
    let own = Outbound::new(BOUNDS).unwrap();
    assert!(post(&own, remote.url.as_str()).await.is_ok());
    assert_eq!(remote.received().len(), 3);
}

#[tokio::test]
async fn ssrf_02_a_name_that_leads_to_a_metadata_service_is_not_called() {
    for answer in [
        &["169.254.169.254"],
        &["fd00:ec2::254"],
        &["::ffff:169.254.169.254"],
    ] {
        let answers: &'static [&'static [&'static str]] = Vec::leak(vec![&answer[..]]);
        let (names, _) = changing(answers);
        let reply = post(
            &outbound(&["127.0.0.1"], names),
            "https://metadata.example/",
        )
        .await;
        assert!(
            matches!(reply.map(|r| r.status), Err(NoReply::Forbidden(_))),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn ssrf_06_a_name_is_looked_up_once_and_what_was_judged_is_connected_to() {
    let close = || Behaviour::Answer(200, "connection: close\r\n", String::new());
    let remote = Remote::start(close()).await;
    let url = format!("http://localhost:{}/", remote.url.port().unwrap());
    // A second look-up would have another result.
    let (names, asked) = changing(&[&["127.0.0.1"], &["127.0.0.2"], &["127.0.0.1", "10.0.0.1"]]);
    let outbound = outbound(&["127.0.0.1"], names);
    assert_eq!(
        post(&outbound, &url).await.map(|reply| reply.status),
        Ok(200)
    );
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert_forbidden(post(&outbound, &url).await, "this machine");
    assert_forbidden(post(&outbound, &url).await, "private");
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    assert_eq!(remote.received().len(), 1);
}

#[tokio::test]
async fn ssrf_06_plain_http_is_for_this_machine_and_a_url_contains_no_password() {
    let (names, asked) = changing(&[&["127.0.0.1"]]);
    let outbound = outbound(&["0.0.0.0/0"], names);
    for url in [
        "http://hooks.example/",
        "http://10.1.2.3/",
        "http://[::ffff:127.0.0.1]/",
    ] {
        assert_forbidden(post(&outbound, url).await, "https://");
    }
    let reply = post(&outbound, "https://user:secret@hooks.example/").await;
    assert_forbidden(reply, "neither user nor password");
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn ssrf_06_a_redirect_is_an_answer_and_no_errand() {
    let inside = Remote::start(Behaviour::status(200)).await;
    let line = format!("location: {}\r\n", inside.url);
    let remote = Remote::start(Behaviour::Answer(307, line.leak(), String::new())).await;
    let reply = post(
        &outbound(&["127.0.0.1"], NameResolver::System),
        remote.url.as_str(),
    )
    .await;
    assert_eq!(reply.map(|reply| reply.status), Ok(307));
    assert!(inside.received().is_empty());
}

#[tokio::test]
async fn ssrf_08_a_slow_an_endless_and_a_large_answer_end_within_their_bounds() {
    let large = "x".repeat(BOUNDS.answer_bytes_max + 1);
    for (behaviour, expected) in [
        (Behaviour::Hang, NoReply::Late),
        (Behaviour::Endless, NoReply::Large),
        (Behaviour::Answer(200, "", large), NoReply::Large),
        (
            Behaviour::HalfAnswer(String::from("{")),
            NoReply::Unreachable,
        ),
    ] {
        let remote = Remote::start(behaviour.clone()).await;
        let outbound = outbound(&["127.0.0.1"], NameResolver::System);
        let reply = post(&outbound, remote.url.as_str()).await;
        assert_eq!(
            reply.map(|reply| reply.status),
            Err(expected),
            "{behaviour:.20?}"
        );
        // The permit was returned.
        remote.behave(Behaviour::status(200));
        assert!(post(&outbound, remote.url.as_str()).await.is_ok());
    }
}

#[tokio::test]
async fn ssrf_08_one_call_more_than_may_be_in_flight_fails_at_once() {
    let remote = Remote::start(Behaviour::Hang).await;
    let rule = AddressRule {
        allowed: vec!["127.0.0.1".parse().unwrap()],
        ..AddressRule::default()
    };
    let deadline = Duration::from_secs(60);
    let outbound = Outbound::guarded(Bounds { deadline, ..BOUNDS }, rule).unwrap();
    let outbound = Arc::new(outbound);
    let (first, url) = (Arc::clone(&outbound), remote.url.to_string());
    let first = tokio::spawn(async move { post(&first, &url).await.map(|r| r.status) });
    while remote.received().is_empty() {
        tokio::task::yield_now().await;
    }
    let second = post(&outbound, remote.url.as_str()).await;
    assert_eq!(second.map(|reply| reply.status), Err(NoReply::Busy));
    remote.hang_up();
    assert_eq!(first.await.unwrap(), Err(NoReply::Unreachable));
}

on_sqlite! {
    /// No URI in a request or a client's registration is fetched: there is no such setting, and the parameters of
    /// OpenID Connect that would do it are ignored.
    async fn ssrf_09_no_uri_of_a_client_or_a_request_is_fetched(site: Site) {
        let remote = Remote::start(Behaviour::json(&json!({"keys": []}))).await;
        for name in ["jwksUri", "jwks_uri", "logoUri", "logo_uri", "requestUris", "sectorIdentifierUri"] {
            let client = site.app.directory().client(&site.client.id).unwrap().policies.clone();
            let change = json!({ name: remote.url.as_str() });
            let changed = vestibule::changes::apply(&client, change.as_object().unwrap());
            assert!(changed.is_err(), "{name} is a policy");
        }
        site.register("janice@example.com").await;
        let password = crate::fixture::PASSWORD;
        for name in ["request_uri", "request", "registration", "jwks_uri", "logo_uri"] {
            let call = site.password_call("janice@example.com", password);
            site.send(call.form(name, remote.url.as_str())).await;
            let call = site.token_call("code").form(name, remote.url.as_str());
            site.send(call).await;
        }
        let metadata = site.send(Call::get("/.well-known/openid-configuration")).await.json();
        for name in ["request_uri_parameter_supported", "request_parameter_supported"] {
            assert_ne!(metadata[name], json!(true), "{name}");
        }
        assert!(remote.received().is_empty());
    }
}
