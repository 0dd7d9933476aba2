//! The commands for developers of Vestibule, as `cargo xtask <command>`.
//!
//! This crate owns everything that is run *around* the server: the test command, the checks of continuous
//! integration, the load generator and the long fuzzing runs. The server itself is in the `vestibule` crate, which
//! is used only from outside, through its command line and its protocols. This crate has few dependencies, so that
//! it builds in seconds on a fresh machine.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "these are command line tools: what they print is what they are for"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "a chore measures the real clock; the rule protects the server's code, which is none of this"
)]

mod args;
mod attack;
mod browser;
mod ci;
mod deny;
mod fuzz;
mod jose;
mod links;
mod load;
mod outcome;
mod packages;
mod postgres;
mod repeat;
mod script;
mod step;
mod test;
mod timing;

use std::process::ExitCode;

use crate::args::Args;
use crate::outcome::Outcome;

const HELP: &str = "\
Development tasks of Vestibule.

Usage: cargo xtask <command> [options]

Commands:
  test   Run every test, on SQLite and on PostgreSQL
  ci     Run the checks of continuous integration: format, links, lints, docs, licences, tests
  load   Start a release build of the server and measure it under load
  attack Start a server, attack it, and print how it treats others meanwhile
  timing Compare how long the server takes for users that exist and for users that do not
  fuzz   Run each fuzz target of the protocol crate for a long time
  script Measure the cost of a script call, and the effect of hostile scripts on other work
  help   Show this text

`cargo xtask <command> --help` describes a command.";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_else(|| "help".to_owned());
    match run(&command, Args::new(words.collect())) {
        Ok(code) => code,
        Err(problem) => {
            eprintln!("xtask {command}: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &str, mut args: Args) -> Outcome<ExitCode> {
    let help = match command {
        "attack" => attack::HELP,
        "test" => test::HELP,
        "ci" => ci::HELP,
        "load" => load::HELP,
        "fuzz" => fuzz::HELP,
        "script" => script::HELP,
        "timing" => timing::HELP,
        _ => HELP,
    };
    if args.flag("--help") || args.flag("-h") || matches!(command, "help" | "--help" | "-h") {
        println!("{help}");
        return Ok(ExitCode::SUCCESS);
    }
    match command {
        "attack" => attack::run(args),
        "test" => test::run(args),
        "ci" => ci::run(args),
        "load" => load::run(args),
        "fuzz" => fuzz::run(args),
        "script" => script::run(args),
        "timing" => timing::run(args),
        unknown => {
            Err(format!("there is no such command `{unknown}`; try `cargo xtask help`").into())
        }
    }
}
