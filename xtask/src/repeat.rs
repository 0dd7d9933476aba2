//! `cargo xtask test --repeat N`: the suite in several rounds, each in a different shuffled order, to find tests
//! that pass only most of the time: those that depend on the order of random ids, on timing, on a port, or on
//! earlier tests.
//!
//! The test runner of a stable toolchain has the shuffled order, but only with an environment variable. Cargo's
//! `runner` sets that variable for the test binaries alone, so that nothing is rebuilt.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::args::Args;
use crate::outcome::Outcome;
use crate::step;
use crate::test::{DIED, Services, Tally, exit_code};

/// Starts every test binary with the unstable options of the test runner enabled.
const RUNNER: &str = r#"target."cfg(all())".runner=["env","RUSTC_BOOTSTRAP=1"]"#;

/// The number of rounds, and the seed of the first.
#[derive(Clone, Copy, Debug)]
pub struct Rounds {
    count: u32,
    seed: u64,
}

impl Rounds {
    /// Parses `--repeat` and `--seed`; `None` without them.
    pub fn parse(args: &mut Args) -> Outcome<Option<Rounds>> {
        let count = args.option("--repeat")?;
        let seed = args.option("--seed")?;
        match (count, seed) {
            (Some(0), _) => Err("--repeat needs a number from 1".into()),
            (None, Some(_)) => Err("--seed goes with --repeat".into()),
            (None, None) => Ok(None),
            (Some(count), seed) => Ok(Some(Rounds {
                count,
                seed: seed.unwrap_or_else(seed_of_the_clock),
            })),
        }
    }
}

/// Runs the rounds; the tally is their sum.
pub fn run(
    services: &Services,
    rounds: Rounds,
    passed_on: &[String],
) -> Outcome<(ExitCode, Tally)> {
    let mut tally = Tally::default();
    let mut record = Record::default();
    let mut code = ExitCode::SUCCESS;
    for round in 0..rounds.count {
        let seed = rounds.seed.wrapping_add(u64::from(round));
        let number = round + 1;
        step::say(&format!(
            "test 3/3: round {number} of {}, shuffled with --seed {seed}",
            rounds.count
        ));
        let since = Instant::now();
        let failed_before = tally.failed;
        let mut command = services.cargo_test();
        command
            .args(["--lib", "--bins", "--tests", "--config", RUNNER])
            .args(shuffled(passed_on, seed));
        let status = step::stream(&mut command, |line| {
            tally.see(line);
            record.see(line);
        })?;
        if !status.success() {
            code = exit_code(status);
            if tally.failed == failed_before {
                println!("    {DIED}");
                record.died += 1;
            }
        }
        step::took(&format!("round {number}"), since);
        if round == 0 && passed_on.is_empty() {
            step::say("documentation tests");
            let mut command = services.cargo_test();
            let status = step::stream(command.arg("--doc"), |line| tally.see(line))?;
            if !status.success() {
                code = exit_code(status);
            }
        }
    }
    record.report(rounds.count);
    Ok((code, tally))
}

/// The arguments of `cargo test`, with the shuffled order among those for the test runner.
fn shuffled(passed_on: &[String], seed: u64) -> Vec<String> {
    let at = passed_on.iter().position(|word| word == "--");
    let (for_cargo, for_runner) = passed_on.split_at(at.unwrap_or(passed_on.len()));
    let options = ["--", "-Z", "unstable-options", "--shuffle-seed"];
    let mut words = for_cargo.to_vec();
    words.extend(options.map(str::to_owned));
    words.push(seed.to_string());
    words.extend(for_runner.iter().skip(1).cloned());
    words
}

fn seed_of_the_clock() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(1, |since| since.as_secs())
}

/// How often each test failed, by its binary and its name.
#[derive(Debug, Default)]
struct Record {
    binary: String,
    /// Rounds that ended without the result of a failed test.
    died: u32,
    failures: BTreeMap<String, u32>,
}

impl Record {
    /// Parses a line of `cargo test`: which binary runs, or the result of a test.
    fn see(&mut self, line: &str) {
        let line = line.trim_start();
        if let Some(rest) = line.strip_prefix("Running ") {
            // `Running tests/it/main.rs (target/debug/deps/it-0123)`
            let path = rest.split_once(" (").map_or(rest, |(path, _)| path);
            self.binary = path.trim_start_matches("unittests ").to_owned();
        }
        let ended = line
            .strip_prefix("test ")
            .and_then(|rest| rest.rsplit_once(" ... "));
        if let Some((name, "FAILED")) = ended {
            *self
                .failures
                .entry(format!("{}: {name}", self.binary))
                .or_default() += 1;
        }
    }

    fn report(&self, rounds: u32) {
        match (self.died, self.failures.is_empty()) {
            (0, true) => println!("    no test failed in {rounds} round(s)"),
            (0, false) => {}
            (died, _) => println!("    {died} of {rounds} round(s) did not run to the end"),
        }
        for (name, count) in &self.failures {
            println!("    failed {count} of {rounds}: {name}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_counted_by_binary_and_name() {
        let mut record = Record::default();
        for line in [
            "     Running unittests src/lib.rs (target/debug/deps/vestibule-0123)",
            "test a::b ... FAILED",
            "test a::c ... ok",
            "     Running tests/it/main.rs (target/debug/deps/it-0123)",
            "test a::b ... FAILED",
            "test a::d - should panic ... ignored, it measures",
            "     Running unittests src/lib.rs (target/debug/deps/vestibule-0123)",
            "test a::b ... FAILED",
        ] {
            record.see(line);
        }
        let seen: Vec<(&str, u32)> = record
            .failures
            .iter()
            .map(|(name, count)| (name.as_str(), *count))
            .collect();
        assert_eq!(
            seen,
            [("src/lib.rs: a::b", 2), ("tests/it/main.rs: a::b", 1)]
        );
    }

    #[test]
    fn the_seed_is_added_for_the_test_runner_and_other_arguments_are_unchanged() {
        let words =
            |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
        assert_eq!(
            shuffled(&words("--test it flow -- --nocapture"), 7),
            words("--test it flow -- -Z unstable-options --shuffle-seed 7 --nocapture")
        );
        assert_eq!(
            shuffled(&[], 7),
            words("-- -Z unstable-options --shuffle-seed 7")
        );
    }

    #[test]
    fn no_rounds_and_a_seed_without_rounds_are_refused() {
        let parse = |line: &str| {
            let words = line.split_whitespace().map(str::to_owned).collect();
            Rounds::parse(&mut Args::new(words))
        };
        assert!(parse("--repeat 0").is_err());
        assert!(parse("--seed 3").is_err());
        assert!(parse("").unwrap().is_none());
        let rounds = parse("--repeat 10 --seed 3").unwrap().unwrap();
        assert_eq!((rounds.count, rounds.seed), (10, 3));
    }
}
