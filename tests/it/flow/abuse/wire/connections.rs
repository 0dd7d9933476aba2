//! Connections that do nothing, read nothing or are too many (threats NET-01 to NET-03), at both listeners and over both
//! versions of HTTP. The deadlines are short here; the client waits for the end of the connection.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use vestibule::config::ConnectionsConfig;
use vestibule::endpoint::Started;

use super::{exchange, serve_with, statuses};
use crate::fixture::{Database, Site};

/// How long a test waits for an end that comes within a fraction of a second.
const PATIENCE: Duration = Duration::from_secs(20);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const PING: &[u8] = &[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
const GET_KEYS: &str = "GET /backend/id/keys HTTP/1.1\r\nHost: site.example.com\r\n\r\n";

fn short() -> ConnectionsConfig {
    ConnectionsConfig {
        head_timeout_ms: 200,
        idle_timeout_ms: 200,
        write_timeout_ms: 200,
        body_timeout_ms: 200,
        request_timeout_ms: 400,
        ..ConnectionsConfig::default()
    }
}

/// Reads until the server ends the connection; false if it does not.
async fn is_ended(stream: &mut TcpStream) -> bool {
    let mut buffer = vec![0; 65_536];
    let ended = timeout(PATIENCE, async {
        while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
    });
    ended.await.is_ok()
}

async fn connect(server: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

fn is_served(answer: &str) -> bool {
    statuses(answer) == ["200"]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn net_01_a_connection_without_a_request_is_closed_on_both_listeners() {
    let site = Site::open(Database::Sqlite).await;
    let server = serve_with(&site, short()).await;
    let settled = [PREFACE, SETTINGS].concat();
    let half_a_header = [
        &settled[..],
        &[0, 0, 1, 1, 0x1, 0, 0, 0, 1, 0x82], // HEADERS without END_HEADERS
    ]
    .concat();
    for address in [server.public, server.management] {
        for (what, bytes) in [
            ("nothing", &b""[..]),
            ("half a preface", &PREFACE[..10]),
            ("a preface", PREFACE),
            ("idle HTTP/2", &settled),
            ("half a header of HTTP/2", &half_a_header),
            ("half a head of HTTP/1", b"GET / HTTP/1.1\r\nHost:"),
            ("a request, then nothing", GET_KEYS.as_bytes()),
        ] {
            let mut stream = connect(address, bytes).await;
            assert!(is_ended(&mut stream).await, "{what}");
        }
    }
    assert!(is_served(&exchange(&server, GET_KEYS.as_bytes()).await));
}

/// Only requests keep a connection open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn net_01_pings_do_not_keep_a_connection_open() {
    let site = Site::open(Database::Sqlite).await;
    let server = serve_with(&site, short()).await;
    let stream = connect(server.public, &[PREFACE, SETTINGS].concat()).await;
    let (mut reads, mut writes) = stream.into_split();
    let reading = tokio::spawn(async move {
        let mut buffer = [0; 4_096];
        while reads.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
    });
    let pinging = timeout(PATIENCE, async {
        while writes.write_all(PING).await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    assert!(pinging.await.is_ok(), "the connection was kept");
    reading.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn net_02_a_client_that_pipelines_and_does_not_read_is_closed() {
    let site = Site::open(Database::Sqlite).await;
    let server = serve_with(&site, short()).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(server.public).await.unwrap();
    let requests = GET_KEYS.repeat(100);
    let written = timeout(PATIENCE, async {
        // It ends with an error once the server has closed the connection.
        while stream.write_all(requests.as_bytes()).await.is_ok() {}
    });
    assert!(written.await.is_ok(), "the connection was kept");
}

/// The window of an HTTP/2 client is its own: with none, an answer never ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn net_02_a_request_whose_answer_the_client_does_not_let_end_is_closed() {
    let site = Site::open(Database::Sqlite).await;
    let server = serve_with(&site, short()).await;
    // SETTINGS_INITIAL_WINDOW_SIZE = 0, then GET / with `:authority: x` (literals without indexing).
    let no_window: &[u8] = &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0];
    let request: &[u8] = &[
        0, 0, 6, 1, 0x5, 0, 0, 0, 1, 0x82, 0x86, 0x84, 0x01, 0x01, b'x',
    ];
    let mut stream = connect(server.public, &[PREFACE, no_window, request].concat()).await;
    assert!(is_ended(&mut stream).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn net_02_a_slow_body_is_refused() {
    let site = Site::open(Database::Sqlite).await;
    let server = serve_with(&site, short()).await;
    let head = "POST /backend/services/oauth2/token HTTP/1.1\r\nHost: site.example.com\r\nContent-Length: 9\r\n\r\na";
    let mut stream = connect(server.public, head.as_bytes()).await;
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .expect("an end")
        .unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert_eq!(statuses(&answer), ["400"], "{answer}");
}

async fn from(ip: &str, server: &Started) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{ip}:0").parse().unwrap()).unwrap();
    socket.connect(server.public).await.unwrap()
}

/// The status of a request on an open connection; `None` if the server has closed it.
async fn ask(stream: &mut TcpStream) -> Option<String> {
    stream.write_all(GET_KEYS.as_bytes()).await.ok()?;
    let mut buffer = [0; 4_096];
    let read = timeout(PATIENCE, stream.read(&mut buffer))
        .await
        .expect("an answer or an end");
    let answer = String::from_utf8_lossy(&buffer[..read.ok()?]).into_owned();
    statuses(&answer).first().map(|status| (*status).to_owned())
}

/// A name that DNS resolves to the loopback is not the server's (DNS rebinding).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_and_metrics_are_not_for_foreign_hosts() {
    let site = Site::open(Database::Sqlite).await;
    let server = serve_with(&site, ConnectionsConfig::default()).await;
    for (host, status) in [
        ("evil.example", "403"),
        ("localhost.evil.example:8081", "403"),
        ("127.0.0.1:8081", "200"),
        ("localhost", "200"),
        ("vestibule.internal", "200"),
    ] {
        for path in ["/metrics", "/health/live", "/health/ready"] {
            let request =
                format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            let mut stream = connect(server.management, request.as_bytes()).await;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert_eq!(statuses(&answer), [status], "{host} {path}");
            assert_eq!(
                answer.contains("vestibule_"),
                status == "200" && path == "/metrics"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn net_03_one_network_cannot_take_all_connections_and_management_keeps_its_own() {
    let site = Site::open(Database::Sqlite).await;
    let limits = ConnectionsConfig {
        max: 16,
        max_per_network: 2,
        ..ConnectionsConfig::default()
    };
    let server = serve_with(&site, limits).await;
    let mut kept = Vec::new();
    for ip in ["127.0.1.1", "127.0.1.1"] {
        let mut stream = from(ip, &server).await;
        assert_eq!(ask(&mut stream).await.as_deref(), Some("200"));
        kept.push(stream);
    }
    assert_eq!(ask(&mut from("127.0.1.1", &server).await).await, None);
    // The /24 has four times as many, and other networks have their own.
    for last in 2..8 {
        let mut stream = from(&format!("127.0.1.{last}"), &server).await;
        assert_eq!(ask(&mut stream).await.as_deref(), Some("200"), "{last}");
        kept.push(stream);
    }
    assert_eq!(ask(&mut from("127.0.1.9", &server).await).await, None);
    for number in 0..8 {
        let mut stream = from(&format!("127.0.{}.1", 2 + number), &server).await;
        assert_eq!(ask(&mut stream).await.as_deref(), Some("200"), "{number}");
        kept.push(stream);
    }
    assert_eq!(ask(&mut from("127.0.99.1", &server).await).await, None);
    // The management listener answers, and counts what was refused.
    let mut stream = connect(
        server.management,
        b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    )
    .await;
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    for line in [
        "vestibule_connections{listener=\"public\"} 16",
        "vestibule_connections_refused_total{listener=\"public\",limit=\"network\"} 2",
        "vestibule_connections_refused_total{listener=\"public\",limit=\"total\"} 1",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    // A connection that ends frees its place.
    drop(kept);
    let again = timeout(PATIENCE, async {
        while ask(&mut from("127.0.1.1", &server).await).await.is_none() {
            tokio::task::yield_now().await;
        }
    });
    assert!(again.await.is_ok());
}
