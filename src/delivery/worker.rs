//! The worker: claims what is due in the outbox, has it sent, settles it.
//!
//! It is a clock tick, not a request. A claim is a lease, so a worker that dies loses nothing; sending
//! happens outside any transaction; each message is settled as it ends, so that a slow one holds up no
//! other; the variables are wiped in the statement that settles.

mod dispatch;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use super::channel::Gateway;
use crate::app::App;
use crate::moment::Moment;
use crate::outgoing::{ClaimedMessage, Settlement};
use crate::refusal::Fault;
use crate::store::outbox;
use crate::store::sweep::{self, Horizon};
use dispatch::{deliver, send_limit};

/// Most messages in hand at once when they go to the inbox, which takes no time.
const IN_HAND_MAX: usize = 32;

/// How long to wait after the bell for others to ring: messages that come together are claimed and
/// settled together. Nobody who waits for a mail notices.
const GATHERING: Duration = Duration::from_millis(20);

/// How often to look without a bell: for retries, and for what another node queued.
const TICK: Duration = Duration::from_secs(1);

/// How much longer a claim holds than its message may take.
const LEASE_MARGIN_SECONDS: i64 = 10;

/// How long the messages in hand may take once the server was asked to stop. What is not done by then
/// is sent after its lease, under the same Message-ID.
const STOPPING: Duration = Duration::from_secs(10);

/// A message that was in hand, and what became of it.
type Done = (ClaimedMessage, Settlement);

/// Sends until the stop signal comes; then claims what is queued once more and lets what is in hand end.
pub async fn run(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    if let Err(fault) = release_all(&app).await {
        report_fault(&app, &fault);
    }
    let mut in_hand: JoinSet<Done> = JoinSet::new();
    while !*stop.borrow() {
        claim_into(&app, &mut in_hand).await;
        tokio::select! {
            Some(done) = in_hand.join_next() => settle_ended(&app, done, &mut in_hand).await,
            () = app.outbox_bell.notified() => sleep(GATHERING).await,
            () = sleep(TICK) => {}
            _ = stop.changed() => {}
        }
    }
    claim_into(&app, &mut in_hand).await;
    let rest = async {
        while let Some(done) = in_hand.join_next().await {
            settle_ended(&app, done, &mut in_hand).await;
        }
    };
    if timeout(STOPPING, rest).await.is_err() {
        tracing::warn!("messages in hand were left to the next start");
    }
    for gateway in [&app.channels.email, &app.channels.sms] {
        if let Gateway::Smtp { relay, .. } = gateway {
            relay.close_idle().await;
        }
    }
}

/// Claims as many messages as there are free hands, and starts sending them.
async fn claim_into(app: &Arc<App>, in_hand: &mut JoinSet<Done>) {
    loop {
        let free = hands(app).saturating_sub(in_hand.len());
        let due = match claim(app, app.now(), free).await {
            Ok(due) => due,
            Err(fault) => return report_fault(app, &fault),
        };
        for message in due.claimed {
            let app = Arc::clone(app);
            in_hand.spawn(async move {
                let settlement = deliver(&app, &message).await;
                (message, settlement)
            });
        }
        // A full batch of expired ones means that there may be more, and they are only to be marked.
        if due.expired < outbox::EXPIRED_MAX.unsigned_abs() {
            return;
        }
    }
}

/// As many messages as either gateway takes at once: what would only wait for a connection waits in the
/// database, where another node can take it and a crash does not delay it.
fn hands(app: &App) -> usize {
    [&app.channels.email, &app.channels.sms]
        .into_iter()
        .filter_map(Gateway::connections)
        .min()
        .unwrap_or(IN_HAND_MAX)
}

/// An embedded database has one server. What it had in hand when it was killed is nobody's now, and
/// need not wait for its lease to end.
async fn release_all(app: &App) -> Result<(), Fault> {
    if !app.store.is_embedded() {
        return Ok(());
    }
    app.store
        .write("outbox.release", (), |tx, ()| Box::pin(outbox::release(tx)))
        .await
        .map(|_| ())
}

/// Settles a message that has ended, with all others that have ended meanwhile.
async fn settle_ended(app: &App, first: Result<Done, JoinError>, in_hand: &mut JoinSet<Done>) {
    let mut ended = vec![first];
    while let Some(next) = in_hand.try_join_next() {
        ended.push(next);
    }
    let mut done = Vec::with_capacity(ended.len());
    for ended in ended {
        match ended {
            Ok(one) => done.push(one),
            // One that panicked is claimed again after its lease.
            Err(error) => report_fault(app, &Fault::new("sending a message", error)),
        }
    }
    if let Err(fault) = settle(app, done).await {
        report_fault(app, &fault);
    }
}

/// Sends what is due at an instant, up to a handful, and settles it; of how many messages it took care.
///
/// # Faults
/// The database is away. What was sent and could not be settled is sent again after its lease,
/// under the same Message-ID.
pub async fn run_due(app: &App, at: Moment) -> Result<usize, Fault> {
    let due = claim(app, at, IN_HAND_MAX).await?;
    let count = due.claimed.len() + usize::try_from(due.expired).unwrap_or(usize::MAX);
    let settlements = join_all(due.claimed.iter().map(|message| deliver(app, message))).await;
    settle(app, due.claimed.into_iter().zip(settlements).collect()).await?;
    Ok(count)
}

/// What was due: messages to send, and how many were of no use any more.
#[derive(Default)]
struct Due {
    claimed: Vec<ClaimedMessage>,
    expired: u64,
}

async fn claim(app: &App, at: Moment, limit: usize) -> Result<Due, Fault> {
    if limit == 0 {
        return Ok(Due::default());
    }
    // A look before the claim: an idle server writes nothing.
    let next = app
        .store
        .read("outbox.next", &(), |tx, ()| Box::pin(outbox::next_due(tx)))
        .await?;
    if next.is_none_or(|due_at| due_at > at) {
        return Ok(Due::default());
    }
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let lease = send_limit(app).as_secs().cast_signed() + LEASE_MARGIN_SECONDS;
    let (expired, claimed) = app
        .store
        .write(
            "outbox.claim",
            (at, at.plus_seconds(lease), limit),
            |tx, (at, leased_until, limit)| {
                Box::pin(async move {
                    let expired = outbox::expire(tx, *at).await?;
                    let claimed = outbox::claim(tx, *at, *leased_until, *limit).await?;
                    Ok((expired, claimed))
                })
            },
        )
        .await?;
    if expired > 0 {
        app.metrics.outbox_settled("expired", expired);
        tracing::warn!(count = expired, "not sent: their codes have expired");
    }
    Ok(Due { claimed, expired })
}

async fn settle(app: &App, done: Vec<Done>) -> Result<(), Fault> {
    if done.is_empty() {
        return Ok(());
    }
    for (message, settlement) in &done {
        report(app, message, settlement);
    }
    app.store
        .write("outbox.settle", (done, app.now()), |tx, (done, at)| {
            Box::pin(async move {
                for (message, settlement) in done {
                    outbox::settle(tx, &message.id, message.attempts, settlement, *at).await?;
                }
                Ok(())
            })
        })
        .await
}

/// Sweeps what has ended, until the stop signal comes.
pub async fn sweep(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        let swept = sweep_once(&app, app.now()).await;
        // A full batch means that there may be more, and then the next comes soon: rows must not
        // come faster than they go.
        let pause = match swept {
            Ok(count) if count >= sweep::ROWS_MAX.unsigned_abs() => SWEEP_PAUSE,
            Ok(_) => SWEEP_TICK,
            Err(fault) => {
                report_fault(&app, &fault);
                SWEEP_TICK
            }
        };
        tokio::select! {
            () = sleep(pause) => {}
            _ = stop.changed() => {}
        }
    }
}

/// How often to look for rows that have ended.
const SWEEP_TICK: Duration = Duration::from_secs(60);

/// The pause between two full batches, in which other writers go on.
const SWEEP_PAUSE: Duration = Duration::from_millis(5);

/// Removes one batch of rows that have ended from each table; how many went.
///
/// # Faults
/// The database is away.
pub async fn sweep_once(app: &App, at: Moment) -> Result<u64, Fault> {
    let horizon = Horizon::at(at);
    app.store
        .write("sweep", horizon, |tx, horizon| {
            Box::pin(sweep::sweep(tx, horizon))
        })
        .await
}

fn report_fault(app: &App, fault: &Fault) {
    app.metrics.fault();
    tracing::error!(%fault, "the worker broke");
}

fn report(app: &App, message: &ClaimedMessage, settlement: &Settlement) {
    let id = &message.id;
    match settlement {
        Settlement::Sent => {
            app.metrics.outbox_settled("sent", 1);
            tracing::debug!(outbox = %id, "sent");
        }
        Settlement::Suppressed { reason } => {
            app.metrics.outbox_settled("suppressed", 1);
            tracing::debug!(outbox = %id, reason = reason.as_str(), "suppressed");
        }
        Settlement::Expired => {
            app.metrics.outbox_settled("expired", 1);
            tracing::warn!(outbox = %id, "not sent: its code has expired");
        }
        Settlement::Retry { reason, .. } => {
            app.metrics.outbox_settled("retried", 1);
            tracing::warn!(outbox = %id, attempt = message.attempts, reason, "not sent yet");
        }
        Settlement::Abandoned { reason } => {
            app.metrics.outbox_settled("abandoned", 1);
            tracing::error!(outbox = %id, attempt = message.attempts, reason, "given up");
        }
    }
}
