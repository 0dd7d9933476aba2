//! The number of text messages queued today, by name of the count; all nodes share it.

use super::Transaction;
use super::statement::{bind, statements};
use crate::identity::text_message::SmsBudget;
use crate::refusal::Fault;

statements! {
    GIVE_BACK = "UPDATE sms_count SET sent = sent - 1 WHERE name = $1";
    TAKE = "INSERT INTO sms_count (name, sent, ends_at) VALUES ($1, 1, $2)
        ON CONFLICT (name) DO UPDATE SET sent = sms_count.sent + 1 WHERE sms_count.sent < $3";
}

/// Increments each count of a budget; false, without a change, when one of them has reached its cap. Called in the
/// write that queues the message. A decoy message, which a flow queues only to suppress it, counts its share too,
/// or the response would disclose to an unauthenticated caller which of the two it is.
pub async fn take(tx: &mut Transaction<'_>, budget: &SmsBudget) -> Result<bool, Fault> {
    for (taken, (name, cap)) in budget.lines.iter().enumerate() {
        let values = bind![name, budget.ends_at, *cap];
        if tx.execute(&TAKE, values).await? == 0 {
            for (name, _) in &budget.lines[..taken] {
                tx.execute(&GIVE_BACK, bind![name]).await?;
            }
            return Ok(false);
        }
    }
    Ok(true)
}
