//! `vestibule profile list|show|create|update`: kinds of users and what their passwords must meet.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use vestibule_protocol::identifier::RecordId;

use super::place::{Exit, Installation, Place};
use super::resolve;
use crate::changes::{self, Invalid};
use crate::identity::password::PasswordPolicy;
use crate::identity::{Profile, UserType, prefix};
use crate::settings;
use crate::store;

/// Shows and changes profiles.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// All profiles
    List,
    /// One profile with its password policy
    Show {
        /// Name or record id
        profile: String,
    },
    /// Make a profile
    Create {
        /// Its name
        name: String,
        /// What its users are
        #[arg(long, value_enum, default_value_t = Kind::Customer)]
        kind: Kind,
        /// A rule of the password policy: minimumPasswordLength=12
        #[arg(long = "set", value_name = "KEY=VALUE")]
        set: Vec<String>,
    },
    /// Change the password policy; passwords that are set later must meet it
    Update {
        /// Name or record id
        profile: String,
        /// A rule of the password policy: minimumPasswordLength=12
        #[arg(long = "set", value_name = "KEY=VALUE", required = true)]
        set: Vec<String>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// People who register at a site
    Customer,
    /// Services and staff
    Internal,
}

/// Runs it.
pub async fn run(place: &Place, arguments: Arguments) -> Result<(), Exit> {
    let installation = place.open().await?;
    match arguments.action {
        Action::List => list(place, &installation).await,
        Action::Show { profile } => print(place, &find(&installation, &profile).await?),
        Action::Create { name, kind, set } => create(place, &installation, name, kind, &set).await,
        Action::Update { profile, set } => update(place, &installation, &profile, &set).await,
    }
}

async fn list(place: &Place, installation: &Installation) -> Result<(), Exit> {
    let profiles = resolve::profiles(installation).await?;
    let rows: Vec<_> = profiles
        .iter()
        .map(|profile| json!({"id": profile.id, "name": profile.name}))
        .collect();
    let lines: Vec<String> = profiles
        .iter()
        .map(|profile| format!("{}  {}", profile.id, profile.name))
        .collect();
    place.print(&json!({ "profiles": rows }), lines.join("\n"))
}

async fn create(
    place: &Place,
    installation: &Installation,
    name: String,
    kind: Kind,
    set: &[String],
) -> Result<(), Exit> {
    let profile = Profile {
        id: RecordId::from_random(prefix::PROFILE, installation.entropy.bytes()).to_string(),
        name,
        user_type: match kind {
            Kind::Customer => UserType::CspLitePortal,
            Kind::Internal => UserType::Standard,
        },
        password_policy: changed(&PasswordPolicy::default(), set)?,
        created_at: installation.clock.now(),
    };
    let is_new = installation
        .store
        .write("profile.create", profile.clone(), |tx, profile| {
            Box::pin(async move {
                store::installation::bump(tx).await?;
                store::profile::insert(tx, profile).await
            })
        })
        .await?;
    if !is_new {
        return Err(Exit::refused(format!(
            "a profile named {:?} exists already",
            profile.name
        )));
    }
    print(place, &profile)
}

async fn update(
    place: &Place,
    installation: &Installation,
    name: &str,
    set: &[String],
) -> Result<(), Exit> {
    let updated = installation
        .store
        .write(
            "profile.update",
            (name.to_owned(), set.to_vec()),
            |tx, (name, set)| {
                Box::pin(async move {
                    // The bump locks the installation's row, so that of two changes none is lost.
                    store::installation::bump(tx).await?;
                    let updated =
                        named(store::profile::list(tx).await?, name).and_then(|profile| {
                            let password_policy = changed(&profile.password_policy, set)?;
                            Ok(Profile {
                                password_policy,
                                ..profile
                            })
                        });
                    if let Ok(Profile {
                        id,
                        password_policy,
                        ..
                    }) = &updated
                    {
                        store::profile::update_policy(tx, id, password_policy).await?;
                    }
                    Ok(updated)
                })
            },
        )
        .await??;
    print(place, &updated)
}

/// The policy with changes from the command line, checked as a whole.
fn changed(current: &PasswordPolicy, set: &[String]) -> Result<PasswordPolicy, Exit> {
    let changes = settings::parse_changes(set).map_err(Exit::refused)?;
    let policy: PasswordPolicy = changes::apply(current, &changes)?;
    policy
        .validate()
        .map_err(|problem| Invalid::new(problem.field, format!("takes {}", problem.allowed)))?;
    Ok(policy)
}

async fn find(installation: &Installation, name: &str) -> Result<Profile, Exit> {
    named(resolve::profiles(installation).await?, name)
}

fn named(profiles: Vec<Profile>, name: &str) -> Result<Profile, Exit> {
    profiles
        .into_iter()
        .find(|profile| profile.id == name || profile.name == name)
        .ok_or_else(|| Exit::missing(format!("there is no profile {name:?}")))
}

fn print(place: &Place, profile: &Profile) -> Result<(), Exit> {
    let json = json!({
        "id": profile.id, "name": profile.name, "user_type": profile.user_type.as_str(),
        "password_policy": profile.password_policy,
    });
    let policy = toml::to_string_pretty(&profile.password_policy).unwrap_or_default();
    let text = format!(
        "# {} ({}), {}\n{}",
        profile.name,
        profile.id,
        profile.user_type.as_str(),
        policy.trim_end()
    );
    place.print(&json, text)
}
