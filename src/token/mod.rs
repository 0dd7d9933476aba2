//! Tokens: codes, tokens and keys as pure values.
//!
//! Opaque access tokens, refresh tokens and authorization codes are stored as SHA-256; id_tokens and JWT access
//! tokens are signed with the installation's keys (RFC 7515, RFC 7519, OpenID Connect Core 1.0). Signing keys are
//! generated and parsed here, and their lifetimes are decided here; `store` keeps them sealed.

mod claims;
mod jwt;
pub mod key_life;
mod opaque;
mod refresh;
mod signature;
mod signing_key;

pub use claims::{AccessClaims, IdClaims, at_hash};
pub use jwt::{JwtProblem, decode, encode};
pub use key_life::{KeyRecord, KeyRules, KeyState, KeyStep};
pub use opaque::{
    Minted, mint_access_token, mint_auth_session, mint_authorization_code, mint_client_id,
    mint_client_secret, mint_token_id,
};
pub use refresh::{
    FamilyState, RETRY_SECONDS, Replaced, Salt, Standing, family_of, mint_refresh_token,
    succeed_refresh_token,
};
pub use signature::identity_signature;
pub use signing_key::{KeySet, SigningKey};
