//! `POST …/token` with mistakes that do not spend the code.

use super::{
    Row, body_too_large, compressed_body, duplicate_parameter, invalid_request, method_not_allowed,
    misplaced_credentials, missing_parameter, missing_redirect_uri, oauth, refused,
    scope_not_allowed, unknown_client,
};
use crate::fixture::{Call, Site};

const TOKEN: &str = "/services/oauth2/token";

pub fn token_rows(good: &Call, site: &Site) -> Vec<(Call, Row)> {
    let mut rows = client_rows(good);
    rows.extend(header_rows(good, site));
    rows.extend(code_rows(good));
    rows.extend(client_credentials_rows(site));
    rows.extend(request_rows(good, site));
    rows.extend(grant_type_rows(good));
    rows
}

/// The request without the client's identifier and secret.
fn bare(good: &Call) -> Call {
    good.clone()
        .with("client_id", None)
        .with("client_secret", None)
}

/// The client and its secret in the body.
fn client_rows(good: &Call) -> Vec<(Call, Row)> {
    let wrong_client = |what| refused(what, "invalid_client", "invalid client credentials");
    vec![
        (
            good.clone().with("client_secret", None),
            wrong_client("no secret"),
        ),
        (
            good.clone().with("client_secret", Some("wrong")),
            wrong_client("wrong secret"),
        ),
        (
            good.clone().with("client_id", Some("3MVG9none")),
            unknown_client(),
        ),
        (bare(good), missing_parameter("no client", "client_id")),
    ]
}

/// The client and its secret in the Basic header.
fn header_rows(good: &Call, site: &Site) -> Vec<(Call, Row)> {
    let wrong_client = |what| {
        let body = oauth("invalid_client", "invalid client credentials");
        Row::of(what, 401, body).challenge(r#"Basic realm="Vestibule", charset="UTF-8""#)
    };
    let ambiguous = |what| invalid_request(what, "use one method of client authentication");
    let client = &site.client;
    vec![
        (
            bare(good).basic(&client.id, "wrong"),
            wrong_client("wrong secret in the header"),
        ),
        (
            bare(good).basic("3MVG9none", "x"),
            wrong_client("unknown client in the header"),
        ),
        (
            bare(good).basic(&client.id, ""),
            wrong_client("no secret in the header"),
        ),
        (
            bare(good).header("authorization", "Basic !!!"),
            wrong_client("unreadable header"),
        ),
        (
            good.clone().basic(&client.id, &client.secret),
            ambiguous("two methods"),
        ),
        (
            bare(good)
                .form("client_id", &site.integration.id)
                .basic(&client.id, &client.secret),
            ambiguous("two clients"),
        ),
    ]
}

fn code_rows(good: &Call) -> Vec<(Call, Row)> {
    vec![
        (
            good.clone().with("code", None),
            missing_parameter("no code", "code"),
        ),
        (
            good.clone().with("code", Some("aPrxNone")),
            refused("code", "invalid_grant", "invalid authorization code"),
        ),
        (
            good.clone().with("redirect_uri", None),
            missing_redirect_uri(),
        ),
        (
            good.clone().form("code", "other"),
            duplicate_parameter("code"),
        ),
    ]
}

fn client_credentials_rows(site: &Site) -> Vec<(Call, Row)> {
    let credentials = |id: &str, secret: &str| {
        Call::post(TOKEN)
            .form("grant_type", "client_credentials")
            .form("client_id", id)
            .form("client_secret", secret)
    };
    let allowed = || credentials(&site.integration.id, &site.integration.secret);
    vec![
        (
            credentials(&site.client.id, &site.client.secret),
            refused(
                "no such flow",
                "invalid_grant",
                "no client credentials user enabled",
            ),
        ),
        (
            allowed().form("scope", ","),
            scope_not_allowed("empty scope"),
        ),
        (
            allowed().form("scope", "openid"),
            scope_not_allowed("scope"),
        ),
    ]
}

/// Method, format, size, and a secret in the URL.
fn request_rows(good: &Call, site: &Site) -> Vec<(Call, Row)> {
    let secret = &site.client.secret;
    vec![
        (
            Call::get(TOKEN),
            method_not_allowed("POST", "use a POST request"),
        ),
        (
            good.clone().form("format", "yaml"),
            invalid_request("format", "format must be json, urlencoded or xml"),
        ),
        (
            good.clone()
                .at(&format!("/backend{TOKEN}?client_secret={secret}")),
            misplaced_credentials("secret in the URL"),
        ),
        (
            good.clone().header("content-encoding", "br"),
            compressed_body(),
        ),
        (
            Call::post(TOKEN).body(&vec![b'a'; 128 * 1024 + 1]),
            body_too_large(),
        ),
    ]
}

fn grant_type_rows(good: &Call) -> Vec<(Call, Row)> {
    [
        None,
        Some(""),
        Some("password"),
        Some("implicit"),
        Some("Authorization_Code"),
    ]
    .map(|grant_type| {
        let description = "grant type not supported";
        let row = refused("grant type", "unsupported_grant_type", description);
        (good.clone().with("grant_type", grant_type), row)
    })
    .into()
}
