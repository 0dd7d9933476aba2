//! What a request says about its visitor: the header `Uvid-Hint` and the parameter `uvid_hint`, and the header
//! `Auth-Request-Type`.

use vestibule_protocol::headless::AuthRequestType;
use vestibule_protocol::secret::Secret;
use vestibule_protocol::uvid::UvidHint;

use super::arrival::Arrival;
use crate::refusal::{Reason, Refusal};

/// The hint of a request, from its header or from its parameters. An empty one is none.
///
/// # Refusals
/// `UvidInvalid`, also for two hints that differ; `FormMalformed` for a header that was sent twice.
pub(super) fn hint(
    arrival: &Arrival,
    parameter: Option<&Secret>,
) -> Result<Option<UvidHint>, Refusal> {
    let invalid = |because| Refusal::UvidInvalid { because };
    let parse = |text: &str| UvidHint::parse(text).map_err(|_| invalid(Reason::UvidMalformed));
    let header = arrival.header("uvid-hint")?.filter(|text| !text.is_empty());
    let header = header.map(parse).transpose()?;
    let parameter = parameter.map(|secret| parse(secret.expose())).transpose()?;
    match (header, parameter) {
        (Some(one), Some(other)) if one != other => Err(invalid(Reason::UvidHintsDiffer)),
        (one, other) => Ok(one.or(other)),
    }
}

/// The kind of login that the header `Auth-Request-Type` asks for.
///
/// # Refusals
/// `FormMalformed` for a header that was sent twice.
pub(super) fn request_type(arrival: &Arrival) -> Result<Option<AuthRequestType>, Refusal> {
    let header = arrival.header("auth-request-type")?;
    Ok(header.and_then(AuthRequestType::parse_any_case))
}
