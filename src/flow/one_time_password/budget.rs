//! How many codes may be asked for in an hour, and who shares a budget.
//!
//! A backend with an access token counts by user, apart from all others, and is refused when it has asked too often. An
//! unauthenticated caller is refused by its own requests only: those with the same text from the same network. So a
//! refusal discloses neither who exists nor what others did (threats ENU-07, LOCK-02). What such callers use up of a
//! user's budget ends in a message that is not sent. A network from which the user has logged in before has a budget of
//! its own, which no other caller can use up.

use vestibule_protocol::purpose::Purpose;

use crate::app::{App, Visit};
use crate::moment::Moment;
use crate::refusal::{Failure, Fault, Refusal};
use crate::store::challenge::CodeCount;
use crate::store::{self, Transaction};
use crate::verification::{Challenge, Requester, RequesterClass, Target};

/// The hour of "codes per hour".
const BUDGET_SECONDS: i64 = 3_600;

/// The codes of one hour.
#[derive(Clone, Copy)]
pub(super) struct Budget {
    purpose: Purpose,
    codes_per_hour: i64,
}

/// Checks whether a requester has a code left this hour, as far as it may learn of it. [`super::open`] decides, and
/// counts again; a flow that has costly work to do in between checks here first.
///
/// # Refusals
/// `CodesExhausted`.
pub async fn check_budget(
    app: &App,
    visit: &Visit,
    purpose: Purpose,
    target: &Target,
    requester: &Requester,
) -> Result<(), Failure> {
    let Some(budget) = Budget::of(app, purpose) else {
        return Ok(());
    };
    let sought = (budget, target.clone(), requester.clone(), visit.at);
    let refusal = app
        .store
        .read(
            "challenge.count",
            &sought,
            |tx, (budget, target, requester, at)| {
                Box::pin(budget.refusal_of(tx, target, requester, *at))
            },
        )
        .await?;
    match refusal {
        None => Ok(()),
        Some(refusal) => {
            app.metrics.one_time_password(purpose.as_str(), "limited");
            Err(refusal.into())
        }
    }
}

/// Whose budget a request uses. Asked for a decoy as well.
pub(super) async fn class_of(
    tx: &mut Transaction<'_>,
    challenge: &Challenge,
) -> Result<RequesterClass, Fault> {
    let requester = &challenge.requester;
    if requester.is_backend() {
        return Ok(RequesterClass::Backend);
    }
    let user_id = &challenge.target.key;
    match store::known_network::is_known(tx, user_id, &requester.network).await? {
        true => Ok(RequesterClass::KnownNetwork),
        false => Ok(RequesterClass::Other),
    }
}

impl Budget {
    /// The budget of a purpose; `None` where codes are not counted.
    pub(super) fn of(app: &App, purpose: Purpose) -> Option<Budget> {
        let codes_per_hour = app.otp_rules(purpose).codes_per_hour();
        app.admission.counts_codes_per_hour.then_some(Budget {
            purpose,
            codes_per_hour,
        })
    }

    /// The refusal that the requester of a challenge may see; `None` when there is a code left.
    pub(super) async fn refusal(
        &self,
        tx: &mut Transaction<'_>,
        challenge: &Challenge,
    ) -> Result<Option<Refusal>, Fault> {
        let (target, requester) = (&challenge.target, &challenge.requester);
        self.refusal_of(tx, target, requester, challenge.created_at)
            .await
    }

    async fn refusal_of(
        &self,
        tx: &mut Transaction<'_>,
        target: &Target,
        requester: &Requester,
        at: Moment,
    ) -> Result<Option<Refusal>, Fault> {
        let since = at.plus_seconds(-BUDGET_SECONDS);
        let counted = match requester.class {
            RequesterClass::Backend => {
                store::challenge::count_by_class(tx, target, requester, self.purpose, since).await?
            }
            RequesterClass::KnownNetwork | RequesterClass::Other => {
                store::challenge::count_by_reference(tx, requester, self.purpose, since).await?
            }
        };
        Ok(self.is_used_up(counted).then(|| exhausted(counted, at)))
    }

    /// Whether the callers who share the budget of an unauthenticated requester have used it up. The caller does not
    /// learn of it.
    pub(super) async fn is_exhausted(
        &self,
        tx: &mut Transaction<'_>,
        challenge: &Challenge,
    ) -> Result<bool, Fault> {
        let (target, requester) = (&challenge.target, &challenge.requester);
        if requester.is_backend() {
            return Ok(false);
        }
        let since = challenge.created_at.plus_seconds(-BUDGET_SECONDS);
        let counted =
            store::challenge::count_by_class(tx, target, requester, self.purpose, since).await?;
        Ok(self.is_used_up(counted))
    }

    fn is_used_up(&self, counted: CodeCount) -> bool {
        counted.count >= self.codes_per_hour
    }
}

fn exhausted(counted: CodeCount, at: Moment) -> Refusal {
    let free_at = counted.first_at.unwrap_or(at).plus_seconds(BUDGET_SECONDS);
    Refusal::CodesExhausted {
        // Rounded up: a request after that many seconds is accepted.
        retry_after_seconds: (free_at - at).saturating_add(999).div_euclid(1000).max(1),
    }
}
