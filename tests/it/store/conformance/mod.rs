//! Every store function, on both databases: what is saved comes back, constraints hold, and the row
//! counts of conditional statements are what the flows rely on.

mod ending;
mod families;
mod handlers;
mod identifiers;
mod outbox;
mod people;
mod settings;
mod tallies;
mod writes;

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
use {in_read, in_write};
