//! Tests of the script engine: the environment of a script, its host calls, and its results. The limits for a
//! hostile script are tested in `tests/it/handlers/hostile/mod.rs`; the cost of a call is measured in `cost`.

mod cost;

use std::sync::{Arc, Mutex};

use serde_json::json;

use super::*;

/// 2026-01-05T10:00:00Z.
const AT: Moment = Moment::from_millis(1_767_607_200_000);

/// Answers every host call with its argument, or with an error when the argument requests it.
struct Echo;

impl Host for Echo {
    fn call<'h>(&'h self, name: &'static str, argument: Value) -> HostAnswer<'h> {
        Box::pin(async move {
            if argument["id"] == "broken" {
                return Err(HostError {
                    exception: String::from("QueryException"),
                    message: String::from("no such table"),
                });
            }
            Ok(match name {
                "fetch" => {
                    json!({ "status": 201, "headers": { "x-one": "1" }, "body": argument.to_string() })
                }
                _ => json!([{ "asked": name, "with": argument }]),
            })
        })
    }
}

/// Answers with recorded results, in the order of the host calls.
struct Recorded(Mutex<std::collections::VecDeque<HostCall>>);

impl Host for Recorded {
    fn call<'h>(&'h self, name: &'static str, argument: Value) -> HostAnswer<'h> {
        let call = self.0.lock().unwrap().pop_front().unwrap();
        assert_eq!((call.name, call.argument), (name, argument));
        Box::pin(async move { call.answer })
    }
}

fn engine() -> ScriptEngine {
    ScriptEngine::new(ScriptLimits::default()).unwrap()
}

fn call(argument: Value) -> ScriptCall {
    ScriptCall {
        function: "discoverUser",
        argument,
        at: AT,
        seed: [7; 32],
    }
}

/// The source with `BODY` as the body of the function.
fn source(body: &str) -> String {
    format!("export async function discoverUser(args) {{ {body} }}")
}

async fn program(engine: &ScriptEngine, source: &str) -> Arc<Program> {
    Arc::new(Program::compile(engine, "script.js", source).await.unwrap())
}

async fn run_body(engine: &ScriptEngine, body: &str) -> ScriptRun {
    let program = program(engine, &source(body)).await;
    let call = call(json!({ "loginHint": "ORDER-1" }));
    engine.run(&program, call, Arc::new(Echo)).await
}

fn threw(exception: &str, message: &str) -> (String, String) {
    (exception.to_owned(), message.to_owned())
}

async fn failure(engine: &ScriptEngine, body: &str) -> (String, String) {
    let error = run_body(engine, body).await.outcome.unwrap_err();
    (error.exception().to_owned(), error.message())
}

#[tokio::test]
async fn a_function_is_given_json_and_gives_json() {
    let engine = engine();
    for (body, result) in [
        (
            "return { userIds: [args.loginHint] }",
            json!({"userIds": ["ORDER-1"]}),
        ),
        (
            "return await (async () => [1, 2.5, -0, true, null, 'ä😀'])()",
            json!([1, 2.5, 0, true, null, "ä😀"]),
        ),
        (
            "return { then(resolve) { resolve('thenable') } }",
            json!("thenable"),
        ),
        (
            "return { a: undefined, at: new Date(0) }",
            json!({"at": "1970-01-01T00:00:00.000Z"}),
        ),
        (
            "return { ['__proto__']: { admin: true } }",
            json!({"__proto__": {"admin": true}}),
        ),
        ("", Value::Null),
    ] {
        assert_eq!(run_body(&engine, body).await.outcome, Ok(result), "{body}");
    }
}

#[tokio::test]
async fn what_json_cannot_say_is_refused_and_never_changed() {
    let engine = engine();
    for (body, message) in [
        ("return { a: NaN }", "the member `a` is not a number"),
        ("return 1 / 0", "the result is infinite"),
        ("return [1n]", "the member `0` is a BigInt"),
        ("return () => 1", "the result is a function"),
        ("return { s: Symbol('s') }", "the member `s` is a symbol"),
        ("return [undefined]", "an undefined element"),
        ("return [, 1]", "an undefined element"),
        ("const o = {}; o.o = o; return o", "circular reference"),
        (
            "return String.fromCharCode(0xd800)",
            "half of a surrogate pair",
        ),
        (
            "let a = []; for (let i = 0; i < 200; i++) a = [a]; return a",
            "nested too deeply",
        ),
        (
            "return { get a() { throw new Error('not today') } }",
            "not today",
        ),
    ] {
        let (exception, text) = failure(&engine, body).await;
        assert_eq!(exception, "OutputException", "{body}: {text}");
        assert!(text.contains(message), "{body}: {text}");
    }
}

#[tokio::test]
async fn a_thrown_error_is_reported_with_name_message_and_place() {
    let engine = engine();
    for (body, expected) in [
        (
            "throw new TypeError('no ' + args.loginHint)",
            threw("TypeError", "no ORDER-1"),
        ),
        (
            "class NotFound extends Error { name = 'NotFound' }; throw new NotFound('gone')",
            threw("NotFound", "gone"),
        ),
        ("throw { name: 'Mine', message: 'm' }", threw("Mine", "m")),
        ("throw 'text'", threw("Error", "text")),
        ("throw undefined", threw("Error", "undefined")),
        ("throw Symbol('s')", threw("Error", "a symbol was thrown")),
        (
            "await vestibule.users.find({ id: 'broken' })",
            threw("QueryException", "no such table"),
        ),
    ] {
        assert_eq!(failure(&engine, body).await, expected, "{body}");
    }
    let outcome = run_body(&engine, "\n\n  null.x").await.outcome;
    let Err(ScriptError::Threw { stack, .. }) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(stack.as_deref(), Some("at discoverUser (script.js:3:3)"));
}

#[tokio::test]
async fn a_caught_error_of_the_host_is_only_an_error() {
    let body = "try { await vestibule.users.find({ id: 'broken' }) } catch (e) { return `${e.name}: ${e.message}` }";
    let ran = run_body(&engine(), body).await;
    assert_eq!(ran.outcome, Ok(json!("QueryException: no such table")));
    assert!(ran.host_calls[0].answer.is_err());
}

#[tokio::test]
async fn questions_reach_the_host_as_they_were_asked() {
    let engine = engine();
    let body = "return Promise.all([vestibule.users.find({ email: 'a@example.com' }), \
        vestibule.accounts.find({ name: 'A' }), vestibule.identifiers.find({ kind: 'order', value: args.loginHint })])";
    let ran = run_body(&engine, body).await;
    let asked: Vec<_> = ran
        .host_calls
        .iter()
        .map(|call| (call.name, call.argument.clone()))
        .collect();
    assert_eq!(
        asked,
        [
            ("users.find", json!({"email": "a@example.com"})),
            ("accounts.find", json!({"name": "A"})),
            (
                "identifiers.find",
                json!({"kind": "order", "value": "ORDER-1"})
            ),
        ]
    );
    assert_eq!(
        ran.outcome.unwrap()[1],
        json!([{"asked": "accounts.find", "with": {"name": "A"}}])
    );
    for body in [
        "vestibule.users.find('a')",
        "vestibule.users.find(null)",
        "vestibule.users.find([])",
    ] {
        let (exception, message) = failure(&engine, body).await;
        assert_eq!(
            (exception.as_str(), message.as_str()),
            ("TypeError", "users.find wants an object")
        );
    }
}

#[tokio::test]
async fn a_draft_is_a_copy_and_runs_no_query() {
    let body = "const draft = { lastName: 'E' }; const user = vestibule.users.create(draft); draft.lastName = 'F'; \
        user.account = vestibule.accounts.create({ name: 'A' }); return user";
    let ran = run_body(&engine(), body).await;
    assert_eq!(
        ran.outcome,
        Ok(json!({"lastName": "E", "account": {"name": "A", "create": true}}))
    );
    assert!(ran.host_calls.is_empty());
}

#[tokio::test]
async fn fetch_sends_text_or_json_and_reads_both() {
    let body = "const reply = await vestibule.fetch('https://shop.example/o', { method: 'POST', headers: { a: 'b' }, body: { n: 1 } }); \
        return [reply.status, reply.ok, reply.headers['x-one'], await reply.text(), (await reply.json()).url]";
    let asked = json!({"url": "https://shop.example/o", "method": "POST", "headers": {"a": "b"}, "body": "{\"n\":1}"});
    let ran = run_body(&engine(), body).await;
    assert_eq!(ran.host_calls[0].argument, asked);
    assert_eq!(
        ran.outcome,
        Ok(json!([
            201,
            true,
            "1",
            asked.to_string(),
            "https://shop.example/o"
        ]))
    );
}

#[tokio::test]
async fn hnd_13_a_script_knows_the_servers_clock_only() {
    let body = "return [Date.now(), new Date(), Date(), new Date(2020, 0, 1, 5), new Date('2020-01-01T05:00').getHours(), \
        new Date(0).getTimezoneOffset(), new Date(0).toString(), typeof performance, new Date(0) instanceof Date]";
    let expected = json!([
        1_767_607_200_000_i64,
        "2026-01-05T10:00:00.000Z",
        "Mon, 05 Jan 2026 10:00:00 GMT",
        "2020-01-01T05:00:00.000Z",
        5,
        0,
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "undefined",
        true
    ]);
    assert_eq!(run_body(&engine(), body).await.outcome, Ok(expected));
}

#[tokio::test]
async fn the_same_call_with_the_same_answers_gives_the_same_output() {
    let engine = engine();
    let body = "const found = await Promise.all([1, 2, 3].map((n) => vestibule.users.find({ id: String(n) }))); \
        console.warn('found', found.length); \
        return [Math.random(), crypto.randomUUID(), [...crypto.getRandomValues(new Uint8Array(5))], new Date(), found]";
    let program = program(&engine, &source(body)).await;
    let first = engine.run(&program, call(json!({})), Arc::new(Echo)).await;
    let recorded = Arc::new(Recorded(Mutex::new(first.host_calls.clone().into())));
    let replayed = engine.run(&program, call(json!({})), recorded).await;
    assert_eq!(replayed.outcome, first.outcome);
    assert_eq!(
        (replayed.host_calls, replayed.log),
        (first.host_calls, first.log)
    );
    let other = ScriptCall {
        seed: [8; 32],
        ..call(json!({}))
    };
    let other = engine
        .run(&program, other, Arc::new(Echo))
        .await
        .outcome
        .unwrap();
    assert_ne!(other[0], first.outcome.unwrap()[0]);
}

#[tokio::test]
async fn a_uuid_is_a_random_one_and_a_random_number_lies_in_its_range() {
    let body = "const n = Array.from({ length: 500 }, Math.random); return [crypto.randomUUID(), Math.min(...n), Math.max(...n)]";
    let drawn = run_body(&engine(), body).await.outcome.unwrap();
    let uuid = drawn[0].as_str().unwrap();
    assert_eq!((uuid.len(), &uuid[14..15]), (36, "4"));
    assert!("89ab".contains(&uuid[19..20]), "{uuid}");
    let (low, high) = (drawn[1].as_f64().unwrap(), drawn[2].as_f64().unwrap());
    assert!(
        (0.0..0.1).contains(&low) && (0.9..1.0).contains(&high),
        "{drawn}"
    );
}

#[tokio::test]
async fn lines_are_logged_shortened_and_counted() {
    let engine = engine();
    let body = "console.log('a', { b: [1] }, new RangeError('r'), 1n); console.error('x'.repeat(5000)); vestibule.log('end')";
    let log = run_body(&engine, body).await.log;
    assert_eq!(
        (log[0].level, log[0].text.as_str()),
        ("log", "a {\"b\":[1]} RangeError: r [object BigInt]")
    );
    assert_eq!(
        (log[1].level, log[1].text.chars().count()),
        ("error", 1_025)
    );
    assert_eq!(log.len(), 3);
    let log = run_body(&engine, "for (let i = 0; i < 500; i++) console.log(i)")
        .await
        .log;
    assert_eq!(log.len(), 101);
    assert!(log[100].text.contains("left out"), "{:?}", log[100]);
}

#[tokio::test]
async fn urls_are_parsed_and_changed_as_in_the_standard() {
    let body = "const u = new URL('../p?q=1#h', 'https://u:p@a.example:8443/x/y'); u.searchParams.set('q', 'ä&b'); u.port = ''; u.hash = ''; \
        return [u, u.host, u.origin, URL.canParse('x'), [...new URLSearchParams('?a=1&a=2')], String(new URLSearchParams({ a: 'b c' })), new URL('https://a.example/?z=1').searchParams.get('z')]";
    let expected = json!([
        "https://u:p@a.example/p?q=%C3%A4%26b",
        "a.example",
        "https://a.example",
        false,
        [["a", "1"], ["a", "2"]],
        "a=b+c",
        "1"
    ]);
    let engine = engine();
    assert_eq!(run_body(&engine, body).await.outcome, Ok(expected));
    assert_eq!(
        failure(&engine, "new URL('x')").await,
        threw("TypeError", "Invalid URL")
    );
}

#[tokio::test]
async fn guarded_functions_of_arrays_and_texts_are_otherwise_the_languages_own() {
    let body = "return [[1, 2].concat([3], 4), [3, 1, 2].sort(), [1, [2, [3]]].flat(Infinity), [1, 2].join('-'), [1, 2, 3].splice(1, 1), \
        Array.prototype.slice.call({ length: 2, 0: 'a', 1: 'b' }), [1, 2].reverse(), [2, 1].toSorted(), 'a-b'.split('-'), 'abc'.replace(/b/, 'x'), \
        'aab'.replaceAll('a', (m) => m + m), ' x '.trim(), 'x'.padStart(3, '0'), 'xX'.toUpperCase(), 'abc'.includes('b'), \
        JSON.stringify({ a: 1, b: 2 }, ['a']), JSON.stringify([1], null, 1), [].concat.name, 'x'.split.name]";
    let expected = json!([
        [1, 2, 3, 4],
        [1, 2, 3],
        [1, 2, 3],
        "1-2",
        [2],
        ["a", "b"],
        [2, 1],
        [1, 2],
        ["a", "b"],
        "axc",
        "aaaab",
        "x",
        "00x",
        "XX",
        true,
        "{\"a\":1}",
        "[\n 1\n]",
        "concat",
        "split"
    ]);
    assert_eq!(run_body(&engine(), body).await.outcome, Ok(expected));
}

#[tokio::test]
async fn a_source_that_does_not_load_is_reported_with_its_line() {
    let engine = engine();
    for (source, line, message) in [
        ("let x = ;", Some(1), "unexpected token"),
        ("\n\nthrow new Error('at the top')", Some(3), "at the top"),
        ("import fs from 'fs'", None, "could not load module 'fs'"),
        (
            "export const at = Date.now()",
            Some(1),
            "only inside the function",
        ),
        (
            "export const n = Math.random()",
            Some(1),
            "only inside the function",
        ),
        (
            "export const u = vestibule.users.find({})",
            Some(1),
            "only inside the function",
        ),
        ("await new Promise(() => {})", None, "never happens"),
        ("for (;;);", None, "processor time"),
        (
            "export const a = new Array(2e6).fill({})",
            Some(1),
            "more than a million",
        ),
        ("const f = () => f() + 1; f()", None, "stack"),
        ("a\0b", None, "NUL"),
    ] {
        let problem = Program::compile(&engine, "script.js", source)
            .await
            .unwrap_err();
        assert_eq!(problem.line, line, "{source:?}: {problem}");
        assert!(problem.message.contains(message), "{source:?}: {problem}");
    }
    let long = " ".repeat(SOURCE_BYTES_MAX + 1);
    let problem = Program::compile(&engine, "script.js", &long)
        .await
        .unwrap_err();
    assert!(problem.message.contains("256 KiB"), "{problem}");
}

#[tokio::test]
async fn exports_are_known_before_anything_is_called() {
    let engine = engine();
    let source = "export function createUser() {} export const discoverUser = async () => 1; export const version = 1";
    let program = program(&engine, source).await;
    let exported = [
        "createUser",
        "discoverUser",
        "version",
        "sendOneTimePassword",
    ]
    .map(|name| program.exports(name));
    assert_eq!(exported, [true, true, false, false]);
    let call = ScriptCall {
        function: "sendOneTimePassword",
        ..call(json!({}))
    };
    let ran = engine.run(&program, call, Arc::new(Echo)).await;
    assert_eq!(ran.outcome, Err(ScriptError::NoSuchFunction));
}

#[tokio::test]
async fn a_program_keeps_prepared_sandboxes_only_once_it_was_called() {
    let engine = engine();
    let program = program(&engine, &source("return 1")).await;
    assert!(program.take_ready().is_none());
    engine
        .run(&program, call(json!({})), Arc::new(Echo))
        .await
        .outcome
        .unwrap();
    cost::wait_until_prepared(&program).await;
    assert!(program.take_ready().is_some());
}
