//! Accounts: found by name, created by a registration.

use super::Transaction;
use super::row::{Record, Row};
use super::statement::{bind, statements};
use crate::identity::Account;
use crate::refusal::Fault;

statements! {
    FIND_BY_ID = "SELECT id, name, created_at FROM account WHERE id = $1";
    FIND_BY_NAME = "SELECT id, name, created_at FROM account WHERE name_key = $1 ORDER BY id";
    LIST_BY_NAME = "SELECT id, name, created_at FROM account WHERE name_key = $1 ORDER BY id LIMIT $2";
    INSERT = "INSERT INTO account (id, name, name_key, created_at) VALUES ($1, $2, $3, $4)";
}

/// The account with a name; the one with the lowest id when there are several.
pub async fn find_by_name(tx: &mut Transaction<'_>, name: &str) -> Result<Option<Account>, Fault> {
    let key = Account::name_key(name);
    tx.find(&FIND_BY_NAME, bind![&key]).await
}

/// The account with a record id.
pub async fn find_by_id(tx: &mut Transaction<'_>, id: &str) -> Result<Option<Account>, Fault> {
    tx.find(&FIND_BY_ID, bind![id]).await
}

/// At most `limit` accounts with a name, given in its compared form.
pub async fn list_by_name(
    tx: &mut Transaction<'_>,
    name_key: &str,
    limit: i64,
) -> Result<Vec<Account>, Fault> {
    tx.list(&LIST_BY_NAME, bind![name_key, limit]).await
}

/// Inserts a new account.
pub async fn insert(tx: &mut Transaction<'_>, account: &Account) -> Result<(), Fault> {
    let key = Account::name_key(&account.name);
    tx.execute(
        &INSERT,
        bind![&account.id, &account.name, &key, account.created_at],
    )
    .await?;
    Ok(())
}

impl Record for Account {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        Ok(Account {
            id: row.next()?,
            name: row.next()?,
            created_at: row.next()?,
        })
    }
}
