//! The state shared by a sandbox and the engine: the meter that stops a script, and what the script has requested
//! and logged.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest;
use serde_json::Value;
use tokio::sync::Notify;

use super::{LogLine, ScriptError, ScriptLimits};
use crate::moment::{Moment, thread_cpu};

/// The maximum length of a line of a script's log, in bytes.
const LOG_LINE_BYTES_MAX: usize = 1_024;

/// The last line of a log from which lines were dropped.
const LOG_IS_FULL: &str = "(what the script logged after this is left out)";

/// Shared by a sandbox, the functions in it, and the one thread that runs it.
pub(super) struct SharedState {
    pub(super) meter: Meter,
    pub(super) limits: ScriptLimits,
    /// Notified when the watchdog has abandoned the thread that runs the script.
    pub(super) abandoned: Notify,
    transcript: Mutex<Transcript>,
}

/// Decides when a script has to stop. The interpreter checks it every few thousand steps.
pub(super) struct Meter {
    /// The thread's processor time at which the budget ends, in nanoseconds.
    ends_at: AtomicU64,
    /// The rest of the budget at the end of the last turn, in nanoseconds.
    left: AtomicU64,
    is_spent: AtomicBool,
    /// The result is no longer needed, or a limit was exceeded that a script may not catch.
    is_stopped: AtomicBool,
}

/// The output of a script.
pub(super) struct Transcript {
    /// The values of the call; `None` while the module is loaded.
    pub(super) call: Option<CallEnvironment>,
    /// The host calls since the end of the last turn.
    pub(super) questions: Vec<PendingHostCall>,
    /// The total number of host calls.
    pub(super) asked: usize,
    pub(super) log: Vec<LogLine>,
    /// The exceeded limit, whatever the script makes of it.
    pub(super) fatal: Option<ScriptError>,
}

/// Time and randomness of one call.
pub(super) struct CallEnvironment {
    pub(super) at: Moment,
    seed: [u8; 32],
    blocks: u64,
    rest: Vec<u8>,
}

/// A host call of a script.
pub(super) struct PendingHostCall {
    pub(super) name: &'static str,
    pub(super) argument: Value,
}

impl SharedState {
    pub(super) fn new(limits: ScriptLimits) -> SharedState {
        SharedState {
            meter: Meter {
                ends_at: AtomicU64::new(u64::MAX),
                left: AtomicU64::new(0),
                is_spent: AtomicBool::new(false),
                is_stopped: AtomicBool::new(false),
            },
            limits,
            abandoned: Notify::new(),
            transcript: Mutex::new(Transcript {
                call: None,
                questions: Vec::new(),
                asked: 0,
                log: Vec::new(),
                fatal: None,
            }),
        }
    }

    pub(super) fn transcript(&self) -> MutexGuard<'_, Transcript> {
        self.transcript
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn log(&self, level: &'static str, text: String) {
        let mut transcript = self.transcript();
        let lines = transcript.log.len();
        if lines < self.limits.log_lines_max {
            let text = shortened(text, LOG_LINE_BYTES_MAX);
            transcript.log.push(LogLine { level, text });
        } else if lines == self.limits.log_lines_max {
            let text = String::from(LOG_IS_FULL);
            transcript.log.push(LogLine {
                level: "warn",
                text,
            });
        }
    }

    /// Records an exceeded limit that the script cannot catch: it is stopped at its next step.
    pub(super) fn fail(&self, error: ScriptError) {
        self.transcript().fatal.get_or_insert(error);
        self.meter.stop();
    }
}

impl Meter {
    /// Starts a budget of processor time for the script that this thread is about to run.
    pub(super) fn grant(&self, budget: Duration) {
        let ends_at = thread_cpu() + budget;
        let nanos = u64::try_from(ends_at.as_nanos()).unwrap_or(u64::MAX);
        self.ends_at.store(nanos, Ordering::Relaxed);
    }

    /// Saves the rest of the budget, which the next turn may spend on another thread.
    pub(super) fn rest(&self) {
        let spent = u64::try_from(thread_cpu().as_nanos()).unwrap_or(u64::MAX);
        let left = self.ends_at.load(Ordering::Relaxed).saturating_sub(spent);
        self.left.store(left, Ordering::Relaxed);
    }

    pub(super) fn left(&self) -> Duration {
        Duration::from_nanos(self.left.load(Ordering::Relaxed))
    }

    /// Whether the interpreter must abort. Once true, it remains true.
    pub(super) fn must_stop(&self) -> bool {
        if self.is_stopped.load(Ordering::Relaxed) || self.is_spent.load(Ordering::Relaxed) {
            return true;
        }
        let is_spent = thread_cpu().as_nanos() >= u128::from(self.ends_at.load(Ordering::Relaxed));
        if is_spent {
            self.is_spent.store(true, Ordering::Relaxed);
        }
        is_spent
    }

    pub(super) fn is_spent(&self) -> bool {
        self.is_spent.load(Ordering::Relaxed)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }

    pub(super) fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }
}

impl CallEnvironment {
    pub(super) fn new(at: Moment, seed: [u8; 32]) -> CallEnvironment {
        CallEnvironment {
            at,
            seed,
            blocks: 0,
            rest: Vec::new(),
        }
    }

    /// The next bytes of the call's randomness: SHA-256 over the seed and a counter.
    pub(super) fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.rest.len() < count {
            let mut input = [0; 40];
            input[..32].copy_from_slice(&self.seed);
            input[32..].copy_from_slice(&self.blocks.to_be_bytes());
            self.blocks += 1;
            let block = digest::digest(&digest::SHA256, &input);
            self.rest.extend_from_slice(block.as_ref());
        }
        self.rest.drain(..count).collect()
    }
}

/// At most that many bytes of a text, cut at a character boundary.
pub(super) fn shortened(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        let end = (0..=bytes_max)
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}
