//! Removes rows that have ended, one batch at a time, so that no writer waits long.

use std::time::Duration;

use super::{Progress, Task};
use crate::app::App;
use crate::moment::Moment;
use crate::refusal::Fault;
use crate::store::sweep::{self, Horizon};

/// Rows end all the time, and may stay a little longer.
pub const TASK: Task = Task {
    name: "sweep",
    period: Duration::from_secs(60),
    tick: |app| Box::pin(tick(app)),
};

/// The pause between two full batches, in which other writers continue.
const PAUSE: Duration = Duration::from_millis(5);

/// A full batch means that there may be more, and then the next follows soon: rows must not be
/// added faster than they are removed.
async fn tick(app: &App) -> Result<Progress, Fault> {
    let count = sweep_once(app, app.now()).await?;
    if count >= sweep::ROWS_MAX.unsigned_abs() {
        return Ok(Progress::More(PAUSE));
    }
    Ok(Progress::Done)
}

/// Removes one batch of ended rows from each table, and returns the number of removed rows.
///
/// # Faults
/// The database is unreachable.
pub async fn sweep_once(app: &App, at: Moment) -> Result<u64, Fault> {
    let days = i64::try_from(app.handlers.calls_kept_days).unwrap_or(i64::MAX);
    let horizon = Horizon {
        handler_calls: at.plus_days(-days),
        ..Horizon::at(at)
    };
    app.store
        .write("sweep", horizon, |tx, horizon| {
            Box::pin(sweep::sweep(tx, horizon))
        })
        .await
}
