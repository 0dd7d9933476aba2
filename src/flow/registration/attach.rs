//! A registration for which the handler names an existing user.
//!
//! The handler alone is not trusted: a mistake of its author would let the caller log in as any user. The registration
//! must have verified the same address or number that the user has verified before. The user keeps the password; the
//! data of the registration is dropped.

use std::sync::Arc;

use vestibule_protocol::authorization::AuthorizationAnswer;
use vestibule_protocol::headless::VerificationMethod;
use vestibule_protocol::purpose::Purpose;

use super::verified::{AMR, NotRegistered, VerifiedDraft, give_up};
use crate::app::handlers::Reach;
use crate::app::{App, Visit};
use crate::client::Client;
use crate::flow::authorization::{self, Checked, UnownedCode};
use crate::handler::HandlerError;
use crate::identity::User;
use crate::refusal::{Failure, Fault};
use crate::store::audit::AuditEvent;
use crate::store::{self, Transaction};

/// The last write of a registration that turns out to be an existing user's.
struct AttachWrite {
    identifier_hash: [u8; 32],
    user: User,
    code: UnownedCode,
    client: Arc<Client>,
    event: AuditEvent,
}

/// Logs in the user that the handler named.
///
/// # Refusals
/// `RegistrationFailed` when the user is not the registrant; `ClientNotApproved`; `ChallengeFailed` when another
/// request with the same code came first.
pub(super) async fn attach(
    app: &App,
    visit: &Visit,
    checked: &Checked,
    verified: &VerifiedDraft,
    reach: &Reach,
    user_id: String,
) -> Result<AuthorizationAnswer, Failure> {
    let user = app
        .store
        .read("user.find", &user_id, |tx, id| {
            Box::pin(store::user::find_by_id(tx, id))
        })
        .await?;
    let Some(user) = user.filter(|user| is_registrant(app, visit, verified, reach, user)) else {
        return give_up(app, visit, verified, &not_theirs()).await;
    };
    if let Err(refusal) = checked.client.check_permitted(&user.profile_id) {
        // The code has been presented: it is spent, as after every later failure.
        let spent: Result<AuthorizationAnswer, _> =
            give_up(app, visit, verified, &not_theirs()).await;
        return spent.map_err(|failure| match failure {
            Failure::Refused(_) => refusal.into(),
            broken => broken,
        });
    }
    let code = authorization::issue_code(app, visit, checked, AMR);
    let write = AttachWrite {
        identifier_hash: verified.identifier_hash,
        code: code.row,
        client: Arc::clone(&checked.client),
        event: AuditEvent {
            user_id: Some(user.id.clone()),
            client_id: Some(checked.client.id.clone()),
            detail: serde_json::json!({"channel": verified.channel.as_str()}).to_string(),
            ..visit.event(&app.entropy, "registration.attached")
        },
        user,
    };
    let attached = app
        .store
        .write("registration.attach", write, |tx, write| {
            Box::pin(write.run(tx))
        })
        .await?;
    attached.map_err(|denied| denied.report(app, visit))?;
    app.metrics
        .one_time_password(Purpose::Registration.as_str(), "accepted");
    Ok(authorization::answer(visit, checked, code.text))
}

fn not_theirs() -> HandlerError {
    let message =
        "the user that createUser returned has not proven the registrant's address or number";
    HandlerError::new("SecurityException", message)
}

/// Whether the handler may see the user, the user is active, and has verified the same contact as the registrant.
fn is_registrant(
    app: &App,
    visit: &Visit,
    verified: &VerifiedDraft,
    reach: &Reach,
    user: &User,
) -> bool {
    let settings = &visit.site.site.settings;
    let draft = &verified.draft;
    let is_verified = match verified.channel {
        VerificationMethod::Email => {
            user.email_verified_at.is_some() && user.email_key == draft.email_key
        }
        VerificationMethod::Sms => {
            user.phone_verified_at.is_some() && user.phone.is_some() && user.phone == draft.phone
        }
    };
    is_verified && user.check_active().is_ok() && app.sees(reach, settings, user)
}

impl AttachWrite {
    /// The closed challenge, and the code of a user who is still the one that was looked up.
    async fn run(&self, tx: &mut Transaction<'_>) -> Result<Result<(), NotRegistered>, Fault> {
        let (seen, event) = (&self.user, &self.event);
        if !store::challenge::close(tx, &self.identifier_hash, event.at).await? {
            return Ok(Err(NotRegistered::CodeUsed));
        }
        let now = store::user::find_by_id(tx, &seen.id).await?;
        let user = now.filter(|now| {
            now.is_still(&seen.snapshot(&VerificationMethod::ALL))
                && self.client.check_permitted(&now.profile_id).is_ok()
        });
        let Some(user) = user else {
            return Ok(Err(NotRegistered::Failed(not_theirs())));
        };
        self.code.save_for(tx, &user).await?;
        store::audit::insert(tx, event).await?;
        Ok(Ok(()))
    }
}
