//! Handlers and their versions. A version never changes; the handler's row has the number of the current one.

use super::row::{Record, Row};
use super::statement::{bind, statements};
use super::{AdminTransaction, Transaction};
use crate::contract::{Contract, HandlerKind};
use crate::moment::Moment;
use crate::refusal::Fault;

statements! {
    DELETE = "DELETE FROM handler WHERE id = $1";
    DELETE_VERSIONS = "DELETE FROM handler_version WHERE handler_id = $1";
    FIND = "SELECT id, name, contract, kind, version, secret_sealed, created_at, updated_at
        FROM handler WHERE name = $1";
    FIND_VERSION = "SELECT handler_id, version, body, created_at FROM handler_version
        WHERE handler_id = $1 AND version = $2";
    INSERT = "INSERT INTO handler (id, name, contract, kind, version, secret_sealed, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
    INSERT_VERSION = "INSERT INTO handler_version (handler_id, version, body, created_at)
        VALUES ($1, $2, $3, $4)";
    LIST = "SELECT id, name, contract, kind, version, secret_sealed, created_at, updated_at
        FROM handler ORDER BY name";
    LIST_CURRENT = "SELECT v.handler_id, v.version, v.body, v.created_at
        FROM handler_version v JOIN handler h ON h.id = v.handler_id AND h.version = v.version";
    LIST_VERSIONS = "SELECT handler_id, version, body, created_at FROM handler_version
        WHERE handler_id = $1 ORDER BY version";
    SET_CURRENT = "UPDATE handler SET version = $2, updated_at = $3 WHERE id = $1";
    SET_SECRET = "UPDATE handler SET secret_sealed = $2, updated_at = $3 WHERE id = $1";
}

/// A handler.
#[derive(Clone, Debug, PartialEq)]
pub struct Handler {
    /// Record id.
    pub id: String,
    /// Unique name.
    pub name: String,
    /// What it is asked to do.
    pub contract: Contract,
    /// Where it runs.
    pub kind: HandlerKind,
    /// The version that is called.
    pub version: i64,
    /// The sealed secret of a webhook.
    pub secret_sealed: Option<Vec<u8>>,
    /// When it was created.
    pub created_at: Moment,
    /// When its current version or its secret last changed.
    pub updated_at: Moment,
}

/// One version of a handler.
#[derive(Clone, Debug, PartialEq)]
pub struct HandlerVersion {
    /// Record id of the handler.
    pub handler_id: String,
    /// 1, 2, 3 …
    pub version: i64,
    /// Its content, as JSON.
    pub body: String,
    /// When it was created.
    pub created_at: Moment,
}

/// Inserts a new handler with its first version; false when the name is taken.
pub async fn insert(
    tx: &mut AdminTransaction<'_, '_>,
    handler: &Handler,
    version: &HandlerVersion,
) -> Result<bool, Fault> {
    let values = bind![
        &handler.id,
        &handler.name,
        handler.contract.as_str(),
        handler.kind.as_str(),
        handler.version,
        handler.secret_sealed.as_deref(),
        handler.created_at,
        handler.updated_at
    ];
    if tx.execute(&INSERT, values).await? == 0 {
        return Ok(false);
    }
    insert_version(tx, version).await?;
    Ok(true)
}

/// Inserts a version, without making it the current one.
pub async fn insert_version(
    tx: &mut AdminTransaction<'_, '_>,
    version: &HandlerVersion,
) -> Result<(), Fault> {
    let values = bind![
        &version.handler_id,
        version.version,
        &version.body,
        version.created_at
    ];
    tx.execute(&INSERT_VERSION, values).await?;
    Ok(())
}

/// Makes an existing version the current one.
pub async fn set_current(
    tx: &mut AdminTransaction<'_, '_>,
    id: &str,
    version: i64,
    at: Moment,
) -> Result<(), Fault> {
    tx.execute(&SET_CURRENT, bind![id, version, at]).await?;
    Ok(())
}

/// Replaces the sealed secret of a webhook.
pub async fn set_secret(
    tx: &mut AdminTransaction<'_, '_>,
    id: &str,
    secret_sealed: &[u8],
    at: Moment,
) -> Result<(), Fault> {
    tx.execute(&SET_SECRET, bind![id, secret_sealed, at])
        .await?;
    Ok(())
}

/// Deletes a handler with all its versions; false when it does not exist. Its calls are kept until they are swept.
pub async fn delete(tx: &mut AdminTransaction<'_, '_>, id: &str) -> Result<bool, Fault> {
    tx.execute(&DELETE_VERSIONS, bind![id]).await?;
    Ok(tx.execute(&DELETE, bind![id]).await? == 1)
}

/// The handler with a name.
pub async fn find(tx: &mut Transaction<'_>, name: &str) -> Result<Option<Handler>, Fault> {
    tx.find(&FIND, bind![name]).await
}

/// One version of a handler.
pub async fn find_version(
    tx: &mut Transaction<'_>,
    id: &str,
    version: i64,
) -> Result<Option<HandlerVersion>, Fault> {
    tx.find(&FIND_VERSION, bind![id, version]).await
}

/// All handlers, by name.
pub async fn list(tx: &mut Transaction<'_>) -> Result<Vec<Handler>, Fault> {
    tx.list(&LIST, &[]).await
}

/// The current version of every handler.
pub async fn list_current(tx: &mut Transaction<'_>) -> Result<Vec<HandlerVersion>, Fault> {
    tx.list(&LIST_CURRENT, &[]).await
}

/// All versions of a handler, oldest first.
pub async fn list_versions(
    tx: &mut Transaction<'_>,
    id: &str,
) -> Result<Vec<HandlerVersion>, Fault> {
    tx.list(&LIST_VERSIONS, bind![id]).await
}

impl Record for Handler {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        Ok(Handler {
            id: row.next()?,
            name: row.next()?,
            contract: row.next_word("contract")?,
            kind: row.next_word("kind")?,
            version: row.next()?,
            secret_sealed: row.next()?,
            created_at: row.next()?,
            updated_at: row.next()?,
        })
    }
}

impl Record for HandlerVersion {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        Ok(HandlerVersion {
            handler_id: row.next()?,
            version: row.next()?,
            body: row.next()?,
            created_at: row.next()?,
        })
    }
}
