//! The gate: what is checked of every request before its endpoint is called.
//!
//! In this order: was it sent over HTTPS, does the endpoint allow the method, which site is it for. Only
//! listed proxies are believed about the scheme, the client's address and its location.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest;
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::response::Response;
use futures_util::FutureExt;
use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Version};
use vestibule_protocol::format::Format;

use super::answer::{REFUSED, finish, refuse, refuse_unplaced};
use super::arrival::{Arrival, shown_path};
use super::bodies::Bodies;
use super::cors::Cors;
use super::{Route, dispatch, route};
use crate::app::{App, ClientLocation, SeenClient, SiteEntry};
use crate::config::{ConnectionsConfig, ProxiesConfig};
use crate::moment::{Entropy, Stopwatch};
use crate::refusal::{Fault, Refusal};

/// What the public listener needs in addition to the app.
pub struct Gate {
    /// The app.
    pub app: Arc<App>,
    /// Whether the listener's connections use TLS.
    pub is_tls: bool,
    /// Whether plain HTTP is answered: only `vestibule dev` on a loopback address.
    pub is_plain_allowed: bool,
    /// The proxies whose forwarding headers are believed, and which of those headers name a location.
    pub proxies: ProxiesConfig,
    /// Issues the ids of requests.
    pub request_ids: RequestIds,
    /// The limits of connections and of their requests.
    pub connections: ConnectionsConfig,
}

/// The gate with what its requests share.
pub(super) struct Serving {
    pub gate: Gate,
    /// The bodies that are being read or used.
    pub bodies: Arc<Bodies>,
}

/// Longest name of a city, country or subdivision, in bytes.
const LOCATION_BYTES_MAX: usize = 128;

/// Bytes of the id of a request; it is written in hexadecimal digits.
const REQUEST_ID_BYTES: usize = 16;

/// Issues the ids of requests: a hash of a secret of this process and a count. Ids are unique and not secret; they do
/// not disclose how many requests came in between.
pub struct RequestIds {
    secret: [u8; 8],
    count: AtomicU64,
}

impl RequestIds {
    /// The ids of a process that has just started.
    pub fn new(entropy: &Entropy) -> RequestIds {
        RequestIds {
            secret: entropy.bytes(),
            count: AtomicU64::new(0),
        }
    }

    fn next(&self) -> String {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let text = [self.secret, count.to_be_bytes()].concat();
        let hash = digest::digest(&digest::SHA256, &text);
        let first = hash.as_ref().iter().take(REQUEST_ID_BYTES);
        first.map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The one handler of the public listener.
pub(super) async fn serve(
    State(serving): State<Arc<Serving>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request<Body>,
) -> Response {
    let stopwatch = Stopwatch::start();
    let gate = &serving.gate;
    let request_id = gate.request_ids.next();
    let (parts, body) = request.into_parts();
    let is_secure = gate.is_tls || gate.is_forwarded_secure(peer.ip(), &parts.headers);
    let asked = Asked::of(&parts);
    let Resolved {
        route,
        cors,
        arrival,
    } = serving.resolve(peer, parts, is_secure, &request_id);
    let mut response = match arrival {
        Ok(None) => cors.preflight(),
        Ok(Some(mut arrival)) => answer(&mut arrival, body, &route).await,
        Err(refusal) => {
            gate.log_unplaced(asked, &refusal, &request_id);
            refuse_unplaced(&refusal, route.shape)
        }
    };
    cors.apply(&mut response);
    // `vestibule dev` uses names of this machine, and a browser would refuse plain HTTP to them for a year.
    let is_strict = is_secure && !gate.is_plain_allowed;
    finish(&mut response, &request_id, is_strict);
    let status = response.status().as_u16();
    gate.app
        .metrics
        .request_done(route.name, status, stopwatch.seconds());
    tracing::debug!(request = %request_id, endpoint = route.name, status, "answered");
    response
}

/// A request with its route and site, or the reason why it is refused.
struct Resolved {
    route: Route,
    cors: Cors,
    /// The request; `None` for a preflight.
    arrival: Result<Option<Arrival>, Refusal>,
}

/// Answers a request. A panic in an endpoint is a fault of this one request: the others go on.
async fn answer(arrival: &mut Arrival, body: Body, route: &Route) -> Response {
    let answered = AssertUnwindSafe(dispatch(arrival, body, route))
        .catch_unwind()
        .await;
    answered.unwrap_or_else(|_| {
        let fault = Fault::described("answering", "an endpoint panicked".into());
        refuse(arrival, fault.into(), route.shape, Format::Json)
    })
}

/// What a request asked for, kept for the log only while it is written.
struct Asked(Option<(Method, String)>);

impl Asked {
    fn of(parts: &Parts) -> Asked {
        let is_logged = tracing::enabled!(target: REFUSED, tracing::Level::DEBUG);
        Asked(is_logged.then(|| (parts.method.clone(), parts.uri.path().to_owned())))
    }
}

impl Gate {
    /// Writes the log line of a request that has no site. An unknown host is mostly a wrong base URL, so the line has
    /// those that are known.
    fn log_unplaced(&self, asked: Asked, refusal: &Refusal, request_id: &str) {
        let Some((method, path)) = asked.0 else {
            return;
        };
        let directory = self.app.directory();
        let known = matches!(refusal, Refusal::SiteUnknown).then(|| {
            let sites = directory.sites().iter();
            let urls: Vec<&str> = sites.map(|entry| entry.site.base_url.as_str()).collect();
            urls.join(" ")
        });
        tracing::debug!(
            target: REFUSED, asked = format!("{method} {}", shown_path(&path)), request = request_id,
            refusal = refusal.name(), detail = refusal.detail(), known_base_urls = known, "refused"
        );
    }
}

impl Serving {
    /// Finds the route and the site of a request, and checks what every request must be.
    fn resolve(
        &self,
        peer: SocketAddr,
        parts: Parts,
        is_secure: bool,
        request_id: &str,
    ) -> Resolved {
        let path = canonical_path(parts.uri.path());
        let (path, well_known) = without_insertion(&path);
        let gate = &self.gate;
        let directory = gate.app.directory();
        let authority = match &gate.app.exposed {
            Some(exposed) => exposed.resolve(authority(&parts)),
            None => authority(&parts),
        };
        let site = directory.resolve(authority, path);
        let path = match &site {
            Some((_, rest)) => format!("{well_known}{rest}"),
            // The site's prefix is unknown, so the endpoint is recognised by the end of the path.
            None => path
                .find("/services/")
                .map_or_else(String::new, |at| path[at..].to_owned()),
        };
        let route = route(&path);
        let cors = match &site {
            Some((site, _)) => Cors::of(route.readers(), &site.site.settings, &parts.headers),
            None => Cors::unstated(),
        };
        let site = site.map(|(site, _)| Arc::clone(site));
        let arrival = gate
            .check(&route, site, &parts, is_secure, request_id)
            .map(|site| {
                site.map(|site| Arrival {
                    app: Arc::clone(&gate.app),
                    site,
                    at: gate.app.now(),
                    bodies: Arc::clone(&self.bodies),
                    ip: gate.client_ip(peer.ip(), &parts.headers),
                    location: gate.client_location(peer.ip(), &parts.headers),
                    request_id: request_id.to_owned(),
                    endpoint: route.name,
                    client: SeenClient::default(),
                    method: parts.method.clone(),
                    path,
                    query: parts.uri.query().map(str::to_owned),
                    headers: parts.headers,
                })
            });
        Resolved {
            route,
            cors,
            arrival,
        }
    }
}

impl Gate {
    /// Checks what every request must be; the site that it is for, or `None` for a preflight, which is answered
    /// on every path of a site. A preflight over plain HTTP is refused too: the request that follows it would
    /// send credentials the same way.
    ///
    /// # Refusals
    /// `HttpsRequired`, `MethodNotAllowed`, `FormMalformed` for no `Host` in HTTP/1.1 and for several, `SiteUnknown`.
    fn check(
        &self,
        route: &Route,
        site: Option<Arc<SiteEntry>>,
        parts: &Parts,
        is_secure: bool,
        request_id: &str,
    ) -> Result<Option<Arc<SiteEntry>>, Refusal> {
        if !is_secure && !self.is_plain_allowed {
            if parts.headers.contains_key(AUTHORIZATION) {
                // Anyone on the network path may have read them (threat HTTP-02).
                tracing::warn!(request = %request_id, "credentials were sent over plain HTTP");
            }
            return Err(Refusal::HttpsRequired);
        }
        let is_preflight = parts.method == Method::OPTIONS && parts.headers.contains_key(ORIGIN);
        if is_preflight && site.is_some() {
            return Ok(None);
        }
        route.check_method(&parts.method)?;
        // RFC 9112 section 3.2: no Host is refused, and so are two, since a proxy may have read the other.
        let malformed = match parts.headers.get_all(HOST).iter().count() {
            0 if parts.version == Version::HTTP_11 => Some("missing header: host"),
            0 | 1 => None,
            _ => Some("header sent twice: host"),
        };
        if let Some(reason) = malformed.map(String::from) {
            return Err(Refusal::FormMalformed { reason });
        }
        site.map(Some).ok_or(Refusal::SiteUnknown)
    }

    fn is_proxy(&self, ip: IpAddr) -> bool {
        self.proxies
            .trusted
            .iter()
            .any(|network| network.contains(ip))
    }

    /// Whether a trusted proxy reports that the client uses TLS. A proxy appends its value to the header, so
    /// the last value is the proxy's and every other may be the client's.
    fn is_forwarded_secure(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        let protocol = chain_of(headers, "x-forwarded-proto").pop();
        self.is_proxy(peer) && protocol.is_some_and(|word| word.eq_ignore_ascii_case("https"))
    }

    /// The client's address: the last in the chain that is no trusted proxy.
    fn client_ip(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer;
        for hop in chain_of(headers, "x-forwarded-for").into_iter().rev() {
            if !self.is_proxy(client) {
                break;
            }
            match hop.parse() {
                Ok(ip) => client = ip,
                Err(_) => break,
            }
        }
        client.to_canonical()
    }

    /// The client's location, as a trusted proxy reports it. As in every forwarding header, the last value is
    /// the proxy's.
    fn client_location(&self, peer: IpAddr, headers: &HeaderMap) -> ClientLocation {
        if !self.is_proxy(peer) {
            return ClientLocation::default();
        }
        let read = |name: &Option<String>| {
            let value = headers.get_all(name.as_deref()?).iter().next_back()?;
            let text = value.to_str().ok()?.trim();
            (1..=LOCATION_BYTES_MAX)
                .contains(&text.len())
                .then(|| text.to_owned())
        };
        ClientLocation {
            city: read(&self.proxies.city_header),
            country: read(&self.proxies.country_header),
            subdivision: read(&self.proxies.subdivision_header),
        }
    }
}

/// The values of a forwarding header, of all its lines, in order.
fn chain_of(headers: &HeaderMap, name: &str) -> Vec<String> {
    let lines = headers
        .get_all(name)
        .iter()
        .map(|line| line.to_str().unwrap_or(""));
    lines
        .flat_map(|line| line.split(','))
        .map(|word| word.trim().to_owned())
        .collect()
}

/// HTTP/2 has the authority in the URI; HTTP/1.1 in the Host header.
fn authority(parts: &Parts) -> &str {
    match parts.uri.authority() {
        Some(authority) => authority.as_str(),
        None => parts
            .headers
            .get(HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or(""),
    }
}

/// A path without empty segments: clients join a base URL with a final slash and a path with a leading one, and some
/// end the path with a slash.
fn canonical_path(path: &str) -> Cow<'_, str> {
    let ends_with_slash = path.len() > 1 && path.ends_with('/');
    if !ends_with_slash && !path.contains("//") {
        return Cow::Borrowed(path);
    }
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    Cow::Owned(segments.fold(String::new(), |path, segment| path + "/" + segment))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_request_does_not_disclose_the_number_of_requests() {
        let ids = RequestIds::new(&Entropy::Os);
        let mut issued: Vec<String> = (0..100).map(|_| ids.next()).collect();
        assert!(issued.iter().all(|id| id.len() == 2 * REQUEST_ID_BYTES));
        assert!(!issued.is_sorted());
        issued.sort();
        issued.dedup();
        assert_eq!(issued.len(), 100);
        // Two ids in a row have no part in common.
        let [first, second] = [ids.next(), ids.next()];
        assert_ne!(first[..8], second[..8]);
        assert_ne!(first[24..], second[24..]);
    }

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
    fn a_path_has_no_empty_segments() {
        for (path, canonical) in [
            ("/", "/"),
            ("/backend", "/backend"),
            ("/backend/", "/backend"),
            ("//services/oauth2/token", "/services/oauth2/token"),
            (
                "/backend//services/oauth2/token//",
                "/backend/services/oauth2/token",
            ),
            ("//", ""),
        ] {
            assert_eq!(canonical_path(path), canonical, "{path}");
        }
    }

    #[test]
    fn a_forwarding_header_is_read_over_all_its_lines() {
        let mut headers = HeaderMap::new();
        for line in ["203.0.113.9, 198.51.100.1", "10.0.0.2"] {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        let chain = chain_of(&headers, "x-forwarded-for");
        assert_eq!(chain, ["203.0.113.9", "198.51.100.1", "10.0.0.2"]);
    }
}
