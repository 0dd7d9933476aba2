//! `cargo xtask script`: the cost of a script call, and the effect of hostile scripts on other work.
//!
//! The figures are printed by two tests of the engine that are otherwise ignored; this command runs them in a
//! release build, one after the other.

use std::process::ExitCode;

use crate::args::Args;
use crate::outcome::Outcome;
use crate::step;

/// The text of `--help`.
pub const HELP: &str = "\
Measure the cost of a script call: processor time of a warm and a cold call, of preparing and of freeing a sandbox,
and the duration of other work while scripts run that do not end.

Usage: cargo xtask script

It builds the server's tests in release mode first. Nothing is asserted: the figures are for docs/reference/performance.md.";

/// Builds and runs the two measurements.
pub fn run(args: Args) -> Outcome<ExitCode> {
    args.finish()?;
    let mut command = step::cargo(&["test", "--locked", "--release", "--lib", "--"]);
    command.args([
        "--ignored",
        "--nocapture",
        "--test-threads=1",
        "script::tests::cost",
    ]);
    step::run("script: what calls cost", &mut command)?;
    Ok(ExitCode::SUCCESS)
}
