//! Takes the steps that are due in the life of the signing keys: publish, sign, retire, remove.

use std::time::Duration;

use super::{Progress, Task};
use crate::app::App;
use crate::refusal::Fault;

/// Keys live for days, so a minute is soon enough.
pub const TASK: Task = Task {
    name: "keys",
    period: Duration::from_secs(60),
    tick: |app| Box::pin(tick(app)),
};

async fn tick(app: &App) -> Result<Progress, Fault> {
    crate::admin::key::take_due(app, app.now())
        .await
        .map(|_| Progress::Done)
}
