//! `vestibule client create|list|show|update|rotate-secret|certificate`.

mod certificate;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::place::{Exit, Installation, Place};
use super::resolve;
use super::seed::{self, Source};
use crate::changes::Invalid;
use crate::client::Policies;
use crate::moment::Moment;
use crate::refusal::Fault;
use crate::settings;
use crate::store::client::SealedClient;
use crate::store::{self, Transaction};
use crate::token::mint_client_secret;

/// Creates and shows client apps.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make a client app; its secret is shown this once
    Create {
        /// Its name
        name: String,
        /// A policy, under its documented name: callbackUrl=https://app.example.com/cb
        #[arg(long = "set", value_name = "KEY=VALUE")]
        set: Vec<String>,
    },
    /// All client apps
    List,
    /// One client app with all its policies
    Show {
        /// Consumer key or name
        client: String,
    },
    /// Change policies; a running server has them within a second
    Update {
        /// Consumer key or name
        client: String,
        /// A policy, under its documented name
        #[arg(long = "set", value_name = "KEY=VALUE", required = true)]
        set: Vec<String>,
    },
    /// The certificates with whose keys a first-party app attests itself
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
pub async fn run(place: &Place, arguments: Arguments) -> Result<(), Exit> {
    let installation = place.open().await?;
    match arguments.action {
        Action::Create { name, set } => create(place, &installation, &name, &set).await,
        Action::List => list(place, &installation).await,
        Action::Show { client } => print(place, &find(&installation, &client).await?, None),
        Action::Update { client, set } => update(place, &installation, &client, &set).await,
        Action::Certificate { action } => certificate::run(place, &installation, action).await,
        Action::RotateSecret { client } => rotate_secret(place, &installation, &client).await,
    }
}

async fn create(
    place: &Place,
    installation: &Installation,
    name: &str,
    set: &[String],
) -> Result<(), Exit> {
    let policies = Policies::default().updated(&changes(installation, set).await?)?;
    let (client, sealed) = seed::new_client(source(installation), name, policies);
    let is_new = installation
        .store
        .write("client.create", sealed.clone(), |tx, client| {
            Box::pin(async move {
                store::installation::bump(tx).await?;
                store::client::insert(tx, client).await
            })
        })
        .await?;
    if !is_new {
        return Err(Exit::refused(format!(
            "a client named {name:?} exists already"
        )));
    }
    print(place, &sealed, Some(client.secret.expose()))
}

async fn list(place: &Place, installation: &Installation) -> Result<(), Exit> {
    let clients = all(installation).await?;
    let rows: Vec<_> = clients
        .iter()
        .map(|client| json!({"client_id": client.id, "name": client.name}))
        .collect();
    let lines: Vec<String> = clients
        .iter()
        .map(|client| format!("{}  {}", client.id, client.name))
        .collect();
    place.print(&json!({ "clients": rows }), lines.join("\n"))
}

async fn update(
    place: &Place,
    installation: &Installation,
    name: &str,
    set: &[String],
) -> Result<(), Exit> {
    let changes = changes(installation, set).await?;
    print(place, &write(installation, name, changes).await?, None)
}

/// Changes the policies of a client, as a whole or not at all.
async fn write(
    installation: &Installation,
    name: &str,
    changes: Map<String, Value>,
) -> Result<SealedClient, Exit> {
    let change = Change {
        name: name.to_owned(),
        changes,
        at: installation.clock.now(),
    };
    let outcome = installation
        .store
        .write("client.update", change, |tx, change| {
            Box::pin(write_change(tx, change))
        })
        .await?;
    match outcome {
        Ok(client) => Ok(client),
        Err(Refused::Missing) => Err(missing(name)),
        Err(Refused::Invalid(invalid)) => Err(invalid.into()),
    }
}

/// A change of policies that waits to be written.
struct Change {
    name: String,
    changes: Map<String, Value>,
    at: Moment,
}

/// Why a change was not written.
enum Refused {
    Missing,
    Invalid(Invalid),
}

/// Changes the client as it is now. The version of all settings is raised first: that row is locked
/// from then on, so that of two administrators the second reads what the first has written.
async fn write_change(
    tx: &mut Transaction<'_>,
    change: &Change,
) -> Result<Result<SealedClient, Refused>, Fault> {
    store::installation::bump(tx).await?;
    let Some(mut client) = named(store::client::list(tx).await?, &change.name) else {
        return Ok(Err(Refused::Missing));
    };
    client.policies = match client.policies.updated(&change.changes) {
        Ok(policies) => policies,
        Err(invalid) => return Ok(Err(Refused::Invalid(invalid))),
    };
    store::client::update_policies(tx, &client.id, &client.policies, change.at).await?;
    Ok(Ok(client))
}

async fn rotate_secret(place: &Place, installation: &Installation, name: &str) -> Result<(), Exit> {
    let client = find(installation, name).await?;
    let secret = mint_client_secret(&installation.entropy);
    let sealed = seed::seal_secret(source(installation), &client.id, &secret.text);
    let input = (
        client.id.clone(),
        secret.hash,
        sealed,
        installation.clock.now(),
    );
    installation
        .store
        .write(
            "client.rotate_secret",
            input,
            |tx, (id, hash, sealed, at)| {
                Box::pin(async move {
                    store::client::update_secret(tx, id, hash, sealed, *at).await?;
                    store::installation::bump(tx).await
                })
            },
        )
        .await?;
    print(place, &client, Some(secret.text.expose()))
}

/// The changes of the command line, with record ids in place of names.
async fn changes(installation: &Installation, set: &[String]) -> Result<Map<String, Value>, Exit> {
    let mut changes: Map<String, Value> = settings::parse_changes(set).map_err(Exit::refused)?;
    expect_policies(&changes)?;
    if let Some(certificates) = changes.get("clientAssertionCertificate") {
        certificate::check_dates(certificates, installation.clock.now())?;
    }
    if let Some(Value::String(names)) = changes.get("permittedProfiles") {
        let names: Vec<Value> = names
            .split(',')
            .map(|name| Value::from(name.trim()))
            .collect();
        changes.insert("permittedProfiles".to_owned(), Value::Array(names));
    }
    resolve::profile_setting(installation, &mut changes, "permittedProfiles").await?;
    resolve::user_setting(installation, &mut changes, "clientCredentialsFlowUser").await?;
    Ok(changes)
}

/// An unknown key is told as what it is on this command line: no policy.
fn expect_policies(changes: &Map<String, Value>) -> Result<(), Exit> {
    let known = match serde_json::to_value(Policies::default()) {
        Ok(Value::Object(known)) => known,
        _ => return Err(Exit::broken("the policies cannot be listed")),
    };
    match changes.keys().find(|key| !known.contains_key(*key)) {
        None => Ok(()),
        Some(key) => {
            let known: Vec<&str> = known.keys().map(String::as_str).collect();
            Err(Exit::refused(format!(
                "{key}: there is no such policy; there are {}",
                known.join(", ")
            )))
        }
    }
}

fn source(installation: &Installation) -> Source<'_> {
    Source {
        store: &installation.store,
        keyring: &installation.keyring,
        entropy: &installation.entropy,
        at: installation.clock.now(),
    }
}

async fn all(installation: &Installation) -> Result<Vec<SealedClient>, Exit> {
    let clients = installation
        .store
        .read("client.list", &(), |tx, ()| {
            Box::pin(store::client::list(tx))
        })
        .await?;
    Ok(clients)
}

async fn find(installation: &Installation, name: &str) -> Result<SealedClient, Exit> {
    named(all(installation).await?, name).ok_or_else(|| missing(name))
}

fn named(clients: Vec<SealedClient>, name: &str) -> Option<SealedClient> {
    clients
        .into_iter()
        .find(|client| client.id == name || client.name == name)
}

fn missing(name: &str) -> Exit {
    Exit::missing(format!(
        "there is no client {name:?}; `vestibule client list` shows them"
    ))
}

fn print(place: &Place, client: &SealedClient, secret: Option<&str>) -> Result<(), Exit> {
    let mut json = json!({
        "client_id": client.id, "name": client.name,
        "disabled_at": client.disabled_at.map(|at| at.iso_seconds()),
        "policies": client.policies,
    });
    let mut text = format!("# {}\nclient_id = \"{}\"\n", client.name, client.id);
    if let Some(secret) = secret {
        json["client_secret"] = Value::from(secret);
        text.push_str(&format!(
            "client_secret = \"{secret}\"   # shown this once\n"
        ));
    }
    text.push_str(&toml::to_string_pretty(&client.policies).unwrap_or_default());
    place.print(&json, text.trim_end())
}
