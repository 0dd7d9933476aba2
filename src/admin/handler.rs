//! Handlers: the customers' own code, in versions. A version never changes; which one is called is a number of the
//! handler.

use std::sync::Arc;

use serde_json::{Value, json};
use vestibule_protocol::secret::Secret;

use super::{Admin, AdminFailure, AdminRefusal, find as find_named, form};
use crate::app::handlers::{open_record, script_name};
use crate::audit::{AuditEntry, AuditObject, ObjectKind};
use crate::changes::Invalid;
use crate::contract::HandlerKind;
use crate::handler::HANDLER_PREFIX;
use crate::handler::body::Body;
use crate::handler::contract::Contract;
use crate::handler::record::CallRecord;
use crate::handler::script::{Program, ScriptEngine};
use crate::moment::{BASE62, Moment};
use crate::outbound::{check_allowed_host, check_url};
use crate::refusal::Fault;
use crate::sealing::SealedKind;
use crate::settings::HandlerChoice;
pub use crate::store::handler::{Handler, HandlerVersion};
pub use crate::store::handler_call::{Filter, HandlerCall};
use crate::store::{self, AdminTransaction, Change, Transaction};

const KIND: ObjectKind = ObjectKind::Handler;

/// The reason when a script exports functions of several contracts and the request names none.
pub const SEVERAL_CONTRACTS: &str =
    "the script exports functions of several contracts: name one of them";

/// Longest name of a handler.
const NAME_LENGTH_MAX: usize = 80;

/// Most hosts that a version may call.
const HOSTS_MAX: usize = 20;

/// Shortest secret of a webhook, in bytes.
const SECRET_BYTES_MIN: usize = 16;

/// Characters of a webhook's secret that the server makes: 255 bits.
const SECRET_LENGTH: usize = 43;

/// A script, and what messages call it: its file.
#[derive(Clone, Debug)]
pub struct ScriptSource {
    /// The name in messages.
    pub label: String,
    /// The text of the module.
    pub text: String,
}

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

/// The latest calls that a filter admits.
///
/// # Faults
/// The database is away.
pub async fn calls(admin: &Admin<'_>, filter: &Filter) -> Result<Vec<HandlerCall>, Fault> {
    let read = admin.store.read("handler.calls", filter, |tx, filter| {
        Box::pin(store::handler_call::list(tx, filter))
    });
    read.await
}

/// A call, with everything that is kept of it.
///
/// # Refusals
/// There is no such call; calls are kept for some days only.
pub async fn load_call(
    admin: &Admin<'_>,
    id: &str,
) -> Result<(HandlerCall, CallRecord), AdminFailure> {
    let found = admin
        .store
        .read("handler.call", &id.to_owned(), |tx, id| {
            Box::pin(store::handler_call::find(tx, id))
        })
        .await?;
    let call = found.ok_or_else(|| AdminRefusal::Missing {
        kind: ObjectKind::Call,
        name: id.to_owned(),
        known: Vec::new(),
    })?;
    let record = open_record(admin.keyring, &call)?;
    Ok((call, record))
}

/// The contract of a script: the one that was named, whose function it must export, or else the only one
/// whose function it does export.
///
/// # Errors
/// It exports no such function, or functions of several contracts.
pub fn contract_of(program: &Program, named: Option<Contract>) -> Result<Contract, Invalid> {
    if let Some(contract) = named {
        let word = contract.as_str();
        if program.exports(word) {
            return Ok(contract);
        }
        let reason = format!(
            "the script exports no function {word}: begin it with `export function {word}(`"
        );
        return Err(Invalid::new("contract", reason));
    }
    let exported = |contract: &Contract| program.exports(contract.as_str());
    let found: Vec<Contract> = Contract::ALL.into_iter().filter(exported).collect();
    match found[..] {
        [one] => Ok(one),
        [] => Err(Invalid::new(
            "contract",
            "the script exports none of createUser, discoverUser and sendOneTimePassword",
        )),
        _ => Err(Invalid::new("contract", SEVERAL_CONTRACTS)),
    }
}

/// Compiles a script.
///
/// # Errors
/// It does not compile; the reason begins with the script's label.
pub async fn compile(
    engine: &ScriptEngine,
    script: &ScriptSource,
) -> Result<Arc<Program>, Invalid> {
    let program = Program::compile(engine, &script.label, &script.text).await;
    program
        .map(Arc::new)
        .map_err(|problem| Invalid::new(&script.label, problem.to_string()))
}

/// Compiles the script of a version as the server does.
///
/// # Errors
/// As those of [`compile`].
pub async fn compile_version(
    engine: &ScriptEngine,
    name: &str,
    version: i64,
    source: String,
) -> Result<Arc<Program>, Invalid> {
    let script = ScriptSource {
        label: script_name(name, version),
        text: source,
    };
    compile(engine, &script).await
}

/// Refuses a name that a setting could not hold or a shell would split.
///
/// # Errors
/// The name has the wrong form, or is the name of the built-in handlers.
pub fn check_name(name: &str) -> Result<(), Invalid> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if HandlerChoice::is_reserved(name) {
        let reason = format!("{name:?} is the name of the built-in handlers");
        return Err(Invalid::new("name", reason));
    }
    if !starts_well || !name.chars().all(is_plain) || name.len() > NAME_LENGTH_MAX {
        let reason = format!(
            "{name:?}: a name begins with a letter and has letters, digits, _ and -, at most {NAME_LENGTH_MAX}"
        );
        return Err(Invalid::new("name", reason));
    }
    Ok(())
}

/// Brings a list of hosts into its form.
fn checked_hosts(given: &[String]) -> Result<Vec<String>, Invalid> {
    if given.len() > HOSTS_MAX {
        return Err(Invalid::new(
            "allowedHosts",
            format!("at most {HOSTS_MAX} hosts"),
        ));
    }
    let mut hosts = Vec::with_capacity(given.len());
    for host in given {
        let host = check_allowed_host(host)
            .map_err(|why| Invalid::new("allowedHosts", format!("{host:?} {why}")))?;
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    Ok(hosts)
}

/// Brings the URL of a webhook into its form.
fn checked_url(url: &str) -> Result<String, Invalid> {
    let checked = check_url(url).map_err(|why| Invalid::new("url", format!("{url:?} {why}")))?;
    Ok(checked.to_string())
}

fn checked_secret(secret: Secret) -> Result<Secret, Invalid> {
    if secret.expose().len() < SECRET_BYTES_MIN {
        let reason = format!("the secret of a webhook has at least {SECRET_BYTES_MIN} bytes");
        return Err(Invalid::new("secret", reason));
    }
    Ok(secret)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_word() {
        for good in ["welcome", "Order-Number_2", "a"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "builtin", "2nd", "a b", "a/b", "ä", &"x".repeat(81)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_list_of_hosts_has_one_form() {
        let given = ["API.example.com", "*.example.org", "api.example.com"].map(str::to_owned);
        let hosts = checked_hosts(&given).unwrap();
        assert_eq!(hosts, ["api.example.com", "*.example.org"]);
        assert!(checked_hosts(&[String::from("https://api.example.com/x")]).is_err());
    }
}
