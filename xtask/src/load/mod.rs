//! `cargo xtask load`: a release build of the server under load, on this machine.
//!
//! Wall-clock figures of a shared machine are of little use, so the important figure is *iterations per
//! processor-second of the server*: its work, divided by the time that its own threads were running. The parts:
//! [`server`] is the process and its meters, [`http`] the client, [`flow`] the requests and their checks, [`drive`]
//! the workers, [`report`] the result.

mod compare;
mod drive;
pub mod encode;
mod flow;
pub mod http;
pub mod installation;
mod report;
pub mod server;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use crate::args::Args;
use crate::load::drive::Plan;
use crate::load::flow::Scenario;
use crate::load::installation::Installation;
use crate::load::report::Report;
use crate::load::server::Server;
use crate::outcome::{Context, Outcome};
use crate::step;

/// The text of `--help`.
pub const HELP: &str = "\
Start a release build of the server on a fresh data directory and measure it under load.

Usage: cargo xtask load [options]

  --scenario NAME     jwks, client_credentials (JWT), client_credentials_opaque, userinfo (opaque token),
                      refresh (rotating), passwordless_init, passwordless_login (init, code, authorize, token),
                      password_login, registration (init, code, authorize, token) or all (all)
  --connections N     Workers, each with a connection and users of its own (16)
  --seconds N         Measured time of each scenario, after one second of warm-up (10)
  --synchronous HOW   How much of a commit the database waits for: full or normal (full)
  --alg ALG           How tokens are signed: ES256 or RS256 (ES256)
  --binary PATH       Measure this binary instead of building one
  --hash-ms MS        What one password hash costs, if the system does not report it by thread (4.6)
  --starts N          How often the start on an existing data directory is timed (5)
  --no-configure      Leave the clients as they were seeded
  --against PATH      Compare with this other binary: both run side by side, the scenarios are driven at one and at
                      the other in turn, and the report says how far they are apart
  --rounds N          How often each is driven in a comparison (5)
  --json, --markdown  The report in another form, on standard output; progress goes to standard error

Every answer is checked; one that is not as it must be makes the run fail. Linux only: it reads /proc.";

/// The options of the command.
struct Request {
    plan: Plan,
    scenarios: Vec<Scenario>,
    binary: PathBuf,
    starts: u32,
    is_configured: bool,
    /// The other binary of a comparison, and the number of rounds.
    against: Option<(PathBuf, u32)>,
}

/// Measures and reports; failed iterations fail the run, after the report.
pub fn run(mut args: Args) -> Outcome<ExitCode> {
    let is_json = args.flag("--json");
    let is_markdown = args.flag("--markdown");
    let request = read_request(args)?;

    let folder = std::env::temp_dir().join(format!("vestibule-load-{}", std::process::id()));
    std::fs::create_dir_all(&folder).context(folder.display())?;
    if let Some((against, rounds)) = &request.against {
        let compared = compare::run(&request, against, *rounds, &folder);
        if compared.is_ok() {
            std::fs::remove_dir_all(&folder).context(folder.display())?;
        }
        return compared;
    }
    let report = measure(&request, &folder);
    if report.is_ok() {
        std::fs::remove_dir_all(&folder).context(folder.display())?;
    } else {
        eprintln!("the server's log is in {}", folder.display());
    }
    let report = report?;
    if is_json {
        println!("{:#}", report.json());
    } else if is_markdown {
        println!("{}", report.markdown());
    } else {
        println!("{}", report.table());
    }
    let has_failures = report
        .measured
        .iter()
        .any(|measured| measured.failures.0 > 0 || measured.iterations == 0);
    Ok(if has_failures {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn read_request(mut args: Args) -> Outcome<Request> {
    let scenario: String = args
        .option("--scenario")?
        .unwrap_or_else(|| "all".to_owned());
    let scenarios: Vec<Scenario> = Scenario::ALL
        .into_iter()
        .filter(|known| scenario == "all" || scenario == known.name())
        .collect();
    if scenarios.is_empty() {
        return Err(format!("there is no scenario `{scenario}`; --help names them").into());
    }
    let alg: String = args.option("--alg")?.unwrap_or_else(|| "ES256".to_owned());
    if !["ES256", "RS256"].contains(&alg.as_str()) {
        return Err(format!("--alg is ES256 or RS256, not {alg}").into());
    }
    let plan = Plan {
        connections: args.option("--connections")?.unwrap_or(16).max(1),
        seconds: args.option("--seconds")?.unwrap_or(10).max(1),
        alg,
        hash_ms: args.option("--hash-ms")?.unwrap_or(4.6),
        synchronous: args
            .option("--synchronous")?
            .unwrap_or_else(|| "full".to_owned()),
    };
    if !["full", "normal"].contains(&plan.synchronous.as_str()) {
        return Err(format!("--synchronous is full or normal, not {}", plan.synchronous).into());
    }
    let starts = args.option("--starts")?.unwrap_or(5);
    let is_configured = !args.flag("--no-configure");
    let against: Option<PathBuf> = args.option("--against")?;
    let rounds: u32 = args.option("--rounds")?.unwrap_or(5).max(1);
    let binary: Option<PathBuf> = args.option("--binary")?;
    args.finish()?;
    let binary = match binary {
        Some(binary) => binary,
        None => build()?,
    };
    Ok(Request {
        plan,
        scenarios,
        binary,
        starts,
        is_configured,
        against: against.map(|path| (path, rounds)),
    })
}

/// Builds the release binary and returns its path.
pub fn build() -> Outcome<PathBuf> {
    eprintln!("building: cargo build --release --locked --bin vestibule");
    let mut command = step::cargo(&["build", "--release", "--locked", "--bin", "vestibule"]);
    // Standard output is for the report only.
    let status = command
        .stdout(Stdio::null())
        .status()
        .context("could not start cargo")?;
    if status.success() {
        Ok(step::target_directory().join("release").join("vestibule"))
    } else {
        Err("the server did not build".into())
    }
}

fn measure(request: &Request, folder: &Path) -> Outcome<Report> {
    eprintln!(
        "starting: {} dev, in {}",
        request.binary.display(),
        folder.display()
    );
    let (mut server, ready) = Server::start(
        &request.binary,
        folder,
        &[("VESTIBULE_DATABASE__SYNCHRONOUS", &request.plan.synchronous)],
    )?;
    let to = Installation::read(&ready)?;
    std::thread::sleep(Duration::from_secs(1));
    let idle_kib = server.memory()?.resident_kib;

    let mut measured = Vec::new();
    for scenario in &request.scenarios {
        if request.is_configured {
            configure(&request.binary, &request.plan, folder, &to, *scenario)?;
        }
        eprintln!(
            "driving: {} for {} s",
            scenario.name(),
            request.plan.seconds
        );
        let one = drive::drive(&server, &to, &request.plan, *scenario, 1)
            .map_err(|problem| format!("{}: {problem}\n{}", scenario.name(), server.log_tail()))?;
        measured.push(one);
    }
    let stop = server.stop()?;
    eprintln!("timing the start, {} times", request.starts);
    let starts = (0..request.starts)
        .map(|_| Server::measure_start(&request.binary, folder))
        .collect::<Outcome<Vec<_>>>()?;
    Ok(Report {
        plan: request.plan.clone(),
        measured,
        idle_kib,
        binary_bytes: std::fs::metadata(&request.binary)
            .context(request.binary.display())?
            .len(),
        starts,
        stop,
        cores: std::thread::available_parallelism().map_or(1, usize::from),
    })
}

/// Sets both clients to the policies of the scenario, and waits until the running server has loaded them.
fn configure(
    binary: &Path,
    plan: &Plan,
    folder: &Path,
    to: &Installation,
    scenario: Scenario,
) -> Outcome {
    let data = server::data_directory(folder);
    for client_id in [&to.integration_id, &to.client_id] {
        let alg = &plan.alg;
        let mut policies = vec![
            format!("idTokenSigningAlg={alg}"),
            format!("accessTokenFormat={}", scenario.token_format()),
            format!("accessTokenSigningAlg={alg}"),
        ];
        if client_id == &to.client_id {
            policies.push(format!("scopes={}", scenario.scopes()));
            policies.push(String::from("isRefreshTokenRotationEnabled=true"));
        }
        update_client(binary, &data, client_id, &policies)?;
    }
    // A change by a command takes effect within a second.
    std::thread::sleep(Duration::from_millis(1200));
    Ok(())
}

fn update_client(binary: &Path, data: &Path, client_id: &str, policies: &[String]) -> Outcome {
    let policies = policies.iter().flat_map(|policy| ["--set", policy]);
    let words: Vec<&str> = ["client", "update", client_id]
        .into_iter()
        .chain(policies)
        .collect();
    run_command(binary, data, &words)
}

/// Runs a command of the server's binary on a data directory.
pub fn run_command(binary: &Path, data: &Path, words: &[&str]) -> Outcome {
    let output = Command::new(binary)
        .args(words)
        .arg("--data-dir")
        .arg(data)
        .stdin(Stdio::null())
        .output()
        .context(format!("could not start {}", binary.display()))?;
    if output.status.success() {
        return Ok(());
    }
    let (words, errors) = (words.join(" "), String::from_utf8_lossy(&output.stderr));
    let problem = format!(
        "`vestibule {words}` failed ({}): {}",
        output.status,
        errors.trim()
    );
    Err(problem.into())
}
