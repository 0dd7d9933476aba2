//! Script: customers' JavaScript, run in QuickJS.
//!
//! This module owns the engine: dedicated threads, one fresh sandbox per call, and the limits that no script can
//! exceed (processor time, memory, stack, total time, host calls, output, log). A script is an ES module that
//! exports a function with the contract's name; its argument and result are JSON. Its host calls go through
//! [`Host`], so this module uses neither the store nor the network. Which version runs, who answers the host calls
//! and what is recorded is left to `app`.
//!
//! A script that does not end is stopped in three ways: the interpreter asks the meter (`shared_state`) and aborts when
//! the processor time is spent; the watchdog (`threads`) sets aside a thread that the interpreter does not interrupt;
//! and the caller (`engine`) waits no longer than the deadline.
//!
//! Time and randomness are values of the call, and results arrive in the order of the host calls, so that a replay
//! with the same results gives the same output.

mod compile;
mod engine;
mod json;
mod native;
mod program;
mod registry;
mod sandbox;
mod shared_state;
mod threads;

use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::moment::Moment;

pub use compile::{CompileProblem, SOURCE_BYTES_MAX};
pub use engine::ScriptEngine;
pub use program::Program;

/// The limits of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScriptLimits {
    /// Processor time of one call, and of loading a module.
    pub cpu: Duration,
    /// Memory of one sandbox, including its initial 0.4 MiB.
    pub memory_bytes: usize,
    /// Stack of one sandbox.
    pub stack_bytes: usize,
    /// Total time of one call, including waiting for the host.
    pub deadline: Duration,
    /// Size of the result of one call, and of the argument of one host call, as JSON.
    pub output_bytes_max: usize,
    /// Host calls in one call.
    pub host_calls_max: usize,
    /// Lines that one call may log, of at most 1 KiB each.
    pub log_lines_max: usize,
    /// Threads that run scripts.
    pub threads: usize,
    /// Concurrent calls, including those that wait for the host; one more is [`ScriptError::Busy`].
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

/// One call of a script. The argument may contain a one-time password and is not shown by `Debug`.
#[derive(Clone)]
pub struct ScriptCall {
    /// The export to call.
    pub function: &'static str,
    /// Its one argument.
    pub argument: Value,
    /// The time of the script's clock, the same during the whole call.
    pub at: Moment,
    /// The seed of its randomness.
    pub seed: [u8; 32],
}

/// The interface between scripts and the server. There are two implementations: the live one, and the recorded one
/// of a replay.
pub trait Host: Send + Sync {
    /// Answers a host call: `users.find`, `accounts.find`, `identifiers.find` with the object that the script
    /// passed, or `fetch` with `{url, method, headers?, body?}`, whose result is `{status, headers, body}`.
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

/// The outcome and the cost of a call. Host calls and log are not shown by `Debug`.
#[derive(Clone)]
pub struct ScriptRun {
    /// The function's result.
    pub outcome: Result<Value, ScriptError>,
    /// The host calls, in order, with their results.
    pub host_calls: Vec<HostCall>,
    /// What the script logged.
    pub log: Vec<LogLine>,
    /// Processor time of the call; loading the module is included only if no prepared sandbox was available.
    pub cpu: Duration,
    /// Total time.
    pub wall: Duration,
}

/// A host call and its result.
#[derive(Clone, PartialEq)]
pub struct HostCall {
    /// Its name: `users.find` and so on.
    pub name: &'static str,
    /// Its argument.
    pub argument: Value,
    /// Its result; `Unanswered` if the call ended before it arrived.
    pub answer: Result<Value, HostError>,
}

/// A line that a script logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// `log`, `info`, `warn` or `error`.
    pub level: &'static str,
    /// The text.
    pub text: String,
}

/// Why a call has no result.
///
/// The message contains no value of the request, except what the script itself put into the error that it threw.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// Too many calls are running, or too many threads are occupied by scripts that do not stop.
    #[error("too many scripts are running")]
    Busy,
    /// The processor time is spent.
    #[error("the script used up its processor time")]
    CpuSpent,
    /// The deadline has passed.
    #[error("the script did not finish in time")]
    Late,
    /// The module could not be loaded, although it could when it was checked.
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
    /// The result exceeds the size limit.
    #[error("the script's result is too large")]
    OutputTooLarge,
    /// The engine failed while it ran this script.
    #[error("the script engine failed")]
    Panicked,
    /// A function recursed too deeply.
    #[error("the script used up its stack")]
    StackOverflow,
    /// The script threw.
    #[error("{exception}: {message}")]
    Threw {
        /// `error.name`, or `Error`.
        exception: String,
        /// `error.message`.
        message: String,
        /// The stack trace, limited to the module's lines.
        stack: Option<String>,
    },
    /// The script made too many host calls.
    #[error("the script asked the server too often")]
    TooManyHostCalls,
    /// The result is a promise that can no longer be settled.
    #[error("the script waits for something that never happens")]
    Unsettled,
}

impl ScriptError {
    /// The name of the exception.
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

    /// The message: the script's, or a sentence of the server.
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

impl fmt::Debug for ScriptRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptRun")
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
