//! A program: one version of a script, checked, with prepared sandboxes in which its module is loaded.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::sandbox::Sandbox;

/// The maximum number of prepared sandboxes of a program, each of about 0.4 MiB and used once. None is prepared
/// before the first call.
const READY_MAX: usize = 2;

/// A checked module.
pub struct Program {
    pub(super) file: String,
    pub(super) source: String,
    exports: Vec<String>,
    ready: Mutex<Vec<Sandbox>>,
    /// Threads that this program occupies beyond its limits. While there are any, it is not run.
    pub(super) stuck_threads: AtomicUsize,
}

impl Program {
    pub(super) fn new(file: String, source: String, exports: Vec<String>) -> Program {
        Program {
            file,
            source,
            exports,
            ready: Mutex::new(Vec::new()),
            stuck_threads: AtomicUsize::new(0),
        }
    }

    /// Whether the module exports a function of this name.
    pub fn exports(&self, function: &str) -> bool {
        self.exports.iter().any(|export| export == function)
    }

    /// A prepared sandbox, if there is one.
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

    pub(super) fn has_stuck_threads(&self) -> bool {
        self.stuck_threads.load(Ordering::Relaxed) > 0
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
