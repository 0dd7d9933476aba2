//! The content of a request: its body, its form parameters, and the format that its answer is written in.
//!
//! The dispatcher reads the content before it calls the endpoint, so an endpoint begins with values.
//! Limits: the size of a body, the time in which it must arrive, and no content encoding.

use std::time::Duration;

use axum::body::{Body, Bytes};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use tokio::time::timeout;
use vestibule_protocol::form::Parameters;
use vestibule_protocol::format::Format;

use super::arrival::Arrival;
use crate::refusal::{Failure, Refusal};

/// Largest request body, in bytes: a 16,000-byte password as escaped JSON, with room for the rest.
pub const BODY_BYTES_MAX: usize = 128 * 1024;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Which content an endpoint reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentKind {
    /// None. A body that is sent is not read.
    Nothing,
    /// The body, which the endpoint parses itself.
    Body,
    /// Form parameters, from the query string and the body.
    Form,
    /// Form parameters, of which `format` chooses the format of the answer and of its errors.
    FormWithFormat,
}

/// What was read of a request. What its endpoint does not read is empty.
#[derive(Default)]
pub(super) struct Content {
    /// The bytes of the body.
    pub body: Bytes,
    /// The form parameters.
    pub parameters: Parameters,
    /// The format of the answer; JSON where the client has no choice.
    pub format: Format,
}

impl Content {
    /// Reads the content of a request: first the body, then the parameters, then the format.
    ///
    /// # Refusals
    /// `ContentEncodingUnsupported`, `BodyTooLarge`, `FormMalformed` for a form that cannot be parsed
    /// or a body that does not arrive in time, `FormatUnknown`.
    pub(super) async fn read(
        arrival: &Arrival,
        body: Body,
        kind: ContentKind,
    ) -> Result<Content, Failure> {
        let mut content = Content::default();
        if kind == ContentKind::Nothing {
            return Ok(content);
        }
        content.body = read_body(arrival, body).await?;
        if kind == ContentKind::Body {
            return Ok(content);
        }
        check_is_form(arrival, &content.body)?;
        content.parameters =
            Parameters::parse(arrival.query.as_deref(), &content.body).map_err(Refusal::from)?;
        if kind == ContentKind::FormWithFormat {
            content.format = arrival.format(content.parameters.get("format"))?;
        }
        Ok(content)
    }
}

/// Refuses a body that says that it is no form: its parameters would be missing, and the refusal would name the first.
fn check_is_form(arrival: &Arrival, body: &[u8]) -> Result<(), Refusal> {
    let content_type = arrival.headers.get(CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let media_type = content_type.and_then(|value| value.split(';').next());
    let media_type = media_type.unwrap_or_default().trim();
    let is_other = ["application/json", "multipart/form-data"]
        .iter()
        .any(|other| media_type.eq_ignore_ascii_case(other));
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    // Clients exist that send a form and call it JSON.
    let looks_like_form = !matches!(first, Some(b'{' | b'[')) && !body.starts_with(b"--");
    if is_other && !body.is_empty() && !looks_like_form {
        return Err(Refusal::FormMalformed {
            reason: String::from(
                "send the parameters as a form: Content-Type: application/x-www-form-urlencoded",
            ),
        });
    }
    Ok(())
}

async fn read_body(arrival: &Arrival, body: Body) -> Result<Bytes, Failure> {
    let is_encoded = arrival
        .headers
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if is_encoded {
        return Err(Refusal::ContentEncodingUnsupported.into());
    }
    let read = timeout(BODY_TIMEOUT, axum::body::to_bytes(body, BODY_BYTES_MAX)).await;
    let too_slow = || Refusal::FormMalformed {
        reason: String::from("the body did not come in time"),
    };
    read.map_err(|_| too_slow())?
        .map_err(|_| Refusal::BodyTooLarge.into())
}
