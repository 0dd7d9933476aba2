//! Sends the outbox: claims the messages that are due, sends them, and settles them.
//!
//! A claim is a lease, so a server that dies loses nothing. Messages are sent outside any transaction, and
//! each is settled as it ends, so that a slow one delays no other; the statement that settles a message also
//! wipes its variables. Mail and text messages are claimed separately, so that a provider of the one that
//! hangs leaves the other alone.
//!
//! A commit that queues a message wakes this task, which claims at once. Messages that are queued while a
//! claim or a settlement is being written are found by the next claim, all together, so the number of
//! writes grows with the load more slowly than the number of messages.

mod dispatch;
mod handler;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval, timeout};
use vestibule_protocol::headless::VerificationMethod;

use crate::app::App;
use crate::delivery::Gateway;
use crate::moment::Moment;
use crate::outgoing::{OutgoingMessage, Settlement};
use crate::refusal::Fault;
use crate::store::outbox;
use dispatch::{channel_limit, deliver};

/// The name of the task in the metrics and in the log.
const NAME: &str = "outbox";

/// Most messages of a channel in hand at once when they go to the inbox, which takes no time.
const IN_HAND_MAX: usize = 32;

/// How often to look without being woken: for retries, for what another node or a command queued, and for
/// what has expired.
const PERIOD: Duration = Duration::from_secs(1);

/// How much longer the lease of a claim is than its message may take.
const LEASE_MARGIN_SECONDS: i64 = 10;

/// How long the messages in hand may take once the server was asked to stop. What is not done by then
/// is sent after its lease, under the same Message-ID.
const STOPPING: Duration = Duration::from_secs(10);

/// A message that was in hand, and how it ended.
type EndedMessage = (OutgoingMessage, Settlement);

/// Sends until the stop signal comes; then claims what is queued once more and lets the messages in hand end.
pub async fn run(app: Arc<App>, stop: watch::Receiver<bool>) {
    run_by_period(app, PERIOD, stop).await;
}

/// The same with another period, for tests that wait for a wake-up.
pub async fn run_by_period(app: Arc<App>, period: Duration, mut stop: watch::Receiver<bool>) {
    if let Err(fault) = release_all(&app).await {
        report_fault(&app, &fault);
    }
    let (mut mails, mut texts) = (Lane::new(CHANNELS[0]), Lane::new(CHANNELS[1]));
    let mut tick = interval(period);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // Without a sender no signal can come any more.
        let is_last = *stop.borrow() || stop.has_changed().is_err();
        turn(&app, &mut mails, &mut texts).await;
        if is_last {
            break;
        }
        tokio::select! {
            Some(ended) = mails.in_hand.join_next() => mails.ended.push(ended),
            Some(ended) = texts.in_hand.join_next() => texts.ended.push(ended),
            () = app.store.message_queued() => {}
            // A full batch means that there may be more, and they are only to be marked.
            _ = tick.tick() => if expire_and_report(&app).await { tick.reset_immediately() },
            _ = stop.changed() => {}
        }
    }
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

/// Settles what has ended and claims what is due. The writes are made at the same time, so that an embedded
/// database commits them together.
async fn turn(app: &Arc<App>, mails: &mut Lane, texts: &mut Lane) {
    let mut ended = mails.take_ended();
    ended.extend(texts.take_ended());
    tokio::join!(
        settle_and_report(app, ended),
        mails.claim(app),
        texts.claim(app)
    );
}

/// The messages of one channel that are in hand.
struct Lane {
    channel: VerificationMethod,
    in_hand: JoinSet<EndedMessage>,
    /// What has ended and is not settled yet.
    ended: Vec<Result<EndedMessage, JoinError>>,
}

impl Lane {
    fn new(channel: VerificationMethod) -> Lane {
        Lane {
            channel,
            in_hand: JoinSet::new(),
            ended: Vec::new(),
        }
    }

    /// Claims as many messages as the gateway takes at once, less those in hand, and starts sending them. A
    /// message that would only wait for a connection waits in the database, where another node can take it and
    /// a crash does not delay it.
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

    /// Every message that has ended by now.
    fn take_ended(&mut self) -> Vec<Result<EndedMessage, JoinError>> {
        while let Some(next) = self.in_hand.try_join_next() {
            self.ended.push(next);
        }
        std::mem::take(&mut self.ended)
    }

    /// Lets the messages in hand end.
    async fn end(&mut self, app: &App) {
        while let Some(ended) = self.in_hand.join_next().await {
            self.ended.push(ended);
            settle_and_report(app, self.take_ended()).await;
        }
    }
}

async fn settle_and_report(app: &App, ended: Vec<Result<EndedMessage, JoinError>>) {
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

/// An embedded database has one server. No other server has the messages that it had in hand when it was
/// killed, so they need not wait for their leases to end.
async fn release_all(app: &App) -> Result<(), Fault> {
    if !app.store.is_embedded() {
        return Ok(());
    }
    app.store
        .write("outbox.release", (), |tx, ()| Box::pin(outbox::release(tx)))
        .await
        .map(|_| ())
}

/// Marks what has expired, sends what is due at an instant, a limited number per channel, and settles it.
/// Returns the number of all these messages.
///
/// # Faults
/// The database is unreachable. What was sent and could not be settled is sent again after its lease,
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
) -> Result<Vec<OutgoingMessage>, Fault> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    // A look before the claim: an idle server writes nothing.
    let next = app
        .store
        .read("outbox.next", &(channel, at), |tx, (channel, at)| {
            Box::pin(outbox::next_due(tx, *channel, *at))
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
                Box::pin(
                    async move { outbox::claim(tx, *channel, *at, *leased_until, *limit).await },
                )
            },
        )
        .await
}

/// Marks one batch of what has expired, and says whether the batch was full.
async fn expire_and_report(app: &App) -> bool {
    let expired = expire(app, app.now()).await;
    super::report(app, NAME, expired.as_ref().map(|_| ()));
    match expired {
        Ok(expired) => expired >= outbox::EXPIRED_MAX.unsigned_abs(),
        Err(_) => false,
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

async fn settle(app: &App, done: Vec<EndedMessage>) -> Result<(), Fault> {
    if done.is_empty() {
        return Ok(());
    }
    for (message, settlement) in &done {
        report_settlement(app, message, settlement);
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

fn report_fault(app: &App, fault: &Fault) {
    super::report(app, NAME, Err(fault));
}

fn report_settlement(app: &App, message: &OutgoingMessage, settlement: &Settlement) {
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
