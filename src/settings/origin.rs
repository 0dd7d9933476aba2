//! Origins: which web pages may read a site's answers (the site's list for CORS).
//!
//! An entry is an origin as a browser writes it (Fetch standard, "serializing a request origin"), or one whose host
//! begins with `*.` for every sub-domain, or a loopback host with `:*` for every port of this machine. The endpoints
//! decide what a page may read; this module defines what an entry may be and which origins it means.
//!
//! Source: Enable Cross-Origin Resource Sharing (CORS) for OAuth Endpoints.

use url::{Host, Url};

/// Whether an entry of the list means this origin. Both are compared as text: a browser writes an origin in one way
/// only.
pub fn allows(entries: &[String], origin: &str) -> bool {
    entries.iter().any(|entry| matches(entry, origin))
}

/// Checks an entry of the list.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn check_origin(entry: &str) -> Result<(), String> {
    let refuse = |reason: &str| Err(format!("{entry:?}: {reason}"));
    let Some((scheme, host)) = entry.split_once("://") else {
        return refuse("write an origin: scheme://host, and the port if it is not the usual one");
    };
    if let Some(name) = host.strip_suffix(":*") {
        if matches!(scheme, "http" | "https") && LOOPBACK_NAMES.contains(&name) {
            return Ok(());
        }
        return refuse(
            "every port is for pages of this machine: http://localhost:* or https://localhost:*",
        );
    }
    let (is_pattern, host) = match host.strip_prefix("*.") {
        Some(rest) => (true, rest),
        None => (false, host),
    };
    if host.contains('*') {
        return refuse("a * is allowed at the beginning of the host only, for every sub-domain");
    }
    let is_web = matches!(scheme, "https" | "http");
    if !is_web {
        if !is_pattern && is_app_origin(scheme, host) {
            return Ok(());
        }
        return refuse("an origin begins with https://, or is that of an app, scheme://host");
    }
    let Ok(url) = Url::parse(&format!("{scheme}://{host}")) else {
        return refuse("this is no origin");
    };
    if url.origin().ascii_serialization() != format!("{scheme}://{host}") {
        return refuse(
            "write it as a browser does: in small letters, without path, user and usual port",
        );
    }
    if is_pattern && !matches!(url.host(), Some(Host::Domain(name)) if name.contains('.')) {
        return refuse("sub-domains are those of a name with two parts at least");
    }
    if scheme == "http" && (is_pattern || !is_loopback(&url)) {
        return refuse(
            "http:// only for pages of this machine: anybody on the way could be the page",
        );
    }
    Ok(())
}

/// Hosts that may be allowed on every port.
const LOOPBACK_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

fn matches(entry: &str, origin: &str) -> bool {
    if let Some(host) = entry.strip_suffix(":*") {
        let port = origin.strip_prefix(host);
        return port.is_some_and(|port| {
            let digits = port.strip_prefix(':').unwrap_or("80");
            (port.is_empty() || port.starts_with(':'))
                && !digits.is_empty()
                && digits.bytes().all(|byte| byte.is_ascii_digit())
        });
    }
    let Some((start, end)) = entry.split_once('*') else {
        return entry == origin;
    };
    // `end` begins with the dot, so `https://evilexample.com` is not one of `https://*.example.com`.
    let sub_domain = origin
        .strip_prefix(start)
        .and_then(|rest| rest.strip_suffix(end));
    sub_domain.is_some_and(|name| {
        let is_name_byte =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
        !name.is_empty() && name.bytes().all(is_name_byte)
    })
}

/// `capacitor://localhost`, `chrome-extension://…`: no page of the web can bear such an origin.
fn is_app_origin(scheme: &str, host: &str) -> bool {
    let is_scheme = scheme.len() > 1
        && scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+.-".contains(&byte)
        })
        && !matches!(
            scheme,
            "file" | "data" | "blob" | "about" | "javascript" | "ftp" | "ws" | "wss"
        );
    let is_host_byte =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
    is_scheme && !host.is_empty() && host.bytes().all(is_host_byte)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_written_as_a_browser_writes_it() {
        for entry in [
            "https://shop.example.com",
            "https://shop.example.com:8443",
            "https://*.example.com",
            "https://*.example.com:8443",
            "https://xn--bcher-kva.example",
            "https://192.0.2.1",
            "http://localhost:5173",
            "http://127.0.0.1:3000",
            "http://[::1]",
            "http://localhost:*",
            "https://localhost:*",
            "http://127.0.0.1:*",
            "capacitor://localhost",
            "chrome-extension://abcdefghijklmnop",
        ] {
            assert_eq!(check_origin(entry), Ok(()), "{entry}");
        }
        for entry in [
            "",
            "*",
            "null",
            "shop.example.com",
            "https://",
            "https://*",
            "https://*.com",
            "https://*.192.0.2.1",
            "https://*.*.example.com",
            "https://shop.*.example.com",
            "https://shop*.example.com",
            "https://Shop.example.com",
            "https://bücher.example",
            "https://shop.example.com/",
            "https://shop.example.com/app",
            "https://shop.example.com:443",
            "https://me@shop.example.com",
            "https://shop.example.com?x",
            "https://shop.example.com ",
            "http://shop.example.com",
            "http://*.localhost",
            "https://shop.example.com:*",
            "http://*.localhost:*",
            "http://:*",
            "http://192.0.2.1",
            "file://x",
            "javascript://x",
            "capacitor://*.localhost",
            "Capacitor://localhost",
        ] {
            assert!(check_origin(entry).is_err(), "{entry}");
        }
    }

    #[test]
    fn an_origin_is_allowed_by_its_own_text_or_as_a_sub_domain() {
        let entries = [
            "https://shop.example.com",
            "https://*.example.org",
            "https://*.example.net:8443",
        ];
        let entries = entries.map(String::from);
        for origin in [
            "https://shop.example.com",
            "https://a.example.org",
            "https://a.b-c.example.org",
            "https://a.example.net:8443",
        ] {
            assert!(allows(&entries, origin), "{origin}");
        }
        for origin in [
            "",
            "null",
            "https://example.org",
            "https://.example.org",
            "https://evilexample.org",
            "https://a.example.org.evil.example",
            "https://evil.example/.example.org",
            "https://evil.example:1@a.example.org",
            "https://a.example.org:8443",
            "https://a.example.net",
            "http://a.example.org",
            "https://A.example.org",
            "https://shop.example.com:443",
            "https://shop.example.com.evil.example",
            "http://shop.example.com",
            "https://x.shop.example.com",
        ] {
            assert!(!allows(&entries, origin), "{origin}");
        }
        assert!(!allows(&[], "https://shop.example.com"));
    }

    #[test]
    fn a_page_of_this_machine_may_come_from_any_port() {
        let entries = [String::from("http://localhost:*")];
        for origin in [
            "http://localhost",
            "http://localhost:80",
            "http://localhost:5173",
        ] {
            assert!(allows(&entries, origin), "{origin}");
        }
        for origin in [
            "http://localhost:",
            "http://localhost:80.evil.example",
            "http://localhost.evil.example",
            "http://localhostess:80",
            "http://127.0.0.1:80",
            "https://localhost:80",
            "http://a.localhost:80",
        ] {
            assert!(!allows(&entries, origin), "{origin}");
        }
    }
}
