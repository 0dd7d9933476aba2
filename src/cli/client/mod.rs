//! `vestibule client create|list|show|update|rotate-secret|certificate`.

mod certificate;

use clap::Subcommand;
use serde_json::{Value, json};

use super::exit::Exit;
use super::noun::{print_list, print_with_names, read_changes};
use super::output;
use super::place::Place;
use crate::admin::Admin;
use crate::admin::client::{self, ClientWithSecret, CreateClient, SealedClient, UpdateClient};

/// The actions of the noun.
#[derive(Subcommand)]
pub enum Action {
    /// Create a client app; its secret is shown this once
    Create {
        /// Its name
        name: String,
        /// A policy, by its documented name: callbackUrl=https://app.example.com/cb
        #[arg(long = "set", value_name = "KEY=VALUE")]
        set: Vec<String>,
    },
    /// List all client apps
    List,
    /// Show a client app with all its policies
    Show {
        /// Consumer key or name
        client: String,
    },
    /// Change policies; a running server uses them within a second
    Update {
        /// Consumer key or name
        client: String,
        /// A policy, by its documented name
        #[arg(long = "set", value_name = "KEY=VALUE", required = true)]
        set: Vec<String>,
    },
    /// The certificates with whose keys a first-party app signs its assertions and attestations
    Certificate {
        #[command(subcommand)]
        action: certificate::Action,
    },
    /// Replace the secret; the old one ends within a second
    RotateSecret {
        /// Consumer key or name
        client: String,
    },
}

/// Runs it.
pub async fn run(place: &Place, action: Action) -> Result<(), Exit> {
    let installation = place.open().await?;
    let admin = installation.admin();
    match action {
        Action::Create { name, set } => {
            let changes = read_changes(&set, &[])?;
            let request = CreateClient { name, changes };
            let made = client::create(&admin, request).await?;
            warn_of_no_profile(&made.client);
            print_with_secret(place, &admin, &made).await
        }
        Action::List => print_list(
            place,
            "clients",
            &client::list(&admin).await?,
            |client| json!({"client_id": client.id, "name": client.name}),
            |client| format!("{}  {}", client.id, client.name),
        ),
        Action::Show { client } => {
            print(place, &admin, &client::load(&admin, &client).await?, None).await
        }
        Action::Update { client, set } => {
            let changes = read_changes(&set, &[])?;
            let request = UpdateClient { client, changes };
            let client = client::update(&admin, request).await?;
            print(place, &admin, &client, None).await
        }
        Action::Certificate { action } => certificate::run(place, &admin, action).await,
        Action::RotateSecret { client } => {
            let made = client::rotate_secret(&admin, &client).await?;
            print_with_secret(place, &admin, &made).await
        }
    }
}

/// A new app admits the users of the profiles that it permits, and there is none by default.
fn warn_of_no_profile(client: &SealedClient) {
    if client.policies.permitted_profiles.is_empty() {
        output::report(format_args!(
            "warning: {0} permits no profile, so no user can log in to it: vestibule client update {0} \
             --set permittedProfiles=Customer\n",
            client.name
        ));
    }
}

async fn print_with_secret(
    place: &Place,
    admin: &Admin<'_>,
    made: &ClientWithSecret,
) -> Result<(), Exit> {
    print(place, admin, &made.client, Some(made.secret.expose())).await
}

async fn print(
    place: &Place,
    admin: &Admin<'_>,
    client: &SealedClient,
    secret: Option<&str>,
) -> Result<(), Exit> {
    let mut json = json!({
        "client_id": client.id, "name": client.name,
        "disabled_at": client.disabled_at.map(|at| at.iso_seconds()),
        "policies": client.policies,
    });
    let mut heading = format!("# {}\nclient_id = \"{}\"", client.name, client.id);
    if let Some(secret) = secret {
        json["client_secret"] = Value::from(secret);
        heading.push_str(&format!(
            "\nclient_secret = \"{secret}\"   # shown this once"
        ));
    }
    print_with_names(place, admin, &json, &heading, &client.policies).await
}
