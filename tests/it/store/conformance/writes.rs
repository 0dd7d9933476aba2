//! What a write keeps and what it does not, alone and in a group with others.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Waker};

use futures_util::future::join_all;
use vestibule::identity::Account;
use vestibule::refusal::{Fault, FaultKind, Refusal};
use vestibule::store;
use vestibule::store::sweep::Horizon;
use vestibule::store::turn::Turn;
use vestibule::store::{BodyFuture, Transaction};

use crate::fixture::{Database, START, Site, on_both_databases};

const ACCOUNTS: &str = "SELECT COUNT(*) FROM account";

/// What a body does after it has inserted an account.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    Agree,
    Refuse,
    Fail,
    Panic,
    BreakAConstraint,
}

fn body<'x>(
    tx: &'x mut Transaction<'_>,
    input: &'x (String, Then),
) -> BodyFuture<'x, Result<(), Refusal>> {
    Box::pin(async move {
        let (name, then) = input;
        let account = Account {
            id: format!("001{name}"),
            name: name.clone(),
            created_at: START,
        };
        store::account::insert(tx, &account).await?;
        match then {
            Then::Agree => Ok(Ok(())),
            Then::Refuse => Ok(Err(Refusal::TriesSpent)),
            Then::Fail => Err(Fault::described("testing", "the body failed".into())),
            Then::Panic => panic!("the body panics, as this test wants it to"),
            Then::BreakAConstraint => {
                store::account::insert(tx, &account).await?;
                unreachable!("the id is taken")
            }
        }
    })
}

async fn run(site: &Site, name: &str, then: Then) -> Result<Result<(), Refusal>, Fault> {
    site.app
        .store
        .write("test.write", (name.to_owned(), then), |tx, input| {
            body(tx, input)
        })
        .await
}

on_both_databases! {
    async fn a_refusal_is_a_value_and_commits(site: Site) {
        let refused = run(&site, "a", Then::Refuse).await.expect("the write is kept");
        assert_eq!(refused, Err(Refusal::TriesSpent));
        assert_eq!(site.count(ACCOUNTS).await, 1);
    }
}

on_both_databases! {
    async fn a_fault_rolls_back_and_names_the_write(site: Site) {
        let fault = run(&site, "a", Then::Fail).await.expect_err("the body failed");
        assert_eq!((fault.kind, fault.during), (FaultKind::Broken, Some("test.write")));
        let fault = run(&site, "b", Then::BreakAConstraint).await.expect_err("the constraint holds");
        assert_eq!((fault.kind, fault.during), (FaultKind::Broken, Some("test.write")));
        assert_eq!(site.count(ACCOUNTS).await, 0);
    }
}

on_both_databases! {
    async fn a_body_that_panics_rolls_back_and_the_writer_lives(site: Site) {
        let fault = run(&site, "a", Then::Panic).await.expect_err("the body panicked");
        assert_eq!(fault.kind, FaultKind::Broken);
        assert_eq!(site.count(ACCOUNTS).await, 0);
        run(&site, "a", Then::Agree).await.expect("the writer lives").expect("and agrees");
        assert_eq!(site.count(ACCOUNTS).await, 1);
    }
}

on_both_databases! {
    async fn bodies_that_fail_among_many_do_not_harm_the_others(site: Site) {
        // More than one group of SQLite's, with every kind of failure distributed over it.
        let then = |number: usize| match number % 10 {
            3 => Then::Fail,
            5 => Then::BreakAConstraint,
            7 => Then::Panic,
            8 => Then::Refuse,
            _ => Then::Agree,
        };
        let runs = (0..300).map(|number| {
            let site = &site;
            async move { (then(number), run(site, &format!("{number:03}"), then(number)).await) }
        });
        for (number, (then, outcome)) in join_all(runs).await.into_iter().enumerate() {
            match then {
                Then::Agree => assert_eq!(outcome.expect("kept"), Ok(()), "{number}"),
                Then::Refuse => assert!(outcome.expect("kept").is_err(), "{number}"),
                _ => assert!(outcome.is_err(), "{number}"),
            }
        }
        assert_eq!(site.count(ACCOUNTS).await, 210);
        assert_eq!(site.count("SELECT COUNT(*) FROM account WHERE id LIKE '001__3' OR id LIKE '001__5'
            OR id LIKE '001__7'").await, 0);
    }
}

on_both_databases! {
    async fn two_hundred_concurrent_writes_are_all_kept_and_each_gets_its_answer(site: Site) {
        let writes = (0..200_i64).map(|number| site.app.store.write("test.write", number, |tx, number| {
            Box::pin(async move {
                let account = Account { id: format!("001{number}"), name: format!("n{number}"), created_at: START };
                store::account::insert(tx, &account).await?;
                Ok(store::account::find_by_name(tx, &account.name).await?.expect("a write sees itself").id)
            })
        }));
        for (number, id) in join_all(writes).await.into_iter().enumerate() {
            assert_eq!(id.expect("the write is kept"), format!("001{number}"));
        }
        assert_eq!(site.count(ACCOUNTS).await, 200);
    }
}

on_both_databases! {
    async fn writes_with_one_turn_see_the_changes_of_the_previous_one(site: Site) {
        let writes = (0..40_i64).map(|number| site.app.store.write("test.turn", number, |tx, number| {
            Box::pin(async move {
                let name = if number % 2 == 0 { "even" } else { "odd" };
                store::turn::take(tx, Turn::Account(name), START).await?;
                let is_first = store::account::find_by_name(tx, name).await?.is_none();
                if is_first {
                    let account = Account { id: format!("001{number}"), name: name.into(), created_at: START };
                    store::account::insert(tx, &account).await?;
                }
                Ok(is_first)
            })
        }));
        let first = join_all(writes).await.into_iter().filter(|written| *written.as_ref().expect("kept")).count();
        assert_eq!(first, 2, "one of each name");
        assert_eq!(site.count(ACCOUNTS).await, 2);
        // A turn that was not taken for a day is swept with the challenges of that day.
        let horizon = Horizon::at(START.plus_seconds(26 * 3_600));
        let swept = site.app.store.write("test.sweep", horizon, |tx, horizon| Box::pin(store::sweep::sweep(tx, horizon)));
        swept.await.expect("kept");
        assert_eq!(site.count("SELECT COUNT(*) FROM turn").await, 0);
    }
}

on_both_databases! {
    async fn a_write_completes_when_its_caller_has_disconnected(site: Site) {
        let mut write = Box::pin(run(&site, "a", Then::Agree));
        // One poll passes the body on; then the caller disconnects.
let _ = write.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        drop(write);
        // Writes of SQLite are in order. PostgreSQL's are not, so the result is polled in a bounded loop.
        for attempt in 0.. {
            run(&site, &format!("z{attempt}"), Then::Fail).await.expect_err("it only waits its turn");
            if site.count(ACCOUNTS).await == 1 {
                break;
            }
            assert!(attempt < 1_000, "the write was lost with its caller");
        }
    }
}

on_both_databases! {
    async fn a_read_does_not_see_a_write_that_is_not_committed(site: Site) {
        static SEEN: AtomicU32 = AtomicU32::new(0);
        let app = std::sync::Arc::clone(&site.app);
        let written = site.app.store.write("test.write", app, |tx, app| Box::pin(async move {
            let account = Account { id: "001a".into(), name: "a".into(), created_at: START };
            store::account::insert(tx, &account).await?;
            // A body may await nothing but SQL. This one only shows what another connection sees meanwhile.
            let other = app.store.read("test.read", &(), |tx, ()| Box::pin(store::account::find_by_name(tx, "a")));
            SEEN.fetch_add(u32::from(other.await?.is_some()), Ordering::SeqCst);
            Ok(())
        }));
        written.await.expect("the write is kept");
        assert_eq!(SEEN.load(Ordering::SeqCst), 0);
        assert_eq!(site.count(ACCOUNTS).await, 1);
    }
}

#[tokio::test]
async fn on_sqlite_a_reading_connection_refuses_to_write() {
    let site = Site::open(Database::Sqlite).await;
    let read = site.app.store.read("test.read", &(), |tx, ()| {
        Box::pin(async move {
            let account = Account {
                id: "001a".into(),
                name: "a".into(),
                created_at: START,
            };
            store::account::insert(tx, &account).await
        })
    });
    read.await.expect_err("every write goes through the writer");
    assert_eq!(site.count(ACCOUNTS).await, 0);
}
