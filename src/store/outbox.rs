//! The outbox: messages that are queued for sending, inserted in the same write as the event that they report.
//!
//! A worker claims a batch with a lease, sends outside any transaction and settles. When a worker dies, its leases
//! expire, and another worker claims the messages again under the same Message-ID.

use vestibule_protocol::headless::VerificationMethod;

use super::Transaction;
use super::row::{Record, Row};
use super::statement::{bind, statements};
use crate::moment::Moment;
pub use crate::outgoing::{MessageState, MessageStatus, OutgoingMessage, Settlement};
use crate::refusal::Fault;

statements! {
    CLAIM = "UPDATE outbox SET status = 'sending', leased_until = $2, attempts = attempts + 1
        WHERE id IN (SELECT id FROM outbox
                WHERE status IN ('queued', 'sending') AND channel = $5 AND due_at <= $1 AND expires_at > $1
                    AND (leased_until IS NULL OR leased_until <= $1)
                ORDER BY CASE WHEN expires_at > $4 THEN 0 ELSE 1 END, expires_at, due_at LIMIT $3)
            AND status IN ('queued', 'sending') AND (leased_until IS NULL OR leased_until <= $1)
        RETURNING id, channel, template, language, recipient, site_id, message_id, sealed, attempts,
            expires_at, created_at";
    COUNT_WAITING = "SELECT COUNT(*) FROM outbox WHERE status IN ('queued', 'sending')";
    EXPIRE = "UPDATE outbox SET status = 'expired', settled_at = $1, sealed = NULL, leased_until = NULL
        WHERE id IN (SELECT id FROM outbox
                WHERE status IN ('queued', 'sending') AND expires_at <= $1
                    AND (leased_until IS NULL OR leased_until <= $1) LIMIT $2)
            AND status IN ('queued', 'sending') AND (leased_until IS NULL OR leased_until <= $1)";
    HAS_EXPIRED = "SELECT COUNT(*) FROM (SELECT 1 FROM outbox
            WHERE status IN ('queued', 'sending') AND expires_at <= $1
                AND (leased_until IS NULL OR leased_until <= $1) LIMIT 1) AS one";
    INSERT = "INSERT INTO outbox (id, channel, template, language, recipient, site_id, message_id,
            sealed, status, attempts, due_at, expires_at, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'queued', $11, $9, $10, $9)";
    LIST_RECENT = "SELECT id, recipient, template, status, attempts, last_reason, message_id,
            CAST(CASE WHEN sealed IS NULL THEN 1 ELSE 0 END AS BIGINT)
        FROM outbox WHERE recipient = $1 ORDER BY created_at, id";
    NEXT_DUE = "SELECT MIN(CASE WHEN leased_until IS NOT NULL AND leased_until > due_at
            THEN leased_until ELSE due_at END) FROM outbox
        WHERE status IN ('queued', 'sending') AND channel = $1 AND expires_at > $2";
    RELEASE = "UPDATE outbox SET status = 'queued', leased_until = NULL WHERE status = 'sending'";
    RETRY = "UPDATE outbox SET status = 'queued', due_at = $2, leased_until = NULL, last_reason = $3
        WHERE id = $1 AND status = 'sending' AND attempts = $4";
    SETTLE = "UPDATE outbox SET status = $2, settled_at = $3, sealed = NULL, leased_until = NULL,
            last_reason = $4
        WHERE id = $1 AND status = 'sending'";
}

/// Queues a message. The commit wakes the worker ([`Store::message_queued`](super::Store::message_queued)).
pub async fn insert(tx: &mut Transaction<'_>, message: &OutgoingMessage) -> Result<(), Fault> {
    let values = bind![
        &message.id,
        message.channel.as_str(),
        &message.template,
        &message.language,
        &message.recipient,
        &message.site_id,
        &message.message_id,
        &message.sealed,
        message.created_at,
        message.expires_at,
        message.attempts,
    ];
    tx.execute(&INSERT, values).await?;
    tx.note_queued();
    Ok(())
}

/// Marks up to [`EXPIRED_MAX`] messages that have expired and have no live lease, and returns their number. After
/// an outage there may be thousands, and none of them is worth a claim.
pub async fn expire(tx: &mut Transaction<'_>, at: Moment) -> Result<u64, Fault> {
    tx.execute(&EXPIRE, bind![at, EXPIRED_MAX]).await
}

/// Whether [`expire`] would find a message.
pub async fn has_expired(tx: &mut Transaction<'_>, at: Moment) -> Result<bool, Fault> {
    let found = tx.find::<i64>(&HAS_EXPIRED, bind![at]).await?;
    Ok(found == Some(1))
}

/// The maximum number of messages that one write marks as expired: other writers wait for it.
pub const EXPIRED_MAX: i64 = 500;

/// A code with less remaining lifetime than this can hardly be used any more.
const TOO_LATE_SECONDS: i64 = 30;

/// Claims up to `limit` messages of a channel that are due, not expired, and have no live lease. The message that
/// expires next is first, so that after an outage every code that can still be used is sent in time, and before
/// notices that are valid for a day. Codes that would hardly arrive in time are last, so that they do not delay the
/// others.
pub async fn claim(
    tx: &mut Transaction<'_>,
    channel: VerificationMethod,
    at: Moment,
    leased_until: Moment,
    limit: i64,
) -> Result<Vec<OutgoingMessage>, Fault> {
    let late = at.plus_seconds(TOO_LATE_SECONDS);
    let values = bind![at, leased_until, limit, late, channel.as_str()];
    tx.list(&CLAIM, values).await
}

/// Ends every lease and returns their number. Only for a server that is the only one.
pub async fn release(tx: &mut Transaction<'_>) -> Result<u64, Fault> {
    tx.execute(&RELEASE, &[]).await
}

/// Settles a message whose claim with number `attempt` has ended. Sent and abandoned messages are final. Only the
/// newest claim may cause a retry: a late one would let the message be sent twice, while the newest claim is
/// active.
pub async fn settle(
    tx: &mut Transaction<'_>,
    id: &str,
    attempt: i64,
    settlement: &Settlement,
    at: Moment,
) -> Result<(), Fault> {
    let none: Option<&str> = None;
    match settlement {
        Settlement::Abandoned { reason } => {
            tx.execute(
                &SETTLE,
                bind![id, MessageStatus::Abandoned.as_str(), at, reason],
            )
            .await?;
        }
        Settlement::Expired => {
            tx.execute(
                &SETTLE,
                bind![id, MessageStatus::Expired.as_str(), at, none],
            )
            .await?;
        }
        Settlement::Retry { due_at, reason } => {
            tx.execute(&RETRY, bind![id, *due_at, reason, attempt])
                .await?;
        }
        Settlement::Sent => {
            tx.execute(&SETTLE, bind![id, MessageStatus::Sent.as_str(), at, none])
                .await?;
        }
        Settlement::Suppressed { reason } => {
            let values = bind![id, MessageStatus::Suppressed.as_str(), at, reason.as_str()];
            tx.execute(&SETTLE, values).await?;
        }
    }
    Ok(())
}

/// The number of queued messages.
pub async fn count_waiting(tx: &mut Transaction<'_>) -> Result<i64, Fault> {
    Ok(tx.find::<i64>(&COUNT_WAITING, &[]).await?.unwrap_or(0))
}

/// When the next message of a channel is due, among those that have not expired at an instant; `None` when none is
/// queued.
pub async fn next_due(
    tx: &mut Transaction<'_>,
    channel: VerificationMethod,
    at: Moment,
) -> Result<Option<Moment>, Fault> {
    let due: Option<Option<Moment>> = tx.find(&NEXT_DUE, bind![channel.as_str(), at]).await?;
    Ok(due.flatten())
}

/// The messages to one recipient, oldest first.
pub async fn list_recent(
    tx: &mut Transaction<'_>,
    recipient: &str,
) -> Result<Vec<MessageState>, Fault> {
    tx.list(&LIST_RECENT, bind![recipient]).await
}

impl Record for OutgoingMessage {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        Ok(OutgoingMessage {
            id: row.next()?,
            channel: row.next_word("channel")?,
            template: row.next()?,
            language: row.next()?,
            recipient: row.next()?,
            site_id: row.next()?,
            message_id: row.next()?,
            sealed: row.next()?,
            attempts: row.next()?,
            expires_at: row.next()?,
            created_at: row.next()?,
        })
    }
}

impl Record for MessageState {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        Ok(MessageState {
            id: row.next()?,
            recipient: row.next()?,
            template: row.next()?,
            status: row.next_word("status")?,
            attempts: row.next()?,
            last_reason: row.next()?,
            message_id: row.next()?,
            is_wiped: row.next::<i64>()? == 1,
        })
    }
}
