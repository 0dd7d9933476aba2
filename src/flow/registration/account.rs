//! The account of a user who registers: what the handler asks for, and what the last write finds.

use crate::app::handlers::Reach;
use crate::app::{App, Visit};
use crate::handler::AccountLink;
use crate::identity::{Account, prefix};
use crate::moment::Moment;
use crate::refusal::Fault;
use crate::store::turn::Turn;
use crate::store::{self, Transaction};

/// The account of a new user, before the last write looks it up.
pub(super) enum AccountPlan {
    /// No account.
    None,
    /// The one with this record id.
    Existing(String),
    /// The one with this name, if the handler may see it; a missing one is inserted where that is allowed.
    Shared {
        account: Account,
        may_create: bool,
        reach: Reach,
    },
    /// A new one, even if others have its name.
    Own(Account),
}

/// The account of a new user, as the last write finds it.
pub(super) enum ResolvedAccount<'c> {
    /// One that exists, by its record id.
    Existing(String),
    /// The user must have one that does not exist.
    Missing,
    /// One that is inserted with the user.
    New(&'c Account),
    /// No account.
    None,
}

impl AccountPlan {
    /// The plan for what a handler asks for.
    pub(super) fn new(app: &App, visit: &Visit, link: AccountLink, reach: &Reach) -> AccountPlan {
        let named = |name| Account {
            id: app.record_id(prefix::ACCOUNT),
            name,
            created_at: visit.at,
        };
        match link {
            AccountLink::Existing { id } => AccountPlan::Existing(id),
            AccountLink::Named { name, create } => AccountPlan::Shared {
                account: named(name),
                // Only a handler that sees all accounts may add one.
                may_create: create && *reach == Reach::Site,
                reach: reach.clone(),
            },
            AccountLink::None => AccountPlan::None,
            AccountLink::Own { name } => AccountPlan::Own(named(name)),
        }
    }

    /// Finds the account. Of two registrations that both add one with the same name, the second waits for the first and
    /// finds it.
    pub(super) async fn resolve(
        &self,
        tx: &mut Transaction<'_>,
        at: Moment,
    ) -> Result<ResolvedAccount<'_>, Fault> {
        let (account, may_create, reach) = match self {
            AccountPlan::None => return Ok(ResolvedAccount::None),
            AccountPlan::Own(account) => return Ok(ResolvedAccount::New(account)),
            AccountPlan::Existing(id) => {
                let existing = store::account::find_by_id(tx, id).await?;
                return Ok(existing.map_or(ResolvedAccount::Missing, |account| {
                    ResolvedAccount::Existing(account.id)
                }));
            }
            AccountPlan::Shared {
                account,
                may_create,
                reach,
            } => (account, *may_create, reach),
        };
        let mut existing = store::account::find_by_name(tx, &account.name).await?;
        if existing.is_none() && may_create {
            let name_key = Account::name_key(&account.name);
            store::turn::take(tx, Turn::Account(&name_key), at).await?;
            existing = store::account::find_by_name(tx, &account.name).await?;
        }
        Ok(match existing {
            Some(existing) if !reach.sees_account(&existing.id) => ResolvedAccount::Missing,
            Some(existing) => ResolvedAccount::Existing(existing.id),
            None if may_create => ResolvedAccount::New(account),
            None => ResolvedAccount::Missing,
        })
    }
}
