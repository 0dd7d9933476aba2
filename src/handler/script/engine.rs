//! The engine: drives a call from its start to its result, turn by turn.
//!
//! A turn runs on a script thread until the result is there or the script waits for the host. The host's answers are
//! awaited here, on the caller's task, so a script that waits holds no thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use serde_json::Value;
use tokio::sync::oneshot;

use super::program::Program;
use super::sandbox::{Input, LoadProblem, Sandbox, Turned};
use super::threads::{Job, Pool, Threads};
use super::wires::Wires;
use super::{Host, HostCall, HostError, Ran, ScriptCall, ScriptError, ScriptLimits};
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
    /// The operating system grants no thread.
    pub fn new(limits: ScriptLimits) -> Result<ScriptEngine, Fault> {
        Ok(ScriptEngine {
            limits,
            threads: Threads::start(&limits)?,
            in_flight: AtomicUsize::new(0),
        })
    }

    /// The limits that hold.
    pub fn limits(&self) -> &ScriptLimits {
        &self.limits
    }

    /// Calls a function of a program in a sandbox that nobody used before and nobody will use again.
    ///
    /// It fails closed: whatever a script does, there is an answer by the deadline. Dropping the future ends the call.
    pub async fn run(&self, program: &Arc<Program>, call: ScriptCall, host: Arc<dyn Host>) -> Ran {
        let stopwatch = Stopwatch::start();
        let mut trace = Trace::default();
        let outcome = match self.enter() {
            Some(_permit) if !program.is_held() => {
                let driven = self.drive(program, call, host.as_ref(), &mut trace);
                match tokio::time::timeout(self.limits.deadline, driven).await {
                    Ok(outcome) => outcome,
                    Err(_) => Err(ScriptError::Late),
                }
            }
            _ => Err(ScriptError::Busy),
        };
        let log = trace
            .wires
            .map(|wires| std::mem::take(&mut wires.talk().log));
        Ran {
            outcome,
            host_calls: trace.host_calls,
            log: log.unwrap_or_default(),
            cpu: trace.cpu,
            wall: Duration::from_secs_f64(stopwatch.seconds()),
        }
    }

    /// Loads a module into a sandbox and throws that away; its exported functions.
    pub(super) async fn load(
        &self,
        file: String,
        source: String,
    ) -> Result<Result<Vec<String>, LoadProblem>, ScriptError> {
        let _permit = self.enter().ok_or(ScriptError::Busy)?;
        let wires = Arc::new(Wires::new(self.limits));
        let _leash = Leash(Arc::clone(&wires));
        let (reply, answer) = oneshot::channel();
        let run = {
            let wires = Arc::clone(&wires);
            move || {
                let loaded = Sandbox::load(wires, &file, &source);
                drop(reply.send(loaded.map(|sandbox| sandbox.exports())));
            }
        };
        self.threads.pool().push(Job {
            wires: Arc::clone(&wires),
            program: None,
            run: Box::new(run),
        });
        match tokio::time::timeout(self.limits.deadline, awaited(&wires, answer)).await {
            Ok(loaded) => loaded,
            Err(_) => Err(ScriptError::Late),
        }
    }

    async fn drive(
        &self,
        program: &Arc<Program>,
        call: ScriptCall,
        host: &dyn Host,
        trace: &mut Trace,
    ) -> Result<Value, ScriptError> {
        let ready = program.take_ready();
        let wires = match &ready {
            Some(sandbox) => Arc::clone(sandbox.wires()),
            None => Arc::new(Wires::new(self.limits)),
        };
        trace.wires = Some(Arc::clone(&wires));
        // Whoever waits for the result may go away; then the script is stopped.
        let _leash = Leash(Arc::clone(&wires));
        let mut held = Held::new(ready, &wires, self.threads.pool());
        let mut answers = FuturesOrdered::new();
        let mut input = Input::Call(call);
        loop {
            let turned = self.turn(program, held.take(), input, &wires).await?;
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
            held.put(sandbox);
            let Some((number, answer)) = answers.next().await else {
                return Err(ScriptError::Unsettled);
            };
            trace.host_calls[number].answer = answer.clone();
            input = Input::Answer { number, answer };
        }
    }

    /// One turn on a script thread. The sandbox of a call that ended is dropped there, after the answer has left; then
    /// the next one is prepared.
    async fn turn(
        &self,
        program: &Arc<Program>,
        sandbox: Option<Sandbox>,
        input: Input,
        wires: &Arc<Wires>,
    ) -> Result<Turned, ScriptError> {
        let (reply, answer) = oneshot::channel();
        let pool = Arc::clone(self.threads.pool());
        let run = {
            let (program, wires) = (Arc::clone(program), Arc::clone(wires));
            move || {
                // Whoever waited for it while it stood in the queue may be gone.
                if reply.is_closed() {
                    return;
                }
                let (turned, used) = Turned::run(sandbox, &program, input, &wires);
                let is_over = turned.waiting.is_none();
                drop(reply.send(turned));
                drop(used);
                if is_over && program.wants_ready() {
                    prepare(&pool, program, wires.limits);
                }
            }
        };
        self.threads.pool().push(Job {
            wires: Arc::clone(wires),
            program: Some(Arc::clone(program)),
            run: Box::new(run),
        });
        awaited(wires, answer).await
    }

    fn enter(&self) -> Option<Permit<'_>> {
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let permit = Permit(&self.in_flight);
        (before < self.limits.in_flight_max).then_some(permit)
    }
}

/// Waits for what a thread has to say, or for the watch to give up on it.
async fn awaited<T>(wires: &Wires, answer: oneshot::Receiver<T>) -> Result<T, ScriptError> {
    tokio::select! {
        biased;
        answer = answer => answer.map_err(|_| ScriptError::Panicked),
        () = wires.given_up.notified() => Err(ScriptError::CpuSpent),
    }
}

/// Has a sandbox made for a later call, when the threads have nothing else to do.
fn prepare(pool: &Arc<Pool>, program: Arc<Program>, limits: ScriptLimits) {
    let wires = Arc::new(Wires::new(limits));
    let run = {
        let (program, wires) = (Arc::clone(&program), Arc::clone(&wires));
        move || {
            // It was loaded before; if it cannot be now, the next call will say so.
            if program.wants_ready()
                && let Ok(sandbox) = Sandbox::load(wires, &program.file, &program.source)
            {
                program.keep_ready(sandbox);
            }
        }
    };
    pool.push_later(Job {
        wires,
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

/// What is known of a call, also when it is broken off.
#[derive(Default)]
struct Trace {
    wires: Option<Arc<Wires>>,
    host_calls: Vec<HostCall>,
    cpu: Duration,
}

/// One of the calls in flight.
struct Permit<'e>(&'e AtomicUsize);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Stops the script when nobody waits for it any more.
struct Leash(Arc<Wires>);

impl Drop for Leash {
    fn drop(&mut self) {
        self.0.meter.stop();
    }
}

/// A sandbox between two turns. If the call is broken off there, a script thread frees it: what it holds may be large.
struct Held {
    sandbox: Option<Sandbox>,
    wires: Arc<Wires>,
    pool: Arc<Pool>,
}

impl Held {
    fn new(sandbox: Option<Sandbox>, wires: &Arc<Wires>, pool: &Arc<Pool>) -> Held {
        Held {
            sandbox,
            wires: Arc::clone(wires),
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

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(sandbox) = self.sandbox.take() {
            self.pool.push(Job {
                wires: Arc::clone(&self.wires),
                program: None,
                run: Box::new(move || drop(sandbox)),
            });
        }
    }
}
