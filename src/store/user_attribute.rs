//! Users by the values of their attributes.
//!
//! Attributes are stored as one JSON text, which no index covers on both databases; so each value that can be
//! looked up has a row here, written with the user.

use serde_json::Value as Json;

use super::Transaction;
use super::statement::{bind, statements};
use super::user_row::user_columns;
use crate::identity::external_identifier::value_key;
use crate::identity::{Attributes, User};
use crate::refusal::Fault;

statements! {
    DELETE_OF = "DELETE FROM user_attribute WHERE user_id = $1";
    FIND = concat!("SELECT ", user_columns!("u"), " FROM user_attribute a
        JOIN app_user u ON u.id = a.user_id
        WHERE a.name = $1 AND a.value_key = $2 ORDER BY u.id LIMIT $3");
    INSERT = "INSERT INTO user_attribute (name, value_key, user_id) VALUES ($1, $2, $3)
        ON CONFLICT DO NOTHING";
}

/// The users with a value of an attribute, at most `limit`; `key` is its compared form.
pub async fn find(
    tx: &mut Transaction<'_>,
    name: &str,
    key: &str,
    limit: i64,
) -> Result<Vec<User>, Fault> {
    tx.list(&FIND, bind![name, key, limit]).await
}

/// Inserts the rows of a user's attributes; texts and numbers only.
pub(super) async fn insert_of(
    tx: &mut Transaction<'_>,
    user_id: &str,
    attributes: &Attributes,
) -> Result<(), Fault> {
    for (name, value) in attributes {
        let key = match value {
            Json::String(text) => value_key(text),
            Json::Number(number) => value_key(&number.to_string()),
            _ => None,
        };
        if let Some(key) = key {
            tx.execute(&INSERT, bind![name, &key, user_id]).await?;
        }
    }
    Ok(())
}

/// Deletes the rows of a user.
pub(super) async fn delete_of(tx: &mut Transaction<'_>, user_id: &str) -> Result<(), Fault> {
    tx.execute(&DELETE_OF, bind![user_id]).await?;
    Ok(())
}
