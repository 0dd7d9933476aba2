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
use super::activity::Deadlines;
use super::bodies::Bodies;
use super::gate::{Gate, Serving, serve};
use super::management;
use super::places::{PlaceCaps, Places};
use crate::config::ConnectionsConfig;
use crate::refusal::Fault;

/// How long requests may go on after the server was asked to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// Most bytes in the head of a request.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Most requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 100;

/// How often the TLS files are checked for changes.
const TLS_RELOAD: Duration = Duration::from_secs(30);

/// Most connections of the management listener. They are apart from those of the public listener, and so are the
/// files that they need, so that health and metrics can be read whatever happens there.
const MANAGEMENT_CAPS: PlaceCaps = PlaceCaps {
    total: 256,
    per_network: 128,
};

/// Open files that are kept for everything but the connections of the public listener: those of the management
/// listener, the database, calls of other services, and connections that are accepted in order to be refused.
const FILES_RESERVED: usize = 768;

/// Fewest connections of the public listener, however low the limit of open files is.
const CONNECTIONS_MIN: usize = 16;

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
    let bodies = Bodies::new(gate.connections.body_timeout());
    Router::new()
        .fallback(serve)
        .with_state(Arc::new(Serving { gate, bodies }))
}

/// Starts serving. `management_routes` are added to the management listener (the emulator's, in
/// `vestibule dev`); its own routes answer requests by address and for `management_hosts`.
///
/// # Faults
/// The TLS files cannot be read.
pub async fn start(
    listeners: Listeners,
    gate: Gate,
    tls: Option<(PathBuf, PathBuf)>,
    management_routes: Router,
    management_hosts: Vec<String>,
) -> Result<Started, Fault> {
    let (public, management) = listeners.addresses()?;
    let handle = Handle::new();
    let app = Arc::clone(&gate.app);
    let limits = gate.connections.clone();
    let deadlines = Deadlines::of(&limits);
    let acceptor = |name, caps, proxies| {
        Acceptor::new(
            name,
            Places::new(caps),
            proxies,
            deadlines,
            Arc::clone(&app.metrics),
        )
    };
    let caps = public_caps(&limits, raise_file_limit());
    let public_acceptor = acceptor("public", caps, gate.proxies.trusted.clone());
    let management_acceptor = acceptor("management", MANAGEMENT_CAPS, Vec::new());
    let sites = router(gate).into_make_service_with_connect_info::<SocketAddr>();
    let io_fault = |error: std::io::Error| Fault::new("listening", error);
    let public_server = match tls {
        None => {
            let mut server = axum_server::from_tcp(listeners.public).map_err(io_fault)?;
            limit(server.http_builder(), &deadlines);
            let server = server.acceptor(public_acceptor);
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
            let tls = RustlsAcceptor::new(config)
                .handshake_timeout(Duration::from_millis(limits.handshake_timeout_ms))
                .acceptor(public_acceptor);
            let mut server = axum_server::from_tcp(listeners.public)
                .map_err(io_fault)?
                .acceptor(tls);
            limit(server.http_builder(), &deadlines);
            tokio::spawn(server.handle(handle.clone()).serve(sites))
        }
    };
    let routes = management::router(Arc::clone(&app), management_hosts)
        .merge(management_routes)
        .into_make_service();
    let mut server = axum_server::from_tcp(listeners.management).map_err(io_fault)?;
    limit(server.http_builder(), &deadlines);
    let server = server.acceptor(management_acceptor);
    let management_server = tokio::spawn(server.handle(handle.clone()).serve(routes));
    Ok(Started {
        public,
        management,
        handle,
        servers: vec![public_server, management_server],
    })
}

/// Limits what a connection may cost before its first request is read.
fn limit(builder: &mut Builder<TokioExecutor>, deadlines: &Deadlines) {
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(deadlines.head)
        .max_buf_size(HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX);
}

/// Raises this process's limit of open files to the highest that it may set itself, and returns the limit; `None` if
/// there is none.
fn raise_file_limit() -> Option<usize> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let now = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => raised.current,
        Err(_) => limit.current,
    };
    now.map(|files| usize::try_from(files).unwrap_or(usize::MAX))
}

/// The caps of the public listener, with a total that fits the limit of open files.
fn public_caps(limits: &ConnectionsConfig, files: Option<usize>) -> PlaceCaps {
    let fitting = files.map_or(usize::MAX, |files| {
        files.saturating_sub(FILES_RESERVED).max(CONNECTIONS_MIN)
    });
    if fitting < limits.max {
        tracing::warn!(
            connections = fitting,
            configured = limits.max,
            open_files = files,
            "the limit of open files (ulimit -n) leaves no room for [connections] max: fewer connections are accepted"
        );
    }
    PlaceCaps {
        total: limits.max.min(fitting),
        per_network: limits.max_per_network,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn net_03_the_cap_fits_the_limit_of_open_files() {
        let limits = ConnectionsConfig::default();
        let total = |files| public_caps(&limits, files).total;
        assert_eq!(total(None), 8_192);
        assert_eq!(total(Some(20_000)), 8_192);
        assert_eq!(total(Some(1_024)), 256);
        assert_eq!(total(Some(100)), CONNECTIONS_MIN);
        assert_eq!(public_caps(&limits, Some(100)).per_network, 256);
    }

    #[test]
    fn net_03_the_soft_limit_of_open_files_is_raised_to_the_hard_one() {
        use rustix::process::{Resource, getrlimit};
        raise_file_limit();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
