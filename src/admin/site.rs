//! Sites: their base URLs and settings.

use serde_json::{Map, Value, json};

use super::names::{resolve_profiles, resolve_users};
use super::{Admin, AdminFailure, AdminRefusal, find as find_named, form};
use crate::app::CAPTCHA_SECRET_OWNER;
use crate::audit::{AuditEntry, AuditObject, ObjectKind};
use crate::changes::Invalid;
use crate::identity::prefix;
use crate::moment::Moment;
use crate::refusal::Fault;
use crate::sealing::{SealedKind, is_sealed_text};
use crate::settings::{Settings, Site, check_base_url};
use crate::store::{self, AdminTransaction, Change, Transaction};

const KIND: ObjectKind = ObjectKind::Site;

/// Settings that name profiles.
const PROFILE_KEYS: &[&str] = &["registrationUserDefaultProfile", "memberProfiles"];

/// Settings that name the user whose rights a handler has.
const RUN_AS_KEYS: &[&str] = &[
    "registrationExecutionUser",
    "headlessDiscoveryExecutionUser",
];

/// A site that is to be created and published.
#[derive(Clone, Debug)]
pub struct CreateSite {
    /// Its unique name.
    pub name: String,
    /// Where apps reach it.
    pub base_url: String,
    /// Settings that differ from the default, by their documented names.
    pub changes: Map<String, Value>,
}

/// A change of a site.
#[derive(Clone, Debug)]
pub struct UpdateSite {
    /// Name or record id.
    pub site: String,
    /// Where apps reach it from now on.
    pub base_url: Option<String>,
    /// Settings, by their documented names. Profiles and users are named by name or record id; a captcha
    /// secret is given in clear or as `show` has printed it.
    pub changes: Map<String, Value>,
}

/// All sites, oldest first.
///
/// # Faults
/// The database is away.
pub async fn list(admin: &Admin<'_>) -> Result<Vec<Site>, Fault> {
    let read = admin
        .store
        .read("site.list", &(), |tx, ()| Box::pin(store::site::list(tx)));
    read.await
}

/// The site with a name or a record id.
///
/// # Refusals
/// There is none.
pub async fn load(admin: &Admin<'_>, name: &str) -> Result<Site, AdminFailure> {
    Ok(named(list(admin).await?, name)?)
}

/// Creates a site and publishes it.
///
/// # Refusals
/// The name or the base URL is taken; the base URL or a setting is wrong.
pub async fn create(admin: &Admin<'_>, request: CreateSite) -> Result<Site, AdminFailure> {
    let new = NewSite::new(admin, request)?;
    admin
        .change("site.create", KIND, new, |tx, new| {
            Box::pin(async move {
                let (site, entry) = insert(tx, new).await?;
                Ok(Change::made(site, entry))
            })
        })
        .await
}

/// A site that waits to be written: all that the write must not draw or compute twice.
pub(super) struct NewSite {
    id: String,
    name: String,
    base_url: String,
    changes: Map<String, Value>,
    at: Moment,
}

impl NewSite {
    pub(super) fn new(admin: &Admin<'_>, request: CreateSite) -> Result<NewSite, Invalid> {
        Ok(NewSite {
            id: admin.record_id(prefix::SITE),
            name: request.name,
            base_url: checked_base_url(&request.base_url)?,
            changes: sealed(admin, request.changes)?,
            at: admin.at,
        })
    }
}

/// Saves a new site; the site and its audit entry.
///
/// # Refusals
/// As those of [`create`].
pub(super) async fn insert(
    tx: &mut AdminTransaction<'_, '_>,
    new: &NewSite,
) -> Result<(Site, AuditEntry), AdminFailure> {
    let site = Site {
        id: new.id.clone(),
        name: new.name.clone(),
        base_url: new.base_url.clone(),
        settings: changed(tx, &Settings::default(), &new.changes).await?,
        activated_at: Some(new.at),
        created_at: new.at,
    };
    if !store::site::insert(tx, &site).await? {
        let others = store::site::list(tx).await?;
        let is_name_taken = others.iter().any(|other| other.name == site.name);
        let (field, value) = if is_name_taken {
            ("name", &site.name)
        } else {
            ("base URL", &site.base_url)
        };
        return Err(AdminRefusal::taken(KIND, field, value).into());
    }
    let entry = entry("site.created", &site, &Value::Null, &shown(&site)?);
    Ok((site, entry))
}

/// Changes a site; a running server has the change within a second.
///
/// # Refusals
/// There is no such site; the base URL is taken; the base URL or a setting is wrong.
pub async fn update(admin: &Admin<'_>, request: UpdateSite) -> Result<Site, AdminFailure> {
    let request = prepared(admin, request)?;
    admin
        .change("site.update", KIND, request, |tx, request| {
            Box::pin(async move {
                let (before, after) = updated(tx, request).await?;
                write_update(tx, &before, after).await
            })
        })
        .await
}

/// Checks a change as [`update`] does, and changes nothing. Without a site it is checked for a new one.
///
/// # Refusals
/// As those of [`update`].
pub async fn check(
    admin: &Admin<'_>,
    site: Option<&str>,
    changes: Map<String, Value>,
) -> Result<(), AdminFailure> {
    let changes = sealed(admin, changes)?;
    let input = (site.map(str::to_owned), changes);
    admin
        .store
        .read("site.check", &input, |tx, (site, changes)| {
            Box::pin(async move {
                let current = match site {
                    None => Ok(Settings::default()),
                    Some(name) => named(store::site::list(tx).await?, name).map(|s| s.settings),
                };
                let checked = match current {
                    Ok(current) => changed(tx, &current, changes).await.map(drop),
                    Err(refusal) => Err(refusal.into()),
                };
                match checked {
                    Err(AdminFailure::Broken(fault)) => Err(fault),
                    checked => Ok(checked),
                }
            })
        })
        .await?
}

fn prepared(admin: &Admin<'_>, request: UpdateSite) -> Result<UpdateSite, Invalid> {
    Ok(UpdateSite {
        base_url: request
            .base_url
            .as_deref()
            .map(checked_base_url)
            .transpose()?,
        changes: sealed(admin, request.changes)?,
        ..request
    })
}

/// The site before and after a change. Nothing is written yet.
pub(super) async fn updated(
    tx: &mut Transaction<'_>,
    request: &UpdateSite,
) -> Result<(Site, Site), AdminFailure> {
    let sites = store::site::list(tx).await?;
    let before = named(sites.clone(), &request.site)?;
    let mut after = before.clone();
    if let Some(base_url) = &request.base_url {
        let is_taken = |other: &Site| other.id != before.id && other.base_url == *base_url;
        if sites.iter().any(is_taken) {
            return Err(AdminRefusal::taken(KIND, "base URL", base_url).into());
        }
        after.base_url.clone_from(base_url);
    }
    after.settings = changed(tx, &before.settings, &request.changes).await?;
    Ok((before, after))
}

/// Replaces a site, unless it is as requested already.
pub(super) async fn write_update(
    tx: &mut AdminTransaction<'_, '_>,
    before: &Site,
    after: Site,
) -> Result<Change<Site>, AdminFailure> {
    if before.base_url == after.base_url && before.settings == after.settings {
        return Ok(Change::Nothing(after));
    }
    store::site::update(tx, &after).await?;
    let entry = entry("site.updated", &after, &shown(before)?, &shown(&after)?);
    Ok(Change::made(after, entry))
}

/// The settings with changes, all of them or none; names of profiles and users are replaced by ids.
///
/// # Refusals
/// The first setting that is unknown or wrong, or that names what does not exist.
async fn changed(
    tx: &mut Transaction<'_>,
    current: &Settings,
    changes: &Map<String, Value>,
) -> Result<Settings, AdminFailure> {
    let mut changes = changes.clone();
    resolve_profiles(tx, &mut changes, PROFILE_KEYS).await?;
    resolve_users(tx, &mut changes, RUN_AS_KEYS).await?;
    let settings = current.updated(&changes)?;
    let templates = store::template::list(tx).await?;
    settings.check_templates(|name| templates.iter().any(|template| template.name == name))?;
    let handlers = store::handler::list(tx).await?;
    settings.check_handlers(|name| {
        let mut all = handlers.iter();
        let found = all.find(|handler| handler.name == name);
        found.map(|handler| handler.contract)
    })?;
    check_default_profile(&settings)?;
    Ok(settings)
}

fn check_default_profile(settings: &Settings) -> Result<(), Invalid> {
    match &settings.registration_user_default_profile {
        Some(default) if !settings.admits(default) => Err(Invalid::new(
            "memberProfiles",
            "the default profile of registrations must be a member of the site",
        )),
        _ => Ok(()),
    }
}

/// Seals the secret that is among the settings. One that `site show` has printed is sealed already, and must
/// be of this installation: with a secret that does not open, every captcha would be refused.
fn sealed(admin: &Admin<'_>, changes: Map<String, Value>) -> Result<Map<String, Value>, Invalid> {
    let mut changes = changes;
    let Some(Value::String(secret)) = changes.get_mut(CAPTCHA_SECRET_OWNER) else {
        return Ok(changes);
    };
    let kind = SealedKind::CaptchaSecret;
    if is_sealed_text(secret) {
        let opened = admin.keyring.open_text(kind, CAPTCHA_SECRET_OWNER, secret);
        opened.map_err(|_| {
            let reason = "this sealed value does not open under this installation's master key; \
                          give the secret itself";
            Invalid::new(CAPTCHA_SECRET_OWNER, reason)
        })?;
    } else {
        let entropy = admin.entropy;
        *secret = admin
            .keyring
            .seal_text(kind, CAPTCHA_SECRET_OWNER, secret, entropy);
    }
    Ok(changes)
}

fn checked_base_url(text: &str) -> Result<String, Invalid> {
    check_base_url(text).map_err(|reason| Invalid::new("base URL", reason))
}

fn named(sites: Vec<Site>, name: &str) -> Result<Site, AdminRefusal> {
    find_named(KIND, sites, name, |site| [&site.id, &site.name])
}

/// A site as audit events compare it.
fn shown(site: &Site) -> Result<Value, Fault> {
    let mut shown = form(&site.settings)?;
    shown["name"] = json!(site.name);
    shown["baseUrl"] = json!(site.base_url);
    Ok(shown)
}

fn entry(event: &'static str, site: &Site, before: &Value, after: &Value) -> AuditEntry {
    let object = AuditObject::new(KIND, &site.id, &site.name);
    AuditEntry::new(event, object, before, after)
}
