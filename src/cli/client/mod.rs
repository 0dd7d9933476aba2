//! `vestibule client create|list|show|update|rotate-secret|certificate`.

mod certificate;

use clap::Subcommand;
use serde_json::{Value, json};

use super::exit::Exit;
use super::noun::{print_list, print_object, read_changes};
use super::place::Place;
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
            let changes = read_changes(&set)?;
            let request = CreateClient { name, changes };
            print_with_secret(place, &client::create(&admin, request).await?)
        }
        Action::List => print_list(
            place,
            "clients",
            &client::list(&admin).await?,
            |client| json!({"client_id": client.id, "name": client.name}),
            |client| format!("{}  {}", client.id, client.name),
        ),
        Action::Show { client } => print(place, &client::load(&admin, &client).await?, None),
        Action::Update { client, set } => {
            let changes = read_changes(&set)?;
            let request = UpdateClient { client, changes };
            print(place, &client::update(&admin, request).await?, None)
        }
        Action::Certificate { action } => certificate::run(place, &admin, action).await,
        Action::RotateSecret { client } => {
            print_with_secret(place, &client::rotate_secret(&admin, &client).await?)
        }
    }
}

fn print_with_secret(place: &Place, made: &ClientWithSecret) -> Result<(), Exit> {
    print(place, &made.client, Some(made.secret.expose()))
}

fn print(place: &Place, client: &SealedClient, secret: Option<&str>) -> Result<(), Exit> {
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
    print_object(place, &json, &heading, &client.policies)
}
