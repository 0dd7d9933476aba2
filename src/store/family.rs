//! Token families: all tokens that descend from one authorization code, with the current refresh token (RFC 6749
//! sections 6 and 10.4, RFC 9700 section 4.14.2).
//!
//! A family is named by the hash of its code, as are its access tokens, so that [`end`] and
//! [`super::token::revoke_by_code`] end all of them through existing keys. Every use of a family updates its row
//! first, with a statement that fails when the family has changed; so a concurrent refresh and end are serialised.

use super::Transaction;
use super::challenge::hash;
use super::row::{Record, Row};
use super::statement::{bind, statements};
use super::user_row::user_columns;
use crate::identity::User;
use crate::moment::Moment;
use crate::refusal::Fault;
use crate::token::{FamilyState, Replaced, Salt};

statements! {
    END = "UPDATE token_family SET ended_at = $2, expires_at = $2, successor_salt = NULL
        WHERE code_hash = $1 AND ended_at IS NULL";
    FIND = concat!("SELECT f.client_id, f.scope, f.auth_at, f.amr, f.session_generation, f.created_at,
            f.last_used_at, f.token_hash, f.replaced_hash, f.successor_salt, f.replaced_at, f.expires_at,
            f.ended_at, f.uvid, f.client_key, ",
        user_columns!("u"), " FROM token_family f JOIN app_user u ON u.id = f.user_id
        WHERE f.code_hash = $1 AND f.site_id = $2");
    INSERT = "INSERT INTO token_family (code_hash, client_id, user_id, site_id, scope, auth_at, amr,
            session_generation, token_hash, created_at, last_used_at, expires_at, uvid, client_key)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11, $12, $13)";
    REPEAT = "UPDATE token_family SET last_used_at = $3
        WHERE code_hash = $1 AND replaced_hash = $2 AND ended_at IS NULL";
    REPLACE = "UPDATE token_family SET token_hash = $3, replaced_hash = $2, successor_salt = $4,
            replaced_at = $5, last_used_at = $5, expires_at = $6
        WHERE code_hash = $1 AND token_hash = $2 AND ended_at IS NULL";
    USE = "UPDATE token_family SET last_used_at = $3, expires_at = $4
        WHERE code_hash = $1 AND token_hash = $2 AND ended_at IS NULL";
}

/// A new family.
#[derive(Clone, Debug)]
pub struct NewFamily {
    /// SHA-256 of the code, and the family's name.
    pub code_hash: [u8; 32],
    /// The client to which its tokens are issued.
    pub client_id: String,
    /// The user that they represent.
    pub user_id: String,
    /// The site that issued them.
    pub site_id: String,
    /// The scopes granted at the user's login; no refresh gets more.
    pub scope: String,
    /// When the user authenticated.
    pub auth_at: Moment,
    /// The authentication methods (RFC 8176), separated by spaces.
    pub amr: String,
    /// The user's `session_generation` at the login.
    pub session_generation: i64,
    /// SHA-256 of the first refresh token.
    pub token_hash: [u8; 32],
    /// When it was created.
    pub created_at: Moment,
    /// When it expires by policy.
    pub expires_at: Option<Moment>,
    /// UVID of the session, a UUID v4.
    pub uvid: Option<String>,
    /// Thumbprint of the key with which its client was attested; every refresh must use the same.
    pub client_key: Option<String>,
}

/// A family with its user, loaded in one statement.
#[derive(Debug)]
pub struct TokenFamily {
    /// The client to which its tokens are issued.
    pub client_id: String,
    /// The scopes granted at the login.
    pub scope: String,
    /// When the user authenticated.
    pub auth_at: Moment,
    /// The authentication methods.
    pub amr: String,
    /// The user's `session_generation` at the login.
    pub session_generation: i64,
    /// When it was created.
    pub created_at: Moment,
    /// When its refresh token was last used.
    pub last_used_at: Moment,
    /// The current and the replaced refresh token.
    pub state: FamilyState,
    /// UVID of the session, a UUID v4.
    pub uvid: Option<String>,
    /// Thumbprint of the key with which its client was attested; every refresh must use the same.
    pub client_key: Option<String>,
    /// The user.
    pub user: User,
}

/// Inserts a family.
pub async fn insert(tx: &mut Transaction<'_>, family: &NewFamily) -> Result<(), Fault> {
    let values = bind![
        &family.code_hash,
        &family.client_id,
        &family.user_id,
        &family.site_id,
        &family.scope,
        family.auth_at,
        &family.amr,
        family.session_generation,
        &family.token_hash,
        family.created_at,
        family.expires_at,
        &family.uvid,
        &family.client_key,
    ];
    tx.execute(&INSERT, values).await?;
    Ok(())
}

/// The family of a site by its name, ended or not.
pub async fn find(
    tx: &mut Transaction<'_>,
    code_hash: &[u8; 32],
    site_id: &str,
) -> Result<Option<TokenFamily>, Fault> {
    tx.find(&FIND, bind![code_hash, site_id]).await
}

/// Records a use of the current refresh token, which is not rotated; false when it is no longer the current one.
pub async fn note_use(
    tx: &mut Transaction<'_>,
    code_hash: &[u8; 32],
    token_hash: &[u8; 32],
    at: Moment,
    expires_at: Option<Moment>,
) -> Result<bool, Fault> {
    let values = bind![code_hash, token_hash, at, expires_at];
    Ok(tx.execute(&USE, values).await? == 1)
}

/// Replaces the current refresh token by its successor; false when it is no longer the current one, so that of
/// several concurrent requests one succeeds.
pub async fn replace(
    tx: &mut Transaction<'_>,
    code_hash: &[u8; 32],
    replaced: &Replaced,
    successor_hash: &[u8; 32],
    expires_at: Option<Moment>,
) -> Result<bool, Fault> {
    let values = bind![
        code_hash,
        &replaced.token_hash,
        successor_hash,
        &replaced.salt,
        replaced.at,
        expires_at,
    ];
    Ok(tx.execute(&REPLACE, values).await? == 1)
}

/// Records that the token that was just replaced was presented again; false when the family has changed.
pub async fn note_repeat(
    tx: &mut Transaction<'_>,
    code_hash: &[u8; 32],
    replaced_hash: &[u8; 32],
    at: Moment,
) -> Result<bool, Fault> {
    let values = bind![code_hash, replaced_hash, at];
    Ok(tx.execute(&REPEAT, values).await? == 1)
}

/// Ends a family and all its access tokens; false when it had ended or never existed.
pub async fn end(
    tx: &mut Transaction<'_>,
    code_hash: &[u8; 32],
    at: Moment,
) -> Result<bool, Fault> {
    let is_ended = tx.execute(&END, bind![code_hash, at]).await? == 1;
    super::token::revoke_by_code(tx, code_hash, at).await?;
    Ok(is_ended)
}

impl Record for TokenFamily {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        Ok(TokenFamily {
            client_id: row.next()?,
            scope: row.next()?,
            auth_at: row.next()?,
            amr: row.next()?,
            session_generation: row.next()?,
            created_at: row.next()?,
            last_used_at: row.next()?,
            state: FamilyState {
                token_hash: hash(row.next()?)?,
                replaced: replaced(row)?,
                expires_at: row.next()?,
                ended_at: row.next()?,
            },
            uvid: row.next()?,
            client_key: row.next()?,
            user: User::read(row)?,
        })
    }
}

fn replaced(row: &mut Row<'_>) -> Result<Option<Replaced>, Fault> {
    let (token_hash, salt, at) = (row.next()?, row.next()?, row.next()?);
    let (Some(token_hash), Some(salt), Some(at)) = (token_hash, salt, at) else {
        return Ok(None);
    };
    let salt: Vec<u8> = salt;
    let salt = Salt::try_from(salt)
        .map_err(|_| Fault::described("reading a family", "a salt is of 16 bytes".into()))?;
    Ok(Some(Replaced {
        token_hash: hash(token_hash)?,
        salt,
        at,
    }))
}
