//! Twilio's Messages API, and other services with the same API.
//!
//! Follows Twilio, "Create a Message resource" and the dictionary of its error codes.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};
use url::Url;
use vestibule_protocol::secret::Secret;

use super::{NoRequest, Post, Reply, SmsOutcome, TextMessage, reject, retry};
use crate::identity::text_message::SmsStatus;

/// Twilio's base URL.
pub const TWILIO: &str = "https://api.twilio.com/2010-04-01";

/// An account.
pub struct Twilio {
    url: Url,
    from: String,
    authorization: HeaderValue,
}

impl Twilio {
    /// An account at an API whose base is `base`, with the number or name that messages come from.
    ///
    /// # Errors
    /// A sentence, when base, account and token do not make a valid request.
    pub fn new(base: &Url, account: &str, token: &Secret, from: String) -> Result<Twilio, String> {
        let mut url = base.clone();
        url.path_segments_mut()
            .map_err(|()| String::from("twilio_url can be no base"))?
            .pop_if_empty()
            .extend(["Accounts", account, "Messages.json"]);
        let pair = STANDARD.encode(format!("{account}:{}", token.expose()));
        let mut authorization = HeaderValue::from_str(&format!("Basic {pair}"))
            .map_err(|_| String::from("the token cannot be sent"))?;
        authorization.set_sensitive(true);
        Ok(Twilio {
            url,
            from,
            authorization,
        })
    }

    pub(super) fn post(&self, message: &TextMessage) -> Result<Post, NoRequest> {
        let id = HeaderValue::from_bytes(message.message_id.as_bytes()).map_err(|_| NoRequest)?;
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("To", &message.to)
            .append_pair("From", &self.from)
            .append_pair("Body", &message.text)
            .finish();
        Ok(Post {
            url: self.url.clone(),
            content_type: "application/x-www-form-urlencoded",
            headers: HeaderMap::from_iter([
                (AUTHORIZATION, self.authorization.clone()),
                (IDEMPOTENCY_TOKEN, id),
            ]),
            body,
        })
    }
}

/// The meaning of a response. Of its text only the code is kept: the text quotes the number.
pub(super) fn outcome(reply: &Reply) -> SmsOutcome {
    if (200..=299).contains(&reply.status) {
        return SmsOutcome::Sent;
    }
    let code = serde_json::from_slice::<Map<String, Value>>(&reply.body)
        .ok()
        .and_then(|answer| answer.get("code")?.as_i64());
    let reason = match code {
        Some(code) => format!("the provider answered {}, code {code}", reply.status),
        None => format!("the provider answered {}", reply.status),
    };
    match (reply.status, code) {
        (_, Some(21_211 | 21_214 | 21_217 | 21_614)) => {
            reject(SmsStatus::InvalidPhoneNumber, reason)
        }
        (_, Some(21_408)) => reject(SmsStatus::CountryBlock, reason),
        (429, _) | (_, Some(20_429)) => retry(SmsStatus::MessageLimitExceeded, reason),
        // These concern the account and the sender, which the operator can correct.
        (_, Some(20_003 | 21_603 | 21_606 | 21_659)) => retry(SmsStatus::ProviderError, reason),
        (400 | 422, _) => reject(SmsStatus::ProviderError, reason),
        _ => retry(SmsStatus::ProviderError, reason),
    }
}

impl fmt::Debug for Twilio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.host_str().unwrap_or_default();
        f.debug_tuple("Twilio").field(&host).finish()
    }
}

const IDEMPOTENCY_TOKEN: HeaderName = HeaderName::from_static("i-twilio-idempotency-token");

#[cfg(test)]
mod tests {
    use super::*;
    use SmsStatus::*;

    #[test]
    fn an_answer_is_about_the_message_or_about_something_that_may_pass() {
        let outcome = |status: u16, code: i64| {
            let body = format!(r#"{{"code":{code},"message":"+15551234567","status":{status}}}"#);
            match outcome(&Reply {
                status,
                headers: HeaderMap::new(),
                body: body.into_bytes(),
            }) {
                SmsOutcome::Sent => ("sent", Success),
                SmsOutcome::Retry { status, reason } => {
                    assert!(!reason.contains("555"), "{reason}");
                    ("retry", status)
                }
                SmsOutcome::Reject { status, reason } => {
                    assert!(!reason.contains("555"), "{reason}");
                    ("reject", status)
                }
            }
        };
        for (status, code, expected) in [
            (201, 0, ("sent", Success)),
            (400, 21_211, ("reject", InvalidPhoneNumber)),
            (400, 21_614, ("reject", InvalidPhoneNumber)),
            (403, 21_408, ("reject", CountryBlock)),
            (400, 21_408, ("reject", CountryBlock)),
            (429, 20_429, ("retry", MessageLimitExceeded)),
            (503, 20_429, ("retry", MessageLimitExceeded)),
            (400, 21_610, ("reject", ProviderError)),
            (400, 21_606, ("retry", ProviderError)),
            (401, 20_003, ("retry", ProviderError)),
            (302, 0, ("retry", ProviderError)),
            (404, 20_404, ("retry", ProviderError)),
            (500, 20_500, ("retry", ProviderError)),
        ] {
            assert_eq!(outcome(status, code), expected, "{status} {code}");
        }
    }
}
