//! The app: what every story may use, in one struct of a dozen fields.
//!
//! It is between the effects (layer 2) and the stories (layer 3). It also answers the two questions
//! that every story asks first: which site is this (the directory), and whose is this access token
//! (`access`). `assembly` makes it.

mod access;
mod admit;
mod assembly;
mod attestation;
mod directory;
mod discovery;
mod exposed;
mod gateways;
mod guessing;
pub mod handlers;
mod passwords;
mod request_attributes;
mod visit;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use vestibule_protocol::headless::VerificationMethod;
use vestibule_protocol::identifier::RecordId;
use vestibule_protocol::purpose::Purpose;

use crate::admission::RateLimiter;
use crate::captcha::CaptchaProvider;
use crate::captcha::verifier::Captcha;
use crate::config::{ConfigProblem, OtpConfig};
use crate::delivery::Channels;
use crate::delivery::template::Templates;
use crate::handler::contract::Contract;
use crate::handler::script::ScriptEngine;
use crate::hashing::Hasher;
use crate::identity::text_message::SmsPolicy;
use crate::metrics::Metrics;
use crate::moment::{Clock, Entropy, Moment};
use crate::outbound::Outbound;
use crate::refusal::Fault;
use crate::sealing::Keyring;
use crate::store::{self, Store};
use crate::token::KeyRules;
use crate::verification::OtpRules;
pub(crate) use access::CLIENT_CREDENTIALS;
pub use access::{Bearer, Guest, TokenUser};
pub use admit::Admitted;
pub use assembly::World;
pub use directory::{CAPTCHA_SECRET_OWNER, Directory, GUEST_USER_TYPE, SiteEntry, guest_user_id};
pub use discovery::{Discovered, Hint};
pub use exposed::ExposedHosts;
pub use gateways::{email_gateway, sms_gateway};
pub use visit::{ClientLocation, SeenClient, Visit};

/// Why an app cannot be assembled.
#[derive(Debug, thiserror::Error)]
pub enum AssemblyProblem {
    /// A key of the config, or a file that it names, cannot be used.
    #[error("{0}")]
    Config(#[from] ConfigProblem),
    /// The server failed: see [`App::assemble`].
    #[error("{0}")]
    Fault(#[from] Fault),
}

/// Everything that a story may use.
pub struct App {
    /// The checks of a request before its story begins.
    pub admission: Admission,
    /// What time it is.
    pub clock: Clock,
    /// How messages are written and where they go.
    pub delivery: Delivery,
    /// Where randomness comes from.
    pub entropy: Entropy,
    /// The additional names of an exposed `vestibule dev`.
    pub exposed: Option<ExposedHosts>,
    /// What runs and calls handlers.
    pub handlers: HandlerEngines,
    /// The threads that hash passwords.
    pub hasher: Hasher,
    /// How old a signing key may become.
    pub key_rules: KeyRules,
    /// The keys under the master key.
    pub keyring: Keyring,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// The rules of one-time passwords.
    pub otp: OtpConfig,
    /// The database.
    pub store: Arc<Store>,
    directory: ArcSwap<Directory>,
    /// Whether the directory could not be read again when it was last due.
    is_stale: AtomicBool,
}

/// What checks a request before its story begins.
pub struct Admission {
    /// Verifies captcha tokens.
    pub captcha: Captcha,
    /// Whether the codes per hour of a user or address are counted.
    pub counts_codes_per_hour: bool,
    /// Limits the requests of a caller.
    pub rate_limiter: RateLimiter,
}

/// How messages are written and where they go.
pub struct Delivery {
    /// The gateway of each channel.
    pub channels: Channels,
    /// Which text messages may be sent.
    pub sms_policy: SmsPolicy,
    /// The built-in message templates.
    pub templates: Templates,
}

/// What runs and calls handlers.
pub struct HandlerEngines {
    /// How many days the records of calls are kept.
    pub calls_kept_days: u64,
    /// Calls webhooks, and what scripts fetch. It checks the addresses.
    pub outbound: Arc<Outbound>,
    /// Runs scripts.
    pub scripts: Arc<ScriptEngine>,
}

impl App {
    /// What an administrator has configured, as of at most a second ago.
    pub fn directory(&self) -> arc_swap::Guard<Arc<Directory>> {
        self.directory.load()
    }

    /// Loads the directory again if its version has grown; true when it has.
    ///
    /// # Faults
    /// The database is away, or holds what cannot be read; the directory stays as it was, and
    /// [`App::is_stale`] says so.
    pub async fn refresh(&self) -> Result<bool, Fault> {
        let refreshed = self.load_if_grown().await;
        self.is_stale.store(refreshed.is_err(), Ordering::Relaxed);
        refreshed
    }

    /// Whether the last [`App::refresh`] broke, so that changes may be missing here.
    pub fn is_stale(&self) -> bool {
        self.is_stale.load(Ordering::Relaxed)
    }

    async fn load_if_grown(&self) -> Result<bool, Fault> {
        let installation = self
            .store
            .read("installation.version", &(), |tx, ()| {
                Box::pin(store::installation::find(tx))
            })
            .await?;
        let version = installation.map_or(0, |installation| installation.version);
        let before = self.directory.load_full();
        if version == before.version && !before.is_incomplete() {
            return Ok(false);
        }
        let directory = Directory::load(
            &self.store,
            &self.keyring,
            &self.handlers.scripts,
            Some(&before),
        )
        .await?;
        warn_of_test_captcha(&self.admission.captcha, &directory);
        self.directory.store(Arc::new(directory));
        Ok(true)
    }

    /// A fresh record id.
    pub fn record_id(&self, prefix: &str) -> String {
        RecordId::from_random(prefix, self.entropy.bytes()).to_string()
    }

    /// The numbers of the codes of a purpose.
    pub fn otp_rules(&self, purpose: Purpose) -> &OtpRules {
        self.otp.rules(purpose)
    }

    /// Whether a site's messages can be sent that way at all: there is a gateway or, for the text messages of a site that
    /// has a delivery handler, that handler can be called.
    pub fn is_available(&self, site: &SiteEntry, channel: VerificationMethod) -> bool {
        match (channel, site.site.settings.delivery_handler()) {
            (VerificationMethod::Sms, Some(name)) => {
                let contract = Contract::SendOneTimePassword;
                handlers::usable(&self.directory(), name, contract).is_ok()
            }
            _ => self.delivery.channels.is_available(channel),
        }
    }

    /// The present instant.
    pub fn now(&self) -> Moment {
        self.clock.now()
    }
}

/// Logs the sites whose captchas cannot be verified in this process.
fn warn_of_test_captcha(captcha: &Captcha, directory: &Directory) {
    for entry in directory.sites() {
        let site = &entry.site;
        if site.settings.recaptcha_provider == CaptchaProvider::Test && !captcha.is_test_allowed() {
            tracing::warn!(
                site = site.name,
                "recaptchaProvider is test, which only `vestibule dev` answers: every captcha is refused"
            );
        }
    }
}
