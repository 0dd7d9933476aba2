//! `vestibule handler create|check|set|list|show|rollback|delete|calls|replay|types`: custom code.
//!
//! What a command is given is read in `handler/input.rs`; trials are in `handler/check.rs`, the records of
//! calls in `handler/calls.rs`.

use clap::{ArgGroup, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::exit::Exit;
use super::noun::{print_deleted, print_list};
use super::output;
use super::place::Place;
use crate::admin::Admin;
use crate::admin::handler::{self, Handler};
use crate::handler::body::Body;
use crate::handler::contract::Contract;
use crate::handler::types;

mod calls;
mod check;
mod input;
mod write;

/// The actions of the noun.
#[derive(Subcommand)]
pub enum Action {
    /// Create a handler, from a template, a file or a URL
    #[command(group(
        ArgGroup::new("from").args(["template", "file", "webhook"]).required(true)
    ))]
    Create(write::NewHandlerArguments),
    /// Compile a script and try it out
    Check(check::Check),
    /// Make a new version and use it; a running server uses it within a second
    #[command(group(
        ArgGroup::new("change").args(["file", "webhook", "secret_file", "allow_host", "no_hosts"])
            .required(true).multiple(true)
    ))]
    Set(write::Set),
    /// List all handlers
    List,
    /// Show a handler with its versions
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
    /// Use an older version again
    Rollback {
        /// Its name
        name: String,
        /// This version, instead of the one before the current one
        #[arg(long, value_name = "N")]
        to: Option<i64>,
    },
    /// Delete a handler that no site uses
    Delete {
        /// Its name
        name: String,
    },
    /// List the latest calls, or show one with everything that is recorded of it
    Calls(calls::Calls),
    /// Run a recorded call of a script again and show the differences
    Replay {
        /// The call's id
        call: String,
        /// On this version, instead of the one that was called
        #[arg(long, value_name = "N")]
        version: Option<i64>,
    },
    /// Print TypeScript declarations, or JSON Schemas, of arguments and results
    Types {
        /// The contract whose schema is printed [default: all]
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
pub async fn run(place: &Place, action: Action) -> Result<(), Exit> {
    match action {
        Action::Types { contract, schema } => print_types(place, contract, schema),
        Action::Create(create) => create.run(place).await,
        Action::Check(check) => check.run(place).await,
        action => on_installation(place, action).await,
    }
}

async fn on_installation(place: &Place, action: Action) -> Result<(), Exit> {
    let installation = place.open().await?;
    let admin = installation.admin();
    match action {
        Action::Set(set) => set.run(place, &admin).await,
        Action::List => print_list(place, "handlers", &handler::list(&admin).await?, row, line),
        Action::Show {
            name,
            version,
            source,
        } => show(place, &admin, &name, version, source).await,
        Action::Rollback { name, to } => {
            let (before, number) = handler::rollback(&admin, &name, to).await?;
            let was = before.version;
            let text = format!("{name} is at version {number} again (it was at {was})");
            let json = json!({"name": name, "version": number, "from_version": was});
            place.print(&json, text)
        }
        Action::Delete { name } => {
            let deleted = handler::delete(&admin, &name).await?;
            print_deleted(place, &deleted.name)
        }
        Action::Calls(calls) => calls.run(place, &admin).await,
        Action::Replay { call, version } => calls::replay(place, &admin, &call, version).await,
        // These need no installation, or open it when they know what to do.
        Action::Types { .. } | Action::Create(_) | Action::Check(_) => Ok(()),
    }
}

fn print_types(place: &Place, contract: Option<ContractWord>, is_schema: bool) -> Result<(), Exit> {
    if !is_schema {
        if contract.is_some() {
            return Err(Exit::misused(
                "the declarations are one file: leave the contract out, or give --schema",
            ));
        }
        return if place.is_json() {
            output::print(json!({ "declarations": types::DECLARATIONS }))
        } else {
            output::print(types::DECLARATIONS.trim_end())
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

fn row(handler: &Handler) -> Value {
    json!({
        "id": handler.id, "name": handler.name, "contract": handler.contract, "kind": handler.kind,
        "version": handler.version, "created_at": handler.created_at.iso_seconds(),
        "updated_at": handler.updated_at.iso_seconds(),
    })
}

fn line(handler: &Handler) -> String {
    format!(
        "{:<24} {:<20} {:<8} version {:<4} {}",
        handler.name,
        handler.contract,
        handler.kind,
        handler.version,
        handler.updated_at.iso_seconds()
    )
}

async fn show(
    place: &Place,
    admin: &Admin<'_>,
    name: &str,
    version: Option<i64>,
    is_source: bool,
) -> Result<(), Exit> {
    let handler = handler::load(admin, name).await?;
    let number = version.unwrap_or(handler.version);
    let body = handler::load_body(admin, &handler, number).await?;
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
    let versions = handler::versions(admin, &handler).await?;
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
