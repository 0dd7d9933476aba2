//! Who a visitor is said to be: the header `Uvid-Hint` and the parameter `uvid_hint`.

use vestibule_protocol::headless::AuthRequestType;
use vestibule_protocol::secret::Secret;
use vestibule_protocol::uvid::UvidHint;

use super::arrival::Arrival;
use crate::refusal::Refusal;

/// The hint of a request, from its header or from its parameters. An empty one is none.
///
/// # Refusals
/// `UvidInvalid`, also for two that are not the same; `FormMalformed` for a header that came twice.
pub(super) fn hint(
    arrival: &Arrival,
    parameter: Option<&Secret>,
) -> Result<Option<UvidHint>, Refusal> {
    let parse = |text: &str| UvidHint::parse(text).map_err(|_| Refusal::UvidInvalid);
    let header = arrival.header("uvid-hint")?.filter(|text| !text.is_empty());
    let header = header.map(parse).transpose()?;
    let parameter = parameter.map(|secret| parse(secret.expose())).transpose()?;
    match (header, parameter) {
        (Some(one), Some(other)) if one != other => Err(Refusal::UvidInvalid),
        (one, other) => Ok(one.or(other)),
    }
}

/// Who wants to come in, by `Auth-Request-Type`.
///
/// # Refusals
/// `FormMalformed` for a header that came twice.
pub(super) fn request_type(arrival: &Arrival) -> Result<Option<AuthRequestType>, Refusal> {
    let header = arrival.header("auth-request-type")?;
    Ok(header.and_then(AuthRequestType::parse))
}
