//! Client apps: their policies and their secrets.

use serde_json::{Map, Value, json};
use vestibule_protocol::secret::Secret;

use super::names::{resolve_profiles, resolve_users};
use super::{Admin, AdminFailure, AdminRefusal, find as find_named, form};
use crate::audit::{AuditEntry, AuditObject, ObjectKind};
use crate::changes::Invalid;
use crate::client::Policies;
use crate::jose::Certificate;
use crate::moment::Moment;
use crate::refusal::Fault;
use crate::sealing::SealedKind;
pub use crate::store::client::SealedClient;
use crate::store::{self, AdminTransaction, Change, Transaction};
use crate::token::{mint_client_id, mint_client_secret};

const KIND: ObjectKind = ObjectKind::Client;

/// The policy that lists the certificates of a first-party app.
pub(super) const CERTIFICATES_KEY: &str = "clientAssertionCertificate";

/// The policy that names the profiles whose users may use the client.
const PROFILES_KEY: &str = "permittedProfiles";

/// The policy that names the user of the client credentials flow.
const USER_KEY: &str = "clientCredentialsFlowUser";

/// A client that is to be created.
#[derive(Clone, Debug)]
pub struct CreateClient {
    /// Its unique name.
    pub name: String,
    /// Policies that differ from the default, by their documented names.
    pub changes: Map<String, Value>,
}

/// A change of a client's policies.
#[derive(Clone, Debug)]
pub struct UpdateClient {
    /// Consumer key or name.
    pub client: String,
    /// Policies, by their documented names. Profiles and users are named by name or record id.
    pub changes: Map<String, Value>,
}

/// A client with a secret that was made just now. It is disclosed this once.
#[derive(Debug)]
pub struct ClientWithSecret {
    /// The client as it is stored.
    pub client: SealedClient,
    /// The consumer secret in clear.
    pub secret: Secret,
}

/// All clients, oldest first.
///
/// # Faults
/// The database is away.
pub async fn list(admin: &Admin<'_>) -> Result<Vec<SealedClient>, Fault> {
    let read = admin.store.read("client.list", &(), |tx, ()| {
        Box::pin(store::client::list(tx))
    });
    read.await
}

/// The client with a consumer key or a name.
///
/// # Refusals
/// There is none.
pub async fn load(admin: &Admin<'_>, name: &str) -> Result<SealedClient, AdminFailure> {
    Ok(named(list(admin).await?, name)?)
}

/// Creates a client, with a fresh consumer key and secret.
///
/// # Refusals
/// The name is taken, or a policy is unknown or wrong.
pub async fn create(
    admin: &Admin<'_>,
    request: CreateClient,
) -> Result<ClientWithSecret, AdminFailure> {
    let (new, secret) = NewClient::new(admin, request)?;
    let client = admin
        .change("client.create", KIND, new, |tx, new| {
            Box::pin(async move {
                let (client, entry) = insert(tx, new).await?;
                Ok(Change::made(client, entry))
            })
        })
        .await?;
    Ok(ClientWithSecret { client, secret })
}

/// A client that waits to be written: all that the write must not draw or compute twice.
pub(super) struct NewClient {
    id: String,
    name: String,
    secret: NewSecret,
    changes: Map<String, Value>,
    at: Moment,
}

impl NewClient {
    /// A new client, and its secret in clear.
    pub(super) fn new(
        admin: &Admin<'_>,
        request: CreateClient,
    ) -> Result<(NewClient, Secret), Invalid> {
        let changes = prepared(request.changes, admin.at)?;
        let id = mint_client_id(admin.entropy);
        let (secret, text) = NewSecret::mint(admin, &id);
        let new = NewClient {
            id,
            name: request.name,
            secret,
            changes,
            at: admin.at,
        };
        Ok((new, text))
    }
}

/// A consumer secret as it is stored.
struct NewSecret {
    hash: [u8; 32],
    sealed: Vec<u8>,
}

impl NewSecret {
    /// A fresh secret, sealed for a client; and in clear.
    fn mint(admin: &Admin<'_>, client_id: &str) -> (NewSecret, Secret) {
        let minted = mint_client_secret(admin.entropy);
        let plain = minted.text.expose().as_bytes();
        let purpose = SealedKind::ClientSecret;
        let sealed = admin.keyring.seal(purpose, client_id, plain, admin.entropy);
        let secret = NewSecret {
            hash: minted.hash,
            sealed,
        };
        (secret, minted.text)
    }
}

/// Saves a new client; the client and its audit entry.
///
/// # Refusals
/// As those of [`create`].
pub(super) async fn insert(
    tx: &mut AdminTransaction<'_, '_>,
    new: &NewClient,
) -> Result<(SealedClient, AuditEntry), AdminFailure> {
    let client = SealedClient {
        id: new.id.clone(),
        name: new.name.clone(),
        secret_hash: new.secret.hash,
        secret_sealed: new.secret.sealed.clone(),
        policies: changed(tx, &Policies::default(), &new.changes).await?,
        disabled_at: None,
        created_at: new.at,
    };
    if !store::client::insert(tx, &client).await? {
        return Err(AdminRefusal::taken(KIND, "name", &client.name).into());
    }
    let entry = entry("client.created", &client, &Value::Null, &shown(&client)?);
    Ok((client, entry))
}

/// Changes policies; a running server has the change within a second.
///
/// # Refusals
/// There is no such client, or a policy is unknown or wrong.
pub async fn update(
    admin: &Admin<'_>,
    request: UpdateClient,
) -> Result<SealedClient, AdminFailure> {
    let changes = prepared(request.changes, admin.at)?;
    let input = (request.client, changes, admin.at);
    admin
        .change("client.update", KIND, input, |tx, (name, changes, at)| {
            Box::pin(async move {
                let before = named(store::client::list(tx).await?, name)?;
                let policies = changed(tx, &before.policies, changes).await?;
                write_policies(tx, &before, policies, *at).await
            })
        })
        .await
}

/// Replaces the policies of a client, unless they are as requested already.
pub(super) async fn write_policies(
    tx: &mut AdminTransaction<'_, '_>,
    before: &SealedClient,
    policies: Policies,
    at: Moment,
) -> Result<Change<SealedClient>, AdminFailure> {
    let after = SealedClient {
        policies,
        ..before.clone()
    };
    let (was, is) = (shown(before)?, shown(&after)?);
    if was == is {
        return Ok(Change::Nothing(after));
    }
    store::client::update_policies(tx, &after.id, &after.policies, at).await?;
    let entry = entry("client.updated", &after, &was, &is);
    Ok(Change::made(after, entry))
}

/// Replaces the secret; the old one ends within a second.
///
/// # Refusals
/// There is no such client.
pub async fn rotate_secret(
    admin: &Admin<'_>,
    name: &str,
) -> Result<ClientWithSecret, AdminFailure> {
    // The secret is sealed for the consumer key, which never changes.
    let id = load(admin, name).await?.id;
    let (new, secret) = NewSecret::mint(admin, &id);
    let input = (id, new, admin.at);
    let client = admin
        .change("client.rotate_secret", KIND, input, |tx, (id, new, at)| {
            Box::pin(async move {
                let before = named(store::client::list(tx).await?, id)?;
                store::client::update_secret(tx, id, &new.hash, &new.sealed, *at).await?;
                let after = SealedClient {
                    secret_hash: new.hash,
                    secret_sealed: new.sealed.clone(),
                    ..before.clone()
                };
                let (was, is) = (shown(&before)?, shown(&after)?);
                let entry = entry("client.secret_rotated", &after, &was, &is);
                Ok(Change::made(after, entry))
            })
        })
        .await?;
    Ok(ClientWithSecret { client, secret })
}

/// Checks what can be checked of changes without the database: their names, and that no certificate has
/// expired. A list of profiles may be given as text, separated by commas, because names have blanks.
fn prepared(changes: Map<String, Value>, at: Moment) -> Result<Map<String, Value>, Invalid> {
    let mut changes = changes;
    check_names(&changes)?;
    if let Some(certificates) = changes.get(CERTIFICATES_KEY) {
        check_dates(certificates, at)?;
    }
    if let Some(Value::String(names)) = changes.get(PROFILES_KEY) {
        let names = names.split(',').map(|name| Value::from(name.trim()));
        let names = names.collect();
        changes.insert(PROFILES_KEY.to_owned(), Value::Array(names));
    }
    Ok(changes)
}

/// Refuses a certificate that has expired: no signature is accepted under it.
pub(super) fn check_date(certificate: &Certificate, at: Moment) -> Result<(), Invalid> {
    let end = certificate.not_after();
    if end < at {
        return Err(Invalid::new(
            CERTIFICATES_KEY,
            format!("it ended at {}", end.iso_seconds()),
        ));
    }
    Ok(())
}

/// The same for the value of the policy. What cannot be read is refused when the policies are validated.
fn check_dates(value: &Value, at: Moment) -> Result<(), Invalid> {
    let pems = match value {
        Value::Array(pems) => pems.as_slice(),
        one => std::slice::from_ref(one),
    };
    let certificates = pems
        .iter()
        .filter_map(Value::as_str)
        .map(Certificate::parse);
    for certificate in certificates.flatten() {
        check_date(&certificate, at)?;
    }
    Ok(())
}

/// Refuses the name of no policy. (`changes::apply` would call it a setting.)
fn check_names(changes: &Map<String, Value>) -> Result<(), Invalid> {
    let known = match serde_json::to_value(Policies::default()) {
        Ok(Value::Object(known)) => known,
        _ => Map::new(),
    };
    match changes.keys().find(|key| !known.contains_key(*key)) {
        None => Ok(()),
        Some(key) => {
            let known: Vec<&str> = known.keys().map(String::as_str).collect();
            let known = known.join(", ");
            Err(Invalid::new(
                key,
                format!("there is no such policy; there are {known}"),
            ))
        }
    }
}

/// The policies with changes, all of them or none; names of profiles and users are replaced by ids.
async fn changed(
    tx: &mut Transaction<'_>,
    current: &Policies,
    changes: &Map<String, Value>,
) -> Result<Policies, AdminFailure> {
    let mut changes = changes.clone();
    resolve_profiles(tx, &mut changes, &[PROFILES_KEY]).await?;
    resolve_users(tx, &mut changes, &[USER_KEY]).await?;
    Ok(current.updated(&changes)?)
}

pub(super) fn named(clients: Vec<SealedClient>, name: &str) -> Result<SealedClient, AdminRefusal> {
    find_named(KIND, clients, name, |client| [&client.id, &client.name])
}

/// A client as audit events compare it.
fn shown(client: &SealedClient) -> Result<Value, Fault> {
    let mut shown = form(&client.policies)?;
    shown["name"] = json!(client.name);
    shown["clientSecret"] = json!(client.secret_sealed);
    Ok(shown)
}

fn entry(event: &'static str, client: &SealedClient, before: &Value, after: &Value) -> AuditEntry {
    let object = AuditObject::new(KIND, &client.id, &client.name);
    AuditEntry::new(event, object, before, after)
}
