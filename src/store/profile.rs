//! Profiles, with their password policies.

use super::row::{Record, Row};
use super::statement::{bind, statements};
use super::{AdminTransaction, Readable, Transaction};
use crate::identity::Profile;
use crate::identity::password::PasswordPolicy;
use crate::refusal::Fault;

statements! {
    INSERT = "INSERT INTO profile (id, name, user_type, password_policy, created_at)
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    UPDATE_POLICY = "UPDATE profile SET password_policy = $2 WHERE id = $1";
    LIST = "SELECT id, name, user_type, password_policy, created_at FROM profile ORDER BY created_at, id";
}

/// Inserts a new profile; false when the name is taken.
pub async fn insert(tx: &mut AdminTransaction<'_, '_>, profile: &Profile) -> Result<bool, Fault> {
    let policy = serde_json::to_string(&profile.password_policy)
        .map_err(|error| Fault::new("writing a password policy", error))?;
    let values = bind![
        &profile.id,
        &profile.name,
        profile.user_type.as_str(),
        &policy,
        profile.created_at
    ];
    Ok(tx.execute(&INSERT, values).await? == 1)
}

/// Replaces the password policy of a profile.
pub async fn update_policy(
    tx: &mut AdminTransaction<'_, '_>,
    id: &str,
    policy: &PasswordPolicy,
) -> Result<bool, Fault> {
    let policy = serde_json::to_string(policy)
        .map_err(|error| Fault::new("writing a password policy", error))?;
    Ok(tx.execute(&UPDATE_POLICY, bind![id, &policy]).await? == 1)
}

/// All profiles, oldest first.
pub async fn list(tx: &mut Transaction<'_>) -> Result<Vec<Profile>, Fault> {
    tx.list(&LIST, &[]).await
}

/// The profiles that can be read, oldest first. Another one is out of service, and the rest is served.
pub async fn list_readable(tx: &mut Transaction<'_>) -> Result<Readable<Profile>, Fault> {
    tx.list_readable(&LIST, &[]).await
}

impl Record for Profile {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        let id = row.next()?;
        let name: String = row.next()?;
        Ok(Profile {
            id,
            user_type: row.next_word("user_type")?,
            password_policy: row.next_settings(&format!("profile {name}"))?,
            created_at: row.next()?,
            name,
        })
    }
}
