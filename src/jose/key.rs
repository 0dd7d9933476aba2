//! Public keys of other parties: from a JWK (RFC 7517, RFC 7518 section 6, RFC 8037) or from the
//! SubjectPublicKeyInfo of a certificate (RFC 5280 section 4.1).
//!
//! A key has one algorithm: RS256 for RSA of 2,048 to 4,096 bits, ES256 for P-256, EdDSA for Ed25519.

use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::der::{Reader, tag};
use crate::algorithm::Algorithm;

/// `rsaEncryption`, 1.2.840.113549.1.1.1.
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// `id-ecPublicKey`, 1.2.840.10045.2.1.
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// `secp256r1`, 1.2.840.10045.3.1.7.
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// `id-Ed25519`, 1.3.101.112.
const ED25519_ID: &[u8] = &[0x2b, 0x65, 0x70];

/// Bits of an RSA modulus: fewer are weak, more only cost time.
const MODULUS_BITS: std::ops::RangeInclusive<usize> = 2_048..=4_096;

/// A public key of an accepted type and size.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    material: Material,
}

#[derive(Clone, PartialEq, Eq)]
enum Material {
    Ed25519([u8; 32]),
    /// An uncompressed point: 0x04, then x and y.
    P256(Vec<u8>),
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
}

impl PublicKey {
    /// Parses a public JWK. Members that do not describe the key material are ignored, except `alg`, which must be
    /// the key's algorithm.
    ///
    /// # Errors
    /// The reason: another type or curve, a weak key, a private key, a point that is not on its curve.
    pub fn from_jwk(jwk: &Value) -> Result<PublicKey, &'static str> {
        let members = jwk.as_object().ok_or("it is not an object")?;
        if members.contains_key("d") || members.contains_key("k") {
            return Err("it is not public");
        }
        let key = match text(members, "kty") {
            Some("EC") if text(members, "crv") == Some("P-256") => {
                let mut point = vec![0x04];
                point.extend_from_slice(&bytes::<32>(members, "x")?);
                point.extend_from_slice(&bytes::<32>(members, "y")?);
                PublicKey::p256(point)
            }
            Some("OKP") if text(members, "crv") == Some("Ed25519") => {
                PublicKey::ed25519(bytes::<32>(members, "x")?)
            }
            Some("RSA") => PublicKey::rsa(decoded(members, "n")?, decoded(members, "e")?),
            _ => Err("its type is none of RSA, P-256 and Ed25519"),
        }?;
        match members.get("alg") {
            Some(alg) if alg != key.algorithm().as_str() => Err("its alg is not the key's"),
            _ => Ok(key),
        }
    }

    /// Parses the contents of a SubjectPublicKeyInfo.
    pub(super) fn from_spki(spki: &mut Reader<'_>) -> Result<PublicKey, &'static str> {
        const UNREADABLE: &str = "its key cannot be read";
        let mut algorithm = spki.sequence().ok_or(UNREADABLE)?;
        let id = algorithm.value(tag::OBJECT_IDENTIFIER).ok_or(UNREADABLE)?;
        let key = spki.bit_string().ok_or(UNREADABLE)?;
        match id {
            RSA_ENCRYPTION => {
                let mut key = Reader::new(key).sequence().ok_or(UNREADABLE)?;
                let n = key.positive_integer().ok_or(UNREADABLE)?;
                let e = key.positive_integer().ok_or(UNREADABLE)?;
                PublicKey::rsa(n.to_vec(), e.to_vec())
            }
            EC_PUBLIC_KEY if algorithm.value(tag::OBJECT_IDENTIFIER) == Some(P256) => {
                PublicKey::p256(key.to_vec())
            }
            ED25519_ID => PublicKey::ed25519(key.try_into().map_err(|_| UNREADABLE)?),
            _ => Err("its key is none of RSA, P-256 and Ed25519"),
        }
    }

    fn rsa(n: Vec<u8>, e: Vec<u8>) -> Result<PublicKey, &'static str> {
        let bits = match n.first() {
            Some(first) if *first != 0 => n.len() * 8 - first.leading_zeros() as usize,
            _ => return Err("its modulus has leading zeros"),
        };
        if !MODULUS_BITS.contains(&bits) {
            return Err("an RSA key has 2048 to 4096 bits");
        }
        // An exponent of one would make every message its own signature.
        let is_odd = e.last().is_some_and(|last| last & 1 == 1);
        let is_sound = is_odd && e.first() != Some(&0) && e.len() <= 4 && e != [1];
        match is_sound {
            true => Ok(PublicKey {
                material: Material::Rsa { n, e },
            }),
            false => Err("its exponent is not an odd number from 3 on"),
        }
    }

    fn p256(point: Vec<u8>) -> Result<PublicKey, &'static str> {
        let is_point = point.len() == 65
            && point[0] == 0x04
            && ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point).is_ok();
        match is_point {
            true => Ok(PublicKey {
                material: Material::P256(point),
            }),
            false => Err("its point is not on the curve"),
        }
    }

    fn ed25519(point: [u8; 32]) -> Result<PublicKey, &'static str> {
        match ParsedPublicKey::new(&ED25519, point) {
            Ok(_) => Ok(PublicKey {
                material: Material::Ed25519(point),
            }),
            Err(_) => Err("its point is not on the curve"),
        }
    }

    /// The one algorithm of the key.
    pub fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Ed25519(_) => Algorithm::EdDSA,
            Material::P256(_) => Algorithm::ES256,
            Material::Rsa { .. } => Algorithm::RS256,
        }
    }

    /// Verifies a signature over a message.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let verified = match &self.material {
            Material::Ed25519(point) => {
                UnparsedPublicKey::new(&ED25519, point).verify(message, signature)
            }
            Material::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            Material::Rsa { n, e } => RsaPublicKeyComponents { n, e }.verify(
                &RSA_PKCS1_2048_8192_SHA256,
                message,
                signature,
            ),
        };
        verified.is_ok()
    }

    /// The required members of the public JWK, in lexical order.
    fn required_members(&self) -> Value {
        let base64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match &self.material {
            Material::Ed25519(x) => json!({"crv": "Ed25519", "kty": "OKP", "x": base64(x)}),
            Material::P256(point) => {
                let (x, y) = (base64(&point[1..33]), base64(&point[33..]));
                json!({"crv": "P-256", "kty": "EC", "x": x, "y": y})
            }
            Material::Rsa { n, e } => json!({"e": base64(e), "kty": "RSA", "n": base64(n)}),
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.algorithm().as_str())
    }
}

/// The SHA-256 thumbprint of a key, in base64url: 43 characters (RFC 7638).
pub fn jwk_thumbprint(key: &PublicKey) -> String {
    let members = key.required_members().to_string();
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, members.as_bytes());
    URL_SAFE_NO_PAD.encode(hash)
}

fn text<'m>(members: &'m Map<String, Value>, name: &str) -> Option<&'m str> {
    members.get(name).and_then(Value::as_str)
}

fn decoded(members: &Map<String, Value>, name: &str) -> Result<Vec<u8>, &'static str> {
    text(members, name)
        .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
        .ok_or("a member is missing or not base64url")
}

fn bytes<const N: usize>(
    members: &Map<String, Value>,
    name: &str,
) -> Result<[u8; N], &'static str> {
    decoded(members, name)?
        .try_into()
        .map_err(|_| "a coordinate has the wrong length")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7638 section 3.1.
    const RSA_JWK: &str = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#;

    fn jwk(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn jwt_24_a_thumbprint_equals_the_published_value() {
        let key = PublicKey::from_jwk(&jwk(RSA_JWK)).unwrap();
        assert_eq!(key.algorithm(), Algorithm::RS256);
        assert_eq!(
            jwk_thumbprint(&key),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
    }

    #[test]
    fn jwt_24_the_published_signature_of_ed25519_verifies() {
        // RFC 8037 appendix A.2 to A.4.
        let key = PublicKey::from_jwk(&jwk(
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        ))
        .unwrap();
        let signature = URL_SAFE_NO_PAD
            .decode("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg")
            .unwrap();
        let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        assert!(key.verifies(message, &signature));
        assert!(!key.verifies(b"eyJhbGciOiJFZERTQSJ9.", &signature));
        assert_eq!(
            jwk_thumbprint(&key),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }

    #[test]
    fn jwt_24_the_published_signature_of_p256_verifies() {
        // RFC 7515 appendix A.3.
        let key = PublicKey::from_jwk(&jwk(
            r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
        ))
        .unwrap();
        let message = b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = URL_SAFE_NO_PAD
            .decode("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q")
            .unwrap();
        assert!(key.verifies(message, &signature));
        // JWT-21: zeros, and DER in place of the two numbers.
        assert!(!key.verifies(message, &[0; 64]));
        let mut der = vec![0x30, 0x44, 0x02, 0x20];
        der.extend_from_slice(&signature[..32]);
        der.extend_from_slice(&[0x02, 0x20]);
        der.extend_from_slice(&signature[32..]);
        assert!(!key.verifies(message, &der));
    }

    #[test]
    fn jwt_22_a_key_that_is_weak_private_or_unknown_is_refused() {
        let changed = |name: &str, value: Value| {
            let mut key = jwk(RSA_JWK);
            key[name] = value;
            PublicKey::from_jwk(&key)
        };
        for (name, value) in [
            ("e", json!("AQ")),
            ("e", json!("Ag")),
            ("e", json!("AAEAAQ")),
            ("n", json!(URL_SAFE_NO_PAD.encode([0xff; 128]))),
            ("n", json!(URL_SAFE_NO_PAD.encode([0xff; 513]))),
            ("n", json!("not base64url!")),
            ("n", json!(7)),
            ("kty", json!("oct")),
            ("kty", json!("EC")),
            ("d", json!("AQAB")),
            ("k", json!("AQAB")),
            ("alg", json!("HS256")),
            ("alg", json!("PS256")),
        ] {
            assert!(changed(name, value.clone()).is_err(), "{name} {value}");
        }
        for text in [
            r#"{"kty":"EC","crv":"P-384","x":"AA","y":"AA"}"#,
            r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"}"#,
            r#"{"kty":"OKP","crv":"X25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
            r#"{"kty":"OKP","crv":"Ed25519","x":"AA"}"#,
            "[]",
        ] {
            assert!(PublicKey::from_jwk(&jwk(text)).is_err(), "{text}");
        }
    }
}
