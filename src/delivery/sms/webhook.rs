//! A service of the operator's own: each message as one JSON object, signed.
//!
//! The signature is `v1=` and the HMAC-SHA256, in hexadecimal, of the timestamp, a dot and the body. The
//! timestamp is signed with it, so that a receiver can refuse what is old, and a recorded request is of
//! no use later.

use std::fmt;

use aws_lc_rs::hmac;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};
use url::Url;
use vestibule_protocol::secret::Secret;

use super::{NoRequest, Post, Reply, SmsOutcome, TextMessage, reject, retry};
use crate::identity::text_message::SmsStatus;
use crate::moment::Moment;

/// The service.
pub struct Webhook {
    url: Url,
    // A key with its schedule is more than a kilobyte.
    key: Option<Box<hmac::Key>>,
}

impl Webhook {
    /// A service at an address. Without a secret nothing is signed.
    pub fn new(url: Url, secret: Option<&Secret>) -> Webhook {
        let key_of = |secret: &Secret| {
            Box::new(hmac::Key::new(
                hmac::HMAC_SHA256,
                secret.expose().as_bytes(),
            ))
        };
        let key = secret.map(key_of);
        Webhook { url, key }
    }

    pub(super) fn post(&self, message: &TextMessage, at: Moment) -> Result<Post, NoRequest> {
        let body = json!({
            "message_id": message.message_id,
            "to": message.to,
            "text": message.text,
            "site": message.site_id,
            "template": message.template,
            "language": message.language,
        })
        .to_string();
        let id = HeaderValue::from_bytes(message.message_id.as_bytes()).map_err(|_| NoRequest)?;
        let timestamp = at.seconds();
        let mut headers = HeaderMap::from_iter([
            (IDEMPOTENCY_KEY, id),
            (TIMESTAMP, HeaderValue::from(timestamp)),
        ]);
        if let Some(key) = &self.key {
            let signature = HeaderValue::from_str(&sign(key, timestamp, &body));
            headers.insert(SIGNATURE, signature.map_err(|_| NoRequest)?);
        }
        Ok(Post {
            url: self.url.clone(),
            content_type: "application/json",
            headers,
            body,
        })
    }
}

/// What an answer means. A `status` in its body, in the documented words, says more than the HTTP status.
pub(super) fn outcome(reply: &Reply) -> SmsOutcome {
    let said = serde_json::from_slice::<Map<String, Value>>(&reply.body)
        .ok()
        .and_then(|answer| SmsStatus::parse(answer.get("status")?.as_str()?));
    let reason = format!("the webhook answered {}", reply.status);
    match (reply.status, said) {
        (200..=299, None | Some(SmsStatus::Success)) => SmsOutcome::Sent,
        (_, Some(status @ (SmsStatus::CountryBlock | SmsStatus::InvalidPhoneNumber))) => {
            reject(status, reason)
        }
        (_, Some(status @ (SmsStatus::Exception | SmsStatus::MessageLimitExceeded))) => {
            retry(status, reason)
        }
        (429, _) => retry(SmsStatus::MessageLimitExceeded, reason),
        (400 | 413 | 422, _) => reject(SmsStatus::ProviderError, reason),
        _ => retry(SmsStatus::ProviderError, reason),
    }
}

fn sign(key: &hmac::Key, timestamp: i64, body: &str) -> String {
    let tag = hmac::sign(key, format!("{timestamp}.{body}").as_bytes());
    let hex = tag.as_ref().iter().map(|byte| format!("{byte:02x}"));
    format!("v1={}", hex.collect::<String>())
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.host_str().unwrap_or_default();
        f.debug_tuple("Webhook").field(&host).finish()
    }
}

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const SIGNATURE: HeaderName = HeaderName::from_static("vestibule-signature");
const TIMESTAMP: HeaderName = HeaderName::from_static("vestibule-timestamp");

#[cfg(test)]
mod tests {
    use super::*;
    use SmsStatus::*;

    #[test]
    fn the_signature_is_the_hmac_of_timestamp_and_body() {
        // Worked out with `printf '1767607200.{"a":1}' | openssl dgst -sha256 -hmac s3cret`.
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"s3cret");
        assert_eq!(
            sign(&key, 1_767_607_200, r#"{"a":1}"#),
            "v1=67fc07686944a0d7fff577c25f400aa05679c9be1db7e8c952ce04d966bfb43c"
        );
    }

    #[test]
    fn an_answer_is_about_the_message_or_about_something_that_may_pass() {
        let outcome = |status: u16, body: &str| {
            let body = body.as_bytes().to_vec();
            match outcome(&Reply { status, body }) {
                SmsOutcome::Sent => ("sent", Success),
                SmsOutcome::Retry { status, .. } => ("retry", status),
                SmsOutcome::Reject { status, .. } => ("reject", status),
            }
        };
        for (status, body, expected) in [
            (200, "", ("sent", Success)),
            (202, "queued", ("sent", Success)),
            (200, r#"{"status":"SUCCESS"}"#, ("sent", Success)),
            (200, r#"{"status":"queued"}"#, ("sent", Success)),
            (
                200,
                r#"{"status":"COUNTRY_BLOCK"}"#,
                ("reject", CountryBlock),
            ),
            (
                400,
                r#"{"status":"INVALID_PHONE_NUMBER"}"#,
                ("reject", InvalidPhoneNumber),
            ),
            (
                200,
                r#"{"status":"MESSAGE_LIMIT_EXCEEDED"}"#,
                ("retry", MessageLimitExceeded),
            ),
            (200, r#"{"status":"EXCEPTION"}"#, ("retry", Exception)),
            (
                200,
                r#"{"status":"PROVIDER_ERROR"}"#,
                ("retry", ProviderError),
            ),
            (500, r#"{"status":"SUCCESS"}"#, ("retry", ProviderError)),
            (301, "", ("retry", ProviderError)),
            (401, "", ("retry", ProviderError)),
            (404, "", ("retry", ProviderError)),
            (400, "", ("reject", ProviderError)),
            (422, "", ("reject", ProviderError)),
            (429, "", ("retry", MessageLimitExceeded)),
            (503, "", ("retry", ProviderError)),
        ] {
            assert_eq!(outcome(status, body), expected, "{status} {body}");
        }
    }
}
