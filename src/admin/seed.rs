//! Seed: what a fresh database is given, by the same operations as an administrator's changes.
//!
//! [`installation`] makes what every installation has: the organisation, its signing keys and two
//! profiles. [`demo`] adds what `vestibule dev` shows, as the documents advise for the two kinds of
//! client: the public site with an app that holds no secret, and the private site with an app that
//! has a backend, and the integration app by which the backend calls the headless APIs.

use serde_json::{Map, Value, json};
use vestibule_protocol::scope::ScopeSet;

use super::client::{self, CreateClient, NewClient};
use super::site::{self, CreateSite, NewSite, UpdateSite};
use super::{Admin, AdminFailure, form, key, profile, user};
use crate::algorithm::Algorithm;
use crate::audit::{AuditEntry, AuditObject, ObjectKind};
use crate::captcha_provider::CaptchaProvider;
use crate::client::Policies;
use crate::identity::password::PasswordPolicy;
use crate::identity::{Attributes, Profile, User, UserType, prefix};
use crate::moment::Moment;
use crate::refusal::Fault;
use crate::sealing::SealedKind;
use crate::settings::Settings;
use crate::store::signing_key::SealedKey;
use crate::store::{self, AdminTransaction, Change};
use crate::token::SigningKey;

/// The profile of people who register.
pub const CUSTOMER_PROFILE: &str = "Customer";
/// The profile of services.
pub const INTEGRATION_PROFILE: &str = "Integration";
/// The name of the demo's site for clients with a backend, and of its app.
pub const PRIVATE: &str = "private";
/// The name of the demo's site for clients that can keep nothing secret, and of its app.
pub const PUBLIC: &str = "public";
/// The demo's integration app.
pub const INTEGRATION: &str = "integration";
/// The demo's integration user.
pub const INTEGRATION_USERNAME: &str = "integration@vestibule.example";
/// The path of the demo's private site; the public one has none.
pub const PRIVATE_PATH: &str = "/backend";
/// The name of the organisation's own base URL in the demo: a site without headless flows, where integration users get
/// tokens that are good at every site.
pub const ORGANISATION: &str = "org";
/// Below the origin of the demo.
pub const ORGANISATION_PATH: &str = "/org";

/// The ready-made callback of a site.
pub fn echo_of(base_url: &str) -> String {
    format!("{base_url}/services/oauth2/echo")
}

/// Makes the organisation, its signing keys and the two profiles, unless the database has them; true
/// when it did.
///
/// # Faults
/// The database is away, or was made under another master key.
pub async fn installation(admin: &Admin<'_>) -> Result<bool, AdminFailure> {
    let existing = admin
        .store
        .read("installation.find", &(), |tx, ()| {
            Box::pin(store::installation::find(tx))
        })
        .await?;
    if let Some(existing) = existing {
        if existing.key_check != admin.keyring.check_value() {
            let detail = String::from("this database was sealed under another master key");
            return Err(Fault::described("opening the installation", detail).into());
        }
        return Ok(false);
    }
    let new = NewInstallation {
        org_id: admin.record_id(prefix::ORGANISATION),
        key_check: *admin.keyring.check_value(),
        keys: signing_keys(admin)?,
        profiles: [
            new_profile(admin, CUSTOMER_PROFILE, UserType::CspLitePortal),
            new_profile(admin, INTEGRATION_PROFILE, UserType::Standard),
        ],
        at: admin.at,
    };
    let kind = ObjectKind::Installation;
    admin
        .change("installation.seed", kind, new, |tx, new| {
            Box::pin(insert_installation(tx, new))
        })
        .await
}

/// An installation that waits to be written.
struct NewInstallation {
    org_id: String,
    key_check: [u8; 16],
    keys: Vec<SealedKey>,
    profiles: [Profile; 2],
    at: Moment,
}

async fn insert_installation(
    tx: &mut AdminTransaction<'_, '_>,
    new: &NewInstallation,
) -> Result<Change<bool>, AdminFailure> {
    let id = &new.org_id;
    if !store::installation::insert(tx, id, &new.key_check, new.at).await? {
        return Ok(Change::Nothing(false));
    }
    let object = AuditObject::new(ObjectKind::Installation, id, id);
    let after = json!({ "organisation": id });
    let mut entries = vec![AuditEntry::new(
        "installation.created",
        object,
        &Value::Null,
        &after,
    )];
    for new_key in &new.keys {
        store::signing_key::insert(tx, new_key).await?;
        let record = &new_key.record;
        entries.push(key::entry("key.published", record, None, Some(record)));
    }
    for new_profile in &new.profiles {
        entries.push(profile::insert(tx, new_profile).await?);
    }
    Ok(Change::Made {
        outcome: true,
        entries,
    })
}

/// One key of each algorithm, sealed.
fn signing_keys(admin: &Admin<'_>) -> Result<Vec<SealedKey>, Fault> {
    let seal = |algorithm| {
        let (key, pkcs8) = SigningKey::generate(algorithm, admin.at)?;
        let (id, entropy) = (&key.record.id, admin.entropy);
        Ok(SealedKey {
            sealed: admin
                .keyring
                .seal(SealedKind::SigningKey, id, &pkcs8, entropy),
            record: key.record,
        })
    };
    Algorithm::ALL.into_iter().map(seal).collect()
}

fn new_profile(admin: &Admin<'_>, name: &str, user_type: UserType) -> Profile {
    Profile {
        id: admin.record_id(prefix::PROFILE),
        name: name.to_owned(),
        user_type,
        password_policy: PasswordPolicy::default(),
        created_at: admin.at,
    }
}

/// Makes the demo: the integration user, the two sites and the three apps. Call it once, on a
/// database that [`installation`] has made.
///
/// # Refusals
/// A part of it exists already.
pub async fn demo(admin: &Admin<'_>, origin: &str) -> Result<(), AdminFailure> {
    let customers = profile::load(admin, CUSTOMER_PROFILE).await?.id;
    let services = profile::load(admin, INTEGRATION_PROFILE).await?.id;
    let user = integration_user(admin, services.clone());
    let private_url = format!("{origin}{PRIVATE_PATH}");
    let every_flow = every_flow(&customers, &user.id);
    let site = |name: &str, base_url: &str, settings: &Settings| {
        let request = CreateSite {
            name: name.to_owned(),
            base_url: base_url.to_owned(),
            changes: members(settings)?,
        };
        NewSite::new(admin, request).map_err(AdminFailure::from)
    };
    let client = |name: &str, policies: &Policies| {
        let request = CreateClient {
            name: name.to_owned(),
            changes: members(policies)?,
        };
        let (new, _) = NewClient::new(admin, request)?;
        Ok::<_, AdminFailure>(new)
    };
    let sites = [
        site(PRIVATE, &private_url, &private_settings(every_flow.clone()))?,
        site(PUBLIC, origin, &public_settings(every_flow))?,
    ];
    let integration = integration_policies(&user.id, services);
    let clients = [
        client(PRIVATE, &private_policies(&private_url, customers.clone()))?,
        client(PUBLIC, &public_policies(origin, customers))?,
        client(INTEGRATION, &integration)?,
    ];
    let new = (user, sites, clients);
    admin
        .change("demo.seed", ObjectKind::Site, new, |tx, new| {
            Box::pin(insert_demo(tx, new))
        })
        .await
}

async fn insert_demo(
    tx: &mut AdminTransaction<'_, '_>,
    (new_user, sites, clients): &(User, [NewSite; 2], [NewClient; 3]),
) -> Result<Change<()>, AdminFailure> {
    let mut entries = vec![user::insert(tx, new_user, None).await?];
    for new in sites {
        entries.push(site::insert(tx, new).await?.1);
    }
    for new in clients {
        entries.push(client::insert(tx, new).await?.1);
    }
    Ok(Change::Made {
        outcome: (),
        entries,
    })
}

/// Makes the organisation's own base URL, if there is none.
///
/// # Refusals
/// Another site has it.
pub async fn organisation(admin: &Admin<'_>, origin: &str) -> Result<(), AdminFailure> {
    let sites = site::list(admin).await?;
    if sites.iter().any(|site| site.name == ORGANISATION) {
        return Ok(());
    }
    let request = CreateSite {
        name: ORGANISATION.to_owned(),
        base_url: format!("{origin}{ORGANISATION_PATH}"),
        changes: Map::new(),
    };
    site::create(admin, request).await?;
    Ok(())
}

/// Moves the sites of the demo, and the callbacks of its apps, to another origin: `vestibule dev` was started
/// on another port. Sites and apps that were removed or renamed stay as they are.
///
/// # Refusals
/// Another site has one of the base URLs.
pub async fn move_demo(admin: &Admin<'_>, origin: &str) -> Result<(), AdminFailure> {
    let moves = [
        (PRIVATE, PRIVATE_PATH),
        (PUBLIC, ""),
        (ORGANISATION, ORGANISATION_PATH),
    ]
    .map(|(name, path)| (name, format!("{origin}{path}")));
    let input = (moves, admin.at);
    admin
        .change("demo.move", ObjectKind::Site, input, |tx, (moves, at)| {
            Box::pin(async move {
                let mut entries = Vec::new();
                for (name, base_url) in moves {
                    entries.extend(move_site(tx, name, base_url, *at).await?);
                }
                if entries.is_empty() {
                    return Ok(Change::Nothing(()));
                }
                Ok(Change::Made {
                    outcome: (),
                    entries,
                })
            })
        })
        .await
}

/// Moves a site, and the callbacks at it; the audit entries, none if the site is there already.
async fn move_site(
    tx: &mut AdminTransaction<'_, '_>,
    name: &str,
    base_url: &str,
    at: Moment,
) -> Result<Vec<AuditEntry>, AdminFailure> {
    let sites = store::site::list(tx).await?;
    if !sites.iter().any(|site| site.name == name) {
        return Ok(Vec::new());
    }
    let request = UpdateSite {
        site: name.to_owned(),
        base_url: Some(base_url.to_owned()),
        changes: Map::new(),
    };
    let (before, after) = site::updated(tx, &request).await?;
    let Change::Made { mut entries, .. } = site::write_update(tx, &before, after).await? else {
        return Ok(Vec::new());
    };
    let (old, new) = (callbacks(&before.base_url), callbacks(base_url));
    for client in store::client::list(tx).await? {
        let mut policies = client.policies.clone();
        if policies.callback_url.iter().any(|url| old.contains(url)) {
            policies.callback_url.retain(|url| !old.contains(url));
            policies.callback_url.splice(0..0, new.clone());
        }
        let change = client::write_policies(tx, &client, policies, at).await?;
        if let Change::Made { entries: more, .. } = change {
            entries.extend(more);
        }
    }
    Ok(entries)
}

/// All members of settings or policies, as changes.
fn members(settings: &impl serde::Serialize) -> Result<Map<String, Value>, Fault> {
    match form(settings)? {
        Value::Object(members) => Ok(members),
        other => Err(Fault::new("reading settings", other)),
    }
}

/// What both sites have: every flow is on.
fn every_flow(customers: &str, run_as: &str) -> Settings {
    Settings {
        is_headless_user_registration_allowed: true,
        is_pwdless_login_allowed: true,
        is_forgot_pwd_allowed: true,
        registration_user_default_profile: Some(customers.to_owned()),
        registration_execution_user: Some(run_as.to_owned()),
        member_profiles: vec![customers.to_owned()],
        display_name: Some(String::from("Vestibule Demo")),
        ..Settings::default()
    }
}

/// Behind a backend: a token is required, and no captcha.
fn private_settings(every_flow: Settings) -> Settings {
    Settings {
        does_registration_require_auth: true,
        does_pwdless_login_require_auth: true,
        does_forgot_password_require_auth: true,
        ..every_flow
    }
}

/// For every caller: a captcha is required, and no token; pages of this machine may read the answers.
fn public_settings(every_flow: Settings) -> Settings {
    Settings {
        is_recaptcha_required_rgstr: true,
        is_recaptcha_required_pwdless_login: true,
        is_recaptcha_required_forgot_pwd: true,
        recaptcha_provider: CaptchaProvider::Test,
        cors_allowed_origins: [
            "http://localhost:*",
            "http://127.0.0.1:*",
            "http://[::1]:*",
            "https://localhost:*",
            "https://127.0.0.1:*",
            "https://[::1]:*",
        ]
        .map(String::from)
        .to_vec(),
        enable_oauth_cors_policy: true,
        ..every_flow
    }
}

/// The callbacks of a demo app: the echo endpoint, by each name of this machine under which people type it.
fn callbacks(base_url: &str) -> Vec<String> {
    let mut callbacks = vec![echo_of(base_url)];
    if base_url.contains("://127.0.0.1:") {
        callbacks.push(echo_of(&base_url.replacen("127.0.0.1", "localhost", 1)));
    }
    callbacks
}

/// The app of a page or a phone: no secret, so PKCE. Its visitors may come as guests.
fn public_policies(base_url: &str, profile_id: String) -> Policies {
    Policies {
        callback_url: callbacks(base_url),
        scopes: scopes("openid api id profile email refresh_token"),
        is_code_cred_flow_enabled: true,
        is_guest_flow_enabled: true,
        guest_scopes: scopes("api"),
        is_consumer_secret_optional: true,
        is_pkce_required: true,
        permitted_profiles: vec![profile_id],
        ..Policies::default()
    }
}

/// The app of a client with a backend: a secret, no captcha, no need of PKCE.
fn private_policies(base_url: &str, profile_id: String) -> Policies {
    Policies {
        callback_url: callbacks(base_url),
        scopes: scopes("openid api id profile email refresh_token"),
        is_code_cred_flow_enabled: true,
        is_pkce_required: false,
        permitted_profiles: vec![profile_id],
        ..Policies::default()
    }
}

/// The app by which the backend gets its token for the headless APIs.
fn integration_policies(user_id: &str, profile_id: String) -> Policies {
    Policies {
        scopes: scopes("api user_registration_api pwdless_login_api forgot_password"),
        is_client_credentials_flow_enabled: true,
        client_credentials_flow_user: Some(user_id.to_owned()),
        permitted_profiles: vec![profile_id],
        ..Policies::default()
    }
}

fn integration_user(admin: &Admin<'_>, profile_id: String) -> User {
    User {
        id: admin.record_id(prefix::USER),
        username: String::from(INTEGRATION_USERNAME),
        username_key: String::from(INTEGRATION_USERNAME),
        email: String::from(INTEGRATION_USERNAME),
        email_key: String::from(INTEGRATION_USERNAME),
        phone: None,
        first_name: None,
        last_name: String::from("Integration"),
        profile_id,
        account_id: None,
        locale: String::from("en_US"),
        timezone: String::from("UTC"),
        attributes: Attributes::from_iter([(String::from("note"), json!("acts for the backend"))]),
        is_integration: true,
        email_verified_at: None,
        phone_verified_at: None,
        locked_at: None,
        disabled_at: None,
        session_generation: 0,
        created_at: admin.at,
        updated_at: admin.at,
    }
}

fn scopes(text: &str) -> ScopeSet {
    ScopeSet::parse(text).expect("the demo's scopes are well formed")
}
