//! Sameness: a response to an unauthenticated caller does not disclose an account (threats ENU-01 to ENU-10).
//!
//! Each test sends one request for a user with an account, and the same for every user that an unauthenticated
//! caller must not be able to distinguish: an unknown, a locked, a disabled and an unverified user. It compares
//! everything that such a caller can see except the time (see `docs/reference/enumeration.md`): the status, the
//! names and values of the headers, the body, its length; and the work of the server: its writes, the passwords
//! that it hashed, the codes that it refused.

mod flows;
mod hints;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::fixture::{Answer, Call, Site};

/// Headers that differ in every response.
const ALWAYS_NEW: [&str; 2] = ["date", "x-request-id"];

/// Members that are random or echo the request; their lengths are compared.
const RANDOM: [&str; 2] = ["email", "identifier"];

/// The counters of work that a request may increment, by their names.
const WORK: [&str; 4] = [
    "vestibule_writes_total",
    "vestibule_password_hashes_total",
    "vestibule_one_time_passwords_total",
    "vestibule_rate_limited_total",
];

/// The visible response of a request, and its cost.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    status: u16,
    headers: Vec<(String, String)>,
    body: Value,
    body_bytes: usize,
    work: BTreeMap<String, i64>,
    rows: Vec<i64>,
}

/// The rows that a request about an account may add, and the sums of counts.
const ROWS: [&str; 6] = [
    "SELECT COUNT(*) FROM challenge",
    "SELECT COUNT(*) FROM outbox",
    "SELECT CAST(COALESCE(SUM(count), 0) AS BIGINT) FROM tally",
    "SELECT CAST(COALESCE(SUM(failures), 0) AS BIGINT) FROM login_hold",
    "SELECT CAST(COALESCE(SUM(count), 0) AS BIGINT) FROM audit_event",
    "SELECT COUNT(*) FROM authorization_code",
];

/// Sends a request and records everything visible.
async fn look(site: &Site, call: Call) -> (Seen, Answer) {
    let work_before = work(site);
    let mut rows = Vec::new();
    for query in ROWS {
        rows.push(-site.count(query).await);
    }
    let answer = site.send(call).await;
    for (count, query) in rows.iter_mut().zip(ROWS) {
        *count += site.count(query).await;
    }
    let mut work = work(site);
    for (name, count) in work_before {
        *work.entry(name).or_default() -= count;
    }
    work.retain(|_, count| *count != 0);
    let mut headers: Vec<(String, String)> = answer
        .headers
        .iter()
        .filter(|(name, _)| !ALWAYS_NEW.contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.sort();
    let seen = Seen {
        status: answer.status,
        headers,
        body: without_random(&answer.body),
        body_bytes: answer.body.len(),
        work,
        rows,
    };
    (seen, answer)
}

/// The body, with each random value replaced by its length.
fn without_random(body: &str) -> Value {
    let mut body: Value = serde_json::from_str(body).unwrap_or_else(|_| json!(body));
    for name in RANDOM {
        if let Some(value) = body.get_mut(name) {
            *value = json!(value.as_str().map(str::len));
        }
    }
    body
}

fn work(site: &Site) -> BTreeMap<String, i64> {
    let text = site.app.metrics.render();
    text.lines()
        .filter(|line| WORK.iter().any(|name| line.starts_with(name)))
        .filter_map(|line| {
            let (name, count) = line.rsplit_once(' ')?;
            Some((name.to_owned(), count.parse().ok()?))
        })
        .collect()
}

/// Sends the same request for each of them, and expects equal responses.
async fn assert_alike(site: &Site, usernames: &[String], call: impl Fn(&str) -> Call) -> Seen {
    let mut seen: Option<Seen> = None;
    for username in usernames {
        let (next, _) = look(site, call(username)).await;
        match &seen {
            Some(first) => assert_eq!(*first, next, "{} and {username}", usernames[0]),
            None => seen = Some(next),
        }
    }
    seen.expect("there is at least one user")
}
