//! `vestibule migrate status|plan|up`.

use clap::Subcommand;
use serde_json::json;

use super::exit::Exit;
use super::place::{Place, open};
use crate::admin::installation::Installation;
use crate::admin::seed;

/// The actions of the noun.
#[derive(Subcommand)]
pub enum Action {
    /// Show which migrations were applied to the database
    Status,
    /// Print the SQL that `up` would run
    Plan,
    /// Apply the missing migrations, and create the organisation and its keys in a new database
    Up,
}

/// Runs it.
pub async fn run(place: &Place, action: Action) -> Result<(), Exit> {
    let installation = open(&place.load_config()?)?;
    match action {
        Action::Status => status(place, &installation).await,
        Action::Plan => plan(place, &installation).await,
        Action::Up => up(place, &installation).await,
    }
}

async fn status(place: &Place, installation: &Installation) -> Result<(), Exit> {
    let states = installation.store.migrations().await?;
    let rows: Vec<_> = states
        .iter()
        .map(|state| {
            json!({"number": state.migration.number, "name": state.migration.name,
                "applied_at": state.applied_at.map(|at| at.iso_seconds())})
        })
        .collect();
    let lines: Vec<String> = states
        .iter()
        .map(|state| {
            let applied = state
                .applied_at
                .map_or("not applied".to_owned(), |at| at.iso_seconds());
            format!(
                "{:04}  {:<32} {applied}",
                state.migration.number, state.migration.name
            )
        })
        .collect();
    place.print(&json!({ "migrations": rows }), lines.join("\n"))
}

async fn plan(place: &Place, installation: &Installation) -> Result<(), Exit> {
    let states = installation.store.migrations().await?;
    let waiting: Vec<_> = states
        .iter()
        .filter(|state| state.applied_at.is_none())
        .collect();
    let rows: Vec<_> = waiting
        .iter()
        .map(|state| {
            json!({"number": state.migration.number, "name": state.migration.name,
                "sql": state.migration.text})
        })
        .collect();
    let text = match waiting.as_slice() {
        [] => "all migrations are applied".to_owned(),
        waiting => waiting
            .iter()
            .map(|state| {
                let migration = state.migration;
                format!(
                    "-- {:04} {}\n{}",
                    migration.number, migration.name, migration.text
                )
            })
            .collect(),
    };
    place.print(&json!({ "waiting": rows }), text)
}

async fn up(place: &Place, installation: &Installation) -> Result<(), Exit> {
    let at = installation.clock.now();
    let applied = installation.store.migrate(at).await?;
    let is_new = seed::installation(&installation.admin()).await?;
    let mut text = match applied.as_slice() {
        [] => "nothing to apply".to_owned(),
        names => format!("applied: {}", names.join(", ")),
    };
    if is_new {
        text.push_str(
            "\ncreated the organisation, its signing keys and the profiles Customer and Integration",
        );
    }
    place.print(&json!({"applied": applied, "is_new": is_new}), text)
}
