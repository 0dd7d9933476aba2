//! The end of everything that a restored database would bring back: tokens, codes, logins and messages.
//!
//! A database that was restored from a backup does not know what was revoked since. So all of it ends at once, by few
//! statements over whole tables; no server is running then.

use super::AdminTransaction;
use super::statement::{bind, statements};
use crate::moment::Moment;
use crate::refusal::Fault;

statements! {
    ACCESS_TOKENS = "DELETE FROM access_token";
    AUTH_SESSIONS = "DELETE FROM auth_session";
    CHALLENGES = "UPDATE challenge SET closed_at = $1, payload = NULL, code_mac = NULL, code_seed = NULL, sealed_code = NULL
        WHERE closed_at IS NULL";
    CODES = "DELETE FROM authorization_code";
    FAMILIES = "UPDATE token_family SET ended_at = $1, expires_at = $1, successor_salt = NULL WHERE ended_at IS NULL";
    MESSAGES = "UPDATE outbox SET status = 'expired', settled_at = $1, sealed = NULL, leased_until = NULL
        WHERE status IN ('queued', 'sending')";
    USERS = "UPDATE app_user SET session_generation = session_generation + $1";
}

/// What [`end_all`] has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Access tokens, of users and of guests.
    pub access_tokens: u64,
    /// Authorization codes that were not swept yet.
    pub codes: u64,
    /// Logins with a refresh token.
    pub logins: u64,
    /// Messages that waited to be sent.
    pub messages: u64,
    /// Requests with an open one-time password.
    pub one_time_passwords: u64,
    /// Unfinished logins of first-party apps.
    pub sessions: u64,
}

/// Ends every token, code, login and one-time password of the database, and the messages that wait.
///
/// Tokens that were issued after the backup are not in the database, so they are unknown. Only JWTs of the client
/// credentials grant are not stored; they name the session generation of their user. It is raised by the present
/// instant, so that it was never in use before: neither in the database that was lost, nor after an earlier restore
/// of the same backup.
pub async fn end_all(tx: &mut AdminTransaction<'_, '_>, at: Moment) -> Result<Ended, Fault> {
    tx.execute(&USERS, bind![at.millis()]).await?;
    Ok(Ended {
        access_tokens: tx.execute(&ACCESS_TOKENS, &[]).await?,
        codes: tx.execute(&CODES, &[]).await?,
        logins: tx.execute(&FAMILIES, bind![at]).await?,
        messages: tx.execute(&MESSAGES, bind![at]).await?,
        one_time_passwords: tx.execute(&CHALLENGES, bind![at]).await?,
        sessions: tx.execute(&AUTH_SESSIONS, &[]).await?,
    })
}
