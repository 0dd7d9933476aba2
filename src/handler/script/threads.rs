//! The threads that run scripts, the queue in front of them, and the watch over them.
//!
//! A script that waits for the host is in no thread. One that runs is stopped by the interpreter's own questions to the
//! meter; what no such question interrupts (one long step inside the engine, thousands of times over) is left to the watch:
//! after a second the caller gets its refusal, the thread is set aside at the lowest priority, another takes its place, and
//! the program is not run again before the thread has come back. So no script holds up another one, or the server.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::program::Program;
use super::wires::Wires;
use super::{ScriptError, ScriptLimits};
use crate::refusal::Fault;

/// How often the watch looks.
const TICK: Duration = Duration::from_millis(250);

/// How many looks in a row may find a thread at the same piece of work: a second, which is ten times the processor time
/// that a script gets.
const TICKS_MAX: u32 = 4;

/// For how many looks the watch stays awake while nothing runs.
const TICKS_IDLE_MAX: u32 = 40;

/// Most threads set aside at once; beyond them a held thread is not replaced.
const SET_ASIDE_MAX: usize = 8;

/// Most sandboxes that wait to be prepared; who finds none ready makes its own.
const PREPARATIONS_MAX: usize = 16;

/// Stack of a thread: what a script may have, and room for the engine's and our own functions below it.
const THREAD_STACK_BYTES: usize = 4 << 20;

/// Scripts give way to the threads that serve requests, and a thread that was set aside to everybody.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 15;
#[cfg(target_os = "linux")]
const NICENESS_SET_ASIDE: i32 = 19;

/// A piece of work: one turn of a script.
pub(super) struct Job {
    pub(super) wires: Arc<Wires>,
    pub(super) program: Option<Arc<Program>>,
    pub(super) run: Run,
}

type Run = Box<dyn FnOnce() + Send>;

/// The threads; dropping it ends those that are not set aside.
pub(super) struct Threads {
    pool: Arc<Pool>,
}

/// What the threads, their users and the watch share.
pub(super) struct Pool {
    state: Mutex<State>,
    arrived: Condvar,
    watch: Condvar,
}

struct State {
    waiting: VecDeque<Job>,
    /// Done when nothing waits.
    preparations: VecDeque<Job>,
    slots: Vec<Slot>,
    slots_made: u64,
    set_aside: usize,
    is_watch_asleep: bool,
    is_closed: bool,
}

/// A thread and what it is at.
struct Slot {
    number: u64,
    #[cfg(target_os = "linux")]
    thread: Option<rustix::thread::Pid>,
    busy: Option<Busy>,
}

struct Busy {
    wires: Arc<Wires>,
    program: Option<Arc<Program>>,
    ticks: u32,
}

impl Threads {
    /// Starts the threads and the watch.
    ///
    /// # Faults
    /// The operating system grants no thread.
    pub(super) fn start(limits: &ScriptLimits) -> Result<Threads, Fault> {
        let pool = Arc::new(Pool {
            state: Mutex::new(State {
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
            busy.wires.meter.stop();
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
    /// Puts work into the queue. What is in flight is bounded, and so is the queue.
    pub(super) fn push(&self, job: Job) {
        let mut state = self.state();
        if state.is_closed {
            return;
        }
        state.waiting.push_back(job);
        self.announce(state);
    }

    /// Has work done when nothing else waits, or not at all if too much of it waits.
    pub(super) fn push_later(&self, job: Job) {
        let mut state = self.state();
        if state.is_closed || state.preparations.len() >= PREPARATIONS_MAX {
            return;
        }
        state.preparations.push_back(job);
        self.announce(state);
    }

    fn announce(&self, mut state: MutexGuard<'_, State>) {
        let wakes_watch = std::mem::take(&mut state.is_watch_asleep);
        drop(state);
        self.arrived.notify_one();
        if wakes_watch {
            self.watch.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add_thread(self: &Arc<Self>, state: &mut State) -> std::io::Result<()> {
        let number = state.slots_made;
        let pool = Arc::clone(self);
        std::thread::Builder::new()
            .name(format!("script-{number}"))
            .stack_size(THREAD_STACK_BYTES)
            .spawn(move || pool.work(number))?;
        state.slots_made += 1;
        state.slots.push(Slot {
            number,
            #[cfg(target_os = "linux")]
            thread: None,
            busy: None,
        });
        Ok(())
    }

    /// The life of one thread.
    fn work(&self, number: u64) {
        #[cfg(target_os = "linux")]
        self.give_way(number);
        while let Some((run, program)) = self.take(number) {
            if catch_unwind(AssertUnwindSafe(run)).is_err() {
                // The reply went with the work, so its caller is told that the engine failed.
                tracing::error!("a script thread panicked, and goes on");
            }
            if !self.put_down(number, program) {
                return;
            }
        }
    }

    #[cfg(target_os = "linux")]
    fn give_way(&self, number: u64) {
        let thread = rustix::thread::gettid();
        // Without the right to do so scripts have the priority of everything else.
        let _ = rustix::process::setpriority_process(Some(thread), NICENESS);
        let mut state = self.state();
        if let Some(slot) = state.slots.iter_mut().find(|slot| slot.number == number) {
            slot.thread = Some(thread);
        }
    }

    /// Waits for work; `None` when the engine is being dropped.
    fn take(&self, number: u64) -> Option<(Run, Option<Arc<Program>>)> {
        let mut state = self.state();
        loop {
            if state.is_closed {
                return None;
            }
            let job = state.waiting.pop_front();
            if let Some(job) = job.or_else(|| state.preparations.pop_front()) {
                let slot = state.slots.iter_mut().find(|slot| slot.number == number)?;
                slot.busy = Some(Busy {
                    wires: job.wires,
                    program: job.program.clone(),
                    ticks: 0,
                });
                return Some((job.run, job.program));
            }
            let waited = self.arrived.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The work is done; false when the thread was set aside meanwhile, and has a successor.
    fn put_down(&self, number: u64, program: Option<Arc<Program>>) -> bool {
        let mut state = self.state();
        if let Some(slot) = state.slots.iter_mut().find(|slot| slot.number == number) {
            let done = slot.busy.take();
            // What ends with its last owner ends outside the lock.
            drop(state);
            drop(done);
            return true;
        }
        state.set_aside -= 1;
        drop(state);
        if let Some(program) = program {
            program.held.fetch_sub(1, Ordering::Relaxed);
        }
        false
    }

    /// The life of the watch.
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
                idle = if self.look(&mut state) { 0 } else { idle + 1 };
            }
        }
    }

    /// One look at the threads; true when one of them is at work.
    fn look(self: &Arc<Self>, state: &mut State) -> bool {
        let mut is_busy = false;
        let mut held = Vec::new();
        for slot in &mut state.slots {
            let Some(busy) = &mut slot.busy else { continue };
            is_busy = true;
            busy.ticks += 1;
            if busy.ticks == TICKS_MAX {
                held.push(slot.number);
            }
        }
        for number in held {
            self.set_aside(state, number);
        }
        is_busy
    }

    /// Gives up on a piece of work. The interpreter stops it at its next question; until then the thread stays away.
    fn set_aside(self: &Arc<Self>, state: &mut State, number: u64) {
        let Some(at) = state.slots.iter().position(|slot| slot.number == number) else {
            return;
        };
        let Some(busy) = &state.slots[at].busy else {
            return;
        };
        busy.wires.fail(ScriptError::CpuSpent);
        busy.wires.given_up.notify_one();
        if state.set_aside >= SET_ASIDE_MAX {
            tracing::error!(
                "scripts hold too many threads; scripts are refused until one of them stops"
            );
            return;
        }
        if let Err(error) = self.add_thread(state) {
            tracing::error!(%error, "no thread can take the place of one that a script holds");
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
            program.held.fetch_add(1, Ordering::Relaxed);
        }
    }
}
