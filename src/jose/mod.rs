//! JOSE from strangers: JWTs that others sign, and the public keys that they sign them with.
//!
//! Owns the strict reading of a compact JWS (RFC 7515), of a public JWK (RFC 7517, RFC 7638) and of
//! the few parts of an X.509 certificate that matter when it was registered by hand: its key and its
//! dates. The algorithm is the key's and never the header's (RFC 8725 section 3.1), no header makes us
//! fetch anything, and no claim can be read before the signature holds. What the claims must say is
//! left to whoever asks; the JWTs that we sign ourselves are the room `token`'s.

mod certificate;
mod der;
mod jws;
mod key;

pub use certificate::{CERTIFICATE_BYTES_MAX, Certificate};
pub use jws::{Claims, JWS_BYTES_MAX, Jws, JwsProblem};
pub use key::{PublicKey, jwk_thumbprint};
