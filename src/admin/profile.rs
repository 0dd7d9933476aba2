//! Profiles: kinds of users, and the policy that their passwords must meet.

use serde_json::{Map, Value, json};

use super::{Admin, AdminFailure, AdminRefusal, find as find_named, form};
use crate::audit::{AuditEntry, AuditObject, ObjectKind};
use crate::changes::{self, Invalid};
use crate::identity::password::PasswordPolicy;
use crate::identity::{Profile, UserType, prefix};
use crate::refusal::Fault;
use crate::store::{self, AdminTransaction, Change};

const KIND: ObjectKind = ObjectKind::Profile;

/// A profile that is to be created.
#[derive(Clone, Debug)]
pub struct CreateProfile {
    /// Its unique name.
    pub name: String,
    /// What its users are.
    pub user_type: UserType,
    /// Members of the password policy that differ from the default, by their documented names.
    pub changes: Map<String, Value>,
}

/// A change of a profile's password policy.
#[derive(Clone, Debug)]
pub struct UpdateProfile {
    /// Name or record id.
    pub profile: String,
    /// Members of the password policy, by their documented names.
    pub changes: Map<String, Value>,
}

/// All profiles, oldest first.
///
/// # Faults
/// The database is away.
pub async fn list(admin: &Admin<'_>) -> Result<Vec<Profile>, Fault> {
    let read = admin.store.read("profile.list", &(), |tx, ()| {
        Box::pin(store::profile::list(tx))
    });
    read.await
}

/// The profile with a name or a record id.
///
/// # Refusals
/// There is none.
pub async fn load(admin: &Admin<'_>, name: &str) -> Result<Profile, AdminFailure> {
    Ok(named(list(admin).await?, name)?)
}

/// Creates a profile.
///
/// # Refusals
/// The name is taken, or a member of the policy is unknown or wrong.
pub async fn create(admin: &Admin<'_>, request: CreateProfile) -> Result<Profile, AdminFailure> {
    let profile = Profile {
        id: admin.record_id(prefix::PROFILE),
        name: request.name,
        user_type: request.user_type,
        password_policy: changed(&PasswordPolicy::default(), &request.changes)?,
        created_at: admin.at,
    };
    admin
        .change("profile.create", KIND, profile, |tx, profile| {
            Box::pin(async move {
                let entry = insert(tx, profile).await?;
                Ok(Change::made(profile.clone(), entry))
            })
        })
        .await
}

/// Saves a new profile; its audit entry.
///
/// # Refusals
/// The name is taken.
pub(super) async fn insert(
    tx: &mut AdminTransaction<'_, '_>,
    profile: &Profile,
) -> Result<AuditEntry, AdminFailure> {
    if !store::profile::insert(tx, profile).await? {
        return Err(AdminRefusal::taken(KIND, "name", &profile.name).into());
    }
    Ok(entry(
        "profile.created",
        profile,
        &Value::Null,
        &shown(profile)?,
    ))
}

/// Changes the password policy; passwords that are set later must meet it.
///
/// # Refusals
/// There is no such profile, or a member of the policy is unknown or wrong.
pub async fn update(admin: &Admin<'_>, request: UpdateProfile) -> Result<Profile, AdminFailure> {
    admin
        .change("profile.update", KIND, request, |tx, request| {
            Box::pin(write_update(tx, request))
        })
        .await
}

async fn write_update(
    tx: &mut AdminTransaction<'_, '_>,
    request: &UpdateProfile,
) -> Result<Change<Profile>, AdminFailure> {
    let before = named(store::profile::list(tx).await?, &request.profile)?;
    let after = Profile {
        password_policy: changed(&before.password_policy, &request.changes)?,
        ..before.clone()
    };
    if after.password_policy == before.password_policy {
        return Ok(Change::Nothing(after));
    }
    store::profile::update_policy(tx, &after.id, &after.password_policy).await?;
    let entry = entry("profile.updated", &after, &shown(&before)?, &shown(&after)?);
    Ok(Change::made(after, entry))
}

/// The policy with changes, checked as a whole.
fn changed(
    current: &PasswordPolicy,
    changes: &Map<String, Value>,
) -> Result<PasswordPolicy, Invalid> {
    let policy: PasswordPolicy = changes::apply(current, changes)?;
    policy
        .validate()
        .map_err(|problem| Invalid::new(problem.field, format!("takes {}", problem.allowed)))?;
    Ok(policy)
}

fn named(profiles: Vec<Profile>, name: &str) -> Result<Profile, AdminRefusal> {
    find_named(KIND, profiles, name, |profile| [&profile.id, &profile.name])
}

/// A profile as audit events compare it.
fn shown(profile: &Profile) -> Result<Value, Fault> {
    let mut shown = form(&profile.password_policy)?;
    shown["name"] = json!(profile.name);
    shown["userType"] = json!(profile.user_type.as_str());
    Ok(shown)
}

fn entry(event: &'static str, profile: &Profile, before: &Value, after: &Value) -> AuditEntry {
    let object = AuditObject::new(KIND, &profile.id, &profile.name);
    AuditEntry::new(event, object, before, after)
}
