//! The acceptor: what is required of a connection below HTTP.
//!
//! Connections are counted, in total and for each network prefix. Each must make progress: the time without a request, the
//! time in which no request ends and the time in which the client accepts no bytes are limited. Otherwise a client that
//! connects and sends nothing, or reads nothing, would occupy a connection for ever.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum_server::accept::Accept;
use futures_util::future::{Ready, ready as now};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::activity::{Activity, CountedService, Deadlines};
use super::places::{Full, Places, TakenPlace};
use crate::metrics::Metrics;
use crate::moment::Stopwatch;
use crate::network::Network;

/// Bytes that a client must accept within the deadline for writing, once it has stopped accepting.
const WRITE_PROGRESS: usize = 16 * 1024;

/// As much as the system keeps of what a client does not read, in bytes; the system may double it.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// Time between two log lines about refused connections, in seconds.
const LOG_EVERY_SECONDS: f64 = 1.0;

/// Accepts the connections of one listener.
#[derive(Clone)]
pub(super) struct Acceptor {
    listener: &'static str,
    places: Arc<Places>,
    proxies: Arc<Vec<Network>>,
    deadlines: Deadlines,
    metrics: Arc<Metrics>,
    refused: Arc<Mutex<RefusedConnections>>,
}

/// The refused connections that were not logged yet.
struct RefusedConnections {
    count: u64,
    last_line: Option<Stopwatch>,
}

impl Acceptor {
    /// An acceptor without connections. `listener` is its name in metrics and logs; connections from `proxies` are
    /// not counted by network.
    pub fn new(
        listener: &'static str,
        places: Arc<Places>,
        proxies: Vec<Network>,
        deadlines: Deadlines,
        metrics: Arc<Metrics>,
    ) -> Acceptor {
        Acceptor {
            listener,
            places,
            proxies: Arc::new(proxies),
            deadlines,
            metrics,
            refused: Arc::new(Mutex::new(RefusedConnections {
                count: 0,
                last_line: None,
            })),
        }
    }

    fn place_for(&self, ip: IpAddr) -> io::Result<TakenPlace> {
        let is_proxy = self.proxies.iter().any(|network| network.contains(ip));
        let place = self.places.take((!is_proxy).then_some(ip), 1);
        place.map_err(|full| {
            self.note_refused(full);
            io::Error::other("too many connections")
        })
    }

    /// Counts a refused connection, and logs at most one line a second with what has come together since.
    fn note_refused(&self, full: Full) {
        self.metrics
            .connection_refused(self.listener, full.as_str());
        // No code that can panic runs under this lock.
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.count += 1;
        let is_due = |line: &Stopwatch| line.seconds() >= LOG_EVERY_SECONDS;
        if refused.last_line.as_ref().is_none_or(is_due) {
            let count = std::mem::take(&mut refused.count);
            refused.last_line = Some(Stopwatch::start());
            tracing::warn!(
                listener = self.listener,
                count,
                limit = full.as_str(),
                open = self.places.taken(),
                "connections were refused"
            );
        }
    }
}

impl<S> Accept<TcpStream, S> for Acceptor {
    type Stream = Connection;
    type Service = CountedService<S>;
    type Future = Ready<io::Result<(Connection, CountedService<S>)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let accepted = stream.peer_addr().and_then(|peer| {
            let place = self.place_for(peer.ip())?;
            stream.set_nodelay(true)?;
            rustix::net::sockopt::set_socket_send_buffer_size(&stream, SEND_BUFFER_BYTES)?;
            let activity = Activity::new();
            let connection = Connection {
                stream,
                activity: Arc::clone(&activity),
                look: Box::pin(sleep(self.deadlines.shortest())),
                write: None,
                deadlines: self.deadlines,
                _place: place,
                _open: Open::new(self.listener, &self.metrics),
            };
            Ok((connection, CountedService::new(service, activity)))
        });
        now(accepted)
    }
}

/// An accepted connection, which counts until it is closed.
pub(super) struct Connection {
    stream: TcpStream,
    activity: Arc<Activity>,
    /// When the activity is looked at next.
    look: Pin<Box<Sleep>>,
    /// What the client must still accept, once it has stopped accepting.
    write: Option<Backlog>,
    deadlines: Deadlines,
    _place: TakenPlace,
    _open: Open,
}

/// An open connection in the metrics.
struct Open {
    listener: &'static str,
    metrics: Arc<Metrics>,
}

impl Open {
    fn new(listener: &'static str, metrics: &Arc<Metrics>) -> Open {
        metrics.connection_opened(listener);
        Open {
            listener,
            metrics: Arc::clone(metrics),
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.metrics.connection_closed(self.listener);
    }
}

/// Bytes that a client must accept, and until when.
struct Backlog {
    bytes: usize,
    until: Pin<Box<Sleep>>,
}

impl Connection {
    /// Closes the connection when it has been in its state for too long.
    fn poll_activity(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while self.look.as_mut().poll_elapsed(context) {
            let left = self.activity.left(&self.deadlines).ok_or_else(timed_out)?;
            // A state with a shorter deadline may follow, so it is looked at as often as the shortest requires.
            let next = left
                .min(self.deadlines.shortest())
                .max(Duration::from_millis(1));
            self.look.as_mut().set(sleep(next));
        }
        Ok(())
    }

    /// Closes the connection when the client has not accepted enough in time.
    fn watch_write(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_pending() {
            let timeout = self.deadlines.write;
            let backlog = self.write.get_or_insert_with(|| Backlog {
                bytes: WRITE_PROGRESS,
                until: Box::pin(sleep(timeout)),
            });
            if backlog.until.as_mut().poll_elapsed(context) {
                return Poll::Ready(Err(timed_out()));
            }
            return Poll::Pending;
        }
        let count = ready!(written)?;
        if let Some(backlog) = &mut self.write {
            backlog.bytes = backlog.bytes.saturating_sub(count);
            if backlog.bytes == 0 {
                self.write = None;
            }
        }
        Poll::Ready(Ok(count))
    }
}

/// Whether a timer has elapsed.
trait Elapsed {
    fn poll_elapsed(self, context: &mut Context<'_>) -> bool;
}

impl Elapsed for Pin<&mut Sleep> {
    fn poll_elapsed(self, context: &mut Context<'_>) -> bool {
        Future::poll(self, context).is_ready()
    }
}

fn timed_out() -> io::Error {
    io::ErrorKind::TimedOut.into()
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_activity(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch_write(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch_write(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called when all that HTTP had to write was handed to the system.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write = None;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
