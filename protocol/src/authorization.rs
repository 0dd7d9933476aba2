//! The authorization endpoint: its parameters in, its redirect out.
//!
//! This file owns the extraction of parameters, the form of a code challenge and the `Location` of a successful
//! response. The order of the checks (client, redirect, switches, scope, PKCE, credentials) and the response to
//! each refusal are left to the server; headers are read by `basic` and `headless`.
//!
//! Implements RFC 6749 sections 4.1.1 and 4.1.2, RFC 7636 section 4.3, and the Authorization Code and Credentials
//! Flow of the headless documentation. `code_challenge_method` is not read: the method is always S256.
//! method is always S256.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::form::Parameters;
use crate::pkce::is_unreserved;
use crate::secret::Secret;
use crate::uvid::UvidHint;

/// The parameters of an authorization request, each as sent and absent when empty.
///
/// ```
/// use vestibule_protocol::{authorization::AuthorizationRequest, form::Parameters};
/// let parameters = Parameters::parse(None, b"response_type=code_credentials&client_id=3MVG9example")?;
/// let request = AuthorizationRequest::parse(parameters).unwrap();
/// assert_eq!(request.response_type.as_deref(), Some("code_credentials"));
/// assert_eq!(request.state, None);
/// # Ok::<(), vestibule_protocol::form::FormError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthorizationRequest {
    /// `code_credentials` for a headless login, `code` for a browser.
    pub response_type: Option<String>,
    /// The client's id.
    pub client_id: Option<String>,
    /// The redirect URI; it is compared byte for byte with the registered ones.
    pub redirect_uri: Option<String>,
    /// S256 challenge, see [`check_code_challenge`].
    pub code_challenge: Option<String>,
    /// Requested scopes, space-separated.
    pub scope: Option<String>,
    /// Opaque to the server; returned on the redirect and in the token response.
    pub state: Option<String>,
    /// Opaque to the server; returned in the id_token.
    pub nonce: Option<String>,
    /// Identifies a visitor, see [`UvidHint`]: by an id, or by a guest's access token.
    pub uvid_hint: Option<Secret>,
    /// The value by which the discovery handler finds a user.
    pub login_hint: Option<String>,
    /// JSON text for the discovery handler.
    pub customdata: Option<String>,
    /// Username, when credentials are sent in the body.
    pub username: Option<String>,
    /// Password, when credentials are sent in the body.
    pub password: Option<Secret>,
    /// Whether a username, a password or a guest's access token was in the query string, where secrets are not
    /// allowed.
    pub credentials_in_query: bool,
}

/// A parameter is longer than the server stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParameterTooLong {
    /// Name of the parameter.
    pub parameter: &'static str,
}

impl AuthorizationRequest {
    /// Takes the parameters of an authorization request out of a form; unknown ones are ignored, as
    /// RFC 6749 section 3.1 demands.
    ///
    /// # Refusals
    /// [`ParameterTooLong`] for a `state` or `nonce` of more than [`ECHOED_BYTES_MAX`] bytes.
    ///
    /// Source: RFC 6749 section 4.1.1; OpenID Connect Core 3.1.2.1.
    pub fn parse(mut parameters: Parameters) -> Result<AuthorizationRequest, ParameterTooLong> {
        let is_token = |hint: &str| matches!(UvidHint::parse(hint), Ok(UvidHint::Token(_)));
        let credentials_in_query = parameters.came_in_query("username")
            || parameters.came_in_query("password")
            || parameters.came_in_query("uvid_hint")
                && parameters.get("uvid_hint").is_some_and(is_token);
        for parameter in ["state", "nonce"] {
            if parameters
                .get(parameter)
                .is_some_and(|value| value.len() > ECHOED_BYTES_MAX)
            {
                return Err(ParameterTooLong { parameter });
            }
        }
        Ok(AuthorizationRequest {
            response_type: parameters.take("response_type"),
            client_id: parameters.take("client_id"),
            redirect_uri: parameters.take("redirect_uri"),
            code_challenge: parameters.take("code_challenge"),
            scope: parameters.take("scope"),
            state: parameters.take("state"),
            nonce: parameters.take("nonce"),
            uvid_hint: parameters.take_secret("uvid_hint"),
            login_hint: parameters.take("login_hint"),
            customdata: parameters.take("customdata"),
            username: parameters.take("username"),
            password: parameters.take_secret("password"),
            credentials_in_query,
        })
    }
}

/// The parameters on the redirect of a successful authorization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationAnswer {
    /// The authorization code.
    pub code: Secret,
    /// Base URL of the site, without a trailing slash. Clients send the token request there.
    pub sfdc_community_url: String,
    /// Record id of the site.
    pub sfdc_community_id: String,
    /// The client's `state`, when it sent one.
    pub state: Option<String>,
}

/// Renders the `Location` of a successful response: the parameters, appended to the query of a registered redirect
/// URI, which has no fragment.
///
/// Everything but unreserved characters is percent-encoded, a blank as `%20`: form decoders and
/// `decodeURIComponent` then read the same, and no value can end a header line.
///
/// ```
/// use vestibule_protocol::authorization::{AuthorizationAnswer, redirect_location};
/// let answer = AuthorizationAnswer {
///     code: "aPrxC1".to_owned().into(),
///     sfdc_community_url: "https://site.example.com".to_owned(),
///     sfdc_community_id: "0DB000000000001".to_owned(),
///     state: Some("a b".to_owned()),
/// };
/// assert_eq!(
///     redirect_location("https://site.example.com/services/oauth2/echo", &answer),
///     "https://site.example.com/services/oauth2/echo?code=aPrxC1\
///      &sfdc_community_url=https%3A%2F%2Fsite.example.com\
///      &sfdc_community_id=0DB000000000001&state=a%20b"
/// );
/// ```
///
/// Source: RFC 6749 section 4.1.2; Authorization Code and Credentials Flow.
pub fn redirect_location(redirect_uri: &str, answer: &AuthorizationAnswer) -> String {
    append_query(
        redirect_uri,
        &[
            ("code", Some(answer.code.expose())),
            ("sfdc_community_url", Some(&answer.sfdc_community_url)),
            ("sfdc_community_id", Some(&answer.sfdc_community_id)),
            ("state", answer.state.as_deref()),
        ],
    )
}

/// Appends the members that are present to the query of a URI, encoded as in [`redirect_location`].
pub fn append_query(uri: &str, members: &[(&str, Option<&str>)]) -> String {
    let mut location = uri.to_owned();
    for (name, value) in members {
        let Some(value) = value else { continue };
        if !location.contains('?') {
            location.push('?');
        } else if !location.ends_with(['?', '&']) {
            location.push('&');
        }
        push_encoded(&mut location, name);
        location.push('=');
        push_encoded(&mut location, value);
    }
    location
}

fn push_encoded(location: &mut String, text: &str) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if is_unreserved(byte) {
            location.push(char::from(byte));
        } else {
            location.push('%');
            location.push(char::from(DIGITS[usize::from(byte >> 4)]));
            location.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

/// A code challenge that no verifier can have produced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidCodeChallenge;

/// Refuses a code challenge that is not a SHA-256 digest in base64url without padding: 43 characters, the last of
/// which has no unused bits set.
///
/// # Refusals
/// [`InvalidCodeChallenge`], for anything else.
///
/// Source: RFC 7636 section 4.2.
pub fn check_code_challenge(code_challenge: &str) -> Result<(), InvalidCodeChallenge> {
    match URL_SAFE_NO_PAD.decode(code_challenge) {
        Ok(digest) if digest.len() == DIGEST_BYTES => Ok(()),
        _ => Err(InvalidCodeChallenge),
    }
}

impl fmt::Display for ParameterTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "parameter {} too long", self.parameter)
    }
}

impl std::error::Error for ParameterTooLong {}

impl fmt::Display for InvalidCodeChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid code challenge")
    }
}

impl std::error::Error for InvalidCodeChallenge {}

/// The maximum size of a `state` or `nonce` in bytes. The server stores and returns them; percent-encoded, they
/// still fit into a `Location` header of 16 kB.
pub const ECHOED_BYTES_MAX: usize = 4096;
/// Bytes of a SHA-256 digest.
const DIGEST_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answer(state: Option<&str>) -> AuthorizationAnswer {
        AuthorizationAnswer {
            code: Secret::from("aPrxC1".to_owned()),
            sfdc_community_url: "https://site.example.com/customers".to_owned(),
            sfdc_community_id: "0DB000000000001".to_owned(),
            state: state.map(str::to_owned),
        }
    }

    fn request(body: &str) -> Result<AuthorizationRequest, ParameterTooLong> {
        AuthorizationRequest::parse(Parameters::parse(None, body.as_bytes()).unwrap())
    }

    #[test]
    fn what_the_mobile_sdk_sends_is_read() {
        let request = request(
            "response_type=code_credentials&client_id=3MVG9example\
             &redirect_uri=https://site.example.com/services/oauth2/echo\
             &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        )
        .unwrap();
        assert_eq!(request.response_type.as_deref(), Some("code_credentials"));
        assert_eq!(request.client_id.as_deref(), Some("3MVG9example"));
        assert_eq!(
            request.redirect_uri.as_deref(),
            Some("https://site.example.com/services/oauth2/echo")
        );
        assert_eq!(
            check_code_challenge(request.code_challenge.as_deref().unwrap()),
            Ok(())
        );
        assert_eq!((request.state, request.scope), (None, None));
        assert!(!request.credentials_in_query);
    }

    #[test]
    fn credentials_are_taken_and_their_place_is_remembered() {
        let text = "username=janice%40example.com&password=a%26b";
        let in_body = request(text).unwrap();
        assert_eq!(in_body.username.as_deref(), Some("janice@example.com"));
        assert_eq!(in_body.password.as_ref().unwrap().expose(), "a&b");
        assert!(!in_body.credentials_in_query);
        assert!(!format!("{in_body:?}").contains("a&b"));
        let by_id = "uvid_hint=6f9619ff-8b86-4d01-b42d-00cf4fc964ff";
        let by_id = AuthorizationRequest::parse(Parameters::parse(Some(by_id), b"").unwrap());
        assert!(!by_id.unwrap().credentials_in_query, "an id is no secret");
        for query in [
            "username=x",
            "password=y",
            text,
            "uvid_hint=a.b.c",
            "uvid_hint=JWT%20a.b.c",
        ] {
            let parameters = Parameters::parse(Some(query), b"").unwrap();
            let in_query = AuthorizationRequest::parse(parameters).unwrap();
            assert!(in_query.credentials_in_query, "{query}");
        }
    }

    #[test]
    fn a_state_or_nonce_is_carried_up_to_its_limit() {
        // HTTP-16.
        for parameter in ["state", "nonce"] {
            let fits = format!("{parameter}={}", "x".repeat(ECHOED_BYTES_MAX));
            assert!(request(&fits).is_ok());
            assert_eq!(
                request(&format!("{fits}x")),
                Err(ParameterTooLong { parameter })
            );
        }
    }

    #[test]
    fn a_redirect_carries_exactly_the_documented_members() {
        assert_eq!(
            redirect_location("https://app.example/cb", &answer(None)),
            "https://app.example/cb?code=aPrxC1&sfdc_community_url=\
             https%3A%2F%2Fsite.example.com%2Fcustomers&sfdc_community_id=0DB000000000001"
        );
    }

    #[test]
    fn a_query_of_the_redirect_uri_is_kept() {
        // RFC 6749 section 3.1.2.
        for (redirect_uri, start) in [
            ("https://a.example/cb?x=1", "https://a.example/cb?x=1&code="),
            (
                "https://a.example/cb?x=1&",
                "https://a.example/cb?x=1&code=",
            ),
            ("https://a.example/cb?", "https://a.example/cb?code="),
            ("com.example.app:/cb", "com.example.app:/cb?code="),
        ] {
            let location = redirect_location(redirect_uri, &answer(Some("s")));
            assert!(location.starts_with(start), "{location}");
        }
    }

    #[test]
    fn a_code_challenge_is_a_complete_digest() {
        // PKCE-07.
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert_eq!(check_code_challenge(challenge), Ok(()));
        assert_eq!(
            check_code_challenge("m9v0o6VZCkA61J5U-X1Tz5TKs3SgkIws3KAW_OnRzjg"),
            Ok(())
        );
        for wrong in [
            String::new(),
            challenge[..42].to_owned(),
            format!("{challenge}A"),
            format!("{challenge}="),
            challenge.replace('-', "+"),
            challenge.replace('-', "/"),
            challenge.replace('-', " "),
            challenge.replace('-', "é"),
            // The last character encodes four bits of the digest and two that must be zero.
            format!("{}N", &challenge[..42]),
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk~".to_owned(),
        ] {
            assert_eq!(
                check_code_challenge(&wrong),
                Err(InvalidCodeChallenge),
                "{wrong:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_redirect_is_read_back_by_every_parser(state in "\\PC{1,60}|[ -~]{1,60}") {
            // HTTP-16: quotes, markup, `+`, `%0D` and all.
            let location = redirect_location("https://a.example/cb?x=%20y", &answer(Some(&state)));
            prop_assert!(location.bytes().all(|byte| byte.is_ascii_graphic()));
            let url = url::Url::parse(&location).unwrap();
            let back = url.query_pairs().find(|(name, _)| name == "state").unwrap().1;
            prop_assert_eq!(back.as_ref(), state.as_str());
            prop_assert_eq!(url.query_pairs().count(), 5);
            if let Ok(parameters) = Parameters::parse(url.query(), b"") {
                prop_assert_eq!(parameters.get("state"), Some(state.as_str()));
                prop_assert_eq!(parameters.get("code"), Some("aPrxC1"));
            }
        }
    }
}
