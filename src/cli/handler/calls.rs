//! `handler calls` and `handler replay`: what was called, with everything that is kept of it, and again.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{chosen, find, input};
use crate::app::handlers::open_record;
use crate::cli::place::{Exit, Installation, Place};
use crate::cli::resolve;
use crate::handler::body::Body;
use crate::handler::contract::Contract;
use crate::handler::record::{CallRecord, Outcome};
use crate::handler::replay::{self, Replayed};
use crate::store;
use crate::store::handler::Handler;
use crate::store::handler_call::{Filter, HandlerCall};

/// Lists calls, or shows one.
#[derive(Args)]
pub struct Calls {
    /// A call's id, as the list and the log have it; all without ("show" may stand before it)
    #[arg(value_name = "CALL", num_args = 0..=2)]
    call: Vec<String>,
    /// Of this handler only
    #[arg(long, value_name = "NAME")]
    handler: Option<String>,
    /// At this site only: name or record id
    #[arg(long)]
    site: Option<String>,
    /// With this outcome only
    #[arg(long, value_enum)]
    outcome: Option<OutcomeWord>,
    /// At most so many
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=1000))]
    limit: i64,
}

#[derive(Clone, Copy, ValueEnum)]
enum OutcomeWord {
    Ok,
    Failed,
}

impl Calls {
    /// Runs it.
    pub async fn run(self, place: &Place, installation: &Installation) -> Result<(), Exit> {
        let words: Vec<&str> = self.call.iter().map(String::as_str).collect();
        match words[..] {
            [] | ["list"] => self.list(place, installation).await,
            [id] if id != "show" => show(place, installation, id).await,
            ["show", id] => show(place, installation, id).await,
            _ => Err(Exit::misused("name one call, or none for a list")),
        }
    }

    async fn list(&self, place: &Place, installation: &Installation) -> Result<(), Exit> {
        let handlers = resolve::handlers(installation).await?;
        let sites = sites(installation).await?;
        let handler_id = match &self.handler {
            Some(name) => Some(find(installation, name).await?.id),
            None => None,
        };
        let site_id = match &self.site {
            None => None,
            Some(name) => {
                let found = sites.iter().find(|(id, known)| id == name || known == name);
                let found =
                    found.ok_or_else(|| Exit::missing(format!("there is no site {name:?}")))?;
                Some(found.0.clone())
            }
        };
        let outcome = self.outcome.map(|outcome| match outcome {
            OutcomeWord::Ok => String::from("ok"),
            OutcomeWord::Failed => String::from("failed"),
        });
        let filter = Filter {
            handler_id,
            site_id,
            outcome,
            limit: self.limit,
        };
        let calls = installation
            .store
            .read("handler.calls", &filter, |tx, filter| {
                Box::pin(store::handler_call::list(tx, filter))
            })
            .await?;
        let rows: Vec<Value> = calls
            .iter()
            .map(|call| row(call, &handlers, &sites))
            .collect();
        let lines: Vec<String> = rows
            .iter()
            .map(|row| {
                let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
                format!(
                    "{}  {}  {:<24} {:<7} {:>7} µs cpu {:>9} µs  {}",
                    text("id"),
                    text("at"),
                    format!("{} @{}", text("handler"), row["version"]),
                    text("outcome"),
                    row["cpu_micros"].to_string(),
                    row["wall_micros"].to_string(),
                    text("site"),
                )
            })
            .collect();
        place.print(&json!({ "calls": rows }), lines.join("\n"))
    }
}

/// Record ids and names of the sites.
async fn sites(installation: &Installation) -> Result<Vec<(String, String)>, Exit> {
    let sites = installation
        .store
        .read("site.list", &(), |tx, ()| Box::pin(store::site::list(tx)))
        .await?;
    Ok(sites.into_iter().map(|site| (site.id, site.name)).collect())
}

fn row(call: &HandlerCall, handlers: &[Handler], sites: &[(String, String)]) -> Value {
    let handler = handlers
        .iter()
        .find(|handler| handler.id == call.handler_id);
    let site = sites.iter().find(|(id, _)| *id == call.site_id);
    json!({
        "id": call.id, "at": call.at.iso_seconds(),
        // What is gone is called by its record id.
        "handler": handler.map_or(&call.handler_id, |handler| &handler.name),
        "version": call.version, "contract": call.contract,
        "site": site.map_or(&call.site_id, |(_, name)| name),
        "request_id": call.request_id, "outcome": call.outcome,
        "cpu_micros": call.cpu_micros, "wall_micros": call.wall_micros,
    })
}

async fn load(installation: &Installation, id: &str) -> Result<(HandlerCall, CallRecord), Exit> {
    let call = installation
        .store
        .read("handler.call", &id.to_owned(), |tx, id| {
            Box::pin(store::handler_call::find(tx, id))
        })
        .await?
        .ok_or_else(|| {
            Exit::missing(format!(
                "there is no call {id:?} (calls are kept as many days as [handlers] calls_kept_days says)"
            ))
        })?;
    let record = open_record(&installation.keyring, &call)?;
    Ok((call, record))
}

async fn show(place: &Place, installation: &Installation, id: &str) -> Result<(), Exit> {
    let (call, record) = load(installation, id).await?;
    let handlers = resolve::handlers(installation).await?;
    let mut json = row(&call, &handlers, &sites(installation).await?);
    let mut lines = vec![
        format!(
            "{} · {} · {} version {} at {}",
            call.id,
            call.at.iso_seconds(),
            json["handler"].as_str().unwrap_or_default(),
            call.version,
            json["site"].as_str().unwrap_or_default()
        ),
        format!(
            "{} µs of processor time, {} µs in all, request {}",
            call.cpu_micros,
            call.wall_micros,
            call.request_id.as_deref().unwrap_or("none")
        ),
        format!("{}({})", call.contract, pretty(&record.argument)),
    ];
    for question in &record.questions {
        lines.push(format!(
            "asked {} {}",
            question.name,
            pretty(&question.argument)
        ));
        lines.push(format!("  → {}", told(&question.answer)));
    }
    let log = record.log.iter();
    lines.extend(log.map(|line| format!("log: {}", line.as_str().unwrap_or_default())));
    lines.push(format!("→ {}", told(&record.outcome)));
    if !record.removed.is_empty() {
        lines.push(format!("removed: {}", record.removed.join(", ")));
    }
    if !record.is_whole {
        lines.push(String::from("(too large to be kept whole)"));
    }
    json["record"] = json!(record);
    place.print(&json, lines.join("\n"))
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Result(value) => pretty(value),
        Outcome::Error { exception, message } => format!("{exception}: {message}"),
    }
}

/// Runs a recorded call again, on its version or on another one.
pub async fn replay(
    place: &Place,
    installation: &Installation,
    id: &str,
    version: Option<i64>,
) -> Result<(), Exit> {
    let (call, record) = load(installation, id).await?;
    let handlers = resolve::handlers(installation).await?;
    let handler = handlers
        .iter()
        .find(|handler| handler.id == call.handler_id);
    let handler = handler.ok_or_else(|| Exit::missing("the handler of this call is gone"))?;
    let versions = installation
        .store
        .read("handler.versions", &handler.id, |tx, id| {
            Box::pin(store::handler::list_versions(tx, id))
        })
        .await?;
    let number = version.unwrap_or(call.version);
    let body =
        Body::parse(&chosen(&versions, &handler.name, number)?.body).map_err(Exit::broken)?;
    let Body::Script { source, .. } = body else {
        return Err(Exit::refused(
            "this was a call of a webhook, and nobody is called for a replay",
        ));
    };
    let contract = Contract::parse(&call.contract)
        .ok_or_else(|| Exit::broken("this call has an unknown contract"))?;
    let engine = input::engine(place)?;
    let program = input::compile_version(&engine, &handler.name, number, &source).await?;
    let replayed = replay::replay(&engine, &program, contract, &record).await;
    let replayed = replayed.map_err(Exit::refused)?;
    tell_replay(place, &call, &handler.name, number, &replayed)
}

fn tell_replay(
    place: &Place,
    call: &HandlerCall,
    name: &str,
    number: i64,
    replayed: &Replayed,
) -> Result<(), Exit> {
    let json = json!({
        "call": call.id, "handler": name, "recorded_version": call.version, "version": number,
        "is_same": replayed.is_same(), "output": replayed.output, "questions": replayed.questions,
        "outcome": replayed.outcome, "log": replayed.log,
    });
    let mut lines = Vec::new();
    if replayed.is_same() {
        lines.push(String::from("same output"));
    } else {
        lines.push(format!(
            "the output of version {} (-) and of version {number} (+):",
            call.version
        ));
        lines.extend(replayed.output.iter().cloned());
    }
    if !replayed.questions.is_empty() {
        lines.push(String::from("the questions differ:"));
        lines.extend(replayed.questions.iter().cloned());
    }
    place.print(&json, lines.join("\n"))?;
    match replayed.is_same() {
        true => Ok(()),
        false => Err(Exit::broken(format!(
            "the output of call {} differs",
            call.id
        ))),
    }
}
