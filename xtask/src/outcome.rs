//! The result of a command. Its errors are read by people only, so one boxed error with a good sentence is enough;
//! the server's rules about errors do not apply here.

use std::error::Error;
use std::fmt::Display;

/// The result of a command or of a part of one.
pub type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Puts in front of an error what was being tried, because "No such file or directory" alone does not help.
pub trait Context<T> {
    /// Adds `what`, which is a sentence without a full stop.
    fn context(self, what: impl Display) -> Outcome<T>;
}

impl<T, E: Display> Context<T> for Result<T, E> {
    fn context(self, what: impl Display) -> Outcome<T> {
        self.map_err(|problem| format!("{what}: {problem}").into())
    }
}
