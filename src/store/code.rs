//! Authorization codes: one redemption, by one conditional statement (RFC 6749 section 4.1.2).

use super::Transaction;
use super::challenge::hash;
use super::row::{Record, Row};
use super::statement::{bind, statements};
use crate::moment::Moment;
use crate::refusal::Fault;

statements! {
    INSERT = "INSERT INTO authorization_code (code_hash, client_id, user_id, site_id, redirect_uri,
            code_challenge, scope, state, nonce, auth_at, amr, session_generation, expires_at, uvid, client_key)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
    SPEND = "UPDATE authorization_code SET redeemed_at = $4
        WHERE code_hash = $1 AND client_id = $2 AND site_id = $3
            AND redeemed_at IS NULL AND expires_at > $4 AND (redirect_uri = '' OR redirect_uri = $5)
        RETURNING code_hash, client_id, user_id, site_id, redirect_uri, code_challenge, scope, state,
            nonce, auth_at, amr, session_generation, expires_at, uvid, client_key";
    STATE_OF = "SELECT user_id, redeemed_at, client_id, site_id, redirect_uri, expires_at FROM authorization_code
        WHERE code_hash = $1";
}

/// An authorization code as stored.
#[derive(Clone, Debug)]
pub struct AuthorizationCode {
    /// SHA-256 of the code.
    pub code_hash: [u8; 32],
    /// The client that it was issued to.
    pub client_id: String,
    /// The user that it represents.
    pub user_id: String,
    /// The site that issued it.
    pub site_id: String,
    /// As at authorize; the token request must repeat it byte for byte. Empty when the code was returned in the
    /// response body.
    pub redirect_uri: String,
    /// S256 challenge (RFC 7636).
    pub code_challenge: Option<String>,
    /// Granted scopes.
    pub scope: String,
    /// Returned in the token response.
    pub state: Option<String>,
    /// Returned in the id_token.
    pub nonce: Option<String>,
    /// When the user authenticated.
    pub auth_at: Moment,
    /// The authentication methods (RFC 8176), separated by spaces.
    pub amr: String,
    /// The user's `session_generation` when it was issued.
    pub session_generation: i64,
    /// When it expires.
    pub expires_at: Moment,
    /// UVID of the session, a UUID v4.
    pub uvid: Option<String>,
    /// Thumbprint of the key with which its client was attested; the token request must use the same.
    pub client_key: Option<String>,
}

impl AuthorizationCode {
    /// Whether the code was returned in the response body, and not by a redirect.
    pub fn is_redirectless(&self) -> bool {
        self.redirect_uri.is_empty()
    }
}

/// The result of presenting a code.
#[derive(Debug)]
pub enum Spent {
    /// It was valid and is now spent.
    Now(Box<AuthorizationCode>),
    /// It was spent before: this is a replay.
    Before {
        /// The user that it represented.
        user_id: String,
    },
    /// It expired unused.
    Expired,
    /// It was issued to another client or by another site.
    NotIts,
    /// It was returned to another redirect URI than the one that is presented, or one was and none is presented. It is
    /// not spent.
    OtherRedirect,
    /// There is no such code.
    Unknown,
}

/// Inserts a code.
pub async fn insert(tx: &mut Transaction<'_>, code: &AuthorizationCode) -> Result<(), Fault> {
    let values = bind![
        &code.code_hash,
        &code.client_id,
        &code.user_id,
        &code.site_id,
        &code.redirect_uri,
        &code.code_challenge,
        &code.scope,
        &code.state,
        &code.nonce,
        code.auth_at,
        &code.amr,
        code.session_generation,
        code.expires_at,
        &code.uvid,
        &code.client_key,
    ];
    tx.execute(&INSERT, values).await?;
    Ok(())
}

/// Who presents a code.
#[derive(Clone, Copy, Debug)]
pub struct Presenter<'p> {
    /// The client.
    pub client_id: &'p str,
    /// The site of the request.
    pub site_id: &'p str,
    /// The redirect URI that it repeats, if it does. A code that was returned without a redirect needs none.
    pub redirect_uri: Option<&'p str>,
}

/// Spends a code. A request by another client leaves it unchanged (threat CODE-05), and so does one with another
/// redirect URI, which is a mistake of the app and can be repeated rightly.
pub async fn spend(
    tx: &mut Transaction<'_>,
    code_hash: &[u8; 32],
    presenter: Presenter<'_>,
    at: Moment,
) -> Result<Spent, Fault> {
    let Presenter {
        client_id, site_id, ..
    } = presenter;
    let redirect_uri = presenter.redirect_uri.unwrap_or("");
    if let Some(code) = tx
        .find(
            &SPEND,
            bind![code_hash, client_id, site_id, at, redirect_uri],
        )
        .await?
    {
        return Ok(Spent::Now(Box::new(code)));
    }
    let state: Option<CodeState> = tx.find(&STATE_OF, bind![code_hash]).await?;
    Ok(match state {
        None => Spent::Unknown,
        Some(state) if state.client_id != client_id || state.site_id != site_id => Spent::NotIts,
        Some(state) if presenter.redirect_uri.is_none() && !state.redirect_uri.is_empty() => {
            Spent::OtherRedirect
        }
        Some(CodeState {
            user_id,
            redeemed_at: Some(_),
            ..
        }) => Spent::Before { user_id },
        Some(state) if state.expires_at <= at => Spent::Expired,
        Some(_) => Spent::OtherRedirect,
    })
}

/// What decides about a code that could not be spent.
struct CodeState {
    user_id: String,
    redeemed_at: Option<Moment>,
    client_id: String,
    site_id: String,
    redirect_uri: String,
    expires_at: Moment,
}

impl Record for CodeState {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        Ok(CodeState {
            user_id: row.next()?,
            redeemed_at: row.next()?,
            client_id: row.next()?,
            site_id: row.next()?,
            redirect_uri: row.next()?,
            expires_at: row.next()?,
        })
    }
}

impl Record for AuthorizationCode {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        Ok(AuthorizationCode {
            code_hash: hash(row.next()?)?,
            client_id: row.next()?,
            user_id: row.next()?,
            site_id: row.next()?,
            redirect_uri: row.next()?,
            code_challenge: row.next()?,
            scope: row.next()?,
            state: row.next()?,
            nonce: row.next()?,
            auth_at: row.next()?,
            amr: row.next()?,
            session_generation: row.next()?,
            expires_at: row.next()?,
            uvid: row.next()?,
            client_key: row.next()?,
        })
    }
}
