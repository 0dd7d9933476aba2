//! Erasure: what is left of a deleted user in the rows that do not belong to a user.
//!
//! Challenges, messages, counts and recorded calls are swept within days; for a deleted user they go at once. The audit
//! log stays, under the record id of the user, without name and address. What another user has, too, such as a shared
//! address, is that user's data and stays.

use serde_json::{Value, json};

use super::row::{Record, Row};
use super::statement::{bind, statements};
use super::{AdminTransaction, Transaction};
use crate::identity::email::EmailAddress;
use crate::identity::{Account, User};
use crate::refusal::Fault;

statements! {
    CALLS = "DELETE FROM handler_call WHERE request_id IN (SELECT request_id FROM audit_event WHERE user_id = $1)";
    CHALLENGES = "DELETE FROM challenge WHERE target_key = $1";
    EVENTS = "SELECT id, detail FROM audit_event WHERE user_id = $1 AND detail LIKE '%\"object\"%'";
    HAS_EMAIL = "SELECT created_at FROM app_user WHERE email_key = $1 LIMIT 1";
    HAS_PHONE = "SELECT created_at FROM app_user WHERE phone = $1 LIMIT 1";
    MESSAGES = "DELETE FROM outbox WHERE recipient = $1 OR LOWER(recipient) = $1";
    OWN_ACCOUNT = "DELETE FROM account WHERE id = $1 AND name_key = $2
        AND NOT EXISTS (SELECT 1 FROM app_user WHERE account_id = $1)";
    SET_DETAIL = "UPDATE audit_event SET detail = $2 WHERE id = $1";
    TURN = "DELETE FROM turn WHERE name = $1";
}

/// Removes name, addresses and password hashes of a user whose row was deleted in this write.
pub async fn erase(tx: &mut AdminTransaction<'_, '_>, user: &User) -> Result<(), Fault> {
    let mut keys = vec![user.id.clone()];
    if !exists(tx, &HAS_EMAIL, &user.email_key).await? {
        let budget_key = EmailAddress::parse(&user.email).map(|email| email.budget_key());
        keys.extend(budget_key.ok().filter(|key| *key != user.email_key));
        keys.extend([user.email_key.clone(), user.email.clone()]);
    }
    if let Some(phone) = &user.phone
        && !exists(tx, &HAS_PHONE, phone).await?
    {
        keys.push(phone.clone());
    }
    for key in &keys {
        tx.execute(&CHALLENGES, bind![key]).await?;
        tx.execute(&MESSAGES, bind![key]).await?;
        super::tally::forget_failures(tx, key).await?;
        for name in [format!("budget {key}"), format!("guesses {key}")] {
            tx.execute(&TURN, bind![&name]).await?;
        }
    }
    tx.execute(&CALLS, bind![&user.id]).await?;
    // An account that was made for this user has their name, and no other user.
    if let Some(account_id) = &user.account_id {
        let name_key = Account::name_key(&user.display_name());
        tx.execute(&OWN_ACCOUNT, bind![account_id, &name_key])
            .await?;
    }
    let events: Vec<Event> = tx.list(&EVENTS, bind![&user.id]).await?;
    for event in events {
        let detail = pseudonymous(event.detail, &user.id).to_string();
        tx.execute(&SET_DETAIL, bind![&event.id, &detail]).await?;
    }
    Ok(())
}

async fn exists(
    tx: &mut Transaction<'_>,
    statement: &'static super::statement::Statement,
    value: &str,
) -> Result<bool, Fault> {
    let found: Option<i64> = tx.find(statement, bind![value]).await?;
    Ok(found.is_some())
}

/// The detail of an event of an administrator, with the record id for the name and without the values of fields.
fn pseudonymous(mut detail: Value, user_id: &str) -> Value {
    if let Some(name) = detail.pointer_mut("/object/name") {
        *name = json!(user_id);
    }
    let changes = detail.get_mut("changes").and_then(Value::as_array_mut);
    for change in changes.into_iter().flatten() {
        for side in ["before", "after"] {
            if let Some(value) = change.get_mut(side).filter(|value| !value.is_null()) {
                *value = json!("erased");
            }
        }
    }
    detail
}

/// An event of an administrator about a user.
struct Event {
    id: String,
    detail: Value,
}

impl Record for Event {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        Ok(Event {
            id: row.next()?,
            detail: row.next_json()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_keeps_its_actor_and_fields_and_loses_name_and_values() {
        let detail = json!({
            "actor": {"kind": "command_line", "name": "kim"},
            "object": {"kind": "user", "id": "005a", "name": "ann@example.com"},
            "changes": [{"field": "email", "before": null, "after": "ann@example.com"}],
        });
        let expected = json!({
            "actor": {"kind": "command_line", "name": "kim"},
            "object": {"kind": "user", "id": "005a", "name": "005a"},
            "changes": [{"field": "email", "before": null, "after": "erased"}],
        });
        assert_eq!(pseudonymous(detail, "005a"), expected);
        assert_eq!(
            pseudonymous(json!({"by": "otp"}), "005a"),
            json!({"by": "otp"})
        );
    }
}
