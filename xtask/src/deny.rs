//! cargo-deny, pinned and installed below `target/tools`: `deny.toml` lists the licences, crates and sources that
//! the build may use. Advisories are left to a machine with their database; this check works without a network once
//! the tool and the crates are present.

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
