//! Standard output and standard error: the one place of the commands that writes to them.
//!
//! A reader that has seen enough (`vestibule user list | head -1`) is no fault of anybody; an output
//! that cannot take what was printed, such as a full disk, is one that the exit code tells.

use std::io::{ErrorKind, Write};

use super::place::Exit;

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

/// Tells the person at the terminal something that is no result: progress, a question, a refusal.
pub fn tell(text: impl std::fmt::Display) {
    // Where nobody can hear, there is nobody to tell of that either.
    let mut stderr = std::io::stderr().lock();
    let _ = write!(stderr, "{text}").and_then(|()| stderr.flush());
}
