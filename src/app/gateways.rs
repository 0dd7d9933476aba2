//! The gateways that a config names: the mail relay and the provider of text messages.
//!
//! Both are built without a connection, so `vestibule config check` builds them too.

use std::path::Path;
use std::time::Duration;

use vestibule_protocol::secret::Secret;

use super::AssemblyProblem;
use crate::config::{ConfigProblem, SmsConfig, SmtpConfig, read_secret};
use crate::delivery::Gateway;
use crate::delivery::sms::twilio::{TWILIO, Twilio};
use crate::delivery::sms::webhook::Webhook;
use crate::delivery::sms::{SmsGateway, SmsProvider};
use crate::delivery::smtp::{SmtpRelay, SmtpSettings};
use crate::outbound::{ForwardProxy, check_url};

/// The mail relay of a config, if it names one.
///
/// # Errors
/// The URL, the sender or a file that `[smtp]` names cannot be used.
pub fn email_gateway(smtp: &SmtpConfig) -> Result<Option<Gateway>, AssemblyProblem> {
    let (Some(url), Some(from)) = (&smtp.url, &smtp.from) else {
        return Ok(None);
    };
    let password = smtp.password_file.as_deref();
    let password = password.map(|path| read_secret("[smtp] password_file", path));
    let password = password.transpose()?;
    let refused = |reason: String| ConfigProblem::Rule(format!("[smtp] {reason}"));
    let mut settings =
        SmtpSettings::parse(url, from, password.map(Secret::from)).map_err(refused)?;
    settings.ca_file.clone_from(&smtp.ca_file);
    if let Some(seconds) = smtp.timeout_seconds {
        settings.timeout_seconds = seconds;
    }
    if let Some(connections) = smtp.connections {
        settings.pool_max = connections;
    }
    let relay = SmtpRelay::new(settings).map_err(refused)?;
    Ok(Some(Gateway::Smtp {
        relay: Box::new(relay),
        from: from.clone(),
    }))
}

/// The provider of text messages of a config, if it names one. It is called through the proxy, if there is one.
///
/// # Errors
/// The URL, the account or a file that `[sms]` names cannot be used; or the HTTP client cannot be set up.
pub fn sms_gateway(
    sms: &SmsConfig,
    proxy: Option<&ForwardProxy>,
) -> Result<Option<Gateway>, AssemblyProblem> {
    let refused = |reason: String| ConfigProblem::Rule(format!("[sms] {reason}"));
    let provider = match (&sms.webhook_url, &sms.twilio_account_sid) {
        (Some(url), _) => {
            let secret = sms_secret("webhook_secret_file", sms.webhook_secret_file.as_deref())?;
            let url = check_url(url).map_err(refused)?;
            SmsProvider::Webhook(Webhook::new(url, secret.as_ref()))
        }
        (None, Some(account)) => {
            let key = "twilio_auth_token_file";
            let token = sms_secret(key, sms.twilio_auth_token_file.as_deref())?;
            let token = token.ok_or_else(|| refused(format!("{key} is needed for Twilio")))?;
            let base = sms.twilio_url.as_deref().unwrap_or(TWILIO);
            let base = check_url(base).map_err(refused)?;
            let from = sms.from.clone().unwrap_or_default();
            SmsProvider::Twilio(Twilio::new(&base, account, &token, from).map_err(refused)?)
        }
        (None, None) => return Ok(None),
    };
    let deadline = Duration::from_millis(sms.timeout_ms);
    let gateway = SmsGateway::new(provider, deadline, sms.connections, proxy)?;
    Ok(Some(Gateway::Sms(Box::new(gateway))))
}

/// A secret of `[sms]` from its file. With an empty one a signature could be forged, so it is refused.
fn sms_secret(key: &str, path: Option<&Path>) -> Result<Option<Secret>, ConfigProblem> {
    let name = format!("[sms] {key}");
    let secret = path.map(|path| read_secret(&name, path)).transpose()?;
    let secret = secret.map(Secret::from);
    if secret.as_ref().is_some_and(Secret::is_empty) {
        let reason = format!("{name}: the file is empty");
        return Err(ConfigProblem::Rule(reason));
    }
    Ok(secret)
}
