//! Sending a mail to an SMTP relay.
//!
//! This file owns the conversation with one relay: connections and their reuse, TLS, authentication, deadlines, and
//! the meaning of the relay's reply for the mail: sent, to be retried, or refused. The form of the message is left
//! to `message`; attempts, back-off, leases and expiry to the outbox.
//!
//! Two things here are deliberate. A connection returns to the pool only after a complete exchange, because after
//! an interrupted one each reply would be taken for the reply to another command. And each step is named, because a
//! 5xx is permanent only when it concerns the mail: if it concerns the login or the connection, it is a fault of
//! the configuration, and the mail waits for the correction.
//!
//! Implements RFC 5321, RFC 3207 (STARTTLS), RFC 4954 (AUTH), RFC 8314 (TLS), RFC 6531 (SMTPUTF8).

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lettre::message::Message;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::commands::{Data, Mail, Quit, Rcpt, Rset};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::{Response, Severity};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use vestibule_protocol::secret::Secret;

use super::message::OutgoingMail;

mod answer;
mod settings;
mod stream;

use answer::{SmtpFailure, SmtpStep, line_of};
pub use settings::{Security, SmtpSettings};
use stream::NoReadAhead;

/// One relay and the connections to it.
pub struct SmtpRelay {
    settings: SmtpSettings,
    tls: Option<TlsParameters>,
    hello: ClientId,
    permits: Semaphore,
    idle: Mutex<Vec<AsyncSmtpConnection>>,
}

/// The result of sending a mail. A reason is one line for the operator; it never contains body, code or password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// The relay refused this mail permanently.
    Reject {
        /// Why.
        reason: String,
    },
    /// Not sent, or not known to be sent; another attempt may succeed.
    Retry {
        /// Why.
        reason: String,
    },
    /// The relay accepted responsibility for it.
    Sent {
        /// The relay's reply, by which the mail can be found in the relay's logs.
        response: String,
    },
}

impl SmtpRelay {
    /// Makes a relay from its settings. It opens no connection.
    ///
    /// # Refusals
    /// A sentence about the CA file, if there is one and it cannot be used.
    pub fn new(settings: SmtpSettings) -> Result<SmtpRelay, String> {
        let tls = match settings.security {
            Security::Plain => None,
            Security::ImplicitTls | Security::StartTls => Some(tls_parameters(&settings)?),
        };
        Ok(SmtpRelay {
            tls,
            hello: hello_name(),
            permits: Semaphore::new(settings.pool_max.max(1)),
            idle: Mutex::new(Vec::new()),
            settings,
        })
    }

    /// The settings this relay was made from.
    pub fn settings(&self) -> &SmtpSettings {
        &self.settings
    }

    /// Sends one mail, within the deadline of the settings, whatever the relay does.
    ///
    /// The deadline starts when one of the `pool_max` conversations is free. If it passes after the content was
    /// sent, the relay may have accepted the mail: it is reported as `Retry`, and the repeated mail has the same
    /// `Message-ID`.
    pub async fn send(&self, mail: &OutgoingMail) -> SendOutcome {
        let message = match mail.to_message() {
            Ok(message) => message,
            Err(problem) => {
                return SendOutcome::Reject {
                    reason: problem.to_string(),
                };
            }
        };
        let _permit = self
            .permits
            .acquire()
            .await
            .expect("the semaphore is never closed");
        let mut step = SmtpStep::Connect;
        let delivery = Box::pin(self.deliver(&message, &mut step));
        let failure = match timeout(self.limit(), delivery).await {
            Ok(Ok(response)) => {
                return SendOutcome::Sent {
                    response: line_of(&response, mail),
                };
            }
            Ok(Err(failure)) => failure,
            Err(_) => SmtpFailure::Lost(format!(
                "no answer within {} s",
                self.settings.timeout_seconds
            )),
        };
        failure.outcome(step, mail)
    }

    /// Connects and logs in without sending anything, for diagnosis.
    ///
    /// # Refusals
    /// One line that says at which step it ended and why.
    pub async fn check(&self) -> Result<(), String> {
        let mut step = SmtpStep::Connect;
        let connecting = Box::pin(self.connect(&mut step));
        match timeout(self.limit(), connecting).await {
            Ok(Ok(connection)) => {
                say_goodbye(connection).await;
                Ok(())
            }
            Ok(Err(failure)) => Err(failure.describe(step)),
            Err(_) => Err(format!(
                "{step}: no answer within {} s",
                self.settings.timeout_seconds
            )),
        }
    }

    /// Closes the pooled connections: after some idle time, and at the end.
    pub async fn close_idle(&self) {
        let parked = std::mem::take(&mut *self.idle());
        for connection in parked {
            say_goodbye(connection).await;
        }
    }

    async fn deliver(
        &self,
        message: &Message,
        step: &mut SmtpStep,
    ) -> Result<Response, SmtpFailure> {
        if let Some(mut connection) = self.reuse().await {
            let result = converse(&mut connection, message, step).await;
            // The relay may close an idle connection at any time. Until the content is sent, starting over is safe,
            // and the mail need not wait for its next attempt.
            let may_start_over =
                *step < SmtpStep::Content && result.as_ref().is_err_and(SmtpFailure::is_lost);
            if !may_start_over {
                self.park(connection, &result);
                return result;
            }
        }
        *step = SmtpStep::Connect;
        let mut connection = self.connect(step).await?;
        let result = converse(&mut connection, message, step).await;
        self.park(connection, &result);
        result
    }

    /// A pooled connection that still responds. `RSET` is the probe, so that no earlier transaction remains open.
    async fn reuse(&self) -> Option<AsyncSmtpConnection> {
        loop {
            let mut connection = self.idle().pop()?;
            let probe_limit = PROBE_LIMIT.min(self.limit() / 4);
            match timeout(probe_limit, connection.command(Rset)).await {
                Ok(Ok(_)) => return Some(connection),
                Ok(Err(_)) => {}
                // If one hangs, the relay is unreachable; waiting for each of them would use up the deadline.
                Err(_) => self.idle().clear(),
            }
        }
    }

    fn park(&self, connection: AsyncSmtpConnection, result: &Result<Response, SmtpFailure>) {
        let is_in_step = !result.as_ref().is_err_and(SmtpFailure::is_lost);
        let mut idle = self.idle();
        if is_in_step && !connection.has_broken() && idle.len() < self.settings.pool_max {
            idle.push(connection);
        }
    }

    async fn connect(&self, step: &mut SmtpStep) -> Result<AsyncSmtpConnection, SmtpFailure> {
        let SmtpSettings {
            host,
            port,
            security,
            ..
        } = &self.settings;
        let tcp = || connect_tcp(host, *port, self.limit() / 3);
        let tls = || {
            self.tls
                .clone()
                .expect("a relay with TLS has its parameters")
        };
        let mut connection = match security {
            Security::Plain => {
                AsyncSmtpConnection::connect_with_transport(Box::new(tcp().await?), &self.hello)
                    .await?
            }
            Security::ImplicitTls => {
                let address = (host.as_str(), *port);
                let limit = Some(self.limit() / 3);
                AsyncSmtpConnection::connect_tokio1(address, limit, &self.hello, Some(tls()), None)
                    .await?
            }
            Security::StartTls => {
                let stream = Box::new(NoReadAhead::new(tcp().await?));
                let mut connection =
                    AsyncSmtpConnection::connect_with_transport(stream, &self.hello).await?;
                *step = SmtpStep::StartTls;
                if !connection.can_starttls() {
                    return Err(SmtpFailure::Lost(
                        "it is not offered, and nothing is sent without it".into(),
                    ));
                }
                connection.starttls(tls(), &self.hello).await?;
                connection
            }
        };
        if let (Some(user), Some(password)) = (&self.settings.user, &self.settings.password) {
            *step = SmtpStep::Authenticate;
            let credentials = Credentials::new(user.clone(), Secret::expose(password).to_owned());
            connection
                .auth(&[Mechanism::Plain, Mechanism::Login], &credentials)
                .await?;
        }
        Ok(connection)
    }

    fn limit(&self) -> Duration {
        Duration::from_secs(self.settings.timeout_seconds.max(1))
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<AsyncSmtpConnection>> {
        // The lock protects a list, which is never in an inconsistent state.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SmtpRelay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpRelay")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// One mail over one connection.
async fn converse(
    connection: &mut AsyncSmtpConnection,
    message: &Message,
    step: &mut SmtpStep,
) -> Result<Response, SmtpFailure> {
    let envelope = message.envelope();
    let content = message.formatted();
    let mut parameters = Vec::new();
    *step = SmtpStep::Sender;
    let needs_utf8 = !envelope
        .to()
        .iter()
        .chain(envelope.from())
        .all(|address| address.to_string().is_ascii());
    if needs_utf8 {
        let known = connection.server_info();
        if !known.supports_feature(Extension::SmtpUtfEight)
            || !known.supports_feature(Extension::EightBitMime)
        {
            return Err(SmtpFailure::Unsendable(
                "the relay takes only ASCII addresses (no SMTPUTF8)",
            ));
        }
        parameters.push(MailParameter::SmtpUtfEight);
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    let sender = Mail::new(envelope.from().cloned(), parameters);
    expect(
        Severity::PositiveCompletion,
        connection.command(sender).await?,
    )?;
    for recipient in envelope.to() {
        *step = SmtpStep::Recipient;
        let recipient = Rcpt::new(recipient.clone(), Vec::new());
        expect(
            Severity::PositiveCompletion,
            connection.command(recipient).await?,
        )?;
    }
    *step = SmtpStep::Data;
    expect(
        Severity::PositiveIntermediate,
        connection.command(Data).await?,
    )?;
    *step = SmtpStep::Content;
    expect(
        Severity::PositiveCompletion,
        connection.message(&content).await?,
    )
}

/// A reply of the wrong kind means that the two sides are out of step.
fn expect(severity: Severity, response: Response) -> Result<Response, SmtpFailure> {
    if response.code().severity == severity {
        return Ok(response);
    }
    Err(SmtpFailure::Lost(format!(
        "the relay answered {} out of turn",
        response.code()
    )))
}

async fn connect_tcp(host: &str, port: u16, limit: Duration) -> Result<TcpStream, SmtpFailure> {
    let mut last = "the name has no address".to_owned();
    let addresses = tokio::net::lookup_host((host, port))
        .await
        .map_err(|error| SmtpFailure::Lost(error.to_string()))?;
    for address in addresses.collect::<Vec<SocketAddr>>() {
        match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Commands are small and each waits for its reply; delaying them has no benefit.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => last = error.to_string(),
            Err(_) => last = "the connection was not accepted in time".to_owned(),
        }
    }
    Err(SmtpFailure::Lost(last))
}

async fn say_goodbye(mut connection: AsyncSmtpConnection) {
    let _ = timeout(GOODBYE_LIMIT, connection.command(Quit)).await;
}

fn tls_parameters(settings: &SmtpSettings) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(settings.host.clone());
    if let Some(path) = &settings.ca_file {
        let shown = path.display();
        let pem = std::fs::read(path)
            .map_err(|error| format!("the SMTP CA file {shown} cannot be read: {error}"))?;
        let count = pem
            .windows(CERTIFICATE_MARK.len())
            .filter(|window| *window == CERTIFICATE_MARK)
            .count();
        if count == 0 {
            return Err(format!("the SMTP CA file {shown} holds no PEM certificate"));
        }
        let authorities = Certificate::from_pem(&pem).map_err(|_| {
            format!("the SMTP CA file {shown} holds a certificate that cannot be read")
        })?;
        builder = builder
            .certificate_store(CertificateStore::None)
            .add_root_certificate(authorities);
    }
    builder
        .build()
        .map_err(|error| format!("TLS for the SMTP relay cannot be set up: {error}"))
}

/// The name for the EHLO command. Strict relays refuse a host name that is not a domain name (an underscore in a
/// container's), so the address literal replaces it (RFC 5321 section 4.1.4).
fn hello_name() -> ClientId {
    match ClientId::default() {
        ClientId::Domain(name)
            if name.is_empty()
                || name.contains(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '-') =>
        {
            ClientId::Ipv4(std::net::Ipv4Addr::LOCALHOST)
        }
        name => name,
    }
}

const CERTIFICATE_MARK: &[u8] = b"-----BEGIN CERTIFICATE-----";
const GOODBYE_LIMIT: Duration = Duration::from_secs(2);
/// A relay on the same continent replies to `RSET` in a fraction of this time.
const PROBE_LIMIT: Duration = Duration::from_secs(3);
