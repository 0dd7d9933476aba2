//! Assembly: from a config to an app.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::place::{Exit, read_secret};
use crate::app::{App, Parts};
use crate::captcha::verifier::{Captcha, Verifiers};
use crate::config::{Config, SmsConfig, SmtpConfig};
use crate::delivery::sms::twilio::{TWILIO, Twilio};
use crate::delivery::sms::webhook::Webhook;
use crate::delivery::sms::{Provider, SmsGateway};
use crate::delivery::smtp::{SmtpRelay, SmtpSettings};
use crate::delivery::{Channels, Gateway, Inbox};
use crate::handler::script::ScriptEngine;
use crate::hashing::Hasher;
use crate::metrics::Metrics;
use crate::moment::{Clock, Entropy};
use crate::outbound::{Outbound, check_url};
use crate::sealing::Keyring;
use crate::store::Store;
use vestibule_protocol::secret::Secret;

/// What the app gets besides its config.
pub struct World {
    pub clock: Clock,
    pub entropy: Entropy,
    pub keyring: Keyring,
    pub metrics: Arc<Metrics>,
    pub store: Store,
    /// Where messages land that no relay takes; none in `vestibule serve`.
    pub inbox: Option<Arc<Inbox>>,
}

/// Puts an app together.
pub async fn assemble(config: &Config, world: World) -> Result<Arc<App>, Exit> {
    let fallback = |inbox: &Option<Arc<Inbox>>| match inbox {
        Some(inbox) => Gateway::Inbox(Arc::clone(inbox)),
        None => Gateway::None,
    };
    let email = match relay(&config.smtp)? {
        Some(gateway) => gateway,
        None => fallback(&world.inbox),
    };
    let sms = match sms_gateway(&config.sms)? {
        Some(gateway) => gateway,
        None => fallback(&world.inbox),
    };
    let verifiers = Verifiers {
        // Only `vestibule dev` has an inbox, and only it works without people.
        is_test_allowed: world.inbox.is_some(),
        ..config.verifiers().map_err(Exit::refused)?
    };
    let app = App::assemble(Parts {
        captcha: Captcha::new(verifiers)?,
        channels: Channels { email, sms },
        clock: world.clock,
        entropy: world.entropy,
        hasher: Hasher::start(config.hashing_threads(), config.hashing.queue),
        key_rules: config.keys.rules(),
        keyring: world.keyring,
        limits: config.limits.clone(),
        metrics: world.metrics,
        otp: config.otp.clone(),
        outbound: Outbound::guarded(config.handlers.bounds(), config.handlers.address_rule())?,
        scripts: Arc::new(ScriptEngine::new(config.handlers.script_limits())?),
        sms_policy: config.sms_policy().map_err(Exit::refused)?,
        store: world.store,
    })
    .await?;
    Ok(Arc::new(app))
}

/// Checks the mail relay of a config without connecting to it.
pub fn check_relay(smtp: &SmtpConfig) -> Result<(), Exit> {
    relay(smtp).map(|_| ())
}

/// Checks the provider of text messages of a config without connecting to it.
pub fn check_sms(sms: &SmsConfig) -> Result<(), Exit> {
    sms_gateway(sms).map(|_| ())
}

/// The provider of text messages of a config, if it names one.
fn sms_gateway(sms: &SmsConfig) -> Result<Option<Gateway>, Exit> {
    let refused = |reason: String| Exit::refused(format!("[sms] {reason}"));
    let provider = match (&sms.webhook_url, &sms.twilio_account_sid) {
        (Some(url), _) => {
            let secret = secret_of("webhook_secret_file", sms.webhook_secret_file.as_deref())?;
            let url = check_url(url).map_err(refused)?;
            Provider::Webhook(Webhook::new(url, secret.as_ref()))
        }
        (None, Some(account)) => {
            let key = "twilio_auth_token_file";
            let token = secret_of(key, sms.twilio_auth_token_file.as_deref())?;
            let token = token.ok_or_else(|| refused(format!("{key} is needed for Twilio")))?;
            let base = sms.twilio_url.as_deref().unwrap_or(TWILIO);
            let base = check_url(base).map_err(refused)?;
            let from = sms.from.clone().unwrap_or_default();
            Provider::Twilio(Twilio::new(&base, account, &token, from).map_err(refused)?)
        }
        (None, None) => return Ok(None),
    };
    let deadline = Duration::from_millis(sms.timeout_ms);
    let gateway = SmsGateway::new(provider, deadline, sms.connections)?;
    Ok(Some(Gateway::Sms(Box::new(gateway))))
}

/// A secret of `[sms]` from its file. An empty one would sign nothing and open nothing.
fn secret_of(key: &str, path: Option<&Path>) -> Result<Option<Secret>, Exit> {
    let secret = path.map(read_secret).transpose()?;
    if secret.as_ref().is_some_and(Secret::is_empty) {
        return Err(Exit::refused(format!("[sms] {key}: the file is empty")));
    }
    Ok(secret)
}

/// The mail relay of a config, if it names one.
pub fn relay(smtp: &SmtpConfig) -> Result<Option<Gateway>, Exit> {
    let (Some(url), Some(from)) = (&smtp.url, &smtp.from) else {
        return Ok(None);
    };
    let password = smtp.password_file.as_deref().map(read_secret).transpose()?;
    let refused = |reason: String| Exit::refused(format!("[smtp] {reason}"));
    let mut settings = SmtpSettings::parse(url, from, password).map_err(refused)?;
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
