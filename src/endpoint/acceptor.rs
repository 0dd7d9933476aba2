//! The acceptor: what is required of a connection before HTTP is spoken on it.
//!
//! The number of connections is limited, and each must send something within a time. Otherwise a client
//! that connects and sends nothing, or half of the HTTP/2 preface, would occupy a connection for ever.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum_server::accept::Accept;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

/// Most connections of a listener at once; further ones are closed at once.
const CONNECTIONS_MAX: usize = 8_192;

/// How long a connection may take until its version of HTTP is known.
const FIRST_BYTES_TIMEOUT: Duration = Duration::from_secs(15);

/// How often an incomplete preface is read again.
const PREFACE_POLL: Duration = Duration::from_millis(50);

/// The bytes that every HTTP/2 connection begins with (RFC 9113 section 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Accepts connections.
#[derive(Clone)]
pub(super) struct Acceptor {
    permits: Arc<Semaphore>,
}

impl Acceptor {
    /// An acceptor without connections.
    pub fn new() -> Acceptor {
        Acceptor {
            permits: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        }
    }
}

impl<S: Send + 'static> Accept<TcpStream, S> for Acceptor {
    type Stream = Connection;
    type Service = S;
    type Future = BoxFuture<'static, io::Result<(Connection, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let permit = Arc::clone(&self.permits).try_acquire_owned();
        Box::pin(async move {
            let permit = permit.map_err(|_| io::Error::other("too many connections"))?;
            stream.set_nodelay(true)?;
            timeout(FIRST_BYTES_TIMEOUT, first_bytes(&stream))
                .await
                .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            Ok((
                Connection {
                    stream,
                    _permit: permit,
                },
                service,
            ))
        })
    }
}

/// Waits until enough bytes have arrived to distinguish HTTP/1 from HTTP/2. Nothing is consumed.
async fn first_bytes(stream: &TcpStream) -> io::Result<()> {
    let mut seen = [0; HTTP2_PREFACE.len()];
    loop {
        let count = stream.peek(&mut seen).await?;
        let is_half_a_preface =
            count < HTTP2_PREFACE.len() && HTTP2_PREFACE.starts_with(&seen[..count]);
        // Zero bytes are the end of the connection, which the HTTP library handles.
        if count == 0 || !is_half_a_preface {
            return Ok(());
        }
        sleep(PREFACE_POLL).await;
    }
}

/// An accepted connection, which counts until it is closed.
pub(super) struct Connection {
    stream: TcpStream,
    _permit: OwnedSemaphorePermit,
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
