//! Comparing two binaries: both servers run at the same time, and each scenario is driven on both in turn, so that
//! a change of the machine's speed affects both. The processor time per iteration is compared; the noise is the
//! spread between the rounds of one binary.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::drive::drive;
use super::installation::Installation;
use super::server::Server;
use super::{Request, configure};
use crate::outcome::{Context, Outcome};

/// One of the two binaries.
struct Side {
    name: &'static str,
    binary: PathBuf,
    folder: PathBuf,
    server: Server,
    to: Installation,
}

impl Side {
    fn start(name: &'static str, binary: &Path, folder: &Path, request: &Request) -> Outcome<Side> {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder).context(folder.display())?;
        let settings = [(
            "VESTIBULE_DATABASE__SYNCHRONOUS",
            request.plan.synchronous.as_str(),
        )];
        let (server, ready) = Server::start(binary, &folder, &settings)?;
        Ok(Side {
            name,
            binary: binary.to_owned(),
            folder,
            server,
            to: Installation::read(&ready)?,
        })
    }
}

/// The results of the rounds of one scenario on one binary.
#[derive(Default)]
struct Rounds {
    cpu_us: Vec<f64>,
    p50_ms: Vec<f64>,
}

/// Compares `request.binary` (new) with `against` (old); failed iterations fail the run, after the report.
pub fn run(request: &Request, against: &Path, rounds: u32, folder: &Path) -> Outcome<ExitCode> {
    let sides = [
        Side::start("old", against, folder, request)?,
        Side::start("new", &request.binary, folder, request)?,
    ];
    let mut failures = 0;
    println!(
        "scenario                   old CPU us/it  new CPU us/it  new/old  spread old  spread new  old p50 ms  new p50 ms"
    );
    for scenario in &request.scenarios {
        if request.is_configured {
            for side in &sides {
                configure(
                    &side.binary,
                    &request.plan,
                    &side.folder,
                    &side.to,
                    *scenario,
                )?;
            }
        }
        let mut seen = [Rounds::default(), Rounds::default()];
        for round in 1..=rounds {
            for index in order(round) {
                let side = &sides[index];
                eprintln!(
                    "driving: {} {}, round {round} of {rounds}",
                    side.name,
                    scenario.name()
                );
                let measured = drive(&side.server, &side.to, &request.plan, *scenario, round)
                    .map_err(|problem| {
                        let log = side.server.log_tail();
                        format!("{} {}: {problem}\n{log}", side.name, scenario.name())
                    })?;
                let iterations = measured.iterations.max(1) as f64;
                seen[index]
                    .cpu_us
                    .push(measured.cpu_seconds * 1e6 / iterations);
                seen[index].p50_ms.push(measured.latency.p50);
                failures += measured.failures.0;
                if let Some(first) = measured.failures.1 {
                    println!("{} {}: {first}", side.name, scenario.name());
                }
            }
        }
        println!("{}", line(scenario.name(), &seen));
    }
    println!(
        "medians of {rounds} rounds of {} s, {} connections; spread: (slowest - fastest) / median of one binary's rounds",
        request.plan.seconds, request.plan.connections
    );
    for mut side in sides {
        side.server.stop()?;
    }
    Ok(if failures == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Which side is driven first; it changes with each round, so that neither always finds the warmer machine.
fn order(round: u32) -> [usize; 2] {
    if round % 2 == 1 { [0, 1] } else { [1, 0] }
}

fn line(name: &str, [old, new]: &[Rounds; 2]) -> String {
    let (old_us, new_us) = (median(&old.cpu_us), median(&new.cpu_us));
    format!(
        "{name:<25}  {old_us:>13.1}  {new_us:>13.1}  {:>7.3}  {:>9.1}%  {:>9.1}%  {:>10.2}  {:>10.2}",
        new_us / old_us,
        spread(&old.cpu_us),
        spread(&new.cpu_us),
        median(&old.p50_ms),
        median(&new.p50_ms)
    )
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        (values[middle - 1] + values[middle]) / 2.0
    }
}

/// The spread of the rounds, in per cent of their median.
fn spread(values: &[f64]) -> f64 {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(0.0, f64::max);
    (high - low) / median(values) * 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_and_the_spread_are_those_of_the_rounds() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(spread(&[9.0, 10.0, 11.0]), 20.0);
    }

    #[test]
    fn the_first_of_a_round_changes() {
        assert_eq!(order(1), [0, 1]);
        assert_eq!(order(2), [1, 0]);
    }
}
