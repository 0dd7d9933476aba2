//! Sealing: values that must be readable again are stored encrypted under the master key.
//!
//! Consumer secrets (the `signature` member of a token response needs them), signing keys and codes in the outbox
//! are sealed with AES-256-GCM (NIST SP 800-38D). Values that need not be readable again are hashed: opaque tokens
//! and consumer secrets with SHA-256, one-time passwords with HMAC-SHA-256 under a separate key. Each use has its
//! own key, derived from the master key by HKDF (RFC 5869), so that a value sealed for one use cannot be opened for
//! another.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{digest, hkdf, hmac};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq;
use vestibule_protocol::secret::Secret;
use zeroize::Zeroizing;

use crate::moment::{Entropy, Moment};
use crate::refusal::Fault;

/// Length of a master key in bytes.
pub const MASTER_KEY_BYTES: usize = 32;

/// The lifetime of an attestation challenge, in seconds.
pub const ATTESTATION_CHALLENGE_SECONDS: i64 = 300;

/// The prefix of a sealed text.
const SEALED_PREFIX: &str = "sealed:";

/// Length of an attestation challenge before its MAC: its instant, and 128 random bits.
const CHALLENGE_BODY_BYTES: usize = 24;

/// Whether a text is a result of [`Keyring::seal_text`].
pub fn is_sealed_text(text: &str) -> bool {
    text.starts_with(SEALED_PREFIX)
}

/// Kinds of sealed values. The name of a kind is an input of the key derivation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealedKind {
    /// The secret key of a site's captcha verifier.
    CaptchaSecret,
    /// A consumer secret.
    ClientSecret,
    /// The record of a handler's call, which contains personal data.
    HandlerCall,
    /// The secret for the signature of a handler's webhook.
    HandlerSecret,
    /// A one-time password that is valid.
    OneTimePassword,
    /// The variables of a queued message, which may contain a code.
    OutboxMessage,
    /// The private half of a signing key.
    SigningKey,
}

/// The keys of this installation, derived from the master key.
pub struct Keyring {
    // Boxed: it has some kilobytes, which futures would otherwise copy.
    keys: Box<DerivedKeys>,
}

struct DerivedKeys {
    captcha_secret: LessSafeKey,
    client_secret: LessSafeKey,
    handler_call: LessSafeKey,
    handler_secret: LessSafeKey,
    one_time_password_code: LessSafeKey,
    outbox_message: LessSafeKey,
    signing_key: LessSafeKey,
    attestation_challenge: hmac::Key,
    one_time_password: hmac::Key,
    reference: hmac::Key,
    refresh_token: hmac::Key,
    unknown_subject: hmac::Key,
    check: [u8; 16],
}

impl Keyring {
    /// Derives the keys.
    pub fn new(master: &[u8; MASTER_KEY_BYTES]) -> Keyring {
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, b"vestibule 1").extract(master);
        let aead = |info: &[u8]| {
            let key = UnboundKey::new(&AES_256_GCM, derive(&root, info).as_slice())
                .expect("AES-256-GCM takes 32 bytes");
            LessSafeKey::new(key)
        };
        let mut check = [0; 16];
        check.copy_from_slice(&derive(&root, b"check")[..16]);
        let mac = |info: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, derive(&root, info).as_slice());
        let keys = DerivedKeys {
            captcha_secret: aead(b"captcha secret"),
            client_secret: aead(b"client secret"),
            handler_call: aead(b"handler call"),
            handler_secret: aead(b"handler secret"),
            one_time_password_code: aead(b"one-time password code"),
            outbox_message: aead(b"outbox message"),
            signing_key: aead(b"signing key"),
            attestation_challenge: mac(b"attestation challenge"),
            one_time_password: mac(b"one-time password"),
            reference: mac(b"reference"),
            refresh_token: mac(b"refresh token"),
            unknown_subject: mac(b"unknown subject"),
            check,
        };
        Keyring {
            keys: Box::new(keys),
        }
    }

    /// Parses a master key from its file form: 32 bytes in standard base64.
    ///
    /// # Faults
    /// The text has another form. The fault never contains the text.
    pub fn parse(text: &str) -> Result<Keyring, Fault> {
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).unwrap_or_default());
        let master: &[u8; MASTER_KEY_BYTES] = bytes.as_slice().try_into().map_err(|_| {
            Fault::described(
                "reading the master key",
                "it must be 32 bytes in base64 (make one with `openssl rand -base64 32`)".into(),
            )
        })?;
        Ok(Keyring::new(master))
    }

    /// Generates a master key in its file form.
    pub fn generate(entropy: &Entropy) -> Zeroizing<String> {
        let master = Zeroizing::new(entropy.bytes::<MASTER_KEY_BYTES>());
        Zeroizing::new(STANDARD.encode(master.as_slice()))
    }

    /// A value that identifies the master key and reveals nothing else. It is stored in the database, so that a
    /// server with the wrong key refuses to start instead of failing at the first secret.
    pub fn check_value(&self) -> &[u8; 16] {
        &self.keys.check
    }

    /// Seals `plain`, which is of `kind`. `owner` (a row id) is bound to the result: it opens only there.
    pub fn seal(&self, kind: SealedKind, owner: &str, plain: &[u8], entropy: &Entropy) -> Vec<u8> {
        let nonce = entropy.bytes::<NONCE_LEN>();
        let mut sealed = Vec::with_capacity(NONCE_LEN + plain.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(&nonce);
        let mut body = plain.to_vec();
        self.key(kind)
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(owner.as_bytes()),
                &mut body,
            )
            .expect("a value of a few kilobytes can be sealed");
        sealed.append(&mut body);
        sealed
    }

    /// Opens what [`Keyring::seal`] made for the same kind and owner.
    ///
    /// # Faults
    /// The bytes were changed, belong to another row, or were sealed under another master key.
    pub fn open(
        &self,
        kind: SealedKind,
        owner: &str,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let fault = || Fault::described("opening a sealed value", format!("{kind:?} of {owner}"));
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or_else(fault)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| fault())?;
        let mut body = Zeroizing::new(body.to_vec());
        let plain_length = self
            .key(kind)
            .open_in_place(nonce, Aad::from(owner.as_bytes()), &mut body)
            .map_err(|_| fault())?
            .len();
        body.truncate(plain_length);
        Ok(body)
    }

    /// [`Keyring::seal`] as text, for a bag of settings; a prefix marks it as sealed.
    pub fn seal_text(
        &self,
        kind: SealedKind,
        owner: &str,
        plain: &str,
        entropy: &Entropy,
    ) -> String {
        let sealed = self.seal(kind, owner, plain.as_bytes(), entropy);
        format!("{SEALED_PREFIX}{}", STANDARD.encode(sealed))
    }

    /// Opens a result of [`Keyring::seal_text`].
    ///
    /// # Faults
    /// As of [`Keyring::open`].
    pub fn open_text(&self, kind: SealedKind, owner: &str, text: &str) -> Result<Secret, Fault> {
        let sealed = text.strip_prefix(SEALED_PREFIX).unwrap_or_default();
        let plain = self.open(kind, owner, &STANDARD.decode(sealed).unwrap_or_default())?;
        let text = std::str::from_utf8(&plain)
            .map_err(|_| Fault::described("opening a sealed value", format!("{kind:?}")))?;
        Ok(Secret::from(text.to_owned()))
    }

    /// The keyed hash under which a one-time password is stored. The identifier of the request enters it, so that a
    /// stored value is useless in another request (threats OTP-18, OTP-23).
    pub fn one_time_password_mac(&self, identifier_hash: &[u8; 32], code: &str) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.keys.one_time_password);
        context.update(identifier_hash);
        context.update(code.as_bytes());
        let mut mac = [0; 32];
        mac.copy_from_slice(context.sign().as_ref());
        mac
    }

    /// Seals a one-time password for its seed, so that a repeated request can send it again.
    pub fn seal_code(&self, seed: &[u8; 32], code: &Secret, entropy: &Entropy) -> Vec<u8> {
        let plain = code.expose().as_bytes();
        self.seal(SealedKind::OneTimePassword, &hex(seed), plain, entropy)
    }

    /// Opens a sealed one-time password.
    ///
    /// # Faults
    /// It was sealed under another key or for another seed.
    pub fn open_code(&self, seed: &[u8; 32], sealed: &[u8]) -> Result<Secret, Fault> {
        let plain = self.open(SealedKind::OneTimePassword, &hex(seed), sealed)?;
        let code = std::str::from_utf8(&plain)
            .map_err(|_| Fault::described("opening a code", "it is not text".into()))?;
        Ok(Secret::from(code.to_owned()))
    }

    /// The key under which requests that name a user, an address or a number by the same text are counted together.
    /// `text` is in its compared form.
    pub fn reference_key(&self, text: &str) -> String {
        pseudonym(&self.keys.reference, text)
    }

    /// The secret of the successor of a refresh token. Computing it again requires the master key, the salt and the
    /// predecessor.
    pub fn refresh_token_successor(&self, salt: &[u8; 16], predecessor: &Secret) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.keys.refresh_token);
        context.update(salt);
        context.update(predecessor.expose().as_bytes());
        let mut secret = [0; 32];
        secret.copy_from_slice(context.sign().as_ref());
        secret
    }

    /// A fresh attestation challenge of a site. It contains its instant and a MAC, so that every node can verify it
    /// and none has to store it.
    pub fn attestation_challenge(&self, site_id: &str, at: Moment, entropy: &Entropy) -> String {
        let mut body = [0; CHALLENGE_BODY_BYTES];
        body[..8].copy_from_slice(&at.millis().to_be_bytes());
        entropy.fill(&mut body[8..]);
        let mac = self.challenge_mac(site_id, &body);
        URL_SAFE_NO_PAD.encode([&body[..], mac.as_ref()].concat())
    }

    /// Whether an attestation challenge was made for a site, and is not older than
    /// [`ATTESTATION_CHALLENGE_SECONDS`].
    pub fn is_attestation_challenge_fresh(
        &self,
        site_id: &str,
        challenge: &str,
        at: Moment,
    ) -> bool {
        let bytes = URL_SAFE_NO_PAD.decode(challenge).unwrap_or_default();
        let Some((body, mac)) = bytes.split_first_chunk::<CHALLENGE_BODY_BYTES>() else {
            return false;
        };
        let is_ours = bool::from(self.challenge_mac(site_id, body).as_ref().ct_eq(mac));
        let mut millis = [0; 8];
        millis.copy_from_slice(&body[..8]);
        let made_at = Moment::from_millis(i64::from_be_bytes(millis));
        // The clocks of two nodes may differ slightly.
        let is_fresh = made_at <= at.plus_seconds(60)
            && at <= made_at.plus_seconds(ATTESTATION_CHALLENGE_SECONDS);
        is_ours && is_fresh
    }

    fn challenge_mac(&self, site_id: &str, body: &[u8; CHALLENGE_BODY_BYTES]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.keys.attestation_challenge);
        context.update(body);
        context.update(site_id.as_bytes());
        context.sign()
    }

    /// The subject under which failures for an unknown username are counted. It is derived from the name in its
    /// compared form and is never a record id; without the master key it cannot be matched with names from a list.
    pub fn subject_of_unknown(&self, key: &str) -> String {
        format!("?{}", pseudonym(&self.keys.unknown_subject, key))
    }

    fn key(&self, kind: SealedKind) -> &LessSafeKey {
        match kind {
            SealedKind::CaptchaSecret => &self.keys.captcha_secret,
            SealedKind::ClientSecret => &self.keys.client_secret,
            SealedKind::HandlerCall => &self.keys.handler_call,
            SealedKind::HandlerSecret => &self.keys.handler_secret,
            SealedKind::OneTimePassword => &self.keys.one_time_password_code,
            SealedKind::OutboxMessage => &self.keys.outbox_message,
            SealedKind::SigningKey => &self.keys.signing_key,
        }
    }
}

/// A text that only the key can derive from another: 128 bits of an HMAC in hexadecimal.
fn pseudonym(key: &hmac::Key, text: &str) -> String {
    let mac = hmac::sign(key, text.as_bytes());
    hex(&mac.as_ref()[..16])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keyring(…)")
    }
}

fn derive(root: &hkdf::Prk, info: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    root.expand(&[info], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(key.as_mut_slice()))
        .expect("HKDF-SHA-256 gives 32 bytes");
    key
}

/// SHA-256, the hash under which random secrets of at least 128 bits are stored.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyring(byte: u8) -> Keyring {
        Keyring::new(&[byte; MASTER_KEY_BYTES])
    }

    #[test]
    fn a_sealed_value_opens_for_its_kind_owner_and_key_only() {
        let sealed = keyring(1).seal(SealedKind::ClientSecret, "row1", b"secret", &Entropy::Os);
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        let opened = keyring(1)
            .open(SealedKind::ClientSecret, "row1", &sealed)
            .unwrap();
        assert_eq!(opened.as_slice(), b"secret");
        assert!(
            keyring(1)
                .open(SealedKind::SigningKey, "row1", &sealed)
                .is_err()
        );
        assert!(
            keyring(1)
                .open(SealedKind::ClientSecret, "row2", &sealed)
                .is_err()
        );
        assert!(
            keyring(2)
                .open(SealedKind::ClientSecret, "row1", &sealed)
                .is_err()
        );
        let mut flipped = sealed.clone();
        flipped[20] ^= 1;
        assert!(
            keyring(1)
                .open(SealedKind::ClientSecret, "row1", &flipped)
                .is_err()
        );
        assert!(
            keyring(1)
                .open(SealedKind::ClientSecret, "row1", &sealed[..5])
                .is_err()
        );
    }

    #[test]
    fn a_code_has_another_mac_in_another_request() {
        let ring = keyring(1);
        let mac = ring.one_time_password_mac(&[1; 32], "123456");
        assert_ne!(mac, ring.one_time_password_mac(&[2; 32], "123456"));
        assert_ne!(mac, ring.one_time_password_mac(&[1; 32], "123457"));
        assert_ne!(mac, keyring(2).one_time_password_mac(&[1; 32], "123456"));
    }

    #[test]
    fn att_07_a_challenge_is_fresh_for_its_site_its_key_and_its_five_minutes() {
        let at = Moment::from_millis(1_767_607_200_000);
        let made = |ring: &Keyring| ring.attestation_challenge("0DB1", at, &Entropy::Os);
        let challenge = made(&keyring(1));
        let fresh = |site: &str, text: &str, at: Moment| {
            keyring(1).is_attestation_challenge_fresh(site, text, at)
        };
        assert!(fresh("0DB1", &challenge, at));
        assert!(fresh("0DB1", &challenge, at.plus_seconds(300)));
        assert!(!fresh("0DB1", &challenge, at.plus_seconds(301)));
        assert!(!fresh("0DB1", &challenge, at.plus_seconds(-61)));
        assert!(!fresh("0DB2", &challenge, at));
        assert!(!fresh("0DB1", &made(&keyring(2)), at));
        assert_ne!(challenge, made(&keyring(1)));
        let mut changed = challenge.clone().into_bytes();
        changed[3] ^= 1;
        assert!(!fresh("0DB1", &String::from_utf8(changed).unwrap(), at));
        for text in ["", "AAAA", "not base64url!", &challenge[..40]] {
            assert!(!fresh("0DB1", text, at), "{text}");
        }
    }

    #[test]
    fn enu_03_an_unknown_name_is_counted_under_a_subject_that_only_the_key_can_derive() {
        let subject = keyring(1).subject_of_unknown("unknown@example.com");
        assert_eq!(
            subject,
            keyring(1).subject_of_unknown("unknown@example.com")
        );
        assert_ne!(subject, keyring(1).subject_of_unknown("other@example.com"));
        assert_ne!(
            subject,
            keyring(2).subject_of_unknown("unknown@example.com")
        );
        let hash = sha256(b"unknown@example.com");
        assert_ne!(
            subject[1..3],
            format!("{:02x}", hash[0]),
            "a hash without a key"
        );
        assert_eq!((subject.len(), &subject[..1]), (33, "?"));
    }

    #[test]
    fn a_generated_master_key_parses_and_a_short_one_does_not() {
        assert!(Keyring::parse(&Keyring::generate(&Entropy::Os)).is_ok());
        assert!(Keyring::parse("c2hvcnQ=").is_err());
    }
}
