//! Assembly: from a config to an app.

use std::sync::Arc;

use super::place::{Exit, read_secret};
use crate::app::{App, Parts};
use crate::captcha::verifier::{Captcha, Verifiers};
use crate::config::{Config, SmtpConfig};
use crate::delivery::smtp::{SmtpRelay, SmtpSettings};
use crate::delivery::{Channels, Gateway, Inbox};
use crate::hashing::Hasher;
use crate::metrics::Metrics;
use crate::moment::{Clock, Entropy};
use crate::sealing::Keyring;
use crate::store::Store;

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
    let verifiers = Verifiers {
        // Only `vestibule dev` has an inbox, and only it works without people.
        is_test_allowed: world.inbox.is_some(),
        ..config.verifiers().map_err(Exit::refused)?
    };
    let app = App::assemble(Parts {
        captcha: Captcha::new(verifiers)?,
        channels: Channels {
            email,
            sms: fallback(&world.inbox),
        },
        clock: world.clock,
        entropy: world.entropy,
        hasher: Hasher::start(config.hashing_threads(), config.hashing.queue),
        keyring: world.keyring,
        limits: config.limits.clone(),
        metrics: world.metrics,
        otp: config.otp.clone(),
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
