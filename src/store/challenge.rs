//! Challenges: opened by an init request, counted down attempt by attempt, closed once.
//!
//! Challenges with one seed carry one code: they share its attempts, and are closed together.

use vestibule_protocol::headless::VerificationMethod;
use vestibule_protocol::purpose::Purpose;

use super::Transaction;
use super::row::{Record, Row};
use super::statement::{Statement, Value, bind, statements};
use crate::moment::Moment;
use crate::refusal::Fault;
use crate::verification::{Challenge, Origin, Requester, RequesterClass, SentCode, Target};

/// The maximum lifetime of any code, in seconds; a challenge opened earlier has expired.
const LIFETIME_SECONDS_MAX: i64 = 86_400;

statements! {
    CLOSE = "UPDATE challenge SET closed_at = $2, payload = NULL, sealed_code = NULL
        WHERE (identifier_hash = $1 OR code_seed = (SELECT code_seed FROM challenge WHERE identifier_hash = $1))
            AND closed_at IS NULL";
    COUNT_BY_BUDGET = "SELECT COUNT(*), MIN(created_at) FROM challenge
        WHERE budget_key = $1 AND purpose = $2 AND created_at > $3 AND requester = $4
            AND (network = $5 OR $5 IS NULL)";
    COUNT_BY_REFERENCE = "SELECT COUNT(*), MIN(created_at) FROM challenge
        WHERE reference_key = $1 AND purpose = $2 AND created_at > $3 AND requester <> 'backend' AND network = $4";
    COUNT_BY_TARGET = "SELECT COUNT(*), MIN(created_at) FROM challenge
        WHERE target_key = $1 AND purpose = $2 AND created_at > $3 AND requester = $4
            AND (network = $5 OR $5 IS NULL)";
    END_OLDER = "UPDATE challenge SET closed_at = $5, payload = NULL, sealed_code = NULL
        WHERE reference_key = $1 AND purpose = $2 AND created_at > $3 AND site_id = $4 AND closed_at IS NULL";
    FIND_BY_REFERENCE = "SELECT c.identifier_hash, c.payload, c.tries_left, t.tries
        FROM challenge c LEFT JOIN code_try t ON t.code_seed = c.code_seed AND t.network = $5
        WHERE c.reference_key = $1 AND c.purpose = $2 AND c.site_id = $3
            AND c.closed_at IS NULL AND c.expires_at > $4
        ORDER BY CASE WHEN c.network = $5 THEN 0 ELSE 1 END, CASE WHEN c.code_mac IS NULL THEN 1 ELSE 0 END,
            c.created_at DESC
        LIMIT 1";
    FIND_LIVE_CODE = "SELECT c.code_seed, c.first_sent_at, c.sealed_code FROM challenge c
        WHERE c.reference_key = $1 AND c.purpose = $2 AND c.created_at > $6 AND c.site_id = $3 AND c.channel = $4
            AND c.closed_at IS NULL AND c.expires_at > $5 AND c.first_sent_at > $6
            AND NOT EXISTS (SELECT 1 FROM code_try t WHERE t.code_seed = c.code_seed)
        ORDER BY c.created_at DESC LIMIT 1";
    FIND_OPEN = "SELECT identifier_hash, purpose, site_id, channel, is_channel_named, target_key, budget_key,
            reference_key, network, requester, COALESCE(code_seed, identifier_hash), first_sent_at, sealed_code, code_mac, tries_left,
            payload, created_at, expires_at
        FROM challenge
        WHERE identifier_hash = $1 AND purpose = $2 AND site_id = $3 AND closed_at IS NULL AND expires_at > $4";
    INSERT = "INSERT INTO challenge (identifier_hash, purpose, site_id, channel, is_channel_named, target_key,
            budget_key, reference_key, network, requester, code_seed, first_sent_at, sealed_code, code_mac, tries_left,
            payload, created_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)";
    IS_OPEN = "SELECT 1 FROM challenge WHERE identifier_hash = $1 AND closed_at IS NULL";
    SPEND_TRY = "INSERT INTO code_try (code_seed, network, tries, tried_at) VALUES ($1, $2, 1, $4)
        ON CONFLICT (code_seed, network) DO UPDATE SET tries = code_try.tries + 1 WHERE code_try.tries < $3";
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
        &challenge.requester.reference_key,
        &challenge.requester.network,
        challenge.requester.class.as_str(),
        &challenge.code.seed,
        challenge.code.first_sent_at,
        &challenge.code.sealed,
        challenge.code_mac.as_ref().map(<[u8; 32]>::as_slice),
        challenge.tries,
        &challenge.payload,
        challenge.created_at,
        challenge.expires_at,
    ];
    tx.execute(&INSERT, values).await?;
    Ok(())
}

/// Spends one attempt of a network and returns the challenge, if it is open, not expired, of this purpose and site, and
/// the network has an attempt left for its code. The row count of the one statement that spends limits guessing: no
/// other network can use up these attempts (threat LOCK-02).
pub async fn spend_try(
    tx: &mut Transaction<'_>,
    identifier_hash: &[u8; 32],
    purpose: Purpose,
    origin: &Origin,
    at: Moment,
) -> Result<Option<Challenge>, Fault> {
    let sought = bind![identifier_hash, purpose.as_str(), &origin.site_id, at];
    let Some(challenge): Option<Challenge> = tx.find(&FIND_OPEN, sought).await? else {
        return Ok(None);
    };
    let network = origin.network.to_string();
    let values = bind![&challenge.code.seed, &network, challenge.tries, at];
    let is_spent = tx.execute(&SPEND_TRY, values).await? == 1;
    Ok(Some(challenge).filter(|_| is_spent))
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

/// Closes a challenge and the others of its code; false when they were closed already: another write was faster.
pub async fn close(
    tx: &mut Transaction<'_>,
    identifier_hash: &[u8; 32],
    at: Moment,
) -> Result<bool, Fault> {
    Ok(tx.execute(&CLOSE, bind![identifier_hash, at]).await? > 0)
}

/// Ends every open challenge of the same purpose and site that was begun with the same text, on any channel: a newer
/// code replaces the older (threat OTP-07). Challenges that another text began are not touched, even if it names the
/// same user: otherwise a caller would learn that two texts name one user.
pub async fn end_older(tx: &mut Transaction<'_>, newer: &Challenge) -> Result<u64, Fault> {
    let values = bind![
        &newer.requester.reference_key,
        newer.purpose.as_str(),
        newer.created_at.plus_seconds(-LIFETIME_SECONDS_MAX),
        &newer.site_id,
        newer.created_at,
    ];
    tx.execute(&END_OLDER, values).await
}

/// What a code is asked for: the same request again sends the same code.
#[derive(Clone, Debug)]
pub struct CodeScope {
    /// Keyed hash of the text that names the user, the address or the number.
    pub reference_key: String,
    /// The flow.
    pub purpose: Purpose,
    /// Record id of the site.
    pub site_id: String,
    /// The channel.
    pub channel: VerificationMethod,
    /// The lifetime of a code, in seconds.
    pub lifetime_seconds: i64,
}

/// The code of a subject that was first sent within one lifetime, is not used, and for which no code was presented yet.
pub async fn find_live_code(
    tx: &mut Transaction<'_>,
    subject: &CodeScope,
    at: Moment,
) -> Result<Option<SentCode>, Fault> {
    let values = bind![
        &subject.reference_key,
        subject.purpose.as_str(),
        &subject.site_id,
        subject.channel.as_str(),
        at,
        at.plus_seconds(-subject.lifetime_seconds),
    ];
    tx.find(&FIND_LIVE_CODE, values).await
}

impl Record for SentCode {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        Ok(SentCode {
            seed: hash(row.next()?)?,
            first_sent_at: row.next()?,
            sealed: row.next::<Option<Vec<u8>>>()?.unwrap_or_default(),
        })
    }
}

/// The open challenge of a purpose that was begun with a text: the one that the same network began, before those of
/// others; of these one that a code opens, before decoys; the newest.
pub async fn find_by_reference(
    tx: &mut Transaction<'_>,
    purpose: Purpose,
    requester: &Requester,
    site_id: &str,
    at: Moment,
) -> Result<Option<Begun>, Fault> {
    let values = bind![
        &requester.reference_key,
        purpose.as_str(),
        site_id,
        at,
        &requester.network
    ];
    tx.find(&FIND_BY_REFERENCE, values).await
}

/// The result of [`find_by_reference`].
#[derive(Debug)]
pub struct Begun {
    /// SHA-256 of the identifier.
    pub identifier_hash: [u8; 32],
    /// What the flow needs when the code comes back, as JSON.
    pub payload: Option<String>,
    /// Whether the network has no attempt left.
    pub is_spent: bool,
}

impl Record for Begun {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        Ok(Begun {
            identifier_hash: hash(row.next()?)?,
            payload: row.next()?,
            is_spent: {
                let (tries, tried): (i64, Option<i64>) = (row.next()?, row.next()?);
                tried.unwrap_or(0) >= tries
            },
        })
    }
}

/// Codes that were asked for: how many, and when the first was.
#[derive(Clone, Copy, Debug, Default)]
pub struct CodeCount {
    /// How many.
    pub count: i64,
    /// When the first was asked for.
    pub first_at: Option<Moment>,
}

/// The codes that unauthenticated callers of a requester's network have asked for with the same text, since an instant.
pub async fn count_by_reference(
    tx: &mut Transaction<'_>,
    requester: &Requester,
    purpose: Purpose,
    since: Moment,
) -> Result<CodeCount, Fault> {
    let values = bind![
        &requester.reference_key,
        purpose.as_str(),
        since,
        &requester.network
    ];
    counted(tx, &COUNT_BY_REFERENCE, values).await
}

/// The codes that requesters who share a budget have asked for, since an instant: for a user, an address or a number,
/// and for the mailbox behind it. The larger of the two.
pub async fn count_by_class(
    tx: &mut Transaction<'_>,
    target: &Target,
    requester: &Requester,
    purpose: Purpose,
    since: Moment,
) -> Result<CodeCount, Fault> {
    let class = requester.class;
    let network =
        Some(requester.network.as_str()).filter(|_| class == RequesterClass::KnownNetwork);
    let purpose = purpose.as_str();
    let values = bind![&target.key, purpose, since, class.as_str(), network];
    let of_target = counted(tx, &COUNT_BY_TARGET, values).await?;
    let values = bind![&target.budget_key, purpose, since, class.as_str(), network];
    let of_mailbox = counted(tx, &COUNT_BY_BUDGET, values).await?;
    Ok(if of_mailbox.count > of_target.count {
        of_mailbox
    } else {
        of_target
    })
}

async fn counted(
    tx: &mut Transaction<'_>,
    statement: &'static Statement,
    values: &[Value<'_>],
) -> Result<CodeCount, Fault> {
    Ok(tx.find(statement, values).await?.unwrap_or_default())
}

impl Record for CodeCount {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        Ok(CodeCount {
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
            requester: Requester {
                reference_key: row.next()?,
                network: row.next()?,
                class: row.next_word("requester")?,
            },
            code: SentCode::read(row)?,
            code_mac: row.next::<Option<Vec<u8>>>()?.map(hash).transpose()?,
            tries: row.next()?,
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
