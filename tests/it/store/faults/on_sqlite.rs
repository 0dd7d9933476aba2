//! SQLite: a full disk, and another process that has the write lock.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use vestibule::identity::Account;
use vestibule::refusal::{Fault, FaultKind};
use vestibule::store;

use super::{assert_is_temporary, assert_reads_live, init};
use crate::fixture::{Database, START, Site};

async fn save_account(site: &Site, id: String) -> Result<(), Fault> {
    site.app
        .store
        .write("test.account", id, |tx, id| {
            Box::pin(async move {
                let account = Account {
                    id: id.clone(),
                    name: "filler ".repeat(300),
                    created_at: START,
                };
                store::account::insert(tx, &account).await
            })
        })
        .await
}

/// Inserts accounts until one does not fit; the fault, and the number of inserted ones.
async fn fill(site: &Site) -> (Fault, i64) {
    for number in 0..10_000 {
        if let Err(fault) = save_account(site, format!("001f{number:05}")).await {
            return (fault, number);
        }
    }
    panic!("the database is not limited at all");
}

fn integrity(path: &Path) -> String {
    let connection = rusqlite::Connection::open(path).expect("it opens");
    let verdict = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0));
    verdict.expect("a verdict")
}

/// Properties during and after a full disk, the same for every cause.
async fn survives_a_full_disk(site: &Site, make_room: impl AsyncFn()) {
    let token = site.integration_token(None).await;
    let access_token = site.register("before@example.com").await["access_token"]
        .as_str()
        .expect("a token")
        .to_owned();
    let users = site.count("SELECT COUNT(*) FROM app_user").await;
    let (fault, kept) = fill(site).await;
    assert_eq!(fault.kind, FaultKind::Unavailable, "{fault}");

    // A small write may still fit into a page; each is refused or kept completely, and in the end none fits.
    let mut refused = 0;
    for number in 0..40 {
        let answer = init(site, &token, &format!("during{number}@example.com")).await;
        if answer.status != 200 {
            assert_is_temporary(&answer);
            refused += 1;
        }
    }
    assert!(refused > 0, "the disk is not full");
    assert_reads_live(site, &access_token).await;
    // Shorter than a record id: the registered user has an account, too.
    let filled = "SELECT COUNT(*) FROM account WHERE id LIKE '001f%' AND LENGTH(id) = 9";
    assert_eq!(
        site.count(filled).await,
        kept,
        "the refused one left nothing"
    );

    make_room().await;
    save_account(site, String::from("001g"))
        .await
        .expect("there is room");
    site.register("after@example.com").await;
    assert_eq!(site.count("SELECT COUNT(*) FROM app_user").await, users + 1);
    assert_eq!(site.count(filled).await, kept);
    site.deliver().await;
    site.inbox.clear();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn db_04_a_full_database_refuses_writes_reads_on_and_recovers() {
    let site = Site::open(Database::Sqlite).await;
    // The limit applies to the writing connection, and cannot be lower than what is used.
    site.execute("PRAGMA max_page_count = 150").await;
    survives_a_full_disk(&site, async || {
        site.execute("PRAGMA max_page_count = 1000000").await;
    })
    .await;
    assert_eq!(integrity(&site.directory().join("test.db")), "ok");
}

/// A small disk for the test. It is unmounted as soon as its files are open, so that it disappears with them even
/// if the test process is killed.
fn small_disk(at: &Path) -> bool {
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1536k", "tmpfs"])
        .arg(at)
        .output();
    mounted.is_ok_and(|output| output.status.success())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn db_04_a_full_disk_refuses_writes_reads_on_and_recovers() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    if !small_disk(directory.path()) {
        let what =
            "ATTENTION: no small disk can be mounted here; the test of a full one is SKIPPED.";
        let _ = writeln!(std::io::stderr(), "{what}");
        return;
    }
    let site = Site::open(Database::SqliteIn(directory.path().to_owned())).await;
    let mut ballast = std::fs::File::create(directory.path().join("ballast")).expect("a file");
    let unmounted = Command::new("umount")
        .arg("-l")
        .arg(directory.path())
        .status();
    assert!(unmounted.expect("umount runs").success());

    // The ballast leaves the space that a registration before the fault needs.
    let piece = [1; 4096];
    for _ in 0..64 {
        ballast.write_all(&piece).expect("room for the ballast");
    }
    survives_a_full_disk(&site, async || {
        ballast.set_len(0).expect("the ballast is thrown overboard");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn db_06_a_write_waits_for_another_process_and_gives_up_before_its_caller_does() {
    let site = Site::open(Database::Sqlite).await;
    let token = site.integration_token(None).await;
    let access_token = site.register("before@example.com").await["access_token"]
        .as_str()
        .expect("a token")
        .to_owned();
    let other = rusqlite::Connection::open(site.directory().join("test.db")).expect("it opens");

    // Locked for a moment: the write waits and is kept.
    other.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    let is_done = AtomicBool::new(false);
    let waiting = async {
        let answer = init(&site, &token, "waits@example.com").await;
        is_done.store(true, Ordering::SeqCst);
        answer
    };
    let releasing = async {
        for _ in 0..20 {
            assert_reads_live(&site, &access_token).await;
        }
        assert!(
            !is_done.load(Ordering::SeqCst),
            "it did not wait for the lock"
        );
        other
            .execute_batch("COMMIT")
            .expect("the lock is given back");
    };
    let (answer, ()) = tokio::join!(waiting, releasing);
    answer.expect_ok();

    // Locked permanently: the write is refused, and the next one after the release is kept.
    other.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    let refused = init(&site, &token, "refused@example.com");
    let refused = tokio::time::timeout(Duration::from_secs(20), refused).await;
    assert_is_temporary(&refused.expect("it gives up"));
    other
        .execute_batch("ROLLBACK")
        .expect("the lock is given back");
    init(&site, &token, "later@example.com").await.expect_ok();
    assert_eq!(
        site.count("SELECT COUNT(*) FROM challenge WHERE payload LIKE '%refused@example.com%'")
            .await,
        0
    );
    site.deliver().await;
    site.inbox.clear();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn db_06_two_processes_that_write_at_once_lose_nothing() {
    let site = Site::open(Database::Sqlite).await;
    let other = site.another_node().await;
    let saves = (0..100).map(|number| {
        let node = if number % 2 == 0 { &site } else { &other };
        save_account(node, format!("001f{number:05}"))
    });
    for saved in futures_util::future::join_all(saves).await {
        saved.expect("the lock is waited for");
    }
    assert_eq!(site.count("SELECT COUNT(*) FROM account").await, 100);
    assert_eq!(other.count("SELECT COUNT(*) FROM account").await, 100);
}
