//! A fuzz target: for any generated script the engine returns a result, and the next script is not affected.
//!
//! `cargo test` tries it for half a second; `BOLERO_RANDOM_TEST_TIME_MS=600000 BOLERO_RANDOM_ITERATIONS=100000000
//! cargo test --test it -- handlers::hostile::fuzz` for ten minutes.

use std::time::Duration;

use serde_json::json;
use vestibule::handler::script::{ScriptError, ScriptLimits};

use super::{Slow, engine, limits, program, run, run_source};

/// The parts of generated scripts; each uses the values of `x` and `y` that the previous ones left.
const STATEMENTS: &[&str] = &[
    "x = [x, y];",
    "y = { x, y, get z() { return x }, toJSON() { return y } };",
    "x = y; y = globalThis;",
    "x = new Proxy(Object(x), { get: (t, k) => y?.[k], ownKeys: () => Reflect.ownKeys(Object(y)) });",
    "x = String(x) + JSON.stringify(y);",
    "y = JSON.parse('{\"__proto__\": [1, {\"a\": null}], \"then\": 1}');",
    "x = await vestibule.users.find(y);",
    "y = await vestibule.fetch(x, y);",
    "vestibule.identifiers.find({ x });",
    "x = [vestibule.users.create(y), vestibule.accounts.create(x)];",
    "console.log(x, y, new Error(x));",
    "x = new URL(x, y); x.searchParams.append(y, x); x.host = y;",
    "y = [...new URLSearchParams(x)];",
    "x = crypto.getRandomValues(new Uint8Array(8)); y = crypto.randomUUID();",
    "y = new Date(x); y.setHours(y); x = Date(y);",
    "x = /(?<a>(.)\\2*)+(?=b|$)/gu[Symbol.split](x);",
    "y = function* () { yield* y }; x = [...y()];",
    "x = async () => { for await (const z of y) x = z }; await x();",
    "class A extends Array { static get [Symbol.species]() { return y } } x = A.from([3, 1, 2]).sort(x).concat(y).flat();",
    "Object.defineProperty(Object.prototype, 'x', { get() { return y }, set(z) { y = z }, configurable: true });",
    "Array.prototype[Symbol.iterator] = x; Promise.prototype.then = y;",
    "Object.setPrototypeOf(x, y); Object.setPrototypeOf(y, x);",
    "Error.prototype.toString = () => { throw y }; x = new Error(y); x.name = x; y = { name: x, message: x };",
    "x = new Uint8Array(1e6); y = x.buffer; x = y.transfer?.(8) ?? x.slice(4);",
    "x = 'ab'.repeat(1e5).split(y); y = x.length ** 3;",
    "x = new Array(1e9); x[5] = y; x.splice(1, 1e8); x.length = 3;",
    "y = new Map([[x, y], [y, x]]); x = new Set(y); y.delete(x);",
    "x = 2n ** 64n; y = [x];",
    "x = (function deep(n) { return n ? [deep(n - 1)] : y })(500);",
    "queueMicrotask(() => { x = y; throw y });",
    "x = Promise.race([x, y, new Promise(() => {})]); await x;",
    "for (let i = 0; i < 1e4; i++) y = { y };",
    "delete globalThis.Promise; delete globalThis.JSON; delete Object.prototype.hasOwnProperty;",
    "return x;",
    "return { x, y };",
    "throw y;",
    "for (;;) x = [x];",
];

#[test]
fn hnd_01_whatever_is_written_the_engine_answers() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let engine = engine(ScriptLimits {
        cpu: Duration::from_millis(20),
        memory_bytes: 3 << 20,
        threads: 2,
        ..limits()
    });
    let harmless = runtime.block_on(program(&engine, "return args.loginHint"));
    bolero::check!().with_test_time(Duration::from_millis(500)).with_max_len(12).for_each(|input: &[u8]| {
        let body = |byte: &u8| {
            let statement = STATEMENTS[usize::from(*byte) % STATEMENTS.len()];
            match byte & 0x80 {
                0 => format!("try {{ {statement} }} catch (e) {{ y = e }}\n"),
                _ => format!("{statement}\n"),
            }
        };
        let body: String = input.iter().map(body).collect();
        let source = format!("export async function discoverUser(args) {{ let x = args, y = []; {body} return [x, y] }}");
        runtime.block_on(async {
            let outcome = run_source(&engine, &source).await;
            assert_ne!(outcome, Some(Err(ScriptError::Panicked)), "{source}");
            let after = run(&engine, &harmless, &Slow::new(0)).await;
            assert_eq!(after.outcome, Ok(json!("ORDER-1")), "after {source}");
        });
    });
}
