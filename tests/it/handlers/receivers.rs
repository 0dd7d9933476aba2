//! The receivers of the how-to page, unchanged, against real requests.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use vestibule::config::HandlersConfig;
use vestibule::handler::HandlerError;
use vestibule::handler::contract::Contract;
use vestibule::handler::webhook::{self, WebhookCall};
use vestibule::moment::{Clock, Moment};
use vestibule::outbound::NameResolver;
use vestibule_protocol::secret::Secret;

use crate::fixture::guarded;

const PAGE: &str = include_str!("../../../docs/how-to/handle-with-a-webhook.md");

const SECRET: &str = "rcv-s3cret";

/// A receiver in its own process, which ends with the test.
struct Receiver {
    child: Child,
    url: url::Url,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first block of the page in a language.
fn block(language: &str) -> &'static str {
    let start = format!("```{language}\n");
    let at = PAGE.find(&start).expect("a block") + start.len();
    let length = PAGE[at..].find("```").expect("its end");
    &PAGE[at..at + length]
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path).map(|folder| folder.join(program));
    folders.find(|program| program.is_file())
}

async fn start(program: &str, file: &Path) -> Option<Receiver> {
    let Some(program) = in_path(program) else {
        // Written past the output capture of the test harness.
        let _ = writeln!(
            std::io::stderr(),
            "ATTENTION: SKIPPED, there is no {program}"
        );
        return None;
    };
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let child = Command::new(program)
        .arg(file)
        .env("HANDLER_SECRET", SECRET)
        .env("PORT", address.port().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut receiver = Receiver {
        child,
        url: format!("http://{address}/handlers/discover")
            .parse()
            .unwrap(),
    };
    while TcpStream::connect(address).await.is_err() {
        assert!(receiver.child.try_wait().unwrap().is_none(), "it ended");
        tokio::task::yield_now().await;
    }
    Some(receiver)
}

async fn ask(
    receiver: &Receiver,
    secret: &str,
    hint: &str,
    at: Moment,
) -> Result<Value, HandlerError> {
    let handlers = HandlersConfig {
        webhook_timeout_ms: 10_000,
        ..HandlersConfig::default()
    };
    let call = WebhookCall {
        url: &receiver.url,
        secret: &Secret::from(secret.to_owned()),
        contract: Contract::DiscoverUser,
        version: 1,
        call_id: "9HC000000000001AAA",
        argument: &json!({"loginHint": hint, "customDataJson": "{\"ä\":\"😀\"}"}),
        at,
    };
    webhook::call(
        &guarded(&handlers.on_this_machine(), NameResolver::System),
        call,
    )
    .await
}

async fn answers_what_is_genuine(program: &str, language: &str, name: &str) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(name);
    std::fs::write(&file, block(language)).unwrap();
    let Some(receiver) = start(program, &file).await else {
        return;
    };
    // The receiver is another program and uses the machine's clock.
    let now = Clock::System.now();
    let found = ask(&receiver, SECRET, "ORDER-1", now).await;
    assert_eq!(found, Ok(json!({"userIds": ["005000000000001AAA"]})));
    let none = ask(&receiver, SECRET, "constructor", now).await;
    assert_eq!(none, Ok(json!({"userIds": []})));
    for (secret, at) in [
        ("another", now),
        (SECRET, now.plus_seconds(-400)),
        (SECRET, now.plus_seconds(400)),
    ] {
        let error = ask(&receiver, secret, "ORDER-1", at).await.unwrap_err();
        assert_eq!(error.detail.as_deref(), Some("status 401"));
    }
}

#[tokio::test]
async fn ssrf_07_the_receiver_in_javascript_takes_what_is_genuine() {
    answers_what_is_genuine("node", "js", "receiver.mjs").await;
}

#[tokio::test]
async fn ssrf_07_the_receiver_in_python_takes_what_is_genuine() {
    answers_what_is_genuine("python3", "python", "receiver.py").await;
}
