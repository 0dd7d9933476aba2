//! Names to record ids: an administrator names a profile or a user, and settings and policies keep the id, so
//! that a rename breaks nothing.

use serde_json::{Map, Value};

use super::AdminFailure;
use crate::changes::Invalid;
use crate::identity::username::Username;
use crate::identity::{Profile, User};
use crate::refusal::Fault;
use crate::store::{self, Transaction};

/// Replaces names of profiles by their ids in settings that name one profile or several.
///
/// # Refusals
/// There is no such profile.
pub(super) async fn resolve_profiles(
    tx: &mut Transaction<'_>,
    changes: &mut Map<String, Value>,
    keys: &[&str],
) -> Result<(), AdminFailure> {
    if !keys.iter().any(|key| changes.contains_key(*key)) {
        return Ok(());
    }
    let profiles = store::profile::list(tx).await?;
    for key in keys {
        let Some(value) = changes.get_mut(*key) else {
            continue;
        };
        *value = match value.take() {
            Value::String(name) => profile_id(&profiles, key, &name)?,
            Value::Array(names) => names
                .iter()
                .map(|name| profile_id(&profiles, key, name.as_str().unwrap_or_default()))
                .collect::<Result<_, _>>()
                .map(Value::Array)?,
            other => other,
        };
    }
    Ok(())
}

fn profile_id(profiles: &[Profile], key: &str, name: &str) -> Result<Value, Invalid> {
    let mut all = profiles.iter();
    let found = all.find(|profile| profile.id == name || profile.name == name);
    found
        .map(|profile| Value::from(profile.id.as_str()))
        .ok_or_else(|| {
            let known: Vec<&str> = profiles.iter().map(|p| p.name.as_str()).collect();
            let known = known.join(", ");
            Invalid::new(
                key,
                format!("there is no profile {name:?}; there are {known}"),
            )
        })
}

/// Replaces usernames by the users' ids in settings that name a user.
///
/// # Refusals
/// There is no such user.
pub(super) async fn resolve_users(
    tx: &mut Transaction<'_>,
    changes: &mut Map<String, Value>,
    keys: &[&str],
) -> Result<(), AdminFailure> {
    for key in keys {
        let Some(Value::String(name)) = changes.get_mut(*key) else {
            continue;
        };
        let user = find_user(tx, name).await?;
        let user = user.ok_or_else(|| Invalid::new(key, format!("there is no user {name:?}")))?;
        *name = user.id;
    }
    Ok(())
}

/// The user with a username or a record id.
pub(super) async fn find_user(tx: &mut Transaction<'_>, name: &str) -> Result<Option<User>, Fault> {
    match Username::parse(name) {
        Ok(username) => store::user::find_by_username(tx, username.key()).await,
        Err(_) => store::user::find_by_id(tx, name).await,
    }
}
