//! `vestibule handler create|check|set|list|show|rollback|delete|calls|replay|types`: the customer's own code.
//!
//! What a command is given is read in `handler/input.rs`; trials stand in `handler/check.rs`, the records of
//! calls in `handler/calls.rs`.

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use vestibule_protocol::identifier::RecordId;

use super::output;
use super::place::{Exit, Installation, Place};
use super::resolve;
use crate::handler::body::Body;
use crate::handler::contract::Contract;
use crate::handler::types;
use crate::moment::Moment;
use crate::refusal::Fault;
use crate::settings::Site;
use crate::store::audit::AuditEvent;
use crate::store::handler::{Handler, HandlerVersion};
use crate::store::{self, Transaction};

mod calls;
mod check;
mod input;
mod write;

/// Shows and changes handlers.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make a handler, from a template, a file or a URL
    #[command(group(
        ArgGroup::new("from").args(["template", "file", "webhook"]).required(true)
    ))]
    Create(write::Create),
    /// Compile a script and try it out
    Check(check::Check),
    /// Make a new version and have it called; a running server has it within a second
    #[command(group(
        ArgGroup::new("change").args(["file", "webhook", "secret_file", "allow_host", "no_hosts"])
            .required(true).multiple(true)
    ))]
    Set(write::Set),
    /// All handlers
    List,
    /// One handler with its versions
    Show {
        /// Its name
        name: String,
        /// This version, instead of the current one
        #[arg(long, value_name = "N")]
        version: Option<i64>,
        /// Print the script and nothing else
        #[arg(long)]
        source: bool,
    },
    /// Have an older version called again
    Rollback {
        /// Its name
        name: String,
        /// This version, instead of the one before the current one
        #[arg(long, value_name = "N")]
        to: Option<i64>,
    },
    /// Remove a handler that no site uses
    Delete {
        /// Its name
        name: String,
    },
    /// The latest calls, or one of them with everything that is kept of it
    Calls(calls::Calls),
    /// Run a recorded call of a script again, and say what is different
    Replay {
        /// The call's id
        call: String,
        /// On this version, instead of the one that was called
        #[arg(long, value_name = "N")]
        version: Option<i64>,
    },
    /// TypeScript declarations, or JSON Schemas, of arguments and results
    Types {
        /// The contract whose schema is printed; all without
        contract: Option<ContractWord>,
        /// JSON Schema instead of TypeScript
        #[arg(long)]
        schema: bool,
    },
}

/// The contracts as the command line writes them.
#[derive(Clone, Copy, ValueEnum)]
pub enum ContractWord {
    #[value(name = "createUser")]
    CreateUser,
    #[value(name = "discoverUser")]
    DiscoverUser,
    #[value(name = "sendOneTimePassword")]
    SendOneTimePassword,
}

impl ContractWord {
    /// The contract.
    pub fn contract(self) -> Contract {
        match self {
            ContractWord::CreateUser => Contract::CreateUser,
            ContractWord::DiscoverUser => Contract::DiscoverUser,
            ContractWord::SendOneTimePassword => Contract::SendOneTimePassword,
        }
    }
}

/// Runs it.
pub async fn run(place: &Place, arguments: Arguments) -> Result<(), Exit> {
    match arguments.action {
        Action::Types { contract, schema } => print_types(place, contract, schema),
        Action::Create(create) => create.run(place).await,
        Action::Check(check) => check.run(place).await,
        Action::Set(set) => set.run(place, &place.open().await?).await,
        Action::List => list(place, &place.open().await?).await,
        Action::Show {
            name,
            version,
            source,
        } => show(place, &place.open().await?, &name, version, source).await,
        Action::Rollback { name, to } => rollback(place, &place.open().await?, name, to).await,
        Action::Delete { name } => delete(place, &place.open().await?, name).await,
        Action::Calls(calls) => calls.run(place, &place.open().await?).await,
        Action::Replay { call, version } => {
            calls::replay(place, &place.open().await?, &call, version).await
        }
    }
}

fn print_types(place: &Place, contract: Option<ContractWord>, is_schema: bool) -> Result<(), Exit> {
    if !is_schema {
        if contract.is_some() {
            return Err(Exit::misused(
                "the declarations are one file: leave the contract out, or give --schema",
            ));
        }
        return match place.is_json() {
            true => output::print(json!({ "declarations": types::DECLARATIONS })),
            false => output::print(types::DECLARATIONS.trim_end()),
        };
    }
    let text = match contract {
        Some(word) => types::schema(word.contract()).to_owned(),
        None => {
            let read = |contract: Contract| -> (String, Value) {
                let schema = serde_json::from_str(types::schema(contract));
                (contract.as_str().to_owned(), schema.unwrap_or_default())
            };
            let all: Value = Contract::ALL.map(read).into_iter().collect();
            serde_json::to_string_pretty(&all).unwrap_or_default()
        }
    };
    output::print(text.trim_end())
}

async fn list(place: &Place, installation: &Installation) -> Result<(), Exit> {
    let handlers = resolve::handlers(installation).await?;
    let rows: Vec<Value> = handlers.iter().map(row).collect();
    let lines: Vec<String> = handlers
        .iter()
        .map(|handler| {
            format!(
                "{:<24} {:<20} {:<8} version {:<4} {}",
                handler.name,
                handler.contract,
                handler.kind,
                handler.version,
                handler.updated_at.iso_seconds()
            )
        })
        .collect();
    place.print(&json!({ "handlers": rows }), lines.join("\n"))
}

fn row(handler: &Handler) -> Value {
    json!({
        "id": handler.id, "name": handler.name, "contract": handler.contract, "kind": handler.kind,
        "version": handler.version, "created_at": handler.created_at.iso_seconds(),
        "updated_at": handler.updated_at.iso_seconds(),
    })
}

async fn show(
    place: &Place,
    installation: &Installation,
    name: &str,
    version: Option<i64>,
    is_source: bool,
) -> Result<(), Exit> {
    let handler = find(installation, name).await?;
    let versions = installation
        .store
        .read("handler.versions", &handler.id, |tx, id| {
            Box::pin(store::handler::list_versions(tx, id))
        })
        .await?;
    let number = version.unwrap_or(handler.version);
    let shown = chosen(&versions, name, number)?;
    let body = Body::parse(&shown.body).map_err(Exit::broken)?;
    if is_source {
        return match body {
            Body::Script { source, .. } if !place.is_json() => output::print(source.trim_end()),
            Body::Script { source, .. } => {
                output::print(json!({"name": name, "version": number, "source": source}))
            }
            Body::Webhook { .. } => Err(Exit::refused(format!(
                "{name:?} is a webhook: it has no source here"
            ))),
        };
    }
    let mut json = row(&handler);
    json["shown_version"] = json!(number);
    json["body"] = json!(body);
    json["versions"] = versions
        .iter()
        .map(|one| json!({"version": one.version, "created_at": one.created_at.iso_seconds()}))
        .collect();
    let mut lines = vec![format!(
        "{} ({}), {} for {}",
        handler.name, handler.id, handler.kind, handler.contract
    )];
    for one in &versions {
        let mark = if one.version == handler.version {
            "current"
        } else {
            ""
        };
        let line = format!(
            "  version {:<4} {}  {mark}",
            one.version,
            one.created_at.iso_seconds()
        );
        lines.push(line.trim_end().to_owned());
    }
    lines.push(match &body {
        Body::Webhook { url } => format!("version {number} calls {url}"),
        Body::Script { allowed_hosts, .. } if allowed_hosts.is_empty() => {
            format!("version {number} may call no host")
        }
        Body::Script { allowed_hosts, .. } => {
            format!("version {number} may call {}", allowed_hosts.join(", "))
        }
    });
    place.print(&json, lines.join("\n"))
}

fn chosen<'v>(
    versions: &'v [HandlerVersion],
    name: &str,
    number: i64,
) -> Result<&'v HandlerVersion, Exit> {
    let found = versions.iter().find(|one| one.version == number);
    found.ok_or_else(|| {
        let last = versions.last().map_or(0, |last| last.version);
        Exit::missing(format!(
            "{name:?} has no version {number}; there are 1 to {last}"
        ))
    })
}

async fn rollback(
    place: &Place,
    installation: &Installation,
    name: String,
    to: Option<i64>,
) -> Result<(), Exit> {
    let event = event(
        installation,
        "handler.rolled_back",
        installation.clock.now(),
    );
    let outcome = installation
        .store
        .write(
            "handler.rollback",
            (name.clone(), to, event),
            |tx, input| Box::pin(write_rollback(tx, input)),
        )
        .await?;
    let (handler, number) = outcome.map_err(|refused| match refused {
        NoRollback::Missing => missing(&name),
        NoRollback::NoVersion(_) if to.is_none() => Exit::missing(format!(
            "{name:?} is at its first version: there is none before it"
        )),
        NoRollback::NoVersion(number) => Exit::missing(format!("{name:?} has no version {number}")),
    })?;
    let text = format!(
        "{name} is at version {number} again (it was at {})",
        handler.version
    );
    let json = json!({"name": name, "version": number, "from_version": handler.version});
    place.print(&json, text)
}

/// Why nothing was rolled back.
enum NoRollback {
    Missing,
    NoVersion(i64),
}

/// Makes an older version the current one. The bump locks the installation's row, so that of two changes
/// each sees what the other has left.
async fn write_rollback(
    tx: &mut Transaction<'_>,
    (name, to, event): &(String, Option<i64>, AuditEvent),
) -> Result<Result<(Handler, i64), NoRollback>, Fault> {
    store::installation::bump(tx).await?;
    let Some(handler) = store::handler::find(tx, name).await? else {
        return Ok(Err(NoRollback::Missing));
    };
    let number = to.unwrap_or(handler.version - 1);
    let version = store::handler::find_version(tx, &handler.id, number).await?;
    if version.is_none() {
        return Ok(Err(NoRollback::NoVersion(number)));
    }
    store::handler::set_current(tx, &handler.id, number, event.at).await?;
    store::audit::insert(tx, &of_version(event, name, number)).await?;
    Ok(Ok((handler, number)))
}

async fn delete(place: &Place, installation: &Installation, name: String) -> Result<(), Exit> {
    let event = event(installation, "handler.deleted", installation.clock.now());
    let deleted = installation
        .store
        .write(
            "handler.delete",
            (name.clone(), event),
            |tx, (name, event)| Box::pin(delete_unless_named(tx, name, event)),
        )
        .await?;
    match deleted {
        Ok(true) => {
            let text = format!("{name} is gone");
            place.print(&json!({"name": name, "deleted": true}), text)
        }
        Ok(false) => Err(missing(&name)),
        Err(named) => Err(Exit::refused(format!(
            "{name:?} is named by {}: change that first",
            named.join(", ")
        ))),
    }
}

/// Removes a handler, or says which settings name it. A setting is written under the lock that the bump
/// takes, so that none comes to name it meanwhile.
async fn delete_unless_named(
    tx: &mut Transaction<'_>,
    name: &str,
    event: &AuditEvent,
) -> Result<Result<bool, Vec<String>>, Fault> {
    store::installation::bump(tx).await?;
    let names_it = |site: &Site| -> Vec<String> {
        let named = site.settings.named_handlers();
        let settings = named.iter().filter(|(_, _, named)| *named == name);
        settings
            .map(|(setting, _, _)| format!("{setting} of site {}", site.name))
            .collect()
    };
    let sites = store::site::list(tx).await?;
    let named: Vec<String> = sites.iter().flat_map(names_it).collect();
    if !named.is_empty() {
        return Ok(Err(named));
    }
    match store::handler::find(tx, name).await? {
        Some(handler) => {
            store::audit::insert(tx, &of_version(event, name, handler.version)).await?;
            store::handler::delete(tx, &handler.id).await.map(Ok)
        }
        None => Ok(Ok(false)),
    }
}

async fn find(installation: &Installation, name: &str) -> Result<Handler, Exit> {
    let found = installation
        .store
        .read("handler.find", &name.to_owned(), |tx, name| {
            Box::pin(store::handler::find(tx, name))
        })
        .await?;
    found.ok_or_else(|| missing(name))
}

/// An event that an administrator brought about.
fn event(installation: &Installation, event: &'static str, at: Moment) -> AuditEvent {
    AuditEvent {
        id: RecordId::from_random("0AE", installation.entropy.bytes()).to_string(),
        at,
        event,
        user_id: None,
        client_id: None,
        site_id: None,
        ip: None,
        request_id: None,
        detail: String::from("{}"),
    }
}

/// The event, when it is known which version of which handler it is about.
fn of_version(event: &AuditEvent, name: &str, version: i64) -> AuditEvent {
    AuditEvent {
        detail: json!({"by": "command line", "handler": name, "version": version}).to_string(),
        ..event.clone()
    }
}

fn missing(name: &str) -> Exit {
    Exit::missing(format!("there is no handler {name:?}"))
}
