//! The worker: claims what is due in the outbox, sends it, settles it.
//!
//! It is a clock tick, not a request: [`run_due`] takes the instant and does what is due, and
//! [`run`] calls it whenever the bell rings and at least once a second. A claim is a lease, so a
//! worker that dies loses nothing; sending happens outside any transaction; the variables are wiped
//! in the same statement that settles.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::timeout;

use super::channel::Gateway;
use super::inbox::InboxMessage;
use super::letter::{self, Variables};
use super::message::{OutgoingMail, Rendered};
use super::smtp::SendOutcome;
use super::template::{OtpContext, TemplateName};
use crate::app::App;
use crate::moment::Moment;
use crate::outgoing::{ClaimedMessage, Settlement};
use crate::refusal::Fault;
use crate::store::outbox;
use crate::store::sweep::{self, Horizon};

/// Messages per claim: enough to keep a relay busy, few enough to settle in one write.
const BATCH: i64 = 32;

/// How long to wait after the bell for others to ring: messages that come together are claimed and
/// settled together. Nobody who waits for a mail notices.
const GATHERING: Duration = Duration::from_millis(20);

/// How often to look without a bell: for retries, and for what another node queued.
const TICK: Duration = Duration::from_secs(1);

/// How long a claim holds.
const LEASE_SECONDS: i64 = 120;

/// How long a message of a batch may take, its wait for a free connection included. It is shorter than
/// the lease, so that no other worker claims a message that is still being sent.
const SEND_LIMIT: Duration = Duration::from_secs(100);

/// The longest pause between two tries.
const PAUSE_SECONDS_MAX: i64 = 300;

/// Sends until the stop signal comes, then once more, so that nothing that was queued is left.
pub async fn run(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    loop {
        match run_due(&app, app.now()).await {
            // A full batch means that there may be more.
            Ok(count) if count == BATCH as usize => continue,
            Ok(_) => {}
            Err(fault) => {
                app.metrics.fault();
                tracing::error!(%fault, "the outbox could not be worked");
            }
        }
        if *stop.borrow() {
            break;
        }
        tokio::select! {
            () = app.outbox_bell.notified() => tokio::time::sleep(GATHERING).await,
            () = tokio::time::sleep(TICK) => {}
            _ = stop.changed() => {}
        }
    }
    for gateway in [&app.channels.email, &app.channels.sms] {
        if let Gateway::Smtp { relay, .. } = gateway {
            relay.close_idle().await;
        }
    }
}

/// Sweeps what has ended, until the stop signal comes.
pub async fn sweep(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(60)) => {}
            _ = stop.changed() => return,
        }
        if let Err(fault) = sweep_once(&app, app.now()).await {
            app.metrics.fault();
            tracing::error!(%fault, "the sweep failed");
        }
    }
}

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

/// Sends what is due at an instant; how many messages it claimed.
///
/// # Faults
/// The database is away. What was sent and could not be settled is sent again after its lease,
/// under the same Message-ID.
pub async fn run_due(app: &App, at: Moment) -> Result<usize, Fault> {
    // A look before the claim: an idle server writes nothing.
    let next = app
        .store
        .read("outbox.next", &(), |tx, ()| Box::pin(outbox::next_due(tx)))
        .await?;
    if next.is_none_or(|due_at| due_at > at) {
        return Ok(0);
    }
    let claimed = app
        .store
        .write("outbox.claim", at, |tx, at| {
            Box::pin(outbox::claim(
                tx,
                *at,
                at.plus_seconds(LEASE_SECONDS),
                BATCH,
            ))
        })
        .await?;
    if claimed.is_empty() {
        return Ok(0);
    }
    let count = claimed.len();
    let settlements = join_all(claimed.iter().map(|message| deliver(app, message, at))).await;
    for (message, settlement) in claimed.iter().zip(&settlements) {
        report(app, message, settlement);
    }
    let settled: Vec<(String, Settlement)> = claimed
        .into_iter()
        .map(|message| message.id)
        .zip(settlements)
        .collect();
    let waiting = app
        .store
        .write("outbox.settle", (settled, at), |tx, (settled, at)| {
            Box::pin(async move {
                for (id, settlement) in settled {
                    outbox::settle(tx, id, settlement, *at).await?;
                }
                outbox::count_waiting(tx).await
            })
        })
        .await?;
    app.metrics.outbox_waiting(waiting);
    Ok(count)
}

async fn deliver(app: &App, message: &ClaimedMessage, at: Moment) -> Settlement {
    if message.expires_at <= at {
        return Settlement::Expired;
    }
    let opened = message
        .sealed
        .as_deref()
        .ok_or_else(|| Fault::described("reading a message", "it has no variables".into()))
        .and_then(|sealed| letter::open(&app.keyring, &message.id, sealed));
    let variables = match opened {
        Ok(variables) => variables,
        Err(fault) => {
            return Settlement::Abandoned {
                reason: fault.to_string(),
            };
        }
    };
    let rendered = match render(app, message, &variables) {
        Ok(rendered) => rendered,
        Err(reason) => return Settlement::Abandoned { reason },
    };
    let is_mail = message.channel == "email";
    let gateway = if is_mail {
        &app.channels.email
    } else {
        &app.channels.sms
    };
    match gateway {
        Gateway::None => retry(
            message,
            at,
            format!("there is no gateway for {} messages", message.channel),
        ),
        Gateway::Inbox(inbox) => {
            inbox.put(InboxMessage {
                id: message.id.clone(),
                to: message.recipient.clone(),
                channel: message.channel.clone(),
                template: message.template.clone(),
                subject: rendered.subject,
                text: rendered.text,
                html: rendered.html,
                suppressed: variables
                    .code
                    .is_none()
                    .then(|| String::from("the address already has an account")),
                code: variables.code.map(|code| code.expose().to_owned()),
                message_id: message.message_id.clone(),
                sent_at: at.millis(),
            });
            Settlement::Sent
        }
        Gateway::Smtp { relay, from } => {
            let mail = OutgoingMail {
                message_id: message.message_id.clone(),
                to: message.recipient.clone(),
                from: from.clone(),
                rendered,
                date_at_ms: message.created_at.millis(),
            };
            match timeout(SEND_LIMIT, Box::pin(relay.send(&mail))).await {
                Ok(SendOutcome::Sent { .. }) => Settlement::Sent,
                Ok(SendOutcome::Retry { reason }) => retry(message, at, reason),
                Ok(SendOutcome::Reject { reason }) => Settlement::Abandoned { reason },
                Err(_) => retry(
                    message,
                    at,
                    "the relay was too slow for the batch".to_owned(),
                ),
            }
        }
    }
}

fn render(app: &App, message: &ClaimedMessage, variables: &Variables) -> Result<Rendered, String> {
    let name = TemplateName::parse(&message.template)
        .ok_or_else(|| format!("there is no template {:?}", message.template))?;
    let context = OtpContext {
        site_name: variables.site_name.clone(),
        code: variables.code.clone(),
        valid_minutes: variables.valid_minutes,
        first_name: variables.first_name.clone(),
    };
    if message.channel == "email" {
        return app
            .templates
            .render(name, &message.language, &context)
            .map_err(|problem| problem.to_string());
    }
    let host = variables.host.split(':').next();
    let text = app
        .templates
        .render_sms(&message.language, host, &context)
        .map_err(|problem| problem.to_string())?;
    Ok(Rendered {
        subject: String::new(),
        text,
        html: None,
    })
}

/// The pause doubles from one second. There is no last try: the end of its code is the end of a
/// message, and a relay that was away for hours still gets those that live.
fn retry(message: &ClaimedMessage, at: Moment, reason: String) -> Settlement {
    let pause = 1i64 << message.attempts.clamp(1, 20).saturating_sub(1);
    Settlement::Retry {
        due_at: at.plus_seconds(pause.min(PAUSE_SECONDS_MAX)),
        reason,
    }
}

fn report(app: &App, message: &ClaimedMessage, settlement: &Settlement) {
    let id = &message.id;
    match settlement {
        Settlement::Sent => {
            app.metrics.outbox_settled("sent");
            tracing::debug!(outbox = %id, "sent");
        }
        Settlement::Expired => {
            app.metrics.outbox_settled("expired");
            tracing::warn!(outbox = %id, "not sent: its code has expired");
        }
        Settlement::Retry { reason, .. } => {
            app.metrics.outbox_settled("retried");
            tracing::warn!(outbox = %id, attempt = message.attempts, reason, "not sent yet");
        }
        Settlement::Abandoned { reason } => {
            app.metrics.outbox_settled("abandoned");
            tracing::error!(outbox = %id, attempt = message.attempts, reason, "given up");
        }
    }
}
