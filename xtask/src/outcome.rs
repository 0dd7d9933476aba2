//! What every chore returns. A chore has no caller that could act on a kind of failure, only a person who reads it,
//! so one boxed error with a good sentence is enough here; the server's own rules about errors do not apply.

use std::error::Error;
use std::fmt::Display;

/// The result of a chore or of a part of one.
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
