//! The settings of the relay.
//!
//! This file owns parsing and checking the `[smtp]` part of the configuration; `smtp` uses it. Scheme names and
//! ports follow RFC 8314 (`smtps`, 465), RFC 6409 (submission, 587) and RFC 5321 (25).

use std::path::PathBuf;

use url::Url;
use vestibule_protocol::secret::Secret;

use super::super::message::parse_sender;

/// The settings of one relay. `parse` sets the defaults; the fields may be changed before the relay is made.
#[derive(Debug, Clone)]
pub struct SmtpSettings {
    /// Host name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How the connection is protected.
    pub security: Security,
    /// User name for `AUTH`. Present exactly when `password` is.
    pub user: Option<String>,
    /// Password for `AUTH`.
    pub password: Option<Secret>,
    /// The sender of every mail, `Name <address>` or an address.
    pub from: String,
    /// The maximum duration of sending one mail, from connect to the relay's last reply.
    pub timeout_seconds: u64,
    /// The maximum number of concurrent conversations; as many connections are pooled.
    pub pool_max: usize,
    /// PEM file with the certificate authorities to trust instead of the public ones.
    pub ca_file: Option<PathBuf>,
}

/// How the connection to the relay is protected. There is no opportunistic variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte (`smtps://`, RFC 8314 section 3.3).
    ImplicitTls,
    /// None (`smtp://`): for a relay on this machine, or a sink in tests.
    Plain,
    /// `STARTTLS`, required (`smtp+starttls://`, RFC 3207): without it nothing is sent.
    StartTls,
}

impl SmtpSettings {
    /// Parses the URL of a relay: `smtp://`, `smtp+starttls://` or `smtps://`, then `[user@]host[:port]`.
    ///
    /// A user name may be percent-encoded (`app%40shop.example`). The password is never in the URL, because the URL
    /// is printed and logged.
    ///
    /// # Refusals
    /// A sentence with the wrong part and its correct form. It never repeats a password.
    pub fn parse(url: &str, from: &str, password: Option<Secret>) -> Result<SmtpSettings, String> {
        let parsed = Url::parse(url).map_err(|problem| {
            format!("the SMTP URL cannot be read ({problem}); it looks like smtp+starttls://user@mail.example:587")
        })?;
        let (security, default_port) = match parsed.scheme() {
            "smtp" => (Security::Plain, 25),
            "smtp+starttls" => (Security::StartTls, 587),
            "smtps" => (Security::ImplicitTls, 465),
            other => {
                return Err(format!(
                    "the SMTP URL has the scheme `{other}`; known are smtp (no TLS), smtp+starttls and smtps"
                ));
            }
        };
        if parsed.password().is_some() {
            return Err("the SMTP URL holds a password; put it into the SMTP password setting, best as a file".into());
        }
        let has_rest = !matches!(parsed.path(), "" | "/")
            || parsed.query().is_some()
            || parsed.fragment().is_some();
        if has_rest {
            return Err(
                "the SMTP URL has something after host and port; nothing belongs there".into(),
            );
        }
        let host = parsed.host_str().unwrap_or_default();
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        if host.is_empty() {
            return Err(
                "the SMTP URL has no host; it looks like smtp+starttls://user@mail.example:587"
                    .into(),
            );
        }
        let user = percent_decode(parsed.username())?;
        let user = (!user.is_empty()).then_some(user);
        check_credentials(&host, security, user.as_deref(), password.as_ref())?;
        parse_sender(from).map_err(|_| {
            format!("the SMTP sender `{from}` is neither an address nor `Name <address>`")
        })?;
        Ok(SmtpSettings {
            host,
            port: parsed.port().unwrap_or(default_port),
            security,
            user,
            password,
            from: from.to_owned(),
            timeout_seconds: TIMEOUT_SECONDS,
            pool_max: POOL_MAX,
            ca_file: None,
        })
    }
}

fn check_credentials(
    host: &str,
    security: Security,
    user: Option<&str>,
    password: Option<&Secret>,
) -> Result<(), String> {
    match (user, password) {
        (None, None) => return Ok(()),
        (None, Some(_)) => {
            return Err("there is an SMTP password but no user in the SMTP URL (user@host)".into());
        }
        (Some(_), None) => {
            return Err("the SMTP URL names a user, but there is no SMTP password".into());
        }
        (Some(_), Some(_)) => {}
    }
    let is_loopback = host == "localhost"
        || host
            .parse()
            .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    if security == Security::Plain && !is_loopback {
        return Err("smtp:// would send the SMTP password in clear over the network; use smtp+starttls:// or smtps://".into());
    }
    Ok(())
}

fn percent_decode(text: &str) -> Result<String, String> {
    let malformed = || "the user in the SMTP URL is not well-formed".to_owned();
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || {
            rest.next()
                .and_then(|b| char::from(b).to_digit(16))
                .ok_or_else(malformed)
        };
        let value = digit()? * 16 + digit()?;
        bytes.push(u8::try_from(value).expect("two hexadecimal digits fit a byte"));
    }
    let decoded = String::from_utf8(bytes).map_err(|_| malformed())?;
    if decoded.contains(char::is_control) {
        Err(malformed())
    } else {
        Ok(decoded)
    }
}

/// Enough for one address each; a relay that needs more can be configured.
const POOL_MAX: usize = 4;
/// Longer than a busy relay needs, and much shorter than the lifetime of a code.
const TIMEOUT_SECONDS: u64 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<SmtpSettings, String> {
        SmtpSettings::parse(url, "Shop <no-reply@shop.example>", None)
    }

    fn parse_with_password(url: &str) -> Result<SmtpSettings, String> {
        let password = Secret::from("hunter2".to_owned());
        SmtpSettings::parse(url, "no-reply@shop.example", Some(password))
    }

    #[test]
    fn the_scheme_decides_protection_and_port() {
        for (url, security, host, port) in [
            ("smtp://mail.example", Security::Plain, "mail.example", 25),
            ("smtp://127.0.0.1:1025", Security::Plain, "127.0.0.1", 1025),
            (
                "smtp+starttls://mail.example",
                Security::StartTls,
                "mail.example",
                587,
            ),
            (
                "smtps://mail.example/",
                Security::ImplicitTls,
                "mail.example",
                465,
            ),
            ("smtps://[::1]:4650", Security::ImplicitTls, "::1", 4650),
        ] {
            let settings = parse(url).unwrap();
            assert_eq!(
                (settings.security, settings.host.as_str(), settings.port),
                (security, host, port),
                "{url}"
            );
        }
    }

    #[test]
    fn a_user_may_be_an_address() {
        let settings = parse_with_password("smtps://app%40shop.example@mail.example").unwrap();
        assert_eq!(settings.user.as_deref(), Some("app@shop.example"));
        assert!(!format!("{settings:?}").contains("hunter2"));
    }

    #[test]
    fn a_wrong_url_is_refused_with_a_hint() {
        for (url, hint) in [
            ("mail.example:25", "scheme `mail.example`"),
            ("mail.example", "cannot be read"),
            ("http://mail.example", "scheme `http`"),
            ("smtp://", "no host"),
            ("smtp://:25", "cannot be read"),
            ("smtp://mail.example:99999", "cannot be read"),
            ("smtps://mail.example/path", "nothing belongs there"),
            ("smtps://mail.example?tls=no", "nothing belongs there"),
            ("smtps://app@mail.example", "no SMTP password"),
            ("smtps://a%0Db@mail.example", "not well-formed"),
            ("smtps://a%zz@mail.example", "not well-formed"),
        ] {
            let problem = parse(url).unwrap_err();
            assert!(problem.contains(hint), "{url}: {problem}");
        }
    }

    #[test]
    fn a_password_is_never_in_the_url_or_in_a_refusal() {
        let problem = parse("smtps://app:hunter2@mail.example").unwrap_err();
        assert!(problem.contains("password") && !problem.contains("hunter2"));
    }

    #[test]
    fn a_password_is_not_sent_in_clear_over_the_network() {
        assert!(
            parse_with_password("smtp://app@mail.example")
                .unwrap_err()
                .contains("in clear")
        );
        assert!(parse_with_password("smtp://app@127.0.0.1:1025").is_ok());
        assert!(parse_with_password("smtp+starttls://app@mail.example").is_ok());
        assert!(
            parse_with_password("smtps://mail.example")
                .unwrap_err()
                .contains("no user")
        );
    }

    #[test]
    fn a_sender_that_is_no_address_is_refused() {
        assert!(SmtpSettings::parse("smtp://localhost", "Shop", None).is_err());
    }
}
