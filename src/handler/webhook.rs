//! A handler on a server of the customer: one signed POST request, whose response is the result.
//!
//! The argument and the result are the same JSON objects as for a script, so that one can replace the other:
//!
//! ```http
//! POST /handlers/discover HTTP/1.1
//! Content-Type: application/json
//! Vestibule-Contract: discoverUser
//! Vestibule-Handler-Version: 3
//! Vestibule-Call: 9HC…
//! Vestibule-Timestamp: 1767607200
//! Vestibule-Signature: v1=67fc0768…
//!
//! {"contract":"discoverUser","version":3,"callId":"9HC…","argument":{"networkId":"0DB…","loginHint":"ORDER-1", …}}
//! ```
//!
//! A 200 with JSON is a result, and the caller parses it by its contract. A 4xx with `{"error":"message"}` is a
//! handler that refuses, and its message is that of the exception. Everything else is a failure of the handler: the
//! app learns only that, the operator gets the reason. No request is repeated, because a handler may have acted
//! before its response was lost; one-time passwords are retried by the outbox.

use std::fmt;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};
use url::Url;
use vestibule_protocol::secret::Secret;
use vestibule_protocol::strict_json;

use super::HandlerError;
use super::contract::Contract;
use crate::moment::Moment;
use crate::outbound::{NoReply, Outbound, Post, Reply, SignatureKey, date_and_sign};

/// One call. The argument may contain a one-time password, so it has no `Debug`.
pub struct WebhookCall<'c> {
    /// The URL.
    pub url: &'c Url,
    /// The key of the signature.
    pub secret: &'c Secret,
    /// The contract.
    pub contract: Contract,
    /// The handler's version.
    pub version: i64,
    /// Identifies the call in the records and at the receiver.
    pub call_id: &'c str,
    /// The argument, as for a script.
    pub argument: &'c Value,
    /// The time of the call; the receiver refuses old requests.
    pub at: Moment,
}

/// Calls a handler on a server of the customer and returns its result.
///
/// # Errors
/// The handler refused, with its message; or it failed, with the reason as the detail.
pub async fn call(outbound: &Outbound, call: WebhookCall<'_>) -> Result<Value, HandlerError> {
    let post = post(&call).ok_or_else(|| failed("the call makes no request"))?;
    result(outbound.post(post).await)
}

fn post(call: &WebhookCall<'_>) -> Option<Post> {
    let contract = call.contract.as_str();
    let body = json!({
        "contract": contract,
        "version": call.version,
        "callId": call.call_id,
        "argument": call.argument,
    })
    .to_string();
    let mut headers = HeaderMap::from_iter([
        (CALL, HeaderValue::from_str(call.call_id).ok()?),
        (CONTRACT, HeaderValue::from_static(contract)),
        (VERSION, HeaderValue::from(call.version)),
    ]);
    let key = SignatureKey::new(call.secret);
    date_and_sign(&mut headers, Some(&key), call.at, &body);
    Some(Post {
        url: call.url.clone(),
        content_type: "application/json",
        headers,
        body,
    })
}

fn result(reply: Result<Reply, NoReply>) -> Result<Value, HandlerError> {
    let reply = reply.map_err(failed)?;
    if reply.body.len() > ANSWER_BYTES_MAX {
        return Err(failed(NoReply::Large));
    }
    let status = reply.status;
    match status {
        200 if !is_json(&reply.headers) => Err(failed("the answer's Content-Type is not JSON")),
        200 => strict_json::parse(&reply.body)
            .map_err(|error| failed(format_args!("the answer: {error}"))),
        400..=499 if is_json(&reply.headers) => Err(strict_json::parse_object(&reply.body)
            .ok()
            .and_then(|members| said(&members))
            .unwrap_or_else(|| failed(format_args!("status {status}")))),
        _ => Err(failed(format_args!("status {status}"))),
    }
}

/// `application/json`, or a type that ends in `+json`, with any parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let text = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = text.and_then(|text| text.split(';').next());
    let essence = essence.unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json"
        || essence.starts_with("application/") && essence.ends_with("+json")
}

/// The message of a handler that refused, if it is suitable for people.
fn said(members: &Map<String, Value>) -> Option<HandlerError> {
    let message = members.get("error")?.as_str()?.trim();
    let is_fit = !message.is_empty()
        && message.chars().count() <= MESSAGE_LENGTH_MAX
        && !message.chars().any(char::is_control);
    is_fit.then(|| HandlerError::new(EXCEPTION, message))
}

fn failed(reason: impl fmt::Display) -> HandlerError {
    HandlerError::new(EXCEPTION, "the handler failed").with_detail(reason.to_string())
}

const EXCEPTION: &str = "WebhookException";

/// A result has a few hundred bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

const MESSAGE_LENGTH_MAX: usize = 500;

const CALL: HeaderName = HeaderName::from_static("vestibule-call");
const CONTRACT: HeaderName = HeaderName::from_static("vestibule-contract");
const VERSION: HeaderName = HeaderName::from_static("vestibule-handler-version");

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, content_type: &'static str, body: &str) -> Result<Value, String> {
        let headers = [(CONTENT_TYPE, HeaderValue::from_static(content_type))];
        let reply = Reply {
            status,
            headers: HeaderMap::from_iter(headers),
            body: body.as_bytes().to_vec(),
        };
        result(Ok(reply)).map_err(|error| match &error.detail {
            Some(detail) => {
                assert_eq!(error.apex_error(), "WebhookException: the handler failed");
                format!("failed: {detail}")
            }
            None => error.apex_error(),
        })
    }

    #[test]
    fn hnd_04_only_json_with_200_is_a_result() {
        let json = "application/json";
        for content_type in [
            json,
            "Application/JSON; charset=utf-8",
            "application/problem+json",
        ] {
            let result = answered(200, content_type, r#"{"userIds":["005"]}"#);
            assert_eq!(result, Ok(json!({"userIds": ["005"]})), "{content_type}");
        }
        // A result need not be an object.
        let word = answered(200, json, r#""SUCCESS""#);
        assert_eq!(word, Ok(json!("SUCCESS")));
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(ANSWER_BYTES_MAX));
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(99), "]".repeat(99));
        for (status, content_type, body, detail) in [
            (
                200,
                "text/html",
                "{}",
                "the answer's Content-Type is not JSON",
            ),
            (
                200,
                "text/json-ish",
                "{}",
                "the answer's Content-Type is not JSON",
            ),
            (200, json, "", "the answer: not JSON"),
            (200, json, "{} {}", "the answer: not JSON"),
            (200, json, "SUCCESS", "the answer: not JSON"),
            (
                200,
                json,
                r#"{"a":1,"a":2}"#,
                "the answer: member a comes twice",
            ),
            (200, json, &deep, "the answer: nested too deeply"),
            (200, json, &long, "the answer is too large"),
            (201, json, "{}", "status 201"),
            (204, json, "", "status 204"),
            (302, json, "{}", "status 302"),
            (500, json, r#"{"error":"secret stack"}"#, "status 500"),
        ] {
            let expected = Err(format!("failed: {detail}"));
            assert_eq!(answered(status, content_type, body), expected, "{detail}");
        }
    }

    #[test]
    fn hnd_04_the_message_of_a_refusing_handler_is_quoted_and_an_invalid_response_is_not() {
        let no = |body: &str| answered(422, "application/json", body).unwrap_err();
        assert_eq!(
            no(r#"{"error":"No such order."}"#),
            "WebhookException: No such order."
        );
        assert_eq!(
            no(r#"{"error":" Ja, nö 😀 ","x":1}"#),
            "WebhookException: Ja, nö 😀"
        );
        let long = format!(r#"{{"error":"{}"}}"#, "x".repeat(MESSAGE_LENGTH_MAX + 1));
        for body in [
            "",
            "{}",
            "[]",
            r#"{"error":""}"#,
            r#"{"error":" "}"#,
            r#"{"error":{"a":1}}"#,
            r#"{"error":"a","error":"b"}"#,
            r#"{"error":"a\r\nb"}"#,
            r#"{"error":"a\u0000"}"#,
            &long,
        ] {
            assert_eq!(no(body), "failed: status 422", "{body:.40}");
        }
        let page = answered(404, "text/html", r#"{"error":"a"}"#);
        assert_eq!(page, Err(String::from("failed: status 404")));
    }

    #[test]
    fn hnd_04_what_kept_an_answer_away_is_for_the_operator_alone() {
        let error = result(Err(NoReply::Forbidden("it is private (RFC 1918)"))).unwrap_err();
        assert_eq!(error.apex_error(), "WebhookException: the handler failed");
        assert_eq!(
            error.detail.as_deref(),
            Some("the address may not be called: it is private (RFC 1918)")
        );
    }
}
