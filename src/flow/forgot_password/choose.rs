//! ③ The code comes back with a new password.

use std::sync::Arc;

use serde_json::json;
use vestibule_protocol::headless::{ForgotPasswordAnswer, VerificationMethod};
use vestibule_protocol::secret::Secret;

use super::{DAY_SECONDS, PURPOSE, PendingReset, RESETS_PER_DAY, resets_of};
use crate::admission::Trust;
use crate::app::{App, SiteEntry, Visit};
use crate::delivery;
use crate::flow::addressee::{self, CheckedReference};
use crate::flow::one_time_password::{self, Comparison};
use crate::hashing::{NewHashProblem, SALT_BYTES};
use crate::identity::User;
use crate::identity::password::{Owner, PasswordPolicy};
use crate::moment::Moment;
use crate::outgoing::OutgoingMessage;
use crate::refusal::{Failure, Fault, Reason, Refusal};
use crate::store::audit::AuditEvent;
use crate::store::challenge::Begun;
use crate::store::credential::{self, Credential};
use crate::store::turn::Turn;
use crate::store::{self, Transaction};
use crate::verification::{Challenge, ChannelNamed, Presented, Requester, normalised_code};

/// Sets the new password.
pub(in crate::flow) async fn choose(
    app: &App,
    visit: &Visit,
    trust: Trust,
    named: CheckedReference<'_>,
    otp: &Secret,
    new_password: &Secret,
) -> Result<ForgotPasswordAnswer, Failure> {
    let begun = find(app, visit, &named.requester(app, visit, trust)).await?;
    if app.may_know(visit, trust) {
        check_unlocked(app, &begun).await?;
    }
    let challenge = compare(app, visit, trust, &begun, otp).await?;
    let pending = PendingReset::read(challenge.payload.as_deref())?;
    // Locked, disabled or unverified since the code was sent, or locked and unlocked in between: the code is not
    // valid any more (threat LOCK-04).
    let settings = &visit.site.site.settings;
    let user = find_user(app, &pending.user_id)
        .await?
        .filter(|user| {
            addressee::suppression_of(user, settings, pending.channel()).is_none()
                && user.session_generation == pending.session_generation
        })
        .ok_or(one_time_password::failed(Reason::OtpUserChanged))?;
    let phc = new_hash(app, visit, &user, new_password).await?;
    let channel = pending.channel();
    reset(app, visit, challenge.identifier_hash, channel, user, phc).await?;
    app.metrics.one_time_password(PURPOSE.as_str(), "accepted");
    Ok(ForgotPasswordAnswer::Success)
}

/// The reset that was begun with the same text.
async fn find(app: &App, visit: &Visit, requester: &Requester) -> Result<Begun, Failure> {
    let sought = (requester.clone(), visit.site.site.id.clone(), visit.at);
    let begun = app
        .store
        .read("challenge.find", &sought, |tx, (requester, site_id, at)| {
            Box::pin(store::challenge::find_by_reference(
                tx, PURPOSE, requester, site_id, *at,
            ))
        })
        .await?;
    Ok(begun.ok_or(one_time_password::failed(Reason::OtpRequestNotLive))?)
}

/// Checks that the user of a reset is not locked, for a caller that may know of the account.
async fn check_unlocked(app: &App, begun: &Begun) -> Result<(), Failure> {
    let pending = PendingReset::read(begun.payload.as_deref())?;
    match find_user(app, &pending.user_id).await? {
        Some(user) if user.locked_at.is_some() => Err(Refusal::UserLocked.into()),
        _ => Ok(()),
    }
}

async fn find_user(app: &App, id: &String) -> Result<Option<User>, Fault> {
    let read = app.store.read("user.find", id, |tx, id| {
        Box::pin(store::user::find_by_id(tx, id))
    });
    read.await
}

/// Spends a try of a reset and compares.
async fn compare(
    app: &App,
    visit: &Visit,
    trust: Trust,
    begun: &Begun,
    otp: &Secret,
) -> Result<Box<Challenge>, Failure> {
    if begun.is_spent {
        one_time_password::report_failure(app, visit, PURPOSE, false);
        return Err(Refusal::TriesSpent.into());
    }
    let code = normalised_code(otp);
    let presented = Presented {
        identifier_hash: begun.identifier_hash,
        code_mac: app
            .keyring
            .one_time_password_mac(&begun.identifier_hash, code.expose()),
        channel: ChannelNamed::Implied,
    };
    let comparison = Comparison {
        is_backend: trust == Trust::Backend,
        ..Comparison::new(app, visit, PURPOSE, presented)
    };
    one_time_password::attempt(app, visit, comparison).await
}

/// The hash of a password that the policy accepts and that is none of the last ones.
async fn new_hash(
    app: &App,
    visit: &Visit,
    user: &User,
    new_password: &Secret,
) -> Result<String, Failure> {
    let policy = app.password_policy(&user.profile_id);
    let prepared = policy
        .accept(new_password.expose(), &Owner::from(user))
        .map_err(|problem| Refusal::PasswordPolicy {
            reason: problem.to_string(),
        })?
        .into_secret();
    let credential = app
        .store
        .read("credential.find", &user.id, |tx, id| {
            Box::pin(credential::find(tx, id))
        })
        .await?;
    if let Some(credential) = &credential {
        check_age(&policy, credential, visit.at)?;
    }
    let remembered = credential
        .iter()
        .flat_map(|before| before.remembered(policy.history));
    let salt = app.entropy.bytes::<SALT_BYTES>();
    let hashed = app
        .hasher
        .hash_unless_used(visit.line(&user.username_key), prepared, remembered, salt)
        .await;
    match &hashed {
        Ok(_) => app.metrics.hash_done("done"),
        Err(NewHashProblem::Busy) => app.metrics.hash_done("busy"),
        Err(NewHashProblem::UsedBefore) => {}
    }
    hashed.map_err(|problem| match problem {
        NewHashProblem::Busy => Refusal::TooBusy.into(),
        NewHashProblem::UsedBefore => Refusal::PasswordPolicy {
            reason: problem.to_string(),
        }
        .into(),
    })
}

/// "Require a minimum 1 day password lifetime".
fn check_age(policy: &PasswordPolicy, credential: &Credential, at: Moment) -> Result<(), Refusal> {
    if policy.has_minimum_lifetime && credential.set_at.plus_seconds(DAY_SECONDS) > at {
        return Err(Refusal::PasswordPolicy {
            reason: String::from("the password was changed less than a day ago"),
        });
    }
    Ok(())
}

/// The last write of a reset.
struct ResetWrite {
    identifier_hash: [u8; 32],
    channel: VerificationMethod,
    user: User,
    phc: String,
    notice: OutgoingMessage,
    event: AuditEvent,
    site: Arc<SiteEntry>,
}

async fn reset(
    app: &App,
    visit: &Visit,
    identifier_hash: [u8; 32],
    channel: VerificationMethod,
    user: User,
    phc: String,
) -> Result<(), Failure> {
    let (site, at) = (&visit.site.site, visit.at);
    let notice = delivery::password_changed(site, &user, at, &app.entropy, &app.keyring)?;
    let write = ResetWrite {
        identifier_hash,
        channel,
        phc,
        notice,
        event: AuditEvent {
            user_id: Some(user.id.clone()),
            detail: json!({"by": "otp", "channel": channel.as_str()}).to_string(),
            ..visit.event(&app.entropy, "password.reset")
        },
        site: Arc::clone(&visit.site),
        user,
    };
    let saved = app
        .store
        .write("forgot_password.complete", write, |tx, write| {
            Box::pin(write.run(tx))
        })
        .await?;
    saved.inspect_err(|_| one_time_password::report_failure(app, visit, PURPOSE, false))?;
    Ok(())
}

impl ResetWrite {
    /// The closed challenge, the password, the end of all sessions and of a lockout, the notice: all or nothing. Of
    /// several requests with the right code, one closes the challenge and the others are refused.
    async fn run(&self, tx: &mut Transaction<'_>) -> Result<Result<(), Refusal>, Fault> {
        let (user, event) = (&self.user, &self.event);
        let at = event.at;
        if !store::challenge::close(tx, &self.identifier_hash, at).await? {
            return Ok(Err(one_time_password::failed(Reason::OtpSuperseded)));
        }
        let subject = resets_of(&user.id);
        store::turn::take(tx, Turn::Guesses(&subject), at).await?;
        let since = at.plus_seconds(-DAY_SECONDS);
        if store::tally::sum_since(tx, &subject, since).await? >= RESETS_PER_DAY {
            return Ok(Err(one_time_password::failed(Reason::OtpTooManyFailures)));
        }
        let now = store::user::find_by_id(tx, &user.id).await?;
        let settings = &self.site.site.settings;
        let is_same = now.is_some_and(|now| {
            addressee::suppression_of(&now, settings, self.channel).is_none()
                && now.is_still(&user.snapshot(&[self.channel]))
        });
        if !is_same {
            return Ok(Err(one_time_password::failed(Reason::OtpUserChanged)));
        }
        // Only a reset that succeeds counts for the day.
        store::tally::add(tx, &subject, at).await?;
        credential::replace(tx, &user.id, &self.phc, Some(&self.notice), at).await?;
        store::audit::insert(tx, event).await?;
        Ok(Ok(()))
    }
}
