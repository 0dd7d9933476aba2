//! The networks from which a user has logged in before.
//!
//! Requests and wrong codes of other callers never use up what such a network may do (threat LOCK-02). A network is
//! kept for 90 days after the last login.

use super::Transaction;
use super::statement::{bind, statements};
use crate::moment::Moment;
use crate::refusal::Fault;

/// How often a known network is noted again, in seconds: not at every login.
const NOTED_SECONDS: i64 = 24 * 3_600;

statements! {
    DELETE_OF = "DELETE FROM known_network WHERE user_id = $1";
    IS_KNOWN = "SELECT COUNT(*) FROM known_network WHERE user_id = $1 AND network = $2";
    NOTE = "INSERT INTO known_network (user_id, network, seen_at) VALUES ($1, $2, $3)
        ON CONFLICT (user_id, network) DO UPDATE SET seen_at = $3 WHERE known_network.seen_at < $4";
}

/// Notes that a user has logged in from a network.
pub async fn note(
    tx: &mut Transaction<'_>,
    user_id: &str,
    network: &str,
    at: Moment,
) -> Result<(), Fault> {
    let values = bind![user_id, network, at, at.plus_seconds(-NOTED_SECONDS)];
    tx.execute(&NOTE, values).await?;
    Ok(())
}

/// Whether a user has logged in from a network before.
pub async fn is_known(
    tx: &mut Transaction<'_>,
    user_id: &str,
    network: &str,
) -> Result<bool, Fault> {
    let count: Option<i64> = tx.find(&IS_KNOWN, bind![user_id, network]).await?;
    Ok(count.unwrap_or(0) > 0)
}

/// Deletes the networks of a user.
pub async fn delete_of(tx: &mut Transaction<'_>, user_id: &str) -> Result<(), Fault> {
    tx.execute(&DELETE_OF, bind![user_id]).await?;
    Ok(())
}
