//! Scripts of Node.js that use a running `vestibule dev` as a client: those of `tests/browser` and `tests/jose`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::binary::Server;

/// A folder of `tests`.
pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(name)
}

/// The command that runs a script in its folder.
pub fn node(folder: &Path, script: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(script).current_dir(folder);
    command
}

/// Runs a script to its end and expects that it succeeds. Returns the number of steps that it reports.
#[track_caller]
pub fn run_steps(mut script: Command, server: &Server) -> usize {
    let ran = script.output().expect("node starts");
    let printed = String::from_utf8_lossy(&ran.stdout);
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(
        ran.status.success(),
        "{printed}\n{errors}\n{}",
        server.output()
    );
    let is_step = |line: &&str| line.starts_with("ok: ");
    printed.lines().filter(is_step).count()
}

/// Prints that a test is skipped, or fails it if a variable requires it. Written past the capture of the
/// test harness: a test that is skipped without a message looks like one that ran.
pub fn skip(message: &str, require_variable: &str) {
    assert!(
        std::env::var_os(require_variable).is_none(),
        "ATTENTION: {message}"
    );
    let _ = writeln!(std::io::stderr(), "ATTENTION: {message}");
}
