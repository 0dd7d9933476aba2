//! ③ `Auth-Request-Type: user-registration` at authorize: the code comes back, the user is made.

use vestibule_protocol::authorization::AuthorizationAnswer;
use vestibule_protocol::headless::VerificationMethod;

use super::attach::attach;
use super::draft::{Draft, default_profile};
use crate::app::handlers::{Reach, shown_exception};
use crate::app::{App, Visit};
use crate::flow::authorization::{self, Checked};
use crate::flow::one_time_password::{self, Comparison};
use crate::handler::contract::Contract;
use crate::handler::{self, AccountLink, Created, HandlerError, NewUser, Registrant};
use crate::identity::{Account, User, prefix};
use crate::moment::Moment;
use crate::refusal::{Failure, Fault, Refusal};
use crate::settings::{Api, BUILT_IN, Settings};
use crate::store;
use crate::store::Transaction;
use crate::store::audit::AuditEvent;
use crate::store::code::AuthorizationCode;
use crate::store::turn::Turn;
use crate::verification::{Attempt, Purpose};

/// How the user proved who they are (RFC 8176): by a one-time password.
pub(super) const AMR: &str = "otp";

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

    let proven = compare(app, visit, attempt).await?;
    let (created, reach) = match run_handler(app, visit, &profile.id, &proven.draft).await? {
        Ok((Created::New(created), reach)) => (*created, reach),
        Ok((Created::Existing(user_id), reach)) => {
            return attach(app, visit, checked, &proven, &reach, user_id).await;
        }
        Err(error) => return give_up(app, visit, &proven, &error).await,
    };
    let user = user(app, visit, &proven, &profile.id, &created);
    let code = authorization::issue_code(app, visit, checked, AMR);
    let completion = Completion {
        identifier_hash: proven.identifier_hash,
        account: account(app, visit, created.account, &reach),
        phc: proven.draft.phc,
        failure: visit.event(&app.entropy, "registration.failed"),
        event: AuditEvent {
            user_id: Some(user.id.clone()),
            client_id: Some(checked.client.id.clone()),
            detail: serde_json::json!({
                "channel": proven.channel.as_str(),
                "run_as": settings.registration_execution_user,
            })
            .to_string(),
            ..visit.event(&app.entropy, "user.registered")
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
pub(super) struct Proven {
    pub(super) identifier_hash: [u8; 32],
    pub(super) channel: VerificationMethod,
    pub(super) draft: Draft,
}

/// (a) Spends a try and compares, in one write of its own.
async fn compare(app: &App, visit: &Visit, attempt: Attempt) -> Result<Proven, Failure> {
    let presented = attempt.present(&app.keyring);
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
    if settings.registration_handler == BUILT_IN {
        let created = handler::create_user(settings, &registrant);
        // The accounts of the built-in handler are named by the site's settings, not by code.
        return Ok(created.map(|user| (Created::New(Box::new(user)), Reach::Site)));
    }
    let arguments = handler::arguments(site, profile_id, &registrant);
    let argument = serde_json::to_value(arguments)
        .map_err(|error| Fault::new("writing a handler's arguments", error))?;
    let answer = app
        .call_handler_within(
            visit,
            &settings.registration_handler,
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

/// An account that a handler names by its id is one that it may see.
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

/// A handler that fails is a mistake in the configuration: the request is over, no user was made,
/// and the app is told why.
pub(super) async fn give_up<T>(
    app: &App,
    visit: &Visit,
    proven: &Proven,
    error: &HandlerError,
) -> Result<T, Failure> {
    let event = visit.event(&app.entropy, "registration.failed");
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

/// The reason as a log line may show it. One that a customer's handler gives may hold what the request
/// brought; it stands in the record of the call.
fn shown_reason<'e>(settings: &Settings, error: &'e HandlerError) -> Option<&'e str> {
    let is_ours = settings.registration_handler == BUILT_IN;
    is_ours.then_some(error.message.as_str())
}

/// The refusal of a registration that failed after its code was proven, with its log line.
pub(super) fn failed(visit: &Visit, error: &HandlerError) -> Refusal {
    tracing::warn!(
        request = %visit.request_id, exception = shown_exception(error),
        reason = shown_reason(&visit.site.site.settings, error),
        "a proven registration failed"
    );
    Refusal::RegistrationFailed {
        apex_error: error.apex_error(),
    }
}

/// Everything that the last write needs.
struct Completion {
    identifier_hash: [u8; 32],
    account: Linking,
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
    match link(tx, &completion.account, at).await? {
        Linked::Not => {}
        Linked::To(id) => user.account_id = Some(id),
        Linked::ToNew(account) => new_account = Some(account),
        Linked::Missing => return not_made(tx, completion, no_account()).await,
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

/// What the last write does about an account.
enum Linking {
    /// Nothing.
    None,
    /// It is the one with this record id.
    Existing(String),
    /// It is the one of this name, if the handler may see it; a missing one is made if it may be.
    Shared {
        account: Account,
        may_create: bool,
        reach: Reach,
    },
    /// It is made, even if others bear its name.
    Own(Account),
}

/// The account of a user who is about to be saved.
enum Linked<'c> {
    /// It is to be one that is not there.
    Missing,
    /// They have none.
    Not,
    /// One that is there.
    To(String),
    /// One that is made with them.
    ToNew(&'c Account),
}

fn account(app: &App, visit: &Visit, link: AccountLink, reach: &Reach) -> Linking {
    let named = |name| Account {
        id: app.record_id(prefix::ACCOUNT),
        name,
        created_at: visit.at,
    };
    match link {
        AccountLink::Existing { id } => Linking::Existing(id),
        AccountLink::Named { name, create } => Linking::Shared {
            account: named(name),
            // Only who sees them all may make one.
            may_create: create && *reach == Reach::Site,
            reach: reach.clone(),
        },
        AccountLink::None => Linking::None,
        AccountLink::Own { name } => Linking::Own(named(name)),
    }
}

/// Finds the account. Of two registrations that both make one of a name, the second waits for the first
/// and finds it.
async fn link<'c>(
    tx: &mut Transaction<'_>,
    linking: &'c Linking,
    at: Moment,
) -> Result<Linked<'c>, Fault> {
    let (account, may_create, reach) = match linking {
        Linking::None => return Ok(Linked::Not),
        Linking::Own(account) => return Ok(Linked::ToNew(account)),
        Linking::Existing(id) => {
            let existing = store::account::find_by_id(tx, id).await?;
            return Ok(existing.map_or(Linked::Missing, |account| Linked::To(account.id)));
        }
        Linking::Shared {
            account,
            may_create,
            reach,
        } => (account, *may_create, reach),
    };
    let mut existing = store::account::find_by_name(tx, &account.name).await?;
    if existing.is_none() && may_create {
        let name_key = Account::name_key(&account.name);
        store::turn::take(tx, Turn::Account(&name_key), at).await?;
        existing = store::account::find_by_name(tx, &account.name).await?;
    }
    Ok(match existing {
        Some(existing) if !reach.sees_account(&existing.id) => Linked::Missing,
        Some(existing) => Linked::To(existing.id),
        None if may_create => Linked::ToNew(account),
        None => Linked::Missing,
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
        last_name: created.last_name.clone(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_reasons_reach_the_log() {
        let error = HandlerError::new("DomainException", "not for janice@example.com");
        let reason = |handler: &str| {
            let settings = Settings {
                registration_handler: handler.to_owned(),
                ..Settings::default()
            };
            shown_reason(&settings, &error).map(str::to_owned)
        };
        assert_eq!(reason(BUILT_IN).as_deref(), Some(error.message.as_str()));
        assert_eq!(reason("welcome"), None);
    }
}
