//! Signing keys, sealed under the master key.

use super::Transaction;
use super::challenge::unknown;
use super::row::{Record, Row};
use super::statement::{bind, statements};
use crate::algorithm::Algorithm;
use crate::moment::Moment;
use crate::refusal::Fault;
use crate::sealing::{Keyring, Purpose};
use crate::token::{KeyState, SigningKey};

statements! {
    INSERT = "INSERT INTO signing_key (id, algorithm, sealed, state, created_at)
        VALUES ($1, $2, $3, $4, $5)";
    LIST = "SELECT id, algorithm, sealed, state, created_at FROM signing_key ORDER BY created_at, id";
}

/// A signing key as it rests.
#[derive(Clone, Debug)]
pub struct SealedKey {
    /// `kid`.
    pub id: String,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// PKCS #8, sealed for the `kid`.
    pub sealed: Vec<u8>,
    /// Where it is in its life.
    pub state: KeyState,
    /// When it was made.
    pub created_at: Moment,
}

impl SealedKey {
    /// The key pair.
    ///
    /// # Faults
    /// It was sealed under another master key.
    pub fn open(&self, keyring: &Keyring) -> Result<SigningKey, Fault> {
        let der = keyring.open(Purpose::SigningKey, &self.id, &self.sealed)?;
        SigningKey::from_pkcs8(self.algorithm, self.state, self.created_at, &der)
    }
}

/// Saves a key.
pub async fn insert(tx: &mut Transaction<'_>, key: &SealedKey) -> Result<(), Fault> {
    let values = bind![
        &key.id,
        key.algorithm.as_str(),
        &key.sealed,
        key.state.as_str(),
        key.created_at
    ];
    tx.execute(&INSERT, values).await?;
    Ok(())
}

/// All keys, oldest first.
pub async fn list(tx: &mut Transaction<'_>) -> Result<Vec<SealedKey>, Fault> {
    tx.list(&LIST, &[]).await
}

impl Record for SealedKey {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        let (id, algorithm, sealed, state): (_, String, _, String) =
            (row.next()?, row.next()?, row.next()?, row.next()?);
        Ok(SealedKey {
            id,
            algorithm: Algorithm::parse(&algorithm)
                .ok_or_else(|| unknown("algorithm", &algorithm))?,
            sealed,
            state: KeyState::parse(&state).ok_or_else(|| unknown("state", &state))?,
            created_at: row.next()?,
        })
    }
}
