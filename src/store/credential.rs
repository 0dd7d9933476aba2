//! Credentials: the current password, and the hashes of earlier ones.

use super::row::{Record, Row};
use super::statement::{bind, statements};
use super::{Transaction, login, outbox, user};
use crate::moment::Moment;
use crate::outgoing::OutgoingMessage;
use crate::refusal::Fault;

/// The maximum number of earlier passwords that any policy remembers.
const HISTORY_MAX: usize = 24;

statements! {
    FIND = "SELECT phc, history, set_at FROM credential WHERE user_id = $1";
    INSERT = "INSERT INTO credential (user_id, phc, history, set_at) VALUES ($1, $2, '[]', $3)";
    REPLACE_HASH = "UPDATE credential SET phc = $3 WHERE user_id = $1 AND phc = $2";
    UPDATE = "UPDATE credential SET phc = $2, history = $3, set_at = $4 WHERE user_id = $1";
}

/// A password as stored.
#[derive(Clone)]
pub struct Credential {
    /// PHC string.
    pub phc: String,
    /// PHC strings of earlier passwords, the newest first.
    pub history: Vec<String>,
    /// When it was set.
    pub set_at: Moment,
}

impl Credential {
    /// The current password and the earlier ones that a policy remembers.
    pub fn remembered(&self, count: u8) -> impl Iterator<Item = &String> {
        std::iter::once(&self.phc)
            .chain(&self.history)
            .take(usize::from(count))
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential")
            .field("set_at", &self.set_at)
            .finish_non_exhaustive()
    }
}

/// The password of a user.
pub async fn find(tx: &mut Transaction<'_>, user_id: &str) -> Result<Option<Credential>, Fault> {
    tx.find(&FIND, bind![user_id]).await
}

/// Inserts the first password of a user, as a PHC string.
pub async fn insert(
    tx: &mut Transaction<'_>,
    user_id: &str,
    phc: &str,
    at: Moment,
) -> Result<(), Fault> {
    tx.execute(&INSERT, bind![user_id, phc, at]).await?;
    Ok(())
}

/// Sets the password of a user, who may have had none; the previous one is added to the history.
async fn set(tx: &mut Transaction<'_>, user_id: &str, phc: &str, at: Moment) -> Result<(), Fault> {
    let Some(before) = find(tx, user_id).await? else {
        return insert(tx, user_id, phc, at).await;
    };
    let mut history = before.history;
    history.insert(0, before.phc);
    history.truncate(HISTORY_MAX);
    let history = serde_json::to_string(&history)
        .map_err(|error| Fault::new("writing a password history", error))?;
    tx.execute(&UPDATE, bind![user_id, phc, &history, at])
        .await?;
    Ok(())
}

/// Sets a new password as a reset and an administrator do: a lockout ends, the password before goes into the
/// history, all sessions end, and the owner's notice is queued if there is one.
///
/// The rows are changed in the order in which a login locks them.
pub async fn replace(
    tx: &mut Transaction<'_>,
    user_id: &str,
    phc: &str,
    notice: Option<&OutgoingMessage>,
    at: Moment,
) -> Result<(), Fault> {
    login::end_lockout(tx, user_id).await?;
    set(tx, user_id, phc, at).await?;
    user::end_sessions(tx, user_id, at).await?;
    if let Some(notice) = notice {
        outbox::insert(tx, notice).await?;
    }
    Ok(())
}

/// Replaces the hash of a password by a stronger hash of the same password, unless the password was changed in the
/// meantime.
pub async fn replace_hash(
    tx: &mut Transaction<'_>,
    user_id: &str,
    old: &str,
    new: &str,
) -> Result<(), Fault> {
    tx.execute(&REPLACE_HASH, bind![user_id, old, new]).await?;
    Ok(())
}

impl Record for Credential {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        Ok(Credential {
            phc: row.next()?,
            history: row.next_json()?,
            set_at: row.next()?,
        })
    }
}
