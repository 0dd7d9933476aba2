//! Packages of the system: installed when they are missing and no confirmation is needed, that is as root, with apt-get. And
//! whether the packages of npm that a folder pins are there.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::outcome::{Context, Outcome};
use crate::step;

/// Installs packages; false when that would need a confirmation.
pub fn install(what: &str, names: &[&str]) -> Outcome<bool> {
    if !is_root() || !is_in_path("apt-get") {
        return Ok(false);
    }
    step::run(
        &format!("install {what} (it is missing): apt-get update"),
        &mut apt(&["update", "-qq"]),
    )?;
    let mut command = apt(&["install", "-y", "-qq", "--no-install-recommends"]);
    command.args(names);
    let headline = format!("install {what}: apt-get install {}", names.join(" "));
    step::run(&headline, &mut command)?;
    Ok(true)
}

/// Whether a program is in one of the folders of `PATH`.
pub fn is_in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Whether the packages that a folder's lock file pins were installed since they were last changed.
fn has_modules(folder: &Path) -> bool {
    let changed = |path: PathBuf| {
        std::fs::metadata(path)
            .and_then(|data| data.modified())
            .ok()
    };
    let installed = changed(folder.join("node_modules/.package-lock.json"));
    installed.is_some() && installed >= changed(folder.join("package-lock.json"))
}

/// Makes a test with Node.js possible: installs the system packages that are missing, and the npm packages that its
/// folder pins. False when something is missing and may not be installed.
pub fn install_for_node_test(
    test: &str,
    missing: &[&str],
    folder: &Path,
    may_install: bool,
) -> Outcome<bool> {
    let has_programs =
        missing.is_empty() || may_install && install(&format!("what {test} needs"), missing)?;
    if !has_programs {
        return Ok(false);
    }
    if has_modules(folder) {
        return Ok(true);
    }
    if !may_install {
        return Ok(false);
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(folder)
        .stdin(std::process::Stdio::null());
    let headline = format!("install the packages of {test}: npm ci");
    step::run(&headline, &mut npm)?;
    Ok(true)
}

fn is_root() -> bool {
    // The owner of this process's entry in /proc is the current user; on a system without /proc nothing is
    // installed.
    let status = std::fs::read_to_string("/proc/self/status").context("no /proc");
    status.is_ok_and(|text| {
        text.lines()
            .any(|line| line.split_whitespace().take(3).eq(["Uid:", "0", "0"]))
    })
}

fn apt(words: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command
        .args(words)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(std::process::Stdio::null());
    command
}
