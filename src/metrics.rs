//! Metrics: the counters of the server, in one typed place, for `/metrics` (OpenMetrics text).
//!
//! Labels are constants of the server (a write's name, an outcome), never data from a request.

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Metric, Registry, Unit};
use std::sync::atomic::AtomicU64;

type Seconds = Counter<f64, AtomicU64>;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    endpoint: &'static str,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct EndpointLabels {
    endpoint: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct WriteNameLabels {
    name: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct WriteLabels {
    name: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ListenerLabels {
    listener: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RefusedConnectionLabels {
    listener: &'static str,
    limit: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OtpOutcomeLabels {
    purpose: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct HandlerCallsLabels {
    contract: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ContractLabels {
    contract: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LimitedLabels {
    surface: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct SprayLabels {
    site: String,
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TextMessageLabels {
    country: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TaskRunLabels {
    task: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CountryLabels {
    country: &'static str,
}

/// Every metric of the process.
pub struct Metrics {
    registry: Registry,
    connections: Family<ListenerLabels, Gauge>,
    connections_refused: Family<RefusedConnectionLabels, Counter>,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Family<EndpointLabels, Histogram>,
    writes: Family<WriteLabels, Counter>,
    write_seconds: Family<WriteNameLabels, Histogram>,
    outbox: Family<OutcomeLabels, Counter>,
    outbox_waiting: Gauge,
    hashes: Family<OutcomeLabels, Counter>,
    hash_queue: Gauge,
    hash_seconds: Seconds,
    one_time_passwords: Family<OtpOutcomeLabels, Counter>,
    handler_calls: Family<HandlerCallsLabels, Counter>,
    handler_cpu: Family<ContractLabels, Histogram>,
    limited: Family<LimitedLabels, Counter>,
    sprays: Family<SprayLabels, Counter>,
    refreshes: Family<OutcomeLabels, Counter>,
    faults: Counter,
    remote_faults: Counter,
    task_runs: Family<TaskRunLabels, Counter>,
    text_messages: Family<TextMessageLabels, Counter>,
    text_message_cost: Family<CountryLabels, Counter>,
}

impl Metrics {
    /// All metrics at zero.
    pub fn new() -> Metrics {
        let mut all = Listing(Registry::with_prefix("vestibule"));
        Metrics {
            connections: all.counted("connections", "Open connections by listener"),
            connections_refused: all.counted(
                "connections_refused",
                "Connections closed at once, by listener and by the limit that was reached",
            ),
            requests: all.counted("requests", "Answers by endpoint and status"),
            request_seconds: all.timed(
                "request_duration",
                "Time from request to answer",
                Family::new_with_constructor(durations as fn() -> Histogram),
            ),
            writes: all.counted("writes", "Writes by name and outcome"),
            write_seconds: all.timed(
                "write_duration",
                "Time from a write's start to its commit",
                Family::new_with_constructor(durations as fn() -> Histogram),
            ),
            outbox: all.counted("outbox_messages", "Messages by what became of them"),
            outbox_waiting: all.counted("outbox_waiting", "Messages that wait to be sent"),
            hashes: all.counted("password_hashes", "Password hashes by outcome"),
            hash_queue: all.counted("hash_queue_depth", "Passwords that wait to be hashed"),
            hash_seconds: all.timed(
                "hash_busy",
                "Time that the hashing threads have worked",
                Seconds::default(),
            ),
            one_time_passwords: all.counted(
                "one_time_passwords",
                "One-time passwords by purpose and outcome",
            ),
            handler_calls: all
                .counted("handler_calls", "Calls of handlers by contract and outcome"),
            handler_cpu: all.timed(
                "handler_cpu",
                "Processor time of the scripts of handlers",
                Family::new_with_constructor(durations as fn() -> Histogram),
            ),
            limited: all.counted(
                "rate_limited",
                "Requests refused by the rate limiter, by surface",
            ),
            sprays: all.counted("spray_detected", "Sprays by site and what is guessed at"),
            refreshes: all.counted(
                "refreshes",
                "Refresh tokens that came, by what became of it",
            ),
            faults: all.counted("faults", "Faults of the server"),
            remote_faults: all.counted(
                "remote_faults",
                "Requests that failed because another service did not answer",
            ),
            task_runs: all.counted("task_runs", "Runs of background tasks by task and outcome"),
            text_messages: all.counted(
                "text_messages",
                "Tries to send a text message by country and what became of them",
            ),
            text_message_cost: all.counted(
                "text_message_cost_micros",
                "What text messages have cost by country, in millionths",
            ),
            registry: all.0,
        }
    }

    /// A connection was opened at a listener (`public`, `management`).
    pub fn connection_opened(&self, listener: &'static str) {
        self.connections
            .get_or_create(&ListenerLabels { listener })
            .inc();
    }

    /// A connection that was opened is closed.
    pub fn connection_closed(&self, listener: &'static str) {
        self.connections
            .get_or_create(&ListenerLabels { listener })
            .dec();
    }

    /// A connection was closed at once, because a limit was reached: `network`, `total`.
    pub fn connection_refused(&self, listener: &'static str, limit: &'static str) {
        self.connections_refused
            .get_or_create(&RefusedConnectionLabels { listener, limit })
            .inc();
    }

    /// A response was sent.
    pub fn request_done(&self, endpoint: &'static str, status: u16, seconds: f64) {
        self.requests
            .get_or_create(&RequestLabels { endpoint, status })
            .inc();
        self.request_seconds
            .get_or_create(&EndpointLabels { endpoint })
            .observe(seconds);
    }

    /// A write ended.
    pub fn write_done(&self, name: &'static str, seconds: f64, is_kept: bool) {
        let outcome = if is_kept { "committed" } else { "rolled_back" };
        self.writes
            .get_or_create(&WriteLabels { name, outcome })
            .inc();
        self.write_seconds
            .get_or_create(&WriteNameLabels { name })
            .observe(seconds);
    }

    /// Messages left the outbox: `sent`, `retried`, `abandoned`, `expired`, `suppressed`.
    pub fn outbox_settled(&self, outcome: &'static str, count: u64) {
        self.outbox
            .get_or_create(&OutcomeLabels { outcome })
            .inc_by(count);
    }

    /// A refresh token was used (`refreshed`), repeated after a lost response (`retried`), or was one that had been
    /// replaced (`reused`), which ended its family.
    pub fn refreshed(&self, outcome: &'static str) {
        self.refreshes
            .get_or_create(&OutcomeLabels { outcome })
            .inc();
    }

    /// A handler was called and succeeded (`ok`), `failed`, or could not be called (`refused`).
    pub fn handler_called(&self, contract: &'static str, outcome: &'static str, cpu_seconds: f64) {
        self.handler_calls
            .get_or_create(&HandlerCallsLabels { contract, outcome })
            .inc();
        // A webhook uses no processor time of the server.
        if cpu_seconds > 0.0 {
            self.handler_cpu
                .get_or_create(&ContractLabels { contract })
                .observe(cpu_seconds);
        }
    }

    /// The number of queued messages.
    pub fn outbox_waiting(&self, count: i64) {
        self.outbox_waiting.set(count);
    }

    /// A password was hashed (`done`) or refused because the queue was full (`busy`).
    pub fn hash_done(&self, outcome: &'static str) {
        self.hashes.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// Copies the state of the hashing threads; called before the metrics are read.
    pub fn hashing(&self, depth: usize, busy_seconds: f64) {
        self.hash_queue
            .set(i64::try_from(depth).unwrap_or(i64::MAX));
        self.hash_seconds
            .inc_by((busy_seconds - self.hash_seconds.get()).max(0.0));
    }

    /// A one-time password was `issued`, `accepted`, `refused` or `limited`.
    pub fn one_time_password(&self, purpose: &'static str, outcome: &'static str) {
        self.one_time_passwords
            .get_or_create(&OtpOutcomeLabels { purpose, outcome })
            .inc();
    }

    /// A rule of the rate limiter refused a request.
    pub fn rate_limited(&self, surface: &'static str) {
        self.limited.get_or_create(&LimitedLabels { surface }).inc();
    }

    /// The failures of a site (by its record id) reached the threshold of a password-spray attack in this hour:
    /// `otp`, `password`.
    pub fn spray_detected(&self, site: &str, kind: &'static str) {
        let site = site.to_owned();
        self.sprays.get_or_create(&SprayLabels { site, kind }).inc();
    }

    /// A background task ran: `outbox`, `sweep`, `keys`, `directory`.
    pub fn task_ran(&self, task: &'static str, is_done: bool) {
        let outcome = if is_done { "done" } else { "failed" };
        self.task_runs
            .get_or_create(&TaskRunLabels { task, outcome })
            .inc();
    }

    /// A text message was tried: in which country, with which documented status, and what it cost.
    pub fn text_message(&self, country: &'static str, status: &'static str, cost_micros: u64) {
        self.text_messages
            .get_or_create(&TextMessageLabels { country, status })
            .inc();
        if cost_micros > 0 {
            self.text_message_cost
                .get_or_create(&CountryLabels { country })
                .inc_by(cost_micros);
        }
    }

    /// A fault occurred.
    pub fn fault(&self) {
        self.faults.inc();
    }

    /// A request failed because another service did not respond.
    pub fn remote_fault(&self) {
        self.remote_faults.inc();
    }

    /// The OpenMetrics text.
    pub fn render(&self) -> String {
        let mut rendered = String::new();
        // Writing into a String cannot fail.
        let _ = text::encode(&mut rendered, &self.registry);
        rendered
    }
}

/// From a tenth of a millisecond to a few seconds.
fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.000_1, 4.0, 9))
}

/// The registry during registration: each metric is registered and returned for its field.
struct Listing(Registry);

impl Listing {
    fn counted<M: Metric + Clone + Default>(&mut self, name: &str, help: &str) -> M {
        let metric = M::default();
        self.0.register(name, help, metric.clone());
        metric
    }

    fn timed<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0
            .register_with_unit(name, help, Unit::Seconds, metric.clone());
        metric
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}
