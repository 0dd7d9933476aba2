//! Raw connections (threats HTTP-09, HTTP-10, and HTTP-13 in `http2`): bytes as no client library would write
//! them.

mod connections;
mod http2;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vestibule::config::{ConnectionsConfig, ProxiesConfig};
use vestibule::endpoint::{Gate, Listeners, RequestIds, Started, start};

use crate::fixture::{Database, Site};

async fn serve(site: &Site) -> Started {
    serve_with(site, ConnectionsConfig::default()).await
}

async fn serve_with(site: &Site, connections: ConnectionsConfig) -> Started {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let gate = Gate {
        app: Arc::clone(&site.app),
        is_tls: false,
        is_plain_allowed: true,
        proxies: ProxiesConfig::default(),
        request_ids: RequestIds::new(&site.app.entropy),
        connections,
    };
    start(
        Listeners::bind(any, any).unwrap(),
        gate,
        None,
        axum::Router::new(),
        vec![String::from("vestibule.internal")],
    )
    .await
    .unwrap()
}

/// Sends bytes, and reads until the server closes or is silent.
async fn exchange(server: &Started, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.public).await.unwrap();
    // A server that has refused may close before everything was written.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = tokio::time::timeout(Duration::from_millis(300), stream.read(&mut buffer)).await;
        match read {
            Ok(Ok(count)) if count > 0 => answer.extend(&buffer[..count]),
            _ => return String::from_utf8_lossy(&answer).into_owned(),
        }
    }
}

fn statuses(answer: &str) -> Vec<&str> {
    answer
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|rest| &rest[..3])
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_09_a_chunked_form_without_a_length_works() {
    let site = Site::open(Database::Sqlite).await;
    let server = serve(&site).await;
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}",
        site.integration.id, site.integration.secret
    );
    let (head, tail) = form.split_at(20);
    let request = format!(
        "POST /backend/services/oauth2/token HTTP/1.1\r\nHost: site.example.com\r\nTransfer-Encoding: chunked\r\n\
         Connection: close\r\n\r\n{:x}\r\n{head}\r\n{:x}\r\n{tail}\r\n0\r\n\r\n",
        head.len(),
        tail.len(),
    );
    let answer = exchange(&server, request.as_bytes()).await;
    assert_eq!(statuses(&answer), ["200"], "{answer}");
    assert!(answer.contains("access_token"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_10_a_request_that_two_servers_could_cut_differently_is_not_answered_twice() {
    let site = Site::open(Database::Sqlite).await;
    let server = serve(&site).await;
    let head = "POST /backend/services/oauth2/token HTTP/1.1\r\nHost: site.example.com\r\n";
    let hidden = "GET /backend/id/keys HTTP/1.1\r\nHost: site.example.com\r\n\r\n";
    let attacks = [
        format!("{head}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd{hidden}"),
        format!("{head}Transfer-Encoding: xchunked\r\nContent-Length: 4\r\n\r\nabcd{hidden}"),
        format!("{head}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{head}Content-Length: -1\r\n\r\n{hidden}"),
        format!("{head}Content-Length: +4\r\n\r\nabcd{hidden}"),
        format!("{head}Content-Length: 4,4\r\n\r\nabcd{hidden}"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n-1\r\n{hidden}"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{hidden}"),
        format!("{head}X-Fold: a\r\n b\r\nContent-Length: 0\r\n\r\n{hidden}"),
        format!("{head}X: {}\r\n\r\n", "x".repeat(600_000)),
        String::from("GET /\r\n\r\n"),
        String::from("\r\n\0\0\0"),
    ];
    for attack in attacks {
        let answer = exchange(&server, attack.as_bytes()).await;
        let first = attack
            .lines()
            .nth(2)
            .unwrap_or_default()
            .chars()
            .take(40)
            .collect::<String>();
        assert!(
            !answer.contains("\"keys\""),
            "{first}: the hidden request was answered: {answer}"
        );
        for status in statuses(&answer) {
            assert!(status.starts_with('4'), "{first}: {status}");
        }
    }
    // With both lengths the chunked one counts, and the connection ends with the response (RFC 9112 6.1).
    let both =
        format!("{head}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}");
    let answer = exchange(&server, both.as_bytes()).await;
    assert!(!answer.contains("\"keys\""), "{answer}");
    // Two hosts do not make the length ambiguous, so the connection continues; the request itself is refused.
    for other in ["evil.example", "site.example.com"] {
        let twice = format!(
            "GET /backend/id/keys HTTP/1.1\r\nHost: site.example.com\r\nHost: {other}\r\n\r\n"
        );
        assert_eq!(
            statuses(&exchange(&server, twice.as_bytes()).await),
            ["400"],
            "{other}"
        );
    }
    // What is left of a body that is malformed is not a body that is too large.
    let malformed = format!("{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n");
    let answer = exchange(&server, malformed.as_bytes()).await;
    assert_eq!(statuses(&answer), ["400"], "{answer}");
    // The server still works.
    let answer = exchange(&server, hidden.as_bytes()).await;
    assert_eq!(statuses(&answer), ["200"]);
    assert!(answer.contains("\"keys\""));
}
