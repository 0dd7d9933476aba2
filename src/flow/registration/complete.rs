//! ③ `Auth-Request-Type: user-registration` at authorize: the code comes back, the user is made.

use vestibule_protocol::authorization::AuthorizationAnswer;
use vestibule_protocol::headless::VerificationMethod;
use vestibule_protocol::purpose::Purpose;

use super::account::{AccountPlan, ResolvedAccount};
use super::attach::attach;
use super::draft::{Draft, default_profile};
use super::verified::{AMR, NotRegistered, VerifiedDraft, give_up};
use crate::app::handlers::Reach;
use crate::app::{App, Visit};
use crate::flow::authorization::{self, Checked, UnownedCode};
use crate::flow::one_time_password::{self, Comparison};
use crate::handler::contract::Contract;
use crate::handler::{self, AccountLink, Created, HandlerError, NewUser, Registrant};
use crate::identity::{User, prefix};
use crate::refusal::{Failure, Fault, Reason};
use crate::settings::{Api, HandlerChoice};
use crate::store;
use crate::store::Transaction;
use crate::store::audit::AuditEvent;
use crate::verification::Attempt;

/// Completes a registration.
///
/// # Refusals
/// `RegistrationDisabled`, `ClientNotApproved`, `ChallengeFailed`, `ChannelMismatch`,
/// `RegistrationFailed`.
pub async fn complete(
    app: &App,
    visit: &Visit,
    checked: &Checked,
    attempt: Attempt,
) -> Result<AuthorizationAnswer, Failure> {
    let settings = &visit.site.site.settings;
    settings.api(Api::Registration).check_allowed()?;
    let profile = default_profile(app, settings)?;
    // Asked before the code is compared: a user who could never use the client is not made.
    checked.client.check_permitted(&profile.id)?;

    let verified = compare(app, visit, attempt).await?;
    let (created, reach) = match run_handler(app, visit, &profile.id, &verified.draft).await? {
        Ok((Created::New(created), reach)) => (*created, reach),
        Ok((Created::Existing(user_id), reach)) => {
            return attach(app, visit, checked, &verified, &reach, user_id).await;
        }
        Err(error) => return give_up(app, visit, &verified, &error).await,
    };
    let user = user(app, visit, &verified, &profile.id, &created);
    let code = authorization::issue_code(app, visit, checked, AMR);
    let write = RegistrationWrite {
        identifier_hash: verified.identifier_hash,
        account: AccountPlan::new(app, visit, created.account, &reach),
        phc: verified.draft.phc,
        failure: visit.event(&app.entropy, "registration.failed"),
        event: AuditEvent {
            user_id: Some(user.id.clone()),
            client_id: Some(checked.client.id.clone()),
            detail: serde_json::json!({
                "channel": verified.channel.as_str(),
                "run_as": settings.registration_execution_user,
            })
            .to_string(),
            ..visit.event(&app.entropy, "user.registered")
        },
        code: code.row,
        user,
    };
    let registered = app
        .store
        .write("registration.complete", write, |tx, write| {
            Box::pin(write.run(tx))
        })
        .await?;
    registered.map_err(|denied| denied.report(app, visit))?;
    app.metrics
        .one_time_password(Purpose::Registration.as_str(), "accepted");
    Ok(authorization::answer(visit, checked, code.text))
}

/// (a) Spends a try and compares, in a separate write.
async fn compare(app: &App, visit: &Visit, attempt: Attempt) -> Result<VerifiedDraft, Failure> {
    let presented = attempt.present(&app.keyring);
    let comparison = Comparison::new(app, visit, Purpose::Registration, presented);
    let challenge = one_time_password::attempt(app, visit, comparison).await?;
    let payload = challenge
        .payload
        .ok_or(one_time_password::failed(Reason::OtpRequestNotLive))?;
    let draft = serde_json::from_str(&payload)
        .map_err(|error| Fault::new("reading a registration", error))?;
    Ok(VerifiedDraft {
        identifier_hash: challenge.identifier_hash,
        channel: challenge.channel,
        draft,
    })
}

/// (b) The handler decides what the user is to be. It runs with the rights of the *Run As* user, who must therefore
/// exist and be active.
async fn run_handler(
    app: &App,
    visit: &Visit,
    profile_id: &str,
    draft: &Draft,
) -> Result<Result<(Created, Reach), HandlerError>, Failure> {
    let (site, settings) = (&visit.site.site, &visit.site.site.settings);
    let run_as = settings.registration_execution_user.as_deref();
    let run_as = run_as.unwrap_or_default();
    let registrant = Registrant {
        username: &draft.username,
        email: &draft.email,
        first_name: draft.first_name.as_deref(),
        last_name: &draft.last_name,
        phone: draft.phone.as_deref(),
        locale: draft.locale.as_deref(),
        extra: &draft.extra,
        customdata: &draft.customdata,
    };
    let reach = match app.reach_of(run_as).await {
        Ok(reach) => reach,
        Err(error) => return Ok(Err(error)),
    };
    let HandlerChoice::Named(handler_name) = &settings.registration_handler else {
        let created = handler::create_user(settings, &registrant);
        // The accounts of the built-in handler are named by the site's settings, not by code.
        return Ok(created.map(|user| (Created::New(Box::new(user)), Reach::Site)));
    };
    let arguments = handler::arguments(site, profile_id, &registrant);
    let argument = serde_json::to_value(arguments)
        .map_err(|error| Fault::new("writing a handler's arguments", error))?;
    let answer = app
        .call_handler_within(
            visit,
            handler_name,
            Contract::CreateUser,
            (run_as, &reach),
            argument,
        )
        .await;
    let created =
        answer.and_then(|answer| handler::accept(settings, profile_id, &registrant, answer));
    let created = created.and_then(|created| within_reach(&reach, created));
    Ok(created.map(|created| (created, reach)))
}

/// An account that a handler names by its id must be one that it may see.
fn within_reach(reach: &Reach, created: Created) -> Result<Created, HandlerError> {
    match &created {
        Created::New(user) => match &user.account {
            AccountLink::Existing { id } if !reach.sees_account(id) => Err(no_account()),
            _ => Ok(created),
        },
        Created::Existing(_) => Ok(created),
    }
}

fn no_account() -> HandlerError {
    HandlerError::new("AccountException", "the account does not exist")
}

/// The last write of a registration.
struct RegistrationWrite {
    identifier_hash: [u8; 32],
    account: AccountPlan,
    user: User,
    phc: String,
    code: UnownedCode,
    event: AuditEvent,
    /// Saved in place of `event` when no user is made.
    failure: AuditEvent,
}

impl RegistrationWrite {
    /// (c) Account, user, credential, code, audit row and the closed challenge: all or nothing. Of several requests
    /// with the right code, one closes the challenge and the others are refused.
    async fn run(&self, tx: &mut Transaction<'_>) -> Result<Result<(), NotRegistered>, Fault> {
        let at = self.user.created_at;
        if !store::challenge::close(tx, &self.identifier_hash, at).await? {
            return Ok(Err(NotRegistered::CodeUsed));
        }
        let mut user = self.user.clone();
        let mut new_account = None;
        match self.account.resolve(tx, at).await? {
            ResolvedAccount::None => {}
            ResolvedAccount::Existing(id) => user.account_id = Some(id),
            ResolvedAccount::New(account) => new_account = Some(account),
            ResolvedAccount::Missing => return self.fail(tx, no_account()).await,
        }
        // The constraint decides who gets a username. The account is inserted after the user, so that a registration
        // that lost the race leaves none behind (threat REG-05).
        if !store::user::insert(tx, &user).await? {
            let message = "the username is already in use";
            let error = HandlerError::new("DuplicateUsernameException", message);
            return self.fail(tx, error).await;
        }
        if let Some(account) = new_account {
            store::account::insert(tx, account).await?;
            store::user::set_account(tx, &user.id, &account.id).await?;
        }
        store::credential::insert(tx, &user.id, &self.phc, at).await?;
        self.code.save_for(tx, &user).await?;
        store::audit::insert(tx, &self.event).await?;
        Ok(Ok(()))
    }

    /// The challenge stays closed and the failure is on record; nothing else is saved.
    async fn fail(
        &self,
        tx: &mut Transaction<'_>,
        error: HandlerError,
    ) -> Result<Result<(), NotRegistered>, Fault> {
        store::audit::insert(tx, &self.failure).await?;
        Ok(Err(NotRegistered::Failed(error)))
    }
}

fn user(
    app: &App,
    visit: &Visit,
    verified: &VerifiedDraft,
    profile_id: &str,
    created: &NewUser,
) -> User {
    let draft = &verified.draft;
    let is_email = verified.channel == VerificationMethod::Email;
    // The verified number is that of the draft; another number from a handler is not verified.
    let is_phone_verified = !is_email && created.phone == draft.phone;
    User {
        id: app.record_id(prefix::USER),
        username: draft.username.clone(),
        username_key: draft.username_key.clone(),
        email: draft.email.clone(),
        email_key: draft.email_key.clone(),
        phone: created.phone.clone(),
        first_name: created.first_name.clone(),
        last_name: created.last_name.clone(),
        profile_id: profile_id.to_owned(),
        account_id: None,
        locale: created.locale.clone(),
        timezone: created.timezone.clone(),
        attributes: created.attributes.clone(),
        is_integration: false,
        email_verified_at: is_email.then_some(visit.at),
        phone_verified_at: is_phone_verified.then_some(visit.at),
        locked_at: None,
        disabled_at: None,
        session_generation: 0,
        created_at: visit.at,
        updated_at: visit.at,
    }
}
