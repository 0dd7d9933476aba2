//! A small SMTP server for tests: it accepts every mail, stores it, and fails on request.
//!
//! This file owns a real conversation over real sockets (RFC 5321 with AUTH, STARTTLS, implicit TLS), a script of
//! faults, and the parsing of received mails: envelope, headers, parts, and the code. Assertions are left to the
//! tests. It runs on plain threads, so that a hanging conversation does not block a runtime, and `stop` ends all of
//! them.
//!
//! ```ignore
//! let sink = SmtpSink::start().await;
//! // … configure a relay with `sink.url()`, let something send …
//! let code = sink.mail_to("ada@example.com").await.code();
//! ```

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tokio::sync::watch;

use super::received::Received;

/// A running (or stopped) sink.
pub struct SmtpSink {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// The options of the sink.
#[derive(Debug, Clone, Default)]
pub struct SinkOptions {
    /// Protection of the connection.
    pub tls: SinkTls,
    /// User and password that it requires, if any.
    pub credentials: Option<(String, String)>,
    /// Offer only `AUTH LOGIN`, as some old relays do.
    pub login_only: bool,
    /// Offer neither 8BITMIME nor SMTPUTF8.
    pub ascii_only: bool,
    /// After `220` to STARTTLS, add these plaintext bytes in the same packet, as an attacker on the path would.
    pub inject_after_starttls: Option<&'static str>,
}

/// Protection of the connection to the sink.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SinkTls {
    /// TLS from the first byte.
    Implicit,
    /// No TLS.
    #[default]
    None,
    /// STARTTLS is offered.
    StartTls,
}

/// A point of the conversation at which a fault can occur: the reply to this command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The greeting.
    Banner,
    /// `EHLO`.
    Ehlo,
    /// `AUTH`.
    Auth,
    /// `MAIL`.
    Mail,
    /// `RCPT`.
    Rcpt,
    /// `DATA`.
    Data,
    /// The dot that ends the message. The message is stored before the fault, unless the fault is a reply.
    Content,
    /// `RSET`.
    Rset,
}

/// A fault, used up after `times`.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Close the connection without a reply.
    Close { at: Stage, times: usize },
    /// Never reply again on this connection.
    Hang { at: Stage, times: usize },
    /// Reply with this line instead of the usual one: `451 4.3.0 try later`.
    Reply {
        at: Stage,
        line: String,
        times: usize,
    },
}

struct Shared {
    options: SinkOptions,
    tls: Option<Arc<ServerConfig>>,
    faults: Mutex<Vec<Fault>>,
    received: Mutex<Vec<Received>>,
    count: watch::Sender<usize>,
    connections: Mutex<Vec<TcpStream>>,
    connections_seen: AtomicUsize,
    is_stopped: Mutex<Arc<AtomicBool>>,
}

impl SmtpSink {
    /// A sink without TLS that requires no password.
    pub async fn start() -> SmtpSink {
        SmtpSink::start_with(SinkOptions::default()).await
    }

    /// A sink with these options, on a free port of 127.0.0.1.
    pub async fn start_with(options: SinkOptions) -> SmtpSink {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener
            .local_addr()
            .expect("a bound listener has an address");
        let tls = (options.tls != SinkTls::None).then(server_config);
        let shared = Arc::new(Shared {
            options,
            tls,
            faults: Mutex::default(),
            received: Mutex::default(),
            count: watch::channel(0).0,
            connections: Mutex::default(),
            connections_seen: AtomicUsize::new(0),
            is_stopped: Mutex::default(),
        });
        shared.listen(listener);
        SmtpSink { address, shared }
    }

    /// The URL for a relay's settings, with the user if one is required.
    pub fn url(&self) -> String {
        let scheme = match self.shared.options.tls {
            SinkTls::Implicit => "smtps",
            SinkTls::None => "smtp",
            SinkTls::StartTls => "smtp+starttls",
        };
        let user = self
            .shared
            .options
            .credentials
            .as_ref()
            .map(|(user, _)| format!("{user}@"));
        format!(
            "{scheme}://{}127.0.0.1:{}",
            user.unwrap_or_default(),
            self.address.port()
        )
    }

    /// The certificate authority to trust.
    pub fn ca_file() -> PathBuf {
        tls_dir().join("ca.pem")
    }

    /// Adds a fault to the script. The first one for a stage occurs.
    pub fn fault(&self, fault: Fault) {
        self.shared
            .faults
            .lock()
            .expect("no thread panicked")
            .push(fault);
    }

    /// Ends all faults.
    pub fn clear_faults(&self) {
        self.shared
            .faults
            .lock()
            .expect("no thread panicked")
            .clear();
    }

    /// Everything that arrived so far.
    pub fn received(&self) -> Vec<Received> {
        self.shared
            .received
            .lock()
            .expect("no thread panicked")
            .clone()
    }

    /// Waits until `n` mails have arrived, and returns all of them.
    ///
    /// Panics after ten seconds.
    pub async fn wait_for(&self, n: usize) -> Vec<Received> {
        let mut count = self.shared.count.subscribe();
        let arrival = tokio::time::timeout(PATIENCE, count.wait_for(|seen| *seen >= n)).await;
        assert!(
            arrival.is_ok(),
            "only {} of {n} mails arrived",
            self.received().len()
        );
        self.received()
    }

    /// The newest mail to this address, waiting for the first.
    ///
    /// Panics after ten seconds.
    pub async fn mail_to(&self, address: &str) -> Received {
        let mut count = self.shared.count.subscribe();
        let newest = || {
            self.received()
                .into_iter()
                .rev()
                .find(|mail| mail.rcpt_to.iter().any(|to| to == address))
        };
        let arrival = tokio::time::timeout(PATIENCE, count.wait_for(|_| newest().is_some())).await;
        assert!(arrival.is_ok(), "no mail to {address} arrived");
        drop(arrival);
        newest().expect("it was there a moment ago")
    }

    /// The newest mail to this address that has arrived so far.
    pub fn newest_to(&self, address: &str) -> Option<Received> {
        let received = self.shared.received.lock().expect("no thread panicked");
        let is_to = |mail: &&Received| mail.rcpt_to.iter().any(|to| to == address);
        received.iter().rev().find(is_to).cloned()
    }

    /// The number of connections accepted so far.
    pub fn connections_seen(&self) -> usize {
        self.shared.connections_seen.load(Ordering::SeqCst)
    }

    /// Closes every open connection, as a restarted relay does, and continues to listen.
    pub fn drop_connections(&self) {
        for stream in self
            .shared
            .connections
            .lock()
            .expect("no thread panicked")
            .drain(..)
        {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Stops listening and closes everything; the mails remain readable.
    pub fn stop(&self) {
        let flag = Arc::clone(&self.shared.is_stopped.lock().expect("no thread panicked"));
        if !flag.swap(true, Ordering::SeqCst) {
            // The accepting thread sees the flag only when it wakes up; then it closes the listener.
            if let Ok(mut wake) = TcpStream::connect(self.address) {
                let _ = wake.read(&mut [0]);
            }
        }
        self.drop_connections();
    }

    /// Listens again on the previous port.
    pub async fn restart_on_same_port(&self) {
        self.stop();
        let listener = TcpListener::bind(self.address).expect("the port is free again");
        *self.shared.is_stopped.lock().expect("no thread panicked") = Arc::default();
        self.shared.listen(listener);
    }
}

impl Drop for SmtpSink {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn listen(self: &Arc<Self>, listener: TcpListener) {
        let shared = Arc::clone(self);
        let is_stopped = Arc::clone(&self.is_stopped.lock().expect("no thread panicked"));
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if is_stopped.load(Ordering::SeqCst) {
                    // The listener is closed first, so that the port is free when the waking stream ends.
                    drop(listener);
                    return drop(stream);
                }
                shared.connections_seen.fetch_add(1, Ordering::SeqCst);
                let handle = stream.try_clone().expect("a socket can be cloned");
                shared
                    .connections
                    .lock()
                    .expect("no thread panicked")
                    .push(handle);
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.serve(stream));
            }
        });
    }

    fn serve(&self, stream: TcpStream) {
        let ending = stream.try_clone().expect("a socket can be cloned");
        let wire = match (&self.tls, self.options.tls) {
            (Some(config), SinkTls::Implicit) => encrypted(config, stream),
            _ => Wire::Plain(stream),
        };
        // An ended conversation is not an error here: clients come and go, and faults end them on purpose.
        let _ = Conversation {
            sink: self,
            wire: BufReader::new(wire),
            mail: Received::default(),
        }
        .run();
        let _ = ending.shutdown(Shutdown::Both);
    }

    fn strike(&self, stage: Stage) -> Option<Fault> {
        let mut faults = self.faults.lock().expect("no thread panicked");
        faults.iter_mut().find_map(|fault| {
            let (at, times) = match fault {
                Fault::Close { at, times }
                | Fault::Hang { at, times }
                | Fault::Reply { at, times, .. } => (at, times),
            };
            let strikes = *at == stage && *times > 0;
            *times -= usize::from(strikes);
            strikes.then(|| fault.clone())
        })
    }

    fn keep(&self, mail: Received) {
        let mut received = self.received.lock().expect("no thread panicked");
        received.push(mail);
        self.count.send_replace(received.len());
    }
}

/// One client, from greeting to QUIT.
struct Conversation<'a> {
    sink: &'a Shared,
    wire: BufReader<Wire>,
    mail: Received,
}

impl Conversation<'_> {
    fn run(&mut self) -> io::Result<()> {
        self.reply(Some(Stage::Banner), "220 sink.test ESMTP")?;
        loop {
            let line = self.read_line()?;
            let verb = line
                .split([' ', ':'])
                .next()
                .unwrap_or_default()
                .to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" | "HELO" => self.greet()?,
                "STARTTLS" => self.start_tls()?,
                "AUTH" => self.authenticate(&line)?,
                "MAIL" => self.mail_from(&line)?,
                "RCPT" => self.rcpt_to(&line)?,
                "DATA" => self.data()?,
                "RSET" => {
                    self.forget();
                    self.reply(Some(Stage::Rset), "250 2.0.0 forgotten")?;
                }
                "NOOP" => self.reply(None, "250 2.0.0 nothing")?,
                "QUIT" => {
                    self.reply(None, "221 2.0.0 bye")?;
                    return Ok(());
                }
                _ => self.reply(None, "500 5.5.2 unknown command")?,
            }
        }
    }

    fn greet(&mut self) -> io::Result<()> {
        let options = &self.sink.options;
        let mut lines = vec!["sink.test"];
        if options.tls == SinkTls::StartTls && !self.wire.get_ref().is_encrypted() {
            lines.push("STARTTLS");
        }
        if options.credentials.is_some() {
            lines.push(if options.login_only {
                "AUTH LOGIN"
            } else {
                "AUTH PLAIN LOGIN"
            });
        }
        if !options.ascii_only {
            lines.extend(["8BITMIME", "SMTPUTF8"]);
        }
        let last = lines.len() - 1;
        let text: Vec<String> = lines
            .iter()
            .enumerate()
            .map(|(at, line)| format!("250{}{line}", if at == last { ' ' } else { '-' }))
            .collect();
        self.reply(Some(Stage::Ehlo), &text.join("\r\n"))
    }

    fn start_tls(&mut self) -> io::Result<()> {
        let Some(config) = self.sink.tls.clone() else {
            return self.reply(None, "502 5.5.1 no TLS here");
        };
        let injected = self.sink.options.inject_after_starttls.unwrap_or_default();
        let ready = format!("220 2.0.0 go ahead\r\n{injected}");
        self.wire.get_mut().write_all(ready.as_bytes())?;
        let Wire::Plain(stream) = self.wire.get_ref() else {
            return Err(io::Error::other("TLS inside TLS"));
        };
        self.wire = BufReader::new(encrypted(&config, stream.try_clone()?));
        self.forget();
        Ok(())
    }

    fn authenticate(&mut self, line: &str) -> io::Result<()> {
        let mut words = line.split(' ').skip(1);
        let given = match (words.next(), words.next()) {
            (Some("PLAIN"), Some(initial)) => decode(initial)
                .split('\0')
                .skip(1)
                .map(str::to_owned)
                .collect::<Vec<_>>(),
            (Some("LOGIN"), None) => {
                let mut answers = Vec::new();
                for question in ["Username:", "Password:"] {
                    self.write(&format!("334 {}", STANDARD.encode(question)))?;
                    answers.push(decode(&self.read_line()?));
                }
                answers
            }
            _ => return self.reply(None, "504 5.5.4 unknown mechanism"),
        };
        match &self.sink.options.credentials {
            Some((user, password)) if given == [user.as_str(), password.as_str()] => {
                self.mail.authenticated_as = Some(user.clone());
                self.reply(Some(Stage::Auth), "235 2.7.0 welcome")
            }
            // A relay must not quote the password, but some have done so.
            _ => self.reply(
                Some(Stage::Auth),
                &format!("535 5.7.8 wrong: {}", given.join(" ")),
            ),
        }
    }

    fn mail_from(&mut self, line: &str) -> io::Result<()> {
        if self.sink.options.credentials.is_some() && self.mail.authenticated_as.is_none() {
            return self.reply(None, "530 5.7.0 authentication required");
        }
        self.forget();
        self.mail.mail_from = path(line);
        self.reply(Some(Stage::Mail), "250 2.1.0 sender noted")
    }

    fn rcpt_to(&mut self, line: &str) -> io::Result<()> {
        self.mail.rcpt_to.push(path(line));
        self.reply(Some(Stage::Rcpt), "250 2.1.5 recipient noted")
    }

    fn data(&mut self) -> io::Result<()> {
        if self.mail.rcpt_to.is_empty() {
            return self.reply(None, "503 5.5.1 no recipient");
        }
        let mut is_refused = false;
        if let Some(fault) = self.sink.strike(Stage::Data) {
            is_refused = matches!(fault, Fault::Reply { .. });
            self.suffer(fault)?;
        }
        if is_refused {
            return Ok(());
        }
        self.write("354 go ahead, end with a dot")?;
        self.read_message()?;
        let fault = self.sink.strike(Stage::Content);
        let is_accepted = !matches!(fault, Some(Fault::Reply { .. }));
        if is_accepted {
            self.mail.is_encrypted = self.wire.get_ref().is_encrypted();
            self.sink.keep(self.mail.clone());
        }
        self.forget();
        match fault {
            Some(fault) => self.suffer(fault),
            None => self.write("250 2.0.0 kept"),
        }
    }

    /// Reads up to the line with the single dot. Bare line feeds do not end a line, so a smuggled end would be
    /// seen.
    fn read_message(&mut self) -> io::Result<()> {
        let mut wire = Vec::new();
        while !(wire.ends_with(b"\r\n.\r\n") || wire == b".\r\n") {
            let before = wire.len();
            self.wire.read_until(b'\n', &mut wire)?;
            if wire.len() == before {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        wire.truncate(wire.len() - b".\r\n".len());
        self.mail.wire = wire;
        Ok(())
    }

    fn reply(&mut self, stage: Option<Stage>, line: &str) -> io::Result<()> {
        match stage.and_then(|stage| self.sink.strike(stage)) {
            Some(fault) => self.suffer(fault),
            None => self.write(line),
        }
    }

    fn suffer(&mut self, fault: Fault) -> io::Result<()> {
        match fault {
            Fault::Close { .. } => Err(io::ErrorKind::ConnectionAborted.into()),
            // Reading without replying ends when the client gives up or the sink is stopped.
            Fault::Hang { .. } => {
                io::copy(&mut self.wire, &mut io::sink())?;
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            Fault::Reply { line, .. } => self.write(&line),
        }
    }

    fn forget(&mut self) {
        let authenticated_as = self.mail.authenticated_as.take();
        self.mail = Received {
            authenticated_as,
            ..Received::default()
        };
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        self.wire
            .get_mut()
            .write_all(format!("{line}\r\n").as_bytes())?;
        self.wire.get_mut().flush()
    }

    fn read_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.wire.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

/// A socket, with or without TLS.
enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Wire {
    fn is_encrypted(&self) -> bool {
        matches!(self, Wire::Tls(_))
    }
}

impl Read for Wire {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(stream) => stream.read(buf),
            Wire::Tls(stream) => stream.read(buf),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(stream) => stream.write(buf),
            Wire::Tls(stream) => stream.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Wire::Plain(stream) => stream.flush(),
            Wire::Tls(stream) => stream.flush(),
        }
    }
}

fn encrypted(config: &Arc<ServerConfig>, stream: TcpStream) -> Wire {
    let connection =
        ServerConnection::new(Arc::clone(config)).expect("the test certificate is usable");
    Wire::Tls(Box::new(StreamOwned::new(connection, stream)))
}

fn server_config() -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = CertificateDer::from_pem_file(tls_dir().join("localhost.pem"))
        .expect("the test certificate");
    let key =
        PrivateKeyDer::from_pem_file(tls_dir().join("localhost.key.pem")).expect("the test key");
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .expect("certificate and key belong together");
    Arc::new(config)
}

fn tls_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/delivery/tls")
}

/// The text between the angle brackets of `MAIL FROM:<…>` and `RCPT TO:<…>`.
fn path(line: &str) -> String {
    let inner = line
        .split_once('<')
        .map(|(_, rest)| rest)
        .unwrap_or_default();
    inner
        .rsplit_once('>')
        .map(|(path, _)| path)
        .unwrap_or_default()
        .to_owned()
}

fn decode(text: &str) -> String {
    String::from_utf8(STANDARD.decode(text).expect("base64")).expect("UTF-8")
}

const PATIENCE: Duration = Duration::from_secs(10);
