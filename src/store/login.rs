//! Logins by password: what is looked up for one, and the hold that failures bring about.
//!
//! A subject is a user's record id or, for a name that nobody has, a word made of the name, so that
//! both are counted by the same statements.

use super::Transaction;
use super::row::{Record, Row};
use super::statement::{bind, statements};
use super::user::user_columns;
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
    HELD_UNTIL = "SELECT held_until FROM login_hold WHERE subject = $1 AND held_until > $2";
    RELEASE = "DELETE FROM login_hold
        WHERE subject = $1 AND (held_until IS NULL OR held_until <= $2)";
    UNHOLD = "DELETE FROM login_hold WHERE subject = $1";
}

/// A user and their password, read in one statement.
#[derive(Debug)]
pub struct Login {
    /// The PHC string and when it was set; `None` for a user without a password.
    pub credential: Option<(String, Moment)>,
    /// Until when the password door is closed, or was.
    pub held_until: Option<Moment>,
    /// The user.
    pub user: User,
}

/// How many failures close the password door, and until when they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lockout {
    /// Failures in a row that close it, 2 or more.
    pub failures_max: i64,
    /// Until when a failure of now would close it.
    pub held_until: Moment,
}

/// The user with a username, given in its compared form, and their password.
pub async fn find(tx: &mut Transaction<'_>, username_key: &str) -> Result<Option<Login>, Fault> {
    tx.find(&FIND, bind![username_key]).await
}

/// Counts a failure; the one that reaches the limit closes the door. While it is closed nothing
/// makes that longer, so that an attacker cannot keep an owner out for good (threat LOCK-02).
pub async fn fail(
    tx: &mut Transaction<'_>,
    subject: &str,
    lockout: &Lockout,
    at: Moment,
) -> Result<(), Fault> {
    let values = bind![subject, at, lockout.failures_max, lockout.held_until];
    tx.execute(&FAIL, values).await?;
    Ok(())
}

/// Forgets the failures of somebody who has proven who they are; false when the door is closed, and
/// then nothing is forgotten. Whoever guesses at once with many is stopped here: a right password
/// that comes after the failure that closed the door is refused like the wrong ones.
pub async fn release(tx: &mut Transaction<'_>, subject: &str, at: Moment) -> Result<bool, Fault> {
    tx.execute(&RELEASE, bind![subject, at]).await?;
    let held: Option<Option<Moment>> = tx.find(&HELD_UNTIL, bind![subject, at]).await?;
    Ok(held.is_none())
}

/// Opens the door whatever closed it; true when there was anything to forget.
pub async fn unhold(tx: &mut Transaction<'_>, subject: &str) -> Result<bool, Fault> {
    Ok(tx.execute(&UNHOLD, bind![subject]).await? == 1)
}

/// Until when the password door of a subject is closed.
pub async fn held_until(
    tx: &mut Transaction<'_>,
    subject: &str,
    at: Moment,
) -> Result<Option<Moment>, Fault> {
    let held: Option<Option<Moment>> = tx.find(&HELD_UNTIL, bind![subject, at]).await?;
    Ok(held.flatten())
}

impl Record for Login {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        let phc: Option<String> = row.next()?;
        let set_at: Option<Moment> = row.next()?;
        Ok(Login {
            credential: phc.zip(set_at),
            held_until: row.next()?,
            user: User::read(row)?,
        })
    }
}
