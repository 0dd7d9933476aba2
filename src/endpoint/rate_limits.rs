//! The rate limits at the endpoints: which buckets of the rate limiter a request is charged to. A request is
//! charged before any account is looked up and before any remote service is called.

use super::arrival::Arrival;
use crate::admission::{Caller, Keys, Surface};
use crate::refusal::Refusal;

/// Charges a request for a one-time password. A backend sends the requests of all its users from one
/// address, so it is limited by its client id only. The target is the username that the request names, in
/// its compared form; a request that cannot be parsed names none.
///
/// # Refusals
/// `RateLimited`.
pub(super) fn charge_init(
    arrival: &Arrival,
    caller: &Caller,
    target: Option<&str>,
) -> Result<(), Refusal> {
    let keys = Keys {
        target,
        ..keys_of(arrival, caller)
    };
    arrival
        .app
        .admission
        .rate_limiter
        .take(Surface::Init, &keys, arrival.at)
}

/// Charges the login of a guest, who has no credentials.
///
/// # Refusals
/// `RateLimited`.
pub(super) fn charge_guest(arrival: &Arrival, client: &str) -> Result<(), Refusal> {
    let keys = Keys {
        client: Some(client),
        ..keys_of(arrival, &Caller::Unauthenticated)
    };
    arrival
        .app
        .admission
        .rate_limiter
        .take(Surface::Guest, &keys, arrival.at)
}

/// What a request with credentials was charged. It is refunded when the credentials were right; otherwise
/// it is dropped.
#[must_use]
pub(super) struct Charge<'a> {
    arrival: &'a Arrival,
    surface: Surface,
    keys: Keys<'a>,
}

/// Charges a request with credentials, at [`Surface::Redeem`] or [`Surface::Login`]. The target is the
/// username in its compared form, if the request names one.
///
/// # Refusals
/// `RateLimited`.
pub(super) fn charge_credentials<'a>(
    arrival: &'a Arrival,
    surface: Surface,
    client: Option<&'a str>,
    target: Option<&'a str>,
) -> Result<Charge<'a>, Refusal> {
    let keys = Keys {
        client,
        target,
        ..keys_of(arrival, &Caller::Unauthenticated)
    };
    Charge::take(arrival, surface, keys)
}

/// Charges the second phase of a password reset, at [`Surface::Reset`], for a username in its compared
/// form.
///
/// # Refusals
/// `RateLimited`.
pub(super) fn charge_reset<'a>(
    arrival: &'a Arrival,
    caller: &'a Caller,
    target: Option<&'a str>,
) -> Result<Charge<'a>, Refusal> {
    let keys = Keys {
        target,
        ..keys_of(arrival, caller)
    };
    Charge::take(arrival, Surface::Reset, keys)
}

/// Charges a step of a first-party login. An authenticated backend sends the steps of all its users from
/// one address; an instance of an app sends those of one user.
///
/// # Refusals
/// `RateLimited`.
pub(super) fn charge_step<'a>(
    arrival: &'a Arrival,
    surface: Surface,
    backend: Option<&'a str>,
    target: Option<&'a str>,
) -> Result<Charge<'a>, Refusal> {
    let keys = Keys {
        ip: backend.is_none().then_some(arrival.ip),
        client: backend,
        site: Some(&arrival.site.site.id),
        target,
    };
    Charge::take(arrival, surface, keys)
}

/// Charges a client that failed to authenticate itself, at an endpoint where every client must.
///
/// # Refusals
/// `RateLimited`.
pub(super) fn charge_failed_client(arrival: &Arrival) -> Result<(), Refusal> {
    let keys = keys_of(arrival, &Caller::Unauthenticated);
    arrival
        .app
        .admission
        .rate_limiter
        .take(Surface::Token, &keys, arrival.at)
}

impl<'a> Charge<'a> {
    fn take(arrival: &'a Arrival, surface: Surface, keys: Keys<'a>) -> Result<Charge<'a>, Refusal> {
        arrival
            .app
            .admission
            .rate_limiter
            .take(surface, &keys, arrival.at)?;
        Ok(Charge {
            arrival,
            surface,
            keys,
        })
    }

    /// Refunds the charge to the caller's address, because the credentials were right.
    pub(super) fn refund(self) {
        let Charge {
            arrival,
            surface,
            keys,
        } = self;
        arrival
            .app
            .admission
            .rate_limiter
            .give_back(surface, &keys, arrival.at);
    }
}

/// The keys of a request, as far as its caller and its site decide them.
fn keys_of<'a>(arrival: &'a Arrival, caller: &'a Caller) -> Keys<'a> {
    let backend = caller.backend();
    Keys {
        ip: backend.is_none().then_some(arrival.ip),
        client: backend,
        site: Some(&arrival.site.site.id),
        target: None,
    }
}
