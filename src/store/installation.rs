//! The installation: its organisation id, a check value of its master key, and the version of the configuration.
//! Nodes poll the version; a change increments it in the same write.

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

/// The single row.
#[derive(Clone, Debug)]
pub struct InstallationRow {
    /// Record id, `00D…`.
    pub org_id: String,
    /// [`crate::sealing::Keyring::check_value`] of the master key in use.
    pub key_check: Vec<u8>,
    /// Incremented with every change of settings.
    pub version: i64,
}

/// The installation; `None` in a new database.
pub async fn find(tx: &mut Transaction<'_>) -> Result<Option<InstallationRow>, Fault> {
    tx.find(&FIND, &[]).await
}

/// Records the organisation and the master key of the database; false when it has them already, which the
/// constraint decides when two processes start at the same time.
pub async fn insert(
    tx: &mut Transaction<'_>,
    org_id: &str,
    key_check: &[u8],
    at: Moment,
) -> Result<bool, Fault> {
    Ok(tx.execute(&INSERT, bind![org_id, key_check, at]).await? == 1)
}

/// Increments the version, so that every node reloads the settings.
pub async fn bump(tx: &mut Transaction<'_>) -> Result<(), Fault> {
    tx.execute(&BUMP, &[]).await?;
    Ok(())
}

impl Record for InstallationRow {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        Ok(InstallationRow {
            org_id: row.next()?,
            key_check: row.next()?,
            version: row.next()?,
        })
    }
}
