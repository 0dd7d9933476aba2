//! The comparison of a code that comes back: a try is spent, the failures of the day and of the site
//! are looked at, the code is compared, and a failure is counted, all in one write.

use crate::app::{App, Visit};
use crate::moment::Moment;
use crate::refusal::{Failure, Fault, Refusal};
use crate::store::{self, Transaction};
use crate::verification::{Challenge, GuessLimits, Origin, Presented, Purpose};

/// A code that came back, and what it is compared by.
pub struct Comparison {
    /// What it must be for.
    pub purpose: Purpose,
    /// The site that it was presented at, and the network that it came from.
    pub origin: Origin,
    /// The code.
    pub presented: Presented,
    /// What limits guessing.
    pub limits: GuessLimits,
    /// The present instant.
    pub at: Moment,
}

/// What came of a comparison. It is a value, because a wrong code commits: the try is spent and the
/// failure counted although the answer is an error (threat OTP-19).
pub enum Compared {
    /// The code opens the challenge, which is still to be closed.
    Right(Box<Challenge>),
    /// It does not.
    Wrong {
        /// What is said.
        refusal: Refusal,
        /// Whether this failure was the one that made a spray of the site's.
        is_spray: bool,
    },
}

impl Comparison {
    /// A comparison at the site of a visit.
    pub fn new(app: &App, visit: &Visit, purpose: Purpose, presented: Presented) -> Comparison {
        Comparison {
            purpose,
            origin: visit.origin(),
            presented,
            limits: app.guess_limits(&visit.site),
            at: visit.at,
        }
    }

    /// Spends a try and compares, inside a write.
    pub async fn make(&self, tx: &mut Transaction<'_>) -> Result<Compared, Fault> {
        let wrong = |refusal, is_spray| Ok(Compared::Wrong { refusal, is_spray });
        let (hash, at) = (&self.presented.identifier_hash, self.at);
        let spent =
            store::challenge::spend_try(tx, hash, self.purpose, &self.origin.site_id, at).await?;
        let Some(challenge) = spent else {
            return wrong(Refusal::ChallengeFailed, false);
        };
        if !challenge.is_channel(self.presented.channel) {
            return wrong(Refusal::ChannelMismatch, false);
        }
        let key = &challenge.target.key;
        let (origin, limits) = (&self.origin, &self.limits);
        if !store::tally::may_compare(tx, key, origin, limits, at).await? {
            return wrong(Refusal::ChallengeFailed, false);
        }
        if !challenge.is_opened_by(&self.presented) {
            let is_spray = store::tally::comparison_failed(tx, key, origin, limits, at).await?;
            return wrong(Refusal::ChallengeFailed, is_spray);
        }
        Ok(Compared::Right(Box::new(challenge)))
    }
}

/// Compares in a write of its own, for a flow that has something to do between the comparison and
/// its end.
///
/// # Refusals
/// `ChallengeFailed`, `ChannelMismatch`.
pub async fn attempt(
    app: &App,
    visit: &Visit,
    comparison: Comparison,
) -> Result<Box<Challenge>, Failure> {
    let purpose = comparison.purpose;
    let compared = app
        .store
        .write("challenge.attempt", comparison, |tx, comparison| {
            Box::pin(comparison.make(tx))
        })
        .await?;
    match compared {
        Compared::Right(challenge) => Ok(challenge),
        Compared::Wrong { refusal, is_spray } => {
            report_failure(app, visit, purpose, is_spray);
            Err(refusal.into())
        }
    }
}

/// Counts a code that was refused, and tells the operator when it made a spray. Called after the
/// commit.
pub fn report_failure(app: &App, visit: &Visit, purpose: Purpose, is_spray: bool) {
    app.metrics.one_time_password(purpose.as_str(), "refused");
    if is_spray {
        app.report_spray(&visit.site, &app.guess_limits(&visit.site).spray);
    }
}
