//! The `signature` member of a token response.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use vestibule_protocol::secret::Secret;

/// Base64 of HMAC-SHA-256 under the consumer secret over the identity URL followed by `issued_at`. With it a client
/// verifies that the two were not changed in transit.
///
/// Source: Headless Registration Flow for Private Clients, "signature".
pub fn identity_signature(client_secret: &Secret, id: &str, issued_at: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, client_secret.expose().as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(id.as_bytes());
    context.update(issued_at.as_bytes());
    STANDARD.encode(context.sign())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tok_09_the_published_vector() {
        let signature = identity_signature(
            &Secret::from("vestibule-test-consumer-secret".to_owned()),
            "https://login.vestibule.example/id/00D000000000001AAA/005000000000001AAA",
            "1667600739962",
        );
        assert_eq!(signature, "z8eA/4m7FVuux7zjKR7NmSTcRA1eBiop3wihXiVcrJo=");
    }
}
