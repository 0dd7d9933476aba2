//! `handler calls` and `handler replay`: what was called, with everything that is kept of it, and again.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::{Value, json};

use super::input;
use crate::admin::handler::{self, Filter, Handler, HandlerCall};
use crate::admin::{Admin, site};
use crate::cli::exit::Exit;
use crate::cli::place::Place;
use crate::contract::CallOutcome;
use crate::handler::body::Body;
use crate::handler::record::{CallRecord, RecordedOutcome};
use crate::handler::replay::{self, Replayed};
use crate::settings::Site;

/// Lists calls, or shows one.
#[derive(Args)]
pub struct Calls {
    /// A call's id, as in the list and the log [default: list all]; the word "show" may come before it
    #[arg(value_name = "CALL", num_args = 0..=2)]
    call: Vec<String>,
    /// Only calls of this handler
    #[arg(long, value_name = "NAME")]
    handler: Option<String>,
    /// Only calls at this site: name or record id
    #[arg(long)]
    site: Option<String>,
    /// Only calls with this outcome
    #[arg(long, value_parser = outcomes())]
    outcome: Option<CallOutcome>,
    /// How many at most
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=1000))]
    limit: i64,
}

fn outcomes() -> impl TypedValueParser<Value = CallOutcome> {
    PossibleValuesParser::new(CallOutcome::ALL.map(CallOutcome::as_str))
        .try_map(|word| word.parse::<CallOutcome>())
}

impl Calls {
    /// Runs it.
    pub async fn run(self, place: &Place, admin: &Admin<'_>) -> Result<(), Exit> {
        let words: Vec<&str> = self.call.iter().map(String::as_str).collect();
        match words[..] {
            [] | ["list"] => self.list(place, admin).await,
            [id] if id != "show" => show(place, admin, id).await,
            ["show", id] => show(place, admin, id).await,
            _ => Err(Exit::misused("name one call, or none for a list")),
        }
    }

    async fn list(&self, place: &Place, admin: &Admin<'_>) -> Result<(), Exit> {
        let handlers = handler::list(admin).await?;
        let sites = site::list(admin).await?;
        let handler_id = match &self.handler {
            Some(name) => Some(handler::load(admin, name).await?.id),
            None => None,
        };
        let site_id = match &self.site {
            Some(name) => Some(site::load(admin, name).await?.id),
            None => None,
        };
        let filter = Filter {
            handler_id,
            site_id,
            outcome: self.outcome,
            limit: self.limit,
        };
        let calls = handler::calls(admin, &filter).await?;
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

fn row(call: &HandlerCall, handlers: &[Handler], sites: &[Site]) -> Value {
    let handler = handlers
        .iter()
        .find(|handler| handler.id == call.handler_id);
    let site = sites.iter().find(|site| site.id == call.site_id);
    json!({
        "id": call.id, "at": call.at.iso_seconds(),
        // What was deleted is named by its record id.
        "handler": handler.map_or(&call.handler_id, |handler| &handler.name),
        "version": call.version, "contract": call.contract,
        "site": site.map_or(&call.site_id, |site| &site.name),
        "request_id": call.request_id, "outcome": call.outcome,
        "cpu_micros": call.cpu_micros, "wall_micros": call.wall_micros,
    })
}

async fn load(admin: &Admin<'_>, id: &str) -> Result<(HandlerCall, CallRecord), Exit> {
    let loaded = handler::load_call(admin, id).await;
    loaded.map_err(|failure| match Exit::from(failure) {
        Exit { code: 4, message } => Exit::missing(format!(
            "{message} (calls are kept as many days as [handlers] calls_kept_days says)"
        )),
        exit => exit,
    })
}

async fn show(place: &Place, admin: &Admin<'_>, id: &str) -> Result<(), Exit> {
    let (call, record) = load(admin, id).await?;
    let handlers = handler::list(admin).await?;
    let mut json = row(&call, &handlers, &site::list(admin).await?);
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
        lines.push(format!("  → {}", shown(&question.answer)));
    }
    let log = record.log.iter();
    lines.extend(log.map(|line| format!("log: {}", line.as_str().unwrap_or_default())));
    lines.push(format!("→ {}", shown(&record.outcome)));
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

fn shown(outcome: &RecordedOutcome) -> String {
    match outcome {
        RecordedOutcome::Result(value) => pretty(value),
        RecordedOutcome::Error { exception, message } => format!("{exception}: {message}"),
    }
}

/// Runs a recorded call again, on its version or on another one.
pub async fn replay(
    place: &Place,
    admin: &Admin<'_>,
    id: &str,
    version: Option<i64>,
) -> Result<(), Exit> {
    let (call, record) = load(admin, id).await?;
    let handlers = handler::list(admin).await?;
    let handler = handlers
        .iter()
        .find(|handler| handler.id == call.handler_id);
    let handler = handler.ok_or_else(|| Exit::missing("the handler of this call was deleted"))?;
    let number = version.unwrap_or(call.version);
    let Body::Script { source, .. } = handler::load_body(admin, handler, number).await? else {
        return Err(Exit::refused(
            "this was a call of a webhook, and no webhook is called for a replay",
        ));
    };
    let engine = input::engine(place)?;
    let program = handler::compile_version(&engine, &handler.name, number, source).await?;
    let replayed = replay::replay(&engine, &program, call.contract, &record).await;
    let replayed = replayed.map_err(Exit::refused)?;
    report_replay(place, &call, &handler.name, number, &replayed)
}

fn report_replay(
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
    if replayed.is_same() {
        return Ok(());
    }
    let message = format!("the output of call {} differs", call.id);
    Err(Exit::broken(message))
}
