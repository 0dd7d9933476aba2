//! Standard output and standard error: the one place of the commands that writes to them.
//!
//! A reader that stops early (`vestibule user list | head -1`) is no error; an output that cannot be written, such
//! as one on a full disk, is an error with an exit code.

use std::io::{ErrorKind, Write};

use super::exit::Exit;

/// Prints a result and ends its line.
pub fn print(text: impl std::fmt::Display) -> Result<(), Exit> {
    let mut stdout = std::io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Exit::broken(format!("writing to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes to standard error what is no result: progress, a question, a refusal.
pub fn report(text: impl std::fmt::Display) {
    // An output that cannot be written cannot be reported there either.
    let mut stderr = std::io::stderr().lock();
    let _ = write!(stderr, "{text}").and_then(|()| stderr.flush());
}
