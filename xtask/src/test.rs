//! `cargo xtask test`: the test command. It provides PostgreSQL and a browser, runs every test of the workspace,
//! shows their output as it arrives, and adds up the summaries of the test binaries.

use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus};
use std::time::Instant;

use crate::args::Args;
use crate::outcome::Outcome;
use crate::repeat::{self, Rounds};
use crate::{browser, jose, postgres, step};

/// The text of `--help`.
pub const HELP: &str = "\
Run every test of the workspace, on SQLite and on PostgreSQL.

Usage: cargo xtask test [--no-install] [--repeat N [--seed S]] [-- arguments for `cargo test`]

  --no-install   Do not install PostgreSQL, Chromium and Node.js when they are missing (done only as root, with apt-get),
                 nor the packages of the tests in JavaScript (with npm)
  --repeat N     Run the suite N times, each time in another shuffled order, and list every test that was not always
                 green. Documentation tests are run in the first round only: they share no state
  --seed S       The seed of the first round; the rounds after it count on. Without it, the clock names one. A round is
                 repeated with --repeat 1 and the seed that it printed

What it does:
  1. finds the PostgreSQL server binaries, or installs them, or reports that their tests are skipped;
  2. does the same for the programs that the browser test and the test with another JOSE library need;
  3. runs `cargo test --workspace --locked --no-fail-fast`, with VESTIBULE_TEST_REQUIRE_POSTGRES=1,
     VESTIBULE_TEST_REQUIRE_BROWSER=1 and VESTIBULE_TEST_REQUIRE_JOSE=1 so that no test can be skipped silently;
  4. adds up the results: the last line is `N passed, N failed, N skipped`.

The exit code is that of `cargo test`. Example, the tests of one module: cargo xtask test -- --test it flow::registration";

/// Runs the tests.
pub fn run(mut args: Args) -> Outcome<ExitCode> {
    let may_install = !args.flag("--no-install");
    let rounds = Rounds::parse(&mut args)?;
    let passed_on = args.passed_on();
    args.finish()?;
    tests(may_install, rounds, &passed_on)
}

/// The tests, once or in several shuffled rounds; `passed_on` is passed to `cargo test`.
pub fn tests(may_install: bool, rounds: Option<Rounds>, passed_on: &[String]) -> Outcome<ExitCode> {
    let since = Instant::now();
    step::say("test 1/3: find PostgreSQL for the tests that need a server");
    let bin = postgres::find_or_install(may_install)?;
    match &bin {
        Some(bin) => println!("    found: {}", bin.display()),
        None => println!("    {}", postgres::absence()),
    }

    step::say("test 2/3: find what the browser test needs");
    let has_browser = browser::find_or_install(may_install)?;
    if has_browser {
        println!("    found");
    } else {
        println!("    {}", browser::absence());
    }

    let has_jose = jose::find_or_install(may_install)?;
    if !has_jose {
        println!("    {}", jose::absence());
    }

    let services = Services {
        bin,
        has_browser,
        has_jose,
    };
    let (code, tally) = match rounds {
        None => once(&services, passed_on)?,
        Some(rounds) => repeat::run(&services, rounds, passed_on)?,
    };

    step::took("tests", since);
    services.report_absences();
    println!("{tally}");
    Ok(code)
}

/// Runs the suite once, in the order of the test runner.
fn once(services: &Services, passed_on: &[String]) -> Outcome<(ExitCode, Tally)> {
    let mut command = services.cargo_test();
    command.args(passed_on);
    step::say(&format!(
        "test 3/3: cargo test --workspace --locked --no-fail-fast {}(the first build takes some minutes)",
        passed_on
            .iter()
            .map(|word| format!("{word} "))
            .collect::<String>()
    ));
    let mut tally = Tally::default();
    let status = step::stream(&mut command, |line| tally.see(line))?;
    if !status.success() && tally.failed == 0 {
        println!("    {DIED}");
    }
    Ok((exit_code(status), tally))
}

/// The message for a run that failed without a failed test.
pub const DIED: &str = "cargo test failed without a failed test: something did not build, or a test binary died; see above.";

/// The exit code of a program as an exit code of this one.
pub fn exit_code(status: ExitStatus) -> ExitCode {
    match status.code() {
        Some(0) => ExitCode::SUCCESS,
        Some(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        None => ExitCode::FAILURE,
    }
}

/// The services that the tests need in addition to Rust, as far as this machine has them.
pub struct Services {
    bin: Option<PathBuf>,
    has_browser: bool,
    has_jose: bool,
}

impl Services {
    /// `cargo test` over the workspace. Present services are required, so that no test can skip silently.
    pub fn cargo_test(&self) -> Command {
        let mut command = step::cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]);
        if let Some(bin) = &self.bin {
            command
                .env(postgres::BIN_VARIABLE, bin)
                .env(postgres::REQUIRE_VARIABLE, "1");
        }
        if self.has_browser {
            command.env(browser::REQUIRE_VARIABLE, "1");
        }
        if self.has_jose {
            command.env(jose::REQUIRE_VARIABLE, "1");
        }
        command
    }

    /// Reports again, after the tests, what was missing.
    fn report_absences(&self) {
        if self.bin.is_none() {
            println!("    {}", postgres::absence());
        }
        if !self.has_browser {
            println!("    {}", browser::absence());
        }
        if !self.has_jose {
            println!("    {}", jose::absence());
        }
    }
}

/// The sum of the summaries of all test binaries.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    passed: u64,
    pub failed: u64,
    skipped: u64,
}

impl Tally {
    /// Adds a line such as `test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out`.
    ///
    /// Filtered tests are not skipped tests: they were left out on purpose.
    pub fn see(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else {
            return;
        };
        let Some((_, counts)) = result.split_once(". ") else {
            return;
        };
        for count in counts.split("; ") {
            let Some((number, what)) = count.split_once(' ') else {
                continue;
            };
            let number = number.parse().unwrap_or(0);
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.skipped += number,
                _ => {}
            }
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_lines_of_all_binaries_are_added_up() {
        let mut tally = Tally::default();
        for line in [
            "running 5 tests",
            "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.01s",
            "test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
        ] {
            tally.see(line);
        }
        assert_eq!(tally.to_string(), "7 passed, 3 failed, 1 skipped");
    }

    #[test]
    fn a_line_that_only_looks_like_a_result_adds_nothing() {
        let mut tally = Tally::default();
        tally.see("test result");
        tally.see("the test result: ok. 5 passed; 0 failed");
        assert_eq!(tally, Tally::default());
    }
}
