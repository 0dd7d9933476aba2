//! Outbound: calls to servers of other parties, which may be slow, wrong, unreachable or hostile.
//!
//! This module owns the common rules of such calls: one deadline from the resolution of the name to the last byte,
//! a limit on concurrent calls and on the size of the response, no redirects, no proxy but that of the config, TLS
//! with the public certificate authorities. The meaning of the response is left to the caller.
//!
//! There are two kinds of clients. URLs in the config are the operator's and may be private ones
//! ([`Outbound::new`]); no text of a request or a setting becomes part of such a host. URLs of handlers and
//! settings go through a guard, which refuses addresses that are not public ([`Outbound::guarded`]).

mod address;
mod fetch;
mod pinned;
mod proxy;
mod signature;

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use url::Url;

use crate::refusal::Fault;
use address::{Guard, Resolver, Stopped, is_this_machine};

pub use address::{AddressRule, NameResolver};
pub use fetch::{FetchReply, FetchRequest, NoFetch, check_allowed_host};
pub use pinned::pinned_client;
pub use proxy::ForwardProxy;
pub use signature::{SignatureKey, date_and_sign};

/// The limits of calls to one kind of server.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How long a call may take, including connecting and reading the whole response.
    pub deadline: Duration,
    /// The maximum number of concurrent calls. One more is refused and does not wait.
    pub in_flight_max: usize,
    /// The maximum size of a response in bytes.
    pub answer_bytes_max: usize,
}

/// An HTTP client for one kind of server.
pub struct Outbound {
    client: reqwest::Client,
    /// Judges the called address, when the URL is not the operator's.
    guard: Option<Arc<Guard>>,
    permits: Semaphore,
    bounds: Bounds,
}

/// A POST request. Headers may contain secrets, so it has no `Debug`.
pub struct Post {
    /// The URL. It never contains a secret, because proxies and servers log it.
    pub url: Url,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// Other headers; the secret ones are marked as sensitive.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

/// Any request.
struct OutboundRequest {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: String,
}

/// A complete response that arrived in time.
pub struct Reply {
    /// The HTTP status, which may be a redirect: none is followed.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no response. It contains nothing of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoReply {
    /// The maximum number of calls is running.
    Busy,
    /// The address may not be called; the reason names the rule and not the address behind the name.
    Forbidden(&'static str),
    /// The response exceeds the size limit.
    Large,
    /// The deadline passed.
    Late,
    /// There is no connection, or it was lost.
    Unreachable,
}

impl Outbound {
    /// A client with these limits, for URLs of the operator. It opens no connection.
    ///
    /// # Faults
    /// The HTTP client cannot be set up.
    pub fn new(bounds: Bounds) -> Result<Outbound, Fault> {
        Outbound::through(None, bounds)
    }

    /// The same through a proxy, if there is one.
    ///
    /// # Faults
    /// The HTTP client cannot be set up.
    pub fn through(proxy: Option<&ForwardProxy>, bounds: Bounds) -> Result<Outbound, Fault> {
        let mut client = builder(bounds.deadline);
        if let Some(proxy) = proxy {
            client = client.proxy(proxy.to_client());
        }
        Ok(Outbound {
            client: client.build().map_err(no_client)?,
            guard: None,
            permits: Semaphore::new(bounds.in_flight_max),
            bounds,
        })
    }

    /// A client for URLs of handlers and settings: it connects only to addresses that the rule allows, by HTTPS or
    /// on this machine. It opens no connection.
    ///
    /// # Faults
    /// The HTTP client cannot be set up.
    pub fn guarded(bounds: Bounds, rule: AddressRule) -> Result<Outbound, Fault> {
        let guard = Arc::new(Guard::new(rule));
        let client = builder(bounds.deadline).dns_resolver(Resolver(Arc::clone(&guard)));
        Ok(Outbound {
            client: client.build().map_err(no_client)?,
            guard: Some(guard),
            permits: Semaphore::new(bounds.in_flight_max),
            bounds,
        })
    }

    /// How long a call may take.
    pub fn deadline(&self) -> Duration {
        self.bounds.deadline
    }

    /// The maximum number of concurrent calls.
    pub fn in_flight_max(&self) -> usize {
        self.bounds.in_flight_max
    }

    /// Sends a request and reads the whole response.
    ///
    /// # Errors
    /// [`NoReply`]. A request that was `Late` or `Unreachable` may have arrived all the same.
    pub async fn post(&self, post: Post) -> Result<Reply, NoReply> {
        let mut headers = post.headers;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(post.content_type));
        self.send(OutboundRequest {
            method: Method::POST,
            url: post.url,
            headers,
            body: post.body,
        })
        .await
    }

    async fn send(&self, request: OutboundRequest) -> Result<Reply, NoReply> {
        if let Some(guard) = &self.guard {
            check_parsed(&request.url).map_err(NoReply::Forbidden)?;
            guard.check_host(&request.url)?;
        }
        let _permit = self.permits.try_acquire().map_err(|_| NoReply::Busy)?;
        match timeout(self.bounds.deadline, Box::pin(self.exchange(request))).await {
            Ok(outcome) => outcome,
            Err(_) => Err(NoReply::Late),
        }
    }

    async fn exchange(&self, request: OutboundRequest) -> Result<Reply, NoReply> {
        let mut response = self
            .client
            .request(request.method, request.url)
            .headers(request.headers)
            .body(request.body)
            .send()
            .await
            .map_err(sort)?;
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(sort)? {
            if body.len() + chunk.len() > self.bounds.answer_bytes_max {
                return Err(NoReply::Large);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply {
            status,
            headers,
            body,
        })
    }
}

fn sort(error: reqwest::Error) -> NoReply {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(known) = cause {
        if let Some(Stopped(no_reply)) = known.downcast_ref() {
            return *no_reply;
        }
        cause = known.source();
    }
    if error.is_timeout() {
        NoReply::Late
    } else {
        NoReply::Unreachable
    }
}

/// An HTTP client that trusts the public certificate authorities, follows no redirect and uses no proxy.
///
/// # Faults
/// It cannot be set up.
pub fn client(deadline: Duration) -> Result<reqwest::Client, Fault> {
    builder(deadline).build().map_err(no_client)
}

fn builder(deadline: Duration) -> reqwest::ClientBuilder {
    let roots = webpki_roots::TLS_SERVER_ROOTS
        .iter()
        .cloned()
        .collect::<rustls::RootCertStore>();
    let tls = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(deadline)
        .no_proxy()
}

fn no_client(error: reqwest::Error) -> Fault {
    Fault::new("starting the HTTP client", error)
}

/// Parses the URL of a server that receives secrets of the installation: by HTTPS, or on this machine.
///
/// # Errors
/// A sentence that does not repeat the URL.
pub fn check_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is no URL: {error}"))?;
    check_parsed(&url)?;
    Ok(url)
}

fn check_parsed(url: &Url) -> Result<(), &'static str> {
    let is_local = match url.host() {
        Some(url::Host::Domain(name)) => is_this_machine(name),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => return Err("names no host"),
    };
    if !(url.scheme() == "https" || url.scheme() == "http" && is_local) {
        return Err("must start with https:// (http:// only to this machine)");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must hold neither user nor password");
    }
    if url.fragment().is_some() {
        return Err("must have no fragment");
    }
    Ok(())
}

impl fmt::Display for NoReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoReply::Forbidden(why) => {
                return write!(f, "the address may not be called: {why}");
            }
            NoReply::Busy => "as many calls as allowed are in flight",
            NoReply::Large => "the answer is too large",
            NoReply::Late => "no answer in time",
            NoReply::Unreachable => "no connection, or it broke",
        })
    }
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Outbound").field(&self.bounds).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssrf_06_secrets_are_sent_by_https_or_remain_on_this_machine() {
        for (url, is_fine) in [
            ("https://www.google.com/recaptcha/api/siteverify", true),
            ("http://127.0.0.1:9999/verify", true),
            ("http://[::1]:9999/verify", true),
            ("http://localhost:9999", true),
            ("http://verify.example.com/", false),
            ("http://localhost.example.com/", false),
            ("ftp://127.0.0.1/", false),
            ("https://user@verify.example.com/", false),
            ("https://user:pass@verify.example.com/", false),
            ("https://verify.example.com/#here", false),
            ("verify.example.com", false),
            ("", false),
        ] {
            assert_eq!(check_url(url).is_ok(), is_fine, "{url}");
        }
    }
}
