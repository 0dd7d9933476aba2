//! The engine: drives a call from its start to its result, turn by turn.
//!
//! A turn runs on a script thread until the result is complete or the script waits for the host. The host's results
//! are awaited here, in the caller's task, so a waiting script occupies no thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use serde_json::Value;
use tokio::sync::oneshot;

use super::program::Program;
use super::sandbox::{Input, LoadProblem, Sandbox, TurnEnd};
use super::shared_state::SharedState;
use super::threads::{Pool, ScriptJob, Threads};
use super::{Host, HostCall, HostError, ScriptCall, ScriptError, ScriptLimits, ScriptRun};
use crate::moment::Stopwatch;
use crate::refusal::Fault;

/// Runs scripts. Cheap to share behind an `Arc`; dropping it ends its threads.
pub struct ScriptEngine {
    limits: ScriptLimits,
    threads: Threads,
    in_flight: AtomicUsize,
}

impl ScriptEngine {
    /// Starts the threads.
    ///
    /// # Faults
    /// The operating system cannot create a thread.
    pub fn new(limits: ScriptLimits) -> Result<ScriptEngine, Fault> {
        Ok(ScriptEngine {
            limits,
            threads: Threads::start(&limits)?,
            in_flight: AtomicUsize::new(0),
        })
    }

    /// The limits in effect.
    pub fn limits(&self) -> &ScriptLimits {
        &self.limits
    }

    /// Calls a function of a program in a sandbox that is used for this call only.
    ///
    /// It fails closed: whatever a script does, there is a result by the deadline. Dropping the future ends the
    /// call.
    pub async fn run(
        &self,
        program: &Arc<Program>,
        call: ScriptCall,
        host: Arc<dyn Host>,
    ) -> ScriptRun {
        let stopwatch = Stopwatch::start();
        let mut trace = CallTrace::default();
        let outcome = match self.enter() {
            Some(_permit) if !program.has_stuck_threads() => {
                let driven = self.drive(program, call, host.as_ref(), &mut trace);
                match tokio::time::timeout(self.limits.deadline, driven).await {
                    Ok(outcome) => outcome,
                    Err(_) => Err(ScriptError::Late),
                }
            }
            _ => Err(ScriptError::Busy),
        };
        let log = trace
            .shared
            .map(|shared| std::mem::take(&mut shared.transcript().log));
        ScriptRun {
            outcome,
            host_calls: trace.host_calls,
            log: log.unwrap_or_default(),
            cpu: trace.cpu,
            wall: Duration::from_secs_f64(stopwatch.seconds()),
        }
    }

    /// Loads a module into a sandbox, drops the sandbox, and returns the exported functions.
    pub(super) async fn load(
        &self,
        file: String,
        source: String,
    ) -> Result<Result<Vec<String>, LoadProblem>, ScriptError> {
        let _permit = self.enter().ok_or(ScriptError::Busy)?;
        let shared = Arc::new(SharedState::new(self.limits));
        let _stop_on_drop = StopOnDrop(Arc::clone(&shared));
        let (reply, answer) = oneshot::channel();
        let run = {
            let shared = Arc::clone(&shared);
            move || {
                let loaded = Sandbox::load(shared, &file, &source);
                drop(reply.send(loaded.map(|sandbox| sandbox.exports())));
            }
        };
        self.threads.pool().push(ScriptJob {
            shared: Arc::clone(&shared),
            program: None,
            run: Box::new(run),
        });
        match tokio::time::timeout(self.limits.deadline, awaited(&shared, answer)).await {
            Ok(loaded) => loaded,
            Err(_) => Err(ScriptError::Late),
        }
    }

    async fn drive(
        &self,
        program: &Arc<Program>,
        call: ScriptCall,
        host: &dyn Host,
        trace: &mut CallTrace,
    ) -> Result<Value, ScriptError> {
        let ready = program.take_ready();
        let shared = match &ready {
            Some(sandbox) => Arc::clone(sandbox.shared()),
            None => Arc::new(SharedState::new(self.limits)),
        };
        trace.shared = Some(Arc::clone(&shared));
        // When the caller drops this future, the script is stopped.
        let _stop_on_drop = StopOnDrop(Arc::clone(&shared));
        let mut suspended = SuspendedSandbox::new(ready, &shared, self.threads.pool());
        let mut answers = FuturesOrdered::new();
        let mut input = Input::Call(call);
        loop {
            let turned = self.turn(program, suspended.take(), input, &shared).await?;
            trace.cpu += turned.cpu;
            for question in turned.questions {
                let number = trace.host_calls.len();
                trace.host_calls.push(HostCall {
                    name: question.name,
                    argument: question.argument.clone(),
                    answer: Err(unanswered()),
                });
                let answer = host.call(question.name, question.argument);
                answers.push_back(async move { (number, answer.await) });
            }
            let Some(sandbox) = turned.waiting else {
                return turned.outcome;
            };
            suspended.put(sandbox);
            let Some((number, answer)) = answers.next().await else {
                return Err(ScriptError::Unsettled);
            };
            trace.host_calls[number].answer = answer.clone();
            input = Input::Answer { number, answer };
        }
    }

    /// One turn on a script thread. The sandbox of a completed call is dropped there, after the result was sent;
    /// then the next one is prepared.
    async fn turn(
        &self,
        program: &Arc<Program>,
        sandbox: Option<Sandbox>,
        input: Input,
        shared: &Arc<SharedState>,
    ) -> Result<TurnEnd, ScriptError> {
        let (reply, answer) = oneshot::channel();
        let pool = Arc::clone(self.threads.pool());
        let run = {
            let (program, shared) = (Arc::clone(program), Arc::clone(shared));
            move || {
                // The caller may have left while the job was queued.
                if reply.is_closed() {
                    return;
                }
                let module = (program.file.as_str(), program.source.as_str());
                let (turned, used) = TurnEnd::run(sandbox, module, input, &shared);
                let is_complete = turned.waiting.is_none();
                drop(reply.send(turned));
                drop(used);
                if is_complete && program.wants_ready() {
                    prepare(&pool, program, shared.limits);
                }
            }
        };
        self.threads.pool().push(ScriptJob {
            shared: Arc::clone(shared),
            program: Some(Arc::clone(program)),
            run: Box::new(run),
        });
        awaited(shared, answer).await
    }

    fn enter(&self) -> Option<Permit<'_>> {
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let permit = Permit(&self.in_flight);
        (before < self.limits.in_flight_max).then_some(permit)
    }
}

/// Waits for the result of a thread, or for the watchdog to abandon it.
async fn awaited<T>(shared: &SharedState, answer: oneshot::Receiver<T>) -> Result<T, ScriptError> {
    tokio::select! {
        biased;
        answer = answer => answer.map_err(|_| ScriptError::Panicked),
        () = shared.abandoned.notified() => Err(ScriptError::CpuSpent),
    }
}

/// Prepares a sandbox for a later call when the threads are idle.
fn prepare(pool: &Arc<Pool>, program: Arc<Program>, limits: ScriptLimits) {
    let shared = Arc::new(SharedState::new(limits));
    let run = {
        let (program, shared) = (Arc::clone(&program), Arc::clone(&shared));
        move || {
            // The module could be loaded before; if it cannot be now, the next call reports it.
            if program.wants_ready()
                && let Ok(sandbox) = Sandbox::load(shared, &program.file, &program.source)
            {
                program.keep_ready(sandbox);
            }
        }
    };
    pool.push_later(ScriptJob {
        shared,
        program: Some(program),
        run: Box::new(run),
    });
}

fn unanswered() -> HostError {
    HostError {
        exception: String::from("Unanswered"),
        message: String::from("the call ended before the answer came"),
    }
}

/// The data of a call, available also when it is aborted.
#[derive(Default)]
struct CallTrace {
    shared: Option<Arc<SharedState>>,
    host_calls: Vec<HostCall>,
    cpu: Duration,
}

/// One of the concurrent calls.
struct Permit<'e>(&'e AtomicUsize);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Stops the script when its result is no longer needed.
struct StopOnDrop(Arc<SharedState>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.meter.stop();
    }
}

/// A sandbox between two turns. If the call is aborted there, a script thread frees it: it may hold much memory.
struct SuspendedSandbox {
    sandbox: Option<Sandbox>,
    shared: Arc<SharedState>,
    pool: Arc<Pool>,
}

impl SuspendedSandbox {
    fn new(
        sandbox: Option<Sandbox>,
        shared: &Arc<SharedState>,
        pool: &Arc<Pool>,
    ) -> SuspendedSandbox {
        SuspendedSandbox {
            sandbox,
            shared: Arc::clone(shared),
            pool: Arc::clone(pool),
        }
    }

    fn take(&mut self) -> Option<Sandbox> {
        self.sandbox.take()
    }

    fn put(&mut self, sandbox: Sandbox) {
        self.sandbox = Some(sandbox);
    }
}

impl Drop for SuspendedSandbox {
    fn drop(&mut self) {
        if let Some(sandbox) = self.sandbox.take() {
            self.pool.push(ScriptJob {
                shared: Arc::clone(&self.shared),
                program: None,
                run: Box::new(move || drop(sandbox)),
            });
        }
    }
}
