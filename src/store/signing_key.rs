//! Signing keys, sealed under the master key. Each algorithm has at most one current and one next key, which an
//! index enforces for concurrent writes.

use super::row::{Record, Row};
use super::statement::{bind, statements};
use super::{AdminTransaction, Transaction};
use crate::algorithm::Algorithm;
use crate::moment::Moment;
use crate::refusal::Fault;
use crate::sealing::{Keyring, SealedKind};
use crate::token::{KeyRecord, SigningKey};

statements! {
    ACTIVATE = "UPDATE signing_key SET state = 'current', activated_at = $2
        WHERE id = $1 AND state = 'next'";
    DELETE = "DELETE FROM signing_key WHERE id = $1";
    INSERT = "INSERT INTO signing_key (id, algorithm, sealed, state, created_at, activated_at, retired_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
    LIST = "SELECT id, algorithm, state, created_at, activated_at, retired_at, sealed
        FROM signing_key ORDER BY created_at, id";
    LIST_RECORDS = "SELECT id, algorithm, state, created_at, activated_at, retired_at
        FROM signing_key ORDER BY created_at, id";
    RETIRE = "UPDATE signing_key SET state = 'retired', retired_at = $2
        WHERE algorithm = $1 AND state = 'current'";
}

/// A signing key as stored.
#[derive(Clone, Debug)]
pub struct SealedKey {
    /// Its metadata.
    pub record: KeyRecord,
    /// PKCS #8, sealed for the `kid`.
    pub sealed: Vec<u8>,
}

impl SealedKey {
    /// The key pair.
    ///
    /// # Faults
    /// It was sealed under another master key.
    pub fn open(&self, keyring: &Keyring) -> Result<SigningKey, Fault> {
        let der = keyring.open(SealedKind::SigningKey, &self.record.id, &self.sealed)?;
        SigningKey::from_pkcs8(self.record.clone(), &der)
    }
}

/// Inserts a key; false when its algorithm already has one in that state.
pub async fn insert(tx: &mut AdminTransaction<'_, '_>, key: &SealedKey) -> Result<bool, Fault> {
    let record = &key.record;
    let values = bind![
        &record.id,
        record.algorithm.as_str(),
        &key.sealed,
        record.state.as_str(),
        record.created_at,
        record.activated_at,
        record.retired_at,
    ];
    Ok(tx.execute(&INSERT, values).await? == 1)
}

/// Retires the current key of an algorithm, if there is one, and makes the next one current; false, without a
/// visible change, when that key is not the next one.
///
/// # Faults
/// The database is unreachable.
pub async fn activate(
    tx: &mut AdminTransaction<'_, '_>,
    algorithm: Algorithm,
    id: &str,
    at: Moment,
) -> Result<bool, Fault> {
    tx.execute(&RETIRE, bind![algorithm.as_str(), at]).await?;
    Ok(tx.execute(&ACTIVATE, bind![id, at]).await? == 1)
}

/// Deletes a key permanently; false when it does not exist.
pub async fn delete(tx: &mut AdminTransaction<'_, '_>, id: &str) -> Result<bool, Fault> {
    Ok(tx.execute(&DELETE, bind![id]).await? == 1)
}

/// All keys, oldest first.
pub async fn list(tx: &mut Transaction<'_>) -> Result<Vec<SealedKey>, Fault> {
    tx.list(&LIST, &[]).await
}

/// The metadata of all keys, oldest first, without the keys.
pub async fn records(tx: &mut Transaction<'_>) -> Result<Vec<KeyRecord>, Fault> {
    tx.list(&LIST_RECORDS, &[]).await
}

impl Record for KeyRecord {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        Ok(KeyRecord {
            id: row.next()?,
            algorithm: row.next_word("algorithm")?,
            state: row.next_word("state")?,
            created_at: row.next()?,
            activated_at: row.next()?,
            retired_at: row.next()?,
        })
    }
}

impl Record for SealedKey {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        Ok(SealedKey {
            record: KeyRecord::read(row)?,
            sealed: row.next()?,
        })
    }
}
