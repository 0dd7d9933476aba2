//! Handlers, their versions and their calls.

use vestibule::contract::CallOutcome;
use vestibule::contract::{Contract, HandlerKind};
use vestibule::moment::Moment;
use vestibule::store::handler::{self, Handler, HandlerVersion};
use vestibule::store::handler_call::{self, Filter, HandlerCall};
use vestibule::store::sweep::{self, Horizon};
use vestibule::store::{Change, ChangeFailure};

use super::{act, entry, in_change, in_read, in_write};
use crate::fixture::{START, Site, on_both_databases};

const ID: &str = "01p000000000001AAA";

fn welcome() -> Handler {
    Handler {
        id: ID.to_owned(),
        name: String::from("welcome"),
        contract: Contract::CreateUser,
        kind: HandlerKind::Webhook,
        version: 1,
        secret_sealed: Some(vec![1, 2, 3]),
        created_at: START,
        updated_at: START.plus_seconds(1),
    }
}

fn version(number: i64) -> HandlerVersion {
    HandlerVersion {
        handler_id: ID.to_owned(),
        version: number,
        body: format!("{{\"source\":\"'; DROP TABLE handler; -- {number} 😀\"}}"),
        created_at: START.plus_seconds(number),
    }
}

async fn insert(site: &Site, handler: Handler, first: HandlerVersion) -> bool {
    in_change!(site, (handler, first), |tx, new| handler::insert(
        tx, &new.0, &new.1
    )
    .await)
}

on_both_databases! {
    async fn a_handler_is_loaded_unchanged_with_its_current_version(site: Site) {
        assert!(insert(&site, welcome(), version(1)).await);
        assert!(!insert(&site, Handler { id: String::from("01p000000000002AAA"), ..welcome() },
            HandlerVersion { handler_id: String::from("01p000000000002AAA"), ..version(1) }).await, "the name is taken");
        assert_eq!(site.count("SELECT COUNT(*) FROM handler_version").await, 1, "the loser left no version");

        let found = in_read!(site, |tx| handler::find(tx, "welcome").await).expect("it is there");
        assert_eq!(found, welcome());
        assert!(in_read!(site, |tx| handler::find(tx, "Welcome").await).is_none());

        in_change!(site, version(2), |tx, version| handler::insert_version(tx, version).await);
        assert_eq!(in_read!(site, |tx| handler::list_current(tx).await), [version(1)]);
        let at = START.plus_seconds(9);
        in_change!(site, at, |tx, at| handler::set_current(tx, ID, 2, *at).await);
        in_change!(site, at, |tx, at| handler::set_secret(tx, ID, &[9], *at).await);
        assert_eq!(in_read!(site, |tx| handler::list_current(tx).await), [version(2)]);
        assert_eq!(in_read!(site, |tx| handler::list_versions(tx, ID).await), [version(1), version(2)]);
        assert_eq!(in_read!(site, |tx| handler::find_version(tx, ID, 1).await), Some(version(1)));
        assert_eq!(in_read!(site, |tx| handler::find_version(tx, ID, 3).await), None);
        let changed = Handler { version: 2, secret_sealed: Some(vec![9]), updated_at: at, ..welcome() };
        assert_eq!(in_read!(site, |tx| handler::list(tx).await), [changed]);

        assert!(in_change!(site, (), |tx, _unit| handler::delete(tx, ID).await));
        assert!(!in_change!(site, (), |tx, _unit| handler::delete(tx, ID).await));
        assert_eq!(site.count("SELECT COUNT(*) FROM handler_version").await, 0);
    }
}

on_both_databases! {
    async fn a_version_has_its_number_once(site: Site) {
        insert(&site, welcome(), version(1)).await;
        let twice = site.app.store.administer("test.change", act(), version(1), |tx, version| Box::pin(async move {
            handler::insert_version(tx, version).await?;
            Ok::<_, ChangeFailure<()>>(Change::made((), entry()))
        }));
        twice.await.expect_err("a primary key holds");
    }
}

fn call(id: &str, at: Moment) -> HandlerCall {
    HandlerCall {
        id: id.to_owned(),
        at,
        handler_id: ID.to_owned(),
        version: 4,
        contract: Contract::CreateUser,
        site_id: String::from("0DB000000000001AAA"),
        request_id: Some(String::from("req-1")),
        outcome: CallOutcome::Ok,
        cpu_micros: 41,
        wall_micros: 77,
        sealed: vec![0, 255, 7],
    }
}

on_both_databases! {
    async fn a_call_is_loaded_unchanged_and_listed_by_filter(site: Site) {
        let calls = [
            call("07L000000000001AAA", START),
            HandlerCall { outcome: CallOutcome::Failed, request_id: None, ..call("07L000000000002AAA", START.plus_seconds(1)) },
            HandlerCall { site_id: String::from("0DB000000000002AAA"), ..call("07L000000000003AAA", START.plus_seconds(2)) },
            HandlerCall { handler_id: String::from("01p000000000009AAA"), ..call("07L000000000004AAA", START.plus_seconds(2)) },
        ];
        for call in calls.clone() {
            in_write!(site, call, |tx, call| handler_call::insert(tx, call).await);
        }
        for call in &calls {
            let found = in_read!(site, &call.id, |tx, id| handler_call::find(tx, id).await);
            assert_eq!(found.as_ref(), Some(call));
        }
        let some = |text: &str| Some(text.to_owned());
        let all = Filter { limit: 10, ..Filter::default() };
        for (filter, expected) in [
            (all.clone(), &[3, 2, 1, 0][..]),
            (Filter { limit: 2, ..all.clone() }, &[3, 2]),
            (Filter { handler_id: some(ID), ..all.clone() }, &[2, 1, 0]),
            (Filter { site_id: some("0DB000000000002AAA"), ..all.clone() }, &[2]),
            (Filter { outcome: Some(CallOutcome::Failed), ..all.clone() }, &[1]),
            (Filter { outcome: Some(CallOutcome::Failed), site_id: some("0DB000000000002AAA"), ..all.clone() }, &[]),
        ] {
            let listed = in_read!(site, &filter, |tx, filter| handler_call::list(tx, filter).await);
            let expected: Vec<_> = expected.iter().map(|at: &usize| calls[*at].clone()).collect();
            assert_eq!(listed, expected, "{filter:?}");
        }
    }
}

on_both_databases! {
    async fn calls_are_swept_after_a_week_or_the_configured_days(site: Site) {
        in_write!(site, call("07L000000000001AAA", START), |tx, call| handler_call::insert(tx, call).await);
        in_write!(site, call("07L000000000002AAA", START.plus_seconds(1)), |tx, call| handler_call::insert(tx, call).await);
        const WEEK: i64 = 7 * 24 * 3_600;
        let left = async || site.count("SELECT COUNT(*) FROM handler_call").await;
        for (horizon, count) in [
            (Horizon::at(START.plus_seconds(WEEK)), 2),
            (Horizon::at(START.plus_seconds(WEEK + 1)), 1),
            (Horizon { handler_calls: START.plus_seconds(2), ..Horizon::at(START) }, 0),
        ] {
            in_write!(site, horizon, |tx, horizon| sweep::sweep(tx, horizon).await);
            assert_eq!(left().await, count, "{horizon:?}");
        }
    }
}
