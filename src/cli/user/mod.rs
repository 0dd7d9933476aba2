//! `vestibule user create|show|list`; the commands that change a user stand in `standing`.

mod identifier;
mod standing;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use vestibule_protocol::headless::is_never_applied;
use vestibule_protocol::identifier::RecordId;

use self::standing::{Change, change};
use super::place::{Exit, Installation, Place, read_secret};
use super::{resolve, seed};
use crate::hashing::{Hasher, SALT_BYTES};
use crate::identity::email::EmailAddress;
use crate::identity::password::Owner;
use crate::identity::phone::PhoneNumber;
use crate::identity::username::Username;
use crate::identity::{Attributes, Profile, User, prefix};
use crate::moment::Moment;
use crate::settings::is_name;
use crate::store;
use crate::store::audit::AuditEvent;
use crate::store::credential::Credential;

/// Users per page of a listing.
const PAGE: i64 = 200;

/// Creates and shows users.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make a user
    Create(Create),
    /// One user with its audit events
    Show {
        /// Username or record id
        user: String,
    },
    /// Users in the order of their usernames
    List {
        /// Start after this username
        #[arg(long, value_name = "USERNAME")]
        after: Option<String>,
        /// How many, up to 200
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=PAGE))]
        limit: i64,
    },
    /// Close every door to a user and end their sessions
    Lock {
        /// Username or record id
        user: String,
    },
    /// Open every door: take a lock away, and what wrong passwords and codes have closed
    Unlock {
        /// Username or record id
        user: String,
    },
    /// Put a user out of use and end their sessions
    Disable {
        /// Username or record id
        user: String,
    },
    /// Put a user into use again
    Enable {
        /// Username or record id
        user: String,
    },
    /// Remove a user for good
    Delete {
        /// Username or record id
        user: String,
    },
    /// What the business knows users by, such as the number of an order
    Identifier {
        #[command(subcommand)]
        action: identifier::Action,
    },
    /// Give a user another password and end their sessions
    SetPassword {
        /// Username or record id
        user: String,
        /// A file with the password; - is standard input
        #[arg(long, value_name = "FILE")]
        password_file: PathBuf,
    },
}

#[derive(Args)]
struct Create {
    /// The username, in the form of an email address
    username: String,
    /// The address; the username unless named
    #[arg(long)]
    email: Option<String>,
    /// Family name
    #[arg(long)]
    last_name: String,
    /// Given name
    #[arg(long)]
    first_name: Option<String>,
    /// Phone number in international form
    #[arg(long)]
    phone: Option<String>,
    /// A profile's name
    #[arg(long, default_value = seed::CUSTOMER_PROFILE)]
    profile: String,
    /// The address has proven itself elsewhere
    #[arg(long)]
    email_verified: bool,
    /// The phone number has proven itself elsewhere
    #[arg(long, requires = "phone")]
    phone_verified: bool,
    /// An attribute, NAME=VALUE; may be given several times
    #[arg(long = "attribute", value_name = "NAME=VALUE")]
    attributes: Vec<String>,
    /// A service's user, which has no password
    #[arg(long, conflicts_with = "password_file")]
    integration: bool,
    /// A file with the password; - is standard input
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// Runs it.
pub async fn run(place: &Place, arguments: Arguments) -> Result<(), Exit> {
    let installation = place.open().await?;
    match arguments.action {
        Action::Create(create) => self::create(place, &installation, create).await,
        Action::Show { user } => show(place, &installation, &user).await,
        Action::List { after, limit } => list(place, &installation, after, limit).await,
        Action::Lock { user } => change(place, &installation, &user, Change::Lock).await,
        Action::Unlock { user } => change(place, &installation, &user, Change::Unlock).await,
        Action::Disable { user } => change(place, &installation, &user, Change::Disable).await,
        Action::Enable { user } => change(place, &installation, &user, Change::Enable).await,
        Action::Delete { user } => standing::delete(place, &installation, &user).await,
        Action::Identifier { action } => identifier::run(place, &installation, action).await,
        Action::SetPassword {
            user,
            password_file,
        } => standing::set_password(place, &installation, &user, &password_file).await,
    }
}

async fn create(place: &Place, installation: &Installation, create: Create) -> Result<(), Exit> {
    let profiles = resolve::profiles(installation).await?;
    let profile = profiles
        .iter()
        .find(|profile| profile.name == create.profile || profile.id == create.profile)
        .ok_or_else(|| Exit::missing(format!("there is no profile {:?}", create.profile)))?;
    let user = new_user(installation, &create, profile)?;
    let phc = match &create.password_file {
        Some(path) => Some(hash_password(installation, path, &user, profile, None).await?),
        None => None,
    };
    let event = event(installation, &user, "user.created", user.created_at);
    let is_new = installation
        .store
        .write(
            "user.create",
            (user.clone(), phc, event),
            |tx, (user, phc, event)| {
                Box::pin(async move {
                    if !store::user::insert(tx, user).await? {
                        return Ok(false);
                    }
                    if let Some(phc) = phc {
                        store::credential::insert(tx, &user.id, phc, user.created_at).await?;
                    }
                    store::audit::insert(tx, event).await?;
                    Ok(true)
                })
            },
        )
        .await?;
    if !is_new {
        return Err(Exit::refused(format!(
            "the username {:?} is already in use",
            user.username
        )));
    }
    let text = format!("{}  {}", user.id, user.username);
    place.print(&describe(&user, None), text)
}

fn new_user(installation: &Installation, create: &Create, profile: &Profile) -> Result<User, Exit> {
    let at = installation.clock.now();
    let wrong =
        |what: &str, problem: &dyn std::fmt::Display| Exit::refused(format!("{what}: {problem}"));
    let username =
        Username::parse(&create.username).map_err(|problem| wrong("username", &problem))?;
    let email = create.email.as_deref().unwrap_or(&create.username);
    let email = EmailAddress::parse(email).map_err(|problem| wrong("email", &problem))?;
    let phone = create
        .phone
        .as_deref()
        .map(|phone| PhoneNumber::parse(phone).map_err(|problem| wrong("phone", &problem)))
        .transpose()?;
    Ok(User {
        id: RecordId::from_random(prefix::USER, installation.entropy.bytes()).to_string(),
        username: username.as_str().to_owned(),
        username_key: username.key().to_owned(),
        email: email.as_str().to_owned(),
        email_key: email.key(),
        phone: phone.map(|phone| phone.as_str().to_owned()),
        first_name: create.first_name.clone(),
        last_name: create.last_name.clone(),
        profile_id: profile.id.clone(),
        account_id: None,
        locale: String::from("en_US"),
        timezone: String::from("UTC"),
        attributes: attributes(&create.attributes)?,
        is_integration: create.integration,
        email_verified_at: create.email_verified.then_some(at),
        phone_verified_at: create.phone_verified.then_some(at),
        locked_at: None,
        disabled_at: None,
        session_generation: 0,
        created_at: at,
        updated_at: at,
    })
}

/// The hash of the password in a file, which the policy takes and which is none of those before it.
async fn hash_password(
    installation: &Installation,
    path: &std::path::Path,
    user: &User,
    profile: &Profile,
    before: Option<&Credential>,
) -> Result<String, Exit> {
    let policy = &profile.password_policy;
    let prepared = policy
        .accept(read_secret(path)?.expose(), &Owner::from(user))
        .map_err(|problem| Exit::refused(format!("password: {problem}")))?
        .into_secret();
    let hasher = Hasher::start(1, 1);
    let broken = |_| Exit::broken("the password could not be hashed");
    if let Some(before) = before {
        let remembered = before.remembered(policy.history);
        let was_used = hasher.matches_any(&prepared, remembered).await;
        if was_used.map_err(broken)? {
            return Err(Exit::refused("password: the password was used before"));
        }
    }
    let salt = installation.entropy.bytes::<SALT_BYTES>();
    hasher.hash(prepared, salt).await.map_err(broken)
}

/// Attributes as they are written: `NAME=VALUE`, always as text.
fn attributes(written: &[String]) -> Result<Attributes, Exit> {
    let mut attributes = Attributes::new();
    for text in written {
        let (name, value) = text
            .split_once('=')
            .filter(|(name, _)| is_name(name) && !is_never_applied(name))
            .ok_or_else(|| {
                Exit::refused(format!(
                    "--attribute {text:?}: write NAME=VALUE, with a name that looks like no right"
                ))
            })?;
        attributes.insert(name.to_owned(), Value::from(value));
    }
    Ok(attributes)
}

/// An event that an administrator brought about.
fn event(installation: &Installation, user: &User, event: &'static str, at: Moment) -> AuditEvent {
    AuditEvent {
        id: RecordId::from_random("0AE", installation.entropy.bytes()).to_string(),
        at,
        event,
        user_id: Some(user.id.clone()),
        client_id: None,
        site_id: None,
        ip: None,
        request_id: None,
        detail: json!({"by": "command line"}).to_string(),
    }
}

/// The user that was named.
async fn named(installation: &Installation, name: &str) -> Result<User, Exit> {
    resolve::find_user(installation, name)
        .await?
        .ok_or_else(|| Exit::missing(format!("there is no user {name:?}")))
}

async fn show(place: &Place, installation: &Installation, name: &str) -> Result<(), Exit> {
    let user = named(installation, name).await?;
    let sought = (user.id.clone(), installation.clock.now());
    let (held_until, events) = installation
        .store
        .read("audit.list", &sought, |tx, (id, at)| {
            Box::pin(async move {
                let held_until = store::login::locked_out_until(tx, id, *at).await?;
                Ok((held_until, store::audit::list_of_user(tx, id).await?))
            })
        })
        .await?;
    let described = describe(&user, held_until);
    let mut json = described.clone();
    json["events"] = events
        .iter()
        .map(|event| json!({"at": event.at.iso_seconds(), "event": event.event}))
        .collect();
    let mut text = toml::to_string_pretty(&without_nulls(described)).unwrap_or_default();
    for event in &events {
        text.push_str(&format!("# {}  {}\n", event.at.iso_seconds(), event.event));
    }
    place.print(&json, text.trim_end())
}

async fn list(
    place: &Place,
    installation: &Installation,
    after: Option<String>,
    limit: i64,
) -> Result<(), Exit> {
    let after = after
        .map(|name| Username::parse(&name).map(|username| username.key().to_owned()))
        .transpose()
        .map_err(|problem| Exit::refused(format!("--after: {problem}")))?;
    let sought = (after, limit, installation.clock.now());
    let users = installation
        .store
        .read("user.list", &sought, |tx, (after, limit, at)| {
            Box::pin(async move {
                let mut users = Vec::new();
                for user in store::user::list(tx, after.as_deref(), *limit).await? {
                    let held_until = store::login::locked_out_until(tx, &user.id, *at).await?;
                    users.push((user, held_until));
                }
                Ok(users)
            })
        })
        .await?;
    let lines: Vec<String> = users
        .iter()
        .map(|(user, held_until)| standing(user, *held_until))
        .collect();
    let rows: Vec<Value> = users
        .iter()
        .map(|(user, held_until)| describe(user, *held_until))
        .collect();
    place.print(&json!({ "users": rows }), lines.join("\n"))
}

/// A user in one line: record id, username and what keeps them out.
fn standing(user: &User, held_until: Option<Moment>) -> String {
    let mut words: Vec<String> = Vec::new();
    if user.locked_at.is_some() {
        words.push(String::from("locked"));
    }
    if user.disabled_at.is_some() {
        words.push(String::from("disabled"));
    }
    if let Some(until) = held_until {
        words.push(format!("held until {}", until.iso_seconds()));
    }
    if words.is_empty() {
        words.push(String::from("active"));
    }
    format!("{}  {}  {}", user.id, user.username, words.join(", "))
}

/// `held_until`: until when wrong passwords keep the password door closed.
fn describe(user: &User, held_until: Option<Moment>) -> Value {
    json!({
        "id": user.id, "username": user.username, "email": user.email, "phone": user.phone,
        "first_name": user.first_name, "last_name": user.last_name, "profile_id": user.profile_id,
        "account_id": user.account_id, "locale": user.locale, "timezone": user.timezone,
        "is_integration": user.is_integration, "attributes": user.attributes,
        "email_verified_at": user.email_verified_at.map(|at| at.iso_seconds()),
        "phone_verified_at": user.phone_verified_at.map(|at| at.iso_seconds()),
        "locked_at": user.locked_at.map(|at| at.iso_seconds()),
        "disabled_at": user.disabled_at.map(|at| at.iso_seconds()),
        "held": held_until.is_some(),
        "held_until": held_until.map(|at| at.iso_seconds()),
        "created_at": user.created_at.iso_seconds(),
    })
}

/// TOML has no null.
fn without_nulls(mut value: Value) -> Value {
    if let Some(members) = value.as_object_mut() {
        members.retain(|_, member| !member.is_null());
    }
    value
}
