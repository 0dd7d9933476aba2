//! How a client authenticates itself with a key: an assertion signed with a registered certificate, or a client
//! attestation with a proof of possession of its key.
//!
//! Everything here depends on values only: the certificates of the policies, the present instant, and the keyring for
//! the challenges that the server issued. A proof that may be used once has an id (`jti`); the caller, which saves
//! it, finds out whether it was used before.
//!
//! Source: RFC 7523 section 3; draft-ietf-oauth-attestation-based-client-auth; RFC 9449 section 4.3.

use vestibule_protocol::secret::Secret;

use super::Client;
use crate::algorithm::Algorithm;
use crate::jose::{Certificate, Claims, Jws, JwsProblem, PublicKey, jwk_thumbprint};
use crate::moment::Moment;
use crate::refusal::{Reason, Refusal};
use crate::sealing::{ATTESTATION_CHALLENGE_SECONDS, Keyring, sha256};

/// What logins and codes are bound to when the client authenticated itself by an assertion: any key of the client may
/// continue them, so that one certificate can replace another.
pub const ASSERTION_KEY: &str = "client_assertion";

/// How far the clocks of others may be from ours, in seconds.
const SKEW_SECONDS: i64 = 60;

/// How far ahead the end of an assertion may lie, in seconds: it is remembered until then (threats
/// ATT-04, ATT-08).
const ASSERTION_SECONDS_MAX: i64 = 300;

/// How far ahead the end of an attestation may lie, in seconds: a day.
const ATTESTATION_SECONDS_MAX: i64 = 86_400;

/// How old a proof of possession may be, in seconds.
const PROOF_SECONDS_MAX: i64 = 300;

/// The attestation of a client in a request: one header of each kind.
#[derive(Clone, Debug)]
pub struct PresentedAttestation {
    /// `OAuth-Client-Attestation`.
    pub attestation: Secret,
    /// The proof of possession of its key.
    pub possession: Possession,
}

/// The proof of possession of the key of an attestation.
#[derive(Clone, Debug)]
pub enum Possession {
    /// `DPoP`, in the combined mode.
    Dpop {
        /// The header.
        proof: Secret,
        /// The method of the request.
        method: String,
        /// Its URL without query.
        url: String,
    },
    /// `OAuth-Client-Attestation-PoP`.
    Pop(Secret),
}

/// A proof that may be used once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneUse {
    /// SHA-256 of the owner of the proof and its id.
    pub hash: [u8; 32],
    /// When it would be refused for its age anyway.
    pub expires_at: Moment,
    /// The refusal when it was used before.
    pub replayed: Refusal,
}

/// A client instance that has attested what it is.
#[derive(Clone, Debug)]
pub struct Attested {
    /// The thumbprint of its key (RFC 7638).
    pub thumbprint: String,
    /// The proof, which may be used once.
    pub one_use: OneUse,
}

impl Client {
    /// Checks a client assertion: an RS256 JWT by the key of one of the client's certificates, with
    /// `iss` (and `sub`, if it is there) naming the client, one of `audiences` and no other, and an
    /// end at most five minutes ahead. With a `jti` it holds once.
    ///
    /// # Errors
    /// `ClientAssertionInvalid`, whatever is wrong.
    ///
    /// Source: OAuth 2.0 for First-Party Applications, client attestation JWT; RFC 7523 section 3.
    pub fn check_assertion(
        &self,
        assertion: &Secret,
        audiences: &[&str],
        at: Moment,
    ) -> Result<Option<OneUse>, Refusal> {
        let invalid = |problem| Refusal::ClientAssertionInvalid {
            because: Reason::ClientAssertionInvalid,
            problem: Some(problem),
        };
        let jws = Jws::parse(assertion.expose()).map_err(invalid)?;
        // A typ distinguishes kinds of JWT (RFC 8725 section 3.11): no attestation is taken for one.
        if !jws.is_untyped() && !jws.is_typ("JWT") && !jws.is_typ("client-authentication+jwt") {
            return Err(invalid(JwsProblem::Type));
        }
        let claims = self
            .verified(&jws, at, |key| key.algorithm() == Algorithm::RS256)
            .map_err(invalid)?;
        self.assertion_claims(&claims, audiences, at)
            .map_err(invalid)
    }

    fn assertion_claims(
        &self,
        claims: &Claims,
        audiences: &[&str],
        at: Moment,
    ) -> Result<Option<OneUse>, JwsProblem> {
        let is_own = |named: &str| named == self.id;
        if !is_own(claims.required_text("iss")?) {
            return Err(JwsProblem::Claim("iss"));
        }
        if !claims.text("sub")?.is_none_or(is_own) {
            return Err(JwsProblem::Claim("sub"));
        }
        if !audiences.contains(&claims.only_audience()?) {
            return Err(JwsProblem::Claim("aud"));
        }
        let end = claims.required_instant("exp")?;
        if end.plus_seconds(SKEW_SECONDS) <= at
            || end > at.plus_seconds(ASSERTION_SECONDS_MAX + SKEW_SECONDS)
        {
            return Err(JwsProblem::Claim("exp"));
        }
        not_in_the_future(claims, at)?;
        let one_use = claims.text("jti")?.map(|jti| OneUse {
            hash: self.one_use("assertion", "", jti),
            expires_at: end.plus_seconds(SKEW_SECONDS),
            replayed: Refusal::ClientAssertionInvalid {
                because: Reason::ClientAssertionUsedBefore,
                problem: None,
            },
        });
        Ok(one_use)
    }

    /// Checks a client attestation by the key of one of the certificates of the client (RS256 or ES256, according to
    /// the key of the certificate), and the proof of possession of the key that it names, with a fresh challenge of
    /// the site.
    ///
    /// # Errors
    /// `AttestationExpired`, `AttestationChallengeMissing`, and `ClientAttestationInvalid` for the rest.
    ///
    /// Source: draft-ietf-oauth-attestation-based-client-auth sections 5 to 7.
    pub fn check_attestation(
        &self,
        presented: &PresentedAttestation,
        site: &AttestingSite<'_>,
        at: Moment,
    ) -> Result<Attested, Refusal> {
        let invalid = attestation_invalid(Reason::ClientAttestationInvalid);
        let jws = Jws::parse(presented.attestation.expose()).map_err(invalid)?;
        if !jws.is_typ("oauth-client-attestation+jwt") {
            return Err(invalid(JwsProblem::Type));
        }
        let claims = self.verified(&jws, at, |_| true).map_err(invalid)?;
        if claims.required_text("sub").map_err(invalid)? != self.id {
            return Err(invalid(JwsProblem::Claim("sub")));
        }
        not_in_the_future(&claims, at).map_err(invalid)?;
        let end = claims.required_instant("exp").map_err(invalid)?;
        if end.plus_seconds(SKEW_SECONDS) <= at {
            return Err(Refusal::AttestationExpired);
        }
        if end > at.plus_seconds(ATTESTATION_SECONDS_MAX + SKEW_SECONDS) {
            return Err(invalid(JwsProblem::Claim("exp")));
        }
        let key = claims
            .confirmed_key()
            .and_then(|jwk| PublicKey::from_jwk(jwk).ok())
            .ok_or_else(|| invalid(JwsProblem::Claim("cnf")))?;
        self.check_possession(&presented.possession, &key, site, at)
    }

    /// Checks the proof of possession of the key of an attestation.
    fn check_possession(
        &self,
        possession: &Possession,
        key: &PublicKey,
        site: &AttestingSite<'_>,
        at: Moment,
    ) -> Result<Attested, Refusal> {
        let invalid = attestation_invalid(Reason::ClientPossessionInvalid);
        let thumbprint = jwk_thumbprint(key);
        let (claims, challenge) = match possession {
            Possession::Pop(proof) => {
                let claims = pop_claims(proof.expose(), key, site.base_url).map_err(invalid)?;
                (claims, "challenge")
            }
            Possession::Dpop { proof, method, url } => {
                let claims =
                    dpop_claims(proof.expose(), key, &thumbprint, method, url).map_err(invalid)?;
                (claims, "nonce")
            }
        };
        let made_at = claims.required_instant("iat").map_err(invalid)?;
        if made_at > at.plus_seconds(SKEW_SECONDS) || made_at.plus_seconds(PROOF_SECONDS_MAX) < at {
            return Err(invalid(JwsProblem::Claim("iat")));
        }
        let jti = claims.required_text("jti").map_err(invalid)?;
        let challenge = claims.text(challenge).map_err(invalid)?;
        let is_fresh = challenge.is_some_and(|challenge| {
            site.keyring
                .is_attestation_challenge_fresh(site.id, challenge, at)
        });
        if !is_fresh {
            return Err(Refusal::AttestationChallengeMissing);
        }
        Ok(Attested {
            one_use: OneUse {
                hash: self.one_use("possession", &thumbprint, jti),
                // The challenge in it is stale by then.
                expires_at: at.plus_seconds(ATTESTATION_CHALLENGE_SECONDS + SKEW_SECONDS),
                replayed: Refusal::ClientAttestationInvalid {
                    because: Reason::ClientPossessionUsedBefore,
                    problem: None,
                },
            },
            thumbprint,
        })
    }

    /// The claims of a JWT by one of the client's certificates that are good now.
    fn verified(
        &self,
        jws: &Jws<'_>,
        at: Moment,
        is_fit: impl Fn(&PublicKey) -> bool,
    ) -> Result<Claims, JwsProblem> {
        let mut problem = JwsProblem::Signature;
        for pem in &self.policies.client_assertion_certificate {
            let certificate = Certificate::parse(pem).ok();
            let Some(certificate) = certificate.filter(|known| known.is_valid_at(at)) else {
                continue;
            };
            if !is_fit(certificate.key()) {
                continue;
            }
            match jws.verify(certificate.key()) {
                Ok(claims) => return Ok(claims),
                Err(found) => problem = found,
            }
        }
        Err(problem)
    }

    fn one_use(&self, kind: &str, key: &str, jti: &str) -> [u8; 32] {
        sha256(format!("{kind}\n{}\n{key}\n{jti}", self.id).as_bytes())
    }
}

/// The site that a client attests itself to.
pub struct AttestingSite<'s> {
    /// Its record id, which its challenges are bound to.
    pub id: &'s str,
    /// The issuer.
    pub base_url: &'s str,
    /// Under which its challenges were made.
    pub keyring: &'s Keyring,
}

/// Refuses a client attestation, or the proof of possession of its key, because of a problem of the JWT.
fn attestation_invalid(because: Reason) -> impl Fn(JwsProblem) -> Refusal + Copy {
    move |problem| Refusal::ClientAttestationInvalid {
        because,
        problem: Some(problem),
    }
}

fn pop_claims(proof: &str, key: &PublicKey, issuer: &str) -> Result<Claims, JwsProblem> {
    let jws = Jws::parse(proof)?;
    if !jws.is_typ("oauth-client-attestation-pop+jwt") {
        return Err(JwsProblem::Type);
    }
    let claims = jws.verify(key)?;
    if claims.only_audience()? != issuer {
        return Err(JwsProblem::Claim("aud"));
    }
    Ok(claims)
}

fn dpop_claims(
    proof: &str,
    key: &PublicKey,
    thumbprint: &str,
    method: &str,
    url: &str,
) -> Result<Claims, JwsProblem> {
    let jws = Jws::parse(proof)?;
    if !jws.is_typ("dpop+jwt") {
        return Err(JwsProblem::Type);
    }
    let embedded = jws.embedded_key().map(PublicKey::from_jwk);
    let is_same = matches!(&embedded, Some(Ok(embedded)) if jwk_thumbprint(embedded) == thumbprint);
    if !is_same {
        return Err(JwsProblem::Header);
    }
    let claims = jws.verify(key)?;
    if claims.required_text("htm")? != method {
        return Err(JwsProblem::Claim("htm"));
    }
    // RFC 9449 section 4.3: the target URI without query and fragment.
    let target = claims.required_text("htu")?;
    if target.split(['?', '#']).next() != Some(url) {
        return Err(JwsProblem::Claim("htu"));
    }
    Ok(claims)
}

/// Neither issued nor valid from later on.
fn not_in_the_future(claims: &Claims, at: Moment) -> Result<(), JwsProblem> {
    for name in ["iat", "nbf"] {
        let instant = claims.instant(name)?;
        if instant.is_some_and(|instant| instant > at.plus_seconds(SKEW_SECONDS)) {
            return Err(JwsProblem::Claim(name));
        }
    }
    Ok(())
}
