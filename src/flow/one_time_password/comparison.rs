//! The comparison of a presented code, in one write: an attempt of the caller's network is spent, the failures of the
//! day and of the site are checked, the code is compared, and a failure is counted.

use serde_json::json;
use vestibule_protocol::purpose::Purpose;

use crate::app::{App, Visit};
use crate::refusal::{Failure, Fault, Reason, Refusal};
use crate::store::audit::AuditEvent;
use crate::store::{self, Transaction, tally::Guess};
use crate::verification::{Challenge, GuessLimits, Origin, Presented};

/// A presented code, and what it is compared by.
pub struct Comparison {
    /// What it must be for.
    pub purpose: Purpose,
    /// The site that it was presented at, and the network that it came from.
    pub origin: Origin,
    /// The code.
    pub presented: Presented,
    /// Whether a backend with an access token presents it.
    pub is_backend: bool,
    /// What limits guessing.
    pub limits: GuessLimits,
    /// What the audit log says of a wrong code, at the present instant.
    pub failure: AuditEvent,
}

/// Why a code was refused. It is a value and not a failure, because the write commits: the try is spent and the failure
/// counted although the response is an error (threat OTP-19).
pub struct WrongCode {
    /// The refusal.
    pub refusal: Refusal,
    /// Whether with this failure the site came under a spray.
    pub is_spray: bool,
}

impl WrongCode {
    /// A refusal that is no failed guess.
    pub fn refused(refusal: Refusal) -> WrongCode {
        WrongCode {
            refusal,
            is_spray: false,
        }
    }
}

impl Comparison {
    /// A comparison at the site of a visit.
    pub fn new(app: &App, visit: &Visit, purpose: Purpose, presented: Presented) -> Comparison {
        Comparison {
            purpose,
            origin: visit.origin(),
            presented,
            is_backend: false,
            limits: app.guess_limits(&visit.site),
            failure: AuditEvent {
                detail: json!({"purpose": purpose.as_str()}).to_string(),
                ..visit.event(&app.entropy, "verification.failed")
            },
        }
    }

    /// Spends a try and compares, inside a write. The challenge that the code opens is still to be closed.
    pub async fn run(
        &self,
        tx: &mut Transaction<'_>,
    ) -> Result<Result<Box<Challenge>, WrongCode>, Fault> {
        let wrong = |refusal, is_spray| Ok(Err(WrongCode { refusal, is_spray }));
        let (hash, at) = (&self.presented.identifier_hash, self.failure.at);
        let spent = store::challenge::spend_try(tx, hash, self.purpose, &self.origin, at).await?;
        let Some(challenge) = spent else {
            return wrong(failed(Reason::OtpRequestNotLive), false);
        };
        if !challenge.is_channel(self.presented.channel) {
            return wrong(Refusal::ChannelMismatch, false);
        }
        let guess = Guess {
            key: &challenge.target.key,
            origin: &self.origin,
            is_backend: self.is_backend,
            limits: &self.limits,
            at,
        };
        if !store::tally::may_compare(tx, &guess).await? {
            return wrong(failed(Reason::OtpTooManyFailures), false);
        }
        if !challenge.is_opened_by(&self.presented) {
            let failures = store::tally::comparison_failed(tx, &guess).await?;
            let event = AuditEvent {
                user_id: challenge.target.user_id().map(str::to_owned),
                ..self.failure.clone()
            };
            store::audit::count(tx, &event, &self.origin, failures.count).await?;
            return wrong(failed(Reason::OtpWrong), failures.is_spray);
        }
        Ok(Ok(Box::new(challenge)))
    }
}

/// The refusal of a one-time password, with its reason for the log.
pub fn failed(because: Reason) -> Refusal {
    Refusal::ChallengeFailed { because }
}

/// Compares in a separate write, for a flow that has work to do between the comparison and its last write.
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
            Box::pin(comparison.run(tx))
        })
        .await?;
    compared.map_err(|wrong| {
        report_failure(app, visit, purpose, wrong.is_spray);
        wrong.refusal.into()
    })
}

/// Counts a refused code, and reports a spray in metrics and log. Called after the commit.
pub fn report_failure(app: &App, visit: &Visit, purpose: Purpose, is_spray: bool) {
    app.metrics.one_time_password(purpose.as_str(), "refused");
    if is_spray {
        app.report_spray(&visit.site, &app.guess_limits(&visit.site).spray);
    }
}
