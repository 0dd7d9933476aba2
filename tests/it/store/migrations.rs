//! Migrations and backups: the schema is applied once by the first process, a database that does not fit is
//! refused, and a copy taken while the server runs contains everything acknowledged before.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use vestibule::identity::Account;
use vestibule::metrics::Metrics;
use vestibule::refusal::Fault;
use vestibule::store::{self, Location, Store, Synchronous};

use crate::fixture::{Database, START, Site, on_both_databases, postgres};

fn open(location: &Location) -> Store {
    Store::open(location, Arc::new(Metrics::new())).expect("the database opens")
}

/// Runs a test on a new SQLite file and a new PostgreSQL database.
macro_rules! on_fresh_databases {
    (async fn $name:ident($location:ident: Location) $body:block) => {
        mod $name {
            use super::*;

            async fn body($location: Location) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                let directory = tempfile::tempdir().expect("a temporary directory");
                body(Location::Sqlite(directory.path().join("test.db"), Synchronous::Full)).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                let Some(url) = postgres::database().await else { return };
                body(Location::Postgres(url.into(), 4)).await;
            }
        }
    };
}

on_fresh_databases! {
    async fn a_fresh_database_waits_for_every_migration_and_has_each_once(location: Location) {
        let store = open(&location);
        let waiting = store.migrations().await.expect("an empty database is no mistake");
        assert!(!waiting.is_empty());
        assert!(waiting.iter().all(|state| state.applied_at.is_none()));
        let names: Vec<&str> = waiting.iter().map(|state| state.migration.name).collect();
        assert_eq!(store.migrate(START).await.expect("the schema"), names);
        let again = store.migrate(START.plus_seconds(60)).await.expect("nothing is left to do");
        assert!(again.is_empty());
        // Another process sees the same, and the first instant is kept.
        let states = open(&location).migrations().await.expect("the schema is whole");
        assert!(states.iter().all(|state| state.applied_at == Some(START)));
        store.prepare_all().await.expect("every statement fits the schema");
    }
}

/// The change of a new file to WAL answers "database is locked" at once, without waiting.
#[test]
fn several_that_open_one_new_file_at_once_wait_for_each_other() {
    for _ in 0..20 {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let location = Location::Sqlite(directory.path().join("test.db"), Synchronous::Full);
        let together = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    together.wait();
                    open(&location);
                });
            }
        });
    }
}

on_fresh_databases! {
    async fn many_that_migrate_at_once_apply_each_migration_once(location: Location) {
        let nodes = (0..6).map(|_| {
            let location = location.clone();
            tokio::spawn(async move { open(&location).migrate(START).await })
        });
        let mut applied = Vec::new();
        for node in futures_util::future::join_all(nodes).await {
            applied.extend(node.expect("no panic").expect("a node that comes second is no failure"));
        }
        applied.sort_unstable();
        let mut once: Vec<&str> = open(&location).migrations().await.expect("the schema")
            .iter().map(|state| state.migration.name).collect();
        once.sort_unstable();
        assert_eq!(applied, once);
    }
}

on_fresh_databases! {
    async fn a_migration_that_fails_leaves_nothing_behind(location: Location) {
        let store = open(&location);
        // `site` is created in the middle of the first migration, so statements before it have run.
        execute(&store, "CREATE TABLE site (mine BIGINT)").await;
        store.migrate(START).await.expect_err("the table is there");
        let states = store.migrations().await.expect("the schema can be asked");
        assert!(states.iter().all(|state| state.applied_at.is_none()));
        execute(&store, "DROP TABLE site").await;
        store.migrate(START).await.expect("no table of the failed try is in the way");
        store.prepare_all().await.expect("every statement fits the schema");
    }
}

on_both_databases! {
    async fn a_migration_that_was_applied_with_another_text_is_refused(site: Site) {
        site.execute("UPDATE schema_migration SET checksum = 'other' WHERE number = 1").await;
        for fault in both_ways(&site).await {
            assert!(fault.to_string().contains("migration 1 was applied with another text"), "{fault}");
        }
    }
}

on_both_databases! {
    async fn a_database_of_a_newer_version_is_refused_before_it_is_touched(site: Site) {
        site.execute("INSERT INTO schema_migration (number, name, checksum, applied_at)
            VALUES (99, 'from the future', 'abc', 1)").await;
        for fault in both_ways(&site).await {
            let text = fault.to_string();
            assert!(text.contains("migration 99") && text.contains("newer version"), "{text}");
        }
    }
}

async fn both_ways(site: &Site) -> [Fault; 2] {
    let store = &site.app.store;
    [
        store.migrations().await.expect_err("it is refused"),
        store.migrate(START).await.expect_err("it is refused"),
    ]
}

async fn execute(store: &Store, statements: &'static str) {
    let written = store.write("test.execute", statements, |tx, statements| {
        Box::pin(tx.execute_text(statements))
    });
    written.await.expect("the statements run");
}

/// Inserts accounts one after the other until it is stopped, and counts those acknowledged.
struct Scribe {
    acknowledged: Arc<AtomicI64>,
    is_finished: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Scribe {
    fn start(site: &Site) -> Scribe {
        let (acknowledged, is_finished) = (
            Arc::new(AtomicI64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (app, count, finished) = (site.app.clone(), acknowledged.clone(), is_finished.clone());
        let task = tokio::spawn(async move {
            while !finished.load(Ordering::SeqCst) {
                save_account(&app.store, count.load(Ordering::SeqCst)).await;
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Scribe {
            acknowledged,
            is_finished,
            task,
        }
    }

    fn acknowledged(&self) -> i64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    async fn has_written(&self, count: i64) {
        let enough = async {
            while self.acknowledged() < count {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(30), enough);
        waited.await.expect("the scribe writes");
    }

    async fn stop(self) {
        self.is_finished.store(true, Ordering::SeqCst);
        self.task.await.expect("no write failed");
    }
}

async fn save_account(store: &Store, number: i64) {
    let saved = store.write("test.account", number, |tx, number| {
        Box::pin(async move {
            let account = Account {
                id: format!("001{number:015}"),
                name: format!("Account {number}"),
                created_at: START,
            };
            store::account::insert(tx, &account).await
        })
    });
    saved.await.expect("the account is saved");
}

/// Takes a backup during writes, and checks that it contains everything acknowledged before.
async fn back_up_beside_a_scribe(site: &Site) -> rusqlite::Connection {
    let scribe = Scribe::start(site);
    scribe.has_written(20).await;
    let before = scribe.acknowledged();
    let (app, copy) = (site.app.clone(), site.directory().join("copy.db"));
    let path = copy.clone();
    let backup = tokio::task::spawn_blocking(move || app.store.backup(&path));
    let done = tokio::time::timeout(Duration::from_secs(30), backup).await;
    let done = done.expect("a backup ends although the server goes on writing");
    done.expect("no panic").expect("the backup is written");
    scribe.has_written(before + 1).await;
    scribe.stop().await;

    let connection = rusqlite::Connection::open(&copy).expect("the copy opens");
    let verdict: String = ask(&connection, "PRAGMA integrity_check");
    assert_eq!(verdict, "ok");
    let copied: i64 = ask(
        &connection,
        "SELECT COUNT(*) FROM account WHERE id LIKE '001%'",
    );
    let last: String = ask(
        &connection,
        "SELECT MAX(id) FROM account WHERE id LIKE '001%'",
    );
    assert!(
        copied >= before,
        "{copied} of {before} acknowledged accounts are in the copy"
    );
    // One instant: every account in the copy has its predecessor in the copy.
    assert_eq!(last, format!("001{:015}", copied - 1));
    connection
}

fn ask<T: rusqlite::types::FromSql>(connection: &rusqlite::Connection, query: &str) -> T {
    let answer = connection.query_row(query, [], |row| row.get(0));
    answer.expect("one value")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ops_01_a_backup_during_writes_contains_everything_acknowledged_before() {
    let site = Site::open(Database::Sqlite).await;
    let connection = back_up_beside_a_scribe(&site).await;
    let mode: String = ask(&connection, "PRAGMA journal_mode");
    assert_eq!(mode, "delete", "the copy is one file");
    drop(connection);
    // In place of the database it is the same installation.
    let copy = Location::Sqlite(site.directory().join("copy.db"), Synchronous::Full);
    let restored = open(&copy);
    assert!(
        restored
            .migrate(START)
            .await
            .expect("the schema")
            .is_empty()
    );
    let found = restored.read("test.find", &(), |tx, ()| {
        Box::pin(store::installation::find(tx))
    });
    let found = found.await.expect("it answers").expect("the installation");
    assert_eq!(found.org_id, site.app.directory().org_id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_large_database_ends_although_every_millisecond_brings_a_write() {
    let site = Site::open(Database::Sqlite).await;
    // 24 MiB: many more pages than one step of the copy takes.
    site.execute(
        "INSERT INTO account (id, name, name_key, created_at)
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 24576)
            SELECT 'big' || i, hex(zeroblob(500)), 'big' || i, 0 FROM n",
    )
    .await;
    let connection = back_up_beside_a_scribe(&site).await;
    let big: i64 = ask(
        &connection,
        "SELECT COUNT(*) FROM account WHERE id LIKE 'big%'",
    );
    assert_eq!(big, 24_576);
}

#[tokio::test]
async fn a_backup_overwrites_nothing() {
    let site = Site::open(Database::Sqlite).await;
    let path = site.directory().join("precious");
    let content = b"not a database";
    std::fs::write(&path, content).expect("a file");
    let fault = site.app.store.backup(&path).expect_err("it is there");
    assert!(fault.to_string().contains("precious"), "{fault}");
    assert_eq!(std::fs::read(&path).expect("it is still there"), content);
    let database = site.directory().join("test.db");
    site.app
        .store
        .backup(&database)
        .expect_err("the database itself is there");
    assert!(site.user("integration@vestibule.example").await.is_some());
    let nowhere = Path::new("/nonexistent/directory/copy.db");
    site.app
        .store
        .backup(nowhere)
        .expect_err("there is no such directory");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_a_backup_names_the_tools_that_can() {
    let Some(url) = postgres::database().await else {
        return;
    };
    let store = open(&Location::Postgres(url.into(), 1));
    let fault = store
        .backup(Path::new("/nonexistent/copy"))
        .expect_err("it cannot");
    assert!(fault.to_string().contains("pg_dump"), "{fault}");
}
