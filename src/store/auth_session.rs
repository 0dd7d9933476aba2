//! Unfinished logins at the authorization challenge endpoint. Each is stored under the hash of its `auth_session`
//! and is deleted when that is presented, so a session is used once, and of several concurrent requests with it
//! only one continues.

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

/// The owner of a session.
#[derive(Clone, Debug)]
pub struct SessionOwner {
    /// The site at which it was created.
    pub site_id: String,
    /// The client that created it.
    pub client_id: String,
    /// The key with which the client authenticated.
    pub client_key: String,
}

/// The stored login.
#[derive(Clone)]
pub struct StoredSession {
    /// The state of the flow, as JSON.
    pub state: String,
    /// Remaining attempts.
    pub tries_left: i64,
    /// When it expires.
    pub expires_at: Moment,
}

/// Inserts a session.
pub async fn insert(
    tx: &mut Transaction<'_>,
    session_hash: &[u8; 32],
    owner: &SessionOwner,
    waiting: &StoredSession,
) -> Result<(), Fault> {
    let values = bind![
        session_hash,
        &owner.site_id,
        &owner.client_id,
        &owner.client_key,
        &waiting.state,
        waiting.tries_left,
        waiting.expires_at,
    ];
    tx.execute(&INSERT, values).await?;
    Ok(())
}

/// Deletes and returns a session; `None` when this owner has no such session, or it has expired. A request by
/// another owner leaves it in place (threat ATT-09).
pub async fn take(
    tx: &mut Transaction<'_>,
    session_hash: &[u8; 32],
    owner: &SessionOwner,
    at: Moment,
) -> Result<Option<StoredSession>, Fault> {
    let values = bind![
        session_hash,
        &owner.site_id,
        &owner.client_id,
        &owner.client_key,
        at,
    ];
    tx.find(&TAKE, values).await
}

impl Record for StoredSession {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        Ok(StoredSession {
            state: row.next()?,
            tries_left: row.next()?,
            expires_at: row.next()?,
        })
    }
}
