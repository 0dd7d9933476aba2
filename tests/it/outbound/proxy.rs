//! Calls through a proxy: what it is asked for, what is called directly, and that handlers are not called by it.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;
use url::Url;
use vestibule::outbound::{
    AddressRule, Bounds, ForwardProxy, NameResolver, NoReply, Outbound, Post,
};

use crate::fixture::remote::{Behaviour, Remote};

const BOUNDS: Bounds = Bounds {
    deadline: std::time::Duration::from_secs(5),
    in_flight_max: 4,
    answer_bytes_max: 1024,
};

fn proxy(remote: &Remote, direct: &[&str]) -> ForwardProxy {
    let credentials = Some((String::from("vestibule"), String::from("Sw0rdfish").into()));
    let direct: Vec<String> = direct.iter().map(|row| (*row).to_owned()).collect();
    ForwardProxy::parse(remote.url.as_str(), credentials, &direct).unwrap()
}

async fn post(outbound: &Outbound, url: &str) -> Result<u16, NoReply> {
    let post = Post {
        url: Url::parse(url).unwrap(),
        content_type: "application/json",
        headers: HeaderMap::new(),
        body: String::from("{}"),
    };
    outbound.post(post).await.map(|reply| reply.status)
}

#[tokio::test]
async fn an_https_server_is_called_by_connect_with_the_proxys_credentials() {
    let remote = Remote::start(Behaviour::status(502)).await;
    let outbound = Outbound::through(Some(&proxy(&remote, &[])), BOUNDS).unwrap();
    let refused = post(&outbound, "https://verify.example/check").await;
    assert_eq!(refused, Err(NoReply::Unreachable));
    let asked = remote.only_request();
    assert_eq!(asked.line, "CONNECT verify.example:443 HTTP/1.1");
    let credentials = format!("Basic {}", BASE64_STANDARD.encode("vestibule:Sw0rdfish"));
    assert_eq!(
        asked.header("proxy-authorization"),
        Some(credentials.as_str())
    );
}

#[tokio::test]
async fn this_machine_and_the_hosts_of_the_list_are_called_without_the_proxy() {
    let forward = Remote::start(Behaviour::status(502)).await;
    let server = Remote::start(Behaviour::status(204)).await;
    let rule = proxy(&forward, &["verify.invalid"]);
    let outbound = Outbound::through(Some(&rule), BOUNDS).unwrap();
    assert_eq!(post(&outbound, server.url.as_str()).await, Ok(204));
    // The name does not exist, and the proxy is not asked for it.
    let direct = post(&outbound, "https://verify.invalid/").await;
    assert_eq!(direct, Err(NoReply::Unreachable));
    assert_eq!(server.received().len(), 1);
    assert!(forward.received().is_empty());
}

#[tokio::test]
async fn ssrf_07_a_host_of_a_handler_is_never_given_to_the_proxy() {
    let forward = Remote::start(Behaviour::status(502)).await;
    let server = Remote::start(Behaviour::status(204)).await;
    let guarded = |direct: &[&str], allowed: &[&str]| {
        let rule = AddressRule {
            allowed: allowed.iter().map(|text| text.parse().unwrap()).collect(),
            names: NameResolver::Fixed(Arc::new(|name| {
                let address: IpAddr = match name {
                    "internal.example" => "127.0.0.1".parse().unwrap(),
                    // A port that refuses: nothing listens at a loopback address of this number.
                    _ => "93.184.215.14".parse().unwrap(),
                };
                vec![address]
            })),
            proxy: Some(proxy(&forward, direct)),
        };
        Outbound::guarded(BOUNDS, rule).unwrap()
    };
    for url in ["https://api.example/", "https://93.184.215.14/"] {
        match post(&guarded(&[], &[]), url).await {
            Err(NoReply::Forbidden(why)) => assert!(why.contains("no_proxy"), "{url}: {why}"),
            other => panic!("{url}: {other:?}"),
        }
    }
    // A listed private address is called directly, and the guard still refuses one that is not listed.
    assert_eq!(
        post(&guarded(&[], &["127.0.0.1"]), server.url.as_str()).await,
        Ok(204)
    );
    let refused = post(
        &guarded(&["internal.example"], &[]),
        "https://internal.example/",
    )
    .await;
    assert!(matches!(refused, Err(NoReply::Forbidden(why)) if why.contains("loopback")));
    assert!(forward.received().is_empty());
}
