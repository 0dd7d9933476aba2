//! Access tokens, by the SHA-256 of their text (opaque) or of their `jti` (JWT).

use super::Transaction;
use super::row::{Record, Row};
use super::statement::{bind, statements};
use super::user_row::user_columns;
use crate::identity::User;
use crate::moment::Moment;
use crate::refusal::Fault;

statements! {
    DELETE_OF_RETRIES = "DELETE FROM access_token WHERE code_hash = $1 AND issued_at >= $3 AND token_hash <> $2
            AND token_hash NOT IN (SELECT token_hash FROM access_token
                WHERE code_hash = $1 AND token_hash <> $2 ORDER BY issued_at DESC, token_hash LIMIT $4)";
    FIND_LIVE = concat!("SELECT t.client_id, t.site_id, t.scope, t.issued_at, t.expires_at, ",
        user_columns!("u"), " FROM access_token t JOIN app_user u ON u.id = t.user_id
        WHERE t.token_hash = $1 AND t.revoked_at IS NULL AND t.expires_at > $2
            AND t.session_generation = u.session_generation");
    INSERT = "INSERT INTO access_token (token_hash, code_hash, client_id, user_id, site_id, scope,
            session_generation, issued_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    IS_LIVE = "SELECT issued_at FROM access_token
        WHERE token_hash = $1 AND site_id = $2 AND user_id = $3 AND revoked_at IS NULL AND expires_at > $4";
    REVOKE = "UPDATE access_token SET revoked_at = $3
        WHERE token_hash = $1 AND site_id = $2 AND (client_id = $4 OR $4 IS NULL) AND revoked_at IS NULL
        RETURNING client_id, user_id";
    REVOKE_BY_CODE = "UPDATE access_token SET revoked_at = $2 WHERE code_hash = $1 AND revoked_at IS NULL";
}

/// Access tokens that one refresh token gives while it may be presented once more: the answers that may still arrive.
pub const PER_REFRESH_TOKEN: i64 = 5;

/// An access token as stored.
#[derive(Clone, Debug)]
pub struct AccessToken {
    /// SHA-256 of the token or of its `jti`.
    pub token_hash: [u8; 32],
    /// The code that it came from; a replay of the code revokes it.
    pub code_hash: Option<[u8; 32]>,
    /// The client to which it was issued.
    pub client_id: String,
    /// The user that it represents.
    pub user_id: String,
    /// The site that issued it.
    pub site_id: String,
    /// Scopes, separated by spaces.
    pub scope: String,
    /// The user's `session_generation` when it was issued.
    pub session_generation: i64,
    /// When it was issued.
    pub issued_at: Moment,
    /// When it expires.
    pub expires_at: Moment,
}

/// A live token with its user, loaded in one statement.
#[derive(Debug)]
pub struct LiveToken {
    /// The client to which it was issued.
    pub client_id: String,
    /// The site that issued it.
    pub site_id: String,
    /// Scopes, separated by spaces.
    pub scope: String,
    /// When it was issued.
    pub issued_at: Moment,
    /// When it expires.
    pub expires_at: Moment,
    /// The user.
    pub user: User,
}

/// The owner of a revoked token.
#[derive(Debug)]
pub struct RevokedToken {
    /// The client to which it was issued.
    pub client_id: String,
    /// The user that it represented.
    pub user_id: String,
}

/// Inserts a token.
pub async fn insert(tx: &mut Transaction<'_>, token: &AccessToken) -> Result<(), Fault> {
    let values = bind![
        &token.token_hash,
        token.code_hash.as_ref().map(<[u8; 32]>::as_slice),
        &token.client_id,
        &token.user_id,
        &token.site_id,
        &token.scope,
        token.session_generation,
        token.issued_at,
        token.expires_at,
    ];
    tx.execute(&INSERT, values).await?;
    Ok(())
}

/// Deletes the oldest access tokens that one refresh token gave since an instant, so that with the newest, which is
/// passed, [`PER_REFRESH_TOKEN`] are left.
pub async fn delete_of_retries(
    tx: &mut Transaction<'_>,
    newest: &AccessToken,
    since: Moment,
) -> Result<(), Fault> {
    let code_hash = newest.code_hash.as_ref().map(<[u8; 32]>::as_slice);
    let values = bind![code_hash, &newest.token_hash, since, PER_REFRESH_TOKEN - 1];
    tx.execute(&DELETE_OF_RETRIES, values).await?;
    Ok(())
}

/// The token, if it is neither revoked nor expired and its user's sessions were not ended since.
pub async fn find_live(
    tx: &mut Transaction<'_>,
    token_hash: &[u8; 32],
    at: Moment,
) -> Result<Option<LiveToken>, Fault> {
    tx.find(&FIND_LIVE, bind![token_hash, at]).await
}

/// Whether a token of a site and of a subject without a user row is neither revoked nor expired.
pub async fn is_live(
    tx: &mut Transaction<'_>,
    token_hash: &[u8; 32],
    site_id: &str,
    user_id: &str,
    at: Moment,
) -> Result<bool, Fault> {
    let issued_at: Option<Moment> = tx
        .find(&IS_LIVE, bind![token_hash, site_id, user_id, at])
        .await?;
    Ok(issued_at.is_some())
}

/// Revokes one token of a site, and of a client if one is named; returns its client and user, or `None` when there
/// is no such token.
pub async fn revoke(
    tx: &mut Transaction<'_>,
    token_hash: &[u8; 32],
    site_id: &str,
    client_id: Option<&str>,
    at: Moment,
) -> Result<Option<RevokedToken>, Fault> {
    tx.find(&REVOKE, bind![token_hash, site_id, at, client_id])
        .await
}

/// Revokes every token that came from a code and returns their number.
pub async fn revoke_by_code(
    tx: &mut Transaction<'_>,
    code_hash: &[u8; 32],
    at: Moment,
) -> Result<u64, Fault> {
    tx.execute(&REVOKE_BY_CODE, bind![code_hash, at]).await
}

impl Record for RevokedToken {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        Ok(RevokedToken {
            client_id: row.next()?,
            user_id: row.next()?,
        })
    }
}

impl Record for LiveToken {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        Ok(LiveToken {
            client_id: row.next()?,
            site_id: row.next()?,
            scope: row.next()?,
            issued_at: row.next()?,
            expires_at: row.next()?,
            user: User::read(row)?,
        })
    }
}
