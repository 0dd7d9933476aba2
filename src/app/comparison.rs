//! The comparison of a code, the same for every flow: a try is spent, the failures of the day and of
//! the site are looked at, the code is compared, and a failure is counted, all in one write.

use super::{App, Visit};
use crate::refusal::{Failure, Fault, Refusal};
use crate::store;
use crate::store::Transaction;
use crate::verification::{Attempt, Challenge, GuessLimits, PresentedCode, Purpose};

/// Everything that the write needs.
struct Comparison {
    attempt: Attempt,
    code: PresentedCode,
    purpose: Purpose,
    site_id: String,
    limits: GuessLimits,
    at: crate::moment::Moment,
}

/// What came of it.
enum Compared {
    /// The code was right.
    Opened(Challenge),
    /// There is nothing to compare it with, or no comparison left.
    Not,
    /// The request says another channel than the challenge.
    OtherChannel,
    /// The code was wrong.
    Wrong { is_spray: bool },
}

impl App {
    /// Spends a try of a challenge and compares the code. **A wrong code commits**: the refusal is a
    /// value inside the write and becomes an error only after it (threat OTP-19). A code that may not
    /// be compared any more is refused as a wrong one is (threats OTP-08, OTP-09).
    ///
    /// # Refusals
    /// `ChallengeFailed`, `ChannelMismatch`.
    pub async fn compare(
        &self,
        visit: &Visit,
        purpose: Purpose,
        attempt: Attempt,
    ) -> Result<Challenge, Failure> {
        let limits = self.guess_limits(&visit.site);
        let comparison = Comparison {
            code: attempt.presented_code(&self.keyring),
            attempt,
            purpose,
            site_id: visit.site.site.id.clone(),
            limits,
            at: visit.at,
        };
        let compared = self
            .store
            .write("challenge.attempt", comparison, |tx, comparison| {
                Box::pin(compare(tx, comparison))
            })
            .await?;
        let refusal = match compared {
            Compared::Opened(challenge) => return Ok(challenge),
            Compared::OtherChannel => Refusal::ChannelMismatch,
            Compared::Not => Refusal::ChallengeFailed,
            Compared::Wrong { is_spray } => {
                if is_spray {
                    self.report_spray(&visit.site, &limits.spray);
                }
                Refusal::ChallengeFailed
            }
        };
        self.metrics.one_time_password(purpose.as_str(), "refused");
        Err(refusal.into())
    }
}

async fn compare(tx: &mut Transaction<'_>, comparison: &Comparison) -> Result<Compared, Fault> {
    let Comparison {
        attempt,
        code,
        purpose,
        site_id,
        limits,
        at,
    } = comparison;
    let hash = &attempt.identifier_hash;
    let Some(challenge) = store::challenge::spend_try(tx, hash, *purpose, site_id, *at).await?
    else {
        return Ok(Compared::Not);
    };
    if !challenge.is_channel(attempt.channel) {
        return Ok(Compared::OtherChannel);
    }
    let key = &challenge.target.key;
    if !store::tally::may_compare(tx, key, site_id, limits, *at).await? {
        return Ok(Compared::Not);
    }
    if challenge.is_opened_by(code) {
        return Ok(Compared::Opened(challenge));
    }
    let is_spray = store::tally::comparison_failed(tx, key, site_id, limits, *at).await?;
    Ok(Compared::Wrong { is_spray })
}
