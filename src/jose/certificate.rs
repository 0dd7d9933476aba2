//! X.509 certificates (RFC 5280 section 4.1) that an administrator registers for an app.
//!
//! Trust comes from the registration, not from the issuer of the certificate, so its chain, its names and its
//! extensions are ignored. Only its key and its validity period are used.

use std::fmt;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::der::{Reader, tag};
use super::key::PublicKey;
use crate::moment::Moment;

/// The maximum length of a certificate in its PEM form, in bytes.
pub const CERTIFICATE_BYTES_MAX: usize = 4 * 1024;

/// The parts of a certificate that are used.
#[derive(Clone)]
pub struct Certificate {
    key: PublicKey,
    not_before: Moment,
    not_after: Moment,
    fingerprint: String,
}

impl Certificate {
    /// Parses one certificate in PEM.
    ///
    /// # Errors
    /// The reason, as a part of a sentence: the certificate is longer than [`CERTIFICATE_BYTES_MAX`], the text
    /// contains a private key or more than one certificate, or the key is not accepted (RSA of 2,048 to 4,096 bits,
    /// P-256, Ed25519).
    pub fn parse(pem: &str) -> Result<Certificate, &'static str> {
        if pem.contains("PRIVATE KEY") {
            return Err("it contains a private key; register only the certificate");
        }
        if pem.len() > CERTIFICATE_BYTES_MAX {
            return Err("it is longer than 4 KB");
        }
        let mut found = CertificateDer::pem_slice_iter(pem.as_bytes());
        let der = match (found.next(), found.next()) {
            (Some(Ok(der)), None) => der,
            (None, _) => {
                return Err("it contains no certificate (PEM: -----BEGIN CERTIFICATE-----)");
            }
            (Some(Err(_)), _) => return Err("it is not PEM"),
            (Some(_), Some(_)) => {
                return Err("it contains more than one certificate; register one at a time");
            }
        };
        Certificate::from_der(&der)
    }

    fn from_der(der: &[u8]) -> Result<Certificate, &'static str> {
        const UNREADABLE: &str = "it is not an X.509 certificate";
        let mut whole = Reader::new(der);
        let mut certificate = whole.sequence().ok_or(UNREADABLE)?;
        let mut signed = certificate.sequence().ok_or(UNREADABLE)?;
        if !whole.is_empty() {
            return Err(UNREADABLE);
        }
        if signed.peek() == Some(tag::CONTEXT_0) {
            signed.any().ok_or(UNREADABLE)?;
        }
        signed.value(tag::INTEGER).ok_or(UNREADABLE)?;
        let (_signature, _issuer) = (
            signed.sequence().ok_or(UNREADABLE)?,
            signed.sequence().ok_or(UNREADABLE)?,
        );
        let mut validity = signed.sequence().ok_or(UNREADABLE)?;
        let not_before = instant(&mut validity).ok_or(UNREADABLE)?;
        let not_after = instant(&mut validity).ok_or(UNREADABLE)?;
        signed.sequence().ok_or(UNREADABLE)?;
        let mut spki = signed.sequence().ok_or(UNREADABLE)?;
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
        Ok(Certificate {
            key: PublicKey::from_spki(&mut spki)?,
            not_before,
            not_after,
            fingerprint: hash
                .as_ref()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        })
    }

    /// Its public key.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// SHA-256 of the certificate, in lower-case hexadecimal, by which administrators identify it.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The start of its validity period.
    pub fn not_before(&self) -> Moment {
        self.not_before
    }

    /// The last second of its validity period.
    pub fn not_after(&self) -> Moment {
        self.not_after
    }

    /// Whether an instant is in its validity period.
    pub fn is_valid_at(&self, at: Moment) -> bool {
        self.not_before <= at && at <= self.not_after
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({})", self.fingerprint)
    }
}

/// A date: `YYMMDDHHMMSSZ` until 2049, `YYYYMMDDHHMMSSZ` from 2050 on (RFC 5280 section 4.1.2.5).
fn instant(reader: &mut Reader<'_>) -> Option<Moment> {
    let (tag, text) = reader.any()?;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        tag::UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year = number(year)?;
            (year + if year < 50 { 2_000 } else { 1_900 }, rest)
        }
        tag::GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (number(year)?, rest)
        }
        _ => return None,
    };
    if rest.len() != 10 || !rest.is_ascii() {
        return None;
    }
    let part = |at: usize| i8::try_from(number(&rest[at..at + 2])?).ok();
    let date =
        jiff::civil::DateTime::new(year, part(0)?, part(2)?, part(4)?, part(6)?, part(8)?, 0);
    let at = date.ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(Moment::from_millis(at.timestamp().as_millisecond()))
}

fn number(digits: &str) -> Option<i16> {
    let is_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650`.
    const P256: &str = include_str!("testdata/p256.pem");
    /// Made with `openssl req -x509 -newkey rsa:2048 -nodes -days 36500`.
    const RSA: &str = include_str!("testdata/rsa.pem");
    /// The same with `rsa:1024`.
    const WEAK: &str = include_str!("testdata/rsa1024.pem");
    /// The same with `secp384r1`.
    const P384: &str = include_str!("testdata/p384.pem");

    #[test]
    fn a_certificate_gives_its_key_and_its_dates() {
        use crate::algorithm::Algorithm;
        for (pem, algorithm, end) in [
            (P256, Algorithm::ES256, "2036-11-17T12:17:06Z"),
            (RSA, Algorithm::RS256, "2126-10-27T12:17:06Z"),
        ] {
            let certificate = Certificate::parse(pem).unwrap();
            assert_eq!(certificate.key().algorithm(), algorithm);
            assert_eq!(certificate.not_after().iso_seconds(), end);
            let end = certificate.not_after();
            assert!(certificate.is_valid_at(end));
            assert!(!certificate.is_valid_at(end.plus_seconds(1)));
            assert!(certificate.is_valid_at(certificate.not_before()));
            assert!(!certificate.is_valid_at(certificate.not_before().plus_seconds(-1)));
        }
    }

    #[test]
    fn jwt_22_what_is_no_certificate_or_a_weak_one_is_refused() {
        let two = format!("{P256}\n{RSA}");
        let cut = P256.replace("MII", "MIJ");
        let private =
            format!("{P256}-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n");
        let long = format!("{P256}{}", "#".repeat(CERTIFICATE_BYTES_MAX));
        for (pem, part) in [
            ("", "no certificate"),
            ("hello", "no certificate"),
            (&two, "more than one"),
            (&cut, ""),
            (&private, "private key"),
            (&long, "4 KB"),
            (WEAK, "2048"),
            (P384, "none of"),
        ] {
            let reason = Certificate::parse(pem).unwrap_err();
            assert!(reason.contains(part), "{reason}");
        }
    }

    #[test]
    fn every_cut_of_a_certificate_is_refused() {
        let der = CertificateDer::from_pem_slice(P256.as_bytes()).unwrap();
        // The signature at the end is not parsed; everything before it is.
        for length in 0..der.len() {
            assert!(Certificate::from_der(&der[..length]).is_err(), "{length}");
        }
    }
}
