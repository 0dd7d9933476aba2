//! The content of a request: its body, its form parameters, and the format that its answer is written in.
//!
//! The dispatcher reads the content before it calls the endpoint, so an endpoint begins with values.
//! Limits: the size of a body, the time in which it must arrive, the bytes of all bodies together, and no content
//! encoding.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::{Body, Bytes, HttpBody};
use futures_util::StreamExt;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use tokio::time::timeout;
use vestibule_protocol::form::Parameters;
use vestibule_protocol::format::Format;

use super::arrival::Arrival;
use super::bodies::BLOCK_BYTES;
use super::places::{Full, Places, TakenPlace};
use crate::refusal::{Failure, Refusal};

/// Largest request body, in bytes: a 16,000-byte password as escaped JSON, with room for the rest.
pub const BODY_BYTES_MAX: usize = 128 * 1024;

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
    /// What the body takes of the bytes of all bodies.
    blocks: Vec<TakenPlace>,
}

impl Content {
    /// Reads the content of a request: first the body, then the parameters, then the format.
    ///
    /// # Refusals
    /// `ContentEncodingUnsupported`, `BodyTooLarge`, `FormMalformed` for a form that cannot be parsed
    /// or a body that is malformed or does not arrive in time, `TooBusy` when the bodies in progress, of all callers or
    /// of this caller's network, have too many bytes, `FormatUnknown`.
    pub(super) async fn read(
        arrival: &Arrival,
        body: Body,
        kind: ContentKind,
    ) -> Result<Content, Failure> {
        let mut content = Content::default();
        if kind == ContentKind::Nothing {
            return Ok(content);
        }
        (content.body, content.blocks) = read_body(arrival, body).await?;
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

async fn read_body(arrival: &Arrival, body: Body) -> Result<(Bytes, Vec<TakenPlace>), Failure> {
    let is_encoded = arrival
        .headers
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if is_encoded {
        return Err(Refusal::ContentEncodingUnsupported.into());
    }
    let bodies = &arrival.bodies;
    let read = timeout(bodies.timeout, collect(&bodies.blocks, arrival.ip, body)).await;
    let too_slow = || Refusal::FormMalformed {
        reason: String::from("the body did not come in time"),
    };
    Ok(read.map_err(|_| too_slow())??)
}

/// Reads a body to its end, and takes blocks for as much of it as has arrived.
async fn collect(
    blocks: &Arc<Places>,
    ip: IpAddr,
    body: Body,
) -> Result<(Bytes, Vec<TakenPlace>), Refusal> {
    if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        return Err(Refusal::BodyTooLarge);
    }
    let mut taken = Vec::new();
    let mut collected = Vec::new();
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Refusal::FormMalformed {
            reason: String::from("the body is malformed or incomplete"),
        })?;
        if collected.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(Refusal::BodyTooLarge);
        }
        collected.extend_from_slice(&chunk);
        while taken.len() * BLOCK_BYTES < collected.len() {
            let block = blocks.take(Some(ip), 1);
            taken.push(block.map_err(|_: Full| Refusal::TooBusy)?);
        }
    }
    Ok((collected.into(), taken))
}

#[cfg(test)]
mod tests {
    use super::super::places::PlaceCaps;
    use super::*;

    #[tokio::test]
    async fn net_05_the_bodies_in_progress_are_bounded_for_one_network_and_in_total() {
        let blocks = Places::new(PlaceCaps {
            total: 5,
            per_network: 2,
        });
        let ip = |last: u8| IpAddr::from([192, 0, last, 1]);
        let read = |last, blocks_long: usize| {
            let body = Body::from(vec![0; blocks_long * BLOCK_BYTES]);
            let blocks = Arc::clone(&blocks);
            async move { collect(&blocks, ip(last), body).await }
        };
        let first = read(1, 2).await.expect("it fits");
        assert_eq!(first.0.len(), 2 * BLOCK_BYTES);
        assert_eq!(read(1, 1).await.err(), Some(Refusal::TooBusy));
        let second = read(2, 2).await.expect("another network has its own");
        let third = read(3, 1).await.expect("the last block");
        assert_eq!(read(4, 1).await.err(), Some(Refusal::TooBusy));
        // A body that was refused takes nothing, and an empty one needs nothing.
        assert!(read(4, 0).await.is_ok());
        drop((first, second, third));
        assert_eq!(blocks.taken(), 0);
    }
}
