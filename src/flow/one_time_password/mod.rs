//! What the flows with a one-time password have in common: opening a challenge with its message, and comparing a
//! presented code.
//!
//! Both are one write each, named after the flow. Nothing here depends on whether the user exists: a decoy is a
//! challenge that no code opens, with a message that is never sent, written by the same statements (`docs/reference/enumeration.md`).
//!
//! A request that is repeated while its code is valid sends the same code again: people ask twice, and mails overtake
//! each other. How many codes may be asked for is counted in `budget`.

mod budget;
mod comparison;

use vestibule_protocol::headless::VerificationMethod;
use vestibule_protocol::purpose::Purpose;

use crate::app::{App, Visit};
use crate::captcha::{self, Verified};
use crate::delivery::template::TemplateName;
use crate::delivery::{self, Letter, Variables};
use crate::identity::phone::PhoneNumber;
use crate::identity::text_message::SmsBudget;
use crate::outgoing::{OutgoingMessage, Suppression};
use crate::refusal::{Failure, Fault, Refusal};
use crate::settings::Choice;
use crate::store::challenge::CodeScope;
use crate::store::turn::Turn;
use crate::store::{self, Transaction};
use crate::verification::{Challenge, NewChallenge, Opened, OtpRules, Requester, SentCode, Target};
use budget::Budget;
pub use budget::check_budget;
pub use comparison::{Comparison, WrongCode, attempt, failed, report_failure};

/// How often a request is written again because a concurrent one has sent or used the code in between.
const RACES_MAX: usize = 8;

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
    /// Who asks, and whose budget of codes it uses.
    pub requester: Requester,
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
    /// Whether the response discloses that no text message may be sent to the number at all: to a caller that sent the
    /// number itself, or that may know of the account. For other callers the response is that of a message that is
    /// sent.
    pub is_block_disclosed: bool,
}

/// Opens a challenge: the row, the message, the spent captcha and, with a new code, the end of older ones, in one write
/// named `name`. Returns the request identifier.
///
/// # Refusals
/// `CodesExhausted`, `RecaptchaInvalid` for a captcha that was spent before, `TextMessageBlocked`.
pub async fn open(
    app: &App,
    visit: &Visit,
    name: &'static str,
    mut request: CodeRequest<'_>,
) -> Result<String, Failure> {
    let purpose = request.purpose;
    let texts = texts(app, visit, &mut request)?;
    let subject = CodeScope {
        reference_key: request.requester.reference_key.clone(),
        purpose,
        site_id: visit.site.site.id.clone(),
        channel: request.method.unwrap_or(VerificationMethod::Email),
        lifetime_seconds: request.rules.lifetime_seconds,
    };
    for _ in 0..RACES_MAX {
        let live = app
            .store
            .read(
                "code.find",
                &(subject.clone(), visit.at),
                |tx, (subject, at)| Box::pin(store::challenge::find_live_code(tx, subject, *at)),
            )
            .await?;
        let (identifier, write) = prepare(app, visit, &request, live, texts.clone(), &subject)?;
        let saved = app
            .store
            .write(name, write, |tx, write| Box::pin(write.run(tx)))
            .await?;
        match saved {
            OpenOutcome::Opened => {
                app.metrics.one_time_password(purpose.as_str(), "issued");
                return Ok(identifier);
            }
            OpenOutcome::Raced => {}
            OpenOutcome::Refused(refusal) => {
                app.metrics.one_time_password(purpose.as_str(), "limited");
                return Err(refusal.into());
            }
        }
    }
    Err(Refusal::TooBusy.into())
}

/// The write that opens a challenge with the live code or with a new one, and the identifier of its request.
fn prepare(
    app: &App,
    visit: &Visit,
    request: &CodeRequest<'_>,
    live: Option<SentCode>,
    texts: Option<SmsBudget>,
    subject: &CodeScope,
) -> Result<(String, OpenWrite), Fault> {
    let mut opened = Challenge::open(
        NewChallenge {
            purpose: request.purpose,
            site_id: &visit.site.site.id,
            method: request.method,
            target: request.target.clone(),
            requester: request.requester.clone(),
            payload: request.payload.clone(),
        },
        live.clone(),
        request.rules,
        visit.at,
        &app.entropy,
        &app.keyring,
    )?;
    let unsent = match &texts {
        Some(_) => Suppression::TextMessageBlocked,
        None => Suppression::TooManyCodes,
    };
    let message = message(app, visit, request, &opened, request.suppressed)?;
    let suppressed = request.suppressed.unwrap_or(unsent);
    let unsent = self::message(app, visit, request, &opened, Some(suppressed))?;
    if request.is_decoy {
        opened.challenge.code_mac = None;
    }
    let write = OpenWrite {
        challenge: opened.challenge,
        live,
        subject: subject.clone(),
        message,
        unsent,
        budget: Budget::of(app, request.purpose),
        captcha: request.captcha.clone(),
        texts,
    };
    Ok((opened.identifier, write))
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

/// What a text message takes of the day's messages; `None` for a mail. A decoy takes one, too, or the counts would
/// disclose which messages are sent.
fn texts(
    app: &App,
    visit: &Visit,
    request: &mut CodeRequest<'_>,
) -> Result<Option<SmsBudget>, Refusal> {
    if request.method != Some(VerificationMethod::Sms) {
        return Ok(None);
    }
    let policy = &app.delivery.sms_policy;
    let number = match request.suppressed {
        Some(_) => None,
        None => PhoneNumber::parse(&request.recipient).ok(),
    };
    Ok(Some(
        match number.map(|number| (policy.check(&number), number)) {
            Some((Ok(country), number)) if request.purpose == Purpose::Registration => {
                policy.budget(&number, country, visit.at)
            }
            Some((Ok(country), number)) => policy.budget_on_file(&number, country, visit.at),
            Some((Err(_), _)) if request.is_block_disclosed => {
                return Err(Refusal::TextMessageBlocked);
            }
            Some((Err(_), _)) => {
                let reason = Suppression::TextMessageBlocked;
                request.suppressed.get_or_insert(reason);
                policy.decoy_budget(visit.at)
            }
            None => policy.decoy_budget(visit.at),
        },
    ))
}

/// The write that opens a challenge.
struct OpenWrite {
    challenge: Challenge,
    /// The code that the challenge sends again; `None` when its code is new.
    live: Option<SentCode>,
    subject: CodeScope,
    message: OutgoingMessage,
    /// What is queued in place of the message when the codes of the hour or the text messages of the day are used up
    /// and the caller does not learn of it.
    unsent: OutgoingMessage,
    budget: Option<Budget>,
    captcha: Option<Verified>,
    /// What is taken of the day's text messages.
    texts: Option<SmsBudget>,
}

/// What became of a write.
enum OpenOutcome {
    /// The challenge is open, and the message is queued.
    Opened,
    /// A concurrent request has sent or used the code since it was read: nothing was written.
    Raced,
    /// The request is refused: nothing was written but the captcha.
    Refused(Refusal),
}

impl OpenWrite {
    async fn run(&self, tx: &mut Transaction<'_>) -> Result<OpenOutcome, Fault> {
        let mut challenge = self.challenge.clone();
        let at = challenge.created_at;
        // Of concurrent requests for one user or mailbox, each counts and ends those before it. All requests take the
        // turns in the same order.
        let mut turns = [&challenge.target.key, &challenge.target.budget_key];
        turns.sort();
        for key in turns {
            store::turn::take(tx, Turn::Budget(key), at).await?;
        }
        if store::challenge::find_live_code(tx, &self.subject, at).await? != self.live {
            return Ok(OpenOutcome::Raced);
        }
        if let Some(captcha) = &self.captcha
            && !store::captcha_token::spend(tx, captcha).await?
        {
            return Ok(OpenOutcome::Refused(captcha::spent_before()));
        }
        challenge.requester.class = budget::class_of(tx, &challenge).await?;
        let mut is_exhausted = false;
        if let Some(budget) = &self.budget {
            if let Some(refusal) = budget.refusal(tx, &challenge).await? {
                return Ok(OpenOutcome::Refused(refusal));
            }
            is_exhausted = budget.is_exhausted(tx, &challenge).await?;
        }
        if let Some(texts) = &self.texts
            && !store::sms_count::take(tx, texts).await?
        {
            if challenge.requester.is_backend() {
                return Ok(OpenOutcome::Refused(Refusal::TextMessageBlocked));
            }
            is_exhausted = true;
        }
        let message = if is_exhausted {
            &self.unsent
        } else {
            &self.message
        };
        if self.live.is_none() {
            if is_exhausted {
                // A code that is not sent replaces none that was.
                challenge.code_mac = None;
            } else {
                store::challenge::end_older(tx, &challenge).await?;
            }
        }
        store::challenge::insert(tx, &challenge).await?;
        store::outbox::insert(tx, message).await?;
        Ok(OpenOutcome::Opened)
    }
}

fn message(
    app: &App,
    visit: &Visit,
    request: &CodeRequest<'_>,
    opened: &Opened,
    suppressed: Option<Suppression>,
) -> Result<OutgoingMessage, Fault> {
    let site = &visit.site.site;
    let has_code = request.template != TemplateName::AccountExists;
    let named = request
        .choice
        .built_in(&request.locale)
        .map(TemplateName::of);
    let template = named.filter(|_| has_code).unwrap_or(request.template);
    let letter = Letter {
        channel: opened.challenge.channel,
        // A registration has no user yet; its target is the address or number.
        user_id: (request.purpose != Purpose::Registration).then(|| request.target.key.clone()),
        recipient: request.recipient.clone(),
        template,
        custom: request.choice.custom(&request.locale).filter(|_| has_code),
        suppressed,
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
