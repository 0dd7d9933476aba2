//! Keys, certificates and JWTs of an app, generated here without the server's code.

use std::sync::OnceLock;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::fixture::{BASE_URL, Call, PUBLIC_URL, Site};

/// The documented endpoint.
pub const V1: &str = "/services/oauth2/v1/authorization_challenge";
/// The endpoint of the draft.
pub const STANDARD_PATH: &str = "/services/oauth2/authorization_challenge";
/// The endpoint for attestation challenges.
pub const CHALLENGES: &str = "/services/oauth2/attestation_challenge";

/// The two headers of an attestation, and the one of the combined mode.
pub const ATTESTATION: &str = "oauth-client-attestation";
pub const POP: &str = "oauth-client-attestation-pop";
pub const CHALLENGE_HEADER: &str = "oauth-client-attestation-challenge";

/// A key that signs JWTs.
pub enum Key {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl Key {
    pub fn ed25519() -> Key {
        Key::Ed25519(Ed25519KeyPair::generate().unwrap())
    }

    pub fn p256() -> Key {
        Key::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub fn rsa() -> Key {
        Key::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    pub fn alg(&self) -> &'static str {
        match self {
            Key::Ed25519(_) => "EdDSA",
            Key::P256(_) => "ES256",
            Key::Rsa(_) => "RS256",
        }
    }

    /// The private key, PKCS #8 in PEM; of RSA only.
    pub fn pkcs8(&self) -> String {
        let Key::Rsa(pair) = self else {
            panic!("only RSA")
        };
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let text = STANDARD.encode(der.as_ref());
        format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n")
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let rng = SystemRandom::new();
        match self {
            Key::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Key::P256(pair) => pair.sign(&rng, message).unwrap().as_ref().to_vec(),
            Key::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &rng, message, &mut signature)
                    .unwrap();
                signature
            }
        }
    }

    /// A JWT with this header (`alg` defaults to the key's) and these claims.
    pub fn jwt(&self, mut header: Value, claims: &Value) -> String {
        if header.get("alg").is_none() {
            header["alg"] = json!(self.alg());
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    pub fn jwk(&self) -> Value {
        let base64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Key::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": base64(pair.public_key().as_ref())})
            }
            Key::P256(pair) => {
                let point = pair.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "x": base64(&point[1..33]), "y": base64(&point[33..])})
            }
            Key::Rsa(pair) => {
                let public = pair.public_key();
                let n = base64(public.modulus().big_endian_without_leading_zero());
                let e = base64(public.exponent().big_endian_without_leading_zero());
                json!({"kty": "RSA", "n": n, "e": e})
            }
        }
    }

    fn spki(&self) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = match self {
            Key::Ed25519(pair) => pair.public_key().as_der(),
            Key::P256(pair) => pair.public_key().as_der(),
            Key::Rsa(pair) => pair.public_key().as_der(),
        }
        .unwrap();
        der.as_ref().to_vec()
    }

    /// A certificate for the key, in PEM, valid from 2020 to 2039.
    pub fn certificate(&self) -> String {
        self.certificate_of("200101000000Z", "391231235959Z")
    }

    /// The same with these dates.
    pub fn certificate_of(&self, not_before: &str, not_after: &str) -> String {
        // sha256WithRSAEncryption. The issuer's signature of a registered certificate is not checked.
        let signature = der(
            0x30,
            &[
                0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b,
            ],
        );
        let name = der(0x30, &[]);
        let dates = [
            der(0x17, not_before.as_bytes()),
            der(0x17, not_after.as_bytes()),
        ]
        .concat();
        let version = der(0xa0, &der(0x02, &[2]));
        let signed = [
            version,
            der(0x02, &[1]),
            signature.clone(),
            name.clone(),
            der(0x30, &dates),
            name,
            self.spki(),
        ]
        .concat();
        let whole = [der(0x30, &signed), signature, der(0x03, &[0; 33])].concat();
        let text = STANDARD.encode(der(0x30, &whole));
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    }
}

fn der(tag: u8, contents: &[u8]) -> Vec<u8> {
    let mut encoded = vec![tag];
    match contents.len() {
        length @ 0..=0x7f => encoded.push(length as u8),
        length @ 0x80..=0xff => encoded.extend([0x81, length as u8]),
        length => encoded.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    encoded.extend_from_slice(contents);
    encoded
}

/// The key of the app's certificate.
pub fn registered() -> &'static Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(Key::rsa)
}

/// Another RSA key.
pub fn strange() -> &'static Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(Key::rsa)
}

/// The claims of a valid client assertion of the private client.
pub fn assertion_claims(site: &Site, jti: &str) -> Value {
    let now = site.app.now().seconds();
    json!({
        "iss": site.client.id, "sub": site.client.id, "aud": BASE_URL,
        "iat": now, "exp": now + 240, "jti": jti,
    })
}

/// A valid client assertion; each call returns a different one.
pub fn assertion(site: &Site) -> String {
    let jti = site.app.entropy.text(b"0123456789abcdef", 32);
    registered().jwt(json!({"alg": "RS256"}), &assertion_claims(site, &jti))
}

/// Enables the private client at the documented endpoint.
pub async fn enable(site: &Site) {
    site.update_settings(json!({"isFirstPartyAppsAllowed": true}))
        .await;
    site.update_client(
        &site.client.id,
        json!({
            "isFirstPartyAppEnabled": true, "isPkceRequired": true,
            "clientAssertionCertificate": [registered().certificate()],
        }),
    )
    .await;
}

/// A request of the private client at the documented endpoint, with a valid assertion and no step.
pub fn asserted(site: &Site) -> Call {
    Call::post(V1)
        .form("client_id", &site.client.id)
        .form("client_assertion", &assertion(site))
        .form("code_challenge", crate::fixture::CHALLENGE)
}

/// An instance of the public app: its own key, attested with the key of the app's certificate.
pub struct Instance {
    pub key: Key,
}

impl Instance {
    pub fn new() -> Instance {
        Instance { key: Key::p256() }
    }

    pub fn attestation_claims(&self, site: &Site) -> Value {
        let now = site.app.now().seconds();
        json!({
            "sub": site.public_client.id, "iat": now, "exp": now + 3_600,
            "cnf": {"jwk": self.key.jwk()},
        })
    }

    pub fn attestation(&self, site: &Site) -> String {
        let header = json!({"typ": "oauth-client-attestation+jwt"});
        registered().jwt(header, &self.attestation_claims(site))
    }

    pub fn pop_claims(&self, site: &Site, challenge: &str) -> Value {
        json!({
            "aud": PUBLIC_URL, "iat": site.app.now().seconds(), "challenge": challenge,
            "jti": site.app.entropy.text(b"0123456789abcdef", 32),
        })
    }

    pub fn pop(&self, claims: &Value) -> String {
        self.key
            .jwt(json!({"typ": "oauth-client-attestation-pop+jwt"}), claims)
    }

    /// A request of the instance at the public site, attested with a fresh challenge.
    pub async fn call(&self, site: &Site, path: &str) -> Call {
        let challenge = challenge(site).await;
        let pop = self.pop(&self.pop_claims(site, &challenge));
        Call::post(path)
            .on_public()
            .header(ATTESTATION, &self.attestation(site))
            .header(POP, &pop)
            .form("client_id", &site.public_client.id)
    }

    /// The same at the endpoint of the draft, for the start of a login.
    pub async fn asks(&self, site: &Site) -> Call {
        let call = self.call(site, STANDARD_PATH).await;
        call.form("response_type", "code")
            .form("code_challenge", crate::fixture::CHALLENGE)
    }
}

/// A fresh challenge of the public site.
pub async fn challenge(site: &Site) -> String {
    let answer = site
        .send(Call::post(CHALLENGES).on_public())
        .await
        .expect_ok();
    answer.json()["attestation_challenge"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Enables the public client at the endpoint of the draft, without captchas.
pub async fn enable_public(site: &Site) {
    // No site can be saved with neither captcha nor token; without a captcha the attestation alone is tested.
    site.force_settings_of(
        vestibule::admin::seed::PUBLIC,
        json!({
            "isFirstPartyAppsAllowed": true, "isRecaptchaRequiredRgstr": false,
            "isRecaptchaRequiredPwdlessLogin": false, "isRecaptchaRequiredForgotPwd": false,
        }),
    )
    .await;
    site.update_client(
        &site.public_client.id,
        json!({
            "isFirstPartyAppEnabled": true,
            "clientAssertionCertificate": [registered().certificate()],
        }),
    )
    .await;
}
