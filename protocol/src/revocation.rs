//! Revocation and introspection: the requests of the two endpoints, and the response of the second.
//!
//! This file owns the names of their parameters and members (RFC 7009 section 2.1, RFC 7662 sections 2.1 and 2.2;
//! Revoke OAuth Tokens). Both requests name one token, and the caller may authenticate as a client. Finding the
//! token and its user belongs to the server.

use serde::Serialize;

use crate::form::Parameters;
use crate::secret::Secret;

/// The parameters of either endpoint, not yet checked. An empty parameter is absent. `revoke_reason`, which the
/// mobile SDKs send, and `token_type_hint` are not read: the form of a token shows its type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenQuestion {
    /// `token`: an access token or a refresh token.
    pub token: Option<Secret>,
    /// `client_id`.
    pub client_id: Option<String>,
    /// `client_secret`.
    pub client_secret: Option<Secret>,
    /// `client_assertion` of RFC 7521 4.2.
    pub client_assertion: Option<Secret>,
    /// Whether the query contained client credentials. `token` may be there: older SDKs revoke with GET, and the
    /// request makes the token worthless.
    pub secret_came_in_query: bool,
}

impl TokenQuestion {
    /// Takes the parameters; unknown ones are ignored.
    pub fn parse(mut parameters: Parameters) -> TokenQuestion {
        let secret_came_in_query = ["client_assertion", "client_secret"]
            .iter()
            .any(|name| parameters.came_in_query(name));
        TokenQuestion {
            client_id: parameters.take("client_id"),
            token: parameters.take_secret("token"),
            client_secret: parameters.take_secret("client_secret"),
            client_assertion: parameters.take_secret("client_assertion"),
            secret_came_in_query,
        }
    }
}

/// The introspection response (RFC 7662 section 2.2). For a token that is unknown, ended, or of another client it
/// contains only `"active":false`.
///
/// ```
/// use vestibule_protocol::revocation::Introspection;
/// assert_eq!(Introspection::default().to_json(), r#"{"active":false}"#);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Introspection {
    /// Whether the token is valid now.
    pub active: bool,
    /// Scopes, separated by blanks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The client to which the token was issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The username of the token's user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The identity URL, as in every token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// `access_token` or `refresh_token`, as in the imitated service; never `Bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_type: Option<&'static str>,
    /// When the token expires, in seconds; absent when it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    /// When it was issued, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
    /// From when the token is valid, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
}

impl Introspection {
    /// The body of the response.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a structure of texts and numbers is always JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(query: Option<&str>, body: &[u8]) -> TokenQuestion {
        TokenQuestion::parse(Parameters::parse(query, body).unwrap())
    }

    #[test]
    fn what_the_mobile_sdk_sends_at_logout_is_read() {
        let asked = question(None, b"token=5Aep861x&revoke_reason=user_logout");
        assert_eq!(asked.token, Some(Secret::from("5Aep861x".to_owned())));
        assert_eq!(asked.client_id, None);
        assert!(!asked.secret_came_in_query);
    }

    #[test]
    fn a_token_may_stand_in_the_query_and_a_secret_may_not() {
        let asked = question(Some("token=00D1!AQ"), b"");
        assert_eq!(asked.token, Some(Secret::from("00D1!AQ".to_owned())));
        assert!(!asked.secret_came_in_query);
        assert!(question(Some("token=x&client_secret=s"), b"").secret_came_in_query);
        assert!(question(Some("client_assertion=s"), b"token=x").secret_came_in_query);
        assert_eq!(question(None, b"token=").token, None);
    }

    #[test]
    fn what_is_not_known_of_a_token_is_left_out() {
        let answer = Introspection {
            active: true,
            scope: Some("openid api".to_owned()),
            token_type: Some("access_token"),
            exp: Some(2),
            ..Introspection::default()
        };
        assert_eq!(
            answer.to_json(),
            r#"{"active":true,"scope":"openid api","token_type":"access_token","exp":2}"#
        );
    }
}
