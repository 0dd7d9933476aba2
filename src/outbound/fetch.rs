//! A call that a script requests (`vestibule.fetch`): the handler's list of hosts is checked first, then the guard.
//!
//! The allowed requests are a part of HTTP: five methods, no header that belongs to the connection or names another
//! host, text in and text out, and limits on both. `Set-Cookie` is not returned, as in a browser.

use std::collections::BTreeMap;
use std::fmt;

use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::{NoReply, Outbound, OutboundRequest, check_parsed};

/// The request of a script. Its headers may contain a secret, so it has no `Debug`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FetchRequest {
    /// The URL.
    pub url: String,
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`, in any case.
    #[serde(default = "get")]
    pub method: String,
    /// Headers by name.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body; none is sent with `GET`.
    #[serde(default)]
    pub body: Option<String>,
}

/// The response, which may be a redirect or an error of the server. It may contain a secret, so it has no `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct FetchReply {
    /// The HTTP status.
    pub status: u16,
    /// Headers by name in lower case; several values of one name are joined with commas.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

/// Why there is no response. It contains nothing of the request but the name of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoFetch {
    /// The call failed, or the guard refused the address.
    Failed(NoReply),
    /// A header that a script may not set, or an invalid one.
    Header(String),
    /// The host is not among the handler's allowed hosts.
    HostNotAllowed,
    /// The body exceeds the limit, or `GET` has one.
    Body,
    /// Another method.
    Method,
    /// The response is not UTF-8.
    NotText,
    /// The URL is not allowed; the reason does not repeat it.
    Url(String),
}

impl Outbound {
    /// Sends the request of a script, if the host is one of `allowed_hosts`: `api.example.com`, `*.example.com`
    /// (every host below it, but not itself), either with `:port`; without a port the scheme's default applies.
    ///
    /// # Errors
    /// [`NoFetch`]. A request without a response in time may have arrived all the same.
    pub async fn fetch(
        &self,
        request: FetchRequest,
        allowed_hosts: &[String],
    ) -> Result<FetchReply, NoFetch> {
        let reply = self.send(prepare(request, allowed_hosts)?).await;
        let reply = reply.map_err(NoFetch::Failed)?;
        Ok(FetchReply {
            status: reply.status,
            headers: shown_headers(&reply.headers),
            body: String::from_utf8(reply.body).map_err(|_| NoFetch::NotText)?,
        })
    }
}

fn prepare(request: FetchRequest, allowed_hosts: &[String]) -> Result<OutboundRequest, NoFetch> {
    let url =
        Url::parse(&request.url).map_err(|error| NoFetch::Url(format!("is no URL: {error}")))?;
    check_parsed(&url).map_err(|why| NoFetch::Url(why.to_owned()))?;
    if !allowed_hosts
        .iter()
        .any(|allowed| is_allowed(allowed, &url))
    {
        return Err(NoFetch::HostNotAllowed);
    }
    let mut methods = METHODS.into_iter();
    let method = methods
        .find(|method| method.as_str().eq_ignore_ascii_case(&request.method))
        .ok_or(NoFetch::Method)?;
    let body = request.body.unwrap_or_default();
    if body.len() > BODY_BYTES_MAX || method == Method::GET && !body.is_empty() {
        return Err(NoFetch::Body);
    }
    if request.headers.len() > HEADERS_MAX {
        return Err(NoFetch::Header(format!("more than {HEADERS_MAX}")));
    }
    let headers = request.headers.iter();
    let headers = headers.map(|(name, value)| own_header(name, value));
    Ok(OutboundRequest {
        method,
        url,
        headers: headers.collect::<Result<HeaderMap, NoFetch>>()?,
        body,
    })
}

/// A header that a script sets. Its value is marked as sensitive.
fn own_header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), NoFetch> {
    let Ok(known) = HeaderName::from_bytes(name.as_bytes()) else {
        return Err(NoFetch::Header(String::from("a name that is none")));
    };
    let is_reserved = RESERVED_HEADERS.contains(&known) || known.as_str().starts_with("proxy-");
    let value = HeaderValue::from_str(value).ok();
    let value = value.filter(|value| !is_reserved && value.len() <= HEADER_BYTES_MAX);
    let mut value = value.ok_or_else(|| NoFetch::Header(known.to_string()))?;
    value.set_sensitive(true);
    Ok((known, value))
}

fn shown_headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut shown: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        let Ok(value) = value.to_str() else { continue };
        if *name == header::SET_COOKIE {
            continue;
        }
        let known = shown.entry(name.to_string()).or_default();
        if !known.is_empty() {
            known.push_str(", ");
        }
        known.push_str(value);
    }
    shown
}

/// Parses one row of a list of hosts as an administrator writes it.
///
/// # Errors
/// A sentence with the correct form of a row.
pub fn check_allowed_host(text: &str) -> Result<String, String> {
    let wrong = || {
        String::from("takes a host such as api.example.com, *.example.com or api.example.com:8443")
    };
    let (is_below, host) = match text.strip_prefix("*.") {
        Some(parent) => (true, parent),
        None => (false, text),
    };
    if host.is_empty() || host.contains(['/', '?', '#', '@', '\\', '*', '%']) {
        return Err(wrong());
    }
    let url = Url::parse(&format!("https://{host}/")).map_err(|_| wrong())?;
    let Some(shown) = url.host() else {
        return Err(wrong());
    };
    let is_name =
        matches!(&shown, Host::Domain(name) if name.contains('.') && !name.ends_with('.'));
    if is_below && !is_name {
        return Err(wrong());
    }
    let port = host.rsplit_once(':').map(|(_, port)| port);
    let port = port.and_then(|port| port.parse::<u16>().ok());
    let port = port.map_or(String::new(), |port| format!(":{port}"));
    let below = if is_below { "*." } else { "" };
    Ok(format!("{below}{shown}{port}"))
}

fn is_allowed(allowed: &str, url: &Url) -> bool {
    let Some(host) = url.host_str() else {
        return false;
    };
    let host = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let default = url.port_or_known_default().map(|port| format!(":{port}"));
    let allowed = match (url.port(), default) {
        (None, Some(default)) => allowed.strip_suffix(&default).unwrap_or(allowed),
        _ => allowed,
    };
    match allowed.strip_prefix('*') {
        Some(suffix) if suffix.starts_with('.') => {
            let name = host.get(..host.len().saturating_sub(suffix.len()));
            let is_below = name.is_some_and(|name| !name.is_empty());
            is_below
                && host
                    .to_ascii_lowercase()
                    .ends_with(&suffix.to_ascii_lowercase())
        }
        Some(_) => false,
        None => host.eq_ignore_ascii_case(allowed),
    }
}

fn get() -> String {
    String::from("GET")
}

impl fmt::Display for NoFetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoFetch::Body => f.write_str("the body is too large, or GET has one"),
            NoFetch::Failed(no_reply) => no_reply.fmt(f),
            NoFetch::Header(name) => write!(f, "a header may not be set: {name}"),
            NoFetch::HostNotAllowed => {
                f.write_str("the host is not among those that the handler may call")
            }
            NoFetch::Method => f.write_str("the method is not GET, POST, PUT, PATCH or DELETE"),
            NoFetch::NotText => f.write_str("the answer is not UTF-8"),
            NoFetch::Url(why) => write!(f, "the URL {why}"),
        }
    }
}

const METHODS: [Method; 5] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

/// The headers of the connection (RFC 9110 section 7.6.1), those that frame a message, and the one that names
/// another host.
const RESERVED_HEADERS: [HeaderName; 9] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    HeaderName::from_static("keep-alive"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

const BODY_BYTES_MAX: usize = 256 * 1024;
const HEADERS_MAX: usize = 32;
const HEADER_BYTES_MAX: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn request(url: &str) -> FetchRequest {
        FetchRequest {
            url: url.to_owned(),
            method: get(),
            headers: BTreeMap::new(),
            body: None,
        }
    }

    #[test]
    fn ssrf_06_only_hosts_of_the_list_are_called() {
        let hosts = ["api.example.com", "*.shop.example", "files.example:8443"];
        let hosts = hosts.map(str::to_owned);
        for (url, is_fine) in [
            ("https://api.example.com/x?y", true),
            ("https://API.example.com:443/", true),
            ("https://a.shop.example/", true),
            ("https://a.b.shop.example/", true),
            ("https://files.example:8443/", true),
            ("https://shop.example/", false),
            ("https://xshop.example/", false),
            ("https://.shop.example/", false),
            ("https://api.example.com:8443/", false),
            ("https://api.example.com./", false),
            ("https://api.example.com.evil.example/", false),
            ("https://files.example/", false),
            ("https://a.shop.example:8443/", false),
            ("https://evil.example/?api.example.com", false),
            ("https://evil.example/#api.example.com", false),
            ("https://127.0.0.1/", false),
        ] {
            assert_eq!(prepare(request(url), &hosts).is_ok(), is_fine, "{url}");
        }
        for url in [
            "http://api.example.com/",
            "https://u:p@api.example.com/",
            "https://api.example.com@evil.example/",
            "file:///etc/passwd",
            "data:text/plain,x",
            "nothing",
        ] {
            let refused = prepare(request(url), &hosts).err();
            assert!(
                matches!(refused, Some(NoFetch::Url(_))),
                "{url}: {refused:?}"
            );
        }
        assert!(prepare(request("https://api.example.com/"), &[]).is_err());
        // No pattern matches every host.
        for all in ["*", "*.", "", "**"] {
            let refused = prepare(request("https://api.example.com/"), &[all.to_owned()]);
            assert_eq!(refused.err(), Some(NoFetch::HostNotAllowed), "{all}");
        }
    }

    #[test]
    fn a_row_of_the_list_is_a_host_with_or_without_a_port() {
        for (text, kept) in [
            ("api.example.com", "api.example.com"),
            ("API.Example.com:443", "api.example.com:443"),
            ("*.Shop.example", "*.shop.example"),
            ("*.shop.example:8443", "*.shop.example:8443"),
            ("localhost:3000", "localhost:3000"),
            ("127.0.0.1:3000", "127.0.0.1:3000"),
            ("[::1]:3000", "[::1]:3000"),
            ("bücher.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(check_allowed_host(text).as_deref(), Ok(kept), "{text}");
        }
        for text in [
            "",
            "*",
            "*.",
            "*.com",
            "**.example.com",
            "a.*.example.com",
            "https://api.example.com",
            "api.example.com/x",
            "user@api.example.com",
            "a b",
            "*.127.0.0.1",
        ] {
            assert!(check_allowed_host(text).is_err(), "{text}");
        }
        let with_port = [check_allowed_host("api.example.com:443").unwrap()];
        assert!(prepare(request("https://api.example.com/"), &with_port).is_ok());
    }

    #[test]
    fn ssrf_06_what_belongs_to_the_connection_is_not_the_scripts_to_set() {
        let hosts = [String::from("api.example.com")];
        let with = |name: &str, value: &str| {
            let mut request = request("https://api.example.com/");
            request.headers.insert(name.to_owned(), value.to_owned());
            prepare(request, &hosts).err()
        };
        for name in [
            "authorization",
            "Accept",
            "X-Api-Key",
            "content-type",
            "cookie",
        ] {
            assert_eq!(with(name, "v"), None, "{name}");
        }
        for name in [
            "Host",
            "connection",
            "Content-Length",
            "Transfer-Encoding",
            "TE",
            "Upgrade",
            "Expect",
            "Keep-Alive",
            "Trailer",
            "Proxy-Authorization",
            "a b",
            "",
            "x:y",
            "x\r\ny",
        ] {
            assert!(
                matches!(with(name, "v"), Some(NoFetch::Header(_))),
                "{name}"
            );
        }
        for value in [
            "a\r\nHost: b",
            "a\nb",
            "a\0b",
            &"x".repeat(HEADER_BYTES_MAX + 1),
        ] {
            assert!(
                matches!(with("x-y", value), Some(NoFetch::Header(_))),
                "{value:.9}"
            );
        }
    }

    #[test]
    fn a_method_or_a_body_that_is_not_for_scripts_is_refused() {
        let hosts = [String::from("api.example.com")];
        let refused = |method: &str, body: Option<String>| {
            let request = FetchRequest {
                method: method.to_owned(),
                body,
                ..request("https://api.example.com/")
            };
            prepare(request, &hosts).err()
        };
        for method in ["GET", "post", "Put", "PATCH", "delete"] {
            assert_eq!(refused(method, None), None, "{method}");
        }
        for method in ["HEAD", "OPTIONS", "CONNECT", "TRACE", "", "GET "] {
            assert_eq!(refused(method, None), Some(NoFetch::Method), "{method}");
        }
        let text = |length: usize| Some("x".repeat(length));
        assert_eq!(refused("POST", text(BODY_BYTES_MAX)), None);
        assert_eq!(
            refused("POST", text(BODY_BYTES_MAX + 1)),
            Some(NoFetch::Body)
        );
        assert_eq!(refused("GET", text(1)), Some(NoFetch::Body));
    }
}
