//! The running process: what `dev` and `serve` share, from the listeners and background tasks to the end.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::Exit;
use crate::admin::installation::database_file;
use crate::app::App;
use crate::config::Config;
use crate::endpoint::{self, Gate, Listeners, RequestIds, Started};
use crate::worker::{self, Workers};

/// Locks an SQLite database for one server: a second one would move its sites and send its mail again.
/// Other commands run beside the server and take no lock. PostgreSQL is made for many servers and is not
/// locked. The operating system releases the lock when the process ends, in whatever way it ends.
pub fn lock_database(config: &Config) -> Result<Option<File>, Exit> {
    let Some(path) = database_file(config)? else {
        return Ok(None);
    };
    let lock = path.with_added_extension("lock");
    let broken = |error: std::io::Error| Exit::broken(format!("{}: {error}", lock.display()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&lock).map_err(broken)?;
    match file.try_lock() {
        Ok(()) => {
            // `vestibule isready` sees by it that the server has ended.
            file.set_len(0).map_err(broken)?;
            writeln!(&file, "{}", std::process::id()).map_err(broken)?;
            Ok(Some(file))
        }
        Err(TryLockError::WouldBlock) => Err(Exit::broken(format!(
            "a server is already running on {}",
            path.display()
        ))),
        Err(TryLockError::Error(error)) => Err(broken(error)),
    }
}

/// Whether a server of this machine has the database of a config open. `None` if it is not known: the database is
/// PostgreSQL.
pub fn is_server_running(config: &Config) -> Option<bool> {
    let lock = database_file(config).ok()??.with_added_extension("lock");
    let text = std::fs::read_to_string(lock).unwrap_or_default();
    let process = text.trim().parse().ok();
    let Some(process) = process.and_then(rustix::process::Pid::from_raw) else {
        return Some(false);
    };
    Some(rustix::process::test_kill_process(process) != Err(rustix::io::Errno::SRCH))
}

/// A server that is serving.
pub struct Running {
    app: Arc<App>,
    started: Started,
    workers: Workers,
    interrupt: Signal,
    terminate: Signal,
}

/// Starts serving.
pub async fn start(
    app: Arc<App>,
    config: &Config,
    listeners: Listeners,
    is_plain_allowed: bool,
    management_routes: Router,
) -> Result<Running, Exit> {
    // From the first response on, a signal means an orderly end; without these it would kill the process.
    let broken = |error: std::io::Error| Exit::broken(format!("listening to signals: {error}"));
    let interrupt = signal(SignalKind::interrupt()).map_err(broken)?;
    let terminate = signal(SignalKind::terminate()).map_err(broken)?;
    let tls = config
        .listen
        .tls_certificate_file
        .clone()
        .zip(config.listen.tls_key_file.clone());
    let gate = Gate {
        app: Arc::clone(&app),
        is_tls: tls.is_some(),
        is_plain_allowed,
        proxies: config.proxies.clone(),
        request_ids: RequestIds::new(&app.entropy),
        connections: config.connections.clone(),
    };
    let started = endpoint::start(
        listeners,
        gate,
        tls,
        management_routes,
        config.listen.management_hosts.clone(),
    )
    .await?;
    let workers = worker::start(&app);
    Ok(Running {
        app,
        started,
        workers,
        interrupt,
        terminate,
    })
}

impl Running {
    /// Serves until the process is asked to stop, then waits for running requests and messages, and closes
    /// the database.
    pub async fn until_stopped(mut self) -> Result<(), Exit> {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        tracing::info!("stopping: waiting for running requests");
        self.started.drain().await;
        self.workers.stop().await;
        // The last owner of the app closes the database. A connection that outlived the drain may keep it
        // open for a moment.
        let app = self.app;
        for _ in 0..50 {
            if Arc::strong_count(&app) == 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::task::spawn_blocking(move || drop(app))
            .await
            .map_err(|error| Exit::broken(error.to_string()))?;
        tracing::info!("stopped");
        Ok(())
    }
}
