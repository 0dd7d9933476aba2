//! The threads that run scripts, their queue, and their watchdog.
//!
//! A script that waits for the host occupies no thread. A running script is stopped by the interpreter, which
//! checks the meter regularly. A single long step inside the engine is not interrupted by that; the watchdog
//! handles it: a second after the processor time is spent, the caller gets its refusal, the thread is set aside at
//! the lowest priority, another one replaces it, and the program is not run again until the thread has returned. So
//! no script can block another one, or the server. A script that is slow because the processor is busy with other
//! work is left alone.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::program::Program;
use super::shared_state::SharedState;
use super::{ScriptError, ScriptLimits};
use crate::moment::thread_cpu;
use crate::refusal::Fault;

/// The interval of the watchdog's checks.
const TICK: Duration = Duration::from_millis(250);

/// The number of checks at which a thread may still run a job whose processor time is spent: a second.
const TICKS_MAX: u32 = 4;

/// The number of checks for which the watchdog continues while nothing runs.
const TICKS_IDLE_MAX: u32 = 40;

/// The maximum number of threads set aside; beyond it a stuck thread is not replaced.
const SET_ASIDE_MAX: usize = 8;

/// The maximum number of queued preparations; a call without a prepared sandbox loads its own.
const PREPARATIONS_MAX: usize = 16;

/// The stack of a thread: the script's limit, and space for the functions of the engine and the server.
const THREAD_STACK_BYTES: usize = 4 << 20;

/// Scripts have a lower priority than the threads that serve requests, and threads that were set aside have the
/// lowest.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 15;
#[cfg(target_os = "linux")]
const NICENESS_SET_ASIDE: i32 = 19;

/// The processor time of another thread of this process; `None` where the system does not say it.
#[cfg(target_os = "linux")]
fn cpu_of(thread: rustix::thread::Pid) -> Option<Duration> {
    let path = format!("/proc/self/task/{}/schedstat", thread.as_raw_nonzero());
    let stat = std::fs::read_to_string(path).ok()?;
    let nanos = stat.split_whitespace().next()?.parse().ok()?;
    // A kernel without these statistics says 0, though this thread has run.
    (nanos > 0).then(|| Duration::from_nanos(nanos))
}

/// One turn of a script.
pub(super) struct ScriptJob {
    pub(super) shared: Arc<SharedState>,
    pub(super) program: Option<Arc<Program>>,
    pub(super) run: Run,
}

type Run = Box<dyn FnOnce() + Send>;

/// The threads; dropping it ends those that are not set aside.
pub(super) struct Threads {
    pool: Arc<Pool>,
}

/// The state shared by the threads, their users and the watchdog.
pub(super) struct Pool {
    state: Mutex<PoolState>,
    arrived: Condvar,
    watch: Condvar,
}

struct PoolState {
    waiting: VecDeque<ScriptJob>,
    /// Run when nothing is waiting.
    preparations: VecDeque<ScriptJob>,
    slots: Vec<Slot>,
    slots_made: u64,
    set_aside: usize,
    is_watch_asleep: bool,
    is_closed: bool,
}

/// A thread and its current job.
struct Slot {
    number: u64,
    #[cfg(target_os = "linux")]
    thread: Option<rustix::thread::Pid>,
    busy: Option<RunningJob>,
}

struct RunningJob {
    shared: Arc<SharedState>,
    program: Option<Arc<Program>>,
    /// The thread's processor time at the start of the job.
    started_at: Duration,
    /// The checks at which the job had spent its processor time.
    ticks: u32,
}

impl Threads {
    /// Starts the threads and the watchdog.
    ///
    /// # Faults
    /// The operating system cannot create a thread.
    pub(super) fn start(limits: &ScriptLimits) -> Result<Threads, Fault> {
        let pool = Arc::new(Pool {
            state: Mutex::new(PoolState {
                waiting: VecDeque::new(),
                preparations: VecDeque::new(),
                slots: Vec::new(),
                slots_made: 0,
                set_aside: 0,
                is_watch_asleep: false,
                is_closed: false,
            }),
            arrived: Condvar::new(),
            watch: Condvar::new(),
        });
        let threads = Threads {
            pool: Arc::clone(&pool),
        };
        let fault = |error| Fault::new("starting the script threads", error);
        for _ in 0..limits.threads.max(1) {
            pool.add_thread(&mut pool.state()).map_err(fault)?;
        }
        std::thread::Builder::new()
            .name(String::from("script-watch"))
            .spawn(move || pool.watch())
            .map_err(fault)?;
        Ok(threads)
    }

    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        let mut state = self.pool.state();
        state.is_closed = true;
        for busy in state.slots.iter().filter_map(|slot| slot.busy.as_ref()) {
            busy.shared.meter.stop();
        }
        let left = (
            std::mem::take(&mut state.waiting),
            std::mem::take(&mut state.preparations),
        );
        drop(state);
        drop(left);
        self.pool.arrived.notify_all();
        self.pool.watch.notify_all();
    }
}

impl Pool {
    /// Queues a job. The number of concurrent calls bounds the queue.
    pub(super) fn push(&self, job: ScriptJob) {
        let mut state = self.state();
        if state.is_closed {
            return;
        }
        state.waiting.push_back(job);
        self.announce(state);
    }

    /// Queues a job that runs when nothing else is waiting; drops it when too many such jobs are queued.
    pub(super) fn push_later(&self, job: ScriptJob) {
        let mut state = self.state();
        if state.is_closed || state.preparations.len() >= PREPARATIONS_MAX {
            return;
        }
        state.preparations.push_back(job);
        self.announce(state);
    }

    fn announce(&self, mut state: MutexGuard<'_, PoolState>) {
        let wakes_watch = std::mem::take(&mut state.is_watch_asleep);
        drop(state);
        self.arrived.notify_one();
        if wakes_watch {
            self.watch.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, PoolState> {
        // No code that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add_thread(self: &Arc<Self>, state: &mut PoolState) -> std::io::Result<()> {
        let number = state.slots_made;
        let pool = Arc::clone(self);
        std::thread::Builder::new()
            .name(format!("script-{number}"))
            .stack_size(THREAD_STACK_BYTES)
            .spawn(move || pool.run(number))?;
        state.slots_made += 1;
        state.slots.push(Slot {
            number,
            #[cfg(target_os = "linux")]
            thread: None,
            busy: None,
        });
        Ok(())
    }

    /// The main loop of a thread.
    fn run(&self, number: u64) {
        #[cfg(target_os = "linux")]
        self.lower_priority(number);
        while let Some((run, program)) = self.next_job(number) {
            if catch_unwind(AssertUnwindSafe(run)).is_err() {
                // The reply channel was dropped with the job, so its caller gets the error that the engine failed.
                tracing::error!("a script thread panicked and continues");
            }
            if !self.finish(number, program) {
                return;
            }
        }
    }

    #[cfg(target_os = "linux")]
    fn lower_priority(&self, number: u64) {
        let thread = rustix::thread::gettid();
        // Without the permission to change it, scripts have the priority of everything else.
        let _ = rustix::process::setpriority_process(Some(thread), NICENESS);
        let mut state = self.state();
        if let Some(slot) = state.slots.iter_mut().find(|slot| slot.number == number) {
            slot.thread = Some(thread);
        }
    }

    /// Waits for a job; `None` when the engine is being dropped.
    fn next_job(&self, number: u64) -> Option<(Run, Option<Arc<Program>>)> {
        let mut state = self.state();
        loop {
            if state.is_closed {
                return None;
            }
            let job = state.waiting.pop_front();
            if let Some(job) = job.or_else(|| state.preparations.pop_front()) {
                let slot = state.slots.iter_mut().find(|slot| slot.number == number)?;
                slot.busy = Some(RunningJob {
                    shared: job.shared,
                    program: job.program.clone(),
                    started_at: thread_cpu(),
                    ticks: 0,
                });
                return Some((job.run, job.program));
            }
            let waited = self.arrived.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends a job; false when the thread was set aside in the meantime and was replaced.
    fn finish(&self, number: u64, program: Option<Arc<Program>>) -> bool {
        let mut state = self.state();
        if let Some(slot) = state.slots.iter_mut().find(|slot| slot.number == number) {
            let done = slot.busy.take();
            // Values whose last owner this is are dropped outside the lock.
            drop(state);
            drop(done);
            return true;
        }
        state.set_aside -= 1;
        drop(state);
        if let Some(program) = program {
            program.stuck_threads.fetch_sub(1, Ordering::Relaxed);
        }
        false
    }

    /// The main loop of the watchdog.
    fn watch(self: &Arc<Self>) {
        let mut idle = 0;
        let mut state = self.state();
        while !state.is_closed {
            if idle > TICKS_IDLE_MAX {
                state.is_watch_asleep = true;
                let waited = self.watch.wait(state);
                state = waited.unwrap_or_else(PoisonError::into_inner);
                idle = 0;
                continue;
            }
            let waited = self.watch.wait_timeout(state, TICK);
            let (after, result) = waited.unwrap_or_else(PoisonError::into_inner);
            state = after;
            if result.timed_out() {
                idle = if self.check(&mut state) { 0 } else { idle + 1 };
            }
        }
    }

    /// Checks the threads; true when one of them is running a job.
    fn check(self: &Arc<Self>, state: &mut PoolState) -> bool {
        let mut is_busy = false;
        let mut stuck = Vec::new();
        for slot in &mut state.slots {
            let Some(busy) = &mut slot.busy else { continue };
            is_busy = true;
            #[cfg(target_os = "linux")]
            let cpu = slot.thread.and_then(cpu_of);
            // A system that does not say what the thread has spent counts all time.
            #[cfg(not(target_os = "linux"))]
            let cpu: Option<Duration> = None;
            let spent = cpu.map(|cpu| cpu.saturating_sub(busy.started_at));
            if spent.is_none_or(|spent| spent >= busy.shared.limits.cpu) {
                busy.ticks += 1;
            }
            if busy.ticks == TICKS_MAX {
                stuck.push(slot.number);
            }
        }
        for number in stuck {
            self.set_aside(state, number);
        }
        is_busy
    }

    /// Abandons a job. The interpreter stops it at its next check; until then the thread is set aside.
    fn set_aside(self: &Arc<Self>, state: &mut PoolState, number: u64) {
        let Some(at) = state.slots.iter().position(|slot| slot.number == number) else {
            return;
        };
        let Some(busy) = &state.slots[at].busy else {
            return;
        };
        busy.shared.fail(ScriptError::CpuSpent);
        busy.shared.abandoned.notify_one();
        if state.set_aside >= SET_ASIDE_MAX {
            tracing::error!(
                "too many threads are occupied by scripts that do not stop; further scripts are refused"
            );
            return;
        }
        if let Err(error) = self.add_thread(state) {
            tracing::error!(%error, "a thread that a script occupies cannot be replaced");
            return;
        }
        let slot = state.slots.swap_remove(at);
        tracing::warn!("a script does not stop; its thread is set aside until it does");
        #[cfg(target_os = "linux")]
        if let Some(thread) = slot.thread {
            let _ = rustix::process::setpriority_process(Some(thread), NICENESS_SET_ASIDE);
        }
        state.set_aside += 1;
        if let Some(program) = slot.busy.and_then(|busy| busy.program) {
            program.stuck_threads.fetch_add(1, Ordering::Relaxed);
        }
    }
}
