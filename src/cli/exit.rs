//! Why a command ended without its result: the exit code and the message of a refusal or a fault.

use crate::admin::{AdminFailure, AdminRefusal};
use crate::app::AssemblyProblem;
use crate::changes::Invalid;
use crate::config::ConfigProblem;
use crate::refusal::{Failure, Fault};

/// Why a command ended without its result.
#[derive(Debug)]
pub struct Exit {
    /// The exit code.
    pub code: u8,
    /// For the terminal.
    pub message: String,
}

impl Exit {
    /// Something broke.
    pub fn broken(message: impl Into<String>) -> Exit {
        Exit {
            code: 1,
            message: message.into(),
        }
    }

    /// The command line is wrong.
    pub fn misused(message: impl Into<String>) -> Exit {
        Exit {
            code: 2,
            message: message.into(),
        }
    }

    /// The input was refused and nothing was changed.
    pub fn refused(message: impl Into<String>) -> Exit {
        Exit {
            code: 3,
            message: message.into(),
        }
    }

    /// What was named does not exist.
    pub fn missing(message: impl Into<String>) -> Exit {
        Exit {
            code: 4,
            message: message.into(),
        }
    }

    /// The server is not ready, or nothing came in time.
    pub fn late(message: impl Into<String>) -> Exit {
        Exit {
            code: 5,
            message: message.into(),
        }
    }
}

impl From<Fault> for Exit {
    fn from(fault: Fault) -> Self {
        Exit::broken(fault.to_string())
    }
}

impl From<ConfigProblem> for Exit {
    fn from(problem: ConfigProblem) -> Self {
        Exit::refused(problem.to_string())
    }
}

impl From<AssemblyProblem> for Exit {
    fn from(problem: AssemblyProblem) -> Self {
        match problem {
            AssemblyProblem::Config(problem) => Exit::from(problem),
            AssemblyProblem::Fault(fault) => Exit::from(fault),
        }
    }
}

impl From<Invalid> for Exit {
    fn from(invalid: Invalid) -> Self {
        Exit::refused(invalid.to_string())
    }
}

impl From<AdminFailure> for Exit {
    fn from(failure: AdminFailure) -> Self {
        match failure {
            AdminFailure::Refused(refusal @ AdminRefusal::Missing { .. }) => {
                Exit::missing(refusal.to_string())
            }
            AdminFailure::Refused(refusal) => Exit::refused(refusal.to_string()),
            AdminFailure::Broken(fault) => Exit::from(fault),
        }
    }
}

impl From<Failure> for Exit {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => Exit::refused(refusal.name()),
            Failure::Broken(fault) => Exit::from(fault),
        }
    }
}
