//! A registration that turns out to be somebody's who is there: the handler named them.
//!
//! The handler is not believed: whoever registers would otherwise log in as anybody whom a mistake of
//! its author names. They must have proven the very address or number that the user has proven before.
//! The user keeps their password; what the registration brought is forgotten.

use std::sync::Arc;

use vestibule_protocol::authorization::AuthorizationAnswer;
use vestibule_protocol::headless::VerificationMethod;

use super::complete::{AMR, Proven, failed, give_up};
use crate::app::handlers::Reach;
use crate::app::{App, Visit};
use crate::client::Client;
use crate::flow::authorization::{self, Checked, UnownedCode};
use crate::flow::one_time_password;
use crate::handler::HandlerError;
use crate::identity::User;
use crate::refusal::{Failure, Fault, Refusal};
use crate::store::audit::AuditEvent;
use crate::store::{self, Transaction};
use crate::verification::Purpose;

/// What the write needs.
struct Attachment {
    identifier_hash: [u8; 32],
    user: User,
    code: UnownedCode,
    client: Arc<Client>,
    event: AuditEvent,
}

/// Logs the user in whom the handler named.
///
/// # Refusals
/// `RegistrationFailed` when the user is not the registrant; `ClientNotApproved`; `ChallengeFailed` when
/// somebody else came with the same code and was faster.
pub(super) async fn attach(
    app: &App,
    visit: &Visit,
    checked: &Checked,
    proven: &Proven,
    reach: &Reach,
    user_id: String,
) -> Result<AuthorizationAnswer, Failure> {
    let user = app
        .store
        .read("user.find", &user_id, |tx, id| {
            Box::pin(store::user::find_by_id(tx, id))
        })
        .await?;
    let Some(user) = user.filter(|user| is_registrant(app, visit, proven, reach, user)) else {
        return give_up(app, visit, proven, &not_theirs()).await;
    };
    if let Err(refusal) = checked.client.check_permitted(&user.profile_id) {
        // The code has been shown: it is over, as after every failure behind it.
        let over: Result<AuthorizationAnswer, _> = give_up(app, visit, proven, &not_theirs()).await;
        return over.map_err(|failure| match failure {
            Failure::Refused(_) => refusal.into(),
            broken => broken,
        });
    }
    let code = authorization::issue_code(app, visit, checked, AMR);
    let attachment = Attachment {
        identifier_hash: proven.identifier_hash,
        code: code.row,
        client: Arc::clone(&checked.client),
        event: AuditEvent {
            user_id: Some(user.id.clone()),
            client_id: Some(checked.client.id.clone()),
            detail: serde_json::json!({"channel": proven.channel.as_str()}).to_string(),
            ..visit.event(&app.entropy, "registration.attached")
        },
        user,
    };
    let attached = app
        .store
        .write("registration.attach", attachment, |tx, attachment| {
            Box::pin(save(tx, attachment))
        })
        .await?;
    match attached {
        Attached::Done => {
            app.metrics
                .one_time_password(Purpose::Registration.as_str(), "accepted");
            Ok(authorization::answer(visit, checked, code.text))
        }
        Attached::ByAnother => {
            one_time_password::report_failure(app, visit, Purpose::Registration, false);
            Err(Refusal::ChallengeFailed.into())
        }
        Attached::Changed => Err(failed(visit, &not_theirs()).into()),
    }
}

fn not_theirs() -> HandlerError {
    let message =
        "the user that createUser returned has not proven the registrant's address or number";
    HandlerError::new("SecurityException", message)
}

/// Whether a user is a person whom the handler may see, is in use, and has proven what the registrant
/// has just proven.
fn is_registrant(app: &App, visit: &Visit, proven: &Proven, reach: &Reach, user: &User) -> bool {
    let settings = &visit.site.site.settings;
    let draft = &proven.draft;
    let is_proven = match proven.channel {
        VerificationMethod::Email => {
            user.email_verified_at.is_some() && user.email_key == draft.email_key
        }
        VerificationMethod::Sms => {
            user.phone_verified_at.is_some() && user.phone.is_some() && user.phone == draft.phone
        }
    };
    is_proven && user.check_active().is_ok() && app.sees(reach, settings, user)
}

/// What came of the write.
enum Attached {
    /// Somebody else came with the same code and was faster.
    ByAnother,
    /// The user is not the same any more.
    Changed,
    /// The code is theirs.
    Done,
}

/// The closed challenge, and the code of a user who is still the one that was looked up.
async fn save(tx: &mut Transaction<'_>, attachment: &Attachment) -> Result<Attached, Fault> {
    let (seen, event) = (&attachment.user, &attachment.event);
    if !store::challenge::close(tx, &attachment.identifier_hash, event.at).await? {
        return Ok(Attached::ByAnother);
    }
    let now = store::user::find_by_id(tx, &seen.id).await?;
    let user = now.filter(|now| {
        now.check_active().is_ok()
            && now.session_generation == seen.session_generation
            && now.email_key == seen.email_key
            && now.phone == seen.phone
            && attachment.client.check_permitted(&now.profile_id).is_ok()
    });
    let Some(user) = user else {
        return Ok(Attached::Changed);
    };
    store::code::insert(tx, &attachment.code.of(&user)).await?;
    store::audit::insert(tx, event).await?;
    Ok(Attached::Done)
}
