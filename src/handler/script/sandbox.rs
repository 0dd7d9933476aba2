//! A sandbox: a QuickJS runtime and context with one module loaded, for one call.

use std::sync::Arc;
use std::time::Duration;

use rquickjs::context::intrinsic;
use rquickjs::function::Args;
use rquickjs::promise::PromiseState;
use rquickjs::{
    CatchResultExt, CaughtError, Coerced, Context, Ctx, Exception, Function, Module, Object,
    Promise, Runtime, Type,
};
use serde_json::Value;

use super::json::{self, NotJson};
use super::native;
use super::registry;
use super::shared_state::{CallEnvironment, PendingHostCall, SharedState, shortened};
use super::{HostError, ScriptCall, ScriptError};
use crate::moment::thread_cpu;

/// Garbage below this size is not collected during a call; few calls exceed it.
const COLLECTED_FROM_BYTES: usize = 2 << 20;

/// Maximum lengths of the texts of an error that a script threw, in bytes.
const EXCEPTION_BYTES_MAX: usize = 100;
const MESSAGE_BYTES_MAX: usize = 1_024;
const STACK_BYTES_MAX: usize = 4_096;

/// The built-in objects of a script. Weak references, timers, and everything else that reveals the machine are left
/// out.
type Intrinsics = (
    intrinsic::Date,
    intrinsic::Eval,
    intrinsic::RegExpCompiler,
    intrinsic::RegExp,
    intrinsic::Json,
    intrinsic::Proxy,
    intrinsic::MapSet,
    intrinsic::TypedArrays,
    intrinsic::Promise,
);

/// A runtime, a context, and the module in it.
pub(super) struct Sandbox {
    context: Context,
    shared: Arc<SharedState>,
}

/// The start of a turn.
pub(super) enum Input {
    Call(ScriptCall),
    Answer {
        number: usize,
        answer: Result<Value, HostError>,
    },
}

/// The end of a turn.
pub(super) struct TurnEnd {
    /// The sandbox, if the script waits for the host; the outcome is meaningless then.
    pub(super) waiting: Option<Sandbox>,
    pub(super) outcome: Result<Value, ScriptError>,
    pub(super) questions: Vec<PendingHostCall>,
    pub(super) cpu: Duration,
}

/// Why a module could not be loaded.
pub(super) struct LoadProblem {
    pub(super) line: Option<u32>,
    pub(super) column: Option<u32>,
    pub(super) message: String,
}

impl TurnEnd {
    /// Runs a script until its result is complete or it waits. The second value is the sandbox when it is no longer
    /// needed.
    pub(super) fn run(
        sandbox: Option<Sandbox>,
        (file, source): (&str, &str),
        input: Input,
        shared: &Arc<SharedState>,
    ) -> (TurnEnd, Option<Sandbox>) {
        let began = thread_cpu();
        let mut turned = TurnEnd {
            waiting: None,
            outcome: Err(ScriptError::Unsettled),
            questions: Vec::new(),
            cpu: Duration::ZERO,
        };
        let loaded = match sandbox {
            Some(sandbox) => Ok(sandbox),
            None => Sandbox::load(Arc::clone(shared), file, source),
        };
        let mut used = None;
        match loaded {
            Ok(sandbox) => match sandbox.turn(input) {
                Some(outcome) => {
                    turned.outcome = outcome;
                    used = Some(sandbox);
                }
                None => turned.waiting = Some(sandbox),
            },
            Err(problem) => turned.outcome = Err(ScriptError::Load(problem.message)),
        }
        turned.questions = std::mem::take(&mut shared.transcript().questions);
        turned.cpu = thread_cpu().saturating_sub(began);
        (turned, used)
    }
}

impl Sandbox {
    /// Creates a sandbox and loads the module into it, within the processor time of a call.
    pub(super) fn load(
        shared: Arc<SharedState>,
        file: &str,
        source: &str,
    ) -> Result<Sandbox, LoadProblem> {
        shared.meter.grant(shared.limits.cpu);
        let broken = |_| LoadProblem::plain("the sandbox could not be made");
        let runtime = Runtime::new().map_err(broken)?;
        runtime.set_gc_threshold(COLLECTED_FROM_BYTES);
        runtime.set_max_stack_size(shared.limits.stack_bytes);
        runtime.set_memory_limit(shared.limits.memory_bytes);
        let meter = Arc::clone(&shared);
        runtime.set_interrupt_handler(Some(Box::new(move || meter.meter.must_stop())));
        let context = Context::custom::<Intrinsics>(&runtime).map_err(broken)?;
        let sandbox = Sandbox { context, shared };
        let loaded = sandbox.context.with(|ctx| {
            native::install(&ctx, &sandbox.shared).map_err(broken)?;
            sandbox.load_module(&ctx, file, source)
        });
        loaded.map(|()| sandbox)
    }

    fn load_module(&self, ctx: &Ctx<'_>, file: &str, source: &str) -> Result<(), LoadProblem> {
        let loaded = (|| {
            let (module, promise) = Module::declare(ctx.clone(), file, source)?.eval()?;
            self.run_jobs(ctx, &promise);
            match promise.result::<rquickjs::Value>() {
                Some(settled) => settled.and_then(|_| module.namespace()).map(Some),
                None => Ok(None),
            }
        })();
        let namespace = match loaded.catch(ctx) {
            Ok(Some(namespace)) => namespace,
            Ok(None) if self.exceeded_limit().is_none() => {
                return Err(LoadProblem::plain(
                    "the module waits at its top level for something that never happens",
                ));
            }
            Ok(None) => return Err(self.load_problem(ScriptError::CpuSpent, file)),
            Err(error) => return Err(self.load_problem(thrown_error(ctx, error), file)),
        };
        let kept = registry::of(ctx).and_then(|registry| registry.set("module", namespace));
        kept.map_err(|_| LoadProblem::plain("the sandbox could not be made"))
    }

    fn load_problem(&self, error: ScriptError, file: &str) -> LoadProblem {
        let error = self.exceeded_limit().unwrap_or(error);
        let place = match &error {
            ScriptError::Threw {
                stack: Some(stack), ..
            } => place(stack, file),
            _ => None,
        };
        LoadProblem {
            line: place.map(|(line, _)| line),
            column: place.map(|(_, column)| column),
            message: error.to_string(),
        }
    }

    /// The names of the functions that the module exports.
    pub(super) fn exports(&self) -> Vec<String> {
        self.context.with(|ctx| {
            let module =
                registry::of(&ctx).and_then(|registry| registry.get::<_, Object>("module"));
            let Ok(module) = module else {
                return Vec::new();
            };
            let props = module.props::<String, rquickjs::Value>().flatten();
            let functions = props.filter(|(_, value)| value.is_function());
            functions.map(|(name, _)| name).collect()
        })
    }

    pub(super) fn shared(&self) -> &Arc<SharedState> {
        &self.shared
    }

    /// Starts a call or passes in a host result, and runs on. `None` if the script then waits for the host.
    fn turn(&self, input: Input) -> Option<Result<Value, ScriptError>> {
        let budget = match &input {
            Input::Call(_) => self.shared.limits.cpu,
            Input::Answer { .. } => self.shared.meter.left(),
        };
        self.shared.meter.grant(budget);
        let outcome = self.context.with(|ctx| {
            let settled = match input {
                Input::Call(call) => self.begin(&ctx, call),
                Input::Answer { number, answer } => settle(&ctx, number, answer)
                    .map_err(|error| thrown_error(&ctx, CaughtError::from_error(&ctx, error))),
            };
            match settled {
                Ok(()) => self.result(&ctx),
                Err(error) => Some(Err(error)),
            }
        });
        self.shared.meter.rest();
        match (self.exceeded_limit(), outcome) {
            (Some(error), _) => Some(Err(error)),
            (None, outcome) => outcome,
        }
    }

    fn begin(&self, ctx: &Ctx<'_>, call: ScriptCall) -> Result<(), ScriptError> {
        self.shared.transcript().call = Some(CallEnvironment::new(call.at, call.seed));
        let begun = (|| {
            let registry = registry::of(ctx)?;
            let module: Object = registry.get("module")?;
            let export: rquickjs::Value = module.get(call.function)?;
            let Some(function) = export.into_function() else {
                return Ok(false);
            };
            let invoke: Function = registry.get("invoke")?;
            let mut args = Args::new(ctx.clone(), 2);
            args.push_arg(function)?;
            args.push_arg(json::into_script(ctx, &call.argument)?)?;
            let outcome: Promise = invoke.call_arg(args)?;
            registry.set("outcome", outcome)?;
            Ok(true)
        })();
        match begun.catch(ctx) {
            Ok(true) => Ok(()),
            Ok(false) => Err(ScriptError::NoSuchFunction),
            Err(error) => Err(thrown_error(ctx, error)),
        }
    }

    /// Runs all pending jobs; the result if it is complete.
    fn result(&self, ctx: &Ctx<'_>) -> Option<Result<Value, ScriptError>> {
        let outcome = registry::of(ctx).and_then(|registry| registry.get::<_, Promise>("outcome"));
        let settled = outcome.and_then(|outcome| {
            self.run_jobs(ctx, &outcome);
            outcome.result::<rquickjs::Value>().transpose()
        });
        let value = match settled.catch(ctx) {
            Ok(Some(value)) => value,
            Ok(None) => return None,
            Err(error) => return Some(Err(thrown_error(ctx, error))),
        };
        Some(
            match json::from_script(ctx, value, self.shared.limits.output_bytes_max) {
                Ok(value) => Ok(value),
                Err(NotJson::TooLarge) => Err(ScriptError::OutputTooLarge),
                Err(NotJson::Unfit(why)) => Err(ScriptError::OutputNotJson(why)),
                Err(NotJson::Threw(error)) => Err(match thrown_error(ctx, error) {
                    ScriptError::Threw { message, .. } => ScriptError::OutputNotJson(message),
                    other => other,
                }),
            },
        )
    }

    fn run_jobs(&self, ctx: &Ctx<'_>, awaited: &Promise<'_>) {
        while awaited.state() == PromiseState::Pending
            && !self.shared.meter.must_stop()
            && ctx.execute_pending_job()
        {}
    }

    /// The exceeded limit, whatever the script made of it.
    fn exceeded_limit(&self) -> Option<ScriptError> {
        if let Some(fatal) = self.shared.transcript().fatal.clone() {
            return Some(fatal);
        }
        if self.shared.meter.is_spent() {
            return Some(ScriptError::CpuSpent);
        }
        self.shared.meter.is_stopped().then_some(ScriptError::Late)
    }
}

impl LoadProblem {
    fn plain(message: &str) -> LoadProblem {
        LoadProblem {
            line: None,
            column: None,
            message: message.to_owned(),
        }
    }
}

/// Settles the promise of a host call.
fn settle(ctx: &Ctx<'_>, number: usize, answer: Result<Value, HostError>) -> rquickjs::Result<()> {
    let registry = registry::of(ctx)?;
    let (resolve, reject) = (registry::resolver(number), registry::rejecter(number));
    match answer {
        Ok(value) => {
            let value = json::into_script(ctx, &value)?;
            registry
                .get::<_, Function>(&resolve)?
                .call::<_, ()>((value,))?;
        }
        Err(error) => {
            let exception = Exception::from_message(ctx.clone(), &error.message)?;
            exception.set("name", error.exception)?;
            registry
                .get::<_, Function>(&reject)?
                .call::<_, ()>((exception,))?;
        }
    }
    registry.remove(&resolve)?;
    registry.remove(&reject)
}

/// Converts a thrown value into a [`ScriptError`]. Functions of the script may run for that, on the same budget.
fn thrown_error<'js>(ctx: &Ctx<'js>, error: CaughtError<'js>) -> ScriptError {
    match error {
        CaughtError::Exception(exception) => thrown_object(ctx, exception.as_object()),
        CaughtError::Value(value) => match value.as_object() {
            Some(object) => thrown_object(ctx, object),
            None => thrown_value(ctx, &value),
        },
        CaughtError::Error(rquickjs::Error::Allocation | rquickjs::Error::Unknown) => {
            let _ = ctx.catch();
            ScriptError::OutOfMemory
        }
        CaughtError::Error(error) => threw("Error", error.to_string(), None),
    }
}

fn thrown_object<'js>(ctx: &Ctx<'js>, thrown: &Object<'js>) -> ScriptError {
    let text = |name: &str| {
        let text = thrown.get::<_, Option<Coerced<String>>>(name);
        text.map(|text| text.map(|text| text.0))
            .map_err(|_| ctx.catch())
    };
    let name = match text("name") {
        Ok(name) => name.filter(|name| !name.is_empty()),
        // If there is no memory to read a name, there was none to create an error either.
        Err(error) if is_nothing(&error) => return ScriptError::OutOfMemory,
        Err(_) => None,
    };
    let name = name.unwrap_or_else(|| String::from("Error"));
    let message = text("message").ok().flatten().unwrap_or_default();
    match (name.as_str(), message.as_str()) {
        ("InternalError", "out of memory" | "") => ScriptError::OutOfMemory,
        ("RangeError" | "InternalError", STACK_IS_FULL) => ScriptError::StackOverflow,
        _ => threw(&name, message, text("stack").ok().flatten()),
    }
}

/// A thrown value that is not an object. When the memory is used up, the engine throws null, because it cannot
/// create an error.
fn thrown_value<'js>(ctx: &Ctx<'js>, thrown: &rquickjs::Value<'js>) -> ScriptError {
    if is_nothing(thrown) {
        let message = "null was thrown, which is also what happens when the memory is used up";
        return threw("Error", message.to_owned(), None);
    }
    match thrown.get::<Coerced<String>>() {
        Ok(text) => threw("Error", text.0, None),
        Err(_) => {
            let _ = ctx.catch();
            threw(
                "Error",
                format!("a {} was thrown", thrown.type_name()),
                None,
            )
        }
    }
}

fn is_nothing(thrown: &rquickjs::Value<'_>) -> bool {
    thrown.is_null() || thrown.type_of() == Type::Uninitialized
}

fn threw(exception: &str, message: String, stack: Option<String>) -> ScriptError {
    ScriptError::Threw {
        exception: shortened(exception.to_owned(), EXCEPTION_BYTES_MAX),
        message: shortened(message, MESSAGE_BYTES_MAX),
        stack: stack.and_then(|stack| script_lines(&stack)),
    }
}

/// The lines of a stack trace that are in the script.
fn script_lines(stack: &str) -> Option<String> {
    let lines = stack.lines().map(str::trim);
    let lines: Vec<&str> = lines
        .filter(|line| !line.is_empty() && !line.contains(native::SERVER_FILE))
        .collect();
    let stack = shortened(lines.join("\n"), STACK_BYTES_MAX);
    (!stack.is_empty()).then_some(stack)
}

/// The first position in a file that a stack trace names: `FILE:LINE:COLUMN`.
fn place(stack: &str, file: &str) -> Option<(u32, u32)> {
    let (_, rest) = stack.split_once(&format!("{file}:"))?;
    let mut numbers = rest.split(|letter: char| !letter.is_ascii_digit());
    let line = numbers.next()?.parse().ok()?;
    let column = numbers.next().and_then(|column| column.parse().ok());
    Some((line, column.unwrap_or(1)))
}

/// The message of QuickJS for a stack overflow.
const STACK_IS_FULL: &str = "Maximum call stack size exceeded";
