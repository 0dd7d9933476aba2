//! Headless passwordless login.
//!
//! ① The app names a user, by username or by any identifier, and a channel. If the user's address or number is
//! verified, a code is sent to it; if not, or if there is no such user, the same happens and nothing is sent.
//! ② The worker sends the message. ③ The app returns the code at authorize: in one write a try is spent, the
//! code compared, the challenge closed and the authorization code saved.
//!
//! Source: Headless Passwordless Login Flow for Public Clients.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use vestibule_protocol::authorization::AuthorizationAnswer;
use vestibule_protocol::headless::{InitPasswordlessLogin, PasswordlessAnswer, VerificationMethod};

use super::addressee::{self, Addressee, Named};
use super::authorization::{self, Checked, UnownedCode};
use super::one_time_password::{self, Compared, Comparison, Order};
use crate::admission::Trust;
use crate::app::{Admitted, App, SiteEntry, Visit};
use crate::client::Client;
use crate::delivery::template::TemplateName;
use crate::identity::User;
use crate::identity::email::EmailAddress;
use crate::refusal::{Failure, Fault, Refusal};
use crate::settings::{Api, TemplateFlow};
use crate::store::audit::AuditEvent;
use crate::store::{self, Transaction};
use crate::verification::{Attempt, Challenge, Purpose};

/// How the user proved who they are (RFC 8176): by a one-time password.
const AMR: &str = "otp";

const PURPOSE: Purpose = Purpose::PasswordlessLogin;

/// The payload of the challenge: the user, the generation of their sessions, and the address or number that
/// the code was sent to. A decoy's is empty.
#[derive(Serialize, Deserialize)]
struct Pending {
    user_id: String,
    contact: String,
    session_generation: i64,
}

/// Begins a login: opens the challenge and queues its code.
///
/// # Refusals
/// `ParametersInvalid`, `TemplateUnknown`, `TemplateNotAllowed`, `ChannelUnavailable`, `UserLocked` (to
/// callers who may know), `RateLimited`.
pub async fn init(
    app: &App,
    visit: &Visit,
    admitted: Admitted,
    request: &InitPasswordlessLogin,
) -> Result<PasswordlessAnswer, Failure> {
    let Admitted { trust, captcha } = admitted;
    let settings = &visit.site.site.settings;
    let named = Named::read(
        request.username.as_deref(),
        request.login_hint.as_deref(),
        request.customdata.as_ref(),
        settings.api(Api::PasswordlessLogin).reads_login_hint,
    )?;
    let choice = app.directory().choose_template(
        settings,
        TemplateFlow::PasswordlessLogin,
        request.email_template.as_deref(),
    )?;
    let channel = request.verification_method;
    if !app.is_available(&visit.site, channel) {
        return Err(Refusal::ChannelUnavailable.into());
    }
    let addressee = Addressee::find(app, visit, named, channel).await?;
    addressee.check_discovered(settings)?;
    let may_know = app.may_know(visit, trust);
    if may_know {
        addressee.check_unlocked()?;
    }
    let email = email_in_answer(trust, named.text(), &addressee);
    let order = Order {
        purpose: PURPOSE,
        rules: &app.otp.passwordless_login,
        method: Some(channel),
        payload: pending(&addressee, channel)?,
        target: addressee.target,
        is_decoy: addressee.suppressed.is_some(),
        suppressed: addressee.suppressed,
        recipient: addressee.recipient,
        locale: addressee.locale,
        first_name: addressee.first_name,
        template: TemplateName::LoginOtp,
        choice: &choice,
        captcha,
        is_block_told: may_know,
        is_target_told: may_know || !addressee.is_by_hint,
    };
    let identifier = one_time_password::open(app, visit, "passwordless_login.init", order).await?;
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
    let pending = Pending {
        user_id: addressee.target.key.clone(),
        contact: addressee
            .user
            .as_ref()
            .map_or_else(String::new, |user| contact(user, channel)),
        session_generation: addressee.session_generation(),
    };
    serde_json::to_string(&pending).map_err(|error| Fault::new("writing a login", error))
}

fn contact(user: &User, channel: VerificationMethod) -> String {
    match channel {
        VerificationMethod::Email => user.email_key.clone(),
        VerificationMethod::Sms => user.phone.clone().unwrap_or_default(),
    }
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
    let completion = Completion {
        comparison: Comparison::new(app, visit, PURPOSE, presented),
        site: Arc::clone(&visit.site),
        client: Arc::clone(&checked.client),
        code: code.row,
        event: AuditEvent {
            client_id: Some(checked.client.id.clone()),
            ..visit.event(&app.entropy, "user.logged_in")
        },
    };
    let completed = app
        .store
        .write(
            "passwordless_login.complete",
            completion,
            |tx, completion| Box::pin(log_in(tx, completion)),
        )
        .await?;
    match completed {
        Ok(()) => {
            app.metrics.one_time_password(PURPOSE.as_str(), "accepted");
            Ok(authorization::answer(visit, checked, code.text))
        }
        Err(LoginRefused { refusal, is_spray }) => {
            one_time_password::report_failure(app, visit, PURPOSE, is_spray);
            Err(refusal.into())
        }
    }
}

/// Everything that the write needs.
struct Completion {
    comparison: Comparison,
    site: Arc<SiteEntry>,
    client: Arc<Client>,
    code: UnownedCode,
    event: AuditEvent,
}

/// Why the login was refused. It is a value, so that the write commits and the try stays spent.
struct LoginRefused {
    refusal: Refusal,
    is_spray: bool,
}

/// Compares, closes, and saves the authorization code. A right code is spent even when its user may not log
/// in any more, because it has been disclosed.
async fn log_in(
    tx: &mut Transaction<'_>,
    completion: &Completion,
) -> Result<Result<(), LoginRefused>, Fault> {
    let refused = |refusal, is_spray| Ok(Err(LoginRefused { refusal, is_spray }));
    let challenge = match completion.comparison.make(tx).await? {
        Compared::Right(challenge) => challenge,
        Compared::Wrong { refusal, is_spray } => return refused(refusal, is_spray),
    };
    let at = completion.event.at;
    if !store::challenge::close(tx, &challenge.identifier_hash, at).await? {
        return refused(Refusal::ChallengeFailed, false);
    }
    let Some(user) = whose(tx, completion, &challenge).await? else {
        return refused(Refusal::ChallengeFailed, false);
    };
    if let Err(refusal) = completion.client.check_permitted(&user.profile_id) {
        return refused(refusal, false);
    }
    store::code::insert(tx, &completion.code.of(&user)).await?;
    let event = AuditEvent {
        detail: serde_json::json!({"by": AMR, "channel": challenge.channel.as_str()}).to_string(),
        user_id: Some(user.id),
        ..completion.event.clone()
    };
    store::audit::insert(tx, &event).await?;
    Ok(Ok(()))
}

/// The user that a challenge was opened for, if they may still log in, have the same address or number, and
/// their sessions have not been ended since: a code that was requested before a lock is refused after it
/// (threat LOCK-04).
async fn whose(
    tx: &mut Transaction<'_>,
    completion: &Completion,
    challenge: &Challenge,
) -> Result<Option<User>, Fault> {
    let payload = challenge.payload.as_deref().unwrap_or_default();
    let pending: Pending =
        serde_json::from_str(payload).map_err(|error| Fault::new("reading a login", error))?;
    let user = store::user::find_by_id(tx, &pending.user_id).await?;
    let settings = &completion.site.site.settings;
    Ok(user.filter(|user| {
        addressee::why_not(user, settings, challenge.channel).is_none()
            && contact(user, challenge.channel) == pending.contact
            && user.session_generation == pending.session_generation
    }))
}
