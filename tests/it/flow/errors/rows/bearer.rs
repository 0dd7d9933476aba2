//! Userinfo and the identity URL.

use serde_json::Value;

use super::{BEARER, Row, method_not_allowed, misplaced_credentials, oauth};
use crate::fixture::{BASE_URL, Call};

const USERINFO: &str = "/services/oauth2/userinfo";

const UNKNOWN: &str = "00D000000000001!none";

/// `tokens` are those of the user who asks, and `other` those of another user.
pub fn bearer_rows(tokens: &Value, other: &Value) -> Vec<(Call, Row)> {
    let mut rows = userinfo_rows(text(tokens, "access_token"));
    rows.extend(identity_rows(tokens, other));
    rows
}

fn userinfo_rows(token: &str) -> Vec<(Call, Row)> {
    let userinfo = || Call::get(USERINFO);
    let in_url = |name: &str| Call::get(&format!("{USERINFO}?{name}={token}"));
    let post = Call::post(USERINFO).bearer(token);
    vec![
        (userinfo().bearer(UNKNOWN), refused("unknown")),
        (userinfo().bearer("a.b.c"), refused("not a JWT")),
        (in_url("access_token"), missing("in the URL")),
        (in_url("oauth_token"), missing("in the URL by its old name")),
        (userinfo(), missing("none")),
        (userinfo().basic("a", "b"), missing("another scheme")),
        (
            post.form("access_token", token),
            misplaced_credentials("twice"),
        ),
        (
            Call::new(http::Method::PUT, USERINFO).bearer(token),
            method_not_allowed("GET, POST", "allowed methods: GET, POST"),
        ),
    ]
}

fn identity_rows(tokens: &Value, other: &Value) -> Vec<(Call, Row)> {
    let token = text(tokens, "access_token");
    let origin = BASE_URL.strip_suffix("/backend").unwrap();
    let at = |path: &str| Call::get("").at(path);
    let of = |tokens: &Value| at(text(tokens, "id").strip_prefix(origin).unwrap());
    let unknown_user = "/backend/id/00D000000000001EAA/005000000000001AAA";
    vec![
        (of(tokens), missing("none")),
        (of(tokens).bearer(UNKNOWN), refused("unknown")),
        // An unknown user is refused as another user is, so that no answer discloses who exists.
        (of(other).bearer(token), scope("another user")),
        (at(unknown_user).bearer(token), scope("unknown user")),
        (at("/backend/id/x/y").bearer(token), scope("malformed")),
    ]
}

fn text<'a>(tokens: &'a Value, name: &str) -> &'a str {
    tokens[name].as_str().unwrap()
}

/// A token that is not valid.
fn refused(what: &'static str) -> Row {
    let description = "the access token is expired, revoked or malformed";
    let challenge = r#"Bearer realm="Vestibule", error="invalid_token", error_description="the access token is expired, revoked or malformed""#;
    Row::of(what, 401, oauth("invalid_token", description)).challenge(challenge)
}

/// A valid token that does not allow this request.
fn scope(what: &'static str) -> Row {
    let description = "the access token lacks the scope this request needs";
    let challenge = r#"Bearer realm="Vestibule", error="insufficient_scope", error_description="the access token lacks the scope this request needs""#;
    Row::of(what, 403, oauth("insufficient_scope", description)).challenge(challenge)
}

/// RFC 6750 section 3.1: a request without a token is answered with the scheme and no reason.
fn missing(what: &'static str) -> Row {
    let body = oauth("invalid_request", "include an authentication header");
    Row::of(what, 401, body).challenge(BEARER)
}
