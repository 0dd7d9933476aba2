//! Client proofs that were used: an assertion or a proof of possession with an id is accepted once, on all nodes
//! together. A row is deleted when its proof would be refused for its age (threat ATT-08).

use super::Transaction;
use super::statement::{bind, statements};
use crate::client::OneUse;
use crate::refusal::Fault;

statements! {
    SPEND = "INSERT INTO spent_proof (proof_hash, expires_at) VALUES ($1, $2)
        ON CONFLICT (proof_hash) DO NOTHING";
}

/// Spends a proof; false when it was used before.
pub async fn spend(tx: &mut Transaction<'_>, one_use: &OneUse) -> Result<bool, Fault> {
    let values = bind![&one_use.hash, one_use.expires_at];
    Ok(tx.execute(&SPEND, values).await? == 1)
}
