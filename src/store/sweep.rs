//! The sweep: deletes rows that have ended, a few at a time, so that no writer waits long.

use super::Transaction;
use super::statement::{bind, statements};
use super::tally;
use crate::moment::Moment;
use crate::refusal::Fault;

/// Rows per table and sweep. A full sweep of all tables takes well below 100 ms.
pub const ROWS_MAX: i64 = 500;

statements! {
    AUTH_SESSIONS = "DELETE FROM auth_session WHERE session_hash IN
        (SELECT session_hash FROM auth_session WHERE expires_at < $1 LIMIT $2)";
    CAPTCHA_TOKENS = "DELETE FROM captcha_token WHERE token_hash IN
        (SELECT token_hash FROM captcha_token WHERE expires_at < $1 LIMIT $2)";
    CHALLENGES = "DELETE FROM challenge WHERE identifier_hash IN
        (SELECT identifier_hash FROM challenge WHERE created_at < $1 LIMIT $2)";
    CODE_TRIES = "DELETE FROM code_try WHERE (code_seed, network) IN
        (SELECT code_seed, network FROM code_try WHERE tried_at < $1 LIMIT $2)";
    CODES = "DELETE FROM authorization_code WHERE code_hash IN
        (SELECT code_hash FROM authorization_code WHERE expires_at < $1 LIMIT $2)";
    FAMILIES = "DELETE FROM token_family WHERE code_hash IN
        (SELECT code_hash FROM token_family WHERE expires_at < $1 LIMIT $2)";
    DRAFTS = "UPDATE challenge SET payload = NULL, code_mac = NULL, sealed_code = NULL WHERE identifier_hash IN
        (SELECT identifier_hash FROM challenge WHERE expires_at < $1 AND payload IS NOT NULL LIMIT $2)";
    FAILURES = "DELETE FROM audit_event WHERE id IN
        (SELECT id FROM audit_event WHERE event IN ('client.authentication_failed', 'code.replayed', 'login.failed',
            'refresh_token.retried', 'registration.failed', 'verification.failed') AND at < $1 LIMIT $2)";
    HANDLER_CALLS = "DELETE FROM handler_call WHERE id IN
        (SELECT id FROM handler_call WHERE at < $1 LIMIT $2)";
    HOLDS = "DELETE FROM login_hold WHERE subject IN
        (SELECT subject FROM login_hold WHERE failed_at < $1
            AND (held_until IS NULL OR held_until <= $2 OR subject LIKE '?%') LIMIT $3)";
    KNOWN_NETWORKS = "DELETE FROM known_network WHERE (user_id, network) IN
        (SELECT user_id, network FROM known_network WHERE seen_at < $1 LIMIT $2)";
    MESSAGES = "DELETE FROM outbox WHERE id IN
        (SELECT id FROM outbox WHERE status IN ('sent', 'abandoned', 'expired', 'suppressed') AND due_at < $1 LIMIT $2)";
    PROOFS = "DELETE FROM spent_proof WHERE proof_hash IN
        (SELECT proof_hash FROM spent_proof WHERE expires_at < $1 LIMIT $2)";
    SESSIONS = "DELETE FROM audit_event WHERE id IN
        (SELECT id FROM audit_event WHERE event IN ('refresh_token.reused', 'token.revoked', 'user.logged_in')
            AND at < $1 LIMIT $2)";
    SMS_COUNTS = "DELETE FROM sms_count WHERE name IN
        (SELECT name FROM sms_count WHERE ends_at < $1 LIMIT $2)";
    TALLIES = "DELETE FROM tally WHERE (subject, hour) IN
        (SELECT subject, hour FROM tally WHERE hour < $1 LIMIT $2)";
    TURNS = "DELETE FROM turn WHERE name IN
        (SELECT name FROM turn WHERE taken_at < $1 LIMIT $2)";
    TOKENS = "DELETE FROM access_token WHERE token_hash IN
        (SELECT token_hash FROM access_token WHERE expires_at < $1 LIMIT $2)";
}

/// Which rows are deleted: those that ended before these instants.
#[derive(Clone, Copy, Debug)]
pub struct Horizon {
    /// Spent captcha tokens, spent client proofs, unfinished first-party logins and counts of text messages have an
    /// expiry of their own.
    pub ended: Moment,
    /// Challenges are kept for the longest budget that counts them, 24 hours; the tallies of that budget, the spent
    /// attempts and the turns are deleted with them.
    pub challenges: Moment,
    /// Codes are kept for a day after their end, the maximum lifetime of an access token that came from one: a
    /// replay is recognised while there is such a token to revoke. A family outlives its code, and is kept for a
    /// day after its own end, so that a late use of it is recognised.
    pub codes: Moment,
    /// What a challenge holds for its flow (of a registration: name, address and the hash of the password) is wiped a
    /// minute after its expiry, when no request that arrived in time is still in progress.
    pub drafts: Moment,
    /// Calls of handlers are kept for a week, or the number of days in the config: they contain personal data.
    pub handler_calls: Moment,
    /// Lockouts that have ended, and those of unknown usernames, are kept for a day after the last failure.
    pub holds: Moment,
    /// Networks from which a user has logged in are kept for 90 days after the last login.
    pub known_networks: Moment,
    /// Failures in the audit log are kept for 30 days, because unauthenticated callers cause them.
    pub failures: Moment,
    /// Logins, and their ends by revocation or reuse, are kept in the audit log for 90 days, because a user causes as
    /// many as they like. All other events are kept.
    pub sessions: Moment,
    /// Tokens are kept for an hour after their end.
    pub tokens: Moment,
    /// Settled messages are kept for a week, to answer what happened to a mail.
    pub messages: Moment,
}

impl Horizon {
    /// The horizon at an instant.
    pub fn at(at: Moment) -> Horizon {
        const HOUR: i64 = 3_600;
        Horizon {
            ended: at,
            challenges: at.plus_seconds(-25 * HOUR),
            codes: at.plus_seconds(-25 * HOUR),
            drafts: at.plus_seconds(-60),
            handler_calls: at.plus_seconds(-7 * 24 * HOUR),
            holds: at.plus_seconds(-25 * HOUR),
            known_networks: at.plus_seconds(-90 * 24 * HOUR),
            failures: at.plus_seconds(-30 * 24 * HOUR),
            sessions: at.plus_seconds(-90 * 24 * HOUR),
            tokens: at.plus_seconds(-HOUR),
            messages: at.plus_seconds(-7 * 24 * HOUR),
        }
    }
}

/// Deletes one batch of ended rows and wipes one of drafts; returns the number of these rows.
pub async fn sweep(tx: &mut Transaction<'_>, horizon: &Horizon) -> Result<u64, Fault> {
    let mut count = tx
        .execute(&CHALLENGES, bind![horizon.challenges, ROWS_MAX])
        .await?;
    count += tx
        .execute(&CODE_TRIES, bind![horizon.challenges, ROWS_MAX])
        .await?;
    count += tx
        .execute(&KNOWN_NETWORKS, bind![horizon.known_networks, ROWS_MAX])
        .await?;
    count += tx.execute(&DRAFTS, bind![horizon.drafts, ROWS_MAX]).await?;
    count += tx.execute(&CODES, bind![horizon.codes, ROWS_MAX]).await?;
    count += tx
        .execute(&FAMILIES, bind![horizon.codes, ROWS_MAX])
        .await?;
    count += tx.execute(&TOKENS, bind![horizon.tokens, ROWS_MAX]).await?;
    count += tx
        .execute(&MESSAGES, bind![horizon.messages, ROWS_MAX])
        .await?;
    count += tx
        .execute(&TURNS, bind![horizon.challenges, ROWS_MAX])
        .await?;
    count += tx
        .execute(&CAPTCHA_TOKENS, bind![horizon.ended, ROWS_MAX])
        .await?;
    count += tx
        .execute(&AUTH_SESSIONS, bind![horizon.ended, ROWS_MAX])
        .await?;
    count += tx.execute(&PROOFS, bind![horizon.ended, ROWS_MAX]).await?;
    count += tx
        .execute(&SMS_COUNTS, bind![horizon.ended, ROWS_MAX])
        .await?;
    count += tx
        .execute(&HOLDS, bind![horizon.holds, horizon.ended, ROWS_MAX])
        .await?;
    count += tx
        .execute(&FAILURES, bind![horizon.failures, ROWS_MAX])
        .await?;
    count += tx
        .execute(&SESSIONS, bind![horizon.sessions, ROWS_MAX])
        .await?;
    count += tx
        .execute(&HANDLER_CALLS, bind![horizon.handler_calls, ROWS_MAX])
        .await?;
    let hour = tally::hour_of(horizon.challenges);
    count += tx.execute(&TALLIES, bind![hour, ROWS_MAX]).await?;
    Ok(count)
}
