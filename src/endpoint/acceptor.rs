//! The acceptor: what a connection must do before it may speak HTTP.
//!
//! There are only so many connections, each holds its place until it closes, and each must say
//! something within a time: a client that connects and stays silent, or sends half of the HTTP/2
//! preface, would otherwise cost a place for ever.

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

/// Most connections of a listener at once; who comes later is hung up on.
const CONNECTIONS_MAX: usize = 8_192;

/// How long a connection may take until it is clear what it speaks.
const FIRST_WORDS_TIMEOUT: Duration = Duration::from_secs(15);

/// How often half a preface is looked at again.
const PREFACE_POLL: Duration = Duration::from_millis(50);

/// What every HTTP/2 connection begins with (RFC 9113 section 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Admits connections.
#[derive(Clone)]
pub(super) struct Acceptor {
    places: Arc<Semaphore>,
}

impl Acceptor {
    /// An acceptor with all places free.
    pub fn new() -> Acceptor {
        Acceptor {
            places: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        }
    }
}

impl<S: Send + 'static> Accept<TcpStream, S> for Acceptor {
    type Stream = Admitted;
    type Service = S;
    type Future = BoxFuture<'static, io::Result<(Admitted, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let place = Arc::clone(&self.places).try_acquire_owned();
        Box::pin(async move {
            let place = place.map_err(|_| io::Error::other("every place is taken"))?;
            stream.set_nodelay(true)?;
            timeout(FIRST_WORDS_TIMEOUT, first_words(&stream))
                .await
                .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            Ok((
                Admitted {
                    stream,
                    _place: place,
                },
                service,
            ))
        })
    }
}

/// Waits until the connection has said enough to tell HTTP/1 from HTTP/2; nothing is consumed.
async fn first_words(stream: &TcpStream) -> io::Result<()> {
    let mut seen = [0; HTTP2_PREFACE.len()];
    loop {
        let count = stream.peek(&mut seen).await?;
        let is_half_a_preface =
            count < HTTP2_PREFACE.len() && HTTP2_PREFACE.starts_with(&seen[..count]);
        // Zero bytes is the end of the connection, which HTTP itself notices.
        if count == 0 || !is_half_a_preface {
            return Ok(());
        }
        sleep(PREFACE_POLL).await;
    }
}

/// A connection with its place.
pub(super) struct Admitted {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
}

impl AsyncRead for Admitted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Admitted {
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
