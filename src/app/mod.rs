//! The app: what every story may use, in one struct of a dozen fields.
//!
//! It stands between the effects (row 2) and the stories (row 3). It also answers the two questions
//! that every story asks first: which site is this (the directory), and who holds this access token
//! (`access`).

mod access;
mod admit;
mod attestation;
mod directory;
mod discovery;
mod guessing;
pub mod handlers;
pub mod keys;
mod request_attributes;
mod visit;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use vestibule_protocol::headless::VerificationMethod;
use vestibule_protocol::identifier::RecordId;

use crate::admission::Edge;
use crate::captcha::Provider;
use crate::captcha::verifier::Captcha;
use crate::config::{LimitsConfig, OtpConfig};
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
use crate::verification::{OtpRules, Purpose};
pub(crate) use access::CLIENT_CREDENTIALS;
pub use access::{Bearer, Guest, Holder};
pub use admit::{Admitted, Knock};
pub use directory::{CAPTCHA_SECRET_OWNER, Directory, SiteEntry, guest_user_id};
pub use discovery::{Discovered, Hint};
pub use visit::{Place, Visit};

/// Everything that a story may use.
pub struct App {
    /// Who verifies captcha tokens.
    pub captcha: Captcha,
    /// Where messages go.
    pub channels: Channels,
    /// What time it is.
    pub clock: Clock,
    /// How many requests a caller may make.
    pub edge: Edge,
    /// Where randomness comes from.
    pub entropy: Entropy,
    /// The threads that hash passwords.
    pub hasher: Hasher,
    /// How old a signing key may become.
    pub key_rules: KeyRules,
    /// The keys under the master key.
    pub keyring: Keyring,
    /// Whether hourly budgets are counted.
    pub limits: LimitsConfig,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// The rules of one-time passwords.
    pub otp: OtpConfig,
    /// The guarded way out, to addresses that handlers name.
    pub outbound: Arc<Outbound>,
    /// Rings when a message was queued, so that it leaves at once.
    pub outbox_bell: Notify,
    /// Runs the scripts of handlers.
    pub scripts: Arc<ScriptEngine>,
    /// The database.
    pub store: Arc<Store>,
    /// Which text messages may be sent.
    pub sms_policy: SmsPolicy,
    /// The built-in message templates.
    pub templates: Templates,
    directory: ArcSwap<Directory>,
    /// Whether the directory could not be read again when it was last due.
    is_stale: AtomicBool,
}

/// What an [`App`] is made of.
pub struct Parts {
    /// Who verifies captcha tokens.
    pub captcha: Captcha,
    /// Where messages go.
    pub channels: Channels,
    /// What time it is.
    pub clock: Clock,
    /// Where randomness comes from.
    pub entropy: Entropy,
    /// The threads that hash passwords.
    pub hasher: Hasher,
    /// How old a signing key may become.
    pub key_rules: KeyRules,
    /// The keys under the master key.
    pub keyring: Keyring,
    /// Whether hourly budgets are counted.
    pub limits: LimitsConfig,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// The rules of one-time passwords.
    pub otp: OtpConfig,
    /// The guarded way out, to addresses that handlers name.
    pub outbound: Outbound,
    /// Runs the scripts of handlers.
    pub scripts: Arc<ScriptEngine>,
    /// Which text messages may be sent.
    pub sms_policy: SmsPolicy,
    /// The database, with its schema in place.
    pub store: Store,
}

impl App {
    /// Puts the parts together and loads the directory.
    ///
    /// # Faults
    /// The database holds no installation, or one under another master key.
    pub async fn assemble(parts: Parts) -> Result<App, Fault> {
        let directory = Directory::load(&parts.store, &parts.keyring, &parts.scripts, None).await?;
        warn_of_test_captcha(&parts.captcha, &directory);
        Ok(App {
            captcha: parts.captcha,
            channels: parts.channels,
            clock: parts.clock,
            edge: Edge::new(parts.limits.rules_in_force(), Arc::clone(&parts.metrics)),
            entropy: parts.entropy,
            hasher: parts.hasher,
            key_rules: parts.key_rules,
            keyring: parts.keyring,
            limits: parts.limits,
            metrics: parts.metrics,
            otp: parts.otp,
            outbound: Arc::new(parts.outbound),
            outbox_bell: Notify::new(),
            scripts: parts.scripts,
            sms_policy: parts.sms_policy,
            store: Arc::new(parts.store),
            templates: Templates::new(),
            directory: ArcSwap::from_pointee(directory),
            is_stale: AtomicBool::new(false),
        })
    }

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
        let directory =
            Directory::load(&self.store, &self.keyring, &self.scripts, Some(&before)).await?;
        warn_of_test_captcha(&self.captcha, &directory);
        self.directory.store(Arc::new(directory));
        Ok(true)
    }

    /// A fresh record id.
    pub fn record_id(&self, prefix: &str) -> String {
        RecordId::from_random(prefix, self.entropy.bytes()).to_string()
    }

    /// The numbers of the codes of a purpose.
    pub fn otp_rules(&self, purpose: Purpose) -> &OtpRules {
        match purpose {
            Purpose::ForgotPassword => &self.otp.forgot_password,
            Purpose::PasswordlessLogin => &self.otp.passwordless_login,
            Purpose::Registration => &self.otp.registration,
        }
    }

    /// Whether a site's messages can be sent that way at all: there is a gateway or, for the text messages of a site that
    /// has a delivery handler, that handler can be called.
    pub fn is_available(&self, site: &SiteEntry, channel: VerificationMethod) -> bool {
        match (channel, site.site.settings.delivery_handler()) {
            (VerificationMethod::Sms, Some(name)) => {
                let contract = Contract::SendOneTimePassword;
                handlers::usable(&self.directory(), name, contract).is_ok()
            }
            _ => self.channels.is_available(channel),
        }
    }

    /// The present instant.
    pub fn now(&self) -> Moment {
        self.clock.now()
    }
}

/// Tells of the sites whose captchas nobody verifies in this process.
fn warn_of_test_captcha(captcha: &Captcha, directory: &Directory) {
    for entry in directory.sites() {
        let site = &entry.site;
        let provider = Provider::parse(&site.settings.recaptcha_provider);
        if provider == Some(Provider::Test) && !captcha.is_test_allowed() {
            tracing::warn!(
                site = site.name,
                "recaptchaProvider is test, which only `vestibule dev` answers: every captcha is refused"
            );
        }
    }
}
