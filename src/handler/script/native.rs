//! The functions of the server inside a sandbox.
//!
//! Everything that a script can use beyond the language itself is created here or in the prelude. The functions
//! take values and return values; a host call is queued for the engine, which has it answered.

use std::sync::Arc;

use rquickjs::context::EvalOptions;
use rquickjs::{Ctx, Exception, Function, Object, Promise, Value};
use url::Url;
use url::form_urlencoded;
use url::quirks;

use super::ScriptError;
use super::json::{self, NotJson};
use super::registry::{self, rejecter, resolver};
use super::shared_state::{CallEnvironment, PendingHostCall, SharedState};

const PRELUDE: &str = include_str!("prelude.js");
const ADDRESSES: &str = include_str!("addresses.js");

/// The host calls that exist.
const QUESTIONS: [&str; 4] = ["accounts.find", "fetch", "identifiers.find", "users.find"];

const LEVELS: [&str; 4] = ["error", "info", "log", "warn"];

/// Installs the server's functions into a fresh context, and fills the sandbox's registry.
pub(super) fn install(ctx: &Ctx<'_>, shared: &Arc<SharedState>) -> rquickjs::Result<()> {
    let native = Object::new(ctx.clone())?;
    install_host_calls(ctx, &native, shared)?;
    install_time_and_randomness(ctx, &native, shared)?;
    native.set("addresses", Function::new(ctx.clone(), install_url)?)?;
    let captured = Arc::clone(shared);
    let tick = move |ctx: Ctx<'_>| tick(&ctx, &captured);
    native.set("tick", Function::new(ctx.clone(), tick)?)?;
    let prelude: Function = ctx.eval_with_options(PRELUDE, server_code())?;
    let inner: Object = prelude.call((native,))?;
    let registry = Object::new_proto(ctx.clone(), None)?;
    for name in ["invoke", "strict"] {
        registry.set(name, inner.get::<_, Function>(name)?)?;
    }
    ctx.store_userdata(registry)?;
    Ok(())
}

/// The file name of the server's code in stack traces, from which its lines are removed.
pub(super) const SERVER_FILE: &str = "vestibule:server";

fn server_code() -> EvalOptions {
    let mut options = EvalOptions::default();
    options.filename = Some(String::from(SERVER_FILE));
    options
}

/// Installs host calls and the log.
fn install_host_calls<'js>(
    ctx: &Ctx<'js>,
    native: &Object<'js>,
    shared: &Arc<SharedState>,
) -> rquickjs::Result<()> {
    let captured = Arc::clone(shared);
    let ask = move |ctx: Ctx<'js>, name: String, argument: Value<'js>| {
        ask(&ctx, &captured, &name, argument)
    };
    native.set("ask", Function::new(ctx.clone(), ask)?)?;
    let captured = Arc::clone(shared);
    let log = move |level: String, text: String| {
        if let Some(level) = LEVELS.into_iter().find(|known| *known == level) {
            captured.log(level, text);
        }
    };
    native.set("log", Function::new(ctx.clone(), log)?)
}

fn ask<'js>(
    ctx: &Ctx<'js>,
    shared: &SharedState,
    name: &str,
    argument: Value<'js>,
) -> rquickjs::Result<Promise<'js>> {
    let Some(name) = QUESTIONS.into_iter().find(|known| *known == name) else {
        return Err(Exception::throw_type(ctx, "there is no such function"));
    };
    let argument = match json::from_script(ctx, argument, shared.limits.output_bytes_max) {
        Ok(argument) => argument,
        Err(NotJson::TooLarge) => {
            return Err(Exception::throw_range(
                ctx,
                &format!("{name}: the argument is too large"),
            ));
        }
        Err(NotJson::Unfit(why)) => return Err(Exception::throw_type(ctx, &why)),
        Err(NotJson::Threw(error)) => return Err(error.throw(ctx)),
    };
    let number = {
        let mut transcript = shared.transcript();
        if transcript.call.is_none() {
            return Err(Exception::throw_type(ctx, &only_in_a_call(name)));
        }
        transcript.asked += 1;
        transcript.asked - 1
    };
    if number >= shared.limits.host_calls_max {
        shared.fail(ScriptError::TooManyHostCalls);
        return Err(Exception::throw_range(
            ctx,
            "the server was asked too often",
        ));
    }
    let (promise, resolve, reject) = Promise::new(ctx)?;
    let registry = registry::of(ctx)?;
    registry.set(resolver(number), resolve)?;
    registry.set(rejecter(number), reject)?;
    shared
        .transcript()
        .questions
        .push(PendingHostCall { name, argument });
    Ok(promise)
}

/// Checks the meter before a step that may take long.
fn tick(ctx: &Ctx<'_>, shared: &SharedState) -> rquickjs::Result<()> {
    if shared.meter.must_stop() {
        // The script may catch this error, but runs only until the interpreter's next check of the meter.
        return Err(Exception::throw_range(ctx, "the processor time is used up"));
    }
    Ok(())
}

/// Installs time and randomness, which are available during a call only.
fn install_time_and_randomness<'js>(
    ctx: &Ctx<'js>,
    native: &Object<'js>,
    shared: &Arc<SharedState>,
) -> rquickjs::Result<()> {
    let captured = Arc::clone(shared);
    let now =
        move |ctx: Ctx<'js>| in_call(&ctx, &captured, "the time", |call| call.at.millis() as f64);
    native.set("now", Function::new(ctx.clone(), now)?)?;
    let captured = Arc::clone(shared);
    let random = move |ctx: Ctx<'js>| in_call(&ctx, &captured, "randomness", unit);
    native.set("random", Function::new(ctx.clone(), random)?)?;
    let captured = Arc::clone(shared);
    let uuid = move |ctx: Ctx<'js>| in_call(&ctx, &captured, "randomness", uuid);
    native.set("uuid", Function::new(ctx.clone(), uuid)?)?;
    let captured = Arc::clone(shared);
    let bytes = move |ctx: Ctx<'js>, count: usize| {
        in_call(&ctx, &captured, "randomness", |call| {
            call.bytes(count.min(65_536))
        })
    };
    native.set("bytes", Function::new(ctx.clone(), bytes)?)
}

fn in_call<T>(
    ctx: &Ctx<'_>,
    shared: &SharedState,
    what: &str,
    take: impl FnOnce(&mut CallEnvironment) -> T,
) -> rquickjs::Result<T> {
    match &mut shared.transcript().call {
        Some(call) => Ok(take(call)),
        None => Err(Exception::throw_type(ctx, &only_in_a_call(what))),
    }
}

fn only_in_a_call(what: &str) -> String {
    format!("{what}: only inside the function that is called, not while the module is loaded")
}

/// A number from 0 (inclusive) to 1 (exclusive): 53 random bits.
fn unit(call: &mut CallEnvironment) -> f64 {
    let mut bits = [0; 8];
    bits.copy_from_slice(&call.bytes(8));
    (u64::from_be_bytes(bits) >> 11) as f64 / (1u64 << 53) as f64
}

/// A random UUID (RFC 9562 section 5.4).
fn uuid(call: &mut CallEnvironment) -> String {
    let mut bytes = call.bytes(16);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    parts.join("-")
}

/// Installs `URL` and `URLSearchParams`, on first use.
fn install_url(ctx: Ctx<'_>) -> rquickjs::Result<()> {
    let native = Object::new(ctx.clone())?;
    native.set("address", Function::new(ctx.clone(), address)?)?;
    native.set("change", Function::new(ctx.clone(), change)?)?;
    native.set("pairs", Function::new(ctx.clone(), pairs)?)?;
    native.set("query", Function::new(ctx.clone(), query)?)?;
    let install: Function = ctx.eval_with_options(ADDRESSES, server_code())?;
    install.call((native,))
}

fn address<'js>(
    ctx: Ctx<'js>,
    text: String,
    base: String,
) -> rquickjs::Result<Option<Object<'js>>> {
    let parsed = match base.as_str() {
        "" => Url::parse(&text),
        base => Url::parse(base).and_then(|base| base.join(&text)),
    };
    parsed.ok().map(|url| parts(&ctx, &url)).transpose()
}

/// Sets one part of a URL; an invalid value is ignored, as in the URL Standard.
fn change<'js>(
    ctx: Ctx<'js>,
    address: String,
    part: String,
    value: String,
) -> rquickjs::Result<Object<'js>> {
    let Ok(mut url) = Url::parse(&address) else {
        return Err(Exception::throw_type(&ctx, "Invalid URL"));
    };
    let url_mut = &mut url;
    let _ = match part.as_str() {
        "protocol" => quirks::set_protocol(url_mut, &value),
        "username" => quirks::set_username(url_mut, &value),
        "password" => quirks::set_password(url_mut, &value),
        "host" => quirks::set_host(url_mut, &value),
        "hostname" => quirks::set_hostname(url_mut, &value),
        "port" => quirks::set_port(url_mut, &value),
        "pathname" => {
            quirks::set_pathname(url_mut, &value);
            Ok(())
        }
        "search" => {
            quirks::set_search(url_mut, &value);
            Ok(())
        }
        _ => {
            quirks::set_hash(url_mut, &value);
            Ok(())
        }
    };
    parts(&ctx, &url)
}

fn parts<'js>(ctx: &Ctx<'js>, url: &Url) -> rquickjs::Result<Object<'js>> {
    let parts = Object::new(ctx.clone())?;
    parts.set("href", quirks::href(url))?;
    parts.set("origin", quirks::origin(url))?;
    parts.set("protocol", quirks::protocol(url))?;
    parts.set("username", quirks::username(url))?;
    parts.set("password", quirks::password(url))?;
    parts.set("host", quirks::host(url))?;
    parts.set("hostname", quirks::hostname(url))?;
    parts.set("port", quirks::port(url))?;
    parts.set("pathname", quirks::pathname(url))?;
    parts.set("search", quirks::search(url))?;
    parts.set("hash", quirks::hash(url))?;
    Ok(parts)
}

fn pairs(query: String) -> Vec<Vec<String>> {
    let pairs = form_urlencoded::parse(query.as_bytes());
    pairs
        .map(|(name, value)| vec![name.into_owned(), value.into_owned()])
        .collect()
}

fn query(pairs: Vec<Vec<String>>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for pair in &pairs {
        if let [name, value] = pair.as_slice() {
            query.append_pair(name, value);
        }
    }
    query.finish()
}
