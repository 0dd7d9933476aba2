//! `cargo xtask ci`: all checks of a change, cheap ones first and the tests last, so that the log ends with the
//! summary of the tests. It stops at the first step that fails.

use std::process::ExitCode;
use std::time::Instant;

use crate::args::Args;
use crate::outcome::Outcome;
use crate::{deny, links, step, test};

/// The text of `--help`.
pub const HELP: &str = "\
Run what continuous integration runs, and stop at the first failure.

Usage: cargo xtask ci

  1. cargo fmt --all --check
  2. every relative link in the Markdown files leads somewhere
  3. cargo clippy --workspace --all-targets --locked -- -D warnings
  4. cargo doc --workspace --no-deps --locked, warnings denied
  5. cargo deny: bans, licences, sources (installs the pinned cargo-deny below target/tools when it is missing)
  6. cargo deny: advisories, with a database that is fetched; without a network and an earlier copy it is skipped
     loudly, and with VESTIBULE_REQUIRE_ADVISORIES set it fails
  7. cargo xtask test: all tests, the ones of PostgreSQL included

`.ci/run` prepares a fresh Debian or Ubuntu machine and then runs this.";

/// Runs all steps.
pub fn run(args: Args) -> Outcome<ExitCode> {
    args.finish()?;
    let since = Instant::now();

    step::run(
        "ci 1/7: format",
        &mut step::cargo(&["fmt", "--all", "--check"]),
    )?;

    step::say("ci 2/7: links in Markdown files");
    let (files, count) = links::check(&step::workspace())?;
    println!("    {count} links in {files} files lead somewhere");

    step::run(
        "ci 3/7: lints",
        &mut step::cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ]),
    )?;

    step::run(
        "ci 4/7: documentation",
        step::cargo(&["doc", "--workspace", "--no-deps", "--locked"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )?;

    deny::run("ci 5/7: licences, banned crates, sources")?;

    let advisories = deny::advisories("ci 6/7: advisories")?;
    advisories.remind();

    step::say("ci 7/7: tests");
    println!(
        "    the six steps before took {}",
        step::human(since.elapsed())
    );
    let code = test::tests(true, None, &[])?;
    // Once more, where the end of the log is read.
    advisories.remind();
    Ok(code)
}
