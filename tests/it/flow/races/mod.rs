//! Races: many concurrent requests, on one node and on two, of which one succeeds.
//!
//! Each test runs a few rounds; `VESTIBULE_TEST_ROUNDS` sets more of them for a long run.

mod codes;
mod refreshes;
mod registrations;

use std::sync::Arc;

use serde_json::json;
use tokio::sync::Barrier;

use crate::fixture::{Answer, Call, PASSWORD, Site};

/// The number of concurrent requests.
const WIDTH: usize = 50;

/// The number of rounds.
fn rounds() -> usize {
    let asked = std::env::var("VESTIBULE_TEST_ROUNDS").ok();
    asked.map_or(3, |text| text.parse().expect("a number of rounds"))
}

/// Two nodes of one installation.
pub async fn two_nodes(site: Site) -> [Arc<Site>; 2] {
    let other = site.another_node().await;
    [Arc::new(site), Arc::new(other)]
}

/// Sends requests from as many tasks, which start together and alternate between the nodes.
pub async fn all_at_once(nodes: &[Arc<Site>], calls: Vec<Call>) -> Vec<Answer> {
    let start = Arc::new(Barrier::new(calls.len()));
    let tasks = calls.into_iter().enumerate().map(|(number, call)| {
        let (node, start) = (nodes[number % nodes.len()].clone(), start.clone());
        tokio::spawn(async move {
            start.wait().await;
            node.send(call).await
        })
    });
    let answers = futures_util::future::join_all(tasks).await;
    answers
        .into_iter()
        .map(|answer| answer.expect("no panic"))
        .collect()
}

/// The successful responses and the refusals; a fault of the server is neither.
#[track_caller]
fn won_and_lost(answers: Vec<Answer>, success: u16) -> (Vec<Answer>, Vec<Answer>) {
    for answer in &answers {
        assert!(answer.status < 500, "{} {}", answer.status, answer.body);
    }
    answers
        .into_iter()
        .partition(|answer| answer.status == success)
}

/// An init request for a username with a unique address.
async fn init_from(site: &Site, username: &str, email: &str) -> String {
    let body = json!({
        "userdata": {"firstName": "Janice", "lastName": "Edwards", "email": email, "username": username},
        "customdata": {"company": "Acme"},
        "password": PASSWORD,
        "verificationmethod": "email",
    });
    let answer = site.init(&body).await.expect_ok();
    answer.json()["identifier"]
        .as_str()
        .expect("an identifier")
        .to_owned()
}

/// The code that was sent to each address, in their order; the inbox is empty afterwards.
async fn codes_to(site: &Site, recipients: &[String]) -> Vec<String> {
    site.deliver().await;
    let codes = recipients.iter().map(|recipient| {
        let messages = site.inbox.list(Some(recipient));
        let code = messages.last().and_then(|message| message.code.clone());
        code.expect("a message with a code")
    });
    let codes = codes.collect();
    site.inbox.clear();
    codes
}

/// A code that is not this one.
pub fn wrong(code: &str, number: usize) -> String {
    let right: usize = code.parse().expect("digits");
    format!("{:06}", (right + 1 + number) % 1_000_000)
}
