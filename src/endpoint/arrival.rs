//! The arrival of a request: everything that the endpoints know of it except its content, which
//! `content` reads. Headers that may be sent once are read here, and those that choose how an answer is
//! written.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{ACCEPT, USER_AGENT};
use http::{HeaderMap, Method, StatusCode};
use vestibule_protocol::format::{Format, Layout};

use super::bodies::Bodies;
use crate::app::{App, ClientLocation, SeenClient, SiteEntry, Visit};
use crate::moment::Moment;
use crate::refusal::Refusal;

/// Longest segment of an endpoint's path is `authorization_challenge`.
const WORD_BYTES_MAX: usize = 24;

/// As much of a `User-Agent` as is passed on, in characters.
const USER_AGENT_LENGTH_MAX: usize = 512;

/// A request whose site and endpoint are known.
pub struct Arrival {
    pub app: Arc<App>,
    pub site: Arc<SiteEntry>,
    /// When its content was complete; until then, when its head was.
    pub at: Moment,
    pub(super) bodies: Arc<Bodies>,
    pub ip: IpAddr,
    pub location: ClientLocation,
    pub request_id: String,
    pub endpoint: &'static str,
    /// Shared with every visit of this request.
    pub client: SeenClient,
    pub method: Method,
    /// Below the site's prefix.
    pub path: String,
    pub query: Option<String>,
    pub headers: HeaderMap,
}

impl Arrival {
    /// What the flows and grants need to know of the request in addition to its parameters.
    pub fn visit(&self) -> Visit {
        Visit {
            site: Arc::clone(&self.site),
            at: self.at,
            ip: self.ip,
            location: self.location.clone(),
            user_agent: self
                .headers
                .get(USER_AGENT)
                .and_then(|value| value.to_str().ok())
                .map(|text| text.chars().take(USER_AGENT_LENGTH_MAX).collect()),
            request_id: self.request_id.clone(),
            asked: self.asked(),
            endpoint: self.endpoint,
            client: Arc::clone(&self.client),
        }
    }

    /// Method and path of the request, for the log.
    pub fn asked(&self) -> String {
        format!(
            "{} {}{}",
            self.method,
            self.site.site.path(),
            shown_path(&self.path)
        )
    }

    /// A header that may be sent once. Of two different values none is chosen (HTTP-11).
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

    /// Whether the answer is indented: `X-PrettyPrint: 1`.
    pub fn layout(&self) -> Layout {
        let value = self.headers.get("x-prettyprint");
        if value.is_some_and(|value| value.as_bytes() == b"1") {
            Layout::Pretty
        } else {
            Layout::Compact
        }
    }
}

/// A path for the log: a segment that may be an identifier or a secret is left out.
pub(super) fn shown_path(path: &str) -> String {
    let segments = path.split('/').map(|segment| {
        let is_letter = |byte: u8| byte.is_ascii_lowercase() || b"._-".contains(&byte);
        let digits = segment.bytes().filter(u8::is_ascii_digit).count();
        let is_word = segment.len() <= WORD_BYTES_MAX
            && digits <= 1
            && segment
                .bytes()
                .all(|byte| is_letter(byte) || byte.is_ascii_digit());
        if is_word { segment } else { "…" }
    });
    segments.collect::<Vec<_>>().join("/")
}

/// The status of a wire error.
pub(super) fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_shown_without_segments_that_may_be_secret() {
        for (path, shown) in [
            (
                "/services/oauth2/v1/authorization_challenge",
                "/services/oauth2/v1/authorization_challenge",
            ),
            (
                "/.well-known/openid-configuration",
                "/.well-known/openid-configuration",
            ),
            ("/services/oauth2/tokens", "/services/oauth2/tokens"),
            ("/id/00Dabc/005abc", "/id/…/…"),
            ("/reset/k3y9x", "/reset/…"),
            ("/mark-Secret", "/…"),
            ("/janice%40example.com", "/…"),
            ("/", "/"),
        ] {
            assert_eq!(shown_path(path), shown);
        }
    }
}
