//! Clients, with their secrets sealed.

use vestibule_protocol::secret::Secret;

use super::challenge::hash;
use super::row::{Record, Row};
use super::statement::{bind, statements};
use super::{AdminTransaction, Readable, Transaction};
use crate::client::{Client, Policies};
use crate::moment::Moment;
use crate::refusal::Fault;
use crate::sealing::{Keyring, SealedKind};

statements! {
    INSERT = "INSERT INTO client (id, name, secret_hash, secret_sealed, policies, disabled_at,
            created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $7) ON CONFLICT DO NOTHING";
    LIST = "SELECT id, name, secret_hash, secret_sealed, policies, disabled_at, created_at
        FROM client ORDER BY created_at, id";
    UPDATE_POLICIES = "UPDATE client SET policies = $2, updated_at = $3 WHERE id = $1";
    UPDATE_SECRET = "UPDATE client SET secret_hash = $2, secret_sealed = $3, updated_at = $4 WHERE id = $1";
}

/// A client as stored: its secret is sealed.
#[derive(Clone, Debug)]
pub struct SealedClient {
    /// Consumer key.
    pub id: String,
    /// Unique name.
    pub name: String,
    /// SHA-256 of the secret.
    pub secret_hash: [u8; 32],
    /// The secret, sealed for the consumer key.
    pub secret_sealed: Vec<u8>,
    /// Its policies.
    pub policies: Policies,
    /// When it was disabled.
    pub disabled_at: Option<Moment>,
    /// When it was created.
    pub created_at: Moment,
}

impl SealedClient {
    /// The client with its secret in clear text.
    ///
    /// # Faults
    /// The secret was sealed under another master key.
    pub fn open(self, keyring: &Keyring) -> Result<Client, Fault> {
        let secret = keyring.open(SealedKind::ClientSecret, &self.id, &self.secret_sealed)?;
        let secret = String::from_utf8(secret.to_vec())
            .map_err(|error| Fault::new("reading a consumer secret", error.utf8_error()))?;
        Ok(Client {
            id: self.id,
            name: self.name,
            secret_hash: self.secret_hash,
            secret: Secret::from(secret),
            policies: self.policies,
            disabled_at: self.disabled_at,
            created_at: self.created_at,
        })
    }
}

/// Inserts a new client; false when the id or the name is taken.
pub async fn insert(
    tx: &mut AdminTransaction<'_, '_>,
    client: &SealedClient,
) -> Result<bool, Fault> {
    let policies = policies_text(&client.policies)?;
    let values = bind![
        &client.id,
        &client.name,
        &client.secret_hash,
        &client.secret_sealed,
        &policies,
        client.disabled_at,
        client.created_at,
    ];
    Ok(tx.execute(&INSERT, values).await? == 1)
}

/// All clients, oldest first.
pub async fn list(tx: &mut Transaction<'_>) -> Result<Vec<SealedClient>, Fault> {
    tx.list(&LIST, &[]).await
}

/// The clients that can be read, oldest first. Another one is out of service, and the rest is served.
pub async fn list_readable(tx: &mut Transaction<'_>) -> Result<Readable<SealedClient>, Fault> {
    tx.list_readable(&LIST, &[]).await
}

/// Replaces the policies of a client.
pub async fn update_policies(
    tx: &mut AdminTransaction<'_, '_>,
    id: &str,
    policies: &Policies,
    at: Moment,
) -> Result<bool, Fault> {
    let policies = policies_text(policies)?;
    Ok(tx
        .execute(&UPDATE_POLICIES, bind![id, &policies, at])
        .await?
        == 1)
}

/// Replaces the secret of a client; the old one ends at once.
pub async fn update_secret(
    tx: &mut AdminTransaction<'_, '_>,
    id: &str,
    secret_hash: &[u8; 32],
    secret_sealed: &[u8],
    at: Moment,
) -> Result<bool, Fault> {
    Ok(tx
        .execute(&UPDATE_SECRET, bind![id, secret_hash, secret_sealed, at])
        .await?
        == 1)
}

fn policies_text(policies: &Policies) -> Result<String, Fault> {
    serde_json::to_string(policies).map_err(|error| Fault::new("writing policies", error))
}

impl Record for SealedClient {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        let id = row.next()?;
        let name: String = row.next()?;
        Ok(SealedClient {
            id,
            secret_hash: hash(row.next()?)?,
            secret_sealed: row.next()?,
            policies: row.next_settings(&format!("client {name}"))?,
            disabled_at: row.next()?,
            created_at: row.next()?,
            name,
        })
    }
}
