//! kill -9 at every point: nothing acknowledged is lost.
//!
//! Several users register concurrently and repeatedly, each under a unique name, while the server is killed at
//! random times and restarted on the same data. Each acknowledged step is recorded. At the end every recorded step
//! must still be in effect, and nothing half done may remain.
//!
//! `VESTIBULE_TEST_KILLS` sets the number of kills; the suite does [`KILLS`].

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tempfile::tempdir;
use vestibule::moment::Stopwatch;

use super::binary::{Launch, PATIENCE, Server, eventually, expect_clean_database, free_port};
use super::wire::{App, Reply, registration, text};
use crate::delivery::smtp_sink::SmtpSink;

/// Kills in the suite.
const KILLS: usize = 12;

/// Concurrent registrations.
const WORKERS: usize = 3;

/// How long a user waits for the mail before the next one starts. A message that the killed server had claimed is
/// leased for longer, so more waiting would only cover fewer points.
const MAIL_PATIENCE: f64 = 1.0;

/// The acknowledged steps.
#[derive(Default)]
struct Notes {
    /// Address → request identifier, of every acknowledged init request whose flow has not continued.
    pending: BTreeMap<String, String>,
    /// The users of all acknowledged init requests.
    inits: BTreeSet<String>,
    /// All users whose authorize request returned a code, or was refused because an unacknowledged one before had
    /// taken effect.
    users: BTreeSet<String>,
    /// Username → access token.
    tokens: BTreeMap<String, String>,
    /// Responses that must never occur.
    wrong: Vec<String>,
    /// Requests without a response.
    cut: usize,
}

struct Stage {
    sink: SmtpSink,
    notes: Mutex<Notes>,
    is_finished: AtomicBool,
}

#[test]
fn a_kill_at_any_instant_loses_nothing_acknowledged() {
    let kills = std::env::var("VESTIBULE_TEST_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(KILLS);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stage = Arc::new(Stage {
        sink: runtime.block_on(SmtpSink::start()),
        notes: Mutex::default(),
        is_finished: AtomicBool::new(false),
    });
    let directory = tempdir().unwrap();
    let ports = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
    let start = || launch(directory.path(), &ports, &stage.sink).until_ready();

    let mut server = start();
    let app = server.app();
    let workers: Vec<_> = (0..WORKERS)
        .map(|number| {
            let (stage, app) = (Arc::clone(&stage), app.clone());
            thread::spawn(move || work(number, &app, &stage))
        })
        .collect();
    let stopwatch = Stopwatch::start();
    let mut dice = Dice(0x2545_F491_4F6C_DD1D);
    for _ in 0..kills {
        // Long enough for some flows to end, short enough to hit every point of them.
        thread::sleep(Duration::from_millis(20 + dice.roll(380)));
        server.kill();
        server = start();
    }
    stage.is_finished.store(true, Ordering::SeqCst);
    for worker in workers {
        worker.join().expect("a worker does not panic");
    }
    server.kill();
    println!("{kills} kills in {:.1} s", stopwatch.seconds());

    end_leases(&server);
    let mut server = start();
    finish_what_was_begun(&app, &stage);
    check(&app, &stage);
    server.stop();
    expect_clean_database(&server.database());
    check_database(&server, &stage);
}

fn launch(directory: &std::path::Path, ports: &[String; 2], sink: &SmtpSink) -> Launch {
    let arguments = [
        "dev",
        "--data-dir",
        "data",
        "--listen",
        &ports[0],
        "--management",
        &ports[1],
    ];
    Launch::new(directory, &arguments)
        .env("VESTIBULE_SMTP__URL", &sink.url())
        .env("VESTIBULE_SMTP__FROM", "Shop <no-reply@example.com>")
        .env("VESTIBULE_LIMITS__ENABLED", "false")
}

/// Registers one user after another, until the end of the test.
fn work(number: usize, app: &App, stage: &Stage) {
    let mut integration_token = String::new();
    for turn in 0.. {
        if stage.is_finished.load(Ordering::SeqCst) {
            return;
        }
        let username = format!("w{number}-{turn}@example.com");
        if integration_token.is_empty() {
            match app.integration_token() {
                Ok(reply) if reply.status == 200 => {
                    integration_token = text(&reply.json()["access_token"]);
                }
                Ok(reply) => stage.wrong("integration token", &reply),
                Err(_) => thread::sleep(Duration::from_millis(5)),
            }
            continue;
        }
        match app.init(&integration_token, &registration(&username)) {
            Ok(reply) if reply.status == 200 => {
                let identifier = text(&reply.json()["identifier"]);
                let mut notes = stage.notes();
                notes.inits.insert(username.clone());
                notes.pending.insert(username.clone(), identifier);
            }
            Ok(reply) => stage.wrong("init", &reply),
            // Nothing was acknowledged, so nothing is expected; the next user has another name.
            Err(_) => {
                stage.notes().cut += 1;
                thread::sleep(Duration::from_millis(5));
                continue;
            }
        }
        go_on(app, stage, &username);
    }
}

/// From the mail to userinfo.
fn go_on(app: &App, stage: &Stage, username: &str) {
    let stopwatch = Stopwatch::start();
    let code = loop {
        if let Some(mail) = stage.sink.newest_to(username) {
            break mail.code().expect("a mail carries a code");
        }
        if stopwatch.seconds() > MAIL_PATIENCE {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    };
    let Some(identifier) = stage.notes().pending.remove(username) else {
        return;
    };
    let mut is_unanswered = false;
    let code = loop {
        match app.authorize(&identifier, &code, "s") {
            Ok(reply) if reply.status == 302 => {
                stage.notes().users.insert(username.to_owned());
                break reply.location_parameter("code").expect("a code");
            }
            // The previous request took effect and its response was lost with the server.
            Ok(reply) if is_unanswered && reply.body.contains("invalid_grant") => {
                stage.notes().users.insert(username.to_owned());
                return;
            }
            Ok(reply) => return stage.wrong("authorize", &reply),
            Err(error) => is_unanswered |= stage.was_sent(&error),
        }
    };
    let mut is_unanswered = false;
    let token = loop {
        match app.exchange(&code) {
            Ok(reply) if reply.status == 200 => break text(&reply.json()["access_token"]),
            Ok(reply) if is_unanswered && reply.body.contains("invalid_grant") => return,
            Ok(reply) => return stage.wrong("token", &reply),
            Err(error) => is_unanswered |= stage.was_sent(&error),
        }
    };
    stage.notes().tokens.insert(username.to_owned(), token);
}

impl Stage {
    fn notes(&self) -> std::sync::MutexGuard<'_, Notes> {
        self.notes.lock().expect("no thread panicked")
    }

    fn wrong(&self, step: &str, reply: &Reply) {
        self.notes().wrong.push(format!("{step}: {reply:?}"));
    }

    /// Whether a request without a response may have taken effect: not if the connection was refused.
    fn was_sent(&self, error: &io::Error) -> bool {
        self.notes().cut += 1;
        thread::sleep(Duration::from_millis(5));
        error.kind() != io::ErrorKind::ConnectionRefused
    }
}

/// Waits for the expiry of a killed server's leases.
fn end_leases(server: &Server) {
    let database = rusqlite::Connection::open(server.database()).unwrap();
    let ended = database
        .execute(
            "UPDATE outbox SET leased_until = 1 WHERE status = 'sending'",
            [],
        )
        .unwrap();
    println!("{ended} messages were claimed when the server was killed");
}

/// Every acknowledged init request has its mail, and its code is still valid.
fn finish_what_was_begun(app: &App, stage: &Stage) {
    let inits = stage.notes().inits.clone();
    for username in &inits {
        eventually(PATIENCE, &format!("the mail to {username}"), || {
            stage.sink.newest_to(username)
        });
    }
    let pending: Vec<String> = stage.notes().pending.keys().cloned().collect();
    println!("{} stories are ended after the last start", pending.len());
    for username in pending {
        go_on(app, stage, &username);
        assert!(
            stage.notes().tokens.contains_key(&username),
            "{username} got no token"
        );
    }
}

/// Everything acknowledged is in effect, on the wire and at the relay.
fn check(app: &App, stage: &Stage) {
    let notes = stage.notes();
    assert_eq!(notes.wrong, Vec::<String>::new());
    println!(
        "{} inits, {} users, {} tokens were acknowledged; {} requests had no answer",
        notes.inits.len(),
        notes.users.len(),
        notes.tokens.len(),
        notes.cut
    );
    assert!(
        !notes.tokens.is_empty(),
        "nothing came through between the kills"
    );
    for (username, token) in &notes.tokens {
        let info = app.userinfo(token).unwrap().expect_status(200).json();
        assert_eq!(info["preferred_username"], *username);
        assert_eq!(info["email_verified"], true);
    }
    let mut ids: BTreeMap<String, String> = BTreeMap::new();
    let received = stage.sink.received();
    for mail in &received {
        let id = mail.header("Message-ID").expect("a Message-ID");
        let to = mail.rcpt_to[0].clone();
        let first = ids.entry(id.clone()).or_insert_with(|| to.clone());
        assert_eq!(*first, to, "one Message-ID for two people");
    }
    // No init request was repeated, so a second mail to a user is a repetition of the first.
    let people: BTreeSet<&String> = ids.values().collect();
    assert_eq!(
        people.len(),
        ids.len(),
        "a repeated mail has the Message-ID of the first"
    );
    println!(
        "{} mails, {} of them repeated",
        received.len(),
        received.len() - ids.len()
    );
}

/// Nothing half done remains.
fn check_database(server: &Server, stage: &Stage) {
    let database = rusqlite::Connection::open(server.database()).unwrap();
    let count = |sql: &str| -> i64 { database.query_row(sql, [], |row| row.get(0)).unwrap() };
    let registered = "FROM app_user u WHERE is_integration = 0";
    for (what, sql) in [
        (
            "without a credential",
            "NOT EXISTS (SELECT 1 FROM credential c WHERE c.user_id = u.id)",
        ),
        (
            "without a verified channel",
            "email_verified_at IS NULL AND phone_verified_at IS NULL",
        ),
        (
            "without an authorization code",
            "NOT EXISTS (SELECT 1 FROM authorization_code a WHERE a.user_id = u.id)",
        ),
        (
            "without exactly one audit event",
            "(SELECT COUNT(*) FROM audit_event e WHERE e.user_id = u.id AND e.event = 'user.registered') <> 1",
        ),
        (
            "whose challenge is open",
            "EXISTS (SELECT 1 FROM challenge h WHERE h.target_key = u.email_key AND h.closed_at IS NULL)",
        ),
    ] {
        let users = count(&format!("SELECT COUNT(*) {registered} AND {sql}"));
        assert_eq!(users, 0, "users {what}");
    }
    let twice = "SELECT COUNT(*) FROM (SELECT username_key FROM app_user GROUP BY username_key HAVING COUNT(*) > 1)";
    assert_eq!(count(twice), 0, "two users have one name");
    // A message that was being sent is not sent again once its code has been used.
    let unsettled =
        "SELECT COUNT(*) FROM outbox WHERE status NOT IN ('sent', 'expired') OR sealed IS NOT NULL";
    assert_eq!(
        count(unsettled),
        0,
        "a message is not settled, or keeps its code"
    );
    let mut find = database
        .prepare("SELECT COUNT(*) FROM app_user WHERE username_key = $1")
        .unwrap();
    for username in &stage.notes().users {
        let found: i64 = find.query_row([username], |row| row.get(0)).unwrap();
        assert_eq!(found, 1, "{username} was acknowledged");
    }
}

/// Numbers that differ and repeat.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}
