//! The signature of requests to a webhook of a customer or an operator.
//!
//! It is `v1=` and the HMAC-SHA256, in hexadecimal, of the timestamp, a dot and the body. The signature covers the
//! timestamp, so that a receiver can refuse old requests, and a recorded request cannot be replayed later.

use std::fmt;

use aws_lc_rs::hmac;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use vestibule_protocol::secret::Secret;

use crate::moment::Moment;

/// The key of the signatures. It has no `Debug`. It is boxed, because a key with its schedule has more than a
/// kilobyte.
pub struct SignatureKey(Box<hmac::Key>);

impl SignatureKey {
    /// The key is the bytes of the secret.
    pub fn new(secret: &Secret) -> SignatureKey {
        let bytes = secret.expose().as_bytes();
        SignatureKey(Box::new(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }

    fn sign(&self, timestamp: i64, body: &str) -> String {
        let tag = hmac::sign(&self.0, format!("{timestamp}.{body}").as_bytes());
        let hex = tag.as_ref().iter().map(|byte| format!("{byte:02x}"));
        format!("v1={}", hex.collect::<String>())
    }
}

/// Adds `Vestibule-Timestamp` to the headers of a body that is sent at an instant and, if there is a key,
/// `Vestibule-Signature`.
pub fn date_and_sign(headers: &mut HeaderMap, key: Option<&SignatureKey>, at: Moment, body: &str) {
    let timestamp = at.seconds();
    headers.insert(TIMESTAMP, HeaderValue::from(timestamp));
    if let Some(key) = key {
        let signature = HeaderValue::try_from(key.sign(timestamp, body));
        let signature = signature.expect("hexadecimal digits are a header value");
        headers.insert(SIGNATURE, signature);
    }
}

impl fmt::Debug for SignatureKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignatureKey(…)")
    }
}

const SIGNATURE: HeaderName = HeaderName::from_static("vestibule-signature");
const TIMESTAMP: HeaderName = HeaderName::from_static("vestibule-timestamp");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_hmac_of_timestamp_and_body() {
        // Computed with `printf '1767607200.{"a":1}' | openssl dgst -sha256 -hmac s3cret`.
        let key = SignatureKey::new(&Secret::from(String::from("s3cret")));
        let mut headers = HeaderMap::new();
        let at = Moment::from_millis(1_767_607_200_999);
        date_and_sign(&mut headers, Some(&key), at, r#"{"a":1}"#);
        assert_eq!(headers["vestibule-timestamp"], "1767607200");
        assert_eq!(
            headers["vestibule-signature"],
            "v1=67fc07686944a0d7fff577c25f400aa05679c9be1db7e8c952ce04d966bfb43c"
        );
        let mut unsigned = HeaderMap::new();
        date_and_sign(&mut unsigned, None, at, r#"{"a":1}"#);
        assert_eq!(unsigned.len(), 1);
    }
}
