//! Hostile scripts: each is stopped within its limit, delays no other work, and leaves nothing behind (threats
//! HND).

mod fuzz;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use vestibule::handler::script::{
    Host, HostError, Program, ScriptCall, ScriptEngine, ScriptError, ScriptLimits, ScriptRun,
};
use vestibule::moment::Moment;

/// Answers on request.
struct Slow {
    asked: AtomicUsize,
    was_asked: Notify,
    answers: Semaphore,
}

impl Slow {
    fn new(answers: usize) -> Arc<Slow> {
        Arc::new(Slow {
            asked: AtomicUsize::new(0),
            was_asked: Notify::new(),
            answers: Semaphore::new(answers),
        })
    }

    async fn wait_until_asked(&self, times: usize) {
        while self.asked.load(Ordering::SeqCst) < times {
            self.was_asked.notified().await;
        }
    }
}

impl Host for Slow {
    fn call<'h>(
        &'h self,
        _: &'static str,
        argument: Value,
    ) -> BoxFuture<'h, Result<Value, HostError>> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            self.was_asked.notify_one();
            if let Ok(answer) = self.answers.acquire().await {
                answer.forget();
            }
            Ok(argument)
        })
    }
}

/// A machine under test is slow, and the limits must be enforced all the same.
fn limits() -> ScriptLimits {
    ScriptLimits {
        deadline: Duration::from_secs(60),
        threads: 1,
        ..ScriptLimits::default()
    }
}

/// For scripts that end for another reason than their processor time, however slow the machine under test is.
fn limits_with_much_cpu() -> ScriptLimits {
    ScriptLimits {
        cpu: Duration::from_secs(30),
        ..limits()
    }
}

fn engine(limits: ScriptLimits) -> Arc<ScriptEngine> {
    Arc::new(ScriptEngine::new(limits).expect("threads"))
}

async fn program(engine: &ScriptEngine, body: &str) -> Arc<Program> {
    let source = format!("export async function discoverUser(args) {{ {body} }}");
    let program = Program::compile(engine, "hostile.js", &source).await;
    Arc::new(program.unwrap_or_else(|problem| panic!("{body}: {problem}")))
}

async fn run(engine: &ScriptEngine, program: &Arc<Program>, host: &Arc<Slow>) -> ScriptRun {
    let call = ScriptCall {
        function: "discoverUser",
        argument: json!({ "loginHint": "ORDER-1" }),
        at: Moment::from_millis(1_767_607_200_000),
        seed: [1; 32],
    };
    engine
        .run(program, call, Arc::clone(host) as Arc<dyn Host>)
        .await
}

/// The outcome of a source; `None` if it does not load.
async fn run_source(engine: &ScriptEngine, source: &str) -> Option<Result<Value, ScriptError>> {
    let program = Program::compile(engine, "fuzz.js", source).await.ok()?;
    let ran = run(engine, &Arc::new(program), &Slow::new(100)).await;
    Some(ran.outcome)
}

/// Runs the body, and then a harmless script, which must not be affected.
async fn run_hostile(engine: &ScriptEngine, body: &str) -> ScriptRun {
    let hostile = program(engine, body).await;
    let ran = run(engine, &hostile, &Slow::new(1_000)).await;
    let harmless = program(engine, "return { userIds: [args.loginHint] }").await;
    let after = run(engine, &harmless, &Slow::new(0)).await;
    assert_eq!(
        after.outcome,
        Ok(json!({"userIds": ["ORDER-1"]})),
        "after {body}"
    );
    ran
}

async fn refusal(engine: &ScriptEngine, body: &str) -> ScriptError {
    match run_hostile(engine, body).await.outcome {
        Err(error) => error,
        Ok(output) => panic!("{body}: {output}"),
    }
}

#[tokio::test]
async fn hnd_01_loops_and_busy_expressions_are_stopped_when_their_time_is_up() {
    let engine = engine(ScriptLimits {
        cpu: Duration::from_millis(50),
        ..limits()
    });
    for body in [
        "for (;;);",
        "for (;;) try { for (;;); } finally { continue }",
        "for (;;) await 1",
        "for (;;) queueMicrotask(() => {})",
        "const again = () => Promise.resolve().then(again); again(); return new Promise(() => {})",
        "/(a+)+$/.test('a'.repeat(40) + 'b')",
        "for (;;) /^(([a-z])+.)+[A-Z]([a-z])+$/.test('a'.repeat(30))",
        "[].indexOf.call({ length: 2 ** 53 - 1 }, 1)",
        "for (;;) 'a'.repeat(1e6).normalize('NFKD')",
        "for (;;) try { new Array(1e9).fill(1) } catch {}",
        "for (;;) try { 'a'.repeat(3e6).split('b') } catch {}",
        "function deep(n) { return n ? deep(n - 1) + 1 : 0 } for (;;) try { deep(1e9) } catch {}",
        "throw { get message() { for (;;); } }",
        "return { toJSON() { for (;;); } }",
        "return { get then() { for (;;); } }",
        "Object.defineProperty(Object.prototype, 'then', { get() { for (;;); } }); return {}",
        "await vestibule.users.find({ get id() { for (;;); } })",
        "console.log({ toJSON() { for (;;); } })",
        "for (const x of { [Symbol.iterator]: () => ({ next: () => ({}) }) });",
    ] {
        let ran = run_hostile(&engine, body).await;
        assert_eq!(ran.outcome, Err(ScriptError::CpuSpent), "{body}");
        assert!(
            ran.cpu < 3 * engine.limits().cpu,
            "{body} cost {:?}",
            ran.cpu
        );
    }
}

#[tokio::test]
async fn hnd_01_deep_recursion_is_stopped_by_the_stack() {
    let engine = engine(limits_with_much_cpu());
    for body in [
        "return discoverUser(args)",
        "const f = () => f() + 1; return f()",
        "let p = {}; for (let i = 0; i < 20000; i++) p = new Proxy(p, {}); return p.x ?? 1",
        "return JSON.parse('['.repeat(100000))",
        "let a = []; for (let i = 0; i < 50000; i++) a = [a]; return a",
        "let a = []; for (let i = 0; i < 50000; i++) a = [a]; return String(a)",
        "const o = { get x() { return this.x } }; return o.x",
    ] {
        assert_eq!(
            refusal(&engine, body).await,
            ScriptError::StackOverflow,
            "{body}"
        );
    }
}

/// A step that the interpreter does not interrupt is left to the watchdog: the thread is set aside and replaced.
#[tokio::test]
async fn hnd_01_a_long_step_inside_the_engine_delays_no_other_script() {
    let engine = engine(limits());
    let hostile = program(&engine, "return (3n ** 600000n).toString().length").await;
    let ran = run(&engine, &hostile, &Slow::new(0)).await;
    assert_eq!(ran.outcome, Err(ScriptError::CpuSpent));
    let harmless = program(&engine, "return 1").await;
    assert_eq!(
        run(&engine, &harmless, &Slow::new(0)).await.outcome,
        Ok(json!(1))
    );
    let again = run(&engine, &hostile, &Slow::new(0)).await.outcome;
    assert!(
        matches!(again, Err(ScriptError::Busy | ScriptError::CpuSpent)),
        "{again:?}"
    );
}

/// On a busy machine a script may need seconds for its share of the processor: only its processor time counts.
#[tokio::test]
async fn hnd_01_a_slow_script_keeps_its_thread_until_its_processor_time_is_spent() {
    let cpu = Duration::from_millis(2_500);
    let engine = engine(ScriptLimits { cpu, ..limits() });
    let slow = program(&engine, "for (;;);").await;
    let ran = run(&engine, &slow, &Slow::new(0)).await;
    assert_eq!(ran.outcome, Err(ScriptError::CpuSpent));
    assert!(ran.cpu >= cpu, "it was stopped after {:?}", ran.cpu);
}

#[tokio::test]
async fn hnd_02_memory_is_capped_and_only_that_call_ends() {
    let engine = engine(limits());
    for body in [
        "const x = []; for (;;) x.push(new Array(1000).fill(1))",
        "const x = []; for (;;) x.push({ a: [1], b: () => x })",
        "const x = []; for (;;) x.push(new ArrayBuffer(1e6))",
        "const x = []; for (;;) x.push('x'.repeat(1e6) + x.length)",
        "let x = 'ab'; for (let i = 0; i < 28; i++) x += x; return x.charCodeAt(5) + x.slice(1).indexOf('c')",
        "return 'x'.repeat(2 ** 29)",
        "return new Uint8Array(2 ** 31)",
        "return [...new Array(2 ** 31)]",
        "return Array.from({ length: 1e9 })",
        "const x = []; for (;;) x.push(new Promise((resolve) => resolve(new Array(100))))",
        "const x = []; for (;;) x.push(/(.)(.)(.)/.exec('abc'.repeat(1000)))",
        "let x = '[1]'; for (;;) x = JSON.stringify([x, x])",
        "return new Proxy({}, { ownKeys: () => Array.from({ length: 1e6 }, (_, i) => 'k' + i) })",
        "const x = []; for (;;) try { for (;;) x.push(new Array(100)) } catch (e) { throw e }",
    ] {
        let error = refusal(&engine, body).await;
        // Some of it exceeds the time limit before it is large.
        let is_stopped = matches!(
            error,
            ScriptError::OutOfMemory
                | ScriptError::CpuSpent
                | ScriptError::Threw { .. }
                | ScriptError::OutputNotJson(_)
        );
        assert!(is_stopped, "{body}: {error:?}");
    }
    let engine = self::engine(limits_with_much_cpu());
    let body = "const x = []; for (;;) x.push(new Array(1000).fill(1))";
    assert_eq!(refusal(&engine, body).await, ScriptError::OutOfMemory);
}

#[tokio::test]
async fn hnd_03_a_script_cannot_access_the_machine() {
    let engine = engine(limits_with_much_cpu());
    let names = "process require module exports Deno Bun std os bjson scriptArgs print eval setTimeout setInterval XMLHttpRequest \
        WebSocket Worker fetch WebAssembly performance navigator gc Atomics SharedArrayBuffer WeakRef FinalizationRegistry Intl native";
    let body =
        format!("return '{names}'.split(' ').filter((name) => globalThis[name] !== undefined)");
    assert_eq!(run_hostile(&engine, &body).await.outcome, Ok(json!([])));
    for (body, exception) in [
        ("await import('os')", "ReferenceError"),
        ("await import('file:///etc/passwd')", "ReferenceError"),
        ("await import('./other.js')", "ReferenceError"),
        ("Function('return 1')()", "TypeError"),
        ("(() => {}).constructor('return 1')()", "TypeError"),
        ("(async () => {}).constructor('return 1')()", "TypeError"),
        ("(function* () {}).constructor('yield 1')()", "TypeError"),
        (
            "(async function* () {}).constructor('yield 1')()",
            "TypeError",
        ),
        ("new (class extends Function {})('return 1')", "TypeError"),
        ("eval('1')", "ReferenceError"),
        ("vestibule.users.find = 1", "TypeError"),
        ("vestibule = {}", "TypeError"),
    ] {
        assert_eq!(
            refusal(&engine, body).await.exception(),
            exception,
            "{body}"
        );
    }
    // The only connection goes through the host, which decides.
    let ran = run_hostile(&engine, "await vestibule.fetch('http://169.254.169.254/')").await;
    assert_eq!(ran.host_calls[0].name, "fetch");
}

#[tokio::test]
async fn hnd_04_errors_and_results_are_bounded() {
    let engine = engine(limits_with_much_cpu());
    for (body, exception) in [
        ("throw null", "Error"),
        ("throw undefined", "Error"),
        ("throw { name: { toString() { throw 1 } } }", "Error"),
        (
            "throw new Proxy({}, { get() { throw new Error('no') } })",
            "Error",
        ),
        ("throw 'x'.repeat(1e7)", "Error"),
        (
            "const e = new Error('x'.repeat(1e6)); e.name = 'n'.repeat(1e6); throw e",
            "n",
        ),
        ("return 'x'.repeat(3e6)", "OutputLimitException"),
        (
            "return Array.from({ length: 1e5 }, () => 'text')",
            "OutputLimitException",
        ),
        ("const o = {}; o.o = o; return o", "OutputException"),
        ("return 10n ** 20n", "OutputException"),
        ("return new Promise(() => {})", "TimeoutException"),
        (
            "await vestibule.users.find({ id: 'x'.repeat(1e6) })",
            "RangeError",
        ),
    ] {
        let error = refusal(&engine, body).await;
        assert!(
            error.exception().starts_with(exception),
            "{body}: {error:?}"
        );
        assert!(
            error.exception().len() <= 110 && error.message().len() <= 1_100,
            "{body}"
        );
    }
}

#[tokio::test]
async fn hnd_04_a_storm_of_questions_ends_at_its_limit() {
    let engine = engine(limits_with_much_cpu());
    for body in [
        "for (;;) await vestibule.users.find({})",
        "for (;;) vestibule.users.find({})",
        "for (;;) try { vestibule.users.find({}) } catch {}",
    ] {
        let ran = run_hostile(&engine, body).await;
        assert_eq!(ran.outcome, Err(ScriptError::TooManyHostCalls), "{body}");
        assert!(ran.host_calls.len() <= 64, "{body}");
    }
}

#[tokio::test]
async fn hnd_04_what_a_script_does_to_the_language_it_does_to_itself() {
    let engine = engine(limits());
    let trick = "Promise.prototype.then = Array.isArray = JSON.stringify = Function.prototype.call = Reflect.apply = () => { throw 1 }; \
        Object.prototype.toJSON = () => 'mine'; Object.prototype.admin = true; Array.prototype[Symbol.iterator] = null; \
        Object.setPrototypeOf(globalThis, null); delete globalThis.Promise; delete globalThis.Object; delete Error.prototype.name;";
    for after in [
        "return { a: 1 }",
        "throw new Error('x')",
        "await vestibule.users.find({ id: '1' }); return 1",
    ] {
        // The result is irrelevant; `run_hostile` checks the next call.
        run_hostile(&engine, &format!("{trick} {after}")).await;
    }
    let ran = run_hostile(
        &engine,
        "return JSON.parse('{\"__proto__\": {\"admin\": true}}')",
    )
    .await;
    assert_eq!(ran.outcome, Ok(json!({"__proto__": {"admin": true}})));
    let ran = run_hostile(&engine, "return ({}).admin ?? 'none'").await;
    assert_eq!(ran.outcome, Ok(json!("none")));
}

#[tokio::test]
async fn hnd_07_scripts_that_wait_hold_up_no_others() {
    let engine = engine(limits());
    let waiting = program(
        &engine,
        "return (await vestibule.users.find({ id: args.loginHint })).id",
    )
    .await;
    let host = Slow::new(0);
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let (engine, waiting, host) =
            (Arc::clone(&engine), Arc::clone(&waiting), Arc::clone(&host));
        calls.spawn(async move { run(&engine, &waiting, &host).await.outcome });
    }
    host.wait_until_asked(100).await;
    let others = program(&engine, "return 1").await;
    for _ in 0..20 {
        assert_eq!(
            run(&engine, &others, &Slow::new(0)).await.outcome,
            Ok(json!(1))
        );
    }
    assert_eq!(calls.len(), 100);
    assert!(calls.try_join_next().is_none());
    host.answers.add_permits(100);
    for outcome in calls.join_all().await {
        assert_eq!(outcome, Ok(json!("ORDER-1")));
    }
}

#[tokio::test]
async fn hnd_07_one_call_too_many_is_refused_at_once() {
    let engine = engine(ScriptLimits {
        in_flight_max: 3,
        ..limits()
    });
    let waiting = program(&engine, "return await vestibule.users.find({ id: '1' })").await;
    let host = Slow::new(0);
    let mut calls = JoinSet::new();
    for _ in 0..3 {
        let (engine, waiting, host) =
            (Arc::clone(&engine), Arc::clone(&waiting), Arc::clone(&host));
        calls.spawn(async move { run(&engine, &waiting, &host).await.outcome });
    }
    host.wait_until_asked(3).await;
    assert_eq!(
        run(&engine, &waiting, &host).await.outcome,
        Err(ScriptError::Busy)
    );
    let problem = Program::compile(&engine, "hostile.js", "")
        .await
        .unwrap_err();
    assert!(problem.message.contains("too many scripts"), "{problem}");
    // Abandoned calls free their permits, as completed ones do.
    calls.shutdown().await;
    host.answers.add_permits(1);
    assert_eq!(
        run(&engine, &waiting, &host).await.outcome,
        Ok(json!({"id": "1"}))
    );
}

#[tokio::test]
async fn hnd_07_a_script_whose_caller_went_away_is_stopped() {
    let engine = engine(ScriptLimits {
        cpu: Duration::from_secs(40),
        ..limits()
    });
    let endless = program(
        &engine,
        "vestibule.users.find({}); await vestibule.users.find({}); for (;;);",
    )
    .await;
    let host = Slow::new(1);
    let call = {
        let (engine, host) = (Arc::clone(&engine), Arc::clone(&host));
        tokio::spawn(async move { run(&engine, &endless, &host).await.outcome })
    };
    host.wait_until_asked(2).await;
    host.answers.add_permits(1);
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    let harmless = program(&engine, "return 1").await;
    assert_eq!(
        run(&engine, &harmless, &Slow::new(0)).await.outcome,
        Ok(json!(1))
    );
}

#[tokio::test]
async fn hnd_07_the_deadline_includes_the_time_of_the_host() {
    let engine = engine(ScriptLimits {
        deadline: Duration::from_millis(100),
        ..limits()
    });
    let waiting = program(
        &engine,
        "console.log('before'); await vestibule.users.find({ id: '1' })",
    )
    .await;
    let ran = run(&engine, &waiting, &Slow::new(0)).await;
    assert_eq!(ran.outcome, Err(ScriptError::Late));
    assert_eq!(ran.log[0].text, "before");
    let unanswered = ran.host_calls[0].answer.as_ref().unwrap_err();
    assert_eq!(unanswered.exception, "Unanswered");
}

#[tokio::test]
async fn hnd_10_nothing_is_kept_between_calls() {
    let engine = engine(limits());
    let source = "let count = 0; const seen = new Map(); \
        export function discoverUser(args) { \
            count += 1; seen.set(count, args); globalThis.calls = (globalThis.calls ?? 0) + 1; \
            Array.prototype.mark = (Array.prototype.mark ?? 0) + 1; Math.calls = (Math.calls ?? 0) + 1; \
            return [count, seen.size, globalThis.calls, [].mark, Math.calls] }";
    let program = Program::compile(&engine, "keeper.js", source).await;
    let program = Arc::new(program.unwrap());
    for _ in 0..50 {
        let ran = run(&engine, &program, &Slow::new(0)).await;
        assert_eq!(ran.outcome, Ok(json!([1, 1, 1, 1, 1])));
    }
}

#[tokio::test]
async fn hnd_12_each_call_sees_one_version() {
    let engine = engine(ScriptLimits {
        threads: 2,
        ..limits()
    });
    let mut calls = JoinSet::new();
    for round in 0..40 {
        let body = format!(
            "const before = {round}; await vestibule.users.find({{}}); return [before, {round}]"
        );
        let version = program(&engine, &body).await;
        for _ in 0..3 {
            let (engine, version) = (Arc::clone(&engine), Arc::clone(&version));
            calls
                .spawn(async move { (round, run(&engine, &version, &Slow::new(1)).await.outcome) });
        }
    }
    for (round, outcome) in calls.join_all().await {
        assert_eq!(outcome, Ok(json!([round, round])));
    }
}
