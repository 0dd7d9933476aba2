//! Logins by password: the data that one needs, and the lockout after failures.
//!
//! A subject is a user's record id or, for an unknown username, a text derived from the name, so that both are
//! counted by the same statements.

use super::Transaction;
use super::row::{Record, Row};
use super::statement::{bind, statements};
use super::user_row::user_columns;
use crate::identity::User;
use crate::moment::Moment;
use crate::refusal::Fault;

statements! {
    FAIL = "INSERT INTO login_hold (subject, failures, failed_at, held_until)
        VALUES ($1, 1, $2, NULL)
        ON CONFLICT (subject) DO UPDATE SET
            failures = CASE WHEN login_hold.held_until <= $2 THEN 1 ELSE login_hold.failures + 1 END,
            failed_at = $2,
            held_until = CASE
                WHEN login_hold.held_until > $2 THEN login_hold.held_until
                WHEN login_hold.held_until IS NULL AND login_hold.failures + 1 >= $3 THEN $4
                ELSE NULL END";
    FIND = concat!("SELECT c.phc, c.set_at, h.held_until, ", user_columns!("u"), " FROM app_user u
        LEFT JOIN credential c ON c.user_id = u.id
        LEFT JOIN login_hold h ON h.subject = u.id
        WHERE u.username_key = $1");
    LOCKED_OUT_UNTIL = "SELECT held_until FROM login_hold WHERE subject = $1 AND held_until > $2";
    CLEAR_FAILURES = "DELETE FROM login_hold
        WHERE subject = $1 AND (held_until IS NULL OR held_until <= $2)";
    END_LOCKOUT = "DELETE FROM login_hold WHERE subject = $1";
}

/// A user and their password, loaded in one statement.
#[derive(Debug)]
pub struct PasswordLogin {
    /// The PHC string and when it was set; `None` for a user without a password.
    pub credential: Option<(String, Moment)>,
    /// The end of the lockout of password logins, which may be past.
    pub locked_out_until: Option<Moment>,
    /// The user.
    pub user: User,
}

/// The limit of failures, and the end of the lockout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lockout {
    /// The number of consecutive failures that lock out, 2 or more.
    pub failures_max: i64,
    /// The end of a lockout that starts now.
    pub locked_out_until: Moment,
}

/// The user with a username, given in its compared form, and their password.
pub async fn find(
    tx: &mut Transaction<'_>,
    username_key: &str,
) -> Result<Option<PasswordLogin>, Fault> {
    tx.find(&FIND, bind![username_key]).await
}

/// Counts a failure; the one that reaches the limit starts the lockout. Failures during a lockout do not extend it,
/// so that an attacker cannot lock out a user permanently (threat LOCK-02).
pub async fn fail(
    tx: &mut Transaction<'_>,
    subject: &str,
    lockout: &Lockout,
    at: Moment,
) -> Result<(), Fault> {
    let values = bind![subject, at, lockout.failures_max, lockout.locked_out_until];
    tx.execute(&FAIL, values).await?;
    Ok(())
}

/// Deletes the failures of a user who has authenticated; false during a lockout, and then nothing is deleted. This
/// stops parallel guessing: a right password that arrives after the failure that started the lockout is refused
/// like the wrong ones.
pub async fn clear_failures(
    tx: &mut Transaction<'_>,
    subject: &str,
    at: Moment,
) -> Result<bool, Fault> {
    tx.execute(&CLEAR_FAILURES, bind![subject, at]).await?;
    let until: Option<Option<Moment>> = tx.find(&LOCKED_OUT_UNTIL, bind![subject, at]).await?;
    Ok(until.is_none())
}

/// Ends a lockout for any reason; true when there were failures to delete.
pub async fn end_lockout(tx: &mut Transaction<'_>, subject: &str) -> Result<bool, Fault> {
    Ok(tx.execute(&END_LOCKOUT, bind![subject]).await? == 1)
}

/// The end of the lockout of a subject.
pub async fn locked_out_until(
    tx: &mut Transaction<'_>,
    subject: &str,
    at: Moment,
) -> Result<Option<Moment>, Fault> {
    let until: Option<Option<Moment>> = tx.find(&LOCKED_OUT_UNTIL, bind![subject, at]).await?;
    Ok(until.flatten())
}

impl Record for PasswordLogin {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        let phc: Option<String> = row.next()?;
        let set_at: Option<Moment> = row.next()?;
        Ok(PasswordLogin {
            credential: phc.zip(set_at),
            locked_out_until: row.next()?,
            user: User::read(row)?,
        })
    }
}
