//! The worker: claims what is due in the outbox, has it sent, settles it.
//!
//! It is a clock tick, not a request. A claim is a lease, so a worker that dies loses nothing; sending
//! happens outside any transaction; each message is settled as it ends, so that a slow one holds up no
//! other; the variables are wiped in the statement that settles. Mail and text messages have hands of their
//! own, so that a provider of the one that hangs leaves the other alone.

mod dispatch;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use vestibule_protocol::headless::VerificationMethod;

use super::channel::Gateway;
use crate::app::App;
use crate::moment::Moment;
use crate::outgoing::{ClaimedMessage, Settlement};
use crate::refusal::Fault;
use crate::store::outbox;
use crate::store::sweep::{self, Horizon};
use dispatch::{channel_limit, deliver};

/// Most messages of a channel in hand at once when they go to the inbox, which takes no time.
const IN_HAND_MAX: usize = 32;

/// How long to wait after the bell for others to ring: messages that come together are claimed and
/// settled together. Nobody who waits for a mail notices.
const GATHERING: Duration = Duration::from_millis(20);

/// How often to look without a bell: for retries, for what another node queued, and for what has expired.
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
    let (mut mails, mut texts) = (Lane::new(CHANNELS[0]), Lane::new(CHANNELS[1]));
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !*stop.borrow() {
        mails.claim(&app).await;
        texts.claim(&app).await;
        tokio::select! {
            Some(done) = mails.in_hand.join_next() => mails.settle(&app, done).await,
            Some(done) = texts.in_hand.join_next() => texts.settle(&app, done).await,
            () = app.outbox_bell.notified() => sleep(GATHERING).await,
            // A full batch means that there may be more, and they are only to be marked.
            _ = tick.tick() => if expire_and_report(&app).await { tick.reset_immediately() },
            _ = stop.changed() => {}
        }
    }
    mails.claim(&app).await;
    texts.claim(&app).await;
    let rest = async { tokio::join!(mails.end(&app), texts.end(&app)) };
    if timeout(STOPPING, rest).await.is_err() {
        tracing::warn!("messages in hand were left to the next start");
    }
    for gateway in [&app.delivery.channels.email, &app.delivery.channels.sms] {
        if let Gateway::Smtp { relay, .. } = gateway {
            relay.close_idle().await;
        }
    }
}

/// The channels, mail first.
const CHANNELS: [VerificationMethod; 2] = [VerificationMethod::Email, VerificationMethod::Sms];

/// The messages of one channel that are in hand.
struct Lane {
    channel: VerificationMethod,
    in_hand: JoinSet<Done>,
}

impl Lane {
    fn new(channel: VerificationMethod) -> Lane {
        Lane {
            channel,
            in_hand: JoinSet::new(),
        }
    }

    /// Claims as many messages as there are free hands, and starts sending them. There are as many hands as
    /// the gateway takes messages at once: what would only wait for a connection waits in the database,
    /// where another node can take it and a crash does not delay it.
    async fn claim(&mut self, app: &Arc<App>) {
        let connections = app.delivery.channels.gateway(self.channel).connections();
        let free = connections
            .unwrap_or(IN_HAND_MAX)
            .saturating_sub(self.in_hand.len());
        let claimed = match claim(app, self.channel, app.now(), free).await {
            Ok(claimed) => claimed,
            Err(fault) => return report_fault(app, &fault),
        };
        for message in claimed {
            let app = Arc::clone(app);
            self.in_hand.spawn(async move {
                let settlement = deliver(&app, &message).await;
                (message, settlement)
            });
        }
    }

    /// Settles a message that has ended, with all others that have ended meanwhile.
    async fn settle(&mut self, app: &App, first: Result<Done, JoinError>) {
        let mut ended = vec![first];
        while let Some(next) = self.in_hand.try_join_next() {
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

    /// Lets what is in hand end.
    async fn end(&mut self, app: &App) {
        while let Some(done) = self.in_hand.join_next().await {
            self.settle(app, done).await;
        }
    }
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

/// Marks what has expired and sends what is due at an instant, up to a handful of each channel, and settles it; of how many
/// messages it took care.
///
/// # Faults
/// The database is away. What was sent and could not be settled is sent again after its lease,
/// under the same Message-ID.
pub async fn run_due(app: &App, at: Moment) -> Result<usize, Fault> {
    let mut count = usize::try_from(expire(app, at).await?).unwrap_or(usize::MAX);
    let mut claimed = Vec::new();
    for channel in CHANNELS {
        claimed.extend(claim(app, channel, at, IN_HAND_MAX).await?);
    }
    count += claimed.len();
    let settlements = join_all(claimed.iter().map(|message| deliver(app, message))).await;
    settle(app, claimed.into_iter().zip(settlements).collect()).await?;
    Ok(count)
}

/// Claims up to `limit` messages of a channel that are due.
async fn claim(
    app: &App,
    channel: VerificationMethod,
    at: Moment,
    limit: usize,
) -> Result<Vec<ClaimedMessage>, Fault> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    // A look before the claim: an idle server writes nothing.
    let next = app
        .store
        .read("outbox.next", &(channel, at), |tx, (channel, at)| {
            Box::pin(outbox::next_due(tx, channel.as_str(), *at))
        })
        .await?;
    if next.is_none_or(|due_at| due_at > at) {
        return Ok(Vec::new());
    }
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let limit_of_sending = channel_limit(app, channel);
    let lease = limit_of_sending.as_secs().cast_signed() + LEASE_MARGIN_SECONDS;
    app.store
        .write(
            "outbox.claim",
            (channel, at, at.plus_seconds(lease), limit),
            |tx, (channel, at, leased_until, limit)| {
                Box::pin(async move {
                    outbox::claim(tx, channel.as_str(), *at, *leased_until, *limit).await
                })
            },
        )
        .await
}

/// Marks one batch of what has expired; whether it was a full one.
async fn expire_and_report(app: &App) -> bool {
    match expire(app, app.now()).await {
        Ok(expired) => expired >= outbox::EXPIRED_MAX.unsigned_abs(),
        Err(fault) => {
            report_fault(app, &fault);
            false
        }
    }
}

async fn expire(app: &App, at: Moment) -> Result<u64, Fault> {
    let has_expired = app.store.read("outbox.has_expired", &at, |tx, at| {
        Box::pin(outbox::has_expired(tx, *at))
    });
    if !has_expired.await? {
        return Ok(0);
    }
    let expired = app
        .store
        .write("outbox.expire", at, |tx, at| {
            Box::pin(outbox::expire(tx, *at))
        })
        .await?;
    if expired > 0 {
        app.metrics.outbox_settled("expired", expired);
        tracing::warn!(count = expired, "not sent: their codes have expired");
    }
    Ok(expired)
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

/// Sweeps what has ended and tends the signing keys, until the stop signal comes. Calls of handlers are kept
/// for so many days.
pub async fn sweep(app: Arc<App>, calls_kept_days: u64, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        if let Err(fault) = app.tend_keys(app.now()).await {
            report_fault(&app, &fault);
        }
        let swept = sweep_once(&app, calls_kept_days, app.now()).await;
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
pub async fn sweep_once(app: &App, calls_kept_days: u64, at: Moment) -> Result<u64, Fault> {
    let horizon = Horizon {
        handler_calls: at.plus_days(-i64::try_from(calls_kept_days).unwrap_or(i64::MAX)),
        ..Horizon::at(at)
    };
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
