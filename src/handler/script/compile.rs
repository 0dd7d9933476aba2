//! Compiling: a source is checked and becomes a [`Program`].

use super::ScriptError;
use super::engine::ScriptEngine;
use super::program::Program;
use super::sandbox::LoadProblem;

/// The maximum length of a source, in bytes.
pub const SOURCE_BYTES_MAX: usize = 256 << 10;

/// Why a source is not a valid program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", line.map(|line| format!("line {line}: ")).unwrap_or_default())]
pub struct CompileProblem {
    /// The line, from 1, if known.
    pub line: Option<u32>,
    /// The column, from 1.
    pub column: Option<u32>,
    /// The reason.
    pub message: String,
    /// Whether the cause is not in the source: the engine was busy or late.
    pub is_transient: bool,
}

impl CompileProblem {
    fn new(message: impl Into<String>) -> CompileProblem {
        CompileProblem {
            line: None,
            column: None,
            message: message.into(),
            is_transient: false,
        }
    }
}

impl From<LoadProblem> for CompileProblem {
    fn from(problem: LoadProblem) -> CompileProblem {
        CompileProblem {
            line: problem.line,
            column: problem.column,
            message: problem.message,
            is_transient: false,
        }
    }
}

impl Program {
    /// Compiles a module and loads it once, within the limits of a call.
    ///
    /// `file` is the module's name in stack traces. This occupies a script thread for a moment; it must not be
    /// called in the path of a request.
    ///
    /// # Errors
    /// The source is longer than [`SOURCE_BYTES_MAX`], is not a module, imports something, throws while it is
    /// loaded, or exceeds a limit.
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
            return Err(CompileProblem::new("the source contains a NUL character"));
        }
        let file: String = file.chars().filter(|letter| !letter.is_control()).collect();
        let loaded = engine.load(file.clone(), source.to_owned()).await;
        let exports = loaded.map_err(|error| CompileProblem {
            is_transient: matches!(error, ScriptError::Busy | ScriptError::Late),
            ..CompileProblem::new(error.to_string())
        })??;
        Ok(Program::new(file, source.to_owned(), exports))
    }
}
