//! Connections from a chosen loopback address, and one request on them.

use std::io::{Read, Write};
use std::net::{SocketAddr, SocketAddrV4, TcpStream};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::outcome::Outcome;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Raises this process's limit of open files as far as it may.
pub fn raise_file_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    // With fewer files the attack has fewer connections, which its figures show.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// Connects to a server from an address of this machine.
pub fn connect_from(source: [u8; 4], server: &str) -> Outcome<TcpStream> {
    let server: SocketAddr = server.parse()?;
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&socket, &SocketAddrV4::new(source.into(), 0))?;
    connect(&socket, &server)?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Sends a request with `Connection: close` on a new connection; the status of the answer.
pub fn status_of(source: [u8; 4], server: &str, request: &str) -> Outcome<u16> {
    let mut stream = connect_from(source, server)?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let status = answer
        .split(|byte| *byte == b' ')
        .nth(1)
        .and_then(|word| std::str::from_utf8(word).ok())
        .and_then(|word| word.parse().ok());
    status.ok_or_else(|| "the server closed the connection".into())
}
