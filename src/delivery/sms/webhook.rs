//! A service of the operator: each message is one JSON object, signed as `outbound` signs.

use std::fmt;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};
use url::Url;
use vestibule_protocol::secret::Secret;

use super::{NoRequest, Post, Reply, SmsOutcome, TextMessage, reject, retry};
use crate::identity::text_message::SmsStatus;
use crate::moment::Moment;
use crate::outbound::{SignatureKey, date_and_sign};

/// The service.
pub struct Webhook {
    url: Url,
    key: Option<SignatureKey>,
}

impl Webhook {
    /// A service at a URL. Without a secret nothing is signed.
    pub fn new(url: Url, secret: Option<&Secret>) -> Webhook {
        Webhook {
            url,
            key: secret.map(SignatureKey::new),
        }
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
        let mut headers = HeaderMap::from_iter([(IDEMPOTENCY_KEY, id)]);
        date_and_sign(&mut headers, self.key.as_ref(), at, &body);
        Ok(Post {
            url: self.url.clone(),
            content_type: "application/json",
            headers,
            body,
        })
    }
}

/// The meaning of a response. A documented `status` in its body takes precedence over the HTTP status.
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

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.host_str().unwrap_or_default();
        f.debug_tuple("Webhook").field(&host).finish()
    }
}

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

#[cfg(test)]
mod tests {
    use super::*;
    use SmsStatus::*;

    #[test]
    fn an_answer_is_about_the_message_or_about_something_that_may_pass() {
        let outcome = |status: u16, body: &str| {
            let body = body.as_bytes().to_vec();
            let headers = HeaderMap::new();
            match outcome(&Reply {
                status,
                headers,
                body,
            }) {
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
