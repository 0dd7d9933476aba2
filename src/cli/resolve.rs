//! Names to record ids: an administrator names a profile or a user, and the database keeps the id, so
//! that a rename breaks nothing.

use serde_json::{Map, Value};

use super::place::Installation;
use crate::changes::Invalid;
use crate::identity::username::Username;
use crate::identity::{Profile, User};
use crate::refusal::Fault;
use crate::settings::Template;
use crate::store::{self, handler::Handler};

/// Why a name has no record id.
pub enum Unresolved {
    /// There is no such record; the setting that names it is told.
    Invalid(Invalid),
    /// It could not be looked up.
    Broken(Fault),
}

impl From<Fault> for Unresolved {
    fn from(fault: Fault) -> Self {
        Unresolved::Broken(fault)
    }
}

/// All profiles.
pub async fn profiles(installation: &Installation) -> Result<Vec<Profile>, Fault> {
    installation
        .store
        .read("profile.list", &(), |tx, ()| {
            Box::pin(store::profile::list(tx))
        })
        .await
}

/// All templates of administrators.
pub async fn templates(installation: &Installation) -> Result<Vec<Template>, Fault> {
    installation
        .store
        .read("template.list", &(), |tx, ()| {
            Box::pin(store::template::list(tx))
        })
        .await
}

/// All handlers.
pub async fn handlers(installation: &Installation) -> Result<Vec<Handler>, Fault> {
    installation
        .store
        .read("handler.list", &(), |tx, ()| {
            Box::pin(store::handler::list(tx))
        })
        .await
}

/// Replaces a profile's name by its id in a setting that names one profile or several.
pub async fn profile_setting(
    installation: &Installation,
    changes: &mut Map<String, Value>,
    key: &str,
) -> Result<(), Unresolved> {
    let Some(value) = changes.get_mut(key) else {
        return Ok(());
    };
    let profiles = profiles(installation).await?;
    let resolve = |name: &str| {
        profiles
            .iter()
            .find(|profile| profile.id == name || profile.name == name)
            .map(|profile| Value::from(profile.id.clone()))
            .ok_or_else(|| {
                let known: Vec<&str> = profiles.iter().map(|p| p.name.as_str()).collect();
                let reason = format!(
                    "there is no profile {name:?}; there are {}",
                    known.join(", ")
                );
                Unresolved::Invalid(Invalid::new(key, reason))
            })
    };
    let many = |names: &[Value]| {
        names
            .iter()
            .map(|name| resolve(name.as_str().unwrap_or_default()))
            .collect::<Result<_, _>>()
    };
    *value = match value.take() {
        Value::String(name) => resolve(&name)?,
        Value::Array(names) => Value::Array(many(&names)?),
        other => other,
    };
    Ok(())
}

/// Replaces a username by the user's id in a setting that names a user.
pub async fn user_setting(
    installation: &Installation,
    changes: &mut Map<String, Value>,
    key: &str,
) -> Result<(), Unresolved> {
    let Some(Value::String(name)) = changes.get(key) else {
        return Ok(());
    };
    let user = find_user(installation, name).await?.ok_or_else(|| {
        Unresolved::Invalid(Invalid::new(key, format!("there is no user {name:?}")))
    })?;
    changes.insert(key.to_owned(), Value::from(user.id));
    Ok(())
}

/// The user with a username or a record id.
pub async fn find_user(installation: &Installation, name: &str) -> Result<Option<User>, Fault> {
    let key = Username::parse(name).map(|username| username.key().to_owned());
    match key {
        Ok(key) => {
            installation
                .store
                .read("user.find", &key, |tx, key| {
                    Box::pin(store::user::find_by_username(tx, key))
                })
                .await
        }
        Err(_) => {
            installation
                .store
                .read("user.find", &name.to_owned(), |tx, id| {
                    Box::pin(store::user::find_by_id(tx, id))
                })
                .await
        }
    }
}
