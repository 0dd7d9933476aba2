//! The installation: its organisation id, the mark of its master key, and the version of everything
//! that an administrator configures. Nodes poll the version; a change bumps it in the same write.

use super::Transaction;
use super::row::{Record, Row};
use super::statement::{bind, statements};
use crate::moment::Moment;
use crate::refusal::Fault;

statements! {
    BUMP = "UPDATE installation SET version = version + 1";
    FIND = "SELECT org_id, key_check, version FROM installation";
    INSERT = "INSERT INTO installation (singleton, org_id, key_check, version, created_at)
        VALUES (1, $1, $2, 1, $3) ON CONFLICT DO NOTHING";
}

/// The one row.
#[derive(Clone, Debug)]
pub struct Installation {
    /// Record id, `00D…`.
    pub org_id: String,
    /// [`crate::sealing::Keyring::check_value`] of the master key in use.
    pub key_check: Vec<u8>,
    /// Grows with every change of settings.
    pub version: i64,
}

/// The installation; `None` in a fresh database.
pub async fn find(tx: &mut Transaction<'_>) -> Result<Option<Installation>, Fault> {
    tx.find(&FIND, &[]).await
}

/// Marks the database as belonging to an organisation and a master key; false when it belongs to one
/// already, which the constraint decides when two processes start together.
pub async fn insert(
    tx: &mut Transaction<'_>,
    org_id: &str,
    key_check: &[u8],
    at: Moment,
) -> Result<bool, Fault> {
    Ok(tx.execute(&INSERT, bind![org_id, key_check, at]).await? == 1)
}

/// Tells every node that settings have changed.
pub async fn bump(tx: &mut Transaction<'_>) -> Result<(), Fault> {
    tx.execute(&BUMP, &[]).await?;
    Ok(())
}

impl Record for Installation {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        Ok(Installation {
            org_id: row.next()?,
            key_check: row.next()?,
            version: row.next()?,
        })
    }
}
