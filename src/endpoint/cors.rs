//! Cross-origin requests: which pages may read an answer (Fetch standard, CORS protocol).
//!
//! The headers are added to every answer, refusals and redirects included: a browser does not let a page
//! read an answer that does not name the page's origin, and does not follow a redirect that does not.
//! Credentials in the sense of the protocol (cookies) are never allowed, because there are none.
//!
//! Source: Enable Cross-Origin Resource Sharing (CORS) for OAuth Endpoints.

use axum::body::Body;
use axum::response::Response;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, HeaderValue, ORIGIN,
    VARY,
};
use http::{HeaderMap, StatusCode};

use crate::settings::{Settings, origin};

/// Which pages may read the answers of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readers {
    /// Every page: the answer is public, or contains only what the page itself sent. That includes
    /// the callback, which a browser requests with `Origin: null` when the redirect crossed
    /// origins.
    All,
    /// The pages on the site's list. They have a token already.
    Listed,
    /// The pages on the site's list, if CORS for OAuth endpoints is on.
    ListedIfSwitchedOn,
}

/// Which page may read the answer to one request, and which headers it may send.
#[derive(Clone, Debug)]
pub(super) struct Cors {
    reader: PageReader,
    request_headers: HeaderValue,
}

/// Which page may read an answer.
#[derive(Clone, Debug)]
enum PageReader {
    /// Not stated, because the request has no site.
    Unstated,
    /// Any page may read it.
    Open,
    /// Pages of this origin may read it.
    To(HeaderValue),
    /// The request's origin may not read it, or none was sent. Another origin might.
    Closed,
}

impl Cors {
    /// For a request that has no site.
    pub(super) fn unstated() -> Cors {
        Cors {
            reader: PageReader::Unstated,
            request_headers: HeaderValue::from_static(REQUEST_HEADERS),
        }
    }

    /// Decides by the `Origin` of a request, which browsers send and pages cannot change.
    pub(super) fn of(readers: Readers, settings: &Settings, headers: &HeaderMap) -> Cors {
        Cors {
            reader: PageReader::of(readers, settings, headers),
            request_headers: request_headers(&settings.cors_allowed_headers),
        }
    }

    /// The answer to a preflight, on any path: whether this page may send the request, and with which
    /// headers. A path without an endpoint is reported by the answer to the request itself, which the page
    /// can then read.
    pub(super) fn preflight(&self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if matches!(self.reader, PageReader::Open | PageReader::To(_)) {
            let mut say = |name, value| headers.insert(name, HeaderValue::from_static(value));
            say(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            say(ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS);
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, self.request_headers.clone());
        }
        response
    }

    /// Adds the headers to an answer.
    pub(super) fn apply(&self, response: &mut Response) {
        let headers = response.headers_mut();
        let reader = match &self.reader {
            PageReader::Unstated => return,
            PageReader::Open => HeaderValue::from_static("*"),
            PageReader::To(origin) => origin.clone(),
            PageReader::Closed => {
                headers.append(VARY, HeaderValue::from_static("Origin"));
                return;
            }
        };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, reader);
        let exposed = HeaderValue::from_static(EXPOSED_HEADERS);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        if matches!(self.reader, PageReader::To(_)) {
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
    }
}

/// The request headers that pages of a site may send; `own` are those that its settings add.
fn request_headers(own: &[String]) -> HeaderValue {
    if own.is_empty() {
        return HeaderValue::from_static(REQUEST_HEADERS);
    }
    // The settings hold names of headers only.
    HeaderValue::from_str(&format!("{REQUEST_HEADERS}, {}", own.join(", ")))
        .unwrap_or(HeaderValue::from_static(REQUEST_HEADERS))
}

impl PageReader {
    fn of(readers: Readers, settings: &Settings, headers: &HeaderMap) -> PageReader {
        let is_on = match readers {
            Readers::All => return PageReader::Open,
            Readers::Listed => true,
            Readers::ListedIfSwitchedOn => settings.enable_oauth_cors_policy,
        };
        let mut origins = headers.get_all(ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (Some(value), None) if is_on => match value.to_str() {
                Ok(text) if origin::allows(&settings.cors_allowed_origins, text) => {
                    PageReader::To(value.clone())
                }
                _ => PageReader::Closed,
            },
            _ => PageReader::Closed,
        }
    }
}

const METHODS: &str = "GET, POST, OPTIONS";

/// The request headers that pages may send: those of the flows and of attestation, those that the samples add, and those
/// that monitoring adds to every request. A site may allow others (`corsAllowedHeaders`).
const REQUEST_HEADERS: &str = "Authorization, Content-Type, Auth-Request-Type, Auth-Verification-Type, \
     Uvid-Hint, Accept, X-PrettyPrint, OAuth-Client-Attestation, OAuth-Client-Attestation-PoP, DPoP, \
     traceparent, tracestate, baggage, sentry-trace";

/// The response headers that a page may read in addition to those that the Fetch standard always allows.
const EXPOSED_HEADERS: &str = "Error-Detail, Retry-After, X-Request-Id, WWW-Authenticate";

/// Two hours, the longest that any browser remembers.
const MAX_AGE_SECONDS: &str = "7200";

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "https://shop.example.com";

    fn settings(is_on: bool) -> Settings {
        Settings {
            enable_oauth_cors_policy: is_on,
            cors_allowed_origins: vec![PAGE.to_owned()],
            ..Settings::default()
        }
    }

    fn headers(origins: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for origin in origins {
            headers.append(ORIGIN, origin.parse().unwrap());
        }
        headers
    }

    fn reader(readers: Readers, is_on: bool, origins: &[&str]) -> Option<String> {
        let mut response = Response::new(Body::empty());
        Cors::of(readers, &settings(is_on), &headers(origins)).apply(&mut response);
        let headers = response.headers();
        assert_eq!(
            headers.contains_key(VARY),
            readers != Readers::All,
            "a cache must know when another page would get another answer"
        );
        let reader = headers.get(ACCESS_CONTROL_ALLOW_ORIGIN)?;
        Some(reader.to_str().unwrap().to_owned())
    }

    #[test]
    fn adm_03_a_page_reads_by_the_list_and_the_switch() {
        use Readers::{All, Listed, ListedIfSwitchedOn};
        let page = Some(PAGE.to_owned());
        for (readers, is_on, origins, expected) in [
            (All, false, &["null"][..], Some("*".to_owned())),
            (All, false, &[], Some("*".to_owned())),
            (Listed, false, &[PAGE], page.clone()),
            (Listed, true, &["https://evil.example"], None),
            (Listed, true, &["null"], None),
            (Listed, true, &[], None),
            (Listed, true, &[PAGE, PAGE], None),
            (ListedIfSwitchedOn, true, &[PAGE], page),
            (ListedIfSwitchedOn, false, &[PAGE], None),
            (ListedIfSwitchedOn, true, &["https://evil.example"], None),
        ] {
            assert_eq!(
                reader(readers, is_on, origins),
                expected,
                "{readers:?} {origins:?}"
            );
        }
    }

    #[test]
    fn a_preflight_names_the_headers_only_to_a_page_that_may_read() {
        let closed = Cors::of(Readers::Listed, &settings(true), &headers(&[])).preflight();
        assert_eq!(closed.status(), StatusCode::NO_CONTENT);
        assert!(!closed.headers().contains_key(ACCESS_CONTROL_ALLOW_HEADERS));
        let own = Settings {
            cors_allowed_headers: vec!["X-Trace".to_owned()],
            ..settings(true)
        };
        let open = Cors::of(Readers::Listed, &own, &headers(&[PAGE])).preflight();
        let allowed = open.headers()[ACCESS_CONTROL_ALLOW_HEADERS]
            .to_str()
            .unwrap();
        for name in [
            "Auth-Request-Type",
            "Authorization",
            "traceparent",
            "baggage",
            "sentry-trace",
            "X-Trace",
        ] {
            assert!(
                allowed.split(", ").any(|header| header == name),
                "{name}: {allowed}"
            );
        }
        assert_eq!(open.headers()[ACCESS_CONTROL_MAX_AGE], "7200");
    }
}
