//! Headless passwordless login.
//!
//! ① The app names a user, by username or by any identifier, and a channel. If the address or number of that channel
//! is verified, a code is sent to it; if not, or if there is no such user, the same work is done and no message is
//! sent. ② The worker sends the message. ③ The app returns the code at authorize: in one write a try is spent, the
//! code compared, the challenge closed and the authorization code saved.
//!
//! Source: Headless Passwordless Login Flow for Public Clients.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use vestibule_protocol::authorization::AuthorizationAnswer;
use vestibule_protocol::headless::{InitPasswordlessLogin, PasswordlessAnswer, VerificationMethod};
use vestibule_protocol::purpose::Purpose;

use super::addressee::{self, Addressee, CheckedReference};
use super::authorization::{self, Checked, UnownedCode};
use super::one_time_password::{self, CodeRequest, Comparison, WrongCode};
use crate::admission::Trust;
use crate::app::{Admitted, App, SiteEntry, Visit};
use crate::client::Client;
use crate::identity::email::EmailAddress;
use crate::identity::{User, UserSnapshot};
use crate::refusal::{Failure, Fault, Reason, Refusal};
use crate::settings::Api;
use crate::store::audit::AuditEvent;
use crate::store::{self, Transaction};
use crate::verification::{Attempt, Challenge};

/// How the user proved who they are (RFC 8176): by a one-time password.
const AMR: &str = "otp";

const PURPOSE: Purpose = Purpose::PasswordlessLogin;

/// The payload of the challenge: the user, the session generation when the code was requested, and the address or
/// number that the code was sent to. Empty in a decoy.
#[derive(Serialize, Deserialize)]
struct PendingLogin {
    user_id: String,
    contact: String,
    session_generation: i64,
}

/// Begins a login: opens the challenge and queues its code.
///
/// # Refusals
/// `ParametersInvalid`, `TemplateUnknown`, `TemplateNotAllowed`, `ChannelUnavailable`, `UserLocked` (to
/// callers who may know), `CodesExhausted`.
pub async fn init(
    app: &App,
    visit: &Visit,
    admitted: Admitted,
    request: &InitPasswordlessLogin,
) -> Result<PasswordlessAnswer, Failure> {
    let Admitted { trust, captcha } = admitted;
    let settings = &visit.site.site.settings;
    let reads_hint = settings.api(Api::PasswordlessLogin).reads_login_hint;
    let named = CheckedReference::of_code_request(&request.user, reads_hint)?;
    let choice =
        app.directory()
            .choose_template(settings, PURPOSE, request.email_template.as_deref())?;
    let channel = request.verification_method;
    if !app.is_available(&visit.site, channel) {
        return Err(Refusal::ChannelUnavailable.into());
    }
    let requester = named.requester(app, visit, trust);
    let addressee = Addressee::find(app, visit, named, channel).await?;
    addressee.check_discovered(settings)?;
    let may_know = app.may_know(visit, trust);
    if may_know {
        addressee.check_unlocked()?;
    }
    let email = email_in_answer(trust, named.text(), &addressee);
    let code = CodeRequest {
        method: Some(channel),
        payload: pending(&addressee, channel)?,
        captcha,
        ..addressee.into_code_request(
            PURPOSE,
            app.otp_rules(PURPOSE),
            &choice,
            requester,
            may_know,
        )
    };
    let identifier = one_time_password::open(app, visit, "passwordless_login.init", code).await?;
    Ok(PasswordlessAnswer { email, identifier })
}

/// The address in the answer. A trusted caller gets the one on file. A public caller gets back what it
/// sent, if that is an address, whether or not a user has it (threat ENU-09).
fn email_in_answer(trust: Trust, sent: &str, addressee: &Addressee) -> Option<String> {
    let on_file = addressee
        .user
        .as_ref()
        .filter(|_| trust == Trust::Backend)
        .map(|user| user.email.clone());
    on_file.or_else(|| EmailAddress::parse(sent).is_ok().then(|| sent.to_owned()))
}

fn pending(addressee: &Addressee, channel: VerificationMethod) -> Result<String, Fault> {
    let pending = PendingLogin {
        user_id: addressee.target.key.clone(),
        contact: addressee
            .user
            .as_ref()
            .map_or_else(String::new, |user| user.contact(channel).to_owned()),
        session_generation: addressee.session_generation(),
    };
    serde_json::to_string(&pending).map_err(|error| Fault::new("writing a login", error))
}

/// Completes a login: `Auth-Request-Type: passwordless-login` at authorize.
///
/// # Refusals
/// `PasswordlessLoginDisabled`, `ChallengeFailed`, `ChannelMismatch`, `ClientNotApproved`.
pub async fn complete(
    app: &App,
    visit: &Visit,
    checked: &Checked,
    proof: Attempt,
) -> Result<AuthorizationAnswer, Failure> {
    let settings = &visit.site.site.settings;
    settings.api(Api::PasswordlessLogin).check_allowed()?;
    let presented = proof.present(&app.keyring);
    let code = authorization::issue_code(app, visit, checked, AMR);
    let write = PasswordlessLoginWrite {
        comparison: Comparison::new(app, visit, PURPOSE, presented),
        site: Arc::clone(&visit.site),
        client: Arc::clone(&checked.client),
        code: code.row,
        event: AuditEvent {
            client_id: Some(checked.client.id.clone()),
            ..visit.event(&app.entropy, "user.logged_in")
        },
    };
    let logged_in = app
        .store
        .write("passwordless_login.complete", write, |tx, write| {
            Box::pin(write.run(tx))
        })
        .await?;
    logged_in.map_err(|wrong| {
        one_time_password::report_failure(app, visit, PURPOSE, wrong.is_spray);
        wrong.refusal
    })?;
    app.metrics.one_time_password(PURPOSE.as_str(), "accepted");
    Ok(authorization::answer(visit, checked, code.text))
}

/// The last write of a login.
struct PasswordlessLoginWrite {
    comparison: Comparison,
    site: Arc<SiteEntry>,
    client: Arc<Client>,
    code: UnownedCode,
    event: AuditEvent,
}

impl PasswordlessLoginWrite {
    /// Compares, closes, and saves the authorization code. A right code is spent even when its user may not log in any
    /// more: it has been presented.
    async fn run(&self, tx: &mut Transaction<'_>) -> Result<Result<(), WrongCode>, Fault> {
        let refused = |refusal| Ok(Err(WrongCode::refused(refusal)));
        let challenge = match self.comparison.run(tx).await? {
            Ok(challenge) => challenge,
            Err(wrong) => return Ok(Err(wrong)),
        };
        let at = self.event.at;
        if !store::challenge::close(tx, &challenge.identifier_hash, at).await? {
            return refused(one_time_password::failed(Reason::OtpSuperseded));
        }
        let Some(user) = self.find_user(tx, &challenge).await? else {
            return refused(one_time_password::failed(Reason::OtpUserChanged));
        };
        if let Err(refusal) = self.client.check_permitted(&user.profile_id) {
            return refused(refusal);
        }
        self.code.save_for(tx, &user).await?;
        let event = AuditEvent {
            detail: serde_json::json!({"by": AMR, "channel": challenge.channel.as_str()})
                .to_string(),
            user_id: Some(user.id),
            ..self.event.clone()
        };
        store::audit::insert(tx, &event).await?;
        Ok(Ok(()))
    }

    /// The user that the challenge was opened for, if a code may still be sent to them, and if they are still the user
    /// that the code was sent to: a code from before a lock is not valid after it (threat LOCK-04).
    async fn find_user(
        &self,
        tx: &mut Transaction<'_>,
        challenge: &Challenge,
    ) -> Result<Option<User>, Fault> {
        let payload = challenge.payload.as_deref().unwrap_or_default();
        let pending: PendingLogin =
            serde_json::from_str(payload).map_err(|error| Fault::new("reading a login", error))?;
        let user = store::user::find_by_id(tx, &pending.user_id).await?;
        let settings = &self.site.site.settings;
        let seen = UserSnapshot {
            session_generation: pending.session_generation,
            contacts: vec![(challenge.channel, pending.contact)],
        };
        Ok(user.filter(|user| {
            addressee::suppression_of(user, settings, challenge.channel).is_none()
                && user.is_still(&seen)
        }))
    }
}
