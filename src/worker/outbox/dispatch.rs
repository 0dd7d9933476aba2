//! Dispatch: what becomes of one claimed message.

use std::time::Duration;

use tokio::time::timeout;
use vestibule_protocol::headless::VerificationMethod;

use super::handler;
use crate::app::App;
use crate::delivery::message::{OutgoingMail, Rendered};
use crate::delivery::sms::{SmsGateway, SmsOutcome, TextMessage};
use crate::delivery::smtp::SendOutcome;
use crate::delivery::template::{TemplateName, Variables};
use crate::delivery::{Contents, Gateway, InboxMessage, open_contents};
use crate::identity::country::Country;
use crate::identity::phone::PhoneNumber;
use crate::identity::text_message::SmsStatus;
use crate::moment::Moment;
use crate::outgoing::{OutgoingMessage, Settlement, Suppression};
use crate::store;

/// Renders and sends a message, and says what became of it. Whether its code still lives is asked now,
/// not when it was claimed.
pub(super) async fn deliver(app: &App, message: &OutgoingMessage) -> Settlement {
    if message.expires_at <= app.now() {
        return Settlement::Expired;
    }
    let contents = match open_contents(&app.keyring, &message.id, &message.sealed) {
        Ok(contents) => contents,
        Err(fault) => {
            return Settlement::Abandoned {
                reason: fault.to_string(),
            };
        }
    };
    let gateway = app.delivery.channels.gateway(message.channel);
    if let Some(reason) = contents.suppressed {
        if let Gateway::Inbox(inbox) = gateway {
            inbox.put(suppressed_in_the_inbox(message, reason, app.now()));
        }
        return Settlement::Suppressed { reason };
    }
    if message.attempts > 1 && is_superseded(app, &contents).await {
        return Settlement::Expired;
    }
    let rendered = match render(app, message, &contents) {
        Ok(rendered) => rendered,
        Err(reason) => return Settlement::Abandoned { reason },
    };
    match handler::site_with_handler(app, message) {
        Some(site) => {
            let text = &rendered.mail.text;
            let outcome = Box::pin(handler::send(app, site, message, &contents, text)).await;
            settlement_of(app, message, outcome)
        }
        None => send(app, message, gateway, contents, rendered).await,
    }
}

/// Whether a newer request has closed the challenge whose code waits: the user would get the older code
/// last. It is asked at a second try only, before which hardly any is closed.
async fn is_superseded(app: &App, contents: &Contents) -> bool {
    let Some(hash) = contents.challenge else {
        return false;
    };
    let open = app.store.read("challenge.is_open", &hash, |tx, hash| {
        Box::pin(store::challenge::is_open(tx, hash))
    });
    // Without the database the answer is unknown; a message too many is better than none.
    matches!(open.await, Ok(false))
}

async fn send(
    app: &App,
    message: &OutgoingMessage,
    gateway: &Gateway,
    contents: Contents,
    rendered: Worded,
) -> Settlement {
    match gateway {
        Gateway::None => retry(
            app,
            message,
            format!("there is no gateway for {} messages", message.channel),
        ),
        Gateway::Inbox(inbox) => {
            inbox.put(in_the_inbox(message, contents, rendered, app.now()));
            if message.channel == VerificationMethod::Sms {
                count_text_message(app, message, SmsStatus::Success);
            }
            Settlement::Sent
        }
        Gateway::Sms(gateway) => send_text(app, message, gateway, rendered.mail.text).await,
        Gateway::Smtp { relay, from } => {
            let mail = OutgoingMail {
                message_id: message.message_id.clone(),
                to: message.recipient.clone(),
                from: from.clone(),
                rendered: rendered.mail,
                date_at_ms: message.created_at.millis(),
            };
            match timeout(send_limit(gateway), Box::pin(relay.send(&mail))).await {
                Ok(SendOutcome::Sent { .. }) => Settlement::Sent,
                Ok(SendOutcome::Retry { reason }) => retry(app, message, reason),
                Ok(SendOutcome::Reject { reason }) => Settlement::Abandoned { reason },
                Err(_) => retry(app, message, String::from("the relay was too slow")),
            }
        }
    }
}

async fn send_text(
    app: &App,
    message: &OutgoingMessage,
    gateway: &SmsGateway,
    text: String,
) -> Settlement {
    let text = TextMessage {
        message_id: message.message_id.clone(),
        to: message.recipient.clone(),
        text,
        site_id: message.site_id.clone(),
        template: message.template.clone(),
        language: message.language.clone(),
    };
    let outcome = gateway.send(&text, app.now()).await;
    settlement_of(app, message, outcome)
}

/// What a try to send a text message comes to. It is counted for each kind of gateway.
fn settlement_of(app: &App, message: &OutgoingMessage, outcome: SmsOutcome) -> Settlement {
    let (status, settlement) = match outcome {
        SmsOutcome::Sent => (SmsStatus::Success, Settlement::Sent),
        SmsOutcome::Retry { status, reason } => (status, retry(app, message, reason)),
        SmsOutcome::Reject { status, reason } => (status, Settlement::Abandoned { reason }),
    };
    count_text_message(app, message, status);
    settlement
}

/// Counts a try by country and status, and what it cost if it went out.
fn count_text_message(app: &App, message: &OutgoingMessage, status: SmsStatus) {
    let number = PhoneNumber::parse(&message.recipient).ok();
    let country = number.and_then(|number| Country::of(&number));
    let cost_micros = match (status, country) {
        (SmsStatus::Success, Some(country)) => app.delivery.sms_policy.cost_micros(country),
        _ => 0,
    };
    let country = country.map_or("unknown", Country::as_str);
    app.metrics
        .text_message(country, status.as_str(), cost_micros);
}

fn in_the_inbox(
    message: &OutgoingMessage,
    contents: Contents,
    rendered: Worded,
    at: Moment,
) -> InboxMessage {
    InboxMessage {
        template: rendered.template,
        subject: rendered.mail.subject,
        text: rendered.mail.text,
        html: rendered.mail.html,
        suppressed: (message.template == TemplateName::AccountExists.as_str())
            .then(|| String::from("the address already has an account")),
        code: contents.variables.code.map(|code| code.expose().to_owned()),
        ..empty_in_the_inbox(message, at)
    }
}

/// A message with everything that is known without its contents.
fn empty_in_the_inbox(message: &OutgoingMessage, at: Moment) -> InboxMessage {
    InboxMessage {
        id: message.id.clone(),
        to: message.recipient.clone(),
        channel: message.channel.to_string(),
        template: message.template.clone(),
        subject: String::new(),
        text: String::new(),
        html: None,
        code: None,
        message_id: message.message_id.clone(),
        sent_at: at.millis(),
        suppressed: None,
    }
}

/// A message without text, which shows the developer of an app why no other was sent.
fn suppressed_in_the_inbox(
    message: &OutgoingMessage,
    reason: Suppression,
    at: Moment,
) -> InboxMessage {
    InboxMessage {
        suppressed: Some(String::from(reason.as_str())),
        ..empty_in_the_inbox(message, at)
    }
}

/// A message's words, and the template that they come from.
struct Worded {
    template: String,
    mail: Rendered,
}

fn render(app: &App, message: &OutgoingMessage, contents: &Contents) -> Result<Worded, String> {
    let name = TemplateName::parse(&message.template)
        .ok_or_else(|| format!("there is no template {:?}", message.template))?;
    let variables = &contents.variables;
    if message.channel == VerificationMethod::Email {
        if let Some(custom) = render_custom(app, contents.custom.as_deref(), variables) {
            return Ok(custom);
        }
        let rendered = app
            .delivery
            .templates
            .render(name, &message.language, variables);
        return rendered
            .map(|mail| Worded {
                template: message.template.clone(),
                mail,
            })
            .map_err(|problem| problem.to_string());
    }
    let host = variables.host.split(':').next();
    let text = app
        .delivery
        .templates
        .render_sms(name, &message.language, host, variables)
        .map_err(|problem| problem.to_string())?;
    Ok(Worded {
        template: message.template.clone(),
        mail: Rendered {
            subject: String::new(),
            text,
            html: None,
        },
    })
}

/// The text of an administrator's template. The built-in template replaces it where it is gone or fails: a user
/// waits for the code.
fn render_custom(app: &App, custom: Option<&str>, variables: &Variables) -> Option<Worded> {
    let custom = custom?;
    let Some(template) = app.directory().template(custom) else {
        tracing::warn!(
            template = custom,
            "the custom template is gone: the built-in one is used"
        );
        return None;
    };
    match template.render(variables) {
        Ok(mail) => Some(Worded {
            template: custom.to_owned(),
            mail,
        }),
        Err(problem) => {
            tracing::warn!(template = custom, %problem, "the custom template failed: the built-in one is used");
            None
        }
    }
}

/// The pause doubles from one second and counts from now. There is no last try: the end of its code is
/// the end of a message, and a relay that was away for hours still gets those that live.
fn retry(app: &App, message: &OutgoingMessage, reason: String) -> Settlement {
    let pause = 1i64 << message.attempts.clamp(1, 20).saturating_sub(1);
    Settlement::Retry {
        due_at: app.now().plus_seconds(pause.min(PAUSE_SECONDS_MAX)),
        reason,
    }
}

/// How long a message may take: a conversation with the relay, and its wait for a free connection. It is
/// shorter than the lease, so that no other worker claims a message that is still being sent.
pub(super) fn send_limit(gateway: &Gateway) -> Duration {
    gateway.deadline() + WAIT_LIMIT
}

/// The same for any message of a channel: text messages may go to a site's handler instead.
pub(super) fn channel_limit(app: &App, channel: VerificationMethod) -> Duration {
    let handler = app
        .handlers
        .outbound
        .deadline()
        .max(app.handlers.scripts.limits().deadline);
    let limit = send_limit(app.delivery.channels.gateway(channel));
    match channel {
        VerificationMethod::Email => limit,
        VerificationMethod::Sms => limit.max(handler + WAIT_LIMIT),
    }
}

/// How long a message may wait for a free connection.
const WAIT_LIMIT: Duration = Duration::from_secs(15);

/// The longest pause between two tries.
const PAUSE_SECONDS_MAX: i64 = 300;
