//! Driving: workers run a flow concurrently, first to warm up and then to be measured; their results and the
//! resources that the server used become one [`Measured`].

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use super::flow::{Scenario, Worker};
use super::installation::Installation;
use super::server::{Memory, Server};
use crate::outcome::Outcome;

/// The plan of a run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Workers, each with one connection.
    pub connections: usize,
    /// The measured time; one more second is used for the warm-up.
    pub seconds: u64,
    /// The algorithm of the tokens' signatures.
    pub alg: String,
    /// The cost of one password hash in milliseconds, if the system does not report it.
    pub hash_ms: f64,
    /// What the database waits for in a commit: `full` or `normal`.
    pub synchronous: String,
}

/// The result of one scenario.
#[derive(Debug)]
pub struct Measured {
    /// The scenario.
    pub scenario: Scenario,
    /// Iterations that succeeded within the measured time.
    pub iterations: u64,
    /// The measured time.
    pub wall: Duration,
    /// Processor seconds that the server used in it.
    pub cpu_seconds: f64,
    /// The part of them used for password hashes, and whether the system reported it.
    pub hash_cpu: Option<(f64, bool)>,
    /// Latency of whole iterations.
    pub latency: Latency,
    /// Latency of their parts, if there are several.
    pub parts: Vec<(&'static str, Latency)>,
    /// Failed iterations, and the error of the first.
    pub failures: (u64, Option<String>),
    /// The server's memory afterwards.
    pub memory: Memory,
}

/// Percentiles in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Latency {
    /// Half of them were faster.
    pub p50: f64,
    /// One in twenty was slower.
    pub p95: f64,
    /// One in a hundred was slower.
    pub p99: f64,
}

impl Latency {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |share: f64| {
            let rank = (times.len() as f64 * share).ceil() as usize;
            times
                .get(rank.saturating_sub(1))
                .map_or(0.0, |time| time.as_secs_f64() * 1000.0)
        };
        Self {
            p50: at(0.50),
            p95: at(0.95),
            p99: at(0.99),
        }
    }
}

/// Drives one scenario and measures it. When a scenario is driven again on the same server, its users are others:
/// their names contain the `round`.
pub fn drive(
    server: &Server,
    to: &Installation,
    plan: &Plan,
    scenario: Scenario,
    round: u32,
) -> Outcome<Measured> {
    let mut workers = Vec::new();
    for number in 0..plan.connections {
        let name = format!("{}-{round}-{number}", scenario.name().replace('_', "-"));
        workers.push(Worker::new(to, &plan.alg, scenario, name)?);
    }
    let phase = AtomicU8::new(WARM_UP);
    let (seen, observed) = std::thread::scope(|scope| {
        let handles: Vec<_> = workers
            .into_iter()
            .map(|worker| scope.spawn(|| work(worker, scenario, &phase)))
            .collect();
        let observed = observe(server, plan, &phase);
        // The workers must be stopped in any case, or the scope would wait forever.
        phase.store(STOP, Ordering::Relaxed);
        let mut all = Seen::default();
        for handle in handles {
            all.add(
                handle
                    .join()
                    .expect("a worker returns its failures and does not panic"),
            );
        }
        (all, observed)
    });
    let (wall, cpu_seconds, hash) = observed?;
    let iterations = seen.whole.len() as u64;
    Ok(Measured {
        scenario,
        iterations,
        wall,
        cpu_seconds,
        hash_cpu: scenario.hashes().then(|| match hash {
            Some(seconds) => (seconds, true),
            None => (iterations as f64 * plan.hash_ms / 1000.0, false),
        }),
        latency: Latency::of(seen.whole),
        parts: ORDER_OF_PARTS
            .iter()
            .filter_map(|name| Some((*name, Latency::of(seen.parts.get(name)?.clone()))))
            .collect(),
        failures: (seen.failures, seen.first_failure),
        memory: server.memory()?,
    })
}

/// Waits for the warm-up, reads the server's meters, waits for the measured time, reads them again.
fn observe(
    server: &Server,
    plan: &Plan,
    phase: &AtomicU8,
) -> Outcome<(Duration, f64, Option<f64>)> {
    std::thread::sleep(Duration::from_secs(1));
    let hash = server.hash_cpu_seconds();
    let cpu = server.cpu_seconds()?;
    let since = Instant::now();
    phase.store(MEASURE, Ordering::Relaxed);
    std::thread::sleep(Duration::from_secs(plan.seconds));
    phase.store(STOP, Ordering::Relaxed);
    let wall = since.elapsed();
    let cpu = server.cpu_seconds()? - cpu;
    let hash = server
        .hash_cpu_seconds()
        .zip(hash)
        .map(|(after, before)| after - before);
    Ok((wall, cpu, hash))
}

/// The results of workers in the measured time.
#[derive(Default)]
struct Seen {
    whole: Vec<Duration>,
    parts: BTreeMap<&'static str, Vec<Duration>>,
    failures: u64,
    first_failure: Option<String>,
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.whole.extend(other.whole);
        for (name, times) in other.parts {
            self.parts.entry(name).or_default().extend(times);
        }
        self.failures += other.failures;
        self.first_failure = self.first_failure.take().or(other.first_failure);
    }
}

/// The loop of one worker. Failures in the warm-up count too.
fn work(mut worker: Worker<'_>, scenario: Scenario, phase: &AtomicU8) -> Seen {
    let mut seen = Seen::default();
    while phase.load(Ordering::Relaxed) != STOP && seen.failures < FAILURES_PER_WORKER_MAX {
        let since = Instant::now();
        let outcome = worker.iterate(scenario);
        let taken = since.elapsed();
        match outcome {
            Ok(()) if phase.load(Ordering::Relaxed) == MEASURE => {
                seen.whole.push(taken);
                for (name, lap) in &worker.laps {
                    seen.parts.entry(name).or_default().push(*lap);
                }
            }
            Ok(()) => {}
            Err(problem) => {
                seen.failures += 1;
                seen.first_failure
                    .get_or_insert_with(|| problem.to_string());
            }
        }
    }
    seen
}

const WARM_UP: u8 = 0;
const MEASURE: u8 = 1;
const STOP: u8 = 2;
/// Enough to exclude an accident; more would only fill the log.
const FAILURES_PER_WORKER_MAX: u64 = 10;
const ORDER_OF_PARTS: [&str; 4] = ["init", "inbox", "authorize", "token"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_sorted_times() {
        let times = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(
            Latency::of(times),
            Latency {
                p50: 50.0,
                p95: 95.0,
                p99: 99.0
            }
        );
        assert_eq!(
            Latency::of(vec![Duration::from_millis(7)]),
            Latency {
                p50: 7.0,
                p95: 7.0,
                p99: 7.0
            }
        );
        assert_eq!(Latency::of(Vec::new()), Latency::default());
    }
}
