//! What the flows with a one-time password have in common: opening a challenge with its message, and comparing a
//! presented code.
//!
//! Both are one write each, named after the flow. Nothing here depends on whether the user exists: a decoy is a
//! challenge that no code opens, with a message that is never sent, written by the same statements (`docs/reference/enumeration.md`).

mod comparison;

use vestibule_protocol::headless::VerificationMethod;
use vestibule_protocol::purpose::Purpose;

use crate::app::{App, Visit};
use crate::captcha::{self, Verified};
use crate::delivery::template::TemplateName;
use crate::delivery::{self, Letter, Variables};
use crate::identity::phone::PhoneNumber;
use crate::identity::text_message::SmsBudget;
use crate::moment::Moment;
use crate::outgoing::{OutgoingMessage, Suppression};
use crate::refusal::{Failure, Fault, Refusal};
use crate::settings::Choice;
use crate::store::turn::Turn;
use crate::store::{self, Transaction};
use crate::verification::{Challenge, NewChallenge, Opened, OtpRules, Target};
pub use comparison::{Comparison, WrongCode, attempt, failed, report_failure};

/// The hour of "codes per hour".
const BUDGET_SECONDS: i64 = 3_600;

/// What a flow asks for: a code, and the message that carries it.
pub struct CodeRequest<'o> {
    /// What the code is for.
    pub purpose: Purpose,
    /// The length, lifetime, tries and budget of the code.
    pub rules: &'o OtpRules,
    /// The channel, if the request names one.
    pub method: Option<VerificationMethod>,
    /// The user or the address that it is about.
    pub target: Target,
    /// What the flow needs when the code comes back.
    pub payload: String,
    /// Whether no code opens the challenge.
    pub is_decoy: bool,
    /// Why the message is not sent, if it is not.
    pub suppressed: Option<Suppression>,
    /// Address or number; empty for an unknown user.
    pub recipient: String,
    /// The recipient's locale.
    pub locale: String,
    /// The recipient's given name.
    pub first_name: Option<String>,
    /// The built-in message.
    pub template: TemplateName,
    /// The template that the request or the site chose.
    pub choice: &'o Choice,
    /// The captcha to be spent.
    pub captcha: Option<Verified>,
    /// Whether the response discloses that no message is sent to the mailbox or number now: to a caller that sent the
    /// address itself, or that may know of the account. For other callers the response is that of a message that is
    /// sent.
    pub is_block_disclosed: bool,
    /// Whether the response discloses that the target has no code left this hour. Not when the user was found by a
    /// `login_hint`: two hints that share one budget would reveal that they name the same user.
    pub is_limit_disclosed: bool,
}

/// Checks whether a mailbox or number has a code left this hour. [`open`] decides, and counts again; a flow that has
/// costly work to do in between checks here first.
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
        HourlyBudget::Available => Ok(()),
        HourlyBudget::TargetExhausted(refusal) | HourlyBudget::MailboxExhausted(refusal) => {
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
    mut request: CodeRequest<'_>,
) -> Result<String, Failure> {
    let purpose = request.purpose;
    let texts = texts(app, visit, &mut request)?;
    let mut opened = Challenge::open(
        NewChallenge {
            purpose,
            site_id: &visit.site.site.id,
            method: request.method,
            target: request.target.clone(),
            payload: request.payload.clone(),
        },
        request.rules,
        visit.at,
        &app.entropy,
        &app.keyring,
    );
    let message = message(app, visit, &request, &opened)?;
    let unsent = if request.is_block_disclosed {
        None
    } else {
        request.suppressed.get_or_insert(match &texts {
            Some(_) => Suppression::TextMessageBlocked,
            None => Suppression::TooManyCodes,
        });
        Some(self::message(app, visit, &request, &opened)?)
    };
    if request.is_decoy {
        opened.challenge.code_mac = None;
    }
    let write = OpenWrite {
        challenge: opened.challenge,
        message,
        budget: budget(app, purpose),
        captcha: request.captcha,
        texts,
        unsent,
        is_limit_disclosed: request.is_limit_disclosed,
    };
    let saved = app
        .store
        .write(name, write, |tx, write| Box::pin(write.run(tx)))
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

/// What a text message takes of the day's messages; `None` for a mail. Without a number, or with one that gets no
/// messages, a decoy is counted by the same statements.
fn texts(
    app: &App,
    visit: &Visit,
    request: &mut CodeRequest<'_>,
) -> Result<Option<SmsBudget>, Refusal> {
    if request.method != Some(VerificationMethod::Sms) {
        return Ok(None);
    }
    // What is not sent takes nothing from the day's messages.
    let number = match request.suppressed {
        Some(_) => None,
        None => PhoneNumber::parse(&request.recipient).ok(),
    };
    let policy = &app.delivery.sms_policy;
    let budget = match number.map(|number| (policy.check(&number), number)) {
        Some((Ok(country), number)) => policy.budget(&number, country, visit.at),
        Some((Err(_), _)) if request.is_block_disclosed => return Err(Refusal::TextMessageBlocked),
        Some((Err(_), _)) => {
            let reason = Suppression::TextMessageBlocked;
            request.suppressed.get_or_insert(reason);
            policy.decoy_budget(visit.at)
        }
        None => policy.decoy_budget(visit.at),
    };
    Ok(Some(budget))
}

/// Codes of one hour; `None` where they are not counted.
fn budget(app: &App, purpose: Purpose) -> Option<i64> {
    let codes_per_hour = app.otp_rules(purpose).codes_per_hour;
    app.admission
        .counts_codes_per_hour
        .then_some(codes_per_hour)
}

/// The write that opens a challenge.
struct OpenWrite {
    challenge: Challenge,
    message: OutgoingMessage,
    budget: Option<i64>,
    captcha: Option<Verified>,
    /// What is taken of the day's text messages.
    texts: Option<SmsBudget>,
    /// What is queued in place of the message when the codes of a mailbox or the text messages of the day are used up;
    /// `None` when that is disclosed to the caller.
    unsent: Option<OutgoingMessage>,
    is_limit_disclosed: bool,
}

impl OpenWrite {
    async fn run(&self, tx: &mut Transaction<'_>) -> Result<Result<(), Refusal>, Fault> {
        let challenge = &self.challenge;
        let (target, at) = (&challenge.target, challenge.created_at);
        if let Some(captcha) = &self.captcha
            && !store::captcha_token::spend(tx, captcha).await?
        {
            return Ok(Err(captcha::spent_before()));
        }
        // Of concurrent requests for one user or mailbox, each counts and ends those before it. All requests take the
        // turns in the same order.
        let mut turns = [&target.key, &target.budget_key];
        turns.sort();
        for key in turns {
            store::turn::take(tx, Turn::Budget(key), at).await?;
        }
        let mut message = &self.message;
        if let Some(budget) = self.budget {
            match has_budget(tx, target, challenge.purpose, budget, at).await? {
                HourlyBudget::Available => {}
                HourlyBudget::MailboxExhausted(refusal) => match &self.unsent {
                    Some(unsent) => message = unsent,
                    None => return Ok(Err(refusal)),
                },
                HourlyBudget::TargetExhausted(refusal) => match &self.unsent {
                    Some(unsent) if !self.is_limit_disclosed => message = unsent,
                    _ => return Ok(Err(refusal)),
                },
            }
        }
        if let Some(texts) = &self.texts
            && !store::sms_count::take(tx, texts).await?
        {
            match &self.unsent {
                Some(unsent) => message = unsent,
                None => return Ok(Err(Refusal::TextMessageBlocked)),
            }
        }
        store::challenge::end_older(tx, challenge).await?;
        store::challenge::insert(tx, challenge).await?;
        store::outbox::insert(tx, message).await?;
        Ok(Ok(()))
    }
}

/// What is left of the codes of one hour.
enum HourlyBudget {
    /// One code at least.
    Available,
    /// None for the mailbox or number behind the target, which others may share: only disclosed to callers who may
    /// know of the account.
    MailboxExhausted(Refusal),
    /// None for the target of the request, which is counted for an unknown username like for a known one: may be
    /// disclosed to every caller (threat ENU-07).
    TargetExhausted(Refusal),
}

async fn has_budget(
    tx: &mut Transaction<'_>,
    target: &Target,
    purpose: Purpose,
    budget: i64,
    at: Moment,
) -> Result<HourlyBudget, Fault> {
    let since = at.plus_seconds(-BUDGET_SECONDS);
    let (count, first_at) =
        store::challenge::count_by_target(tx, &target.key, purpose, since).await?;
    if count >= budget {
        return Ok(HourlyBudget::TargetExhausted(too_many(first_at, at)));
    }
    let (count, first_at) =
        store::challenge::count_by_budget(tx, &target.budget_key, purpose, since).await?;
    if count >= budget {
        return Ok(HourlyBudget::MailboxExhausted(too_many(first_at, at)));
    }
    Ok(HourlyBudget::Available)
}

fn too_many(first_at: Option<Moment>, at: Moment) -> Refusal {
    let free_at = first_at.unwrap_or(at).plus_seconds(BUDGET_SECONDS);
    Refusal::RateLimited {
        // Rounded up: a request after that many seconds is accepted.
        retry_after_seconds: (free_at - at).saturating_add(999).div_euclid(1000).max(1),
    }
}

fn message(
    app: &App,
    visit: &Visit,
    request: &CodeRequest<'_>,
    opened: &Opened,
) -> Result<OutgoingMessage, Fault> {
    let site = &visit.site.site;
    let has_code = request.template != TemplateName::AccountExists;
    let letter = Letter {
        channel: opened.challenge.channel,
        // A registration has no user yet; its target is the address or number.
        user_id: (request.purpose != Purpose::Registration).then(|| request.target.key.clone()),
        recipient: request.recipient.clone(),
        template: request.template,
        custom: request.choice.custom(&request.locale).filter(|_| has_code),
        suppressed: request.suppressed,
        challenge: Some(opened.challenge.identifier_hash),
        locale: request.locale.clone(),
        site_id: site.id.clone(),
        host: site.authority().to_owned(),
        variables: Variables {
            site_name: site.display_name().to_owned(),
            host: site.authority().to_owned(),
            code: has_code.then(|| opened.code.clone()),
            valid_minutes: u32::try_from(request.rules.lifetime_seconds / 60).unwrap_or(1),
            first_name: request.first_name.clone(),
        },
        expires_at: opened.challenge.expires_at,
    };
    delivery::queue(&letter, visit.at, &app.entropy, &app.keyring)
}
