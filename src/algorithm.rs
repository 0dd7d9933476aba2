//! The signature algorithms that a client may choose (RFC 7518, RFC 8037).

use vestibule_protocol::words;

words! {
    /// A JOSE signature algorithm, in the order in which they are published.
    pub enum Algorithm {
        /// RSASSA-PKCS1-v1_5 with SHA-256, 2048 bits. OpenID Connect libraries expect it.
        RS256 = "RS256",
        /// ECDSA over P-256 with SHA-256; eighteen times cheaper to sign.
        ES256 = "ES256",
        /// Ed25519.
        EdDSA = "EdDSA",
    }
}
