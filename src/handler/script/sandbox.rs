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
use super::program::Program;
use super::wires::{CallWorld, Question, Wires, shortened};
use super::{HostError, ScriptCall, ScriptError};
use crate::moment::thread_cpu;

/// Garbage below this is left to the end of the sandbox, which few calls outgrow.
const COLLECTED_FROM_BYTES: usize = 2 << 20;

/// Longest texts of an error that a script threw, in bytes.
const EXCEPTION_BYTES_MAX: usize = 100;
const MESSAGE_BYTES_MAX: usize = 1_024;
const STACK_BYTES_MAX: usize = 4_096;

/// The built-in objects that a script finds. Weak references and timers are left out: they depend on the machine.
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
    wires: Arc<Wires>,
}

/// What a turn begins with.
pub(super) enum Input {
    Call(ScriptCall),
    Answer {
        number: usize,
        answer: Result<Value, HostError>,
    },
}

/// What a turn ended with.
pub(super) struct Turned {
    /// The sandbox, if the script waits for the host; the outcome means nothing then.
    pub(super) waiting: Option<Sandbox>,
    pub(super) outcome: Result<Value, ScriptError>,
    pub(super) questions: Vec<Question>,
    pub(super) cpu: Duration,
}

/// Why a module could not be loaded.
pub(super) struct LoadProblem {
    pub(super) line: Option<u32>,
    pub(super) column: Option<u32>,
    pub(super) message: String,
}

impl Turned {
    /// Runs a script until its result is there or it waits. The second value is the sandbox that is no longer needed.
    pub(super) fn run(
        sandbox: Option<Sandbox>,
        program: &Program,
        input: Input,
        wires: &Arc<Wires>,
    ) -> (Turned, Option<Sandbox>) {
        let began = thread_cpu();
        let mut turned = Turned {
            waiting: None,
            outcome: Err(ScriptError::Unsettled),
            questions: Vec::new(),
            cpu: Duration::ZERO,
        };
        let loaded = match sandbox {
            Some(sandbox) => Ok(sandbox),
            None => Sandbox::load(Arc::clone(wires), &program.file, &program.source),
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
        turned.questions = std::mem::take(&mut wires.talk().questions);
        turned.cpu = thread_cpu().saturating_sub(began);
        (turned, used)
    }
}

impl Sandbox {
    /// Makes a sandbox and loads the module into it, within the processor time of a call.
    pub(super) fn load(
        wires: Arc<Wires>,
        file: &str,
        source: &str,
    ) -> Result<Sandbox, LoadProblem> {
        wires.meter.grant(wires.limits.cpu);
        let broken = |_| LoadProblem::plain("the sandbox could not be made");
        let runtime = Runtime::new().map_err(broken)?;
        runtime.set_gc_threshold(COLLECTED_FROM_BYTES);
        runtime.set_max_stack_size(wires.limits.stack_bytes);
        runtime.set_memory_limit(wires.limits.memory_bytes);
        let meter = Arc::clone(&wires);
        runtime.set_interrupt_handler(Some(Box::new(move || meter.meter.must_stop())));
        let context = Context::custom::<Intrinsics>(&runtime).map_err(broken)?;
        let sandbox = Sandbox { context, wires };
        let loaded = sandbox.context.with(|ctx| {
            native::furnish(&ctx, &sandbox.wires).map_err(broken)?;
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
            Ok(None) if self.broken_off().is_none() => {
                return Err(LoadProblem::plain(
                    "the module waits at its top level for something that never happens",
                ));
            }
            Ok(None) => return Err(self.load_problem(ScriptError::CpuSpent, file)),
            Err(error) => return Err(self.load_problem(told(ctx, error), file)),
        };
        let kept = native::registry(ctx).and_then(|registry| registry.set("module", namespace));
        kept.map_err(|_| LoadProblem::plain("the sandbox could not be made"))
    }

    fn load_problem(&self, error: ScriptError, file: &str) -> LoadProblem {
        let error = self.broken_off().unwrap_or(error);
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
                native::registry(&ctx).and_then(|registry| registry.get::<_, Object>("module"));
            let Ok(module) = module else {
                return Vec::new();
            };
            let props = module.props::<String, rquickjs::Value>().flatten();
            let functions = props.filter(|(_, value)| value.is_function());
            functions.map(|(name, _)| name).collect()
        })
    }

    pub(super) fn wires(&self) -> &Arc<Wires> {
        &self.wires
    }

    /// Begins a call or hands an answer in, and runs on. None if the script waits for the host then.
    fn turn(&self, input: Input) -> Option<Result<Value, ScriptError>> {
        let budget = match &input {
            Input::Call(_) => self.wires.limits.cpu,
            Input::Answer { .. } => self.wires.meter.left(),
        };
        self.wires.meter.grant(budget);
        let outcome = self.context.with(|ctx| {
            let settled = match input {
                Input::Call(call) => self.begin(&ctx, call),
                Input::Answer { number, answer } => settle(&ctx, number, answer)
                    .map_err(|error| told(&ctx, CaughtError::from_error(&ctx, error))),
            };
            match settled {
                Ok(()) => self.result(&ctx),
                Err(error) => Some(Err(error)),
            }
        });
        self.wires.meter.rest();
        match (self.broken_off(), outcome) {
            (Some(error), _) => Some(Err(error)),
            (None, outcome) => outcome,
        }
    }

    fn begin(&self, ctx: &Ctx<'_>, call: ScriptCall) -> Result<(), ScriptError> {
        self.wires.talk().call = Some(CallWorld::new(call.at, call.seed));
        let begun = (|| {
            let registry = native::registry(ctx)?;
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
            Err(error) => Err(told(ctx, error)),
        }
    }

    /// Runs what can run; the result if it is there.
    fn result(&self, ctx: &Ctx<'_>) -> Option<Result<Value, ScriptError>> {
        let outcome =
            native::registry(ctx).and_then(|registry| registry.get::<_, Promise>("outcome"));
        let settled = outcome.and_then(|outcome| {
            self.run_jobs(ctx, &outcome);
            outcome.result::<rquickjs::Value>().transpose()
        });
        let value = match settled.catch(ctx) {
            Ok(Some(value)) => value,
            Ok(None) => return None,
            Err(error) => return Some(Err(told(ctx, error))),
        };
        Some(
            match json::from_script(ctx, value, self.wires.limits.output_bytes_max) {
                Ok(value) => Ok(value),
                Err(NotJson::TooLarge) => Err(ScriptError::OutputTooLarge),
                Err(NotJson::Unfit(why)) => Err(ScriptError::OutputNotJson(why)),
                Err(NotJson::Threw(error)) => Err(match told(ctx, error) {
                    ScriptError::Threw { message, .. } => ScriptError::OutputNotJson(message),
                    other => other,
                }),
            },
        )
    }

    fn run_jobs(&self, ctx: &Ctx<'_>, awaited: &Promise<'_>) {
        while awaited.state() == PromiseState::Pending
            && !self.wires.meter.must_stop()
            && ctx.execute_pending_job()
        {}
    }

    /// The limit that was passed, whatever the script made of it.
    fn broken_off(&self) -> Option<ScriptError> {
        if let Some(fatal) = self.wires.talk().fatal.clone() {
            return Some(fatal);
        }
        if self.wires.meter.is_spent() {
            return Some(ScriptError::CpuSpent);
        }
        self.wires.meter.is_stopped().then_some(ScriptError::Late)
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

/// Hands the answer to a question in.
fn settle(ctx: &Ctx<'_>, number: usize, answer: Result<Value, HostError>) -> rquickjs::Result<()> {
    let registry = native::registry(ctx)?;
    let (resolve, reject) = (native::resolver(number), native::rejecter(number));
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

/// What a script threw, in our words. Its own functions may run once more for that, on the same budget.
fn told<'js>(ctx: &Ctx<'js>, error: CaughtError<'js>) -> ScriptError {
    match error {
        CaughtError::Exception(exception) => told_object(ctx, exception.as_object()),
        CaughtError::Value(value) => match value.as_object() {
            Some(object) => told_object(ctx, object),
            None => told_plain(ctx, &value),
        },
        CaughtError::Error(rquickjs::Error::Allocation | rquickjs::Error::Unknown) => {
            let _ = ctx.catch();
            ScriptError::OutOfMemory
        }
        CaughtError::Error(error) => threw("Error", error.to_string(), None),
    }
}

fn told_object<'js>(ctx: &Ctx<'js>, thrown: &Object<'js>) -> ScriptError {
    let text = |name: &str| {
        let text = thrown.get::<_, Option<Coerced<String>>>(name);
        text.map(|text| text.map(|text| text.0))
            .map_err(|_| ctx.catch())
    };
    let name = match text("name") {
        Ok(name) => name.filter(|name| !name.is_empty()),
        // Where there is no memory left to read a name, there is none to make an error of either.
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

/// A value that is no object. With the last of the memory gone the engine throws null, for want of an error.
fn told_plain<'js>(ctx: &Ctx<'js>, thrown: &rquickjs::Value<'js>) -> ScriptError {
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
        stack: stack.and_then(|stack| own_lines(&stack)),
    }
}

/// The lines of a trace that lie in the script.
fn own_lines(stack: &str) -> Option<String> {
    let lines = stack.lines().map(str::trim);
    let lines: Vec<&str> = lines
        .filter(|line| !line.is_empty() && !line.contains(native::OURS))
        .collect();
    let stack = shortened(lines.join("\n"), STACK_BYTES_MAX);
    (!stack.is_empty()).then_some(stack)
}

/// The first place in a file that a trace names: `FILE:LINE:COLUMN`.
fn place(stack: &str, file: &str) -> Option<(u32, u32)> {
    let (_, rest) = stack.split_once(&format!("{file}:"))?;
    let mut numbers = rest.split(|letter: char| !letter.is_ascii_digit());
    let line = numbers.next()?.parse().ok()?;
    let column = numbers.next().and_then(|column| column.parse().ok());
    Some((line, column.unwrap_or(1)))
}

/// What QuickJS says when a function called itself too often.
const STACK_IS_FULL: &str = "Maximum call stack size exceeded";
