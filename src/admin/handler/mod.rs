//! Handlers: the customers' own code, in versions. A version never changes; which one is called is a number of the
//! handler.

mod calls;
mod code;

use serde_json::{Value, json};
use vestibule_protocol::secret::Secret;

use crate::admin::{Admin, AdminFailure, AdminRefusal, find as find_named, form};
use crate::audit::{AuditEntry, AuditObject, ObjectKind};
use crate::contract::HandlerKind;
use crate::handler::HANDLER_PREFIX;
use crate::handler::body::Body;
use crate::handler::contract::Contract;
use crate::handler::script::ScriptEngine;
use crate::moment::{BASE62, Moment};
use crate::refusal::Fault;
use crate::sealing::SealedKind;
pub use crate::store::handler::{Handler, HandlerVersion};
use crate::store::{self, AdminTransaction, Change, Transaction};
pub use calls::{Filter, HandlerCall, calls, load_call};
pub use code::{
    SEVERAL_CONTRACTS, ScriptSource, check_name, compile, compile_version, contract_of,
};
use code::{checked_hosts, checked_secret, checked_url};

const KIND: ObjectKind = ObjectKind::Handler;

/// Characters of a webhook's secret that the server makes: 255 bits.
const SECRET_LENGTH: usize = 43;

/// What a handler consists of.
#[derive(Clone, Debug)]
pub enum HandlerCode {
    /// A script, and the hosts that it may call.
    Script(ScriptSource, Vec<String>),
    /// The URL of a server, and the key of the signatures; without a key one is made.
    Webhook(String, Option<Secret>),
}

/// A handler that is to be created.
#[derive(Clone, Debug)]
pub struct CreateHandler {
    /// Its unique name.
    pub name: String,
    /// Its contract. A script may leave it out, if it exports the function of one contract only.
    pub contract: Option<Contract>,
    /// Its first version.
    pub code: HandlerCode,
}

/// A handler, with the secret that was made for it. The secret is disclosed this once.
#[derive(Debug)]
pub struct HandlerWithSecret {
    /// The handler.
    pub handler: Handler,
    /// The secret that was made; none for a script, or where one was given.
    pub secret: Option<Secret>,
}

/// The next version of a handler. What is left out stays as it is in the current version.
#[derive(Clone, Debug, Default)]
pub struct SetHandler {
    /// The handler's name.
    pub name: String,
    /// The script.
    pub script: Option<ScriptSource>,
    /// The hosts that the script may call.
    pub hosts: Option<Vec<String>>,
    /// The URL of the webhook.
    pub url: Option<String>,
    /// The key of the webhook's signatures.
    pub secret: Option<Secret>,
}

/// All handlers, by name.
///
/// # Faults
/// The database is away.
pub async fn list(admin: &Admin<'_>) -> Result<Vec<Handler>, Fault> {
    let read = admin.store.read("handler.list", &(), |tx, ()| {
        Box::pin(store::handler::list(tx))
    });
    read.await
}

/// The handler with a name.
///
/// # Refusals
/// There is none.
pub async fn load(admin: &Admin<'_>, name: &str) -> Result<Handler, AdminFailure> {
    Ok(named(list(admin).await?, name)?)
}

/// All versions of a handler, oldest first.
///
/// # Faults
/// The database is away.
pub async fn versions(admin: &Admin<'_>, handler: &Handler) -> Result<Vec<HandlerVersion>, Fault> {
    let read = admin.store.read("handler.versions", &handler.id, |tx, id| {
        Box::pin(store::handler::list_versions(tx, id))
    });
    read.await
}

/// The body of a version of a handler.
///
/// # Refusals
/// There is no such version.
pub async fn load_body(
    admin: &Admin<'_>,
    handler: &Handler,
    number: i64,
) -> Result<Body, AdminFailure> {
    let versions = versions(admin, handler).await?;
    let found = versions.iter().find(|one| one.version == number);
    let Some(version) = found else {
        let last = versions.last().map_or(0, |last| last.version);
        let known = vec![format!("1 to {last}")];
        return Err(missing_version(&handler.name, number, known).into());
    };
    Ok(read_body(version)?)
}

/// Creates a handler.
///
/// # Refusals
/// The name is taken or has the wrong form, the script does not compile or exports no function of the contract, or a
/// host, the URL or the secret is wrong.
pub async fn create(
    admin: &Admin<'_>,
    engine: &ScriptEngine,
    request: CreateHandler,
) -> Result<HandlerWithSecret, AdminFailure> {
    check_name(&request.name)?;
    let id = admin.record_id(HANDLER_PREFIX);
    let (contract, body, secret, is_made) = match request.code {
        HandlerCode::Script(script, allowed_hosts) => {
            let program = compile(engine, &script).await?;
            let contract = contract_of(&program, request.contract)?;
            let body = Body::Script {
                source: script.text,
                allowed_hosts: checked_hosts(&allowed_hosts)?,
            };
            (contract, body, None, false)
        }
        HandlerCode::Webhook(url, secret) => {
            let contract = request
                .contract
                .ok_or_else(|| AdminRefusal::invalid("contract", "a webhook needs a contract"))?;
            let url = checked_url(&url)?;
            let is_made = secret.is_none();
            let secret = match secret {
                Some(secret) => checked_secret(secret)?,
                None => Secret::from(admin.entropy.text(BASE62, SECRET_LENGTH)),
            };
            (contract, Body::Webhook { url }, Some(secret), is_made)
        }
    };
    let handler = Handler {
        name: request.name,
        contract,
        kind: body.kind(),
        version: 1,
        secret_sealed: secret.as_ref().map(|secret| seal(admin, &id, secret)),
        created_at: admin.at,
        updated_at: admin.at,
        id,
    };
    let handler = admin
        .change(
            "handler.create",
            KIND,
            (handler, body),
            |tx, (handler, body)| {
                Box::pin(async move {
                    let version = new_version(handler, 1, body, handler.created_at);
                    if !store::handler::insert(tx, handler, &version).await? {
                        return Err(AdminRefusal::taken(KIND, "name", &handler.name).into());
                    }
                    let after = shown(handler, Some(body))?;
                    let entry = entry("handler.created", handler, &Value::Null, &after);
                    Ok(Change::made(handler.clone(), entry))
                })
            },
        )
        .await?;
    Ok(HandlerWithSecret {
        handler,
        secret: secret.filter(|_| is_made),
    })
}

/// Makes the next version of a handler and has it called; its number.
///
/// # Refusals
/// There is no such handler, it is of the other kind, or a part is wrong as in [`create`].
pub async fn set(
    admin: &Admin<'_>,
    engine: &ScriptEngine,
    request: SetHandler,
) -> Result<i64, AdminFailure> {
    // The contract and the record id, for which a secret is sealed, never change.
    let handler = load(admin, &request.name).await?;
    if let Some(script) = &request.script {
        let program = compile(engine, script).await?;
        contract_of(&program, Some(handler.contract))?;
    }
    let secret = request.secret.map(checked_secret).transpose()?;
    let next = NextVersion {
        sealed: secret.map(|secret| seal(admin, &handler.id, &secret)),
        id: handler.id,
        source: request.script.map(|script| script.text),
        hosts: request.hosts.as_deref().map(checked_hosts).transpose()?,
        url: request.url.as_deref().map(checked_url).transpose()?,
        at: admin.at,
    };
    let input = (request.name, next);
    admin
        .change("handler.set", KIND, input, |tx, (name, next)| {
            Box::pin(write_next(tx, name, next))
        })
        .await
}

/// The parts of a next version.
struct NextVersion {
    /// The handler that the parts were checked for.
    id: String,
    source: Option<String>,
    hosts: Option<Vec<String>>,
    url: Option<String>,
    sealed: Option<Vec<u8>>,
    at: Moment,
}

async fn write_next(
    tx: &mut AdminTransaction<'_, '_>,
    name: &str,
    next: &NextVersion,
) -> Result<Change<i64>, AdminFailure> {
    let before = named(store::handler::list(tx).await?, name)?;
    if before.id != next.id {
        // It was deleted, and another one of this name was created meanwhile.
        return Err(missing(name).into());
    }
    let versions = store::handler::list_versions(tx, &before.id).await?;
    let current = versions.iter().find(|one| one.version == before.version);
    let current = current.and_then(|current| Body::parse(&current.body).ok());
    let body = next.body(&before, current.clone())?;
    if let Some(sealed) = &next.sealed {
        store::handler::set_secret(tx, &before.id, sealed, next.at).await?;
    }
    let number = versions.last().map_or(0, |last| last.version) + 1;
    let version = new_version(&before, number, &body, next.at);
    store::handler::insert_version(tx, &version).await?;
    store::handler::set_current(tx, &before.id, number, next.at).await?;
    let after = Handler {
        version: number,
        secret_sealed: next.sealed.clone().or_else(|| before.secret_sealed.clone()),
        ..before.clone()
    };
    let (was, is) = (
        shown(&before, current.as_ref())?,
        shown(&after, Some(&body))?,
    );
    let entry = entry("handler.set", &after, &was, &is);
    Ok(Change::made(number, entry))
}

impl NextVersion {
    /// The next body of a handler, after its current one, which may be unreadable.
    fn body(&self, handler: &Handler, current: Option<Body>) -> Result<Body, AdminRefusal> {
        let is_script = handler.kind == HandlerKind::Script;
        let is_for_other_kind = if is_script {
            self.url.is_some() || self.sealed.is_some()
        } else {
            self.source.is_some() || self.hosts.is_some()
        };
        if is_for_other_kind {
            let reason = format!(
                "{:?} is a {}: create another handler for the other kind",
                handler.name, handler.kind
            );
            return Err(AdminRefusal::invalid("kind", reason));
        }
        let unreadable = || {
            let reason = format!("the current version of {:?} cannot be read", handler.name);
            AdminRefusal::invalid("version", reason)
        };
        if !is_script {
            let url = self.url.clone().map(|url| Body::Webhook { url });
            return url.or(current).ok_or_else(unreadable);
        }
        let (source, hosts) = match current {
            Some(Body::Script {
                source,
                allowed_hosts,
            }) => (Some(source), allowed_hosts),
            _ => (None, Vec::new()),
        };
        Ok(Body::Script {
            source: self.source.clone().or(source).ok_or_else(unreadable)?,
            allowed_hosts: self.hosts.clone().unwrap_or(hosts),
        })
    }
}

/// Has an older version called again: the given one, or the one before the current one. Nothing is copied. The
/// handler as it was, and the number of the version.
///
/// # Refusals
/// There is no such handler or no such version.
pub async fn rollback(
    admin: &Admin<'_>,
    name: &str,
    to: Option<i64>,
) -> Result<(Handler, i64), AdminFailure> {
    let input = (name.to_owned(), to, admin.at);
    admin
        .change("handler.rollback", KIND, input, |tx, (name, to, at)| {
            Box::pin(write_rollback(tx, name, *to, *at))
        })
        .await
}

async fn write_rollback(
    tx: &mut AdminTransaction<'_, '_>,
    name: &str,
    to: Option<i64>,
    at: Moment,
) -> Result<Change<(Handler, i64)>, AdminFailure> {
    let before = named(store::handler::list(tx).await?, name)?;
    let number = to.unwrap_or(before.version - 1);
    let version = store::handler::find_version(tx, &before.id, number).await?;
    let version = version.ok_or_else(|| missing_version(name, number, Vec::new()))?;
    if number == before.version {
        return Ok(Change::Nothing((before, number)));
    }
    let current = store::handler::find_version(tx, &before.id, before.version).await?;
    store::handler::set_current(tx, &before.id, number, at).await?;
    let after = Handler {
        version: number,
        ..before.clone()
    };
    let body = |version: &HandlerVersion| Body::parse(&version.body).ok();
    let was = shown(&before, current.as_ref().and_then(body).as_ref())?;
    let is = shown(&after, body(&version).as_ref())?;
    let entry = entry("handler.rolled_back", &after, &was, &is);
    Ok(Change::made((before, number), entry))
}

/// Deletes a handler that no site names, with its versions.
///
/// # Refusals
/// There is no such handler, or a site names it.
pub async fn delete(admin: &Admin<'_>, name: &str) -> Result<Handler, AdminFailure> {
    admin
        .change("handler.delete", KIND, name.to_owned(), |tx, name| {
            Box::pin(async move {
                let by = who_names(tx, name).await?;
                if !by.is_empty() {
                    let name = name.clone();
                    return Err(AdminRefusal::InUse { name, by }.into());
                }
                let handler = named(store::handler::list(tx).await?, name)?;
                store::handler::delete(tx, &handler.id).await?;
                let before = shown(&handler, None)?;
                let entry = entry("handler.deleted", &handler, &before, &Value::Null);
                Ok(Change::made(handler, entry))
            })
        })
        .await
}

/// The settings that name a handler.
async fn who_names(tx: &mut Transaction<'_>, name: &str) -> Result<Vec<String>, Fault> {
    let mut found = Vec::new();
    for site in store::site::list(tx).await? {
        let named = site.settings.named_handlers();
        let settings = named.iter().filter(|(_, _, named)| *named == name);
        found.extend(settings.map(|(setting, _, _)| format!("{setting} of site {}", site.name)));
    }
    Ok(found)
}

fn seal(admin: &Admin<'_>, id: &str, secret: &Secret) -> Vec<u8> {
    let plain = secret.expose().as_bytes();
    admin
        .keyring
        .seal(SealedKind::HandlerSecret, id, plain, admin.entropy)
}

fn new_version(handler: &Handler, number: i64, body: &Body, at: Moment) -> HandlerVersion {
    HandlerVersion {
        handler_id: handler.id.clone(),
        version: number,
        body: body.to_text(),
        created_at: at,
    }
}

fn read_body(version: &HandlerVersion) -> Result<Body, Fault> {
    Body::parse(&version.body).map_err(|error| Fault::new("reading a version of a handler", error))
}

fn named(handlers: Vec<Handler>, name: &str) -> Result<Handler, AdminRefusal> {
    find_named(KIND, handlers, name, |handler| [&handler.id, &handler.name])
}

fn missing(name: &str) -> AdminRefusal {
    AdminRefusal::Missing {
        kind: KIND,
        name: name.to_owned(),
        known: Vec::new(),
    }
}

fn missing_version(name: &str, number: i64, known: Vec<String>) -> AdminRefusal {
    AdminRefusal::Missing {
        kind: ObjectKind::Version,
        name: if number < 1 {
            format!("before the first version of {name}")
        } else {
            format!("{number} of {name}")
        },
        known,
    }
}

/// A handler as audit events compare it, with the body of its current version.
fn shown(handler: &Handler, body: Option<&Body>) -> Result<Value, Fault> {
    let mut shown = match body {
        Some(body) => form(body)?,
        None => json!({}),
    };
    shown["name"] = json!(handler.name);
    shown["kind"] = json!(handler.kind);
    shown["contract"] = json!(handler.contract);
    shown["version"] = json!(handler.version);
    shown["webhookSecret"] = json!(handler.secret_sealed);
    Ok(shown)
}

fn entry(event: &'static str, handler: &Handler, before: &Value, after: &Value) -> AuditEntry {
    let object = AuditObject::new(KIND, &handler.id, &handler.name);
    AuditEntry::new(event, object, before, after)
}
