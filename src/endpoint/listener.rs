//! Listeners: the public one and the management one, started together and drained together.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::task::JoinHandle;

use super::acceptor::Acceptor;
use super::gate::{Gate, serve};
use super::management;
use crate::refusal::Fault;

/// How long requests may go on after the server was asked to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// How long a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);

/// Most bytes in the head of a request.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Most requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 100;

/// How often the TLS files are checked for changes.
const TLS_RELOAD: Duration = Duration::from_secs(30);

/// Sockets that are bound and not served yet, so that their ports are known before anything runs.
pub struct Listeners {
    public: TcpListener,
    management: TcpListener,
}

/// The addresses of a running server.
pub struct Started {
    /// The sites.
    pub public: SocketAddr,
    /// Health, metrics and the inbox.
    pub management: SocketAddr,
    handle: Handle<SocketAddr>,
    servers: Vec<JoinHandle<std::io::Result<()>>>,
}

impl Listeners {
    /// Binds both. A port of 0 picks a free one.
    ///
    /// # Faults
    /// An address is in use or not this machine's.
    pub fn bind(public: SocketAddr, management: SocketAddr) -> Result<Listeners, Fault> {
        let bind = |address: SocketAddr| {
            let listener = TcpListener::bind(address).map_err(|error| {
                let hint = match error.kind() {
                    std::io::ErrorKind::AddrInUse => " (a port of 0 picks a free one)",
                    _ => "",
                };
                Fault::described("listening", format!("{address}: {error}{hint}"))
            })?;
            listener
                .set_nonblocking(true)
                .map_err(|error| Fault::new("listening", error))?;
            Ok::<TcpListener, Fault>(listener)
        };
        Ok(Listeners {
            public: bind(public)?,
            management: bind(management)?,
        })
    }

    /// The addresses, with the ports that were picked.
    ///
    /// # Faults
    /// The system does not know its own sockets.
    pub fn addresses(&self) -> Result<(SocketAddr, SocketAddr), Fault> {
        let address = |listener: &TcpListener| {
            listener
                .local_addr()
                .map_err(|error| Fault::new("listening", error))
        };
        Ok((address(&self.public)?, address(&self.management)?))
    }
}

/// The public listener's routes. A test may call them without a socket; the peer's address comes as
/// a `ConnectInfo` extension.
pub fn router(gate: Gate) -> Router {
    Router::new().fallback(serve).with_state(Arc::new(gate))
}

/// Starts serving. `management_routes` are added to the management listener (the emulator's, in
/// `vestibule dev`).
///
/// # Faults
/// The TLS files cannot be read.
pub async fn start(
    listeners: Listeners,
    gate: Gate,
    tls: Option<(PathBuf, PathBuf)>,
    management_routes: Router,
) -> Result<Started, Fault> {
    let (public, management) = listeners.addresses()?;
    let handle = Handle::new();
    let app = Arc::clone(&gate.app);
    let sites = router(gate).into_make_service_with_connect_info::<SocketAddr>();
    let io_fault = |error: std::io::Error| Fault::new("listening", error);
    let public_server = match tls {
        None => {
            let mut server = axum_server::from_tcp(listeners.public).map_err(io_fault)?;
            limit(server.http_builder());
            let server = server.acceptor(Acceptor::new());
            tokio::spawn(server.handle(handle.clone()).serve(sites))
        }
        Some((certificate, key)) => {
            let config = RustlsConfig::from_pem_file(&certificate, &key)
                .await
                .map_err(|error| {
                    Fault::described(
                        "reading the TLS files",
                        format!("{}: {error}", certificate.display()),
                    )
                })?;
            tokio::spawn(reload(config.clone(), certificate, key));
            let tls = RustlsAcceptor::new(config).acceptor(Acceptor::new());
            let mut server = axum_server::from_tcp(listeners.public)
                .map_err(io_fault)?
                .acceptor(tls);
            limit(server.http_builder());
            tokio::spawn(server.handle(handle.clone()).serve(sites))
        }
    };
    let routes = management::router(app)
        .merge(management_routes)
        .into_make_service();
    let mut server = axum_server::from_tcp(listeners.management).map_err(io_fault)?;
    limit(server.http_builder());
    let server = server.acceptor(Acceptor::new());
    let management_server = tokio::spawn(server.handle(handle.clone()).serve(routes));
    Ok(Started {
        public,
        management,
        handle,
        servers: vec![public_server, management_server],
    })
}

/// Limits what a connection may cost before its first request is read.
fn limit(builder: &mut Builder<TokioExecutor>) {
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX);
}

impl Started {
    /// Stops accepting connections, waits for running requests to end, and returns.
    pub async fn drain(self) {
        self.handle.graceful_shutdown(Some(DRAIN));
        for server in self.servers {
            if let Ok(Err(error)) = server.await {
                tracing::error!(%error, "a listener ended with an error");
            }
        }
    }
}

/// Reads the TLS files again whenever they have changed. A pair that cannot be used is logged, and the old one kept.
async fn reload(config: RustlsConfig, certificate: PathBuf, key: PathBuf) {
    let stamp = || {
        let modified = |path: &PathBuf| std::fs::metadata(path).and_then(|m| m.modified()).ok();
        (modified(&certificate), modified(&key))
    };
    let mut seen = stamp();
    loop {
        tokio::time::sleep(TLS_RELOAD).await;
        let now = stamp();
        if now == seen {
            continue;
        }
        match config.reload_from_pem_file(&certificate, &key).await {
            Ok(()) => tracing::info!("the TLS certificate was read again"),
            Err(error) => tracing::error!(%error, "the new TLS certificate cannot be used"),
        }
        seen = now;
    }
}
