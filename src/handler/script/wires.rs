//! What a sandbox and its driver share: the meter that stops a script, and what the script has asked and logged.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest;
use serde_json::Value;
use tokio::sync::Notify;

use super::{LogLine, ScriptError, ScriptLimits};
use crate::moment::{Moment, thread_cpu};

/// Longest line of a script's log, in bytes.
const LOG_LINE_BYTES_MAX: usize = 1_024;

/// Stands in the log where lines were dropped.
const LOG_IS_FULL: &str = "(what the script logged after this is left out)";

/// Shared by a sandbox, the functions in it, and the one thread that runs it.
pub(super) struct Wires {
    pub(super) meter: Meter,
    pub(super) limits: ScriptLimits,
    /// Rings when the watch gave up on the thread that runs the script.
    pub(super) given_up: Notify,
    talk: Mutex<Talk>,
}

/// Says when a script has to stop. The interpreter asks it every few thousand steps.
pub(super) struct Meter {
    /// The thread's processor time at which the budget ends, in nanoseconds.
    ends_at: AtomicU64,
    /// What was left of the budget when the script last came to rest, in nanoseconds.
    left: AtomicU64,
    is_spent: AtomicBool,
    /// Nobody waits for the result any more, or a limit was passed that a script may not catch.
    is_stopped: AtomicBool,
}

/// What a script said and was told.
pub(super) struct Talk {
    /// What only a call has; none while the module is being loaded.
    pub(super) call: Option<CallWorld>,
    /// Asked since the last look.
    pub(super) questions: Vec<Question>,
    /// How many were asked altogether.
    pub(super) asked: usize,
    pub(super) log: Vec<LogLine>,
    /// The limit that was passed, whatever the script makes of it.
    pub(super) fatal: Option<ScriptError>,
}

/// The values that stand for the world in one call.
pub(super) struct CallWorld {
    pub(super) at: Moment,
    seed: [u8; 32],
    blocks: u64,
    rest: Vec<u8>,
}

/// Something that a script asked of the host.
pub(super) struct Question {
    pub(super) name: &'static str,
    pub(super) argument: Value,
}

impl Wires {
    pub(super) fn new(limits: ScriptLimits) -> Wires {
        Wires {
            meter: Meter {
                ends_at: AtomicU64::new(u64::MAX),
                left: AtomicU64::new(0),
                is_spent: AtomicBool::new(false),
                is_stopped: AtomicBool::new(false),
            },
            limits,
            given_up: Notify::new(),
            talk: Mutex::new(Talk {
                call: None,
                questions: Vec::new(),
                asked: 0,
                log: Vec::new(),
                fatal: None,
            }),
        }
    }

    pub(super) fn talk(&self) -> MutexGuard<'_, Talk> {
        self.talk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn log(&self, level: &'static str, text: String) {
        let mut talk = self.talk();
        let lines = talk.log.len();
        if lines < self.limits.log_lines_max {
            let text = shortened(text, LOG_LINE_BYTES_MAX);
            talk.log.push(LogLine { level, text });
        } else if lines == self.limits.log_lines_max {
            let text = String::from(LOG_IS_FULL);
            talk.log.push(LogLine {
                level: "warn",
                text,
            });
        }
    }

    /// Passes a limit that the script cannot catch: it is stopped at its next step.
    pub(super) fn fail(&self, error: ScriptError) {
        self.talk().fatal.get_or_insert(error);
        self.meter.stop();
    }
}

impl Meter {
    /// Gives the script that this thread is about to run that much processor time.
    pub(super) fn grant(&self, budget: Duration) {
        let ends_at = thread_cpu() + budget;
        let nanos = u64::try_from(ends_at.as_nanos()).unwrap_or(u64::MAX);
        self.ends_at.store(nanos, Ordering::Relaxed);
    }

    /// Notes what is left of the budget, which the next turn may spend on another thread.
    pub(super) fn rest(&self) {
        let spent = u64::try_from(thread_cpu().as_nanos()).unwrap_or(u64::MAX);
        let left = self.ends_at.load(Ordering::Relaxed).saturating_sub(spent);
        self.left.store(left, Ordering::Relaxed);
    }

    pub(super) fn left(&self) -> Duration {
        Duration::from_nanos(self.left.load(Ordering::Relaxed))
    }

    /// Whether the interpreter is to break off. Once true, it stays so.
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

impl CallWorld {
    pub(super) fn new(at: Moment, seed: [u8; 32]) -> CallWorld {
        CallWorld {
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

/// At most that many bytes of a text, cut between two characters.
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
