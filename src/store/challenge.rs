//! Challenges: opened by an init request, counted down attempt by attempt, closed once.

use vestibule_protocol::purpose::Purpose;

use super::Transaction;
use super::row::{Record, Row};
use super::statement::{bind, statements};
use crate::moment::Moment;
use crate::refusal::Fault;
use crate::verification::{Challenge, Target};

/// The maximum lifetime of any code, in seconds; a challenge opened earlier has expired.
const LIFETIME_SECONDS_MAX: i64 = 86_400;

statements! {
    CLOSE = "UPDATE challenge SET closed_at = $2, payload = NULL
        WHERE identifier_hash = $1 AND closed_at IS NULL";
    COUNT_BY_BUDGET = "SELECT COUNT(*), MIN(created_at) FROM challenge
        WHERE budget_key = $1 AND purpose = $2 AND created_at > $3";
    COUNT_BY_TARGET = "SELECT COUNT(*), MIN(created_at) FROM challenge
        WHERE target_key = $1 AND purpose = $2 AND created_at > $3";
    END_OLDER = "UPDATE challenge SET closed_at = $5, payload = NULL
        WHERE target_key = $1 AND purpose = $2 AND created_at > $3 AND site_id = $4 AND closed_at IS NULL";
    FIND_NEWEST = "SELECT identifier_hash, tries_left FROM challenge
        WHERE target_key = $1 AND purpose = $2 AND site_id = $3
            AND closed_at IS NULL AND expires_at > $4
        ORDER BY created_at DESC LIMIT 1";
    INSERT = "INSERT INTO challenge (identifier_hash, purpose, site_id, channel, is_channel_named,
            target_key, budget_key, code_mac, tries_left, payload, created_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    IS_OPEN = "SELECT 1 FROM challenge WHERE identifier_hash = $1 AND closed_at IS NULL";
    SPEND_TRY = "UPDATE challenge SET tries_left = tries_left - 1
        WHERE identifier_hash = $1 AND purpose = $2 AND site_id = $3
            AND closed_at IS NULL AND tries_left > 0 AND expires_at > $4
        RETURNING identifier_hash, purpose, site_id, channel, is_channel_named, target_key, budget_key,
            code_mac, tries_left, payload, created_at, expires_at";
}

/// Inserts an open challenge.
pub async fn insert(tx: &mut Transaction<'_>, challenge: &Challenge) -> Result<(), Fault> {
    let values = bind![
        &challenge.identifier_hash,
        challenge.purpose.as_str(),
        &challenge.site_id,
        challenge.channel.as_str(),
        i64::from(challenge.is_channel_named),
        &challenge.target.key,
        &challenge.target.budget_key,
        challenge.code_mac.as_ref().map(<[u8; 32]>::as_slice),
        challenge.tries_left,
        &challenge.payload,
        challenge.created_at,
        challenge.expires_at,
    ];
    tx.execute(&INSERT, values).await?;
    Ok(())
}

/// Spends one attempt and returns the challenge, if it is open, not expired, of this purpose and site, and has an
/// attempt left. The row count of this one statement limits guessing.
pub async fn spend_try(
    tx: &mut Transaction<'_>,
    identifier_hash: &[u8; 32],
    purpose: Purpose,
    site_id: &str,
    at: Moment,
) -> Result<Option<Challenge>, Fault> {
    tx.find(
        &SPEND_TRY,
        bind![identifier_hash, purpose.as_str(), site_id, at],
    )
    .await
}

/// Whether a challenge is not closed.
pub async fn is_open(tx: &mut Transaction<'_>, identifier_hash: &[u8; 32]) -> Result<bool, Fault> {
    let found: Option<Present> = tx.find(&IS_OPEN, bind![identifier_hash]).await?;
    Ok(found.is_some())
}

/// A row that exists; its columns are not read.
struct Present;

impl Record for Present {
    fn read(_: &mut Row<'_>) -> Result<Self, Fault> {
        Ok(Present)
    }
}

/// Closes a challenge; false when it was closed already: another write was faster.
pub async fn close(
    tx: &mut Transaction<'_>,
    identifier_hash: &[u8; 32],
    at: Moment,
) -> Result<bool, Fault> {
    Ok(tx.execute(&CLOSE, bind![identifier_hash, at]).await? == 1)
}

/// Ends every open challenge of the same purpose and site for the same user, or, where there is no user yet, for
/// the same address or number, on any channel: a newer request replaces the older (threat OTP-07).
pub async fn end_older(tx: &mut Transaction<'_>, newer: &Challenge) -> Result<u64, Fault> {
    let values = bind![
        &newer.target.key,
        newer.purpose.as_str(),
        newer.created_at.plus_seconds(-LIFETIME_SECONDS_MAX),
        &newer.site_id,
        newer.created_at,
    ];
    tx.execute(&END_OLDER, values).await
}

/// The open challenge of a purpose for a target: the hash of its identifier and the remaining attempts.
pub async fn find_newest(
    tx: &mut Transaction<'_>,
    purpose: Purpose,
    target_key: &str,
    site_id: &str,
    at: Moment,
) -> Result<Option<Newest>, Fault> {
    let values = bind![target_key, purpose.as_str(), site_id, at];
    tx.find(&FIND_NEWEST, values).await
}

/// The result of [`find_newest`].
#[derive(Debug)]
pub struct Newest {
    /// SHA-256 of the identifier.
    pub identifier_hash: [u8; 32],
    /// Remaining comparisons.
    pub tries_left: i64,
}

impl Record for Newest {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        Ok(Newest {
            identifier_hash: hash(row.next()?)?,
            tries_left: row.next()?,
        })
    }
}

/// The number of challenges for a mailbox or number since an instant, and the time of the first.
pub async fn count_by_budget(
    tx: &mut Transaction<'_>,
    budget_key: &str,
    purpose: Purpose,
    since: Moment,
) -> Result<(i64, Option<Moment>), Fault> {
    let values = bind![budget_key, purpose.as_str(), since];
    let counted: Option<Counted> = tx.find(&COUNT_BY_BUDGET, values).await?;
    Ok(counted.map_or((0, None), |counted| (counted.count, counted.first_at)))
}

/// The same for a user, or for an unknown username.
pub async fn count_by_target(
    tx: &mut Transaction<'_>,
    target_key: &str,
    purpose: Purpose,
    since: Moment,
) -> Result<(i64, Option<Moment>), Fault> {
    let values = bind![target_key, purpose.as_str(), since];
    let counted: Option<Counted> = tx.find(&COUNT_BY_TARGET, values).await?;
    Ok(counted.map_or((0, None), |counted| (counted.count, counted.first_at)))
}

struct Counted {
    count: i64,
    first_at: Option<Moment>,
}

impl Record for Counted {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        Ok(Counted {
            count: row.next()?,
            first_at: row.next()?,
        })
    }
}

impl Record for Challenge {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        Ok(Challenge {
            identifier_hash: hash(row.next()?)?,
            purpose: row.next_word("purpose")?,
            site_id: row.next()?,
            channel: row.next_word("channel")?,
            is_channel_named: row.next::<i64>()? == 1,
            target: Target {
                key: row.next()?,
                budget_key: row.next()?,
            },
            code_mac: row.next::<Option<Vec<u8>>>()?.map(hash).transpose()?,
            tries_left: row.next()?,
            payload: row.next()?,
            created_at: row.next()?,
            expires_at: row.next()?,
        })
    }
}

/// A column with a SHA-256 hash or an HMAC of it.
pub(super) fn hash(bytes: Vec<u8>) -> Result<[u8; 32], Fault> {
    bytes
        .try_into()
        .map_err(|_| Fault::described("reading a hash", "it is not 32 bytes long".into()))
}
