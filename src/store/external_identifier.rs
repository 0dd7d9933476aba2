//! External identifiers: a kind and value belong to one user, enforced by a constraint and not by a look-up first.

use super::row::{Record, Row};
use super::statement::{bind, statements};
use super::user_row::user_columns;
use super::{AdminTransaction, Transaction};
use crate::identity::User;
use crate::identity::external_identifier::ExternalIdentifier;
use crate::refusal::Fault;

statements! {
    DELETE = "DELETE FROM external_identifier WHERE kind = $1 AND value_key = $2 AND user_id = $3";
    DELETE_OF = "DELETE FROM external_identifier WHERE user_id = $1";
    FIND = concat!("SELECT ", user_columns!("u"), " FROM external_identifier e
        JOIN app_user u ON u.id = e.user_id WHERE e.kind = $1 AND e.value_key = $2");
    INSERT = "INSERT INTO external_identifier (kind, value_key, value, user_id, created_at)
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    LIST = "SELECT kind, value, user_id, created_at FROM external_identifier
        WHERE user_id = $1 ORDER BY kind, value_key";
}

/// Inserts an identifier; false when its kind and value belong to a user already. `key` is the compared form of the
/// value.
pub async fn insert(
    tx: &mut AdminTransaction<'_, '_>,
    identifier: &ExternalIdentifier,
    key: &str,
) -> Result<bool, Fault> {
    let values = bind![
        &identifier.kind,
        key,
        &identifier.value,
        &identifier.user_id,
        identifier.created_at
    ];
    Ok(tx.execute(&INSERT, values).await? == 1)
}

/// The user of an identifier, by the compared form of its value.
pub async fn find(tx: &mut Transaction<'_>, kind: &str, key: &str) -> Result<Option<User>, Fault> {
    tx.find(&FIND, bind![kind, key]).await
}

/// A user's identifiers, by kind and value.
pub async fn list(
    tx: &mut Transaction<'_>,
    user_id: &str,
) -> Result<Vec<ExternalIdentifier>, Fault> {
    tx.list(&LIST, bind![user_id]).await
}

/// Deletes an identifier of a user; false when the user does not have it.
pub async fn delete(
    tx: &mut AdminTransaction<'_, '_>,
    kind: &str,
    key: &str,
    user_id: &str,
) -> Result<bool, Fault> {
    Ok(tx.execute(&DELETE, bind![kind, key, user_id]).await? == 1)
}

/// Deletes all identifiers of a user.
pub(super) async fn delete_of(tx: &mut Transaction<'_>, user_id: &str) -> Result<(), Fault> {
    tx.execute(&DELETE_OF, bind![user_id]).await?;
    Ok(())
}

impl Record for ExternalIdentifier {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        Ok(ExternalIdentifier {
            kind: row.next()?,
            value: row.next()?,
            user_id: row.next()?,
            created_at: row.next()?,
        })
    }
}
