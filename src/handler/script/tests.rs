//! Tests of the script engine: what a script may do, and what stops one that does more.

use std::sync::Arc;

use serde_json::json;

use super::*;

struct NoHost;

impl Host for NoHost {
    fn call<'h>(
        &'h self,
        name: &'static str,
        argument: Value,
    ) -> BoxFuture<'h, Result<Value, HostError>> {
        Box::pin(async move {
            Ok(json!({"asked": name, "with": argument, "status": 200, "body": "{}"}))
        })
    }
}

fn engine() -> ScriptEngine {
    ScriptEngine::new(ScriptLimits::default()).unwrap()
}

fn call(argument: Value) -> ScriptCall {
    ScriptCall {
        function: "discoverUser",
        argument,
        at: Moment::from_millis(1_767_607_200_000),
        seed: [7; 32],
    }
}

async fn run(engine: &ScriptEngine, source: &str) -> Ran {
    let program = Program::compile(engine, "test.js", source).await.unwrap();
    engine
        .run(
            &Arc::new(program),
            call(json!({"loginHint": "ORDER-1"})),
            Arc::new(NoHost),
        )
        .await
}

#[tokio::test]
async fn smoke() {
    let engine = engine();
    for source in [
        "export function discoverUser(a) { return {userIds: [a.loginHint]} }",
        "export async function discoverUser(a) { return await vestibule.users.find({username: a.loginHint}) }",
        "export async function discoverUser(a) { for(;;); }",
        "export async function discoverUser(a) { return /(a+)+$/.test('a'.repeat(40)+'b') }",
        "export async function discoverUser(a) { const x=[]; for(;;) x.push(new Array(1000).fill(1)) }",
        "export async function discoverUser(a) { let x='a'; for(;;) x += x + 'b' }",
        "export async function discoverUser(a) { return discoverUser(a) }",
        "export function discoverUser(a) { return discoverUser(a) +1}",
        "export function discoverUser(a) { return new Promise(()=>{})}",
        "export function discoverUser(a) { throw null }",
        "export function discoverUser(a) { throw new TypeError('no '+a.loginHint) }",
        "export function discoverUser(a) { return {a: NaN} }",
        "export function discoverUser(a) { const x={}; x.x=x; return x }",
        "export function discoverUser(a) { return 'x'.repeat(300000) }",
        "export async function discoverUser(a) { for(;;) await vestibule.users.find({}) }",
        "export async function discoverUser(a) { return [new Date(), Date.now(), Math.random(), crypto.randomUUID(), new Date(2020,1,2).getHours(), String(new URL('/x?a=b','https://e.example')), new URL('https://e.example/?q=1').searchParams.get('q')] }",
        "export function discoverUser(a) { return Function('return 1')() }",
        "export async function discoverUser(a) { return (await import('os')) }",
        "export async function discoverUser(a) { console.log('hi', {a}); return [...crypto.getRandomValues(new Uint8Array(4))] }",
        "export async function discoverUser(a) { return (await vestibule.fetch('https://x.example', {method:'POST', body: {a:1}})).json() }",
        "export function discoverUser(a) { const s='a'.repeat(4000000); return s.indexOf('a'.repeat(2000000)+'b') }",
        "export function discoverUser(a) { return Object.getOwnPropertyNames(globalThis) }",
    ] {
        let ran = run(&engine, source).await;
        println!(
            "{source}\n   {:?} log {:?} cpu {:?} wall {:?} calls {}",
            ran.outcome,
            ran.log,
            ran.cpu,
            ran.wall,
            ran.host_calls.len()
        );
    }
    for source in [
        "let x = ;",
        "import fs from 'fs'",
        "export const a = Date.now()",
        "await new Promise(()=>{})",
        "for(;;);",
        "\n\nthrow new Error('x')",
    ] {
        println!(
            "{source}: {:?}",
            Program::compile(&engine, "test.js", source).await
        );
    }
}
