//! The server under load: a process started from a binary, with its own data directory, and its meters (processor
//! time and memory, from `/proc`).

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::http::{Base, Client};
use crate::outcome::{Context, Outcome};

/// A running server; it is stopped when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    log: PathBuf,
}

/// Memory of a process, in KiB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Present memory (`VmRSS`).
    pub resident_kib: u64,
    /// Peak memory (`VmHWM`).
    pub peak_kib: u64,
}

impl Server {
    /// Starts `vestibule dev` on the data directory, and waits for its ready file. `settings` are variables of its
    /// environment.
    pub fn start(
        binary: &Path,
        folder: &Path,
        settings: &[(&str, &str)],
    ) -> Outcome<(Self, Value)> {
        let ready_file = folder.join("ready.json");
        let mut server = Self::spawn(binary, folder, "127.0.0.1:0", &ready_file, settings)?;
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            if let Ok(text) = std::fs::read(&ready_file)
                && let Ok(ready) = serde_json::from_slice(&text)
            {
                return Ok((server, ready));
            }
            if let Some(status) = server.child.try_wait()? {
                return Err(format!(
                    "the server ended ({status}) before it was ready:\n{}",
                    server.log_tail()
                )
                .into());
            }
            if Instant::now() > deadline {
                return Err(format!(
                    "the server was not ready within {READY_WITHIN:?}:\n{}",
                    server.log_tail()
                )
                .into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The time from starting the process on a data directory that exists until `/health/ready` says 200.
    pub fn measure_start(binary: &Path, folder: &Path) -> Outcome<Duration> {
        // The port must be known before the server is running, so a free one is bound and released.
        let management = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .to_string();
        let base = Base {
            address: management.clone(),
            path: String::new(),
        };
        let since = Instant::now();
        let mut server = Self::spawn(
            binary,
            folder,
            &management,
            &folder.join("ready-again.json"),
            &[],
        )?;
        loop {
            if Client::new(&base)
                .get("/health/ready", &[])
                .is_ok_and(|answer| answer.status == 200)
            {
                let taken = since.elapsed();
                server.stop()?;
                return Ok(taken);
            }
            if since.elapsed() > READY_WITHIN || server.child.try_wait()?.is_some() {
                return Err(format!(
                    "the server did not come up a second time:\n{}",
                    server.log_tail()
                )
                .into());
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    fn spawn(
        binary: &Path,
        folder: &Path,
        management: &str,
        ready_file: &Path,
        settings: &[(&str, &str)],
    ) -> Outcome<Self> {
        let log = folder.join("server.log");
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .context(log.display())?;
        let child = Command::new(binary)
            .arg("dev")
            .arg("--data-dir")
            .arg(data_directory(folder))
            .args(["--listen", "127.0.0.1:0", "--management", management])
            .arg("--ready-file")
            .arg(ready_file)
            // All requests come from one address here, which the rate limits would stop.
            .env("VESTIBULE_LIMITS__ENABLED", "false")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(file.try_clone().context("could not share the log")?)
            .stderr(file)
            .spawn()
            .context(format!("could not start {}", binary.display()))?;
        Ok(Self { child, log })
    }

    /// Processor time that all threads have used so far, user and system, in seconds.
    pub fn cpu_seconds(&self) -> Outcome<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))
            .context("processor time")?;
        cpu_seconds(&stat).ok_or_else(|| format!("/proc says `{stat}`").into())
    }

    /// The part of it that the hashing threads have used; `None` if the system does not report it by thread.
    pub fn hash_cpu_seconds(&self) -> Option<f64> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).ok()?;
        let stats =
            tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok());
        let hashing: Vec<f64> = stats
            .filter(|stat| stat.contains("(hashing-"))
            .filter_map(|stat| cpu_seconds(&stat))
            .collect();
        let sum: f64 = hashing.iter().sum();
        (sum > 0.0).then_some(sum)
    }

    /// Present and peak memory.
    pub fn memory(&self) -> Outcome<Memory> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))
            .context("memory")?;
        let kib = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name))?;
            line.split_whitespace().nth(1)?.parse().ok()
        };
        match (kib("VmRSS:"), kib("VmHWM:")) {
            (Some(resident_kib), Some(peak_kib)) => Ok(Memory {
                resident_kib,
                peak_kib,
            }),
            _ => Err("/proc says nothing about memory".into()),
        }
    }

    /// Stops it as a service manager does, and waits for its end.
    pub fn stop(&mut self) -> Outcome<Duration> {
        let since = Instant::now();
        let asked = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()
            .context("kill")?;
        if !asked.success() {
            return Err("the server could not be asked to stop".into());
        }
        while since.elapsed() < STOPPED_WITHIN {
            if self.child.try_wait()?.is_some() {
                return Ok(since.elapsed());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Err(format!("the server did not stop within {STOPPED_WITHIN:?} of SIGTERM").into())
    }

    /// The end of its output, for an error text.
    pub fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Usually it was stopped before, and there is nothing to end.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The data directory inside the run's own folder.
pub fn data_directory(folder: &Path) -> PathBuf {
    folder.join("data")
}

/// `utime` and `stime` of a line of `/proc/PID/stat`. The name in brackets may contain spaces, so counting starts
/// after it.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(") ")?;
    let mut fields = after_name.split(' ').skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some(f64::from(user + system) / TICKS_PER_SECOND)
}

/// The value that Linux reports on every current platform, independent of its timer frequency.
const TICKS_PER_SECOND: f64 = 100.0;
const READY_WITHIN: Duration = Duration::from_secs(30);
const STOPPED_WITHIN: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_behind_a_name_with_spaces() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 9 0 77";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(cpu_seconds("nonsense"), None);
    }
}
