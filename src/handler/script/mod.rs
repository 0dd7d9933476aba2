//! Script: customers' JavaScript, run in QuickJS.
//!
//! Owns the engine: threads of its own, one fresh sandbox per call, and the limits that no script gets past (processor
//! time, memory, stack, time altogether, host calls, output, log). A script is an ES module that exports a function of the
//! contract's name; it is given JSON and gives JSON. What it may ask of the server goes through [`Host`], so this room knows
//! neither the store nor the network. It leaves to `app` which version runs, to whom its questions go and what is recorded.
//!
//! Time and randomness are values of the call, and answers arrive in the order of the questions, so that a replay with the
//! same answers gives the same output.

mod engine;
mod json;
mod native;
mod program;
mod sandbox;
mod threads;
mod wires;

use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::moment::Moment;

pub use engine::ScriptEngine;
pub use program::{CompileProblem, Program, SOURCE_BYTES_MAX};

/// How much a script may have of what it shares with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScriptLimits {
    /// Processor time of one call, and of loading a module.
    pub cpu: Duration,
    /// Memory of one sandbox, its own 0.4 MiB included.
    pub memory_bytes: usize,
    /// Stack of one sandbox.
    pub stack_bytes: usize,
    /// Time of one call altogether, waiting for the host included.
    pub deadline: Duration,
    /// Output of one call, and of one question to the host, as JSON.
    pub output_bytes_max: usize,
    /// Questions to the host in one call.
    pub host_calls_max: usize,
    /// Lines that one call may log, of at most 1 KiB each.
    pub log_lines_max: usize,
    /// Threads that run scripts.
    pub threads: usize,
    /// Calls at once, those that wait for the host included; one more is [`ScriptError::Busy`].
    pub in_flight_max: usize,
}

impl Default for ScriptLimits {
    fn default() -> Self {
        ScriptLimits {
            cpu: Duration::from_millis(100),
            memory_bytes: 16 << 20,
            stack_bytes: 256 << 10,
            deadline: Duration::from_secs(3),
            output_bytes_max: 256 << 10,
            host_calls_max: 64,
            log_lines_max: 100,
            threads: 2,
            in_flight_max: 256,
        }
    }
}

/// One call of a script. What it is given may hold a one-time password, and is not told to Debug.
#[derive(Clone)]
pub struct ScriptCall {
    /// The export to call.
    pub function: &'static str,
    /// Its one argument.
    pub argument: Value,
    /// What the script's clock shows, from the first line of the function to the last.
    pub at: Moment,
    /// What its randomness comes from.
    pub seed: [u8; 32],
}

/// What a script may ask of the server. There are two: the live one, and the recorded one of a replay.
pub trait Host: Send + Sync {
    /// Answers a question: `users.find`, `accounts.find`, `identifiers.find` with the object that the script gave, or
    /// `fetch` with `{url, method, headers?, body?}`, answered by `{status, headers, body}`.
    ///
    /// # Errors
    /// What the script sees as a thrown `Error`.
    fn call<'h>(&'h self, name: &'static str, argument: Value) -> HostAnswer<'h>;
}

/// The answer of a [`Host`], which may need the database or another server.
pub type HostAnswer<'h> = BoxFuture<'h, Result<Value, HostError>>;

/// Why the host did not answer. The script may catch it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HostError {
    /// Becomes `error.name`.
    pub exception: String,
    /// Becomes `error.message`.
    pub message: String,
}

/// What became of a call, and what it cost. What was asked and logged is not told to Debug.
#[derive(Clone)]
pub struct Ran {
    /// The function's result.
    pub outcome: Result<Value, ScriptError>,
    /// What was asked, in this order, and what was answered.
    pub host_calls: Vec<HostCall>,
    /// What the script logged.
    pub log: Vec<LogLine>,
    /// Processor time of the call; loading the module is counted only if no loaded one stood ready.
    pub cpu: Duration,
    /// Time altogether.
    pub wall: Duration,
}

/// A question of a script and its answer.
#[derive(Clone, PartialEq)]
pub struct HostCall {
    /// What was asked: `users.find` and so on.
    pub name: &'static str,
    /// The question.
    pub argument: Value,
    /// The answer; `Unanswered` if the call ended before it came.
    pub answer: Result<Value, HostError>,
}

/// A line that a script logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// `log`, `info`, `warn` or `error`.
    pub level: &'static str,
    /// What it says.
    pub text: String,
}

/// Why a call has no result.
///
/// The message holds no value of the request, except what the script itself put into what it threw.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// Too many calls are under way, or too many threads are held by scripts that do not stop.
    #[error("too many scripts are running")]
    Busy,
    /// The processor time is spent.
    #[error("the script used up its processor time")]
    CpuSpent,
    /// The deadline has passed.
    #[error("the script did not finish in time")]
    Late,
    /// The module could not be loaded, though it could when it was checked.
    #[error("the script could not be loaded: {0}")]
    Load(String),
    /// The module exports no such function.
    #[error("the script exports no function of this name")]
    NoSuchFunction,
    /// The memory is used up.
    #[error("the script used up its memory")]
    OutOfMemory,
    /// The result is not JSON; the text says where and why.
    #[error("the script's result is not JSON: {0}")]
    OutputNotJson(String),
    /// The result is longer than it may be.
    #[error("the script's result is too large")]
    OutputTooLarge,
    /// The engine broke while it ran this script.
    #[error("the script engine failed")]
    Panicked,
    /// A function called itself too often.
    #[error("the script used up its stack")]
    StackOverflow,
    /// The script threw.
    #[error("{exception}: {message}")]
    Threw {
        /// `error.name`, or `Error`.
        exception: String,
        /// `error.message`.
        message: String,
        /// Where, in lines of the module.
        stack: Option<String>,
    },
    /// The script asked the host too often.
    #[error("the script asked the server too often")]
    TooManyHostCalls,
    /// The result is a promise, and nothing is left that could settle it.
    #[error("the script waits for something that never happens")]
    Unsettled,
}

impl ScriptError {
    /// The kind, in the manner of an exception's name.
    pub fn exception(&self) -> &str {
        match self {
            ScriptError::Busy => "BusyException",
            ScriptError::CpuSpent => "CpuLimitException",
            ScriptError::Late | ScriptError::Unsettled => "TimeoutException",
            ScriptError::Load(_) => "LoadException",
            ScriptError::NoSuchFunction => "NoSuchFunctionException",
            ScriptError::OutOfMemory => "MemoryLimitException",
            ScriptError::OutputNotJson(_) => "OutputException",
            ScriptError::OutputTooLarge => "OutputLimitException",
            ScriptError::Panicked => "EngineException",
            ScriptError::StackOverflow => "StackLimitException",
            ScriptError::Threw { exception, .. } => exception,
            ScriptError::TooManyHostCalls => "HostCallLimitException",
        }
    }

    /// What about it: what the script threw, or a sentence of ours.
    pub fn message(&self) -> String {
        match self {
            ScriptError::Threw { message, .. } => message.clone(),
            other => other.to_string(),
        }
    }
}

impl fmt::Debug for ScriptCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptCall")
            .field("function", &self.function)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ran")
            .field("failure", &self.outcome.as_ref().err())
            .field("host_calls", &self.host_calls)
            .field("cpu", &self.cpu)
            .field("wall", &self.wall)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for HostCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostCall")
            .field("name", &self.name)
            .field("is_answered", &self.answer.is_ok())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
