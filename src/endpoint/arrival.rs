//! Arrival: a placed request, as the endpoints see it. Headers that may come once, the body under its
//! limits, the answer's format.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http::header::{ACCEPT, CONTENT_ENCODING, USER_AGENT};
use http::{HeaderMap, Method, StatusCode};
use tokio::time::timeout;
use vestibule_protocol::format::Format;

use crate::app::{App, Place, SiteEntry};
use crate::flow::Visit;
use crate::moment::Moment;
use crate::refusal::{Failure, Refusal};

/// Largest request body, in bytes: a 16,000-byte password as escaped JSON, with room for the rest.
pub const BODY_BYTES_MAX: usize = 128 * 1024;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// As much of a `User-Agent` as is passed on, in characters.
const USER_AGENT_LENGTH_MAX: usize = 512;

/// A placed request.
pub struct Arrival {
    pub app: Arc<App>,
    pub site: Arc<SiteEntry>,
    pub at: Moment,
    pub ip: IpAddr,
    pub place: Place,
    pub request_id: String,
    pub method: Method,
    /// Below the site's prefix.
    pub path: String,
    pub query: Option<String>,
    pub headers: HeaderMap,
    // A body may be sent to another thread and not be looked at from two; stories share the rest.
    pub(super) body: Mutex<Option<Body>>,
}

impl Arrival {
    /// What the stories are told of the request.
    pub fn visit(&self) -> Visit {
        Visit {
            site: Arc::clone(&self.site),
            at: self.at,
            ip: self.ip,
            place: self.place.clone(),
            user_agent: self
                .headers
                .get(USER_AGENT)
                .and_then(|value| value.to_str().ok())
                .map(|text| text.chars().take(USER_AGENT_LENGTH_MAX).collect()),
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
    /// `BodyTooLarge`, `ContentEncodingUnsupported`, `FormMalformed` when it does not come in time.
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
        let read = timeout(BODY_TIMEOUT, axum::body::to_bytes(body, BODY_BYTES_MAX)).await;
        let too_slow = || Refusal::FormMalformed {
            reason: String::from("the body did not come in time"),
        };
        read.map_err(|_| too_slow())?
            .map_err(|_| Refusal::BodyTooLarge.into())
    }

    /// The answer format that `format` or `Accept` asks for.
    ///
    /// # Refusals
    /// `FormatUnknown`.
    pub fn format(&self, parameter: Option<&str>) -> Result<Format, Refusal> {
        let accept = self
            .headers
            .get(ACCEPT)
            .and_then(|value| value.to_str().ok());
        Format::choose(parameter, accept).map_err(|_| Refusal::FormatUnknown)
    }
}

/// The status of a wire error.
pub(super) fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
