//! The running process: what `dev` and `serve` share, from the start of the workers to the drain.

use std::fs::{File, OpenOptions, TryLockError};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::place::Exit;
use crate::app::App;
use crate::config::Config;
use crate::delivery::worker;
use crate::endpoint::{self, Gate, Listeners, RequestIds, Started};
use crate::store::Location;

/// How often the directory's version is looked at. A change is seen within a second.
const REFRESH: Duration = Duration::from_millis(500);

/// Holds an SQLite database for one server: a second one would move its sites and send its mail again.
/// Commands beside the server need no hold. PostgreSQL is made for many servers and is not held. The
/// system lets go when the process ends, however it ends.
pub fn hold(config: &Config) -> Result<Option<File>, Exit> {
    let Location::Sqlite(path, _) = config.location().map_err(Exit::refused)? else {
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
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(Exit::broken(format!(
            "a server is already running on {}",
            path.display()
        ))),
        Err(TryLockError::Error(error)) => Err(broken(error)),
    }
}

/// A server that answers.
pub struct Running {
    app: Arc<App>,
    started: Started,
    stop: watch::Sender<bool>,
    workers: Vec<JoinHandle<()>>,
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
    // From the first answer on, a signal means an orderly end; without a listener it would kill.
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
    };
    let started = endpoint::start(listeners, gate, tls, management_routes).await?;
    let (stop, stopped) = watch::channel(false);
    let workers = vec![
        tokio::spawn(worker::run(Arc::clone(&app), stopped.clone())),
        tokio::spawn(worker::sweep(
            Arc::clone(&app),
            config.handlers.calls_kept_days,
            stopped.clone(),
        )),
        tokio::spawn(refresh(Arc::clone(&app), stopped)),
    ];
    Ok(Running {
        app,
        started,
        stop,
        workers,
        interrupt,
        terminate,
    })
}

impl Running {
    /// Serves until the process is asked to stop, then lets requests and messages end and closes the
    /// database.
    pub async fn until_stopped(mut self) -> Result<(), Exit> {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        tracing::info!("stopping: waiting for running requests");
        self.started.drain().await;
        let _ = self.stop.send(true);
        for worker in self.workers {
            let _ = worker.await;
        }
        // The last owner of the app closes the database; a connection that outlived the drain may
        // still hold it for a moment.
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

async fn refresh(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        tokio::select! {
            () = tokio::time::sleep(REFRESH) => {}
            _ = stop.changed() => return,
        }
        match app.refresh().await {
            Ok(true) => tracing::info!("settings were read again"),
            Ok(false) => {}
            Err(fault) => {
                app.metrics.fault();
                tracing::error!(%fault, "settings could not be read again");
            }
        }
    }
}
