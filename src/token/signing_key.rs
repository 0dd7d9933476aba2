//! Signing keys: generated here, sealed in the database, published as a JWK Set (RFC 7517).

use std::sync::Arc;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::key_life::{KeyRecord, KeyState};
use crate::algorithm::Algorithm;
use crate::moment::Moment;
use crate::refusal::Fault;
use crate::sealing::sha256;

/// A key pair and its metadata.
pub struct SigningKey {
    /// Its metadata.
    pub record: KeyRecord,
    pair: Pair,
    public: Vec<u8>,
    jwk: Value,
}

enum Pair {
    Rsa(rsa::KeyPair),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// Generates a key pair and its PKCS #8 form, which the caller seals. RSA takes about 50 ms of CPU time. The
    /// key is a current one.
    ///
    /// # Faults
    /// The cryptographic library fails, which does not occur.
    pub fn generate(
        algorithm: Algorithm,
        at: Moment,
    ) -> Result<(SigningKey, Zeroizing<Vec<u8>>), Fault> {
        let der = match algorithm {
            Algorithm::RS256 => rsa::KeyPair::generate(KeySize::Rsa2048)
                .and_then(|pair| pair.as_der().map(|der| pkcs8(der.as_ref()))),
            Algorithm::ES256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
                .and_then(|pair| pair.to_pkcs8v1().map(|der| pkcs8(der.as_ref()))),
            Algorithm::EdDSA => Ed25519KeyPair::generate()
                .and_then(|pair| pair.to_pkcs8v1().map(|der| pkcs8(der.as_ref()))),
        }
        .map_err(|error| Fault::new("making a signing key", error))?;
        let key = SigningKey::read(algorithm, &der, |id| KeyRecord {
            id,
            algorithm,
            state: KeyState::Current,
            created_at: at,
            activated_at: Some(at),
            retired_at: None,
        })?;
        Ok((key, der))
    }

    /// Parses a key pair from its PKCS #8 form.
    ///
    /// # Faults
    /// The bytes are not the key of the record.
    pub fn from_pkcs8(record: KeyRecord, der: &[u8]) -> Result<SigningKey, Fault> {
        let algorithm = record.algorithm;
        let expected = record.id.clone();
        let key = SigningKey::read(algorithm, der, |id| KeyRecord { id, ..record })?;
        match key.record.id == expected {
            true => Ok(key),
            false => Err(Fault::described("reading a signing key", expected)),
        }
    }

    fn read(
        algorithm: Algorithm,
        der: &[u8],
        record: impl FnOnce(String) -> KeyRecord,
    ) -> Result<SigningKey, Fault> {
        let rejected = |error| Fault::new("reading a signing key", error);
        let pair = match algorithm {
            Algorithm::RS256 => Pair::Rsa(rsa::KeyPair::from_pkcs8(der).map_err(rejected)?),
            Algorithm::ES256 => Pair::Ecdsa(
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
                    .map_err(rejected)?,
            ),
            Algorithm::EdDSA => Pair::Ed25519(Ed25519KeyPair::from_pkcs8(der).map_err(rejected)?),
        };
        let (public, mut jwk) = public_half(&pair);
        // The members of the thumbprint are in lexical order (RFC 7638 section 3).
        let id = URL_SAFE_NO_PAD.encode(sha256(jwk.to_string().as_bytes()));
        if let Some(members) = jwk.as_object_mut() {
            members.insert("use".into(), json!("sig"));
            members.insert("alg".into(), json!(algorithm.as_str()));
            members.insert("kid".into(), json!(id));
        }
        Ok(SigningKey {
            record: record(id),
            pair,
            public,
            jwk,
        })
    }

    /// Signs a message.
    ///
    /// # Faults
    /// The cryptographic library fails, which does not occur.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Fault> {
        let rng = SystemRandom::new();
        let signed = match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &rng, message, &mut signature)
                    .map(|()| signature)
            }
            Pair::Ecdsa(pair) => pair.sign(&rng, message).map(|s| s.as_ref().to_vec()),
            Pair::Ed25519(pair) => pair.try_sign(message).map(|s| s.as_ref().to_vec()),
        };
        signed.map_err(|error| Fault::new("signing", error))
    }

    /// Verifies a signature over a message.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let algorithm: &'static dyn signature::VerificationAlgorithm = match self.record.algorithm {
            Algorithm::RS256 => &RSA_PKCS1_2048_8192_SHA256,
            Algorithm::ES256 => &ECDSA_P256_SHA256_FIXED,
            Algorithm::EdDSA => &ED25519,
        };
        UnparsedPublicKey::new(algorithm, &self.public)
            .verify(message, signature)
            .is_ok()
    }

    /// The public half as a JWK.
    pub fn jwk(&self) -> &Value {
        &self.jwk
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let KeyRecord { id, algorithm, .. } = &self.record;
        write!(f, "SigningKey({} {id})", algorithm.as_str())
    }
}

fn pkcs8(der: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(der.to_vec())
}

fn public_half(pair: &Pair) -> (Vec<u8>, Value) {
    let base64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    match pair {
        Pair::Rsa(pair) => {
            let public = pair.public_key();
            let n = base64(public.modulus().big_endian_without_leading_zero());
            let e = base64(public.exponent().big_endian_without_leading_zero());
            (
                public.as_ref().to_vec(),
                json!({"e": e, "kty": "RSA", "n": n}),
            )
        }
        Pair::Ecdsa(pair) => {
            // An uncompressed point: one byte 0x04, then x and y of 32 bytes each.
            let point = pair.public_key().as_ref().to_vec();
            let (x, y) = (base64(&point[1..33]), base64(&point[33..65]));
            (point, json!({"crv": "P-256", "kty": "EC", "x": x, "y": y}))
        }
        Pair::Ed25519(pair) => {
            let point = pair.public_key().as_ref().to_vec();
            let x = base64(&point);
            (point, json!({"crv": "Ed25519", "kty": "OKP", "x": x}))
        }
    }
}

/// The keys of the installation.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<Arc<SigningKey>>,
}

impl KeySet {
    /// A set of keys, the newest last.
    pub fn new(keys: Vec<Arc<SigningKey>>) -> KeySet {
        KeySet { keys }
    }

    /// The key that signs with an algorithm.
    ///
    /// # Faults
    /// The installation has no key for it, which its initialisation rules out.
    pub fn current(&self, algorithm: Algorithm) -> Result<&SigningKey, Fault> {
        self.keys
            .iter()
            .rev()
            .find(|key| key.record.algorithm == algorithm && key.record.state == KeyState::Current)
            .map(Arc::as_ref)
            .ok_or_else(|| Fault::described("finding a signing key", algorithm.as_str().into()))
    }

    /// The key with a `kid`, in any state.
    pub fn find(&self, kid: &str) -> Option<&SigningKey> {
        self.keys
            .iter()
            .find(|key| key.record.id == kid)
            .map(Arc::as_ref)
    }

    /// The metadata of all keys.
    pub fn records(&self) -> Vec<KeyRecord> {
        self.keys.iter().map(|key| key.record.clone()).collect()
    }

    /// The JWK Set document.
    pub fn jwks(&self) -> String {
        let keys: Vec<&Value> = self.keys.iter().map(|key| key.jwk()).collect();
        json!({ "keys": keys }).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_parsed_from_its_pkcs8_and_verifies_only_its_signature() {
        for algorithm in Algorithm::ALL {
            let at = Moment::from_millis(0);
            let (key, der) = SigningKey::generate(algorithm, at).unwrap();
            let again = SigningKey::from_pkcs8(key.record.clone(), &der).unwrap();
            assert_eq!(key.record, again.record);
            let (other, _) = SigningKey::generate(algorithm, at).unwrap();
            assert!(
                SigningKey::from_pkcs8(other.record, &der).is_err(),
                "another kid"
            );
            let signature = again.sign(b"message").unwrap();
            assert!(key.verifies(b"message", &signature));
            assert!(!key.verifies(b"messagf", &signature));
            let (other, _) = SigningKey::generate(algorithm, at).unwrap();
            assert!(!other.verifies(b"message", &signature));
        }
    }
}
