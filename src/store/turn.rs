//! Turns: row locks that serialise writes that read first and change afterwards.
//!
//! "Only once" is one conditional statement wherever possible. It is not possible for a budget that counts rows
//! before it adds one, and for an account that is created because none was found. Such a write takes a turn first,
//! and its reads then see what the previous write has committed. The row is an ordinary one, so that any database
//! with row locks works.

use super::Transaction;
use super::statement::{bind, statements};
use crate::moment::Moment;
use crate::refusal::Fault;

statements! {
    TAKE = "INSERT INTO turn (name, taken_at) VALUES ($1, $2)
        ON CONFLICT (name) DO UPDATE SET taken_at = excluded.taken_at";
}

/// What a turn is about: writes with equal values are serialised.
#[derive(Clone, Copy, Debug)]
pub enum Turn<'a> {
    /// The account of a name, given in its compared form.
    Account(&'a str),
    /// The hourly budget of a mailbox or number.
    Budget(&'a str),
    /// The comparisons of codes for one user or address. It is distinct from the turn of its budget: a write that
    /// has a challenge may wait for this one, and a write that has a budget may wait for a challenge.
    Guesses(&'a str),
}

/// Waits for every other write with the same turn, and keeps it until the end of this write.
///
/// SQLite has one writer, which is always alone, so nothing is written there.
pub async fn take(tx: &mut Transaction<'_>, turn: Turn<'_>, at: Moment) -> Result<(), Fault> {
    if tx.is_only_writer() {
        return Ok(());
    }
    let name = match turn {
        Turn::Account(name_key) => format!("account {name_key}"),
        Turn::Budget(key) => format!("budget {key}"),
        Turn::Guesses(key) => format!("guesses {key}"),
    };
    tx.execute(&TAKE, bind![&name, at]).await?;
    Ok(())
}
