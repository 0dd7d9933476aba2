//! Captcha tokens that were spent: a token opens one request, on whichever node.
//!
//! The verifier is asked first, outside any transaction; of two requests that both got a yes, the
//! write that comes second finds the row here. Only the hash of a token is kept.

use super::Transaction;
use super::statement::{bind, statements};
use crate::captcha::Verified;
use crate::refusal::Fault;

statements! {
    SPEND = "INSERT INTO captcha_token (token_hash, expires_at) VALUES ($1, $2)
        ON CONFLICT (token_hash) DO NOTHING";
}

/// Spends a token that was verified; false when it was spent before, and then the flow answers
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
