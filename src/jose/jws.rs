//! A compact JWS (RFC 7515 section 7.1) with claims (RFC 7519): parsed completely or refused.
//!
//! Parsing gives the header only; the claims are returned by [`Jws::verify`], so that no decision can depend on an
//! unsigned claim (threat JWT-20). Members of the header that name or carry a key (`kid`, `jku`, `x5u`, `x5c`,
//! `x5t`) are ignored.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use vestibule_protocol::strict_json;

use super::key::PublicKey;
use crate::moment::Moment;

/// The maximum length of a JWS, in bytes.
pub const JWS_BYTES_MAX: usize = 16 * 1024;

/// The end of the year 9999, in seconds: the maximum date of a claim.
const SECONDS_MAX: i64 = 253_402_300_799;

/// Why a JWS is refused. The reason is not disclosed to unauthenticated callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwsProblem {
    /// The header names another algorithm than the key's, or none.
    Algorithm,
    /// A claim is missing, has the wrong type, or has the wrong value.
    Claim(&'static str),
    /// Not three base64url parts with one JSON object each in the first two, or too long.
    Form,
    /// The header has an extension that is not supported (`crit`), or `b64`.
    Header,
    /// The signature does not verify.
    Signature,
    /// The `typ` is not the expected one.
    Type,
}

impl JwsProblem {
    /// The part of the JWT that is wrong, for the log.
    pub fn part(self) -> &'static str {
        match self {
            JwsProblem::Algorithm => "alg",
            JwsProblem::Claim(name) => name,
            JwsProblem::Form => "form",
            JwsProblem::Header => "header",
            JwsProblem::Signature => "signature",
            JwsProblem::Type => "typ",
        }
    }
}

/// A JWS that was parsed and not yet verified.
pub struct Jws<'t> {
    header: Map<String, Value>,
    /// Header and payload, as they were signed.
    signed: &'t str,
    payload: &'t str,
    signature: Vec<u8>,
}

impl<'t> Jws<'t> {
    /// Parses a text.
    ///
    /// # Errors
    /// `Form`, `Header`.
    pub fn parse(text: &'t str) -> Result<Jws<'t>, JwsProblem> {
        if text.len() > JWS_BYTES_MAX {
            return Err(JwsProblem::Form);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(JwsProblem::Form)?;
        let (header, payload) = signed.split_once('.').ok_or(JwsProblem::Form)?;
        if payload.contains('.') {
            return Err(JwsProblem::Form);
        }
        let header = object(header)?;
        // RFC 7515 section 4.1.11: a recipient that does not understand an extension must refuse it.
        if header.contains_key("crit") || header.contains_key("b64") {
            return Err(JwsProblem::Header);
        }
        let signature = URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| JwsProblem::Form)?;
        Ok(Jws {
            header,
            signed,
            payload,
            signature,
        })
    }

    /// The media type that the header names, without `application/`.
    pub fn typ(&self) -> Option<&str> {
        let typ = self.header.get("typ")?.as_str()?;
        let behind = typ
            .split_at_checked("application/".len())
            .filter(|(before, _)| before.eq_ignore_ascii_case("application/"));
        Some(behind.map_or(typ, |(_, behind)| behind))
    }

    /// Whether the header names a media type; case does not matter (RFC 7515 section 4.1.9).
    pub fn is_typ(&self, wanted: &str) -> bool {
        self.typ()
            .is_some_and(|typ| typ.eq_ignore_ascii_case(wanted))
    }

    /// Whether the header has no `typ` at all.
    pub fn is_untyped(&self) -> bool {
        !self.header.contains_key("typ")
    }

    /// The key in the header, for the one kind of proof that is verified with it (RFC 9449 section 4.2).
    pub fn embedded_key(&self) -> Option<&Value> {
        self.header.get("jwk")
    }

    /// Verifies the signature with a key, under the key's algorithm, and returns the claims.
    ///
    /// # Errors
    /// `Algorithm`, `Signature`, `Form` for a payload that is not one JSON object.
    pub fn verify(&self, key: &PublicKey) -> Result<Claims, JwsProblem> {
        let named = self.header.get("alg").and_then(Value::as_str);
        if named != Some(key.algorithm().as_str()) {
            return Err(JwsProblem::Algorithm);
        }
        if !key.verifies(self.signed.as_bytes(), &self.signature) {
            return Err(JwsProblem::Signature);
        }
        object(self.payload).map(Claims)
    }
}

fn object(part: &str) -> Result<Map<String, Value>, JwsProblem> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| JwsProblem::Form)?;
    strict_json::parse_object(&bytes).map_err(|_| JwsProblem::Form)
}

/// Claims whose signature was verified.
#[derive(Clone, PartialEq)]
pub struct Claims(Map<String, Value>);

impl Claims {
    /// A text claim that may be absent.
    ///
    /// # Errors
    /// `Claim` when it has another type, is empty, or longer than 1,024 bytes.
    pub fn text(&self, name: &'static str) -> Result<Option<&str>, JwsProblem> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if (1..=1_024).contains(&text.len()) => Ok(Some(text)),
            Some(_) => Err(JwsProblem::Claim(name)),
        }
    }

    /// A text claim that must be present.
    ///
    /// # Errors
    /// `Claim`.
    pub fn required_text(&self, name: &'static str) -> Result<&str, JwsProblem> {
        self.text(name)?.ok_or(JwsProblem::Claim(name))
    }

    /// A date claim that may be absent: a whole number of seconds and nothing else (threat JWT-14).
    ///
    /// # Errors
    /// `Claim`.
    pub fn instant(&self, name: &'static str) -> Result<Option<Moment>, JwsProblem> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => match value.as_i64() {
                Some(seconds) if (0..=SECONDS_MAX).contains(&seconds) => {
                    Ok(Some(Moment::from_millis(seconds * 1_000)))
                }
                _ => Err(JwsProblem::Claim(name)),
            },
        }
    }

    /// A date claim that must be present.
    ///
    /// # Errors
    /// `Claim`.
    pub fn required_instant(&self, name: &'static str) -> Result<Moment, JwsProblem> {
        self.instant(name)?.ok_or(JwsProblem::Claim(name))
    }

    /// The single audience: `aud` as a text, or as a list of exactly one. A JWT for several audiences could be
    /// replayed by each of them to the others.
    ///
    /// # Errors
    /// `Claim`.
    pub fn only_audience(&self) -> Result<&str, JwsProblem> {
        let audience = match self.0.get("aud") {
            Some(Value::Array(list)) if list.len() == 1 => &list[0],
            Some(one) => one,
            None => return Err(JwsProblem::Claim("aud")),
        };
        audience.as_str().ok_or(JwsProblem::Claim("aud"))
    }

    /// `cnf.jwk`: the key of the subject (RFC 7800 section 3.2).
    pub fn confirmed_key(&self) -> Option<&Value> {
        self.0.get("cnf")?.as_object()?.get("jwk")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// RFC 7515 appendix A.3.
    const KEY: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
    const JWS: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

    fn key() -> PublicKey {
        PublicKey::from_jwk(&serde_json::from_str(KEY).unwrap()).unwrap()
    }

    fn problem(text: &str) -> JwsProblem {
        match Jws::parse(text).and_then(|jws| jws.verify(&key())) {
            Ok(_) => panic!("{text} verifies"),
            Err(problem) => problem,
        }
    }

    fn with_header(header: &Value) -> String {
        let (_, rest) = JWS.split_once('.').unwrap();
        format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()))
    }

    #[test]
    fn jwt_24_the_published_jws_verifies() {
        let claims = Jws::parse(JWS).unwrap().verify(&key()).ok().unwrap();
        assert_eq!(claims.text("iss"), Ok(Some("joe")));
        let end = claims.required_instant("exp").unwrap();
        assert_eq!(end.seconds(), 1_300_819_380);
    }

    #[test]
    fn jwt_01_02_03_10_17_18_no_other_header_and_no_changed_part_verifies() {
        for alg in [
            "none", "None", "NONE", "nOnE", "", "HS256", "RS256", "es256",
        ] {
            let text = with_header(&json!({"alg": alg}));
            assert_eq!(problem(&text), JwsProblem::Algorithm, "{alg}");
        }
        assert_eq!(problem(&with_header(&json!({}))), JwsProblem::Algorithm);
        assert_eq!(
            problem(&with_header(&json!({"alg": ["ES256"]}))),
            JwsProblem::Algorithm
        );
        for extension in [
            json!({"crit": ["exp"]}),
            json!({"crit": []}),
            json!({"b64": false}),
        ] {
            let mut header = json!({"alg": "ES256"});
            for (name, value) in extension.as_object().unwrap() {
                header[name] = value.clone();
            }
            assert_eq!(problem(&with_header(&header)), JwsProblem::Header);
        }
        // A key in the header changes nothing, and a changed header breaks the signature.
        let header = json!({"alg": "ES256", "jwk": serde_json::from_str::<Value>(KEY).unwrap()});
        assert_eq!(problem(&with_header(&header)), JwsProblem::Signature);
        let (signed, _) = JWS.rsplit_once('.').unwrap();
        let zeros = URL_SAFE_NO_PAD.encode([0; 64]);
        assert_eq!(problem(&format!("{signed}.")), JwsProblem::Signature);
        assert_eq!(problem(&format!("{signed}.{zeros}")), JwsProblem::Signature);
        let twice = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","alg":"ES256"}"#);
        let (_, rest) = JWS.split_once('.').unwrap();
        let deep = URL_SAFE_NO_PAD.encode("[".repeat(1_000));
        for text in [
            "",
            "a.b",
            "a.b.c.d",
            &format!("{JWS}="),
            &format!("{JWS}."),
            &format!("{twice}.{rest}"),
            &format!("{deep}.{rest}"),
            &"a".repeat(JWS_BYTES_MAX + 1),
        ] {
            assert_eq!(problem(text), JwsProblem::Form, "{text}");
        }
    }

    #[test]
    fn jwt_14_a_date_is_a_whole_number_and_nothing_else() {
        let claims = |value: Value| match json!({"exp": value, "aud": value}) {
            Value::Object(members) => Claims(members),
            _ => unreachable!(),
        };
        assert!(claims(json!(1_300_819_380)).required_instant("exp").is_ok());
        for bad in [
            json!("1300819380"),
            json!(1e308),
            json!(1.5),
            json!(-1),
            json!(i64::MAX),
            json!(u64::MAX),
            json!(null),
            json!([1]),
        ] {
            let found = claims(bad.clone()).required_instant("exp");
            assert_eq!(found, Err(JwsProblem::Claim("exp")), "{bad}");
        }
        for (audience, expected) in [
            (json!("a"), Ok("a")),
            (json!(["a"]), Ok("a")),
            (json!(["a", "b"]), Err(JwsProblem::Claim("aud"))),
            (json!([]), Err(JwsProblem::Claim("aud"))),
            (json!([7]), Err(JwsProblem::Claim("aud"))),
            (json!({"a": 1}), Err(JwsProblem::Claim("aud"))),
        ] {
            assert_eq!(claims(audience).only_audience(), expected);
        }
    }
}
