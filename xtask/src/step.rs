//! Steps: other programs with visible output, each with a headline before and its duration after.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use crate::outcome::{Context, Outcome};

/// The root of the workspace: the folder above this crate.
pub fn workspace() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root
}

/// Cargo's target directory.
pub fn target_directory() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(path) => workspace().join(path),
        None => workspace().join("target"),
    }
}

/// The cargo that started this program, at the root of the workspace.
pub fn cargo(words: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(words).current_dir(workspace());
    command
}

/// A headline that is easy to find in a long log.
pub fn say(what: &str) {
    println!("\n==> {what}");
    flush();
}

/// The closing line of a step.
pub fn took(what: &str, since: Instant) {
    println!("==> {what}: {}", human(since.elapsed()));
    flush();
}

/// A duration for people: `0.4 s`, `12.3 s`, `4 min 05 s`.
pub fn human(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        format!(
            "{} min {:02} s",
            duration.as_secs() / 60,
            duration.as_secs() % 60
        )
    }
}

/// Runs one step with inherited output; a failure ends the command.
pub fn run(what: &str, command: &mut Command) -> Outcome {
    say(what);
    let since = Instant::now();
    flush();
    let status = command
        .status()
        .context(format!("could not start {:?}", command.get_program()))?;
    if !status.success() {
        return Err(format!("{what}: failed ({status}) after {}", human(since.elapsed())).into());
    }
    took(what, since);
    Ok(())
}

/// Runs a program, prints both of its outputs line by line as they arrive, and passes each line to `see`.
///
/// Both outputs share one pipe, so the lines keep the order in which the program wrote them.
pub fn stream(command: &mut Command, mut see: impl FnMut(&str)) -> Outcome<ExitStatus> {
    let (reader, writer) = std::io::pipe().context("could not make a pipe")?;
    command
        .stdout(writer.try_clone().context("could not share a pipe")?)
        .stderr(writer);
    let mut child = command
        .spawn()
        .context(format!("could not start {:?}", command.get_program()))?;
    // The command has the writing end open; until it is dropped, the reader would not see the end.
    command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());

    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader
        .read_until(b'\n', &mut line)
        .context("could not read what it printed")?
        > 0
    {
        let mut out = std::io::stdout().lock();
        // A closed terminal must not stop the program in the middle of its clean-up.
        let _ = out.write_all(&line).and_then(|()| out.flush());
        see(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    child.wait().context("could not wait for it")
}

fn flush() {
    // If the terminal is closed, there is no place to report an error.
    let _ = std::io::stdout().flush();
}
