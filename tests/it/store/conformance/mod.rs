//! Every store function, on both databases: inserted rows are loaded unchanged, constraints are enforced, and the
//! row counts of conditional statements are those on which the flows rely.

mod administration;
mod ending;
mod families;
mod handlers;
mod identifiers;
mod outbox;
mod people;
mod settings;
mod tallies;
mod writes;

use serde_json::Value;
use vestibule::audit::{Actor, AuditEntry, AuditObject, AuditSource, ObjectKind};
use vestibule::moment::Entropy;
use vestibule::store::Act;

use crate::fixture::START;

/// Runs one body as a write and expects it to be kept.
macro_rules! in_write {
    ($site:expr, $input:expr, |$tx:ident, $in:ident| $body:expr) => {
        $site
            .app
            .store
            .write("test.write", $input, |$tx, $in| {
                Box::pin(async move { $body })
            })
            .await
            .expect("the write is kept")
    };
}

/// Runs one body as an administrative change and expects it to be kept.
macro_rules! in_change {
    ($site:expr, $input:expr, |$tx:ident, $in:ident| $body:expr) => {
        $site
            .app
            .store
            .administer(
                "test.change",
                $crate::store::conformance::act(),
                $input,
                |$tx, $in| {
                    Box::pin(async move {
                        let outcome: Result<_, vestibule::refusal::Fault> = $body;
                        let entry = $crate::store::conformance::entry();
                        Ok::<_, vestibule::store::ChangeFailure<()>>(
                            vestibule::store::Change::made(outcome?, entry),
                        )
                    })
                },
            )
            .await
            .expect("the change is kept")
    };
}

/// Who makes the changes of these tests.
fn act() -> Act {
    Act {
        actor: Actor::Server,
        source: AuditSource::Server,
        kind: ObjectKind::Site,
        at: START,
        random: Entropy::Os.bytes(),
    }
}

/// What the audit log says of them.
fn entry() -> AuditEntry {
    let object = AuditObject::new(ObjectKind::Site, "0DB", "test");
    AuditEntry::new("test.changed", object, &Value::Null, &Value::Null)
}

/// Runs one body as a read and expects an answer.
macro_rules! in_read {
    ($site:expr, |$tx:ident| $body:expr) => {
        $site
            .app
            .store
            .read("test.read", &(), |$tx, ()| Box::pin(async move { $body }))
            .await
            .expect("the database answers")
    };
    ($site:expr, $input:expr, |$tx:ident, $in:ident| $body:expr) => {
        $site
            .app
            .store
            .read("test.read", $input, |$tx, $in| {
                Box::pin(async move { $body })
            })
            .await
            .expect("the database answers")
    };
}
use {in_change, in_read, in_write};
