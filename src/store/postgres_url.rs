//! The URL of a PostgreSQL server, and TLS to it.
//!
//! The parameters `sslmode`, `sslrootcert`, `sslcert` and `sslkey` have the names and values of libpq and are read
//! here, because the database driver knows only a part of them. In one point they are stricter than libpq: TLS
//! without a verified certificate does not exist. Texts of this module never repeat the URL, which may contain a
//! password.
//!
//! Source: PostgreSQL documentation, "Database Connection Control Functions" and "SSL Support" (libpq).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use url::form_urlencoded;
use vestibule_protocol::words;

words! {
    /// Whether the connection to PostgreSQL uses TLS: the values of libpq's `sslmode`.
    pub enum TlsMode {
        /// In clear, always.
        Disable = "disable",
        /// As `prefer`.
        Allow = "allow",
        /// TLS where the server offers it.
        Prefer = "prefer",
        /// As `verify-full`.
        Require = "require",
        /// TLS; the certificate comes from a trusted authority, and may name another host.
        VerifyCa = "verify-ca",
        /// TLS; the certificate comes from a trusted authority and names the host.
        VerifyFull = "verify-full",
    }
}

/// TLS options in addition to those of the URL.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    /// `sslmode`.
    pub mode: Option<TlsMode>,
    /// `sslrootcert`: PEM certificates of authorities, instead of the public ones.
    pub ca_file: Option<PathBuf>,
    /// `sslcert`: the PEM certificate chain that this client presents.
    pub certificate_file: Option<PathBuf>,
    /// `sslkey`: its PEM key.
    pub key_file: Option<PathBuf>,
}

/// A parsed URL.
pub struct PostgresUrl {
    config: Config,
    mode: TlsMode,
    /// The file of the authorities; the public ones without a file.
    ca_file: Option<PathBuf>,
    /// The certificate of this client and its key.
    certificate: Option<(PathBuf, PathBuf)>,
}

impl PostgresUrl {
    /// Parses a URL. No file is read.
    ///
    /// # Errors
    /// A sentence that names the wrong part and does not repeat its value.
    pub fn parse(url: &str) -> Result<PostgresUrl, String> {
        let (rest, tls) = split(url)?;
        let mut config: Config = rest
            .parse()
            .map_err(|_| format!("cannot be read; {FORM}"))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(format!("names no host; {FORM}"));
        }
        let is_secured = tls.ca_file.is_some() || tls.certificate_file.is_some();
        let default = match is_secured {
            true => TlsMode::VerifyFull,
            false => TlsMode::Prefer,
        };
        let certificate = match (tls.certificate_file, tls.key_file) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((certificate, key)),
            _ => return Err(String::from("sslcert and sslkey go together")),
        };
        let mut mode = tls.mode.unwrap_or(default);
        // A connection that does not leave the machine needs no TLS, and a server does not offer it on a socket.
        let is_optional = mode < TlsMode::Require && !is_secured;
        if is_on_sockets(&config) || is_optional && is_local(&config) {
            mode = TlsMode::Disable;
        }
        config.ssl_mode(match mode {
            TlsMode::Disable => SslMode::Disable,
            TlsMode::Allow | TlsMode::Prefer => SslMode::Prefer,
            TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => SslMode::Require,
        });
        Ok(PostgresUrl {
            config,
            mode,
            ca_file: tls.ca_file.filter(|path| path.as_os_str() != PUBLIC),
            certificate,
        })
    }

    /// What the driver reads, without certificates.
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// A warning for the log, if passwords and data may cross a network in clear.
    pub fn warning(&self) -> Option<String> {
        if self.mode >= TlsMode::Require || is_local(&self.config) {
            return None;
        }
        let how = match self.mode {
            TlsMode::Disable => "is not encrypted (sslmode=disable)",
            _ => "is encrypted only if the server offers it (sslmode=prefer)",
        };
        Some(format!(
            "the connection to the database on another machine {how}: set [database] sslmode = \"verify-full\""
        ))
    }

    /// The TLS client; none where the connection is always in clear.
    ///
    /// # Errors
    /// A file cannot be read, or contains no certificate or key; the sentence names the file.
    pub fn tls(&self) -> Result<Option<ClientConfig>, String> {
        if self.mode == TlsMode::Disable {
            return Ok(None);
        }
        let roots = match &self.ca_file {
            None => webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect(),
            Some(path) => authorities(path)?,
        };
        let builder = ClientConfig::builder();
        let builder = match self.mode {
            TlsMode::VerifyCa => {
                let provider = Arc::clone(builder.crypto_provider());
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(AnyName { roots, provider }))
            }
            _ => builder.with_root_certificates(roots),
        };
        let Some((certificate, key)) = &self.certificate else {
            return Ok(Some(builder.with_no_client_auth()));
        };
        let wrong = |path: &Path, reason: &dyn std::fmt::Display| {
            format!("{} cannot be used: {reason}", path.display())
        };
        let chain = certificates(certificate)?;
        let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, &error))?;
        let client = builder.with_client_auth_cert(chain, secret);
        client.map(Some).map_err(|error| wrong(certificate, &error))
    }
}

/// Adds TLS options to a URL, as its parameters.
///
/// # Errors
/// The URL names one of them itself.
pub fn with_tls(url: &str, tls: &TlsOptions) -> Result<String, String> {
    let (_, named) = split(url)?;
    let text = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let rows = [
        (
            "sslmode",
            "sslmode",
            named.mode.is_some(),
            tls.mode.map(|mode| mode.to_string()),
        ),
        (
            "ca_file",
            "sslrootcert",
            named.ca_file.is_some(),
            text(&tls.ca_file),
        ),
        (
            "certificate_file",
            "sslcert",
            named.certificate_file.is_some(),
            text(&tls.certificate_file),
        ),
        (
            "key_file",
            "sslkey",
            named.key_file.is_some(),
            text(&tls.key_file),
        ),
    ];
    let mut whole = url.to_owned();
    for (key, parameter, is_named, value) in rows {
        let Some(value) = value else { continue };
        if is_named {
            return Err(format!(
                "contains {parameter}, which is also set by [database] {key}: set one of them"
            ));
        }
        // A space as `%20`: the driver does not read `+` as one.
        let value: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
        let separator = if query_of(&whole).1.is_some() {
            '&'
        } else {
            '?'
        };
        whole = format!(
            "{whole}{separator}{parameter}={}",
            value.replace('+', "%20")
        );
    }
    Ok(whole)
}

/// What an administrator can do about a failed TLS handshake.
pub(super) fn remedy(error: &tokio_postgres::Error) -> Option<&'static str> {
    let cause = std::error::Error::source(error)?.downcast_ref::<std::io::Error>()?;
    match cause.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            Some("name the file with the certificate authority of the database: [database] ca_file")
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => Some(
            "connect by a host name that the certificate contains, or set [database] sslmode = \"verify-ca\"",
        ),
        _ => None,
    }
}

/// Verifies that a certificate comes from a trusted authority, whichever host it names.
#[derive(Debug)]
struct AnyName {
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        rustls::client::verify_server_cert_signed_by_trust_anchor(
            &rustls::server::ParsedCertificate::try_from(end_entity)?,
            &self.roots,
            intermediates,
            now,
            self.provider.signature_verification_algorithms.all,
        )?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

fn authorities(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| format!("{} cannot be used: {error}", path.display()))?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = path.display();
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).and_then(|found| found.collect());
    match found {
        Ok(found) if found.is_empty() => Err(format!("{shown} contains no PEM certificate")),
        Ok(found) => Ok(found),
        Err(error) => Err(format!("{shown} cannot be read: {error}")),
    }
}

/// The URL without the parameters of TLS, and those.
fn split(url: &str) -> Result<(String, TlsOptions), String> {
    let (before, query) = query_of(url);
    let mut tls = TlsOptions::default();
    let mut others = Vec::new();
    for pair in query
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
    {
        // Only `%` escapes: the driver does not read `+` as a space.
        let plain = pair.replace('+', "%2B");
        let Some((name, value)) = form_urlencoded::parse(plain.as_bytes()).next() else {
            continue;
        };
        let file = Some(PathBuf::from(value.as_ref()));
        match name.as_ref() {
            "sslmode" => {
                let mode = TlsMode::parse(&value);
                tls.mode = Some(mode.ok_or_else(|| {
                    let modes = TlsMode::ALL.map(TlsMode::as_str).join(", ");
                    format!("has a wrong sslmode, which is one of {modes}")
                })?);
            }
            "sslrootcert" => tls.ca_file = file,
            "sslcert" => tls.certificate_file = file,
            "sslkey" => tls.key_file = file,
            known if PARAMETERS.contains(&known) => others.push(pair),
            unknown => {
                // Another text may be a part of a password that is not escaped.
                let shown = OTHER_PARAMETERS.iter().find(|known| **known == unknown);
                let shown = shown.map_or(String::from("a parameter"), |name| {
                    format!("the parameter {name}")
                });
                return Err(format!(
                    "has {shown} that is not supported; supported are sslmode, sslrootcert, sslcert, sslkey, {}",
                    PARAMETERS.join(", ")
                ));
            }
        }
    }
    let rest = match others.is_empty() {
        true => before.to_owned(),
        false => format!("{before}?{}", others.join("&")),
    };
    Ok((rest, tls))
}

/// The URL before its query, and the query. The driver reads user and password up to the first `@`, so a question
/// mark before it is a part of the password.
fn query_of(url: &str) -> (&str, Option<&str>) {
    let credentials = url.find('@').map_or(0, |at| at + 1);
    match url[credentials..].find('?') {
        Some(mark) => {
            let mark = credentials + mark;
            (&url[..mark], Some(&url[mark + 1..]))
        }
        None => (url, None),
    }
}

fn is_on_sockets(config: &Config) -> bool {
    let mut hosts = config.get_hosts().iter();
    !config.get_hosts().is_empty() && hosts.all(|host| matches!(host, Host::Unix(_)))
}

/// Whether every host is this machine: a socket or a loopback address.
fn is_local(config: &Config) -> bool {
    let addresses = config.get_hostaddrs();
    if !addresses.is_empty() {
        return addresses.iter().all(|address| address.is_loopback());
    }
    config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => matches!(name.as_str(), "localhost" | "127.0.0.1" | "::1"),
        Host::Unix(_) => true,
    })
}

const FORM: &str = "it has the form postgres://USER:PASSWORD@HOST:5432/NAME, and special characters of user and \
                    password are escaped (@ is %40, / is %2F)";

/// The value of `sslrootcert` that means the public authorities.
const PUBLIC: &str = "system";

/// The parameters that the driver reads itself.
const PARAMETERS: [&str; 18] = [
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "load_balance_hosts",
    "options",
    "password",
    "port",
    "sslnegotiation",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// Parameters of libpq that are not supported, and may be named in a message.
const OTHER_PARAMETERS: [&str; 17] = [
    "client_encoding",
    "fallback_application_name",
    "gssencmode",
    "keepalives_count",
    "krbsrvname",
    "passfile",
    "replication",
    "require_auth",
    "requirepeer",
    "service",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcertmode",
    "sslcompression",
    "sslcrl",
    "sslpassword",
    "sslsni",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> TlsMode {
        PostgresUrl::parse(url).map(|url| url.mode).unwrap()
    }

    #[test]
    fn every_sslmode_is_read_and_a_connection_within_the_machine_needs_none() {
        for wanted in TlsMode::ALL {
            assert_eq!(
                mode(&format!("postgres://u@db.example/x?sslmode={wanted}")),
                wanted
            );
        }
        for (url, expected) in [
            ("postgres://u@db.example/x", TlsMode::Prefer),
            (
                "postgres://u@db.example/x?sslrootcert=/ca.pem",
                TlsMode::VerifyFull,
            ),
            (
                "postgres://u@db.example/x?sslcert=/c.pem&sslkey=/k.pem",
                TlsMode::VerifyFull,
            ),
            (
                "postgres://u@db.example/x?sslmode=prefer&sslrootcert=/ca.pem",
                TlsMode::Prefer,
            ),
            ("postgres://u@localhost/x", TlsMode::Disable),
            ("postgres://u@localhost/x?sslmode=prefer", TlsMode::Disable),
            (
                "postgres://u@localhost/x?sslmode=verify-full",
                TlsMode::VerifyFull,
            ),
            (
                "postgres://u@127.0.0.1/x?sslrootcert=/ca.pem",
                TlsMode::VerifyFull,
            ),
            (
                "postgres://u@/x?host=/run/postgresql&sslmode=require",
                TlsMode::Disable,
            ),
            ("postgres://u@localhost,db.example/x", TlsMode::Prefer),
            (
                "postgres://u@localhost/x?hostaddr=192.0.2.1",
                TlsMode::Prefer,
            ),
        ] {
            assert_eq!(mode(url), expected, "{url}");
        }
    }

    #[test]
    fn a_wrong_url_is_reported_by_its_part_and_never_repeated() {
        for (url, part) in [
            (
                "postgres://u:s3cret@db.example/x?sslmode=s3cret",
                "verify-ca, verify-full",
            ),
            (
                "postgres://u:s3cret@db.example/x?sslcrl=s3cret",
                "the parameter sslcrl",
            ),
            (
                "postgres://u:s3cret@db.example/x?s3cret=1",
                "a parameter that is not supported",
            ),
            (
                "postgres://u:s3cret@db.example/x?sslcert=s3cret",
                "go together",
            ),
            ("postgres://u:s3cret@[::1/x", "%40"),
            ("postgres://u:s3cret@db.example:s3cret/x", "%40"),
            ("postgres:///x", "names no host"),
        ] {
            let problem = PostgresUrl::parse(url).err().unwrap_or_default();
            assert!(
                problem.contains(part) && !problem.contains("s3cret"),
                "{url}: {problem}"
            );
        }
        // A question mark in a password is no query.
        let url = PostgresUrl::parse("postgres://u:a?b=c@db.example/x?sslmode=disable").unwrap();
        assert_eq!(url.config().get_password(), Some(b"a?b=c".as_slice()));
    }

    #[test]
    fn options_of_the_config_become_parameters_and_contradict_none() {
        let tls = TlsOptions {
            mode: Some(TlsMode::VerifyCa),
            ca_file: Some(PathBuf::from("/etc/a b+c&d.pem")),
            ..TlsOptions::default()
        };
        let url = with_tls("postgres://u:a?b@db.example/x", &tls).unwrap();
        let parsed = PostgresUrl::parse(&url).unwrap();
        assert_eq!(parsed.mode, TlsMode::VerifyCa);
        assert_eq!(parsed.ca_file, tls.ca_file);
        let url = with_tls("postgres://u@db.example/x?user=v", &tls).unwrap();
        assert_eq!(
            PostgresUrl::parse(&url).unwrap().config().get_user(),
            Some("v")
        );
        let refused = with_tls("postgres://u@db.example/x?sslmode=disable", &tls).unwrap_err();
        assert!(refused.contains("[database] sslmode"), "{refused}");
        assert_eq!(
            with_tls("postgres://u@h/x", &TlsOptions::default()).unwrap(),
            "postgres://u@h/x"
        );
    }

    #[test]
    fn a_connection_that_may_be_in_clear_on_a_network_is_warned_of() {
        let warning = |query: &str, host: &str| {
            PostgresUrl::parse(&format!("postgres://u@{host}/x{query}"))
                .unwrap()
                .warning()
        };
        for query in [
            "",
            "?sslmode=disable",
            "?sslmode=allow",
            "?sslmode=prefer&sslrootcert=/ca.pem",
        ] {
            assert!(warning(query, "db.example").is_some(), "{query}");
            assert_eq!(warning(query, "localhost"), None, "{query}");
        }
        for query in [
            "?sslmode=require",
            "?sslmode=verify-ca",
            "?sslrootcert=system",
        ] {
            assert_eq!(warning(query, "db.example"), None, "{query}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let empty = directory.path().join("empty.pem");
        std::fs::write(&empty, "nothing").unwrap();
        let missing = directory.path().join("missing.pem");
        for file in [&empty, &missing] {
            let tls = TlsOptions {
                ca_file: Some(file.clone()),
                ..TlsOptions::default()
            };
            let url = with_tls("postgres://u@db.example/x", &tls).unwrap();
            let problem = PostgresUrl::parse(&url)
                .unwrap()
                .tls()
                .err()
                .unwrap_or_default();
            assert!(problem.contains(&file.display().to_string()), "{problem}");
        }
    }
}
