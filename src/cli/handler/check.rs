//! `handler check`: a script is compiled and tried out against fixtures.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};

use super::{ContractWord, input};
use crate::admin::handler::{self, ScriptSource};
use crate::app::handlers::script_name;
use crate::cli::exit::Exit;
use crate::cli::place::Place;
use crate::handler::body::Body;
use crate::handler::contract::Contract;
use crate::handler::fixture::Fixture;
use crate::handler::record::RecordedOutcome;
use crate::handler::replay;
use crate::handler::script::{Program, ScriptCall, ScriptEngine, ScriptRun};
use crate::moment::{Clock, Entropy};

/// Compiles a script and tries it out.
#[derive(Args)]
pub struct Check {
    /// A file, or the name of a handler
    script: String,
    /// What it is for; most scripts say so themselves
    #[arg(long, value_enum)]
    contract: Option<ContractWord>,
    /// A file of fixtures, or a directory of such files (*.json), instead of the built-in ones
    #[arg(long, value_name = "PATH")]
    fixtures: Vec<PathBuf>,
}

/// What came of one fixture.
struct Trial {
    name: String,
    ran: ScriptRun,
    outcome: RecordedOutcome,
    problems: Vec<String>,
}

impl Check {
    /// Runs it.
    pub async fn run(self, place: &Place) -> Result<(), Exit> {
        let (script, named) = self.script(place).await?;
        let engine = input::engine(place)?;
        let program = handler::compile(&engine, &script).await?;
        let contract = handler::contract_of(&program, named)
            .map_err(|invalid| input::exit_of(invalid.into()))?;
        let fixtures = self.fixtures(contract)?;
        let mut trials = Vec::with_capacity(fixtures.len());
        for fixture in fixtures {
            trials.push(tried(&engine, &program, contract, fixture).await);
        }
        report(place, &script.label, contract, &trials)
    }

    /// The script that is tried out, of a file or a handler, and its contract if that is known.
    async fn script(&self, place: &Place) -> Result<(ScriptSource, Option<Contract>), Exit> {
        let path = Path::new(&self.script);
        if path.is_file() {
            let named = self.contract.map(ContractWord::contract);
            return Ok((input::read_script(path)?, named));
        }
        if self.script.contains(['/', '.']) {
            return Err(Exit::missing(format!("there is no file {}", self.script)));
        }
        let installation = place.open().await?;
        let admin = installation.admin();
        let handler = handler::load(&admin, &self.script).await?;
        match handler::load_body(&admin, &handler, handler.version).await? {
            Body::Webhook { .. } => Err(Exit::refused(format!(
                "{:?} is a webhook: only scripts are tried out",
                handler.name
            ))),
            Body::Script { source, .. } => {
                let script = ScriptSource {
                    label: script_name(&handler.name, handler.version),
                    text: source,
                };
                Ok((script, Some(handler.contract)))
            }
        }
    }

    fn fixtures(&self, contract: Contract) -> Result<Vec<Fixture>, Exit> {
        if self.fixtures.is_empty() {
            return Ok(Fixture::built_in(contract));
        }
        let mut files = Vec::new();
        for path in &self.fixtures {
            if path.is_dir() {
                files.extend(json_files(path)?);
            } else {
                files.push(path.clone());
            }
        }
        let mut fixtures = Vec::new();
        for path in files {
            let text = input::read_text(&path)?;
            let shown = path.display();
            let read = Fixture::parse(&text)
                .map_err(|problem| Exit::refused(format!("{shown}: {problem}")))?;
            let is_one = read.len() == 1;
            for (number, mut fixture) in (1..).zip(read) {
                if fixture.name.is_empty() {
                    fixture.name = if is_one {
                        shown.to_string()
                    } else {
                        format!("{shown} ({number})")
                    };
                }
                fixtures.push(fixture);
            }
        }
        if fixtures.is_empty() {
            return Err(Exit::refused("there are no fixtures"));
        }
        Ok(fixtures)
    }
}

fn json_files(directory: &Path) -> Result<Vec<PathBuf>, Exit> {
    let refused =
        |error: std::io::Error| Exit::refused(format!("{}: {error}", directory.display()));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(refused)? {
        let path = entry.map_err(refused)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

async fn tried(
    engine: &ScriptEngine,
    program: &Arc<Program>,
    contract: Contract,
    fixture: Fixture,
) -> Trial {
    let call = ScriptCall {
        function: contract.as_str(),
        argument: fixture.argument.clone(),
        at: Clock::System.now(),
        seed: Entropy::Os.bytes(),
    };
    let fixture = Arc::new(fixture);
    let world = Arc::clone(&fixture);
    let ran = engine.run(program, call, world).await;
    let outcome = RecordedOutcome::of(&replay::outcome(contract, &ran));
    Trial {
        name: fixture.name.clone(),
        problems: fixture.judge(contract, &outcome),
        outcome,
        ran,
    }
}

fn report(place: &Place, file: &str, contract: Contract, trials: &[Trial]) -> Result<(), Exit> {
    let failed = trials
        .iter()
        .filter(|trial| !trial.problems.is_empty())
        .count();
    let rows: Vec<Value> = trials.iter().map(row).collect();
    let json = json!({
        "file": file, "contract": contract.as_str(), "failed": failed, "trials": rows,
    });
    let mut lines = vec![format!("{file} compiles, for {}", contract.as_str())];
    for trial in trials {
        let word = if trial.problems.is_empty() {
            "pass"
        } else {
            "FAIL"
        };
        let micros = trial.ran.cpu.as_micros();
        lines.push(format!(
            "{word}  {} ({micros} µs of processor time)",
            trial.name
        ));
        match &trial.outcome {
            RecordedOutcome::Result(value) => lines.push(format!("      → {value}")),
            RecordedOutcome::Error { exception, message } => {
                lines.push(format!("      → {exception}: {message}"));
            }
        }
        lines.extend(
            trial
                .problems
                .iter()
                .map(|problem| format!("      {problem}")),
        );
        let log = replay::log(&trial.ran);
        lines.extend(
            log.iter()
                .map(|line| format!("      log: {}", line.as_str().unwrap_or_default())),
        );
    }
    place.print(&json, lines.join("\n"))?;
    match failed {
        0 => Ok(()),
        _ => Err(Exit::refused(format!(
            "{failed} of {} trials failed",
            trials.len()
        ))),
    }
}

fn row(trial: &Trial) -> Value {
    let micros = |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    json!({
        "name": trial.name, "is_passed": trial.problems.is_empty(), "problems": trial.problems,
        "outcome": trial.outcome, "log": replay::log(&trial.ran),
        "cpu_micros": micros(trial.ran.cpu), "wall_micros": micros(trial.ran.wall),
    })
}
