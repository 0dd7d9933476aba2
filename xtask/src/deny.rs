//! cargo-deny, pinned and installed below `target/tools`: `deny.toml` lists the licences, crates and sources that
//! the build may use. That check works without a network once the tool and the crates are present. The check of
//! advisories needs their database; where it can neither be fetched nor is there from before, it is skipped, loudly.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::outcome::{Context, Outcome};
use crate::step;

/// The version for which the checks were written. Another one may interpret `deny.toml` differently.
const VERSION: &str = "0.20.2";

/// Checks the dependency graph; installs the tool first when it is missing.
///
/// A tool that cannot be installed is a failure: a silently skipped check is worse than none.
pub fn run(what: &str) -> Outcome {
    let program = find_or_install()?;
    // The check itself runs offline, so the crates must be present before.
    step::run(
        "fetch the crates of the lock file",
        &mut step::cargo(&["fetch", "--locked"]),
    )?;
    let mut command = Command::new(&program);
    command
        .args([
            "--locked",
            "--offline",
            "--workspace",
            "--all-features",
            "check",
            "bans",
            "licenses",
            "sources",
        ])
        .current_dir(step::workspace());
    step::run(what, &mut command)
}

/// Whether advisories were checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advisories {
    /// With the database of now, or of an earlier fetch that is not too old.
    Checked,
    /// There is no database.
    Skipped,
}

impl Advisories {
    /// Says loudly that they were not checked, if so.
    pub fn remind(self) {
        if self == Advisories::Skipped {
            step::say(
                "SKIPPED: known vulnerabilities of dependencies (advisories) were NOT checked",
            );
            println!("    their database could not be fetched, and there is no earlier copy");
        }
    }
}

/// Checks the dependencies for known vulnerabilities (RustSec). With `VESTIBULE_REQUIRE_ADVISORIES` set, a check that
/// cannot be made is a failure.
pub fn advisories(what: &str) -> Outcome<Advisories> {
    let program = find_or_install()?;
    let command = |words: &[&str]| {
        let mut command = Command::new(&program);
        command.args(words).current_dir(step::workspace());
        command
    };
    // Where the fetch fails, the tool says so and ends well; the folder shows whether there is a database.
    let fetched = step::run(
        "fetch the database of advisories",
        &mut command(&["fetch", "db"]),
    );
    if fetched.is_err() || !has_database() {
        if std::env::var_os("VESTIBULE_REQUIRE_ADVISORIES").is_some() {
            return Err("there is no database of advisories, and it could not be fetched".into());
        }
        if !has_database() {
            return Ok(Advisories::Skipped);
        }
    }
    let words = ["--locked", "--offline", "--workspace", "--all-features"];
    step::run(what, command(&words).args(["check", "advisories"]))?;
    Ok(Advisories::Checked)
}

/// Whether a database of advisories was fetched at any time.
fn has_database() -> bool {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let folders = home.and_then(|home| std::fs::read_dir(home.join("advisory-dbs")).ok());
    let mut folders = folders.into_iter().flatten().flatten();
    folders.any(|folder| folder.path().join("crates").is_dir())
}

fn find_or_install() -> Outcome<PathBuf> {
    let tools = step::target_directory().join("tools");
    let kept = tools.join("bin").join("cargo-deny");
    for program in [kept.clone(), PathBuf::from("cargo-deny")] {
        if is_wanted_version(&program) {
            return Ok(program);
        }
    }
    let build = tools.join("build");
    let mut command = step::cargo(&[
        "install",
        "cargo-deny",
        "--locked",
        "--force",
        "--version",
        VERSION,
    ]);
    command
        .arg("--root")
        .arg(&tools)
        .arg("--target-dir")
        .arg(&build);
    // Build time matters more here than the speed of a tool that runs for a second.
    command
        .args(["--profile", "dev"])
        .env("CARGO_PROFILE_DEV_DEBUG", "false");
    step::run(
        &format!(
            "install cargo-deny {VERSION} into {} (a few minutes, once)",
            tools.display()
        ),
        &mut command,
    )?;
    std::fs::remove_dir_all(&build)
        .context("could not remove what the build of cargo-deny left")?;
    Ok(kept)
}

fn is_wanted_version(program: &PathBuf) -> bool {
    let output = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    output.is_ok_and(|output| {
        String::from_utf8_lossy(&output.stdout).trim() == format!("cargo-deny {VERSION}")
    })
}
