//! ① A code for a user who forgot the password.

use vestibule_protocol::headless::{ForgotPasswordAnswer, VerificationMethod};

use super::{DAY_SECONDS, PURPOSE, PendingReset, RESETS_PER_DAY, resets_of};
use crate::app::{Admitted, App, Visit};
use crate::flow::addressee::{Addressee, CheckedReference};
use crate::flow::one_time_password::{self, CodeRequest};
use crate::outgoing::Suppression;
use crate::refusal::{Failure, Fault, Refusal};
use crate::store;
use crate::verification::OtpRules;

/// Sends a code, or does the same work for a decoy.
pub(in crate::flow) async fn ask(
    app: &App,
    visit: &Visit,
    admitted: Admitted,
    named: CheckedReference<'_>,
    template: Option<&str>,
) -> Result<ForgotPasswordAnswer, Failure> {
    let settings = &visit.site.site.settings;
    let mut channel = VerificationMethod::Email;
    let choice = app
        .directory()
        .choose_template(settings, PURPOSE, template)?;
    if !app.is_available(&visit.site, channel) {
        return Err(Refusal::ChannelUnavailable.into());
    }
    let requester = named.requester(app, visit, admitted.trust);
    let mut addressee = Addressee::find(app, visit, named, channel).await?;
    addressee.check_discovered(settings)?;
    // A user who registered by text message has a verified number only, and no other way back in.
    if addressee.has_number_only() && app.is_available(&visit.site, VerificationMethod::Sms) {
        channel = VerificationMethod::Sms;
        addressee = addressee.by_channel(settings, channel);
    }
    let may_know = app.may_know(visit, admitted.trust);
    if may_know {
        addressee.check_unlocked()?;
    }
    if has_used_all_resets(app, visit, &addressee).await? {
        if may_know {
            return Err(Refusal::CodesExhausted {
                retry_after_seconds: DAY_SECONDS,
            }
            .into());
        }
        addressee
            .suppressed
            .get_or_insert(Suppression::TooManyResets);
    }
    let pending = PendingReset {
        user_id: addressee.target.key.clone(),
        is_by_text: channel == VerificationMethod::Sms,
        session_generation: addressee.session_generation(),
    };
    let rules = rules(app, visit);
    let payload = serde_json::to_string(&pending)
        .map_err(|error| Fault::new("writing a password reset", error))?;
    let code = CodeRequest {
        method: Some(channel),
        payload,
        captcha: admitted.captcha,
        ..addressee.into_code_request(PURPOSE, &rules, &choice, requester, may_know)
    };
    one_time_password::open(app, visit, "forgot_password.init", code).await?;
    Ok(ForgotPasswordAnswer::OtpSent)
}

/// The numbers of the code: the site's setting says how often it may be tried.
fn rules(app: &App, visit: &Visit) -> OtpRules {
    OtpRules {
        tries: visit.site.site.settings.max_password_reset_attempts,
        ..app.otp_rules(PURPOSE).clone()
    }
}

/// Whether the user has had all resets of the day. Read for a decoy as well.
async fn has_used_all_resets(
    app: &App,
    visit: &Visit,
    addressee: &Addressee,
) -> Result<bool, Fault> {
    let sought = (
        resets_of(&addressee.target.key),
        visit.at.plus_seconds(-DAY_SECONDS),
    );
    let count = app
        .store
        .read("resets.count", &sought, |tx, (subject, since)| {
            Box::pin(store::tally::sum_since(tx, subject, *since))
        })
        .await?;
    Ok(count >= RESETS_PER_DAY)
}
