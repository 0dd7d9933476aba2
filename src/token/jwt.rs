//! JWS compact serialisation (RFC 7515 section 7.1) for the two kinds of JWT that are issued.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::signing_key::{KeySet, SigningKey};
use crate::refusal::Fault;

/// Why a JWT was refused. The reason is not disclosed to unauthenticated callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwtProblem {
    /// The header names another algorithm than the key's.
    Algorithm,
    /// Not three base64url parts with JSON in the first two.
    Form,
    /// The installation has no key with this `kid`.
    Key,
    /// The signature does not verify.
    Signature,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
}

/// Signs claims. `typ` is `JWT`, `kid` is the key's id.
///
/// # Faults
/// The cryptographic library refuses.
pub fn encode(key: &SigningKey, claims: &impl Serialize) -> Result<String, Fault> {
    let claims = serde_json::to_vec(claims).map_err(|error| Fault::new("writing claims", error))?;
    let header = format!(
        r#"{{"alg":"{}","typ":"JWT","kid":"{}"}}"#,
        key.record.algorithm.as_str(),
        key.record.id
    );
    let mut token = String::with_capacity(1024);
    URL_SAFE_NO_PAD.encode_string(header, &mut token);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut token);
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

/// Verifies a JWT against the installation's keys and returns its claims. The algorithm is the key's, never the
/// header's (RFC 8725 section 3.1). The caller checks times and audience.
///
/// # Errors
/// [`JwtProblem`].
pub fn decode<T: DeserializeOwned>(keys: &KeySet, token: &str) -> Result<T, JwtProblem> {
    let (signed, signature) = token.rsplit_once('.').ok_or(JwtProblem::Form)?;
    let (header, claims) = signed.split_once('.').ok_or(JwtProblem::Form)?;
    let header: Header = from_base64_json(header)?;
    let key = header
        .kid
        .as_deref()
        .and_then(|kid| keys.find(kid))
        .ok_or(JwtProblem::Key)?;
    if header.alg != key.record.algorithm.as_str() || header.typ.as_deref() != Some("JWT") {
        return Err(JwtProblem::Algorithm);
    }
    let signature = URL_SAFE_NO_PAD
        .decode(signature)
        .map_err(|_| JwtProblem::Form)?;
    if !key.verifies(signed.as_bytes(), &signature) {
        return Err(JwtProblem::Signature);
    }
    from_base64_json(claims)
}

fn from_base64_json<T: DeserializeOwned>(part: &str) -> Result<T, JwtProblem> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| JwtProblem::Form)?;
    serde_json::from_slice(&bytes).map_err(|_| JwtProblem::Form)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::algorithm::Algorithm;
    use crate::moment::Moment;

    #[test]
    fn a_token_decodes_with_its_key_only() {
        for algorithm in Algorithm::ALL {
            let (key, _) = SigningKey::generate(algorithm, Moment::from_millis(0)).unwrap();
            let (other, _) = SigningKey::generate(algorithm, Moment::from_millis(0)).unwrap();
            let token = encode(&key, &json!({"sub": "x"})).unwrap();
            let keys = KeySet::new(vec![Arc::new(key)]);
            assert_eq!(decode::<Value>(&keys, &token).unwrap()["sub"], "x");

            let foreign_keys = KeySet::new(vec![Arc::new(other)]);
            assert_eq!(
                decode::<Value>(&foreign_keys, &token).unwrap_err(),
                JwtProblem::Key
            );

            let parts: Vec<&str> = token.split('.').collect();
            let forged = URL_SAFE_NO_PAD.encode(r#"{"sub":"y"}"#);
            let forged = format!("{}.{forged}.{}", parts[0], parts[2]);
            assert_eq!(
                decode::<Value>(&keys, &forged).unwrap_err(),
                JwtProblem::Signature
            );

            let kid = keys.current(algorithm).unwrap().record.id.clone();
            let none = json!({"alg": "none", "typ": "JWT", "kid": kid}).to_string();
            let none = format!("{}.{}.", URL_SAFE_NO_PAD.encode(none), parts[1]);
            assert_eq!(
                decode::<Value>(&keys, &none).unwrap_err(),
                JwtProblem::Algorithm
            );
            assert_eq!(decode::<Value>(&keys, "a.b").unwrap_err(), JwtProblem::Form);
        }
    }
}
