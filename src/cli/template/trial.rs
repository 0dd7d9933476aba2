//! A mail that is tried out: shown with sample values, or sent with a sample code.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use vestibule_protocol::headless::VerificationMethod;
use vestibule_protocol::purpose::Purpose;

use crate::admin::{Admin, site, template};
use crate::app::email_gateway;
use crate::cli::exit::Exit;
use crate::cli::place::Place;
use crate::delivery::message::{OutgoingMail, Rendered};
use crate::delivery::smtp::{SendOutcome, SmtpRelay};
use crate::delivery::template::{TemplateName, Templates};
use crate::delivery::{self, Gateway, Letter, Variables};
use crate::identity::email::EmailAddress;
use crate::moment::Stopwatch;
use crate::outgoing::{MessageStatus, OutgoingMessage};
use crate::settings::{Site, Template};

/// A mail of a template, built in or not.
pub struct Mail {
    name: String,
    kind: TemplateName,
    language: String,
    custom: Option<Template>,
}

impl Mail {
    /// The template of a developer name.
    pub async fn find(admin: &Admin<'_>, name: &str, language: &str) -> Result<Mail, Exit> {
        let custom = match Purpose::of_built_in_template(name) {
            Some(_) => None,
            None => Some(template::load(admin, name).await?),
        };
        let flow = custom.as_ref().map(|custom| custom.flow);
        let flow = flow.or_else(|| Purpose::of_built_in_template(name));
        let kind = TemplateName::of(flow.expect("a template is built in or has a flow"));
        Ok(Mail {
            name: name.to_owned(),
            kind,
            language: custom
                .as_ref()
                .map_or_else(|| language.to_owned(), |custom| custom.language.clone()),
            custom,
        })
    }

    /// Prints it with sample values, and writes its HTML part into a file.
    pub async fn preview(
        &self,
        place: &Place,
        admin: &Admin<'_>,
        html: Option<&Path>,
    ) -> Result<(), Exit> {
        let site = first_site(admin).await?;
        let mail = self.rendered(&values(site.as_ref()))?;
        if let Some(path) = html {
            let page = mail
                .html
                .as_ref()
                .ok_or_else(|| Exit::missing(format!("{:?} has no HTML part", self.name)))?;
            std::fs::write(path, page)
                .map_err(|error| Exit::broken(format!("{}: {error}", path.display())))?;
        }
        let json = json!({
            "name": self.name, "subject": mail.subject, "text": mail.text, "html": mail.html,
        });
        place.print(&json, format!("Subject: {}\n\n{}", mail.subject, mail.text))
    }

    /// Sends it: by the relay of the config, or else by a `vestibule dev` that runs, into its inbox.
    pub async fn send(
        &self,
        place: &Place,
        admin: &Admin<'_>,
        to: &str,
        seconds: u64,
    ) -> Result<(), Exit> {
        let to = EmailAddress::parse(to)
            .map_err(|_| Exit::refused(format!("{to:?} is no email address")))?;
        let config = place.load_config()?;
        let site = first_site(admin).await?;
        let row = self.row(admin, site.as_ref(), to.as_str())?;
        let outcome = match email_gateway(&config.smtp)? {
            Some(Gateway::Smtp { relay, from }) => {
                let mail = OutgoingMail {
                    message_id: row.message_id,
                    to: row.recipient,
                    from,
                    rendered: self.rendered(&values(site.as_ref()))?,
                    date_at_ms: admin.at.millis(),
                };
                by_relay(&relay, &mail).await?
            }
            _ if place.data_dir().is_some() => by_server(admin, row, seconds).await?,
            _ => {
                let reason = "no mail relay is configured: set [smtp] url and from";
                return Err(Exit::refused(reason));
            }
        };
        let json = json!({"name": self.name, "to": to.as_str(), "outcome": outcome});
        place.print(&json, format!("{to}: {outcome}"))
    }

    fn rendered(&self, values: &Variables) -> Result<Rendered, Exit> {
        let rendered = match &self.custom {
            None => Templates::new().render(self.kind, &self.language, values),
            Some(custom) => {
                let html = custom.html.as_deref();
                Templates::compile_custom(&custom.language, &custom.subject, &custom.text, html)
                    .and_then(|template| template.render(values))
            }
        };
        rendered.map_err(|problem| Exit::refused(problem.to_string()))
    }

    /// The outbox row of the mail.
    fn row(
        &self,
        admin: &Admin<'_>,
        site: Option<&Site>,
        to: &str,
    ) -> Result<OutgoingMessage, Exit> {
        let host = site.map_or("localhost", Site::authority);
        // A server knows a template that was just made after a second; before, it would send the built-in one.
        let at = admin.at.plus_seconds(1);
        let letter = Letter {
            channel: VerificationMethod::Email,
            user_id: None,
            recipient: to.to_owned(),
            template: self.kind,
            custom: self.custom.as_ref().map(|custom| custom.name.clone()),
            locale: self.language.clone(),
            site_id: site.map_or_else(String::new, |site| site.id.clone()),
            host: host.to_owned(),
            variables: Variables {
                host: host.to_owned(),
                ..values(site)
            },
            suppressed: None,
            challenge: None,
            expires_at: at.plus_seconds(LIFETIME_SECONDS),
        };
        let (entropy, keyring) = (admin.entropy, admin.keyring);
        Ok(delivery::queue(&letter, at, entropy, keyring)?)
    }
}

async fn by_relay(relay: &SmtpRelay, mail: &OutgoingMail) -> Result<String, Exit> {
    match relay.send(mail).await {
        SendOutcome::Sent { response } => Ok(format!("the relay accepted it: {response}")),
        SendOutcome::Retry { reason } | SendOutcome::Reject { reason } => Err(Exit::broken(
            format!("the relay did not accept it: {reason}"),
        )),
    }
}

/// Queues the mail and waits for a running server to settle it.
async fn by_server(admin: &Admin<'_>, row: OutgoingMessage, seconds: u64) -> Result<String, Exit> {
    let (id, recipient) = (row.id.clone(), row.recipient.clone());
    template::queue_sample(admin, row).await?;
    let stopwatch = Stopwatch::start();
    loop {
        let message = template::find_sample(admin, &recipient, &id).await?;
        if let Some(message) = message {
            match message.status {
                MessageStatus::Sent => return Ok(String::from("the running server sent it")),
                MessageStatus::Queued | MessageStatus::Sending => {}
                status => {
                    let reason = message.last_reason.unwrap_or_default();
                    return Err(Exit::broken(format!("it was {status}: {reason}")));
                }
            }
        }
        if stopwatch.seconds() > seconds as f64 {
            return Err(Exit::late(format!(
                "no server sent it within {seconds} seconds: it waits in the outbox, and a server that starts within \
                 ten minutes sends it"
            )));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn first_site(admin: &Admin<'_>) -> Result<Option<Site>, Exit> {
    Ok(site::list(admin).await?.into_iter().next())
}

/// Sample values, under the name of the first site.
fn values(site: Option<&Site>) -> Variables {
    let sample = Variables::sample();
    Variables {
        site_name: site.map_or(sample.site_name, |site| site.display_name().to_owned()),
        ..sample
    }
}

/// How long the mail waits for a server.
const LIFETIME_SECONDS: i64 = 600;

/// Pause between two looks at the outbox.
const PAUSE: Duration = Duration::from_millis(50);
