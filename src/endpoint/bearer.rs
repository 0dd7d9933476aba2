//! The `Authorization: Bearer` header (RFC 6750): at the init endpoints an integration user's, at
//! userinfo and the identity URL the user's own.

use vestibule_protocol::basic::{is_bearer_scheme, parse_bearer};
use vestibule_protocol::secret::Secret;

use super::arrival::Arrival;
use crate::admission::Caller;
use crate::app::Bearer;
use crate::refusal::{Failure, Reason, Refusal};

/// The scopes of which one is needed to read the data of the token's user.
const READING_SCOPES: [&str; 9] = [
    "openid", "id", "profile", "email", "address", "phone", "api", "full", "web",
];

/// The caller of a headless API, by its header. A header of another scheme is no missing header: the
/// documentation once calls the scheme Basic, and a backend that follows it must learn of the mistake.
///
/// # Refusals
/// `FormMalformed` for a header that was sent twice with two values.
///
/// # Faults
/// The database does not answer.
pub(super) async fn caller(arrival: &Arrival) -> Result<Caller, Failure> {
    let Some(header) = arrival.header("authorization")? else {
        return Ok(Caller::Unauthenticated);
    };
    let Some(token) = parse_bearer(header) else {
        return Ok(if is_bearer_scheme(header) {
            Caller::BadToken(Reason::AccessTokenMalformed)
        } else {
            Caller::OtherScheme
        });
    };
    match arrival.app.holder(&arrival.site, &token, arrival.at).await {
        Ok(holder) => Ok(Caller::Token {
            client_id: holder.client_id,
            scopes: holder.scopes,
            is_integration: holder.user.is_integration,
        }),
        Err(Failure::Refused(Refusal::AccessTokenInvalid { because })) => {
            Ok(Caller::BadToken(because))
        }
        Err(failure) => Err(failure),
    }
}

/// The user or the guest of the token in the header or, where the endpoint reads a form, in `access_token`.
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
