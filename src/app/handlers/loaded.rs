//! Handlers in a snapshot of the directory: compiled, with opened secrets.
//!
//! A version that cannot be used (it does not compile, or its secret does not open) is kept as broken: every flow
//! that needs it is refused, the health endpoint reports it, and the reason is logged once (threat HND-06).

use std::collections::HashMap;
use std::sync::Arc;

use url::Url;
use vestibule_protocol::secret::Secret;

use crate::handler::body::Body;
use crate::handler::contract::Contract;
use crate::handler::script::{Program, ScriptEngine};
use crate::outbound::check_url;
use crate::sealing::{Keyring, SealedKind};
use crate::settings::Site;
use crate::store::handler::{Handler, HandlerVersion};

/// The current version of a handler.
#[derive(Clone)]
pub struct LoadedHandler {
    /// Record id of the handler.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The version.
    pub version: i64,
    /// What it can be called for.
    pub contract: Contract,
    /// What is called.
    pub code: Code,
    /// Whether it could not be loaded for a transient reason, and should be loaded again.
    pub needs_retry: bool,
}

/// The code of a handler.
#[derive(Clone)]
pub enum Code {
    /// None; the reason.
    Broken(String),
    /// A script.
    Script {
        /// The checked module.
        program: Arc<Program>,
        /// The hosts that it may call.
        allowed_hosts: Vec<String>,
    },
    /// A server of the customer.
    Webhook {
        /// Its URL.
        url: Url,
        /// The key of the signature.
        secret: Secret,
    },
}

/// The handlers of a snapshot, by name.
pub type LoadedHandlers = HashMap<String, Arc<LoadedHandler>>;

/// Loads handlers. A script that has not changed since the previous snapshot is not compiled again.
pub async fn load(
    handlers: Vec<Handler>,
    versions: Vec<HandlerVersion>,
    keyring: &Keyring,
    scripts: &ScriptEngine,
    before: Option<&LoadedHandlers>,
) -> LoadedHandlers {
    let mut versions: HashMap<String, HandlerVersion> = versions
        .into_iter()
        .map(|version| (version.handler_id.clone(), version))
        .collect();
    let mut loaded = LoadedHandlers::new();
    for handler in handlers {
        let version = versions.remove(&handler.id);
        // The two were loaded one after the other; the version itself has the number.
        let number = version
            .as_ref()
            .map_or(handler.version, |version| version.version);
        let known = before.and_then(|before| before.get(&handler.name));
        let known = known.filter(|known| known.id == handler.id && known.version == number);
        let opened = match (known.map(|known| &known.code), version) {
            (Some(code @ Code::Script { .. }), _) => Ok(code.clone()),
            (_, Some(version)) => open(&handler, &version, keyring, scripts).await,
            (_, None) => Err(Unopened::from("its current version is missing")),
        };
        let needs_retry = opened.as_ref().is_err_and(|unopened| unopened.is_transient);
        let former = before.and_then(|before| before.get(&handler.name));
        if let Some(former) = former.filter(|former| {
            needs_retry && former.id == handler.id && !matches!(former.code, Code::Broken(_))
        }) {
            // The previous version is used until this one is ready.
            let former = LoadedHandler {
                needs_retry,
                ..LoadedHandler::clone(former)
            };
            loaded.insert(handler.name, Arc::new(former));
            continue;
        }
        let code = opened.unwrap_or_else(|unopened| Code::Broken(unopened.reason));
        let was_broken = known.is_some_and(|known| matches!(known.code, Code::Broken(_)));
        if let Code::Broken(reason) = &code
            && !was_broken
        {
            tracing::error!(
                handler = handler.name,
                version = number,
                reason,
                "a handler cannot be used; requests that need it are refused"
            );
        }
        let ready = LoadedHandler {
            id: handler.id,
            name: handler.name.clone(),
            version: number,
            contract: handler.contract,
            code,
            needs_retry,
        };
        loaded.insert(handler.name, Arc::new(ready));
    }
    loaded
}

/// Why a version cannot be used.
struct Unopened {
    reason: String,
    /// Whether the reason is transient.
    is_transient: bool,
}

impl<S: Into<String>> From<S> for Unopened {
    fn from(reason: S) -> Unopened {
        Unopened {
            reason: reason.into(),
            is_transient: false,
        }
    }
}

async fn open(
    handler: &Handler,
    version: &HandlerVersion,
    keyring: &Keyring,
    scripts: &ScriptEngine,
) -> Result<Code, Unopened> {
    match Body::parse(&version.body)? {
        Body::Script {
            source,
            allowed_hosts,
        } => {
            let file = script_name(&handler.name, version.version);
            let program = Program::compile(scripts, &file, &source)
                .await
                .map_err(|problem| Unopened {
                    is_transient: problem.is_transient,
                    reason: problem.to_string(),
                })?;
            if !program.exports(handler.contract.as_str()) {
                let reason = format!("it exports no function {}", handler.contract);
                return Err(Unopened::from(reason));
            }
            Ok(Code::Script {
                program: Arc::new(program),
                allowed_hosts,
            })
        }
        Body::Webhook { url } => {
            let sealed = handler.secret_sealed.as_deref();
            let sealed = sealed.ok_or("it has no secret: set it again")?;
            let secret = keyring
                .open(SealedKind::HandlerSecret, &handler.id, sealed)
                .ok()
                .and_then(|secret| String::from_utf8(secret.to_vec()).ok())
                .ok_or("its secret does not open: set it again")?;
            Ok(Code::Webhook {
                url: check_url(&url).map_err(|why| format!("its URL {why}"))?,
                secret: Secret::from(secret),
            })
        }
    }
}

/// The name of a script's version in stack traces: `welcome@3.js`.
pub fn script_name(handler: &str, version: i64) -> String {
    format!("{handler}@{version}.js")
}

/// The problems of handlers, in sentences for the health endpoint: broken ones, and settings that name an unusable
/// one.
pub fn problems(handlers: &LoadedHandlers, sites: &[Site]) -> Vec<String> {
    let mut problems: Vec<String> = handlers
        .values()
        .filter_map(|handler| match &handler.code {
            Code::Broken(_) => Some(format!(
                "handler {} version {} cannot be used",
                handler.name, handler.version
            )),
            _ => None,
        })
        .collect();
    for site in sites {
        for (setting, contract, name) in site.settings.named_handlers() {
            let found = handlers.get(name);
            if found.is_none_or(|found| found.contract != contract) {
                problems.push(format!(
                    "{setting} of site {} names no {contract} handler",
                    site.name
                ));
            }
        }
    }
    problems.sort();
    problems
}
