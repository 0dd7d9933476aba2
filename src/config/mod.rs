//! Config: what the process needs to run, in contrast to the settings that an administrator makes for a site.
//!
//! A TOML file, overridden by environment variables: `VESTIBULE_SMTP__URL` is `[smtp] url`, and a secret may come
//! from a file by `…_file`. Unknown keys are fatal. The config does not change during a request.

mod connections;
mod file;
mod handlers;
mod keys;
mod otp;
mod outbound;
mod shown;
mod sms;
mod template;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vestibule_protocol::words;

use crate::admission::{DEFAULT_RULES, Rule};
use crate::captcha::verifier::Verifiers;
use crate::identity::text_message::SmsPolicy;
use crate::network::Network;
use crate::outbound::check_url;
use crate::store::{Location, PostgresUrl, Synchronous, TlsMode, TlsOptions, with_tls};
use crate::token::KeyRules;
pub use connections::ConnectionsConfig;
pub use file::{ConfigProblem, load, read_secret};
pub use handlers::HandlersConfig;
pub use otp::OtpConfig;
pub use outbound::OutboundConfig;
pub use sms::SmsConfig;
pub use template::template;
use vestibule_protocol::secret::Secret;

/// The whole config.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `[captcha]`
    pub captcha: CaptchaConfig,
    /// `[connections]`
    pub connections: ConnectionsConfig,
    /// `[database]`
    pub database: DatabaseConfig,
    /// `[handlers]`
    pub handlers: HandlersConfig,
    /// `[hashing]`
    pub hashing: HashingConfig,
    /// `[keys]`
    pub keys: KeysConfig,
    /// `[limits]`
    pub limits: LimitsConfig,
    /// `[listen]`
    pub listen: ListenConfig,
    /// `[log]`
    pub log: LogConfig,
    /// `[otp]`
    pub otp: OtpConfig,
    /// `[outbound]`
    pub outbound: OutboundConfig,
    /// `[proxies]`
    pub proxies: ProxiesConfig,
    /// `[sms]`
    pub sms: SmsConfig,
    /// `[smtp]`
    pub smtp: SmtpConfig,
}

/// The verifiers of captcha tokens.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CaptchaConfig {
    /// The siteverify endpoint, instead of the provider's.
    pub siteverify_url: Option<String>,
    /// The base of the assessments API, instead of Google's.
    pub enterprise_url: Option<String>,
    /// How long one verification may take.
    pub timeout_ms: u64,
    /// Maximum concurrent verifications; one more fails at once.
    pub max_in_flight: usize,
}

/// The location of the database. The URL may contain a password and is not shown by `Debug`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatabaseConfig {
    /// `sqlite:PATH` or `postgres://USER@HOST/NAME`.
    pub url: String,
    /// The same from a file, for a URL that contains a password.
    pub url_file: Option<PathBuf>,
    /// SQLite: `full` (every commit survives a power cut) or `normal`.
    pub synchronous: Synchronous,
    /// PostgreSQL: most connections of this node.
    pub connections: usize,
    /// PostgreSQL: whether the connection uses TLS.
    pub sslmode: Option<TlsMode>,
    /// PostgreSQL: PEM certificates to trust instead of the public ones.
    pub ca_file: Option<PathBuf>,
    /// PostgreSQL: the PEM certificate chain that this server presents.
    pub certificate_file: Option<PathBuf>,
    /// PostgreSQL: its PEM key.
    pub key_file: Option<PathBuf>,
}

/// The threads that hash passwords.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HashingConfig {
    /// Threads; 0 is one per core. Each uses 19 MiB.
    pub threads: usize,
    /// Maximum queued passwords; beyond it the response is 503.
    pub queue: usize,
}

/// The master key, and the maximum age of a signing key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeysConfig {
    /// A file with 32 bytes in base64.
    pub master_key_file: Option<PathBuf>,
    /// How long a signing key is published before it signs.
    pub publish_before_hours: u64,
    /// How long a signing key signs; 0: until an administrator rotates it.
    pub rotate_after_days: u64,
}

/// Limits. The limits of failures per code and per account cannot be disabled.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Whether the rate limiter is active and codes per hour are counted.
    pub enabled: bool,
    /// The rules of the rate limiter; the rules in the config replace all built-in ones.
    pub rules: Vec<Rule>,
    /// Whether the file or the environment sets `enabled`.
    #[serde(skip)]
    pub is_enabled_named: bool,
}

/// Listeners.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ListenConfig {
    /// The sites' endpoints.
    pub public: SocketAddr,
    /// Health, metrics and, in `vestibule dev`, the inbox.
    pub management: SocketAddr,
    /// Host names by which the management listener may be called, in addition to addresses and `localhost`.
    pub management_hosts: Vec<String>,
    /// PEM chain for the public listener; without it, a listed proxy terminates TLS.
    pub tls_certificate_file: Option<PathBuf>,
    /// PEM key.
    pub tls_key_file: Option<PathBuf>,
}

words! {
    /// How a log line is written.
    pub enum LogFormat {
        /// One JSON object a line.
        Json = "json",
        /// For people.
        Pretty = "pretty",
    }
}

/// Logs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// `json` or `pretty`.
    pub format: LogFormat,
    /// A filter: `info`, `debug`, `vestibule=trace`.
    pub level: String,
}

/// Proxies in front of the public listener.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProxiesConfig {
    /// Addresses or networks whose `X-Forwarded-For` and `X-Forwarded-Proto` are trusted.
    pub trusted: Vec<Network>,
    /// The header in which a trusted proxy reports the client's city.
    pub city_header: Option<String>,
    /// The header in which it reports the client's country.
    pub country_header: Option<String>,
    /// The header in which it reports the region of that country.
    pub subdivision_header: Option<String>,
}

/// The mail relay.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SmtpConfig {
    /// `smtp://`, `smtp+starttls://` or `smtps://`, with host and port.
    pub url: Option<String>,
    /// The sender: `Example <no-reply@example.com>`.
    pub from: Option<String>,
    /// A file with the password of the user in the URL.
    pub password_file: Option<PathBuf>,
    /// PEM certificates to trust instead of the public ones.
    pub ca_file: Option<PathBuf>,
    /// How long one message may take.
    pub timeout_seconds: Option<u64>,
    /// Maximum connections to the relay.
    pub connections: Option<usize>,
}

impl Default for CaptchaConfig {
    fn default() -> Self {
        CaptchaConfig {
            siteverify_url: None,
            enterprise_url: None,
            timeout_ms: 3_000,
            max_in_flight: 64,
        }
    }
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        DatabaseConfig {
            url: String::from("sqlite:vestibule.db"),
            url_file: None,
            synchronous: Synchronous::Full,
            connections: 16,
            sslmode: None,
            ca_file: None,
            certificate_file: None,
            key_file: None,
        }
    }
}

impl DatabaseConfig {
    fn tls(&self) -> TlsOptions {
        TlsOptions {
            mode: self.sslmode,
            ca_file: self.ca_file.clone(),
            certificate_file: self.certificate_file.clone(),
            key_file: self.key_file.clone(),
        }
    }
}

impl Default for HashingConfig {
    fn default() -> Self {
        HashingConfig {
            threads: 0,
            queue: 64,
        }
    }
}

impl Default for KeysConfig {
    fn default() -> Self {
        KeysConfig {
            master_key_file: None,
            publish_before_hours: 24,
            rotate_after_days: 90,
        }
    }
}

impl KeysConfig {
    /// The maximum age of a signing key.
    pub fn rules(&self) -> KeyRules {
        let seconds =
            |count: u64, unit: i64| i64::try_from(count).unwrap_or(i64::MAX / unit) * unit;
        KeyRules {
            rotate_after_seconds: match self.rotate_after_days {
                0 => None,
                days => Some(seconds(days, 86_400)),
            },
            publish_before_seconds: seconds(self.publish_before_hours, 3_600),
        }
    }

    fn validate(&self) -> Result<(), String> {
        if self.rotate_after_days > 3_650 {
            return Err("[keys] rotate_after_days must be between 0 and 3650".into());
        }
        if !(1..=720).contains(&self.publish_before_hours) {
            return Err("[keys] publish_before_hours must be between 1 and 720".into());
        }
        let hours = self.rotate_after_days * 24;
        if hours > 0 && hours <= self.publish_before_hours {
            return Err("[keys] rotate_after_days must be longer than publish_before_hours".into());
        }
        Ok(())
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        LimitsConfig {
            enabled: true,
            rules: DEFAULT_RULES.to_vec(),
            is_enabled_named: false,
        }
    }
}

impl LimitsConfig {
    /// The limits of `vestibule dev`: on one machine all callers have one address, so the rules by address are
    /// active only if the config enables limits explicitly.
    pub fn without_addresses(mut self) -> LimitsConfig {
        if !self.is_enabled_named {
            self.rules.retain(|rule| !rule.per.is_by_address());
        }
        self
    }

    /// The active rules.
    pub fn rules_in_force(&self) -> Vec<Rule> {
        match self.enabled {
            true => self.rules.clone(),
            false => Vec::new(),
        }
    }
}

impl Default for ListenConfig {
    fn default() -> Self {
        ListenConfig {
            public: SocketAddr::from(([127, 0, 0, 1], 8080)),
            management: SocketAddr::from(([127, 0, 0, 1], 8081)),
            management_hosts: Vec::new(),
            tls_certificate_file: None,
            tls_key_file: None,
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig {
            format: LogFormat::Json,
            level: String::from("info"),
        }
    }
}

impl Config {
    /// What is wrong with single keys and with pairs of keys: a sentence for each, which names the key.
    pub fn problems(&self) -> Vec<String> {
        let refused = |is_wrong: bool, reason: &str| match is_wrong {
            true => Err(reason.to_owned()),
            false => Ok(()),
        };
        let rules = self.limits.rules.iter().map(|rule| {
            rule.validate()
                .map_err(|reason| format!("[limits] rules: {reason}"))
        });
        let listen = &self.listen;
        let others = [
            self.location().map(|_| ()),
            self.otp.validate(),
            refused(
                !is_log_filter(&self.log.level),
                "[log] level takes error, warn, info, debug or trace, or filters such as \
                 vestibule=debug, separated by commas",
            ),
            self.keys.validate(),
            self.connections.validate(),
            self.verifiers().map(|_| ()),
            self.outbound.validate(),
            self.sms.validate(),
            self.handlers.validate(),
            refused(
                listen.tls_certificate_file.is_some() != listen.tls_key_file.is_some(),
                "[listen] tls_certificate_file and tls_key_file go together",
            ),
            refused(
                self.smtp.url.is_some() && self.smtp.from.is_none(),
                "[smtp] from: name the sender, such as \"Example <no-reply@example.com>\"",
            ),
        ];
        let checked = rules.chain(others).filter_map(Result::err);
        checked.chain(self.wrong_numbers()).collect()
    }

    fn wrong_numbers(&self) -> Vec<String> {
        let number = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
        let rows = [
            (
                "[hashing] threads",
                Some(number(self.hashing.threads)),
                0,
                1_024,
            ),
            (
                "[hashing] queue",
                Some(number(self.hashing.queue)),
                1,
                65_536,
            ),
            (
                "[database] connections",
                Some(number(self.database.connections)),
                1,
                1_000,
            ),
            (
                "[captcha] timeout_ms",
                Some(self.captcha.timeout_ms),
                1,
                3_000,
            ),
            (
                "[captcha] max_in_flight",
                Some(number(self.captcha.max_in_flight)),
                1,
                1_024,
            ),
            ("[smtp] timeout_seconds", self.smtp.timeout_seconds, 1, 300),
            (
                "[smtp] connections",
                self.smtp.connections.map(number),
                1,
                64,
            ),
        ];
        let wrong =
            |value: Option<u64>, low, high| value.is_some_and(|n| !(low..=high).contains(&n));
        rows.into_iter()
            .filter(|(_, value, low, high)| wrong(*value, *low, *high))
            .map(|(key, _, low, high)| format!("{key} must be between {low} and {high}"))
            .collect()
    }

    /// The location of the database.
    ///
    /// # Errors
    /// The URL is of neither kind or has a wrong part; the message does not repeat it.
    pub fn location(&self) -> Result<Location, String> {
        let synchronous = self.database.synchronous;
        let url = &self.database.url;
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path {
                "" => Err("[database] url: sqlite: needs a path".into()),
                path => Ok(Location::Sqlite(PathBuf::from(path), synchronous)),
            };
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let named = |reason| format!("[database] url {reason}");
            let url = with_tls(url, &self.database.tls()).map_err(named)?;
            PostgresUrl::parse(&url).map_err(named)?;
            return Ok(Location::Postgres(
                Secret::from(url),
                self.database.connections,
            ));
        }
        Err(
            "[database] url must start with sqlite: or postgres:// (a connection string such as \
             \"host=... dbname=...\" is written postgres://USER@HOST/NAME)"
                .into(),
        )
    }

    /// The verifiers of captcha tokens. The config cannot allow the provider `test`.
    ///
    /// # Errors
    /// A URL is not allowed; the message does not repeat it.
    pub fn verifiers(&self) -> Result<Verifiers, String> {
        let url = |key: &str, url: &Option<String>| {
            let url = url.as_deref().map(check_url).transpose();
            url.map_err(|reason| format!("[captcha] {key} {reason}"))
        };
        Ok(Verifiers {
            siteverify_url: url("siteverify_url", &self.captcha.siteverify_url)?,
            enterprise_url: url("enterprise_url", &self.captcha.enterprise_url)?,
            deadline: Duration::from_millis(self.captcha.timeout_ms),
            in_flight_max: self.captcha.max_in_flight,
            is_test_allowed: false,
            proxy: None,
        })
    }

    /// The allowed destinations and limits of text messages.
    ///
    /// # Errors
    /// A country or a number is invalid.
    pub fn sms_policy(&self) -> Result<SmsPolicy, String> {
        self.sms.policy(self.limits.enabled)
    }

    /// The number of hashing threads.
    pub fn hashing_threads(&self) -> usize {
        match self.hashing.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }

    /// The config of `vestibule dev`: everything under one directory.
    pub fn for_data_dir(mut self, data_dir: &Path) -> Config {
        if self.database.url == DatabaseConfig::default().url {
            self.database.url = format!("sqlite:{}", data_dir.join("vestibule.db").display());
        }
        self.keys
            .master_key_file
            .get_or_insert_with(|| data_dir.join("master.key"));
        self
    }
}

/// A bare word that is not a level would be read as the name of a module, and nothing would be logged.
fn is_log_filter(text: &str) -> bool {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let is_directive = |part: &str| {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
        LEVELS.contains(&level.to_ascii_lowercase().as_str())
    };
    text.split(',').all(|part| is_directive(part.trim()))
}
