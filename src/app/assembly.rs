//! The assembly of [`App`]: from a config and a [`World`] to an app.
//!
//! It is the only place that makes an [`App`]. A server, `vestibule dev` and the tests differ in their
//! config and in their `World`, and in nothing else.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;

use super::gateways::{email_gateway, sms_gateway};
use super::{
    Admission, App, AssemblyProblem, Delivery, Directory, ExposedHosts, HandlerEngines,
    warn_of_test_captcha,
};
use crate::admission::RateLimiter;
use crate::captcha::verifier::{Captcha, Verifiers};
use crate::config::{Config, ConfigProblem};
use crate::delivery::template::Templates;
use crate::delivery::{Channels, Gateway, Inbox};
use crate::handler::script::ScriptEngine;
use crate::hashing::Hasher;
use crate::metrics::Metrics;
use crate::moment::{Clock, Entropy, Moment};
use crate::outbound::{AddressRule, NameResolver, Outbound};
use crate::refusal::Fault;
use crate::sealing::Keyring;
use crate::store::{self, Store};

/// What an app gets in addition to its config: everything that a test may replace.
pub struct World {
    /// What time it is.
    pub clock: Clock,
    /// The additional names of an exposed `vestibule dev`.
    pub exposed: Option<ExposedHosts>,
    /// The mail gateway, in place of the one that the config names.
    pub email: Option<Gateway>,
    /// Where randomness comes from.
    pub entropy: Entropy,
    /// Takes the messages for which there is no gateway. `vestibule serve` has none. With an inbox the
    /// app also answers captchas of the provider `test`.
    pub inbox: Option<Arc<Inbox>>,
    /// The keys under the master key.
    pub keyring: Keyring,
    /// The counters; the same that the store has.
    pub metrics: Arc<Metrics>,
    /// Resolves the names of hosts that handlers call.
    pub names: NameResolver,
    /// The gateway of text messages, in place of the one that the config names.
    pub sms: Option<Gateway>,
    /// The database, with its schema in place.
    pub store: Store,
}

impl World {
    /// The world of a server: the system's clock, randomness and resolver, the gateways of the config,
    /// and no inbox.
    pub fn of_server(keyring: Keyring, metrics: Arc<Metrics>, store: Store) -> World {
        World {
            clock: Clock::System,
            exposed: None,
            email: None,
            entropy: Entropy::Os,
            inbox: None,
            keyring,
            metrics,
            names: NameResolver::System,
            sms: None,
            store,
        }
    }
}

impl App {
    /// Assembles an app and loads the directory. Connects to the database only.
    ///
    /// # Errors
    /// The config names a gateway that cannot be used; or the database is unavailable, holds no
    /// installation, or holds one under another master key.
    pub async fn assemble(config: &Config, world: World) -> Result<App, AssemblyProblem> {
        let is_test_captcha_allowed = world.inbox.is_some();
        let proxy = config.outbound.forward_proxy()?;
        let sms = match world.sms {
            Some(gateway) => Some(gateway),
            None => sms_gateway(&config.sms, proxy.as_ref())?,
        };
        let delivery = Delivery {
            channels: channels(config, world.inbox, world.email, sms)?,
            sms_policy: config.sms_policy().map_err(ConfigProblem::Rule)?,
            templates: Templates::new(),
        };
        let admission = Admission {
            captcha: Captcha::new(Verifiers {
                is_test_allowed: is_test_captcha_allowed,
                proxy: proxy.clone(),
                ..config.verifiers().map_err(ConfigProblem::Rule)?
            })?,
            counts_codes_per_hour: config.limits.enabled,
            rate_limiter: RateLimiter::new(
                config.limits.rules_in_force(),
                Arc::clone(&world.metrics),
            ),
        };
        let rule = AddressRule {
            names: world.names,
            proxy,
            ..config.handlers.address_rule()
        };
        let handlers = HandlerEngines {
            calls_kept_days: config.handlers.calls_kept_days,
            outbound: Arc::new(Outbound::guarded(config.handlers.bounds(), rule)?),
            scripts: Arc::new(ScriptEngine::new(config.handlers.script_limits())?),
        };
        let (store, keyring) = (world.store, world.keyring);
        let directory = Directory::load(&store, &keyring, &handlers.scripts, None).await?;
        warn_of_test_captcha(&admission.captcha, &directory);
        warn_of_future(&store, world.clock.now()).await?;
        Ok(App {
            admission,
            clock: world.clock,
            delivery,
            directory: ArcSwap::from_pointee(directory),
            entropy: world.entropy,
            exposed: world.exposed,
            handlers,
            hasher: Hasher::start(config.hashing_threads(), config.hashing.queue),
            is_stale: AtomicBool::new(false),
            key_rules: config.keys.rules(),
            keyring,
            metrics: world.metrics,
            otp: config.otp.clone(),
            store: Arc::new(store),
        })
    }
}

/// How far the newest event may lie in the future before the clock is doubted: nodes differ by less.
const AHEAD_SECONDS_MAX: i64 = 60;

/// Warns of a clock that is behind the data: it was set back, or another node's is ahead. Then codes, lockouts and tokens
/// end later than they should.
async fn warn_of_future(store: &Store, at: Moment) -> Result<(), Fault> {
    let newest = store
        .read("audit.newest", &(), |tx, ()| {
            Box::pin(store::audit::list(tx, 1))
        })
        .await?;
    if let Some(event) = newest
        .first()
        .filter(|event| event.at > at.plus_seconds(AHEAD_SECONDS_MAX))
    {
        tracing::warn!(
            newest = event.at.iso_seconds(),
            now = at.iso_seconds(),
            "the newest event in the database lies in the future: is the clock of this machine right?"
        );
    }
    Ok(())
}

/// The gateway of each channel: the given one, the config's mail relay, the inbox, or none.
fn channels(
    config: &Config,
    inbox: Option<Arc<Inbox>>,
    email: Option<Gateway>,
    sms: Option<Gateway>,
) -> Result<Channels, AssemblyProblem> {
    let otherwise = || match &inbox {
        Some(inbox) => Gateway::Inbox(Arc::clone(inbox)),
        None => Gateway::None,
    };
    let email = match email {
        Some(gateway) => Some(gateway),
        None => email_gateway(&config.smtp)?,
    };
    Ok(Channels {
        email: email.unwrap_or_else(otherwise),
        sms: sms.unwrap_or_else(otherwise),
    })
}
