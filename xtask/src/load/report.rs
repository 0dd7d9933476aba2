//! The report of a run: as a table for a terminal, as Markdown for a page, as JSON for a program.

use std::time::Duration;

use serde_json::{Value, json};

use super::drive::{Latency, Measured, Plan};

/// The results of a run.
#[derive(Debug)]
pub struct Report {
    /// The plan of the run.
    pub plan: Plan,
    /// The scenarios in the order they ran in.
    pub measured: Vec<Measured>,
    /// Resident memory of the idle server before any load, in KiB.
    pub idle_kib: u64,
    /// Size of the binary in bytes.
    pub binary_bytes: u64,
    /// Times from start to the first successful response, on an existing data directory.
    pub starts: Vec<Duration>,
    /// Time from SIGTERM to the end of the process, right after the load.
    pub stop: Duration,
    /// Processors of this machine.
    pub cores: usize,
}

const COLUMNS: [&str; 9] = [
    "scenario",
    "iterations",
    "it/s",
    "CPU us/it",
    "it/core-s",
    "p50 ms",
    "p95 ms",
    "p99 ms",
    "failures",
];

impl Report {
    /// A table in a fixed-width font.
    pub fn table(&self) -> String {
        let rows = self.rows();
        let width = |column: usize| {
            let cells = rows.iter().map(|row| row[column].len());
            cells.chain([COLUMNS[column].len()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
        let line = |cells: &[String]| {
            let mut text = format!("{:<1$}", cells[0], widths[0]);
            for (cell, width) in cells.iter().zip(&widths).skip(1) {
                text.push_str(&format!("  {cell:>width$}"));
            }
            text + "\n"
        };
        let mut text = line(&COLUMNS.map(str::to_owned));
        for row in &rows {
            text.push_str(&line(row));
        }
        for note in self.notes() {
            text.push_str(&format!("\n{note}"));
        }
        text
    }

    /// The same for a page.
    pub fn markdown(&self) -> String {
        let mut text = format!(
            "| {} |\n|---|{}\n",
            COLUMNS.join(" | "),
            "---:|".repeat(COLUMNS.len() - 1)
        );
        for row in self.rows() {
            text.push_str(&format!(
                "| {} |\n",
                row.map(|cell| cell.trim().to_owned()).join(" | ")
            ));
        }
        for note in self.notes() {
            text.push_str(&format!("\n* {note}"));
        }
        text
    }

    /// The same for a program; times in milliseconds, processor time in seconds, memory in KiB.
    pub fn json(&self) -> Value {
        let scenarios: Vec<Value> = self.measured.iter().map(scenario_json).collect();
        json!({
            "connections": self.plan.connections,
            "seconds": self.plan.seconds,
            "alg": self.plan.alg,
            "cores": self.cores,
            "idle_rss_kib": self.idle_kib,
            "binary_bytes": self.binary_bytes,
            "start_ms": self.starts.iter().map(|time| milliseconds(*time)).collect::<Vec<_>>(),
            "stop_ms": milliseconds(self.stop),
            "scenarios": scenarios,
        })
    }

    fn rows(&self) -> Vec<[String; 9]> {
        let mut rows = Vec::new();
        for measured in &self.measured {
            rows.push(whole_row(measured));
            if let Some((hash, is_measured)) = measured.hash_cpu {
                let rest = (measured.cpu_seconds - hash).max(0.0);
                let name = if is_measured {
                    "  without the hash"
                } else {
                    "  without the hash (estimated)"
                };
                let mut row = [const { String::new() }; 9];
                row[0] = name.to_owned();
                row[3] = whole(per(rest * 1e6, measured.iterations));
                row[4] = whole(rate(measured.iterations, rest));
                rows.push(row);
            }
            for (name, latency) in &measured.parts {
                let mut row = [const { String::new() }; 9];
                row[0] = format!("  {name}");
                percentiles(&mut row, *latency);
                rows.push(row);
            }
        }
        rows
    }

    fn notes(&self) -> Vec<String> {
        let mib = |kib: u64| format!("{:.1} MiB", kib as f64 / 1024.0);
        let mut notes = vec![format!(
            "{} connections, {} s each after 1 s of warm-up, {}, {} processors shared with the load generator, synchronous={}, rate limits off",
            self.plan.connections,
            self.plan.seconds,
            self.plan.alg,
            self.cores,
            self.plan.synchronous
        )];
        let loaded: Vec<String> = self
            .measured
            .iter()
            .map(|measured| {
                format!(
                    "{} after {}",
                    mib(measured.memory.resident_kib),
                    measured.scenario.name()
                )
            })
            .collect();
        let peak = self
            .measured
            .iter()
            .map(|measured| measured.memory.peak_kib)
            .max()
            .unwrap_or(0);
        notes.push(format!(
            "memory: {} idle, {}, peak {}",
            mib(self.idle_kib),
            loaded.join(", "),
            mib(peak)
        ));
        let mut starts = self.starts.clone();
        starts.sort_unstable();
        if let (Some(best), Some(median)) = (starts.first(), starts.get(starts.len() / 2)) {
            notes.push(format!(
                "start to first answer on an existing data directory: {:.1} ms (median of {}, best {:.1} ms); stop after SIGTERM: {:.1} ms",
                milliseconds(*median),
                starts.len(),
                milliseconds(*best),
                milliseconds(self.stop)
            ));
        }
        notes.push(format!("binary: {:.1} MB", self.binary_bytes as f64 / 1e6));
        if self
            .measured
            .iter()
            .any(|measured| measured.hash_cpu.is_some())
        {
            notes.push("registration counts everything up to the token, the test's own reading of the inbox included".to_owned());
        }
        for measured in &self.measured {
            if let (count, Some(first)) = &measured.failures {
                notes.push(format!(
                    "{}: {count} failures, the first: {first}",
                    measured.scenario.name()
                ));
            }
        }
        notes
    }
}

fn whole_row(measured: &Measured) -> [String; 9] {
    let mut row = [const { String::new() }; 9];
    row[0] = measured.scenario.name().to_owned();
    row[1] = measured.iterations.to_string();
    row[2] = whole(rate(measured.iterations, measured.wall.as_secs_f64()));
    row[3] = whole(per(measured.cpu_seconds * 1e6, measured.iterations));
    row[4] = whole(rate(measured.iterations, measured.cpu_seconds));
    percentiles(&mut row, measured.latency);
    row[8] = measured.failures.0.to_string();
    row
}

fn percentiles(row: &mut [String; 9], latency: Latency) {
    row[5] = format!("{:.2}", latency.p50);
    row[6] = format!("{:.2}", latency.p95);
    row[7] = format!("{:.2}", latency.p99);
}

fn scenario_json(measured: &Measured) -> Value {
    let latency = |latency: &Latency| json!({"p50_ms": latency.p50, "p95_ms": latency.p95, "p99_ms": latency.p99});
    let parts: serde_json::Map<String, Value> = measured
        .parts
        .iter()
        .map(|(name, times)| ((*name).to_owned(), latency(times)))
        .collect();
    let without_hash = measured.hash_cpu.map(|(hash, is_measured)| {
        let rest = (measured.cpu_seconds - hash).max(0.0);
        json!({
            "hash_cpu_seconds": hash,
            "is_measured": is_measured,
            "cpu_us_per_iteration": per(rest * 1e6, measured.iterations),
            "iterations_per_core_second": rate(measured.iterations, rest),
        })
    });
    json!({
        "scenario": measured.scenario.name(),
        "iterations": measured.iterations,
        "failures": measured.failures.0,
        "first_failure": measured.failures.1,
        "wall_seconds": measured.wall.as_secs_f64(),
        "cpu_seconds": measured.cpu_seconds,
        "cpu_us_per_iteration": per(measured.cpu_seconds * 1e6, measured.iterations),
        "iterations_per_second": rate(measured.iterations, measured.wall.as_secs_f64()),
        "iterations_per_core_second": rate(measured.iterations, measured.cpu_seconds),
        "latency": latency(&measured.latency),
        "parts": parts,
        "without_hash": without_hash,
        "rss_kib": measured.memory.resident_kib,
        "peak_kib": measured.memory.peak_kib,
    })
}

/// A rate per second; none for a duration of zero.
fn rate(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 {
        count as f64 / seconds
    } else {
        0.0
    }
}

fn per(amount: f64, count: u64) -> f64 {
    if count > 0 {
        amount / count as f64
    } else {
        0.0
    }
}

/// Three digits below ten, and whole numbers above, are the precision of such a measurement.
fn whole(number: f64) -> String {
    if number < 10.0 {
        format!("{number:.2}")
    } else {
        format!("{number:.0}")
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::super::flow::Scenario;
    use super::super::server::Memory;
    use super::*;

    fn report() -> Report {
        let latency = Latency {
            p50: 1.0,
            p95: 2.0,
            p99: 3.0,
        };
        Report {
            plan: Plan {
                connections: 16,
                seconds: 10,
                alg: "ES256".to_owned(),
                hash_ms: 4.6,
                synchronous: "full".to_owned(),
            },
            measured: vec![Measured {
                scenario: Scenario::Registration,
                iterations: 1000,
                wall: Duration::from_secs(10),
                cpu_seconds: 5.0,
                hash_cpu: Some((4.5, true)),
                latency,
                parts: vec![("init", latency)],
                failures: (0, None),
                memory: Memory {
                    resident_kib: 40 * 1024,
                    peak_kib: 50 * 1024,
                },
            }],
            idle_kib: 20 * 1024,
            binary_bytes: 15_000_000,
            starts: vec![
                Duration::from_millis(30),
                Duration::from_millis(20),
                Duration::from_millis(25),
            ],
            stop: Duration::from_millis(5),
            cores: 2,
        }
    }

    #[test]
    fn the_hash_is_taken_out_of_the_processor_time() {
        let json = report().json();
        assert_eq!(json["scenarios"][0]["cpu_us_per_iteration"], 5000.0);
        assert_eq!(
            json["scenarios"][0]["without_hash"]["cpu_us_per_iteration"],
            500.0
        );
        assert_eq!(
            json["scenarios"][0]["without_hash"]["iterations_per_core_second"],
            2000.0
        );
    }

    #[test]
    fn the_table_and_the_page_have_a_row_for_each_part() {
        let table = report().table();
        assert!(table.contains("registration"), "{table}");
        assert!(table.contains("  init"), "{table}");
        assert!(
            table.contains("25.0 ms (median of 3, best 20.0 ms)"),
            "{table}"
        );
        let page = report().markdown();
        assert!(
            page.contains("| without the hash |  |  | 500 | 2000 |"),
            "{page}"
        );
    }
}
