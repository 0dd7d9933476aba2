//! `vestibule user lock|unlock|disable|enable|delete|set-password`: what an administrator changes about
//! a user who is there.
//!
//! Each is one write with its audit event, and a running server asks for users in every request, so
//! it holds at once. To do what is done already is no failure; nothing is noted then.

use std::path::Path;

use serde_json::json;

use super::{describe, event, hash_password, named, standing};
use crate::cli::place::{Exit, Installation, Place};
use crate::cli::resolve;
use crate::delivery;
use crate::identity::User;
use crate::moment::Moment;
use crate::outgoing::QueuedMessage;
use crate::refusal::Fault;
use crate::settings::Site;
use crate::store::audit::AuditEvent;
use crate::store::{self, Transaction};

/// What is done to a user's standing.
#[derive(Clone, Copy)]
pub(super) enum Change {
    /// Closes every door.
    Lock,
    /// Opens them, those too that wrong passwords and wrong codes have closed.
    Unlock,
    /// Puts the user out of use.
    Disable,
    /// Puts the user into use.
    Enable,
}

impl Change {
    /// Its audit event.
    fn event(self) -> &'static str {
        match self {
            Change::Lock => "user.locked",
            Change::Unlock => "user.unlocked",
            Change::Disable => "user.disabled",
            Change::Enable => "user.enabled",
        }
    }

    /// False when there was nothing to change.
    async fn make(self, tx: &mut Transaction<'_>, id: &str, at: Moment) -> Result<bool, Fault> {
        match self {
            Change::Lock => store::user::lock(tx, id, at).await,
            Change::Unlock => store::user::unlock(tx, id, at).await,
            Change::Disable => store::user::disable(tx, id, at).await,
            Change::Enable => store::user::enable(tx, id, at).await,
        }
    }
}

/// Changes a user's standing, and prints the user as they are then.
pub(super) async fn change(
    place: &Place,
    installation: &Installation,
    name: &str,
    change: Change,
) -> Result<(), Exit> {
    let user = named(installation, name).await?;
    let at = installation.clock.now();
    let event = event(installation, &user, change.event(), at);
    let after = installation
        .store
        .write("user.change", (change, event), |tx, (change, event)| {
            Box::pin(async move {
                let id = event.user_id.as_deref().unwrap_or_default();
                if change.make(tx, id, event.at).await? {
                    store::audit::insert(tx, event).await?;
                }
                let held_until = store::login::locked_out_until(tx, id, event.at).await?;
                let after = store::user::find_by_id(tx, id).await?;
                Ok(after.map(|user| (user, held_until)))
            })
        })
        .await?;
    let (after, held_until) =
        after.ok_or_else(|| Exit::missing(format!("there is no user {name:?}")))?;
    place.print(&describe(&after, held_until), standing(&after, held_until))
}

/// Removes a user for good, unless something of the installation runs as them.
pub(super) async fn delete(
    place: &Place,
    installation: &Installation,
    name: &str,
) -> Result<(), Exit> {
    let user = named(installation, name).await?;
    let at = installation.clock.now();
    let event = event(installation, &user, "user.deleted", at);
    let deleted = installation
        .store
        .write("user.delete", event, |tx, event| {
            Box::pin(async move {
                let id = event.user_id.as_deref().unwrap_or_default();
                if let Some(holder) = who_runs_as(tx, id).await? {
                    return Ok(Err(holder));
                }
                if store::user::delete(tx, id).await? {
                    store::audit::insert(tx, event).await?;
                }
                Ok(Ok(()))
            })
        })
        .await?;
    deleted.map_err(|holder| {
        Exit::refused(format!(
            "{holder} runs as {}: name another user there first",
            user.username
        ))
    })?;
    let text = format!("{}  {}  deleted", user.id, user.username);
    place.print(&json!({"id": user.id, "deleted": true}), text)
}

/// The site or client app that acts with the rights of a user.
async fn who_runs_as(tx: &mut Transaction<'_>, id: &str) -> Result<Option<String>, Fault> {
    let is_this = |named: &Option<String>| named.as_deref() == Some(id);
    let sites = store::site::list(tx).await?;
    let site = sites
        .iter()
        .find(|site| {
            is_this(&site.settings.registration_execution_user)
                || is_this(&site.settings.headless_discovery_execution_user)
        })
        .map(|site| format!("the site {:?}", site.name));
    if site.is_some() {
        return Ok(site);
    }
    let clients = store::client::list(tx).await?;
    let client = clients
        .iter()
        .find(|client| is_this(&client.policies.client_credentials_flow_user));
    Ok(client.map(|client| format!("the client app {:?}", client.name)))
}

/// Sets a password that the policy takes and that is none of those before. As after a reset, sessions end,
/// and so does a hold; the password before goes into the history, and the owner is told by mail.
pub(super) async fn set_password(
    place: &Place,
    installation: &Installation,
    name: &str,
    file: &Path,
) -> Result<(), Exit> {
    let user = named(installation, name).await?;
    if user.is_integration {
        return Err(Exit::refused("a service's user has no password"));
    }
    let profiles = resolve::profiles(installation).await?;
    let profile = profiles
        .iter()
        .find(|profile| profile.id == user.profile_id)
        .ok_or_else(|| Exit::broken("the user's profile is not there"))?;
    let (before, sites) = installation
        .store
        .read("credential.find", &user.id, |tx, id| {
            Box::pin(async move {
                let before = store::credential::find(tx, id).await?;
                Ok((before, store::site::list(tx).await?))
            })
        })
        .await?;
    let phc = hash_password(installation, file, &user, profile, before.as_ref()).await?;
    let at = installation.clock.now();
    let setting = Setting {
        phc,
        notice: notice(installation, &sites, &user, at)?,
        event: event(installation, &user, "password.set", at),
    };
    let is_there = installation
        .store
        .write("user.set_password", setting, |tx, setting| {
            Box::pin(save(tx, setting))
        })
        .await?;
    if !is_there {
        return Err(Exit::missing(format!("there is no user {name:?}")));
    }
    place.print(&describe(&user, None), standing(&user, None))
}

/// What the write of a new password needs.
struct Setting {
    phc: String,
    notice: Option<QueuedMessage>,
    event: AuditEvent,
}

/// False when the user is gone.
async fn save(tx: &mut Transaction<'_>, setting: &Setting) -> Result<bool, Fault> {
    let at = setting.event.at;
    let id = setting.event.user_id.as_deref().unwrap_or_default();
    if store::user::find_by_id(tx, id).await?.is_none() {
        return Ok(false);
    }
    // A login locks these rows in this order, too.
    store::login::end_lockout(tx, id).await?;
    store::credential::set(tx, id, &setting.phc, at).await?;
    store::user::end_sessions(tx, id, at).await?;
    if let Some(notice) = &setting.notice {
        store::outbox::insert(tx, notice).await?;
    }
    store::audit::insert(tx, &setting.event).await?;
    Ok(true)
}

/// The notice to the owner, if their address is verified, in the name of the oldest published site that they
/// are a member of. A running server sends it.
fn notice(
    installation: &Installation,
    sites: &[Site],
    user: &User,
    at: Moment,
) -> Result<Option<QueuedMessage>, Fault> {
    let is_theirs = |site: &&Site| {
        let members = &site.settings.member_profiles;
        site.activated_at.is_some() && (members.is_empty() || members.contains(&user.profile_id))
    };
    let site = sites.iter().find(is_theirs);
    let (Some(site), Some(_)) = (site, user.email_verified_at) else {
        return Ok(None);
    };
    let (entropy, keyring) = (&installation.entropy, &installation.keyring);
    delivery::password_changed(site, user, at, entropy, keyring).map(Some)
}
