//! Opaque secrets: random text for the client, its SHA-256 for the database.

use vestibule_protocol::secret::Secret;

use crate::moment::{BASE62, Entropy};
use crate::sealing::sha256;

/// 256 bits in base62.
const SECRET_CHARACTERS: usize = 43;

/// A fresh secret and the hash under which it is stored.
#[derive(Debug)]
pub struct Minted {
    /// The text for the client.
    pub text: Secret,
    /// SHA-256 of the text.
    pub hash: [u8; 32],
}

impl Minted {
    pub(super) fn new(text: String) -> Minted {
        Minted {
            hash: sha256(text.as_bytes()),
            text: Secret::from(text),
        }
    }
}

/// An opaque access token: `<15-character org id>!AQEAQ…`.
pub fn mint_access_token(org_id: &str, entropy: &Entropy) -> Minted {
    let org = org_id.get(..15).unwrap_or(org_id);
    Minted::new(format!(
        "{org}!AQEAQ{}",
        entropy.text(BASE62, SECRET_CHARACTERS)
    ))
}

/// An authorization code: `aPrx…`.
pub fn mint_authorization_code(entropy: &Entropy) -> Minted {
    Minted::new(format!("aPrx{}", entropy.text(BASE62, SECRET_CHARACTERS)))
}

/// An `auth_session`: 256 bits.
pub fn mint_auth_session(entropy: &Entropy) -> Minted {
    Minted::new(entropy.text(BASE62, SECRET_CHARACTERS))
}

/// A consumer key: `3MVG9…`, 85 characters.
pub fn mint_client_id(entropy: &Entropy) -> String {
    format!("3MVG9{}", entropy.text(BASE62, 80))
}

/// A consumer secret.
pub fn mint_client_secret(entropy: &Entropy) -> Minted {
    Minted::new(entropy.text(BASE62, SECRET_CHARACTERS))
}

/// A `jti`: at least 128 bits.
pub fn mint_token_id(entropy: &Entropy) -> Minted {
    Minted::new(entropy.text(BASE62, 22))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minted_values_have_their_documented_beginnings_and_need_no_escaping() {
        let entropy = Entropy::seeded(3);
        let token = mint_access_token("00D000000000001EAA", &entropy);
        assert!(token.text.expose().starts_with("00D000000000001!AQEAQ"));
        assert_eq!(token.hash, sha256(token.text.expose().as_bytes()));
        let code = mint_authorization_code(&entropy);
        assert!(code.text.expose().starts_with("aPrx"));
        assert!(
            code.text
                .expose()
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric())
        );
        assert_eq!(mint_client_id(&entropy).len(), 85);
    }
}
