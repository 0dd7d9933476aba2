//! `cargo xtask fuzz`: the fuzz targets of the protocol crate, each for a long time, on the stable compiler.
//!
//! The targets are ordinary tests, written with bolero: `cargo test` runs each for half a second, this command for
//! minutes.

use std::process::{Command, ExitCode};
use std::time::Instant;

use crate::args::Args;
use crate::outcome::{Context, Outcome};
use crate::step;

/// The text of `--help`.
pub const HELP: &str = "\
Run each fuzz target of the protocol crate (protocol/tests/fuzz.rs) for a long time.

Usage: cargo xtask fuzz [--seconds 600] [--target NAME]

  --seconds N     How long each target runs (600)
  --target NAME   Only this one

They are optimised, with overflow checks and debug assertions on. An input that fails is printed with its seed; to see it
again: BOLERO_RANDOM_SEED=<seed> cargo test -p vestibule-protocol --test fuzz <name>";

/// Runs the targets one after the other; failures are reported, and all targets are run.
pub fn run(mut args: Args) -> Outcome<ExitCode> {
    let seconds: u64 = args.option("--seconds")?.unwrap_or(600);
    let only: Option<String> = args.option("--target")?;
    args.finish()?;

    step::say("fuzz: build the targets");
    let listed = cargo_test(&["--list", "--format", "terse"])
        .output()
        .context("could not start cargo")?;
    if !listed.status.success() {
        return Err(String::from_utf8_lossy(&listed.stderr).into_owned().into());
    }
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let targets: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .filter(|name| only.as_deref().is_none_or(|only| only == *name))
        .collect();
    if targets.is_empty() {
        return Err("there is no such fuzz target in protocol/tests/fuzz.rs".into());
    }

    let mut results = Vec::new();
    for (index, target) in targets.iter().enumerate() {
        step::say(&format!(
            "fuzz {}/{}: {target}, for {seconds} s",
            index + 1,
            targets.len()
        ));
        results.push((*target, fuzz(target, seconds)?));
    }
    println!();
    for (target, (is_ok, report)) in &results {
        println!(
            "{:<40} {:<6} {report}",
            target,
            if *is_ok { "ok" } else { "FAILED" }
        );
    }
    let failed = results.iter().filter(|(_, (is_ok, _))| !is_ok).count();
    println!("{} targets, {failed} failed", results.len());
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Whether the target passed, and how many inputs were tried.
fn fuzz(target: &str, seconds: u64) -> Outcome<(bool, String)> {
    let mut command = cargo_test(&["--exact", target, "--nocapture"]);
    command
        .env("BOLERO_RANDOM_TEST_TIME_MS", (seconds * 1000).to_string())
        // A target may limit its iterations for the daily tests; here only the time limits them.
        .env("BOLERO_RANDOM_ITERATIONS", usize::MAX.to_string());
    let since = Instant::now();
    let mut report = String::new();
    let status = step::stream(&mut command, |line| {
        if let Some((_, rest)) = line.split_once("iterations/s: ") {
            report = format!("{rest} (inputs per second first)");
        }
    })?;
    if report.is_empty() {
        report = format!("ended after {}", step::human(since.elapsed()));
    }
    Ok((status.success(), report))
}

fn cargo_test(words: &[&str]) -> Command {
    let mut command = step::cargo(&[
        "test",
        "--locked",
        "--release",
        "-p",
        "vestibule-protocol",
        "--test",
        "fuzz",
    ]);
    // A target directory of its own, because the changed profile would otherwise invalidate the release build.
    command
        .arg("--target-dir")
        .arg(step::target_directory().join("fuzz"))
        .arg("--")
        .args(words)
        .env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true")
        .env("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true");
    command
}
