//! What the flows with a one-time password have in common: the head, in which a challenge is opened
//! and its message queued, and the comparison of a code that comes back.
//!
//! Both are one write each, named after the flow. Nothing here depends on whether there is anybody:
//! a decoy is a challenge that no code opens, with a message that is never sent, made by the same
//! statements (`docs/reference/enumeration.md`).

mod comparison;

use vestibule_protocol::headless::VerificationMethod;

use crate::app::{App, Visit};
use crate::captcha::{self, Verified};
use crate::delivery::template::TemplateName;
use crate::delivery::{self, Letter, Variables};
use crate::identity::phone::PhoneNumber;
use crate::identity::text_message::SmsBudget;
use crate::moment::Moment;
use crate::outgoing::{QueuedMessage, Suppression};
use crate::refusal::{Failure, Fault, Refusal};
use crate::settings::Choice;
use crate::store::turn::Turn;
use crate::store::{self, Transaction};
use crate::verification::{Challenge, Opened, OtpRules, Purpose, Target};
pub use comparison::{Compared, Comparison, attempt, report_failure};

/// The hour of "codes per hour".
const BUDGET_SECONDS: i64 = 3_600;

/// What a story orders: a code for somebody.
pub struct Order<'o> {
    /// What the code is for.
    pub purpose: Purpose,
    /// Its numbers.
    pub rules: &'o OtpRules,
    /// The way it travels, if the request names one.
    pub method: Option<VerificationMethod>,
    /// Whom it is about.
    pub target: Target,
    /// What the flow needs to go on.
    pub payload: String,
    /// Whether the code opens nothing.
    pub is_decoy: bool,
    /// Why the message is not sent, if it is not.
    pub suppressed: Option<Suppression>,
    /// Address or number; empty when there is nobody.
    pub recipient: String,
    /// The recipient's locale.
    pub locale: String,
    /// The recipient's given name.
    pub first_name: Option<String>,
    /// The built-in words.
    pub template: TemplateName,
    /// The words that the request or the site chose.
    pub choice: &'o Choice,
    /// The captcha to be spent.
    pub captcha: Option<Verified>,
    /// Whether the caller is told that no message goes to the mailbox or number now: who named it
    /// itself, or may know. Anybody else is answered as if one had been sent.
    pub is_block_told: bool,
    /// Whether the caller is told that there is no code left for whom the request is about. Who named
    /// them by a hint is not: two hints that use up one user's codes would show whose they are.
    pub is_target_told: bool,
}

/// Looks whether a mailbox or number has a code left this hour. Whether it gets one is decided by
/// [`open`], which counts again; a story asks here first when it has costly work to do in between.
///
/// # Refusals
/// `RateLimited`.
pub async fn check_budget(
    app: &App,
    visit: &Visit,
    purpose: Purpose,
    target: &Target,
) -> Result<(), Failure> {
    let Some(budget) = budget(app, purpose) else {
        return Ok(());
    };
    let sought = (target.clone(), purpose, budget, visit.at);
    let has_left = app
        .store
        .read(
            "challenge.count",
            &sought,
            |tx, (target, purpose, budget, at)| {
                Box::pin(has_budget(tx, target, *purpose, *budget, *at))
            },
        )
        .await?;
    match has_left {
        Left::Some => Ok(()),
        Left::None(refusal) | Left::NoneForMailbox(refusal) => {
            app.metrics.one_time_password(purpose.as_str(), "limited");
            Err(refusal.into())
        }
    }
}

/// Opens a challenge: the row, the end of older ones, the message and the spent captcha, in one
/// write named `name`. Returns the request identifier.
///
/// # Refusals
/// `RateLimited`, `RecaptchaInvalid` for a captcha that was spent before, `TextMessageBlocked`.
pub async fn open(
    app: &App,
    visit: &Visit,
    name: &'static str,
    mut order: Order<'_>,
) -> Result<String, Failure> {
    let purpose = order.purpose;
    let texts = texts(app, visit, &mut order)?;
    let mut opened = Challenge::open(
        purpose,
        &visit.site.site.id,
        order.method,
        order.target.clone(),
        order.payload.clone(),
        order.rules,
        visit.at,
        &app.entropy,
        &app.keyring,
    );
    let message = message(app, visit, &order, &opened)?;
    let unsent = match order.is_block_told {
        true => None,
        false => {
            order.suppressed.get_or_insert(match &texts {
                Some(_) => Suppression::TextMessageBlocked,
                None => Suppression::TooManyCodes,
            });
            Some(self::message(app, visit, &order, &opened)?)
        }
    };
    if order.is_decoy {
        opened.challenge.code_mac = None;
    }
    let opening = Opening {
        challenge: opened.challenge,
        message,
        budget: budget(app, purpose),
        captcha: order.captcha,
        texts,
        unsent,
        is_target_told: order.is_target_told,
    };
    let saved = app
        .store
        .write(name, opening, |tx, opening| Box::pin(save(tx, opening)))
        .await?;
    if let Err(refusal) = saved {
        app.metrics.one_time_password(purpose.as_str(), "limited");
        return Err(refusal.into());
    }
    app.metrics.one_time_password(purpose.as_str(), "issued");
    Ok(opened.identifier)
}

/// Whether text messages may be sent to a number at all; mail always may.
///
/// # Refusals
/// `TextMessageBlocked`.
pub fn check_number(
    app: &App,
    channel: VerificationMethod,
    recipient: &str,
) -> Result<(), Refusal> {
    let number = PhoneNumber::parse(recipient).ok();
    match (channel, number) {
        (VerificationMethod::Sms, Some(number)) => app
            .delivery
            .sms_policy
            .check(&number)
            .map(|_| ())
            .map_err(|_| Refusal::TextMessageBlocked),
        _ => Ok(()),
    }
}

/// What a text message takes of the day's messages, if it is one. Where there is no number to count
/// for, or none that may get messages, nobody's messages are counted, by the same statements.
fn texts(app: &App, visit: &Visit, order: &mut Order<'_>) -> Result<Option<SmsBudget>, Refusal> {
    if order.method != Some(VerificationMethod::Sms) {
        return Ok(None);
    }
    // What is not sent takes nothing from the day's messages.
    let number = match order.suppressed {
        Some(_) => None,
        None => PhoneNumber::parse(&order.recipient).ok(),
    };
    let policy = &app.delivery.sms_policy;
    let budget = match number.map(|number| (policy.check(&number), number)) {
        Some((Ok(country), number)) => policy.budget(&number, country, visit.at),
        Some((Err(_), _)) if order.is_block_told => return Err(Refusal::TextMessageBlocked),
        Some((Err(_), _)) => {
            let reason = Suppression::TextMessageBlocked;
            order.suppressed.get_or_insert(reason);
            policy.decoy_budget(visit.at)
        }
        None => policy.decoy_budget(visit.at),
    };
    Ok(Some(budget))
}

/// Codes of one hour, if they are counted at all.
fn budget(app: &App, purpose: Purpose) -> Option<i64> {
    let codes_per_hour = app.otp_rules(purpose).codes_per_hour;
    app.admission
        .counts_codes_per_hour
        .then_some(codes_per_hour)
}

struct Opening {
    challenge: Challenge,
    message: QueuedMessage,
    budget: Option<i64>,
    captcha: Option<Verified>,
    /// What is taken of the day's text messages.
    texts: Option<SmsBudget>,
    /// What is queued in place of the message when a mailbox has had its codes, or the day its text
    /// messages; none if the caller is told.
    unsent: Option<QueuedMessage>,
    is_target_told: bool,
}

async fn save(tx: &mut Transaction<'_>, opening: &Opening) -> Result<Result<(), Refusal>, Fault> {
    let challenge = &opening.challenge;
    let (target, at) = (&challenge.target, challenge.created_at);
    if let Some(captcha) = &opening.captcha
        && !store::captcha_token::spend(tx, captcha).await?
    {
        return Ok(Err(captcha::spent_before()));
    }
    // Of requests that come at once for one user or mailbox, each counts those before it, and each
    // ends those before it. The turns are taken in one order by everybody.
    let mut turns = [&target.key, &target.budget_key];
    turns.sort();
    for key in turns {
        store::turn::take(tx, Turn::Budget(key), at).await?;
    }
    let mut message = &opening.message;
    if let Some(budget) = opening.budget {
        match has_budget(tx, target, challenge.purpose, budget, at).await? {
            Left::Some => {}
            Left::NoneForMailbox(refusal) => match &opening.unsent {
                Some(unsent) => message = unsent,
                None => return Ok(Err(refusal)),
            },
            Left::None(refusal) => match &opening.unsent {
                Some(unsent) if !opening.is_target_told => message = unsent,
                _ => return Ok(Err(refusal)),
            },
        }
    }
    if let Some(texts) = &opening.texts
        && !store::sms_count::take(tx, texts).await?
    {
        match &opening.unsent {
            Some(unsent) => message = unsent,
            None => return Ok(Err(Refusal::TextMessageBlocked)),
        }
    }
    store::challenge::end_older(tx, challenge).await?;
    store::challenge::insert(tx, challenge).await?;
    store::outbox::insert(tx, message).await?;
    Ok(Ok(()))
}

/// What is left of an hour's codes.
enum Left {
    /// One, at least.
    Some,
    /// None for whom the request is about, which is counted for a name that nobody has as for one
    /// that somebody has: everybody may be told (threat ENU-07).
    None(Refusal),
    /// None for the mailbox or number behind it, which others may share: only who may know is told.
    NoneForMailbox(Refusal),
}

async fn has_budget(
    tx: &mut Transaction<'_>,
    target: &Target,
    purpose: Purpose,
    budget: i64,
    at: Moment,
) -> Result<Left, Fault> {
    let since = at.plus_seconds(-BUDGET_SECONDS);
    let (count, first_at) =
        store::challenge::count_by_target(tx, &target.key, purpose, since).await?;
    if count >= budget {
        return Ok(Left::None(too_many(first_at, at)));
    }
    let (count, first_at) =
        store::challenge::count_by_budget(tx, &target.budget_key, purpose, since).await?;
    if count >= budget {
        return Ok(Left::NoneForMailbox(too_many(first_at, at)));
    }
    Ok(Left::Some)
}

fn too_many(first_at: Option<Moment>, at: Moment) -> Refusal {
    let free_at = first_at.unwrap_or(at).plus_seconds(BUDGET_SECONDS);
    Refusal::RateLimited {
        // Rounded up: who comes back at the second that was named is let in.
        retry_after_seconds: (free_at - at).saturating_add(999).div_euclid(1000).max(1),
    }
}

fn message(
    app: &App,
    visit: &Visit,
    order: &Order<'_>,
    opened: &Opened,
) -> Result<QueuedMessage, Fault> {
    let site = &visit.site.site;
    let has_code = order.template != TemplateName::AccountExists;
    let letter = Letter {
        channel: opened.challenge.channel,
        // Who registers is nobody yet, and is known by address or number.
        user_id: (order.purpose != Purpose::Registration).then(|| order.target.key.clone()),
        recipient: order.recipient.clone(),
        template: order.template,
        custom: order.choice.custom(&order.locale).filter(|_| has_code),
        suppressed: order.suppressed,
        challenge: Some(opened.challenge.identifier_hash),
        locale: order.locale.clone(),
        site_id: site.id.clone(),
        host: site.authority().to_owned(),
        variables: Variables {
            site_name: site.display_name().to_owned(),
            host: site.authority().to_owned(),
            code: has_code.then(|| opened.code.clone()),
            valid_minutes: u32::try_from(order.rules.lifetime_seconds / 60).unwrap_or(1),
            first_name: order.first_name.clone(),
        },
        expires_at: opened.challenge.expires_at,
    };
    delivery::queue(&letter, visit.at, &app.entropy, &app.keyring)
}
