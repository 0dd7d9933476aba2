//! Users. A username is unique by constraint, not by a look-up first.

use super::statement::{bind, statements};
use super::user_row::user_columns;
use super::{AdminTransaction, Transaction};
use crate::identity::User;
use crate::moment::Moment;
use crate::refusal::Fault;

statements! {
    DELETE = "DELETE FROM app_user WHERE id = $1";
    DELETE_CREDENTIAL = "DELETE FROM credential WHERE user_id = $1";
    DELETE_FAMILIES = "DELETE FROM token_family WHERE user_id = $1";
    DISABLE = "UPDATE app_user SET disabled_at = $2, updated_at = $2,
            session_generation = session_generation + 1
        WHERE id = $1 AND disabled_at IS NULL";
    ENABLE = "UPDATE app_user SET disabled_at = NULL, updated_at = $2
        WHERE id = $1 AND disabled_at IS NOT NULL";
    END_FAMILIES = "UPDATE token_family SET ended_at = $2, expires_at = $2, successor_salt = NULL
        WHERE user_id = $1 AND ended_at IS NULL";
    END_SESSIONS = "UPDATE app_user SET session_generation = session_generation + 1, updated_at = $2
        WHERE id = $1";
    FIND_BY_EMAIL = concat!("SELECT ", user_columns!("app_user"), " FROM app_user
        WHERE email_key = $1 ORDER BY id LIMIT $2");
    FIND_BY_ID = concat!("SELECT ", user_columns!("app_user"), " FROM app_user WHERE id = $1");
    FIND_BY_VERIFIED_EMAIL = concat!("SELECT ", user_columns!("app_user"), " FROM app_user
        WHERE email_key = $1 AND email_verified_at IS NOT NULL AND disabled_at IS NULL
        ORDER BY id LIMIT $2");
    FIND_BY_VERIFIED_PHONE = concat!("SELECT ", user_columns!("app_user"), " FROM app_user
        WHERE phone = $1 AND phone_verified_at IS NOT NULL AND disabled_at IS NULL
        ORDER BY id LIMIT $2");
    FIND_BY_PHONE = concat!("SELECT ", user_columns!("app_user"), " FROM app_user
        WHERE phone = $1 ORDER BY id LIMIT $2");
    FIND_BY_USERNAME =
        concat!("SELECT ", user_columns!("app_user"), " FROM app_user WHERE username_key = $1");
    INSERT = "INSERT INTO app_user (id, username, username_key, email, email_key, phone, first_name,
            last_name, profile_id, account_id, locale, timezone, attributes, is_integration,
            email_verified_at, phone_verified_at, locked_at, disabled_at, session_generation, created_at,
            updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
        ON CONFLICT DO NOTHING";
    LOCK = "UPDATE app_user SET locked_at = $2, updated_at = $2,
            session_generation = session_generation + 1
        WHERE id = $1 AND locked_at IS NULL";
    SET_ACCOUNT = "UPDATE app_user SET account_id = $2 WHERE id = $1";
    UNLOCK = "UPDATE app_user SET locked_at = NULL, updated_at = $2
        WHERE id = $1 AND locked_at IS NOT NULL";
    // The comparison comes first because PostgreSQL infers a parameter's type from its first use.
    LIST = concat!("SELECT ", user_columns!("app_user"), " FROM app_user
        WHERE (username_key > $1 OR $1 IS NULL) ORDER BY username_key LIMIT $2");
}

/// Inserts a new user; false when the username is taken.
pub async fn insert(tx: &mut Transaction<'_>, user: &User) -> Result<bool, Fault> {
    let attributes = serde_json::to_string(&user.attributes)
        .map_err(|error| Fault::new("writing attributes", error))?;
    let values = bind![
        &user.id,
        &user.username,
        &user.username_key,
        &user.email,
        &user.email_key,
        &user.phone,
        &user.first_name,
        &user.last_name,
        &user.profile_id,
        &user.account_id,
        &user.locale,
        &user.timezone,
        &attributes,
        i64::from(user.is_integration),
        user.email_verified_at,
        user.phone_verified_at,
        user.locked_at,
        user.disabled_at,
        user.session_generation,
        user.created_at,
        user.updated_at,
    ];
    let is_new = tx.execute(&INSERT, values).await? == 1;
    if is_new {
        super::user_attribute::insert_of(tx, &user.id, &user.attributes).await?;
    }
    Ok(is_new)
}

/// Ends every session of a user: all codes and tokens that were issued until now become invalid.
pub async fn end_sessions(
    tx: &mut Transaction<'_>,
    user_id: &str,
    at: Moment,
) -> Result<(), Fault> {
    tx.execute(&END_SESSIONS, bind![user_id, at]).await?;
    end_families(tx, user_id, at).await
}

/// Ends the user's token families. The generation has invalidated them already; but a family without an expiry
/// would never be swept.
async fn end_families(tx: &mut Transaction<'_>, id: &str, at: Moment) -> Result<(), Fault> {
    tx.execute(&END_FAMILIES, bind![id, at]).await?;
    Ok(())
}

/// Locks a user and ends their sessions; false when they were locked already. Unlocking does not restore the
/// sessions.
pub async fn lock(tx: &mut AdminTransaction<'_, '_>, id: &str, at: Moment) -> Result<bool, Fault> {
    let is_new = tx.execute(&LOCK, bind![id, at]).await? == 1;
    end_families(tx, id, at).await?;
    Ok(is_new)
}

/// Unlocks a user: removes the administrator's lock and the lockouts by wrong passwords and wrong codes; false when
/// there was none.
pub async fn unlock(
    tx: &mut AdminTransaction<'_, '_>,
    id: &str,
    at: Moment,
) -> Result<bool, Fault> {
    let was_locked_out = super::login::end_lockout(tx, id).await?;
    let was_guessed_at = super::tally::forget_failures(tx, id).await?;
    let was_locked = tx.execute(&UNLOCK, bind![id, at]).await? == 1;
    Ok(was_locked_out || was_guessed_at || was_locked)
}

/// Disables a user and ends their sessions; false when they were disabled already.
pub async fn disable(
    tx: &mut AdminTransaction<'_, '_>,
    id: &str,
    at: Moment,
) -> Result<bool, Fault> {
    let is_new = tx.execute(&DISABLE, bind![id, at]).await? == 1;
    end_families(tx, id, at).await?;
    Ok(is_new)
}

/// Enables a user again; false when they were not disabled.
pub async fn enable(
    tx: &mut AdminTransaction<'_, '_>,
    id: &str,
    at: Moment,
) -> Result<bool, Fault> {
    Ok(tx.execute(&ENABLE, bind![id, at]).await? == 1)
}

/// Deletes a user with password, lockout and token families; false when the user does not exist. Their access
/// tokens and codes are loaded with the user, so they become invalid, and are swept later.
pub async fn delete(tx: &mut AdminTransaction<'_, '_>, id: &str) -> Result<bool, Fault> {
    super::login::end_lockout(tx, id).await?;
    tx.execute(&DELETE_CREDENTIAL, bind![id]).await?;
    tx.execute(&DELETE_FAMILIES, bind![id]).await?;
    super::external_identifier::delete_of(tx, id).await?;
    super::user_attribute::delete_of(tx, id).await?;
    super::known_network::delete_of(tx, id).await?;
    Ok(tx.execute(&DELETE, bind![id]).await? == 1)
}

/// Links a user to an account.
pub async fn set_account(
    tx: &mut Transaction<'_>,
    user_id: &str,
    account_id: &str,
) -> Result<(), Fault> {
    tx.execute(&SET_ACCOUNT, bind![user_id, account_id]).await?;
    Ok(())
}

/// The user with a record id.
pub async fn find_by_id(tx: &mut Transaction<'_>, id: &str) -> Result<Option<User>, Fault> {
    tx.find(&FIND_BY_ID, bind![id]).await
}

/// The user with a username, given in its compared form.
pub async fn find_by_username(
    tx: &mut Transaction<'_>,
    username_key: &str,
) -> Result<Option<User>, Fault> {
    tx.find(&FIND_BY_USERNAME, bind![username_key]).await
}

/// The users with an address, given in its compared form: at most `limit`, verified or not.
pub async fn find_by_email(
    tx: &mut Transaction<'_>,
    email_key: &str,
    limit: i64,
) -> Result<Vec<User>, Fault> {
    tx.list(&FIND_BY_EMAIL, bind![email_key, limit]).await
}

/// The users with a phone number in E.164 form: at most `limit`, verified or not.
pub async fn find_by_phone(
    tx: &mut Transaction<'_>,
    phone: &str,
    limit: i64,
) -> Result<Vec<User>, Fault> {
    tx.list(&FIND_BY_PHONE, bind![phone, limit]).await
}

/// The active users whose verified address this is, in its compared form: at most `limit`. Users with the same
/// unverified address are not included and do not count.
pub async fn find_by_verified_email(
    tx: &mut Transaction<'_>,
    email_key: &str,
    limit: i64,
) -> Result<Vec<User>, Fault> {
    tx.list(&FIND_BY_VERIFIED_EMAIL, bind![email_key, limit])
        .await
}

/// The same for a phone number in E.164 form.
pub async fn find_by_verified_phone(
    tx: &mut Transaction<'_>,
    phone: &str,
    limit: i64,
) -> Result<Vec<User>, Fault> {
    tx.list(&FIND_BY_VERIFIED_PHONE, bind![phone, limit]).await
}

/// Users in the order of their usernames, from after one of them.
pub async fn list(
    tx: &mut Transaction<'_>,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<User>, Fault> {
    tx.list(&LIST, bind![after, limit]).await
}
