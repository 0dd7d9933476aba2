//! Arrival: placing a request before anybody looks at what it wants.
//!
//! In this order: did it come in clear, which site is it for, from where. Only listed proxies are
//! believed about the scheme and the address. The body is read by the endpoint, under a limit.

use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::response::Response;
use futures_util::FutureExt;
use http::header::{CONTENT_ENCODING, HOST};
use http::{HeaderMap, Method, Request, StatusCode};
use vestibule_protocol::format::Format;

use super::answer::{finish, refuse, refuse_unplaced};
use super::{dispatch, route};
use crate::app::{App, SiteEntry};
use crate::config::Network;
use crate::flow::Visit;
use crate::moment::{Entropy, Moment, Stopwatch};
use crate::refusal::{Failure, Fault, Refusal};

/// Largest request body, in bytes: a 16,000-byte password as escaped JSON, with room for the rest.
pub const BODY_BYTES_MAX: usize = 128 * 1024;

/// What the public listener knows besides the app.
pub struct Gate {
    /// The app.
    pub app: Arc<App>,
    /// Whether connections come by TLS.
    pub is_tls: bool,
    /// Whether plain HTTP is answered: only `vestibule dev` on a loopback address.
    pub is_plain_allowed: bool,
    /// Whose forwarding headers are believed.
    pub trusted_proxies: Vec<Network>,
    /// Names for requests.
    pub request_ids: RequestIds,
}

/// Names for requests: a random number of this process and a count. They are unique and no secret.
pub struct RequestIds {
    process: u64,
    count: AtomicU64,
}

impl RequestIds {
    /// Names of a process that has just started.
    pub fn new(entropy: &Entropy) -> RequestIds {
        RequestIds {
            process: u64::from_be_bytes(entropy.bytes()),
            count: AtomicU64::new(0),
        }
    }

    fn next(&self) -> String {
        format!(
            "{:016x}-{:x}",
            self.process,
            self.count.fetch_add(1, Ordering::Relaxed)
        )
    }
}

/// A placed request.
pub struct Arrival {
    pub app: Arc<App>,
    pub site: Arc<SiteEntry>,
    pub at: Moment,
    pub ip: IpAddr,
    pub request_id: String,
    pub method: Method,
    /// Below the site's prefix.
    pub path: String,
    pub query: Option<String>,
    pub headers: HeaderMap,
    // A body may be sent to another thread and not be looked at from two; stories share the rest.
    body: Mutex<Option<Body>>,
}

/// The one handler of the public listener.
pub(super) async fn serve(
    State(gate): State<Arc<Gate>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request<Body>,
) -> Response {
    let stopwatch = Stopwatch::start();
    let app = &gate.app;
    let request_id = gate.request_ids.next();
    let (name, mut response) = match place(&gate, peer, request, &request_id) {
        Ok(mut arrival) => {
            let route = route(&arrival.path);
            // A panic is a defect of ours in one request; it must not take the others along.
            let answered = AssertUnwindSafe(dispatch(&mut arrival, &route))
                .catch_unwind()
                .await;
            let response = answered.unwrap_or_else(|_| {
                let fault = Fault::described("answering", "an endpoint panicked".into());
                refuse(&arrival, fault, route.shape, Format::Json)
            });
            (route.name, response)
        }
        Err(unplaced) => {
            let route = route(&unplaced.path);
            (
                route.name,
                refuse_unplaced(&request_id, unplaced.refusal, route.shape),
            )
        }
    };
    finish(&mut response, &request_id, gate.is_tls);
    app.metrics
        .request_done(name, response.status().as_u16(), stopwatch.seconds());
    tracing::debug!(
        request = %request_id, endpoint = name, status = response.status().as_u16(), "answered"
    );
    response
}

struct Unplaced {
    path: String,
    refusal: Refusal,
}

fn place(
    gate: &Gate,
    peer: SocketAddr,
    request: Request<Body>,
    request_id: &str,
) -> Result<Arrival, Unplaced> {
    let (parts, body) = request.into_parts();
    let is_proxied = gate
        .trusted_proxies
        .iter()
        .any(|network| network.contains(peer.ip()));
    let forwarded = |name: &str| {
        is_proxied
            .then(|| {
                parts
                    .headers
                    .get(name)
                    .and_then(|value| value.to_str().ok())
            })
            .flatten()
    };
    let is_secure = gate.is_tls
        || gate.is_plain_allowed
        || forwarded("x-forwarded-proto")
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
    let path = parts.uri.path();
    let (path, well_known) = without_insertion(path);
    let directory = gate.app.directory();
    // HTTP/2 has the authority in the URI; HTTP/1.1 in the Host header.
    let authority = match parts.uri.authority() {
        Some(authority) => authority.as_str(),
        None => parts
            .headers
            .get(HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or(""),
    };
    let placed = directory.resolve(authority, path);
    let path = match &placed {
        Some((_, rest)) => format!("{well_known}{rest}"),
        // The prefix is unknown, so the endpoint is recognised by the end of the path.
        None => path
            .find("/services/")
            .map_or_else(String::new, |at| path[at..].to_owned()),
    };
    if !is_secure {
        return Err(Unplaced {
            path,
            refusal: Refusal::HttpsRequired,
        });
    }
    // RFC 9112 section 3.2: two Host headers are refused, since a proxy may have read the other one.
    if parts.headers.get_all(HOST).iter().count() > 1 {
        let reason = String::from("header sent twice: host");
        return Err(Unplaced {
            path,
            refusal: Refusal::FormMalformed { reason },
        });
    }
    let Some((site, _)) = placed else {
        return Err(Unplaced {
            path,
            refusal: Refusal::SiteUnknown,
        });
    };
    let ip = forwarded("x-forwarded-for")
        .and_then(|chain| client_of(chain, &gate.trusted_proxies))
        .unwrap_or_else(|| peer.ip())
        .to_canonical();
    Ok(Arrival {
        app: Arc::clone(&gate.app),
        site: Arc::clone(site),
        at: gate.app.now(),
        ip,
        request_id: request_id.to_owned(),
        method: parts.method,
        path,
        query: parts.uri.query().map(str::to_owned),
        headers: parts.headers,
        body: Mutex::new(Some(body)),
    })
}

/// RFC 8414 section 3.1 inserts the well-known part before the issuer's path; OpenID Connect appends
/// it. Both become the appended form.
fn without_insertion(path: &str) -> (&str, &'static str) {
    for well_known in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
    ] {
        if let Some(rest) = path.strip_prefix(well_known)
            && rest.starts_with('/')
        {
            return (rest, well_known);
        }
    }
    (path, "")
}

/// The last address in the chain that is not a proxy of ours.
fn client_of(chain: &str, trusted: &[Network]) -> Option<IpAddr> {
    chain
        .rsplit(',')
        .map_while(|hop| hop.trim().parse::<IpAddr>().ok())
        .find(|ip| !trusted.iter().any(|network| network.contains(*ip)))
}

impl Arrival {
    /// What the stories are told of the request.
    pub fn visit(&self) -> Visit {
        Visit {
            site: Arc::clone(&self.site),
            at: self.at,
            ip: self.ip,
            request_id: self.request_id.clone(),
        }
    }

    /// A header that may come once. Two different values are refused, not picked from (HTTP-11).
    ///
    /// # Refusals
    /// `FormMalformed`.
    pub fn header(&self, name: &'static str) -> Result<Option<&str>, Refusal> {
        let malformed = |reason: &str| Refusal::FormMalformed {
            reason: format!("{reason}: {name}"),
        };
        let mut values = self.headers.get_all(name).iter();
        let Some(first) = values.next() else {
            return Ok(None);
        };
        if values.any(|other| other != first) {
            return Err(malformed("header sent twice"));
        }
        // Basic credentials are ASCII by construction; everything else that we read is a word.
        let text = first
            .to_str()
            .map_err(|_| malformed("header is not plain text"))?;
        Ok(Some(text.trim()))
    }

    /// The body, up to the limit.
    ///
    /// # Refusals
    /// `BodyTooLarge`, `ContentEncodingUnsupported`.
    pub async fn body(&mut self) -> Result<Bytes, Failure> {
        let is_encoded = self
            .headers
            .get(CONTENT_ENCODING)
            .is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
        if is_encoded {
            return Err(Refusal::ContentEncodingUnsupported.into());
        }
        let body = self
            .body
            .get_mut()
            .ok()
            .and_then(Option::take)
            .unwrap_or_else(Body::empty);
        axum::body::to_bytes(body, BODY_BYTES_MAX)
            .await
            .map_err(|_| Refusal::BodyTooLarge.into())
    }

    /// The answer format that `format` or `Accept` asks for.
    ///
    /// # Refusals
    /// `FormatUnknown`.
    pub fn format(&self, parameter: Option<&str>) -> Result<Format, Refusal> {
        let accept = self
            .headers
            .get(http::header::ACCEPT)
            .and_then(|value| value.to_str().ok());
        Format::choose(parameter, accept).map_err(|_| Refusal::FormatUnknown)
    }
}

/// The status of a wire error.
pub(super) fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_well_known_part_may_stand_before_the_prefix() {
        let (path, known) = without_insertion("/.well-known/oauth-authorization-server/backend");
        assert_eq!(
            (path, known),
            ("/backend", "/.well-known/oauth-authorization-server")
        );
        let plain = "/backend/.well-known/openid-configuration";
        assert_eq!(without_insertion(plain), (plain, ""));
    }

    #[test]
    fn the_client_is_the_last_hop_that_is_no_proxy_of_ours() {
        let trusted: Vec<Network> = vec!["10.0.0.0/8".parse().unwrap()];
        let client = client_of("203.0.113.9, 198.51.100.1, 10.0.0.2", &trusted);
        assert_eq!(client, Some("198.51.100.1".parse().unwrap()));
        assert_eq!(client_of("nonsense", &trusted), None);
        assert_eq!(client_of("10.0.0.1", &trusted), None);
    }
}
