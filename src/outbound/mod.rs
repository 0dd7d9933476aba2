//! Outbound: calls to other people's servers, which may be slow, wrong, away or hostile.
//!
//! Owns what holds for every such call: one deadline from the first look-up of the name to the last
//! byte, a bound on the calls in flight and on the answer's size, no redirects, no proxy from the
//! environment, TLS against the public authorities. It leaves to the caller what the answer means.
//!
//! There are two ways out. Addresses of the config are the operator's and may well be private ones
//! ([`Outbound::new`]); what a request or a setting says never becomes part of such a host. Addresses that a
//! handler or a setting names go through a guard, which refuses what is not public ([`Outbound::guarded`]).

mod address;
mod fetch;
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

pub use address::{AddressRule, Names};
pub use fetch::{FetchReply, FetchRequest, NoFetch, check_allowed_host};
pub use signature::{SigningKey, date_and_sign};

/// What bounds the calls to one kind of server.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How long a call may take, connecting and reading the whole answer included.
    pub deadline: Duration,
    /// Most calls at once. One more is turned away, and does not wait.
    pub in_flight_max: usize,
    /// Most bytes of an answer.
    pub answer_bytes_max: usize,
}

/// The way out, for one kind of server.
pub struct Outbound {
    client: reqwest::Client,
    /// Judges whom it calls, where the address is not the operator's.
    guard: Option<Arc<Guard>>,
    permits: Semaphore,
    bounds: Bounds,
}

/// A POST. Headers may hold secrets, so it does not print.
pub struct Post {
    /// Where to. Nothing secret is ever part of it, because proxies and servers log it.
    pub url: Url,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// Other headers; what is secret among them is marked as such.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

/// Any request.
struct Request {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: String,
}

/// An answer that came in time and whole.
pub struct Reply {
    /// The HTTP status, a redirect's included: none is followed.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer. It holds nothing of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoReply {
    /// As many calls as allowed are in flight.
    Busy,
    /// The address may not be called; the reason names the rule and not what the name leads to.
    Forbidden(&'static str),
    /// The answer is larger than any that is meant well.
    Large,
    /// The deadline passed.
    Late,
    /// There is no connection, or it broke.
    Unreachable,
}

impl Outbound {
    /// A way out with these bounds, to addresses of the operator's own. Opens no connection.
    ///
    /// # Faults
    /// The HTTP client cannot be set up.
    pub fn new(bounds: Bounds) -> Result<Outbound, Fault> {
        Ok(Outbound {
            client: client(bounds.deadline)?,
            guard: None,
            permits: Semaphore::new(bounds.in_flight_max),
            bounds,
        })
    }

    /// A way out to addresses that others name: whatever the name leads to, only an address that the rule lets
    /// through is connected to, by HTTPS or on this machine. Opens no connection.
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

    /// Most calls at once.
    pub fn in_flight_max(&self) -> usize {
        self.bounds.in_flight_max
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// [`NoReply`]. A request that was `Late` or `Unreachable` may have arrived all the same.
    pub async fn post(&self, post: Post) -> Result<Reply, NoReply> {
        let mut headers = post.headers;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(post.content_type));
        self.send(Request {
            method: Method::POST,
            url: post.url,
            headers,
            body: post.body,
        })
        .await
    }

    async fn send(&self, request: Request) -> Result<Reply, NoReply> {
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

    async fn exchange(&self, request: Request) -> Result<Reply, NoReply> {
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

/// An HTTP client that trusts the public authorities, follows no redirect and asks no proxy.
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

/// Reads the URL of a server that gets secrets of ours: by HTTPS, or on this machine.
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
    fn ssrf_06_what_is_secret_goes_by_https_or_stays_on_this_machine() {
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
