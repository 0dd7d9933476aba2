//! The cost of a call: measured and printed on demand (`cargo xtask script`), never asserted.

use std::hint::black_box;

use super::super::sandbox::Sandbox;
use super::super::shared_state::SharedState;
use super::*;
use crate::moment::{Stopwatch, thread_cpu};

const ROUNDS: usize = 500;

/// A typical discovery handler of a customer: an order number, or else an address.
const DISCOVERY: &str = r#"
const ORDER = /^ORDER-(\d+)$/i;

export async function discoverUser({ loginHint, customDataJson }) {
  const custom = customDataJson ? JSON.parse(customDataJson) : {};
  const order = ORDER.exec(loginHint.trim());
  if (order) {
    const found = await vestibule.identifiers.find({ kind: "order", value: order[1] });
    return { userIds: found.map((identifier) => identifier.userId) };
  }
  vestibule.log("no order number", { brand: custom.brand });
  const users = await vestibule.users.find({ email: loginHint });
  return users.length === 1 ? { userIds: [users[0].id] } : { userIds: [], customErrorMessage: "Unknown" };
}
"#;

struct Orders;

impl Host for Orders {
    fn call<'h>(&'h self, _: &'static str, _: Value) -> BoxFuture<'h, Result<Value, HostError>> {
        Box::pin(async { Ok(json!([{ "userId": "005000000000001AAA" }])) })
    }
}

pub(super) async fn wait_until_prepared(program: &Program) {
    let prepared = async {
        while !program.is_prepared() {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), prepared).await;
    assert!(waited.is_ok(), "no sandbox was prepared");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures; run it by `cargo xtask script`"]
async fn what_a_call_costs() {
    let engine = engine();
    let argument = json!({ "loginHint": "ORDER-4711", "verificationAction": "EMAIL", "customDataJson": "{\"brand\":\"x\"}" });
    for (name, source) in [
        ("nothing", source("return { userIds: [] }")),
        ("a discovery", DISCOVERY.to_owned()),
    ] {
        let (mut cold, mut warm) = (Vec::new(), Vec::new());
        let kept = program(&engine, &source).await;
        for _ in 0..ROUNDS {
            let fresh = program(&engine, &source).await;
            let ran = engine
                .run(&fresh, call(argument.clone()), Arc::new(Orders))
                .await;
            cold.push(ran.cpu);
            assert!(ran.outcome.is_ok(), "{:?}", ran.outcome);
            wait_until_prepared(&fresh).await;
            if engine
                .run(&kept, call(argument.clone()), Arc::new(Orders))
                .await
                .outcome
                .is_ok()
            {
                wait_until_prepared(&kept).await;
                let ran = engine
                    .run(&kept, call(argument.clone()), Arc::new(Orders))
                    .await;
                warm.push(ran.cpu);
                wait_until_prepared(&kept).await;
            }
        }
        let (prepare, free) = preparation(&source);
        println!(
            "{name}: warm {}, cold {}, prepare {}, free {}",
            shown(warm),
            shown(cold),
            shown(prepare),
            shown(free)
        );
    }
}

/// The cost of preparing and of freeing a sandbox.
fn preparation(source: &str) -> (Vec<Duration>, Vec<Duration>) {
    let one = |_| {
        let began = thread_cpu();
        let shared = Arc::new(SharedState::new(ScriptLimits::default()));
        let sandbox = Sandbox::load(shared, "script.js", source);
        let made = thread_cpu();
        drop(sandbox);
        (made - began, thread_cpu() - made)
    };
    (0..ROUNDS).map(one).unzip()
}

fn shown(mut costs: Vec<Duration>) -> String {
    costs.sort();
    let at = |percent: usize| costs[(costs.len() - 1) * percent / 100].as_secs_f64() * 1e6;
    format!("{:.0} µs (p95 {:.0})", at(50), at(95))
}

/// How long other work takes on two threads, alone and beside scripts that never stop.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures; run it by `cargo xtask script`"]
async fn what_hostile_scripts_cost_others() {
    let engine = Arc::new(engine());
    for (name, body) in [
        ("alone", None),
        ("beside endless loops", Some("for (;;);")),
        (
            "beside regular expressions",
            Some("/(a+)+$/.test('a'.repeat(40) + 'b')"),
        ),
        (
            "beside memory bombs",
            Some("const x = []; for (;;) x.push(new Array(100).fill(1))"),
        ),
        ("alone again", None),
    ] {
        let mut hostile = tokio::task::JoinSet::new();
        if let Some(body) = body {
            let program = program(&engine, &source(body)).await;
            for _ in 0..8 {
                let (engine, program) = (Arc::clone(&engine), Arc::clone(&program));
                hostile.spawn(async move {
                    loop {
                        black_box(engine.run(&program, call(json!({})), Arc::new(Echo)).await);
                    }
                });
            }
        }
        let mut times = Vec::new();
        for _ in 0..4_000 {
            let stopwatch = Stopwatch::start();
            tokio::spawn(async { black_box(work()) }).await.unwrap();
            times.push(Duration::from_secs_f64(stopwatch.seconds()));
        }
        times.sort();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e6;
        println!(
            "other work {name}: p50 {:.0} µs, p95 {:.0} µs, p99 {:.0} µs",
            at(50),
            at(95),
            at(99)
        );
        hostile.shutdown().await;
    }
}

/// As much work as a small request: about 200 µs.
fn work() -> u64 {
    (0..200_000_u64).fold(1, |sum, n| {
        black_box(sum.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(n))
    })
}
