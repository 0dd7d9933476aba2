//! The directory: everything that an administrator configures, as one snapshot in memory.
//!
//! Sites, clients, profiles, templates, handlers and signing keys are read on every request and change seldom, so
//! requests read them here. A change increments the installation's version in the same write; each node polls that
//! number and loads a new snapshot within a second. Locks, revocations and codes are never cached here.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use vestibule_protocol::identifier::RecordId;
use vestibule_protocol::purpose::Purpose;
use vestibule_protocol::secret::Secret;

use super::handlers::loaded::{self, LoadedHandler, LoadedHandlers};
use crate::client::Client;
use crate::delivery::template::{CustomTemplate, Templates};
use crate::handler::script::ScriptEngine;
use crate::identity::{Profile, prefix};
use crate::refusal::{Fault, Refusal};
use crate::sealing::{Keyring, SealedKind, sha256};
use crate::settings::{self, Choice, Settings, Site, Template};
use crate::store::client::SealedClient;
use crate::store::{self, Readable, Store};
use crate::token::KeySet;

/// One snapshot.
pub struct Directory {
    /// Record id of the organisation.
    pub org_id: String,
    /// The version at which this snapshot was loaded.
    pub version: i64,
    /// The signing keys.
    pub keys: KeySet,
    /// The JWK Set document.
    pub jwks: Bytes,
    sites: Vec<Arc<SiteEntry>>,
    clients: HashMap<String, Arc<Client>>,
    profiles: HashMap<String, Arc<Profile>>,
    templates: HashMap<String, LoadedTemplate>,
    handlers: LoadedHandlers,
    handler_problems: Vec<String>,
    unreadable: Vec<String>,
}

/// A custom mail template of an administrator, compiled.
struct LoadedTemplate {
    /// None when this version refuses what another one has saved.
    compiled: Option<Arc<CustomTemplate>>,
}

/// A site with the values that are computed from it once.
pub struct SiteEntry {
    /// The site.
    pub site: Site,
    /// Its authority in one spelling: see [`canonical_authority`].
    authority: String,
    /// Record id of its guest user, who has no row: see [`guest_user_id`].
    pub guest_user_id: String,
    /// Its provider metadata, once a request has asked for it.
    pub metadata: OnceLock<Bytes>,
    /// The document that the mobile SDKs read before a login, once a request has asked for it.
    pub auth_configuration: OnceLock<Bytes>,
    /// The secret key of its captcha verifier, opened; `None` if there is none, or if it does not open: then every
    /// captcha of the site is refused.
    pub recaptcha_secret: Option<Secret>,
}

/// The owner for which the secret key of a site's captcha verifier is sealed.
pub const CAPTCHA_SECRET_OWNER: &str = "recaptchaSecretKey";

impl Directory {
    /// Loads everything. Compiled scripts are reused from the previous snapshot. A site, a client or a profile that cannot
    /// be read is out of service and is reported; the rest is served.
    ///
    /// # Faults
    /// The database is unreachable, contains no installation, or was sealed under another master key.
    pub async fn load(
        store: &Store,
        keyring: &Keyring,
        scripts: &ScriptEngine,
        before: Option<&Directory>,
    ) -> Result<Directory, Fault> {
        let read = store
            .read("directory.load", &(), |tx, ()| {
                Box::pin(async move {
                    let installation = store::installation::find(tx).await?;
                    let keys = store::signing_key::list(tx).await?;
                    let sites = store::site::list_readable(tx).await?;
                    let clients = store::client::list_readable(tx).await?;
                    let profiles = store::profile::list_readable(tx).await?;
                    let templates = store::template::list(tx).await?;
                    let handlers = store::handler::list(tx).await?;
                    let versions = store::handler::list_current(tx).await?;
                    let code = (templates, handlers, versions);
                    Ok((installation, keys, sites, clients, profiles, code))
                })
            })
            .await?;
        let (installation, keys, sites, clients, profiles, code) = read;
        let (templates, handlers, versions) = code;
        let installation = installation.ok_or_else(|| {
            Fault::described(
                "loading the directory",
                "the database holds no installation".into(),
            )
        })?;
        if installation.key_check != keyring.check_value() {
            return Err(Fault::described(
                "loading the directory",
                "this database was sealed under another master key".into(),
            ));
        }
        let keys = keys
            .iter()
            .map(|key| key.open(keyring).map(Arc::new))
            .collect::<Result<_, _>>()?;
        let keys = KeySet::new(keys);
        let before = before.map(|before| &before.handlers);
        let mut unreadable = Vec::new();
        let sites = readable(sites, &mut unreadable);
        let profiles = readable(profiles, &mut unreadable);
        let clients = open_clients(readable(clients, &mut unreadable), keyring, &mut unreadable);
        let handlers = loaded::load(handlers, versions, keyring, scripts, before).await;
        let org_id = installation.org_id;
        Ok(Directory {
            version: installation.version,
            handler_problems: loaded::problems(&handlers, &sites),
            handlers,
            jwks: Bytes::from(keys.jwks()),
            keys,
            sites: sites
                .into_iter()
                .map(|site| Arc::new(SiteEntry::open(site, keyring)))
                .collect(),
            clients,
            unreadable,
            templates: templates
                .into_iter()
                .map(|template| (template.name.clone(), LoadedTemplate::new(&template)))
                .collect(),
            profiles: profiles
                .into_iter()
                .map(|p| (p.id.clone(), Arc::new(p)))
                .collect(),
            org_id,
        })
    }

    /// The published site with an authority (`host:port`) and a prefix of the request path, and the rest of the
    /// path. The longest matching prefix is used.
    pub fn resolve<'p>(
        &self,
        authority: &str,
        path: &'p str,
    ) -> Option<(&Arc<SiteEntry>, &'p str)> {
        let authority = canonical_authority(authority);
        self.sites
            .iter()
            .filter(|entry| entry.site.activated_at.is_some() && entry.answers_at(&authority))
            .filter_map(|entry| {
                let rest = path.strip_prefix(entry.site.path())?;
                let is_whole = rest.is_empty() || rest.starts_with('/');
                is_whole.then_some((entry, rest))
            })
            .max_by_key(|(entry, _)| entry.site.path().len())
    }

    /// Whether a site has this base URL.
    pub fn has_site_at(&self, base_url: &str) -> bool {
        self.sites
            .iter()
            .any(|entry| entry.site.base_url == base_url)
    }

    /// All sites, oldest first.
    pub fn sites(&self) -> &[Arc<SiteEntry>] {
        &self.sites
    }

    /// The client with a consumer key, unless it is disabled.
    pub fn client(&self, id: &str) -> Option<&Arc<Client>> {
        self.clients
            .get(id)
            .filter(|client| client.disabled_at.is_none())
    }

    /// All clients, oldest first.
    pub fn clients(&self) -> Vec<&Arc<Client>> {
        let mut clients: Vec<&Arc<Client>> = self.clients.values().collect();
        clients.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        clients
    }

    /// Chooses the template of a request's mail; see [`settings::choose`].
    ///
    /// # Refusals
    /// `TemplateNotAllowed`, `TemplateUnknown`.
    pub fn choose_template(
        &self,
        settings: &Settings,
        flow: Purpose,
        named: Option<&str>,
    ) -> Result<Choice, Refusal> {
        settings::choose(settings, flow, named, |name| {
            self.templates.contains_key(name)
        })
    }

    /// A custom template; none if there is no usable one of this name.
    pub fn template(&self, name: &str) -> Option<Arc<CustomTemplate>> {
        self.templates
            .get(name)
            .and_then(|template| template.compiled.clone())
    }

    /// The handler with a name, and its current version.
    pub fn handler(&self, name: &str) -> Option<&Arc<LoadedHandler>> {
        self.handlers.get(name)
    }

    /// Whether a handler should be loaded again although nothing was changed.
    pub fn is_incomplete(&self) -> bool {
        self.handlers.values().any(|handler| handler.needs_retry)
    }

    /// The problems of handlers, in sentences for the health endpoint.
    pub fn handler_problems(&self) -> &[String] {
        &self.handler_problems
    }

    /// Why some sites, clients or profiles are out of service, in sentences for the health endpoint.
    pub fn unreadable(&self) -> &[String] {
        &self.unreadable
    }

    /// The profile with a record id.
    pub fn profile(&self, id: &str) -> Option<&Arc<Profile>> {
        self.profiles.get(id)
    }

    /// The user type of a profile; empty if the profile does not exist.
    pub fn user_type(&self, profile_id: &str) -> &str {
        self.profile(profile_id)
            .map_or("", |profile| profile.user_type.as_str())
    }

    /// The profile with a record id or a name.
    pub fn find_profile(&self, id_or_name: &str) -> Option<&Arc<Profile>> {
        self.profiles
            .get(id_or_name)
            .or_else(|| self.profiles.values().find(|p| p.name == id_or_name))
    }
}

/// The rows that could be read; the others are reported.
fn readable<T>(read: Readable<T>, unreadable: &mut Vec<String>) -> Vec<T> {
    for fault in read.unreadable {
        report(fault.detail, unreadable);
    }
    read.rows
}

/// Opens the secrets of clients. One that was sealed under another key, or is damaged, affects only its client.
fn open_clients(
    clients: Vec<SealedClient>,
    keyring: &Keyring,
    unreadable: &mut Vec<String>,
) -> HashMap<String, Arc<Client>> {
    let mut opened = HashMap::new();
    for client in clients {
        let (id, name) = (client.id.clone(), client.name.clone());
        match client.open(keyring) {
            Ok(client) => {
                opened.insert(id, Arc::new(client));
            }
            Err(fault) => report(format!("client {name}: {}", fault.detail), unreadable),
        }
    }
    opened
}

fn report(problem: String, unreadable: &mut Vec<String>) {
    tracing::error!(problem, "an object cannot be read and is out of service");
    unreadable.push(problem);
}

impl LoadedTemplate {
    fn new(template: &Template) -> LoadedTemplate {
        let (subject, text) = (&template.subject, &template.text);
        let html = template.html.as_deref();
        let compiled = Templates::compile_custom(&template.language, subject, text, html);
        if let Err(problem) = &compiled {
            tracing::error!(template = template.name, %problem, "a custom template cannot be used; the built-in one is used instead");
        }
        LoadedTemplate {
            compiled: compiled.ok().map(Arc::new),
        }
    }
}

impl SiteEntry {
    /// A secret that does not open affects only its site (threat CAP-14).
    fn open(site: Site, keyring: &Keyring) -> SiteEntry {
        let open = |text| keyring.open_text(SealedKind::CaptchaSecret, CAPTCHA_SECRET_OWNER, text);
        let recaptcha_secret = match site.settings.recaptcha_secret_key.as_deref().map(open) {
            None => None,
            Some(Ok(secret)) => Some(secret),
            Some(Err(fault)) => {
                tracing::error!(
                    site = site.name, %fault, "its recaptchaSecretKey cannot be used: set it again"
                );
                None
            }
        };
        SiteEntry {
            recaptcha_secret,
            ..SiteEntry::new(site)
        }
    }

    fn new(site: Site) -> SiteEntry {
        SiteEntry {
            metadata: OnceLock::new(),
            auth_configuration: OnceLock::new(),
            authority: canonical_authority(site.authority()).into_owned(),
            guest_user_id: guest_user_id(&site.id),
            recaptcha_secret: None,
            site,
        }
    }

    /// Whether an authority, as [`canonical_authority`] writes it, belongs to the site. A loopback site accepts every loopback name: only this machine can
    /// reach it, and people type `localhost`.
    fn answers_at(&self, authority: &str) -> bool {
        // The default port of the scheme may be written or left out (RFC 9110 section 4.2.3).
        let default_port = match self.site.base_url.starts_with("https:") {
            true => ":443",
            false => ":80",
        };
        let authority = authority.strip_suffix(default_port).unwrap_or(authority);
        let own = self.authority.as_str();
        own.eq_ignore_ascii_case(authority)
            || matches!((loopback_port(own), loopback_port(authority)), (Some(a), Some(b)) if a == b)
    }

    /// The identity URL of a user: `sub` of every token, and the `id` of a token response.
    pub fn identity_url(&self, org_id: &str, user_id: &str) -> String {
        format!("{}/id/{org_id}/{user_id}", self.site.base_url)
    }
}

/// The user type of a guest.
pub const GUEST_USER_TYPE: &str = "GUEST";

/// The record id of a site's guest user, the subject of all its guests' tokens.
///
/// It is computed from the site's id and is in no table: so no caller can log in as this user, give it a password or
/// act as it, and no look-up of users finds a guest. It is the same on every node, and after a restore.
pub fn guest_user_id(site_id: &str) -> String {
    let hash = sha256(format!("guest user of {site_id}").as_bytes());
    let mut random = [0; 16];
    random.copy_from_slice(&hash[..16]);
    RecordId::from_random(prefix::USER, random).to_string()
}

/// An authority in one spelling: the host without its final dot (RFC 3986 section 3.2.2), an IPv6 address in its short
/// form (RFC 5952).
fn canonical_authority(authority: &str) -> Cow<'_, str> {
    if let Some((address, port)) = authority
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        return match address.parse::<Ipv6Addr>() {
            Ok(address) => Cow::Owned(format!("[{address}]{port}")),
            Err(_) => Cow::Borrowed(authority),
        };
    }
    let (host, port) = match authority.find(':') {
        Some(at) => authority.split_at(at),
        None => (authority, ""),
    };
    match host.strip_suffix('.') {
        Some(host) => Cow::Owned(format!("{host}{port}")),
        None => Cow::Borrowed(authority),
    }
}

fn loopback_port(authority: &str) -> Option<&str> {
    ["127.0.0.1", "localhost", "[::1]"]
        .iter()
        .find_map(|host| {
            let (start, rest) = authority.split_at_checked(host.len())?;
            start.eq_ignore_ascii_case(host).then_some(rest)
        })
        .and_then(|rest| {
            if rest.is_empty() {
                Some("")
            } else {
                rest.strip_prefix(':')
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::Moment;

    fn answers(base_url: &str, authority: &str) -> bool {
        let site = Site {
            id: "0DB000000000001AAA".into(),
            name: "site".into(),
            base_url: base_url.into(),
            settings: Settings::default(),
            activated_at: None,
            created_at: Moment::from_millis(0),
        };
        let entry = SiteEntry::new(site);
        entry.answers_at(&canonical_authority(authority))
    }

    #[test]
    fn a_site_has_one_guest_user_and_no_other_has_it() {
        let id = guest_user_id("0DB000000000001AAA");
        assert!(id.starts_with("005") && id.len() == 18, "{id}");
        assert_eq!(id, guest_user_id("0DB000000000001AAA"));
        assert_ne!(id, guest_user_id("0DB000000000002AAA"));
    }

    #[test]
    fn a_default_port_may_be_written_or_left_out() {
        for (base_url, authority) in [
            ("https://site.example.com", "site.example.com:443"),
            ("https://site.example.com/backend", "SITE.Example.com:443"),
            ("https://site.example.com", "Site.example.com"),
            ("https://site.example.com:8443", "site.example.com:8443"),
            ("http://127.0.0.1", "LocalHost:80"),
            ("http://127.0.0.1:8080", "[::1]:8080"),
            ("https://site.example.com", "site.example.com."),
            ("https://site.example.com:8443", "SITE.example.com.:8443"),
            ("http://127.0.0.1:8080", "[0:0:0:0:0:0:0:1]:8080"),
            ("https://[2001:db8::1]", "[2001:0DB8:0:0:0:0:0:1]"),
        ] {
            assert!(answers(base_url, authority), "{base_url} {authority}");
        }
        for (base_url, authority) in [
            ("https://site.example.com", "site.example.com:80"),
            ("https://site.example.com", "site.example.com.."),
            ("http://127.0.0.1", "127.0.0.1:443"),
            ("https://site.example.com", "site.example.com:"),
            ("https://site.example.com:8443", "site.example.com:443"),
            ("https://site.example.com:8443", "site.example.com"),
            ("http://127.0.0.1:8080", "localhost"),
        ] {
            assert!(!answers(base_url, authority), "{base_url} {authority}");
        }
    }
}
