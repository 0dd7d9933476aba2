//! Re-reads the directory when an administrator has changed it, on this node or another.

use std::time::Duration;

use super::{Progress, Task};
use crate::app::App;
use crate::refusal::Fault;

/// The period is short, so that a change takes effect within a second.
pub const TASK: Task = Task {
    name: "directory",
    period: Duration::from_millis(500),
    tick: |app| Box::pin(tick(app)),
};

async fn tick(app: &App) -> Result<Progress, Fault> {
    if app.refresh().await? {
        tracing::info!("changed settings were loaded");
    }
    Ok(Progress::Done)
}
