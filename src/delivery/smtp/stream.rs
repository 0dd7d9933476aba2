//! The unencrypted beginning of a `STARTTLS` connection.
//!
//! This file owns one guarantee: no byte that arrived before the TLS handshake is read after it. A buffering reader
//! would keep what an attacker put after the relay's `220` in the same packet, and take it later for the relay's
//! encrypted replies (response injection). So until the handshake starts this stream returns one byte at a time: no
//! byte can remain in a buffer above it, and an injected byte reaches the TLS layer, which refuses it.
//!
//! Implements RFC 3207 section 6.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A TCP stream that does not read ahead before TLS.
#[derive(Debug)]
pub(super) struct NoReadAhead {
    tcp: TcpStream,
    is_handshaking: bool,
}

impl NoReadAhead {
    pub(super) fn new(tcp: TcpStream) -> NoReadAhead {
        NoReadAhead {
            tcp,
            is_handshaking: false,
        }
    }
}

impl AsyncRead for NoReadAhead {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_handshaking {
            return Pin::new(&mut self.tcp).poll_read(cx, buf);
        }
        let mut byte = [0];
        let mut single = ReadBuf::new(&mut byte);
        ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut single))?;
        buf.put_slice(single.filled());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for NoReadAhead {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // Every command starts with a letter; only a TLS record starts with this byte.
        if bytes.first() == Some(&TLS_HANDSHAKE_RECORD) {
            self.is_handshaking = true;
        }
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

impl AsyncTokioStream for NoReadAhead {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.peer_addr()
    }
}

/// `ContentType.handshake`, RFC 8446 section 5.1.
const TLS_HANDSHAKE_RECORD: u8 = 22;
