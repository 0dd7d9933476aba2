//! Users: creating and deleting them, locks, and passwords. Their identifiers are in `identifier`.
//!
//! A running server reads users from the database in every request, so a change takes effect at once. A change
//! that is in effect already changes nothing and is not recorded.

use serde_json::{Value, json};
use vestibule_protocol::headless::is_never_applied;
use vestibule_protocol::secret::Secret;

use super::names::find_user;
use super::{Admin, AdminFailure, AdminRefusal, profile, site};
use crate::audit::{AuditEntry, AuditObject, ObjectKind};
use crate::changes::Invalid;
use crate::delivery;
use crate::hashing::{Hasher, NewHashProblem, QueueLine, SALT_BYTES};
use crate::identity::email::EmailAddress;
use crate::identity::password::Owner;
use crate::identity::phone::PhoneNumber;
use crate::identity::username::Username;
use crate::identity::{Attributes, Profile, User, prefix};
use crate::moment::Moment;
use crate::outgoing::OutgoingMessage;
use crate::refusal::{Fault, FaultKind};
use crate::settings::{Site, is_name};
use crate::store::audit::RecordedEvent;
use crate::store::credential::Credential;
use crate::store::{self, AdminTransaction, Change, Transaction};

const KIND: ObjectKind = ObjectKind::User;

/// A user that is to be created.
#[derive(Debug)]
pub struct CreateUser {
    /// In the form of an email address; unique.
    pub username: String,
    /// The address; the username where there is none.
    pub email: Option<String>,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: String,
    /// Phone number in international form.
    pub phone: Option<String>,
    /// The profile, by name or record id.
    pub profile: String,
    /// Whether the address was verified elsewhere.
    pub is_email_verified: bool,
    /// Whether the phone number was verified elsewhere.
    pub is_phone_verified: bool,
    /// Attributes.
    pub attributes: Attributes,
    /// Whether it is a service's user, which has no password.
    pub is_integration: bool,
    /// The password, if it gets one.
    pub password: Option<Secret>,
}

/// A user, and the end of the lockout that wrong passwords have caused.
#[derive(Clone, Debug)]
pub struct UserState {
    /// The user.
    pub user: User,
    /// Until when login by password is refused.
    pub locked_out_until: Option<Moment>,
}

/// A change of who may log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateChange {
    /// Blocks all logins and ends all sessions; for a user who has left.
    Disable,
    /// Takes that back.
    Enable,
    /// Blocks all logins and ends all sessions; for a user under suspicion.
    Lock,
    /// Takes that back, and resets the counters of failed attempts.
    Unlock,
}

/// The user with a username or a record id.
///
/// # Refusals
/// There is none.
pub async fn load(admin: &Admin<'_>, name: &str) -> Result<UserState, AdminFailure> {
    let found = admin
        .store
        .read(
            "user.find",
            &(name.to_owned(), admin.at),
            |tx, (name, at)| {
                Box::pin(async move {
                    match find_user(tx, name).await? {
                        Some(user) => state_of(tx, user, *at).await.map(Some),
                        None => Ok(None),
                    }
                })
            },
        )
        .await?;
    Ok(found.ok_or_else(|| missing(name))?)
}

/// The audit events of a user, oldest first.
///
/// # Faults
/// The database is away.
pub async fn events(admin: &Admin<'_>, user_id: &str) -> Result<Vec<RecordedEvent>, Fault> {
    let user_id = user_id.to_owned();
    let read = admin.store.read("audit.list", &user_id, |tx, id| {
        Box::pin(store::audit::list_of_user(tx, id))
    });
    read.await
}

/// Users in the order of their usernames, from after one of them: at most `limit`.
///
/// # Faults
/// The database is away.
pub async fn list(
    admin: &Admin<'_>,
    after: Option<&Username>,
    limit: i64,
) -> Result<Vec<UserState>, Fault> {
    let after = after.map(|username| username.key().to_owned());
    let sought = (after, limit, admin.at);
    let read = admin
        .store
        .read("user.list", &sought, |tx, (after, limit, at)| {
            Box::pin(async move {
                let mut states = Vec::new();
                for user in store::user::list(tx, after.as_deref(), *limit).await? {
                    states.push(state_of(tx, user, *at).await?);
                }
                Ok(states)
            })
        });
    read.await
}

async fn state_of(tx: &mut Transaction<'_>, user: User, at: Moment) -> Result<UserState, Fault> {
    Ok(UserState {
        locked_out_until: store::login::locked_out_until(tx, &user.id, at).await?,
        user,
    })
}

/// Creates a user.
///
/// # Refusals
/// The username is taken, there is no such profile, or a value is wrong.
pub async fn create(
    admin: &Admin<'_>,
    hasher: &Hasher,
    request: CreateUser,
) -> Result<UserState, AdminFailure> {
    let profile = profile::load(admin, &request.profile).await?;
    let user = new_user(admin, &request, &profile)?;
    let phc = match &request.password {
        Some(password) => Some(hash(admin, hasher, password, &user, &profile, None).await?),
        None => None,
    };
    admin
        .change("user.create", KIND, (user, phc), |tx, (user, phc)| {
            Box::pin(async move {
                let entry = insert(tx, user, phc.as_deref()).await?;
                let state = UserState {
                    user: user.clone(),
                    locked_out_until: None,
                };
                Ok(Change::made(state, entry))
            })
        })
        .await
}

fn new_user(
    admin: &Admin<'_>,
    request: &CreateUser,
    profile: &Profile,
) -> Result<User, AdminRefusal> {
    let at = admin.at;
    let username = Username::parse(&request.username)
        .map_err(|problem| AdminRefusal::invalid("username", problem.to_string()))?;
    let email = request.email.as_deref().unwrap_or(&request.username);
    let email = EmailAddress::parse(email)
        .map_err(|problem| AdminRefusal::invalid("email", problem.to_string()))?;
    let phone = request.phone.as_deref().map(PhoneNumber::parse).transpose();
    let phone = phone.map_err(|problem| AdminRefusal::invalid("phone", problem.to_string()))?;
    check_attributes(&request.attributes).map_err(AdminRefusal::Invalid)?;
    Ok(User {
        id: admin.record_id(prefix::USER),
        username: username.as_str().to_owned(),
        username_key: username.key().to_owned(),
        email: email.as_str().to_owned(),
        email_key: email.key(),
        phone: phone.map(|phone| phone.as_str().to_owned()),
        first_name: request.first_name.clone(),
        last_name: request.last_name.clone(),
        profile_id: profile.id.clone(),
        account_id: None,
        locale: String::from("en_US"),
        timezone: String::from("UTC"),
        attributes: request.attributes.clone(),
        is_integration: request.is_integration,
        email_verified_at: request.is_email_verified.then_some(at),
        phone_verified_at: request.is_phone_verified.then_some(at),
        locked_at: None,
        disabled_at: None,
        session_generation: 0,
        created_at: at,
        updated_at: at,
    })
}

/// Refuses attributes whose names look like a right.
fn check_attributes(attributes: &Attributes) -> Result<(), Invalid> {
    match attributes
        .keys()
        .find(|name| !is_name(name) || is_never_applied(name))
    {
        None => Ok(()),
        Some(name) => Err(Invalid::new(
            "attribute",
            format!("{name:?}: use a name that does not look like a right"),
        )),
    }
}

/// Saves a new user, with a password if there is one; the audit entry.
///
/// # Refusals
/// The username is taken.
pub(super) async fn insert(
    tx: &mut AdminTransaction<'_, '_>,
    user: &User,
    phc: Option<&str>,
) -> Result<AuditEntry, AdminFailure> {
    if !store::user::insert(tx, user).await? {
        return Err(AdminRefusal::taken(KIND, "username", &user.username).into());
    }
    let mut after = shown(user, None);
    if let Some(phc) = phc {
        store::credential::insert(tx, &user.id, phc, user.created_at).await?;
        after["password"] = json!(phc);
    }
    Ok(entry("user.created", user, &Value::Null, &after))
}

/// Changes who may log in; the user as they are then.
///
/// # Refusals
/// There is no such user.
pub async fn change_state(
    admin: &Admin<'_>,
    name: &str,
    change: StateChange,
) -> Result<UserState, AdminFailure> {
    let input = (name.to_owned(), change, admin.at);
    admin
        .change("user.change", KIND, input, |tx, (name, change, at)| {
            Box::pin(write_state(tx, name, *change, *at))
        })
        .await
}

async fn write_state(
    tx: &mut AdminTransaction<'_, '_>,
    name: &str,
    change: StateChange,
    at: Moment,
) -> Result<Change<UserState>, AdminFailure> {
    let user = find_user(tx, name).await?.ok_or_else(|| missing(name))?;
    let before = state_of(tx, user, at).await?;
    let id = &before.user.id;
    let (is_changed, event) = match change {
        StateChange::Disable => (store::user::disable(tx, id, at).await?, "user.disabled"),
        StateChange::Enable => (store::user::enable(tx, id, at).await?, "user.enabled"),
        StateChange::Lock => (store::user::lock(tx, id, at).await?, "user.locked"),
        StateChange::Unlock => (store::user::unlock(tx, id, at).await?, "user.unlocked"),
    };
    if !is_changed {
        return Ok(Change::Nothing(before));
    }
    let user = store::user::find_by_id(tx, id).await?;
    let after = state_of(tx, user.ok_or_else(|| missing(name))?, at).await?;
    let mut was = shown(&before.user, before.locked_out_until);
    let mut is = shown(&after.user, after.locked_out_until);
    if was == is {
        // Neither a lock nor a lockout ended, so failed attempts were counted.
        was["failedAttempts"] = json!("counted");
        is["failedAttempts"] = json!("none");
    }
    let entry = entry(event, &after.user, &was, &is);
    Ok(Change::made(after, entry))
}

/// Deletes a user permanently, with name, addresses and password in every row; the user as they were.
///
/// # Refusals
/// There is no such user, or a site or a client runs as this user.
pub async fn delete(admin: &Admin<'_>, name: &str) -> Result<User, AdminFailure> {
    // Users are not in the directory. But the version's row is locked by raising it, so that no setting comes to
    // name this user meanwhile.
    let kind = ObjectKind::Installation;
    admin
        .change("user.delete", kind, name.to_owned(), |tx, name| {
            Box::pin(async move {
                let user = find_user(tx, name).await?.ok_or_else(|| missing(name))?;
                let by = who_runs_as(tx, &user.id).await?;
                if !by.is_empty() {
                    let name = user.username;
                    return Err(AdminRefusal::InUse { name, by }.into());
                }
                store::user::delete(tx, &user.id).await?;
                store::erasure::erase(tx, &user).await?;
                // The audit log outlives the user, and names a deleted one by record id alone.
                let object = AuditObject::new(KIND, &user.id, &user.id);
                let after = json!({"isDeleted": true});
                let entry = AuditEntry::new("user.deleted", object, &Value::Null, &after);
                Ok(Change::made(user, entry))
            })
        })
        .await
}

/// The settings and policies by which something runs with the rights of a user.
async fn who_runs_as(tx: &mut Transaction<'_>, id: &str) -> Result<Vec<String>, Fault> {
    let mut found = Vec::new();
    for site in store::site::list(tx).await? {
        let settings = &site.settings;
        for (key, user) in [
            (
                "registrationExecutionUser",
                &settings.registration_execution_user,
            ),
            (
                "headlessDiscoveryExecutionUser",
                &settings.headless_discovery_execution_user,
            ),
        ] {
            if user.as_deref() == Some(id) {
                found.push(format!("{key} of the site {:?}", site.name));
            }
        }
    }
    for client in store::client::list(tx).await? {
        if client.policies.client_credentials_flow_user.as_deref() == Some(id) {
            found.push(format!(
                "clientCredentialsFlowUser of the client app {:?}",
                client.name
            ));
        }
    }
    Ok(found)
}

/// Sets a password that the policy accepts and that is none of those before. As after a reset, all sessions and a
/// lockout end; the password before goes into the history, and a user with a verified address gets a notice.
///
/// # Refusals
/// There is no such user, it is a service's user, or the password is not accepted.
pub async fn set_password(
    admin: &Admin<'_>,
    hasher: &Hasher,
    name: &str,
    password: &Secret,
) -> Result<UserState, AdminFailure> {
    let user = load(admin, name).await?.user;
    if user.is_integration {
        let reason = "a service's user has no password";
        return Err(AdminRefusal::invalid("user", reason).into());
    }
    let profile = profile::load(admin, &user.profile_id).await?;
    let before = admin
        .store
        .read("credential.find", &user.id, |tx, id| {
            Box::pin(store::credential::find(tx, id))
        })
        .await?;
    let phc = hash(admin, hasher, password, &user, &profile, before.as_ref()).await?;
    let setting = NewPassword {
        notice: notice(admin, &user).await?,
        user_id: user.id,
        phc,
        at: admin.at,
    };
    admin
        .change("user.set_password", KIND, setting, |tx, setting| {
            Box::pin(write_password(tx, setting))
        })
        .await
}

/// What the write of a new password needs.
struct NewPassword {
    user_id: String,
    phc: String,
    notice: Option<OutgoingMessage>,
    at: Moment,
}

async fn write_password(
    tx: &mut AdminTransaction<'_, '_>,
    new: &NewPassword,
) -> Result<Change<UserState>, AdminFailure> {
    let user = store::user::find_by_id(tx, &new.user_id).await?;
    let user = user.ok_or_else(|| missing(&new.user_id))?;
    let before = store::credential::find(tx, &user.id).await?;
    store::credential::replace(tx, &user.id, &new.phc, new.notice.as_ref(), new.at).await?;
    let (was, is) = (
        json!({ "password": before.map(|before| before.phc) }),
        json!({ "password": new.phc }),
    );
    let entry = entry("password.set", &user, &was, &is);
    let state = UserState {
        user,
        locked_out_until: None,
    };
    Ok(Change::made(state, entry))
}

/// The hash of a password that the policy accepts and that is none of those before it.
async fn hash(
    admin: &Admin<'_>,
    hasher: &Hasher,
    password: &Secret,
    user: &User,
    profile: &Profile,
    before: Option<&Credential>,
) -> Result<String, AdminFailure> {
    let policy = &profile.password_policy;
    let invalid = |reason: String| AdminRefusal::invalid("password", reason);
    let prepared = policy
        .accept(password.expose(), &Owner::from(user))
        .map_err(|problem| invalid(problem.to_string()))?
        .into_secret();
    let remembered = before.map(|before| before.remembered(policy.history));
    let remembered = remembered.into_iter().flatten();
    let salt = admin.entropy.bytes::<SALT_BYTES>();
    let hashed = hasher
        .hash_unless_used(QueueLine::default(), prepared, remembered, salt)
        .await;
    hashed.map_err(|problem| match problem {
        NewHashProblem::UsedBefore => invalid(problem.to_string()).into(),
        NewHashProblem::Busy => {
            let fault = Fault::new("hashing a password", problem);
            fault.with_kind(FaultKind::Unavailable).into()
        }
    })
}

/// The notice to the owner, if their address is verified, in the name of the oldest published site that they
/// are a member of. A running server sends it.
async fn notice(admin: &Admin<'_>, user: &User) -> Result<Option<OutgoingMessage>, Fault> {
    let sites = site::list(admin).await?;
    let is_theirs =
        |site: &&Site| site.activated_at.is_some() && site.settings.admits(&user.profile_id);
    let site = sites.iter().find(is_theirs);
    let (Some(site), Some(_)) = (site, user.email_verified_at) else {
        return Ok(None);
    };
    let (entropy, keyring) = (admin.entropy, admin.keyring);
    delivery::password_changed(site, user, admin.at, entropy, keyring).map(Some)
}

pub(super) fn missing(name: &str) -> AdminRefusal {
    AdminRefusal::Missing {
        kind: KIND,
        name: name.to_owned(),
        known: Vec::new(),
    }
}

/// A user as audit events compare it.
fn shown(user: &User, locked_out_until: Option<Moment>) -> Value {
    let seconds = |at: Option<Moment>| at.map(|at| at.iso_seconds());
    json!({
        "username": user.username, "email": user.email, "phone": user.phone,
        "firstName": user.first_name, "lastName": user.last_name, "profileId": user.profile_id,
        "accountId": user.account_id, "locale": user.locale, "timezone": user.timezone,
        "attributes": user.attributes, "isIntegration": user.is_integration,
        "emailVerifiedAt": seconds(user.email_verified_at),
        "phoneVerifiedAt": seconds(user.phone_verified_at),
        "lockedAt": seconds(user.locked_at), "disabledAt": seconds(user.disabled_at),
        "lockedOutUntil": seconds(locked_out_until),
    })
}

pub(super) fn entry(event: &'static str, user: &User, before: &Value, after: &Value) -> AuditEntry {
    let object = AuditObject::new(KIND, &user.id, &user.username);
    AuditEntry::new(event, object, before, after)
}
