//! Spent captcha tokens: a token is accepted for one request, on all nodes together.
//!
//! The verifier is asked first, outside any transaction; of two requests whose token was verified, the second write
//! finds the row here. Only the hash of a token is stored.

use super::Transaction;
use super::statement::{bind, statements};
use crate::captcha::Verified;
use crate::refusal::Fault;

statements! {
    SPEND = "INSERT INTO captcha_token (token_hash, expires_at) VALUES ($1, $2)
        ON CONFLICT (token_hash) DO NOTHING";
}

/// Spends a verified token; false when it was spent before, and then the flow returns
/// [`crate::captcha::spent_before`]. A fixed token of the provider `test` is never spent.
pub async fn spend(tx: &mut Transaction<'_>, verified: &Verified) -> Result<bool, Fault> {
    let Some(token_hash) = &verified.token_hash else {
        return Ok(true);
    };
    let count = tx
        .execute(&SPEND, bind![token_hash, verified.expires_at])
        .await?;
    Ok(count == 1)
}
