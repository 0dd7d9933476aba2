//! PKCE: the form of a code verifier, and the encoding of a challenge.
//!
//! This file owns the two rules about text. Hashing the verifier and comparing in constant time are left to the
//! server, which has a hash function; the form of a challenge that a client sends is checked in `authorization`.
//!
//! Implements RFC 7636 sections 4.1 and 4.2. The method is always S256. A verifier may be longer than the RFC
//! allows: the headless documentation and its mobile SDKs encode 128 random bytes, which makes 171 characters.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Encodes the SHA-256 digest of a verifier as its challenge.
///
/// ```
/// use vestibule_protocol::pkce::encode_challenge;
/// // RFC 7636 appendix B: the digest of `dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk`.
/// let digest = [
///     19, 211, 30, 150, 26, 26, 216, 236, 47, 22, 177, 12, 76, 152, 46, 8, 118, 168, 120, 173,
///     109, 241, 68, 86, 110, 225, 137, 74, 203, 112, 249, 195,
/// ];
/// assert_eq!(encode_challenge(&digest), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
/// ```
///
/// Source: RFC 7636 section 4.2 and appendix A.
pub fn encode_challenge(digest: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest)
}

/// Whether a text may be a code verifier: 43 to 256 unreserved characters.
///
/// Source: RFC 7636 section 4.1, with a longer maximum (see above).
pub fn verifier_is_well_formed(verifier: &str) -> bool {
    (VERIFIER_LENGTH_MIN..=VERIFIER_LENGTH_MAX).contains(&verifier.len())
        && verifier.bytes().all(is_unreserved)
}

/// Whether a byte needs no escaping anywhere in a URL. Source: RFC 3986 section 2.3.
pub(crate) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The minimum length of a verifier: 32 random bytes, encoded.
pub const VERIFIER_LENGTH_MIN: usize = 43;
/// The maximum length of a verifier: enough for the SDKs' 171, and short enough to hash quickly.
pub const VERIFIER_LENGTH_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifiers_of_the_rfc_and_of_the_sdks_are_well_formed() {
        // PKCE-08: RFC 7636 appendix B.
        assert!(verifier_is_well_formed(
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        ));
        let random: Vec<u8> = (0..128).collect();
        let verifier = URL_SAFE_NO_PAD.encode(random);
        assert_eq!(verifier.len(), 171);
        assert!(verifier_is_well_formed(&verifier));
    }

    #[test]
    fn a_verifier_of_the_wrong_length_or_alphabet_is_not() {
        // PKCE-05. 129 characters are allowed here, unlike in the RFC.
        let of_length = |length| verifier_is_well_formed(&"a".repeat(length));
        assert!(!of_length(0) && !of_length(42) && !of_length(257));
        assert!(of_length(43) && of_length(129) && of_length(256));
        for foreign in ["+", "/", "=", " ", "é", "\n", "%", "!"] {
            let verifier = format!("{}{foreign}", "a".repeat(50));
            assert!(!verifier_is_well_formed(&verifier), "{foreign:?}");
        }
        assert!(verifier_is_well_formed(&"-._~0Za".repeat(7)));
    }
}
