//! Metrics: the counters of the server, in one typed place, for `/metrics` (OpenMetrics text).
//!
//! Labels are words of ours (a write's name, an outcome), never anything that a request brought.

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::AtomicU64;

type Seconds = Counter<f64, AtomicU64>;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Request {
    endpoint: &'static str,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Write {
    name: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OtpOutcome {
    purpose: &'static str,
    outcome: &'static str,
}

/// Every metric of the process.
pub struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    request_seconds: Histogram,
    writes: Family<Write, Counter>,
    write_seconds: Histogram,
    outbox: Family<Outcome, Counter>,
    outbox_waiting: Gauge,
    hashes: Family<Outcome, Counter>,
    hash_queue: Gauge,
    hash_seconds: Seconds,
    one_time_passwords: Family<OtpOutcome, Counter>,
    faults: Counter,
}

impl Metrics {
    /// All metrics at zero.
    pub fn new() -> Metrics {
        let mut registry = Registry::with_prefix("vestibule");
        let requests = Family::<Request, Counter>::default();
        registry.register(
            "requests",
            "Answers by endpoint and status",
            requests.clone(),
        );
        let request_seconds = Histogram::new(exponential_buckets(0.000_1, 4.0, 9));
        registry.register_with_unit(
            "request_duration",
            "Time from request to answer",
            Unit::Seconds,
            request_seconds.clone(),
        );
        let writes = Family::<Write, Counter>::default();
        registry.register("writes", "Writes by name and outcome", writes.clone());
        let write_seconds = Histogram::new(exponential_buckets(0.000_1, 4.0, 9));
        registry.register_with_unit(
            "write_duration",
            "Time from a write's start to its commit",
            Unit::Seconds,
            write_seconds.clone(),
        );
        let outbox = Family::<Outcome, Counter>::default();
        registry.register(
            "outbox_messages",
            "Messages by what became of them",
            outbox.clone(),
        );
        let outbox_waiting = Gauge::default();
        registry.register(
            "outbox_waiting",
            "Messages that wait to be sent",
            outbox_waiting.clone(),
        );
        let hashes = Family::<Outcome, Counter>::default();
        registry.register(
            "password_hashes",
            "Password hashes by outcome",
            hashes.clone(),
        );
        let hash_queue = Gauge::default();
        registry.register(
            "hash_queue_depth",
            "Passwords that wait to be hashed",
            hash_queue.clone(),
        );
        let hash_seconds = Seconds::default();
        registry.register_with_unit(
            "hash_busy",
            "Time that the hashing threads have worked",
            Unit::Seconds,
            hash_seconds.clone(),
        );
        let one_time_passwords = Family::<OtpOutcome, Counter>::default();
        registry.register(
            "one_time_passwords",
            "One-time passwords by purpose and outcome",
            one_time_passwords.clone(),
        );
        let faults = Counter::default();
        registry.register("faults", "Faults of the server", faults.clone());
        Metrics {
            registry,
            requests,
            request_seconds,
            writes,
            write_seconds,
            outbox,
            outbox_waiting,
            hashes,
            hash_queue,
            hash_seconds,
            one_time_passwords,
            faults,
        }
    }

    /// An answer left.
    pub fn request_done(&self, endpoint: &'static str, status: u16, seconds: f64) {
        self.requests
            .get_or_create(&Request { endpoint, status })
            .inc();
        self.request_seconds.observe(seconds);
    }

    /// A write ended.
    pub fn write_done(&self, name: &'static str, seconds: f64, is_kept: bool) {
        let outcome = if is_kept { "committed" } else { "rolled_back" };
        self.writes.get_or_create(&Write { name, outcome }).inc();
        self.write_seconds.observe(seconds);
    }

    /// Messages left the outbox: `sent`, `retried`, `abandoned`, `expired`.
    pub fn outbox_settled(&self, outcome: &'static str) {
        self.outbox.get_or_create(&Outcome { outcome }).inc();
    }

    /// How many messages wait.
    pub fn outbox_waiting(&self, count: i64) {
        self.outbox_waiting.set(count);
    }

    /// A password was hashed (`done`) or turned away (`busy`).
    pub fn hash_done(&self, outcome: &'static str) {
        self.hashes.get_or_create(&Outcome { outcome }).inc();
    }

    /// What the hashing threads know of themselves, copied here before the metrics are read.
    pub fn hashing(&self, depth: usize, busy_seconds: f64) {
        self.hash_queue
            .set(i64::try_from(depth).unwrap_or(i64::MAX));
        self.hash_seconds
            .inc_by((busy_seconds - self.hash_seconds.get()).max(0.0));
    }

    /// A one-time password was `issued`, `accepted`, `refused` or `limited`.
    pub fn one_time_password(&self, purpose: &'static str, outcome: &'static str) {
        self.one_time_passwords
            .get_or_create(&OtpOutcome { purpose, outcome })
            .inc();
    }

    /// Something broke.
    pub fn fault(&self) {
        self.faults.inc();
    }

    /// The OpenMetrics text.
    pub fn render(&self) -> String {
        let mut rendered = String::new();
        // Writing into a String does not fail.
        let _ = text::encode(&mut rendered, &self.registry);
        rendered
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}
