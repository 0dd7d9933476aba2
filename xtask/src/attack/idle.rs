//! Connections without requests: half of them over HTTP/2 (settings, then nothing), half over HTTP/1 (nothing at all).

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::source::{connect_from, raise_file_limit, status_of};
use super::{OTHERS, Plan, percentile};
use crate::load::installation::Installation;
use crate::outcome::Outcome;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// New clients at each count.
const CLIENTS: usize = 50;

/// Runs the attack.
pub fn run(plan: &Plan, ready: &Value) -> Outcome {
    raise_file_limit();
    let installation = Installation::read(ready)?;
    let mut kept = Vec::new();
    for number in 0..plan.connections {
        let Ok(mut stream) = connect_from(plan.address(number), &installation.site.address) else {
            continue;
        };
        if number % 2 == 0 && stream.write_all(PREFACE).is_err() {
            continue;
        }
        stream.set_nonblocking(true)?;
        kept.push(stream);
    }
    println!(
        "{} idle connections from {} network(s)",
        kept.len(),
        plan.networks
    );
    let since = Instant::now();
    loop {
        std::thread::sleep(Duration::from_secs(1));
        kept.retain_mut(is_open);
        report(&installation, since.elapsed(), kept.len())?;
        if since.elapsed() >= plan.length {
            return Ok(());
        }
        let pause = Duration::from_secs(14).min(plan.length.saturating_sub(since.elapsed()));
        std::thread::sleep(pause);
    }
}

fn report(installation: &Installation, passed: Duration, open: usize) -> Outcome {
    let site = &installation.site;
    let keys = format!(
        "GET {}/id/keys HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        site.path, site.address
    );
    let mut taken = Vec::new();
    for _ in 0..CLIENTS {
        let start = Instant::now();
        if matches!(status_of(OTHERS, &site.address, &keys), Ok(200)) {
            taken.push(start.elapsed());
        }
    }
    taken.sort_unstable();
    let management = &installation.management.address;
    let health =
        format!("GET /health/live HTTP/1.1\r\nHost: {management}\r\nConnection: close\r\n\r\n");
    let is_alive = matches!(status_of(OTHERS, management, &health), Ok(200));
    println!(
        "after {:>3} s: {open} open; new clients served {} of {CLIENTS}, p50 {:.1} ms, p99 {:.1} ms; health answered: {is_alive}",
        passed.as_secs(),
        taken.len(),
        percentile(&taken, 0.5),
        percentile(&taken, 0.99),
    );
    Ok(())
}

/// Whether the server has not closed the connection. What it sent is read.
fn is_open(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 1_024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
    }
}
