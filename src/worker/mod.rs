//! The background tasks: the outbox, the sweep, the signing keys and the directory.
//!
//! Each task has its own period, and its runs and faults are counted under its name. One tick of a task
//! looks whether something is due, does it, and reports it. A fault ends the tick and not the task.

pub mod directory;
pub mod keys;
pub mod outbox;
pub mod sweep;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::app::App;
use crate::refusal::Fault;

/// The tasks of a running server.
pub struct Workers {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// Starts every task.
pub fn start(app: &Arc<App>) -> Workers {
    let (stop, stopped) = watch::channel(false);
    let mut tasks = vec![tokio::spawn(outbox::run(Arc::clone(app), stopped.clone()))];
    for task in [directory::TASK, keys::TASK, sweep::TASK] {
        tasks.push(tokio::spawn(repeat(Arc::clone(app), task, stopped.clone())));
    }
    Workers { stop, tasks }
}

impl Workers {
    /// Asks every task to stop, and waits until all have ended.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a background task ended early");
            }
        }
    }
}

/// A task that runs by its period.
pub struct Task {
    /// Its name in the metrics and in the log.
    name: &'static str,
    /// The pause between two ticks.
    period: Duration,
    /// One tick.
    tick: for<'a> fn(&'a App) -> BoxFuture<'a, Result<Progress, Fault>>,
}

/// What a tick leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All that was due is done.
    Done,
    /// There may be more: the next tick comes after this pause.
    More(Duration),
}

/// Runs a task by its period until the stop signal. The first tick comes at once.
async fn repeat(app: Arc<App>, task: Task, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        let ticked = (task.tick)(&app).await;
        report(&app, task.name, ticked.as_ref().map(|_| ()));
        let pause = match ticked {
            Ok(Progress::More(pause)) => pause,
            Ok(Progress::Done) | Err(_) => task.period,
        };
        tokio::select! {
            () = sleep(pause) => {}
            // Without a sender no signal can come any more.
            changed = stop.changed() => if changed.is_err() { return },
        }
    }
}

/// Counts a run of a task, and logs its fault.
fn report(app: &App, task: &'static str, outcome: Result<(), &Fault>) {
    app.metrics.task_ran(task, outcome.is_ok());
    if let Err(fault) = outcome {
        app.metrics.fault();
        tracing::error!(task, %fault, "a background task failed");
    }
}
