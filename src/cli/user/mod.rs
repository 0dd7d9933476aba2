//! `vestibule user create|show|list|lock|unlock|disable|enable|delete|set-password|identifier`.

mod identifier;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::exit::Exit;
use super::noun::print_list;
use super::place::{Place, read_secret};
use crate::admin::user::{self, CreateUser, StateChange, UserState};
use crate::admin::{Admin, seed};
use crate::hashing::Hasher;
use crate::identity::Attributes;
use crate::identity::username::Username;

/// Users per page of a listing.
const PAGE: i64 = 200;

/// The actions of the noun.
#[derive(Subcommand)]
pub enum Action {
    /// Create a user
    Create(NewUserArguments),
    /// Show a user with their audit events
    Show {
        /// Username or record id
        user: String,
    },
    /// List users in the order of their usernames
    List {
        /// Start after this username
        #[arg(long, value_name = "USERNAME")]
        after: Option<String>,
        /// How many, up to 200
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=PAGE))]
        limit: i64,
    },
    /// Block all logins of a user and end their sessions
    Lock {
        /// Username or record id
        user: String,
    },
    /// Allow logins again and reset the counters of failed attempts
    Unlock {
        /// Username or record id
        user: String,
    },
    /// Disable a user who has left and end their sessions
    Disable {
        /// Username or record id
        user: String,
    },
    /// Enable a disabled user again
    Enable {
        /// Username or record id
        user: String,
    },
    /// Delete a user permanently
    Delete {
        /// Username or record id
        user: String,
    },
    /// What the business knows users by, such as the number of an order
    Identifier {
        #[command(subcommand)]
        action: identifier::Action,
    },
    /// Set another password and end the sessions of the user
    SetPassword {
        /// Username or record id
        user: String,
        /// A file with the password; - is standard input
        #[arg(long, value_name = "FILE")]
        password_file: PathBuf,
    },
}

#[derive(Args)]
pub struct NewUserArguments {
    /// The username, in the form of an email address
    username: String,
    /// The email address [default: the username]
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
    /// Mark the email address as verified
    #[arg(long)]
    email_verified: bool,
    /// Mark the phone number as verified
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
pub async fn run(place: &Place, action: Action) -> Result<(), Exit> {
    let installation = place.open().await?;
    let admin = installation.admin();
    let change = match action {
        Action::Lock { user } => (user, StateChange::Lock),
        Action::Unlock { user } => (user, StateChange::Unlock),
        Action::Disable { user } => (user, StateChange::Disable),
        Action::Enable { user } => (user, StateChange::Enable),
        Action::Create(create) => return self::create(place, &admin, create).await,
        Action::Show { user } => return show(place, &admin, &user).await,
        Action::List { after, limit } => return list(place, &admin, after, limit).await,
        Action::Delete { user } => return delete(place, &admin, &user).await,
        Action::Identifier { action } => return identifier::run(place, &admin, action).await,
        Action::SetPassword {
            user,
            password_file,
        } => {
            let password = read_secret("--password-file", &password_file)?;
            let hasher = Hasher::start(1, 1);
            let state = user::set_password(&admin, &hasher, &user, &password).await?;
            return print(place, &state);
        }
    };
    let (user, change) = change;
    print(place, &user::change_state(&admin, &user, change).await?)
}

async fn create(place: &Place, admin: &Admin<'_>, create: NewUserArguments) -> Result<(), Exit> {
    let request = CreateUser {
        username: create.username,
        email: create.email,
        first_name: create.first_name,
        last_name: create.last_name,
        phone: create.phone,
        profile: create.profile,
        is_email_verified: create.email_verified,
        is_phone_verified: create.phone_verified,
        attributes: attributes(&create.attributes)?,
        is_integration: create.integration,
        password: create
            .password_file
            .as_deref()
            .map(|path| read_secret("--password-file", path))
            .transpose()?,
    };
    let state = user::create(admin, &Hasher::start(1, 1), request).await?;
    let text = format!("{}  {}", state.user.id, state.user.username);
    place.print(&describe(&state), text)
}

/// Attributes as they are written: `NAME=VALUE`, always as text.
fn attributes(written: &[String]) -> Result<Attributes, Exit> {
    let read = |text: &String| {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| Exit::refused(format!("--attribute {text:?}: write NAME=VALUE")))?;
        Ok((name.to_owned(), Value::from(value)))
    };
    written.iter().map(read).collect()
}

async fn show(place: &Place, admin: &Admin<'_>, name: &str) -> Result<(), Exit> {
    let state = user::load(admin, name).await?;
    let events = user::events(admin, &state.user.id).await?;
    let described = describe(&state);
    let mut json = described.clone();
    json["events"] = events
        .iter()
        .map(|event| {
            json!({
                "at": event.at.iso_seconds(), "event": event.event, "count": event.count,
                "last_at": event.last_at.map(|at| at.iso_seconds()),
                "actor": event.detail["actor"], "changes": event.detail["changes"],
            })
        })
        .collect();
    let mut text = toml::to_string_pretty(&without_nulls(described)).unwrap_or_default();
    for event in &events {
        let times = match event.count {
            1 => String::new(),
            count => format!("  {count} times"),
        };
        text.push_str(&format!(
            "# {}  {}{times}\n",
            event.at.iso_seconds(),
            event.event
        ));
    }
    place.print(&json, text.trim_end())
}

async fn list(
    place: &Place,
    admin: &Admin<'_>,
    after: Option<String>,
    limit: i64,
) -> Result<(), Exit> {
    let after = after.as_deref().map(Username::parse).transpose();
    let after = after.map_err(|problem| Exit::refused(format!("--after: {problem}")))?;
    let states = user::list(admin, after.as_ref(), limit).await?;
    print_list(place, "users", &states, describe, line)
}

async fn delete(place: &Place, admin: &Admin<'_>, name: &str) -> Result<(), Exit> {
    let user = user::delete(admin, name).await?;
    let text = format!("{}  {}  deleted", user.id, user.username);
    place.print(&json!({"id": user.id, "deleted": true}), text)
}

fn print(place: &Place, state: &UserState) -> Result<(), Exit> {
    place.print(&describe(state), line(state))
}

/// A user in one line: record id, username and what blocks their logins.
fn line(state: &UserState) -> String {
    let user = &state.user;
    let mut words: Vec<String> = Vec::new();
    if user.locked_at.is_some() {
        words.push(String::from("locked"));
    }
    if user.disabled_at.is_some() {
        words.push(String::from("disabled"));
    }
    if let Some(until) = state.locked_out_until {
        words.push(format!("locked out until {}", until.iso_seconds()));
    }
    if words.is_empty() {
        words.push(String::from("active"));
    }
    format!("{}  {}  {}", user.id, user.username, words.join(", "))
}

/// `locked_out_until`: until when wrong passwords block login by password.
fn describe(state: &UserState) -> Value {
    let user = &state.user;
    json!({
        "id": user.id, "username": user.username, "email": user.email, "phone": user.phone,
        "first_name": user.first_name, "last_name": user.last_name, "profile_id": user.profile_id,
        "account_id": user.account_id, "locale": user.locale, "timezone": user.timezone,
        "is_integration": user.is_integration, "attributes": user.attributes,
        "email_verified_at": user.email_verified_at.map(|at| at.iso_seconds()),
        "phone_verified_at": user.phone_verified_at.map(|at| at.iso_seconds()),
        "locked_at": user.locked_at.map(|at| at.iso_seconds()),
        "disabled_at": user.disabled_at.map(|at| at.iso_seconds()),
        "locked_out": state.locked_out_until.is_some(),
        "locked_out_until": state.locked_out_until.map(|at| at.iso_seconds()),
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
