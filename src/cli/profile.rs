//! `vestibule profile list|show|create|update`: kinds of users and what their passwords must meet.

use clap::{Subcommand, ValueEnum};
use serde_json::json;

use super::exit::Exit;
use super::noun::{print_list, print_object, read_changes};
use super::place::Place;
use crate::admin::profile::{self, CreateProfile, UpdateProfile};
use crate::identity::{Profile, UserType};

/// The actions of the noun.
#[derive(Subcommand)]
pub enum Action {
    /// List all profiles
    List,
    /// Show a profile with its password policy
    Show {
        /// Name or record id
        profile: String,
    },
    /// Create a profile
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
pub enum Kind {
    /// People who register at a site
    Customer,
    /// Services and staff
    Internal,
}

/// Runs it.
pub async fn run(place: &Place, action: Action) -> Result<(), Exit> {
    let installation = place.open().await?;
    let admin = installation.admin();
    match action {
        Action::List => print_list(
            place,
            "profiles",
            &profile::list(&admin).await?,
            |profile| json!({"id": profile.id, "name": profile.name}),
            |profile| format!("{}  {}", profile.id, profile.name),
        ),
        Action::Show { profile } => print(place, &profile::load(&admin, &profile).await?),
        Action::Create { name, kind, set } => {
            let request = CreateProfile {
                name,
                user_type: match kind {
                    Kind::Customer => UserType::CspLitePortal,
                    Kind::Internal => UserType::Standard,
                },
                changes: read_changes(&set, &[])?,
            };
            print(place, &profile::create(&admin, request).await?)
        }
        Action::Update { profile, set } => {
            let changes = read_changes(&set, &[])?;
            let request = UpdateProfile { profile, changes };
            print(place, &profile::update(&admin, request).await?)
        }
    }
}

fn print(place: &Place, profile: &Profile) -> Result<(), Exit> {
    let (name, id, user_type) = (&profile.name, &profile.id, profile.user_type.as_str());
    let policy = &profile.password_policy;
    let json = json!({
        "id": id, "name": name, "user_type": user_type, "password_policy": policy,
    });
    print_object(
        place,
        &json,
        &format!("# {name} ({id}), {user_type}"),
        policy,
    )
}
