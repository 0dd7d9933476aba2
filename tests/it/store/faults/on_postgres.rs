//! PostgreSQL: killed connections, conflicts, an exhausted pool, an unreachable database.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio_postgres::Client;
use vestibule::identity::Account;
use vestibule::refusal::{Fault, FaultKind};
use vestibule::store::{self, Location, Transaction};

use super::{assert_is_temporary, init};
use crate::fixture::{Call, Database, START, Site, postgres};

/// Ends every connection of a server to this database, and waits until each has ended.
const END_CONNECTIONS: &str = "SELECT COUNT(pg_terminate_backend(pid, 60000)) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'vestibule'";

/// A site on PostgreSQL and a connection to the same database, or `None` where there is no PostgreSQL.
async fn open() -> Option<(Site, Client)> {
    let url = postgres::database().await?;
    let beside = postgres::connect(&url).await;
    Some((Site::open(Database::Postgres(url)).await, beside))
}

/// The number of connections that it ended.
async fn end_connections(beside: &Client) -> i64 {
    let ended = beside.query_one(END_CONNECTIONS, &[]).await;
    ended.expect("the connections end").get(0)
}

async fn insert_account(tx: &mut Transaction<'_>, id: &str) -> Result<(), Fault> {
    let account = Account {
        id: id.to_owned(),
        name: id.to_owned(),
        created_at: START,
    };
    store::account::insert(tx, &account).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn db_11_connections_killed_between_requests_are_not_noticed() {
    let Some((site, beside)) = open().await else {
        return;
    };
    let token = site.integration_token(None).await;
    for round in 0..5 {
        // Several concurrent requests, so that the pool has several connections to kill.
        let inits = (0..4).map(|number| {
            let username = format!("r{round}n{number}@example.com");
            let (site, token) = (&site, &token);
            async move { init(site, token, &username).await }
        });
        for answer in join_all(inits).await {
            answer.expect_ok();
        }
        let killed = end_connections(&beside).await;
        assert!(killed > 0, "there was none to kill");
    }
    assert_eq!(site.count("SELECT COUNT(*) FROM challenge").await, 20);
    assert_eq!(site.count("SELECT COUNT(*) FROM outbox").await, 20);
    site.deliver().await;
    site.inbox.clear();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn db_11_a_connection_killed_within_a_write_has_no_double_effect() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let Some((site, killer)) = open().await else {
        return;
    };
    let written = site
        .app
        .store
        .write("test.write", Arc::new(killer), |tx, killer| {
            Box::pin(async move {
                insert_account(tx, "001a").await?;
                if RUNS.fetch_add(1, Ordering::SeqCst) < 2 {
                    end_connections(killer).await;
                }
                insert_account(tx, "001b").await
            })
        });
    written
        .await
        .expect("a lost connection is worth another try");
    assert_eq!(RUNS.load(Ordering::SeqCst), 3);
    assert_eq!(site.count("SELECT COUNT(*) FROM account").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn db_11_a_connection_killed_within_a_read_is_replaced() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let Some((site, killer)) = open().await else {
        return;
    };
    let found = site.app.store.read("test.read", &killer, |tx, killer| {
        Box::pin(async move {
            if RUNS.fetch_add(1, Ordering::SeqCst) < 2 {
                end_connections(killer).await;
            }
            store::installation::find(tx).await
        })
    });
    assert!(found.await.expect("it is asked again").is_some());
    assert_eq!(RUNS.load(Ordering::SeqCst), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn db_11_a_commit_whose_outcome_is_unknown_is_not_tried_again() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let Some((site, beside)) = open().await else {
        return;
    };
    // A deferred trigger runs within COMMIT, and this one kills the connection there.
    beside
        .batch_execute(
            "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(10); RETURN NULL; END $$;
            CREATE CONSTRAINT TRIGGER dies AFTER INSERT ON account
                DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die();",
        )
        .await
        .expect("a trigger");
    let written = site.app.store.write("test.write", (), |tx, ()| {
        Box::pin(async move {
            RUNS.fetch_add(1, Ordering::SeqCst);
            insert_account(tx, "001a").await
        })
    });
    let fault = written.await.expect_err("the outcome is unknown");
    assert_eq!(fault.kind, FaultKind::Unavailable, "{fault}");
    assert_eq!(
        RUNS.load(Ordering::SeqCst),
        1,
        "a second run might be a second effect"
    );
    beside
        .batch_execute("DROP TRIGGER dies ON account")
        .await
        .expect("no trigger");
    assert_eq!(site.count("SELECT COUNT(*) FROM account").await, 0);
}

/// Raises the installation's version as a rival does, in another transaction.
const RIVAL: &str = "UPDATE installation SET version = version + 1";

/// Takes a snapshot that conflicts with any change from outside.
async fn serializable(tx: &mut Transaction<'_>) -> Result<(), Fault> {
    tx.execute_text("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        .await
        .expect("it is the first statement");
    store::installation::find(tx).await.map(|_| ())
}

/// Raises the installation's version in a write whose first `conflicts` runs conflict with a rival's
/// change. The outcome, and the number of runs.
async fn bump_against(rival: Client, conflicts: u32, site: &Site) -> (Result<(), Fault>, u32) {
    let runs = Arc::new(AtomicU32::new(0));
    let input = (rival, conflicts, Arc::clone(&runs));
    let written = site
        .app
        .store
        .write("test.write", input, |tx, (rival, conflicts, runs)| {
            Box::pin(async move {
                serializable(tx).await?;
                if runs.fetch_add(1, Ordering::SeqCst) < *conflicts {
                    let raised = rival.batch_execute(RIVAL).await;
                    raised.expect("the rival is first");
                }
                store::installation::bump(tx).await
            })
        });
    (written.await, runs.load(Ordering::SeqCst))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn db_11_a_serialization_conflict_is_tried_again() {
    let Some((site, rival)) = open().await else {
        return;
    };
    let before = site.count("SELECT version FROM installation").await;
    let (written, runs) = bump_against(rival, 2, &site).await;
    written.expect("a conflict is worth another try");
    assert_eq!(runs, 3);
    assert_eq!(
        site.count("SELECT version FROM installation").await,
        before + 3
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn db_11_a_conflict_without_end_is_given_up() {
    let Some((site, rival)) = open().await else {
        return;
    };
    let (written, runs) = bump_against(rival, u32::MAX, &site).await;
    let fault = written.expect_err("the rival never rests");
    assert_eq!(
        fault.kind,
        FaultKind::Conflict,
        "which the wire answers with 503"
    );
    assert!((2..=20).contains(&runs), "{runs} runs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn db_11_a_deadlock_is_retried_and_both_writes_are_kept() {
    let Some((site, _beside)) = open().await else {
        return;
    };
    site.execute("INSERT INTO account VALUES ('001a', 'a', 'a', 0), ('001b', 'b', 'b', 0)")
        .await;
    let user_id = site
        .user("integration@vestibule.example")
        .await
        .expect("the demo's user")
        .id;
    let before = site.count("SELECT version FROM installation").await;
    // Each locks one row and waits for the other, in the first run.
    let met = Arc::new(tokio::sync::Barrier::new(2));
    let runs = Arc::new(AtomicU32::new(0));
    let write = |is_user_first: bool, account: &'static str| {
        let is_first = AtomicBool::new(true);
        let input = (
            is_user_first,
            account,
            user_id.clone(),
            met.clone(),
            runs.clone(),
            is_first,
        );
        site.app.store.write("test.write", input, |tx, input| {
            Box::pin(async move {
                let (is_user_first, account, user_id, met, runs, is_first) = input;
                runs.fetch_add(1, Ordering::SeqCst);
                if *is_user_first {
                    store::user::set_account(tx, user_id, account).await?;
                } else {
                    store::installation::bump(tx).await?;
                }
                if is_first.swap(false, Ordering::SeqCst) {
                    met.wait().await;
                }
                if *is_user_first {
                    store::installation::bump(tx).await
                } else {
                    store::user::set_account(tx, user_id, account).await
                }
            })
        })
    };
    let (one, other) = tokio::join!(write(true, "001a"), write(false, "001b"));
    one.expect("kept");
    other.expect("kept");
    // The database looks for deadlocks from both sides, so on a busy machine both may be its victims;
    // what must hold is that one was, and that each write took place once.
    let runs = runs.load(Ordering::SeqCst);
    assert!(
        (3..=4).contains(&runs),
        "{runs} runs: the first round deadlocks, and no other"
    );
    assert_eq!(
        site.count("SELECT version FROM installation").await,
        before + 2
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn db_11_an_empty_pool_is_a_503_in_time_and_fills_again() {
    let Some((site, beside)) = open().await else {
        return;
    };
    let token = site.integration_token(None).await;
    beside
        .batch_execute("BEGIN; LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE")
        .await
        .expect("a lock");
    // More calls than the pool has connections: the rest waits for a connection and is refused.
    let answers = async {
        let inits = (0..12).map(|number| {
            let username = format!("n{number}@example.com");
            let (site, token) = (&site, &token);
            async move { init(site, token, &username).await }
        });
        join_all(inits).await
    };
    let unlock = async {
        // Asks, without a connection of the pool, until a write has given up.
        for _ in 0..100_000 {
            if site.app.metrics.render().contains("rolled_back") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        beside
            .batch_execute("COMMIT")
            .await
            .expect("the lock is given back");
    };
    let (answers, ()) = tokio::join!(answers, unlock);
    let (good, bad): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert!(!bad.is_empty(), "no call was refused");
    bad.into_iter().for_each(assert_is_temporary);
    init(&site, &token, "later@example.com").await.expect_ok();
    let kept = i64::try_from(good.len()).expect("a few") + 1;
    assert_eq!(site.count("SELECT COUNT(*) FROM challenge").await, kept);
    assert_eq!(site.count("SELECT COUNT(*) FROM outbox").await, kept);
    site.deliver().await;
    site.inbox.clear();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clu_02_an_unreachable_database_is_a_503_and_the_server_reconnects() {
    let Some((site, beside)) = open().await else {
        return;
    };
    let Location::Postgres(url, _) = &site.location else {
        unreachable!("the site is on PostgreSQL")
    };
    let name: String = beside
        .query_one("SELECT current_database()", &[])
        .await
        .expect("a name")
        .get(0);
    let token = site.integration_token(None).await;
    let access_token = site.register("before@example.com").await["access_token"]
        .as_str()
        .expect("a token")
        .to_owned();
    drop(beside);

    // From another database: this one takes no connection any more, and those it has are ended.
    let elsewhere =
        postgres::connect(&url.expose().replace(&format!("/{name}?"), "/postgres?")).await;
    let close = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false");
    elsewhere.batch_execute(&close).await.expect("it is closed");
    let end_all =
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    elsewhere
        .batch_execute(&end_all)
        .await
        .expect("they are ended");

    assert_is_temporary(&init(&site, &token, "during@example.com").await);
    let userinfo = || Call::get("/services/oauth2/userinfo").bearer(&access_token);
    assert_is_temporary(&site.send(userinfo()).await);
    site.send(Call::get("/id/keys")).await.expect_ok();

    let open = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true");
    elsewhere.batch_execute(&open).await.expect("it is open");
    site.send(userinfo()).await.expect_ok();
    site.register("after@example.com").await;
    assert!(site.user("during@example.com").await.is_none());
}
