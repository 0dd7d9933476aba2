//! Other protocols at the listener than a plain HTTP/1.1 request (threat HTTP-13). The frames of HTTP/2 (RFC 9113)
//! are written by hand, because no client library would write them so.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vestibule::endpoint::Started;

use super::{exchange, serve, statuses};
use crate::fixture::{Database, Site};

const KEYS: &str = "GET /backend/id/keys HTTP/1.1\r\nHost: site.example.com\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_13_no_upgrade_no_tunnel_and_no_older_version() {
    let site = Site::open(Database::Sqlite).await;
    let server = serve(&site).await;
    // An upgrade is ignored; the request is answered normally.
    for upgrade in [
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n",
    ] {
        let answer = exchange(&server, format!("{KEYS}{upgrade}\r\n").as_bytes()).await;
        assert_eq!(statuses(&answer), ["200"], "{answer}");
        assert!(answer.contains("\"keys\""));
    }
    for request in [
        "GET /backend/id/keys\r\n\r\n",
        "GET /backend/id/keys HTTP/0.9\r\n\r\n",
        "GET /backend/id/keys HTTP/3.0\r\nHost: site.example.com\r\n\r\n",
        "CONNECT site.example.com:443 HTTP/1.1\r\nHost: site.example.com:443\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: site.example.com\r\n\r\n",
        "GET id/keys HTTP/1.1\r\nHost: site.example.com\r\n\r\n",
    ] {
        let answer = exchange(&server, request.as_bytes()).await;
        assert!(!answer.contains("\"keys\""), "{request:?}: {answer}");
        for status in statuses(&answer) {
            assert!(
                status.starts_with('4') || status == "505",
                "{request:?}: {answer}"
            );
        }
    }
    alive(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_13_an_absolute_target_names_the_site_and_the_host_header_does_not() {
    // RFC 9112 section 3.2.2.
    let site = Site::open(Database::Sqlite).await;
    let server = serve(&site).await;
    for (target, host, status) in [
        ("http://site.example.com", "evil.example", "200"),
        ("http://evil.example", "site.example.com", "404"),
    ] {
        let request = format!("GET {target}/backend/id/keys HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let answer = exchange(&server, request.as_bytes()).await;
        assert_eq!(statuses(&answer), [status], "{answer}");
        assert!(!answer.contains("evil"), "{answer}");
    }
}

async fn alive(server: &Started) {
    let answer = exchange(server, format!("{KEYS}\r\n").as_bytes()).await;
    assert_eq!(statuses(&answer), ["200"], "{answer}");
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A field without indexing whose name has this number in the static table (RFC 7541).
fn field(name: u8, value: &str) -> Vec<u8> {
    let mut field = vec![name, u8::try_from(value.len()).unwrap()];
    field.extend(value.as_bytes());
    field
}

/// `GET /backend/id/keys` at the site.
fn request() -> Vec<u8> {
    let mut block = vec![0x82, 0x86];
    block.extend(field(4, "/backend/id/keys"));
    block.extend(field(1, "site.example.com"));
    block
}

async fn connect(server: &Started) -> TcpStream {
    let mut stream = TcpStream::connect(server.public).await.unwrap();
    let mut preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    preface.extend(frame(SETTINGS, 0, 0, &[]));
    stream.write_all(&preface).await.unwrap();
    stream
}

/// The kinds of the received frames, until the peer closed, was silent, or sent GOAWAY.
async fn kinds(stream: &mut TcpStream) -> Vec<u8> {
    let mut kinds = Vec::new();
    loop {
        let read = async {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).ok()?];
            stream.read_exact(&mut payload).await.ok()?;
            Some(head[3])
        };
        match tokio::time::timeout(std::time::Duration::from_millis(500), read).await {
            Ok(Some(kind)) => kinds.push(kind),
            _ => return kinds,
        }
        if kinds.last() == Some(&GOAWAY) {
            return kinds;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_13_a_request_by_http_2_is_answered() {
    let site = Site::open(Database::Sqlite).await;
    let server = serve(&site).await;
    let mut stream = connect(&server).await;
    let get = frame(HEADERS, END_STREAM | END_HEADERS, 1, &request());
    stream.write_all(&get).await.unwrap();
    assert!(
        kinds(&mut stream).await.contains(&HEADERS),
        "the frames of this file are understood"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_13_streams_that_are_reset_at_once_affect_no_other_connection() {
    let site = Site::open(Database::Sqlite).await;
    let server = serve(&site).await;
    for _ in 0..4 {
        let mut stream = connect(&server).await;
        let mut storm = Vec::new();
        for number in 0..5_000 {
            let id = 2 * number + 1;
            storm.extend(frame(HEADERS, END_STREAM | END_HEADERS, id, &request()));
            storm.extend(frame(RST_STREAM, 0, id, &8_u32.to_be_bytes()));
        }
        // The server may close before everything was written.
        let _ = stream.write_all(&storm).await;
        alive(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_13_a_head_that_never_ends_is_cut_off() {
    let site = Site::open(Database::Sqlite).await;
    let server = serve(&site).await;
    let mut stream = connect(&server).await;
    let start = frame(HEADERS, END_STREAM, 1, &request());
    stream.write_all(&start).await.unwrap();
    // Fields of a hundred bytes, in frames of sixteen thousand, eight million bytes in total.
    let mut block = Vec::new();
    for _ in 0..160 {
        block.extend([0, 1, b'x']);
        block.push(97);
        block.extend([b'y'; 97]);
    }
    let more = frame(CONTINUATION, 0, 1, &block);
    let mut is_open = true;
    for _ in 0..512 {
        if stream.write_all(&more).await.is_err() {
            is_open = false;
            break;
        }
    }
    let kinds = kinds(&mut stream).await;
    assert!(!is_open || kinds.contains(&GOAWAY), "{kinds:?}");
    assert!(!kinds.contains(&HEADERS), "it was no request: {kinds:?}");
    alive(&server).await;
}
