//! The `Authorization: Bearer` header (RFC 6750): at the init endpoints an integration user's, at
//! userinfo and the identity URL the user's own.

use vestibule_protocol::basic::parse_bearer;
use vestibule_protocol::secret::Secret;

use super::arrival::Arrival;
use crate::admission::Presented;
use crate::app::Bearer;
use crate::refusal::{Failure, Refusal};

/// The scopes by which a user's own data may be read.
const READING_SCOPES: [&str; 9] = [
    "openid", "id", "profile", "email", "address", "phone", "api", "full", "web",
];

/// What a caller of an init endpoint presents. Of a header of another scheme something is said: the
/// documents once call it Basic, and whoever follows them should not be taken for a stranger.
///
/// # Faults
/// The database is away.
pub(super) async fn presented(arrival: &Arrival) -> Result<Presented, Failure> {
    let Some(header) = arrival.header("authorization")? else {
        return Ok(Presented::Nothing);
    };
    let Some(token) = parse_bearer(header) else {
        let scheme = header.split([' ', '\t']).next().unwrap_or_default();
        return Ok(match scheme.eq_ignore_ascii_case("bearer") {
            true => Presented::Bad,
            false => Presented::Misplaced,
        });
    };
    match arrival.app.holder(&arrival.site, &token, arrival.at).await {
        Ok(holder) => Ok(Presented::Token {
            client_id: holder.client_id,
            scopes: holder.scopes,
            is_integration: holder.user.is_integration,
        }),
        Err(Failure::Refused(_)) => Ok(Presented::Bad),
        Err(fault) => Err(fault),
    }
}

/// The user or the guest whose token came in the header or, where the endpoint takes a form, as
/// `access_token`.
///
/// # Refusals
/// `AccessTokenMissing`, `AccessTokenInvalid`, `AccessTokenScopeMissing`, and `CredentialsMisplaced`
/// for a token sent twice (RFC 6750 section 2).
pub(super) async fn reader(
    arrival: &Arrival,
    form_token: Option<Secret>,
) -> Result<Bearer, Failure> {
    let in_header = arrival.header("authorization")?.and_then(parse_bearer);
    let token = match (in_header, form_token) {
        (Some(_), Some(_)) => return Err(Refusal::CredentialsMisplaced.into()),
        (Some(token), None) | (None, Some(token)) => token,
        (None, None) => return Err(Refusal::AccessTokenMissing.into()),
    };
    let bearer = arrival
        .app
        .bearer(&arrival.site, &token, arrival.at)
        .await?;
    let scopes = match &bearer {
        Bearer::Guest(guest) => &guest.scopes,
        Bearer::User(holder) => &holder.scopes,
    };
    if READING_SCOPES.iter().any(|scope| scopes.contains(scope)) {
        Ok(bearer)
    } else {
        Err(Refusal::AccessTokenScopeMissing.into())
    }
}
