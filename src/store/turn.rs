//! Turns: two writes that look first and act then wait for each other at a row.
//!
//! What must happen once is one conditional statement wherever that can be said. A budget that
//! counts rows before it adds one, and an account that is made because none was found, cannot be
//! said so; such a write takes its turn first, and what it reads afterwards is what the one before
//! it has committed. The row is an ordinary one, so that any database with row locks will do.

use super::Transaction;
use super::statement::{bind, statements};
use crate::moment::Moment;
use crate::refusal::Fault;

statements! {
    TAKE = "INSERT INTO turn (name, taken_at) VALUES ($1, $2)
        ON CONFLICT (name) DO UPDATE SET taken_at = excluded.taken_at";
}

/// Whose turn it is: writes with equal words go one after the other.
#[derive(Clone, Copy, Debug)]
pub enum Turn<'a> {
    /// The account of a name, given in its compared form.
    Account(&'a str),
    /// The hourly budget of a mailbox or number.
    Budget(&'a str),
    /// The comparisons of codes about one user or address. It is not the turn of its budget: who
    /// holds a challenge may wait for this one, and who holds a budget may wait for a challenge.
    Guesses(&'a str),
}

/// Waits for every other write with the same turn, and holds it until the end of this one.
///
/// SQLite has one writer, whose turn it always is, so nothing is written there.
pub async fn take(tx: &mut Transaction<'_>, turn: Turn<'_>, at: Moment) -> Result<(), Fault> {
    if matches!(tx, Transaction::Sqlite(_)) {
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
