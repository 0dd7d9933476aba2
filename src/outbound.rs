//! Outbound: calls to other people's servers, which may be slow, wrong, away or hostile.
//!
//! Owns what holds for every such call: one deadline from the first look-up of the name to the last
//! byte, a bound on the calls in flight and on the answer's size, no redirects, no proxy from the
//! environment, TLS against the public authorities. It leaves to the caller what the answer means.
//! The addresses come from the config, so they are the operator's and may well be private ones; what
//! a request or a setting says never becomes part of a host.

use std::fmt;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use url::Url;

use crate::refusal::Fault;

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

/// An answer that came in time and whole.
pub struct Reply {
    /// The HTTP status, a redirect's included: none is followed.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer. It holds nothing of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoReply {
    /// As many calls as allowed are in flight.
    Busy,
    /// The answer is larger than any that is meant well.
    Large,
    /// The deadline passed.
    Late,
    /// There is no connection, or it broke.
    Unreachable,
}

impl Outbound {
    /// A way out with these bounds. Opens no connection.
    ///
    /// # Faults
    /// The HTTP client cannot be set up.
    pub fn new(bounds: Bounds) -> Result<Outbound, Fault> {
        Ok(Outbound {
            client: client(bounds.deadline)?,
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
        let _permit = self.permits.try_acquire().map_err(|_| NoReply::Busy)?;
        match timeout(self.bounds.deadline, Box::pin(self.exchange(post))).await {
            Ok(outcome) => outcome,
            Err(_) => Err(NoReply::Late),
        }
    }

    async fn exchange(&self, post: Post) -> Result<Reply, NoReply> {
        let mut response = self
            .client
            .post(post.url)
            .headers(post.headers)
            .header(CONTENT_TYPE, HeaderValue::from_static(post.content_type))
            .body(post.body)
            .send()
            .await
            .map_err(sort)?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(sort)? {
            if body.len() + chunk.len() > self.bounds.answer_bytes_max {
                return Err(NoReply::Large);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, body })
    }
}

fn sort(error: reqwest::Error) -> NoReply {
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
        .build()
        .map_err(|error| Fault::new("starting the HTTP client", error))
}

/// Reads the URL of a server that gets secrets of ours: by HTTPS, or on this machine.
///
/// # Errors
/// A sentence that does not repeat the URL.
pub fn check_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is no URL: {error}"))?;
    let is_local = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => return Err(String::from("names no host")),
    };
    if !(url.scheme() == "https" || url.scheme() == "http" && is_local) {
        return Err(String::from(
            "must start with https:// (http:// only to this machine)",
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(String::from("must hold neither user nor password"));
    }
    if url.fragment().is_some() {
        return Err(String::from("must have no fragment"));
    }
    Ok(url)
}

impl fmt::Display for NoReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
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
