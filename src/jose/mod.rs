//! JOSE: verifying the JWTs and parsing the public keys of other parties.
//!
//! This module owns the strict parsing of a compact JWS (RFC 7515), of a public JWK (RFC 7517, RFC 7638) and of the
//! parts of an X.509 certificate that matter when an administrator registered it: its key and its validity period.
//! The algorithm is the key's and never the header's (RFC 8725 section 3.1), no header makes the server fetch
//! anything, and no claim can be read before the signature is verified. The required values of the claims are left
//! to the caller. The JWTs that the server signs belong to the module `token`.

mod certificate;
mod der;
mod jws;
mod key;

pub use certificate::{CERTIFICATE_BYTES_MAX, Certificate};
pub use jws::{Claims, JWS_BYTES_MAX, Jws, JwsProblem};
pub use key::{PublicKey, jwk_thumbprint};
