//! ① `POST …/init/registration`: what the app has collected becomes a challenge and a message.

use vestibule_protocol::headless::{
    InitAnswer, InitRegistration, InvalidParams, VerificationMethod,
};

use super::draft::Draft;
use crate::admission::{self, Keys, Presented, Requirement, Surface, Trust};
use crate::app::App;
use crate::delivery::template::TemplateName;
use crate::delivery::{self, Letter, Variables};
use crate::flow::Visit;
use crate::hashing::SALT_BYTES;
use crate::identity::password::Prepared;
use crate::moment::Moment;
use crate::outgoing::QueuedMessage;
use crate::refusal::{Failure, Fault, Refusal};
use crate::settings::{Choice, TemplateFlow};
use crate::store;
use crate::store::Transaction;
use crate::store::turn::Turn;
use crate::verification::{Challenge, Opened, Purpose, Target};

/// The hour of "codes per hour".
const BUDGET_SECONDS: i64 = 3_600;

/// Takes a registration in.
///
/// # Refusals
/// `RegistrationDisabled`, those of [`admission::check`], `ParametersInvalid`, `TemplateUnknown`,
/// `TemplateNotAllowed`, `ChannelUnavailable`, `PasswordPolicy`, `UsernameTaken` (to trusted callers
/// only), `TooBusy`, `RateLimited`.
pub async fn init(
    app: &App,
    visit: &Visit,
    presented: &Presented,
    request: Result<InitRegistration, InvalidParams>,
) -> Result<InitAnswer, Failure> {
    let settings = &visit.site.site.settings;
    if !settings.is_headless_user_registration_allowed {
        return Err(Refusal::RegistrationDisabled.into());
    }
    let requirement = Requirement {
        is_authentication_required: settings.does_registration_require_auth,
        scope: "user_registration_api",
    };
    let trust = admission::check(requirement, presented)?;
    let request = request.map_err(|invalid| Refusal::ParametersInvalid {
        field: invalid.field,
        reason: invalid.reason.to_owned(),
    })?;
    open(app, visit, trust, &request).await
}

/// Opens the challenge of an admitted registration. For a stranger the answer is the same whether
/// or not the username is free (`docs/silences.md`).
///
/// # Refusals
/// As [`init`], from the template on.
pub async fn open(
    app: &App,
    visit: &Visit,
    trust: Trust,
    request: &InitRegistration,
) -> Result<InitAnswer, Failure> {
    let template = app.directory().choose_template(
        &visit.site.site.settings,
        TemplateFlow::Registration,
        request.email_template.as_deref(),
    )?;
    let mut checked = Draft::check(app, visit, request)?;
    if !app.channels.is_available(checked.channel) {
        return Err(Refusal::ChannelUnavailable.into());
    }
    let keys = Keys {
        target: Some(&checked.target.budget_key),
        ..Keys::default()
    };
    app.edge.take(Surface::Init, &keys, visit.at)?;
    let is_own_account =
        is_taken_by_same_address(app, trust, checked.channel, &checked.draft).await?;
    within_budget(app, visit, &checked.target).await?;
    checked.draft.phc = hash(app, checked.password).await?;

    let payload = serde_json::to_string(&checked.draft)
        .map_err(|error| Fault::new("writing a registration", error))?;
    let mut opened = Challenge::open(
        Purpose::Registration,
        &visit.site.site.id,
        request.verification_method,
        checked.target.clone(),
        payload,
        &app.otp.registration,
        visit.at,
        &app.entropy,
        &app.keyring,
    );
    let message = message(
        app,
        visit,
        &checked.draft,
        &checked.recipient,
        &opened,
        &template,
        is_own_account,
    )?;
    if is_own_account {
        // The owner of the address is told; whoever asked cannot go on, and cannot tell.
        opened.challenge.code_mac = None;
        opened.challenge.payload = None;
    }
    save(app, opened.challenge, message).await?;
    app.outbox_bell.notify_one();
    app.metrics
        .one_time_password(Purpose::Registration.as_str(), "issued");
    Ok(InitAnswer {
        email: request.userdata.email.clone(),
        identifier: opened.identifier,
    })
}

async fn hash(app: &App, password: Prepared) -> Result<String, Refusal> {
    let salt = app.entropy.bytes::<SALT_BYTES>();
    let hashed = app.hasher.hash(password.into_secret(), salt).await;
    app.metrics
        .hash_done(if hashed.is_ok() { "done" } else { "busy" });
    hashed.map_err(|_| Refusal::TooBusy)
}

/// Looks whether the mailbox or number has a code left this hour, so that nobody makes us hash for
/// one that has not. Whether it gets one is decided by the write, which counts again.
async fn within_budget(app: &App, visit: &Visit, target: &Target) -> Result<(), Failure> {
    let Some(budget) = budget(app) else {
        return Ok(());
    };
    let sought = (target.clone(), budget, visit.at);
    let has_left = app
        .store
        .read("challenge.count", &sought, |tx, (target, budget, at)| {
            Box::pin(check_budget(tx, target, *budget, *at))
        })
        .await?;
    Ok(has_left.inspect_err(|_| count_limited(app))?)
}

/// Codes of one hour, if they are counted at all.
fn budget(app: &App) -> Option<i64> {
    let codes_per_hour = app.otp.registration.codes_per_hour;
    app.limits.enabled.then_some(codes_per_hour)
}

async fn check_budget(
    tx: &mut Transaction<'_>,
    target: &Target,
    budget: i64,
    at: Moment,
) -> Result<Result<(), Refusal>, Fault> {
    let since = at.plus_seconds(-BUDGET_SECONDS);
    let purpose = Purpose::Registration;
    let (count, first_at) =
        store::challenge::count_since(tx, &target.budget_key, purpose, since).await?;
    Ok(if count < budget {
        Ok(())
    } else {
        Err(too_many(first_at, at))
    })
}

fn count_limited(app: &App) {
    app.metrics
        .one_time_password(Purpose::Registration.as_str(), "limited");
}

/// The challenge, the end of older ones, and the message: one write.
async fn save(app: &App, challenge: Challenge, message: QueuedMessage) -> Result<(), Failure> {
    let saved = app
        .store
        .write(
            "registration.init",
            (challenge, message, budget(app)),
            |tx, (challenge, message, budget)| {
                Box::pin(async move {
                    // Of requests that come at once for one mailbox, each counts those before it,
                    // and each ends those before it.
                    let (target, at) = (&challenge.target, challenge.created_at);
                    store::turn::take(tx, Turn::Budget(&target.budget_key), at).await?;
                    if let Some(budget) = budget
                        && let Err(refusal) = check_budget(tx, target, *budget, at).await?
                    {
                        return Ok(Err(refusal));
                    }
                    store::challenge::end_older(tx, challenge).await?;
                    store::challenge::insert(tx, challenge).await?;
                    store::outbox::insert(tx, message).await?;
                    Ok(Ok(()))
                })
            },
        )
        .await?;
    Ok(saved.inspect_err(|_| count_limited(app))?)
}

fn too_many(first_at: Option<Moment>, at: Moment) -> Refusal {
    let free_at = first_at.unwrap_or(at).plus_seconds(BUDGET_SECONDS);
    Refusal::RateLimited {
        // Rounded up: who comes back at the second that was named is let in.
        retry_after_seconds: (free_at - at).saturating_add(999).div_euclid(1000).max(1),
    }
}

/// Whether the username belongs to somebody with the very address that is being registered.
///
/// A trusted caller is told that a username is taken. A stranger is not: the registration goes on
/// and fails at the end, after the code was proven (and a name that is taken by somebody else is
/// found out by the unique constraint then, as a race would be). Only the address can tell its owner
/// of the account: a text message would go to whatever number the stranger named.
async fn is_taken_by_same_address(
    app: &App,
    trust: Trust,
    channel: VerificationMethod,
    draft: &Draft,
) -> Result<bool, Failure> {
    let owner = app
        .store
        .read("user.find", &draft.username_key, |tx, key| {
            Box::pin(store::user::find_by_username(tx, key))
        })
        .await?;
    match (owner, trust) {
        (None, _) => Ok(false),
        (Some(_), Trust::Bearer) => Err(Refusal::UsernameTaken.into()),
        (Some(owner), Trust::Stranger) => {
            Ok(channel == VerificationMethod::Email && owner.email_key == draft.email_key)
        }
    }
}

fn message(
    app: &App,
    visit: &Visit,
    draft: &Draft,
    recipient: &str,
    opened: &Opened,
    template: &Choice,
    is_own_account: bool,
) -> Result<QueuedMessage, Fault> {
    let site = &visit.site.site;
    let locale = draft.locale.as_ref();
    let locale = locale.unwrap_or(&site.settings.default_locale).clone();
    let letter = Letter {
        channel: opened.challenge.channel,
        recipient: recipient.to_owned(),
        template: if is_own_account {
            TemplateName::AccountExists
        } else {
            TemplateName::RegistrationOtp
        },
        custom: template.custom(&locale),
        locale,
        site_id: site.id.clone(),
        host: site.authority().to_owned(),
        variables: Variables {
            site_name: site.display_name().to_owned(),
            host: site.authority().to_owned(),
            code: (!is_own_account).then(|| opened.code.clone()),
            valid_minutes: u32::try_from(app.otp.registration.lifetime_seconds / 60).unwrap_or(1),
            first_name: draft.first_name.clone(),
        },
        suppressed: None,
        expires_at: opened.challenge.expires_at,
    };
    delivery::queue(&letter, visit.at, &app.entropy, &app.keyring)
}
