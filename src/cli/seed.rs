//! Seed: what a fresh database is given.
//!
//! [`installation`] makes what every installation has: the organisation, its signing keys and two
//! profiles. [`demo`] adds what `vestibule dev` shows, as the documents advise for the two kinds of
//! client: the public site with an app that holds no secret, and the private site with an app that
//! has a backend, and the integration app by which the backend calls the headless APIs.

use serde_json::json;
use vestibule_protocol::identifier::RecordId;
use vestibule_protocol::scope::ScopeSet;
use vestibule_protocol::secret::Secret;

use crate::algorithm::Algorithm;
use crate::client::{Client, Policies};
use crate::identity::password::PasswordPolicy;
use crate::identity::{Attributes, Profile, User, UserType, prefix};
use crate::moment::{Entropy, Moment};
use crate::refusal::Fault;
use crate::sealing::{Keyring, Purpose};
use crate::settings::{Settings, Site};
use crate::store::client::SealedClient;
use crate::store::signing_key::SealedKey;
use crate::store::{self, Store};
use crate::token::{SigningKey, mint_client_id, mint_client_secret};

/// The profile of people who register.
pub const CUSTOMER_PROFILE: &str = "Customer";
/// The profile of services.
pub const INTEGRATION_PROFILE: &str = "Integration";
/// The demo's site for clients with a backend, and its app, bear this name.
pub const PRIVATE: &str = "private";
/// The demo's site for clients that can keep nothing secret, and its app, bear this name.
pub const PUBLIC: &str = "public";
/// The demo's integration app.
pub const INTEGRATION: &str = "integration";
/// The demo's integration user.
pub const INTEGRATION_USERNAME: &str = "integration@vestibule.example";
/// The path of the demo's private site; the public one has none.
pub const PRIVATE_PATH: &str = "/backend";

/// What the seed draws from.
#[derive(Clone, Copy)]
pub struct Source<'s> {
    /// The database, with its schema in place.
    pub store: &'s Store,
    /// The keys under the master key.
    pub keyring: &'s Keyring,
    /// Randomness.
    pub entropy: &'s Entropy,
    /// The present instant.
    pub at: Moment,
}

impl Source<'_> {
    /// A fresh record id.
    pub fn record_id(&self, prefix: &str) -> String {
        RecordId::from_random(prefix, self.entropy.bytes()).to_string()
    }
}

/// Makes the organisation, its signing keys and the two profiles, unless the database has them; true
/// when it did.
///
/// # Faults
/// The database is away, or was made under another master key.
pub async fn installation(source: Source<'_>) -> Result<bool, Fault> {
    let existing = source
        .store
        .read("installation.find", &(), |tx, ()| {
            Box::pin(store::installation::find(tx))
        })
        .await?;
    if let Some(existing) = existing {
        if existing.key_check != source.keyring.check_value() {
            return Err(Fault::described(
                "opening the installation",
                "this database was sealed under another master key".into(),
            ));
        }
        return Ok(false);
    }
    let keys = signing_keys(source)?;
    let profiles = [
        profile(source, CUSTOMER_PROFILE, UserType::CspLitePortal),
        profile(source, INTEGRATION_PROFILE, UserType::Standard),
    ];
    let org_id = source.record_id(prefix::ORGANISATION);
    let input = (
        org_id,
        *source.keyring.check_value(),
        keys,
        profiles,
        source.at,
    );
    source
        .store
        .write(
            "installation.seed",
            input,
            |tx, (org_id, check, keys, profiles, at)| {
                Box::pin(async move {
                    if !store::installation::insert(tx, org_id, check, *at).await? {
                        return Ok(false);
                    }
                    for key in keys {
                        store::signing_key::insert(tx, key).await?;
                    }
                    for profile in profiles {
                        store::profile::insert(tx, profile).await?;
                    }
                    Ok(true)
                })
            },
        )
        .await
}

/// One key of each algorithm, sealed.
fn signing_keys(source: Source<'_>) -> Result<Vec<SealedKey>, Fault> {
    let seal = |algorithm| {
        let (key, pkcs8) = SigningKey::generate(algorithm, source.at)?;
        Ok(SealedKey {
            sealed: source.keyring.seal(
                Purpose::SigningKey,
                &key.record.id,
                &pkcs8,
                source.entropy,
            ),
            record: key.record,
        })
    };
    Algorithm::ALL.into_iter().map(seal).collect()
}

fn profile(source: Source<'_>, name: &str, user_type: UserType) -> Profile {
    Profile {
        id: source.record_id(prefix::PROFILE),
        name: name.to_owned(),
        user_type,
        password_policy: PasswordPolicy::default(),
        created_at: source.at,
    }
}

/// Makes the demo: the integration user, the two sites and the three apps. Call it once, on a
/// database that [`installation`] has made.
///
/// # Faults
/// The database is away.
pub async fn demo(source: Source<'_>, origin: &str) -> Result<(), Fault> {
    let profiles = source
        .store
        .read("profile.list", &(), |tx, ()| {
            Box::pin(store::profile::list(tx))
        })
        .await?;
    let profile_id = |name: &str| {
        let profile = profiles.iter().find(|profile| profile.name == name);
        profile
            .map(|profile| profile.id.clone())
            .unwrap_or_default()
    };
    let customers = profile_id(CUSTOMER_PROFILE);
    let user = integration_user(source, profile_id(INTEGRATION_PROFILE));
    let private_url = format!("{origin}{PRIVATE_PATH}");
    let every_flow = every_flow(&customers, &user.id);
    let sites = [
        site(
            source,
            PRIVATE,
            &private_url,
            private_settings(every_flow.clone()),
        ),
        site(source, PUBLIC, origin, public_settings(every_flow)),
    ];
    let clients = [
        (PRIVATE, private_policies(&private_url, customers.clone())),
        (PUBLIC, public_policies(origin, customers)),
        (
            INTEGRATION,
            integration_policies(&user.id, profile_id(INTEGRATION_PROFILE)),
        ),
    ]
    .map(|(name, policies)| new_client(source, name, policies).1);
    source
        .store
        .write(
            "demo.seed",
            (user, sites, clients),
            |tx, (user, sites, clients)| {
                Box::pin(async move {
                    store::user::insert(tx, user).await?;
                    for site in sites {
                        store::site::insert(tx, site).await?;
                    }
                    for client in clients {
                        store::client::insert(tx, client).await?;
                    }
                    store::installation::bump(tx).await
                })
            },
        )
        .await
}

fn site(source: Source<'_>, name: &str, base_url: &str, settings: Settings) -> Site {
    Site {
        id: source.record_id(prefix::SITE),
        name: name.to_owned(),
        base_url: base_url.to_owned(),
        settings,
        activated_at: Some(source.at),
        created_at: source.at,
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

/// Behind a backend: a token is asked for, and no captcha.
fn private_settings(every_flow: Settings) -> Settings {
    Settings {
        does_registration_require_auth: true,
        does_pwdless_login_require_auth: true,
        does_forgot_password_require_auth: true,
        ..every_flow
    }
}

/// For anybody: a captcha is asked for, and no token; pages of this machine may read the answers.
fn public_settings(every_flow: Settings) -> Settings {
    Settings {
        is_recaptcha_required_rgstr: true,
        is_recaptcha_required_pwdless_login: true,
        is_recaptcha_required_forgot_pwd: true,
        recaptcha_provider: String::from("test"),
        cors_allowed_origins: ["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"]
            .map(String::from)
            .to_vec(),
        enable_oauth_cors_policy: true,
        ..every_flow
    }
}

/// The app of a page or a phone: no secret, so PKCE. Its visitors may come as guests.
fn public_policies(base_url: &str, profile_id: String) -> Policies {
    Policies {
        callback_url: vec![format!("{base_url}/services/oauth2/echo")],
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
        callback_url: vec![format!("{base_url}/services/oauth2/echo")],
        scopes: scopes("openid api id profile email"),
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

/// A new client: in clear, for whoever created it, and as it rests.
pub fn new_client(source: Source<'_>, name: &str, policies: Policies) -> (Client, SealedClient) {
    let id = mint_client_id(source.entropy);
    let secret = mint_client_secret(source.entropy);
    let client = Client {
        id,
        name: name.to_owned(),
        secret_hash: secret.hash,
        secret: secret.text,
        policies,
        disabled_at: None,
        created_at: source.at,
    };
    let sealed = SealedClient {
        id: client.id.clone(),
        name: client.name.clone(),
        secret_hash: client.secret_hash,
        secret_sealed: seal_secret(source, &client.id, &client.secret),
        policies: client.policies.clone(),
        disabled_at: None,
        created_at: source.at,
    };
    (client, sealed)
}

/// Seals a consumer secret for its client.
pub fn seal_secret(source: Source<'_>, client_id: &str, secret: &Secret) -> Vec<u8> {
    let plain = secret.expose().as_bytes();
    source
        .keyring
        .seal(Purpose::ClientSecret, client_id, plain, source.entropy)
}

fn integration_user(source: Source<'_>, profile_id: String) -> User {
    User {
        id: source.record_id(prefix::USER),
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
        created_at: source.at,
        updated_at: source.at,
    }
}

fn scopes(text: &str) -> ScopeSet {
    ScopeSet::parse(text).expect("the demo's scopes are well formed")
}
