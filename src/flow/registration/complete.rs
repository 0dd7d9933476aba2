//! ③ `Auth-Request-Type: user-registration` at authorize: the code comes back, the user is made.

use vestibule_protocol::authorization::AuthorizationAnswer;
use vestibule_protocol::headless::VerificationMethod;

use super::draft::{Draft, default_profile};
use crate::app::App;
use crate::flow::Visit;
use crate::flow::authorization::{self, Checked};
use crate::flow::one_time_password::{self, Comparison};
use crate::handler::{self, AccountLink, HandlerError, NewUser, Registrant};
use crate::identity::{Account, User, prefix};
use crate::refusal::{Failure, Fault, Refusal};
use crate::store;
use crate::store::Transaction;
use crate::store::audit::AuditEvent;
use crate::store::code::AuthorizationCode;
use crate::store::turn::Turn;
use crate::verification::{Attempt, Purpose};

/// How the user proved who they are (RFC 8176): by a one-time password.
const AMR: &str = "otp";

/// What the app presents: the request identifier and the code, and the way it says they came by.
pub type Proof = Attempt;

/// Completes a registration.
///
/// # Refusals
/// `RegistrationDisabled`, `ClientNotApproved`, `ChallengeFailed`, `ChannelMismatch`,
/// `RegistrationFailed`.
pub async fn complete(
    app: &App,
    visit: &Visit,
    checked: &Checked,
    proof: Proof,
) -> Result<AuthorizationAnswer, Failure> {
    let settings = &visit.site.site.settings;
    if !settings.is_headless_user_registration_allowed {
        return Err(Refusal::RegistrationDisabled.into());
    }
    let profile = default_profile(app, settings)?;
    // Asked before the code is compared: a user who could never use the client is not made.
    checked.client.check_permitted(&profile.id)?;

    let proven = attempt(app, visit, proof).await?;
    let created = match run_handler(app, visit, &proven.draft).await? {
        Ok(created) => created,
        Err(error) => return give_up(app, visit, &proven, &error).await,
    };
    let user = user(app, visit, &proven, &profile.id, &created);
    let code = authorization::issue_code(app, visit, checked, AMR);
    let completion = Completion {
        identifier_hash: proven.identifier_hash,
        account: new_account(app, visit, &created.account),
        may_create_account: !matches!(created.account, AccountLink::Named { create: false, .. }),
        is_account_shared: matches!(created.account, AccountLink::Named { .. }),
        phc: proven.draft.phc,
        failure: visit.event(app.record_id("0AE"), "registration.failed"),
        event: AuditEvent {
            user_id: Some(user.id.clone()),
            client_id: Some(checked.client.id.clone()),
            detail: serde_json::json!({
                "channel": proven.channel.as_str(),
                "run_as": settings.registration_execution_user,
            })
            .to_string(),
            ..visit.event(app.record_id("0AE"), "user.registered")
        },
        code: code.row.of(&user),
        user,
    };
    let completed = app
        .store
        .write("registration.complete", completion, |tx, completion| {
            Box::pin(make_user(tx, completion))
        })
        .await?;
    match completed {
        Made::Whole => {
            app.metrics
                .one_time_password(Purpose::Registration.as_str(), "accepted");
            Ok(authorization::answer(visit, checked, code.text))
        }
        Made::ByAnother => {
            one_time_password::report_failure(app, visit, Purpose::Registration, false);
            Err(Refusal::ChallengeFailed.into())
        }
        Made::Not(error) => Err(failed(visit, &error).into()),
    }
}

/// A challenge that was opened by its code.
struct Proven {
    identifier_hash: [u8; 32],
    channel: VerificationMethod,
    draft: Draft,
}

/// (a) Spends a try and compares, in one write of its own.
async fn attempt(app: &App, visit: &Visit, proof: Proof) -> Result<Proven, Failure> {
    let presented = proof.present(&app.keyring);
    let comparison = Comparison::new(app, visit, Purpose::Registration, presented);
    let challenge = one_time_password::attempt(app, visit, comparison).await?;
    let payload = challenge.payload.ok_or(Refusal::ChallengeFailed)?;
    let draft = serde_json::from_str(&payload)
        .map_err(|error| Fault::new("reading a registration", error))?;
    Ok(Proven {
        identifier_hash: challenge.identifier_hash,
        channel: challenge.channel,
        draft,
    })
}

/// (b) The handler decides what the user is to be. It runs with the rights of the *Run As* user, who
/// must therefore exist and be active.
async fn run_handler(
    app: &App,
    visit: &Visit,
    draft: &Draft,
) -> Result<Result<NewUser, HandlerError>, Failure> {
    let settings = &visit.site.site.settings;
    let run_as = settings
        .registration_execution_user
        .clone()
        .unwrap_or_default();
    let run_as = app
        .store
        .read("user.find", &run_as, |tx, id| {
            Box::pin(store::user::find_by_id(tx, id))
        })
        .await?;
    if run_as.is_none_or(|user| user.check_active().is_err()) {
        let message = "the user that the registration handler runs as is not active";
        return Ok(Err(HandlerError::new("ExecutionUserException", message)));
    }
    let registrant = Registrant {
        first_name: draft.first_name.as_deref(),
        last_name: &draft.last_name,
        phone: draft.phone.as_deref(),
        locale: draft.locale.as_deref(),
        extra: &draft.extra,
        customdata: &draft.customdata,
    };
    Ok(handler::create_user(settings, &registrant))
}

/// A handler that fails is a mistake in the configuration: the request is over, no user was made,
/// and the app is told why.
async fn give_up<T>(
    app: &App,
    visit: &Visit,
    proven: &Proven,
    error: &HandlerError,
) -> Result<T, Failure> {
    let event = visit.event(app.record_id("0AE"), "registration.failed");
    app.store
        .write(
            "registration.fail",
            (proven.identifier_hash, event),
            |tx, (hash, event)| {
                Box::pin(async move {
                    store::challenge::close(tx, hash, event.at).await?;
                    store::audit::insert(tx, event).await
                })
            },
        )
        .await?;
    Err(failed(visit, error).into())
}

/// The refusal of a registration that failed after its code was proven, with its log line.
fn failed(visit: &Visit, error: &HandlerError) -> Refusal {
    tracing::warn!(
        request = %visit.request_id, exception = %error.exception, reason = %error.message,
        "a proven registration failed"
    );
    Refusal::RegistrationFailed {
        apex_error: error.apex_error(),
    }
}

/// Everything that the last write needs.
struct Completion {
    identifier_hash: [u8; 32],
    account: Option<Account>,
    may_create_account: bool,
    is_account_shared: bool,
    user: User,
    phc: String,
    code: AuthorizationCode,
    event: AuditEvent,
    /// Saved in place of `event` when no user is made.
    failure: AuditEvent,
}

/// What came of the last write.
enum Made {
    /// Somebody else came with the same code and was faster.
    ByAnother,
    /// There is no user, for a reason that the app is told.
    Not(HandlerError),
    /// The user and everything that belongs to them.
    Whole,
}

/// (c) Account, user, credential, code, audit row and the closed challenge: all or nothing. Closing
/// is the race: of many that come with the right code, one closes and the others have lost.
async fn make_user(tx: &mut Transaction<'_>, completion: &Completion) -> Result<Made, Fault> {
    let at = completion.user.created_at;
    if !store::challenge::close(tx, &completion.identifier_hash, at).await? {
        return Ok(Made::ByAnother);
    }
    let mut user = completion.user.clone();
    let mut new_account = None;
    if let Some(account) = &completion.account {
        match existing_account(tx, completion, account).await? {
            Some(id) => user.account_id = Some(id),
            None if completion.may_create_account => new_account = Some(account),
            None => {
                let error = HandlerError::new("AccountException", "the account does not exist");
                return not_made(tx, completion, error).await;
            }
        }
    }
    // The constraint decides who gets a username. The account is made after the user, so that a
    // registration that lost leaves none behind (threat REG-05).
    if !store::user::insert(tx, &user).await? {
        let message = "the username is already in use";
        let error = HandlerError::new("DuplicateUsernameException", message);
        return not_made(tx, completion, error).await;
    }
    if let Some(account) = new_account {
        store::account::insert(tx, account).await?;
        store::user::set_account(tx, &user.id, &account.id).await?;
    }
    store::credential::insert(tx, &user.id, &completion.phc, at).await?;
    store::code::insert(tx, &completion.code).await?;
    store::audit::insert(tx, &completion.event).await?;
    Ok(Made::Whole)
}

/// The challenge stays closed and the failure is on record; nothing else is.
async fn not_made(
    tx: &mut Transaction<'_>,
    completion: &Completion,
    error: HandlerError,
) -> Result<Made, Fault> {
    store::audit::insert(tx, &completion.failure).await?;
    Ok(Made::Not(error))
}

/// The account that a shared name already has; a user's own account is always a new one.
async fn existing_account(
    tx: &mut Transaction<'_>,
    completion: &Completion,
    account: &Account,
) -> Result<Option<String>, Fault> {
    if !completion.is_account_shared {
        return Ok(None);
    }
    let mut existing = store::account::find_by_name(tx, &account.name).await?;
    if existing.is_none() && completion.may_create_account {
        // Of many that would make it at once one does, and the others find it.
        let name_key = Account::name_key(&account.name);
        store::turn::take(tx, Turn::Account(&name_key), account.created_at).await?;
        existing = store::account::find_by_name(tx, &account.name).await?;
    }
    Ok(existing.map(|existing| existing.id))
}

fn new_account(app: &App, visit: &Visit, link: &AccountLink) -> Option<Account> {
    let name = match link {
        AccountLink::None => return None,
        AccountLink::Named { name, .. } | AccountLink::Own { name } => name.clone(),
    };
    Some(Account {
        id: app.record_id(prefix::ACCOUNT),
        name,
        created_at: visit.at,
    })
}

fn user(app: &App, visit: &Visit, proven: &Proven, profile_id: &str, created: &NewUser) -> User {
    let draft = &proven.draft;
    let is_email = proven.channel == VerificationMethod::Email;
    // The number that proved itself is the draft's; a handler's other number has proved nothing.
    let is_phone_proven = !is_email && created.phone == draft.phone;
    User {
        id: app.record_id(prefix::USER),
        username: draft.username.clone(),
        username_key: draft.username_key.clone(),
        email: draft.email.clone(),
        email_key: draft.email_key.clone(),
        phone: created.phone.clone(),
        first_name: created.first_name.clone(),
        last_name: draft.last_name.clone(),
        profile_id: profile_id.to_owned(),
        account_id: None,
        locale: created.locale.clone(),
        timezone: created.timezone.clone(),
        attributes: created.attributes.clone(),
        is_integration: false,
        email_verified_at: is_email.then_some(visit.at),
        phone_verified_at: is_phone_proven.then_some(visit.at),
        locked_at: None,
        disabled_at: None,
        session_generation: 0,
        created_at: visit.at,
        updated_at: visit.at,
    }
}
