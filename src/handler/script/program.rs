//! A program: one version of a script, checked, with sandboxes in which its module is already loaded.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::ScriptError;
use super::engine::ScriptEngine;
use super::sandbox::{LoadProblem, Sandbox};

/// Longest source, in bytes.
pub const SOURCE_BYTES_MAX: usize = 256 << 10;

/// Most loaded sandboxes that a program keeps, each of some 0.4 MiB and used once. None is made before the first call.
const READY_MAX: usize = 2;

/// A checked module.
pub struct Program {
    pub(super) file: String,
    pub(super) source: String,
    exports: Vec<String>,
    ready: Mutex<Vec<Sandbox>>,
    /// Threads that this program holds beyond its limits. It is not run while there are any.
    pub(super) held: AtomicUsize,
}

/// Why a source is no program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", line.map(|line| format!("line {line}: ")).unwrap_or_default())]
pub struct CompileProblem {
    /// The line, from 1, where one is to blame.
    pub line: Option<u32>,
    /// The column, from 1.
    pub column: Option<u32>,
    /// What is wrong.
    pub message: String,
    /// Whether it says nothing of the source: the engine was busy or late.
    pub is_passing: bool,
}

impl CompileProblem {
    fn new(message: impl Into<String>) -> CompileProblem {
        CompileProblem {
            line: None,
            column: None,
            message: message.into(),
            is_passing: false,
        }
    }
}

impl From<LoadProblem> for CompileProblem {
    fn from(problem: LoadProblem) -> CompileProblem {
        CompileProblem {
            line: problem.line,
            column: problem.column,
            message: problem.message,
            is_passing: false,
        }
    }
}

impl Program {
    /// Compiles a module and loads it once, within the limits of a call.
    ///
    /// `file` is how the module is called in traces. This takes a script thread for a moment; it is not for the path of
    /// a request.
    ///
    /// # Errors
    /// The source is longer than [`SOURCE_BYTES_MAX`], is no module, imports something, throws while it is loaded, or
    /// passes a limit.
    pub async fn compile(
        engine: &ScriptEngine,
        file: &str,
        source: &str,
    ) -> Result<Program, CompileProblem> {
        if source.len() > SOURCE_BYTES_MAX {
            let message = format!("the source is longer than {} KiB", SOURCE_BYTES_MAX >> 10);
            return Err(CompileProblem::new(message));
        }
        if source.contains('\0') {
            return Err(CompileProblem::new("the source holds a NUL character"));
        }
        let file: String = file.chars().filter(|letter| !letter.is_control()).collect();
        let loaded = engine.load(file.clone(), source.to_owned()).await;
        let exports = loaded.map_err(|error| CompileProblem {
            is_passing: matches!(error, ScriptError::Busy | ScriptError::Late),
            ..CompileProblem::new(error.to_string())
        })??;
        Ok(Program {
            file,
            source: source.to_owned(),
            exports,
            ready: Mutex::new(Vec::new()),
            held: AtomicUsize::new(0),
        })
    }

    /// Whether the module exports a function of this name.
    pub fn exports(&self, function: &str) -> bool {
        self.exports.iter().any(|export| export == function)
    }

    /// A sandbox with the module loaded, if one stands ready.
    pub(super) fn take_ready(&self) -> Option<Sandbox> {
        self.ready().pop()
    }

    pub(super) fn wants_ready(&self) -> bool {
        self.ready().len() < READY_MAX
    }

    #[cfg(test)]
    pub(super) fn is_prepared(&self) -> bool {
        !self.ready().is_empty()
    }

    /// Keeps a sandbox for a later call.
    pub(super) fn keep_ready(&self, sandbox: Sandbox) {
        let mut ready = self.ready();
        if ready.len() < READY_MAX {
            ready.push(sandbox);
        }
    }

    pub(super) fn is_held(&self) -> bool {
        self.held.load(Ordering::Relaxed) > 0
    }

    fn ready(&self) -> MutexGuard<'_, Vec<Sandbox>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program")
            .field("file", &self.file)
            .field("exports", &self.exports)
            .finish_non_exhaustive()
    }
}
