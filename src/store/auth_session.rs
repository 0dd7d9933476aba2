//! Logins at the authorization challenge endpoint that are not over yet: each waits under the hash of
//! its `auth_session`, and whoever presents that takes it out. So a session is used once, and of many
//! that come with it at once one goes on.

use super::Transaction;
use super::row::{Record, Row};
use super::statement::{bind, statements};
use crate::moment::Moment;
use crate::refusal::Fault;

statements! {
    INSERT = "INSERT INTO auth_session (session_hash, site_id, client_id, client_key, state, tries_left,
            expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    TAKE = "DELETE FROM auth_session
        WHERE session_hash = $1 AND site_id = $2 AND client_id = $3 AND client_key = $4
            AND expires_at > $5
        RETURNING state, tries_left, expires_at";
}

/// Whose a session is.
#[derive(Clone, Debug)]
pub struct Holder {
    /// The site that it began at.
    pub site_id: String,
    /// The client that began it.
    pub client_id: String,
    /// The key that the client proved itself with.
    pub client_key: String,
}

/// What waits.
#[derive(Clone)]
pub struct Waiting {
    /// What the flow needs to go on, as JSON.
    pub state: String,
    /// Wrong answers that are left.
    pub tries_left: i64,
    /// When it ends.
    pub expires_at: Moment,
}

/// Saves a session.
pub async fn insert(
    tx: &mut Transaction<'_>,
    session_hash: &[u8; 32],
    holder: &Holder,
    waiting: &Waiting,
) -> Result<(), Fault> {
    let values = bind![
        session_hash,
        &holder.site_id,
        &holder.client_id,
        &holder.client_key,
        &waiting.state,
        waiting.tries_left,
        waiting.expires_at,
    ];
    tx.execute(&INSERT, values).await?;
    Ok(())
}

/// Takes a session out; nothing when there is none of this holder, or it is over. Another's
/// presentation leaves it where it is (threat ATT-09).
pub async fn take(
    tx: &mut Transaction<'_>,
    session_hash: &[u8; 32],
    holder: &Holder,
    at: Moment,
) -> Result<Option<Waiting>, Fault> {
    let values = bind![
        session_hash,
        &holder.site_id,
        &holder.client_id,
        &holder.client_key,
        at,
    ];
    tx.find(&TAKE, values).await
}

impl Record for Waiting {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        Ok(Waiting {
            state: row.next()?,
            tries_left: row.next()?,
            expires_at: row.next()?,
        })
    }
}
