//! The rate limits at the endpoints: which buckets of the rate limiter a request is charged to. A request is
//! charged before any account is looked up and before any remote service is called.

use super::arrival::Arrival;
use crate::admission::{Caller, Keys, SiteShare, Surface};
use crate::refusal::{Failure, Refusal};

/// Charges a request for a one-time password, apart from its site ([`charge_site`]). A backend sends the requests of all its users from one
/// address, so it is limited by its client id only. The target is the username that the request names, in
/// its compared form; a request that cannot be parsed names none.
///
/// # Refusals
/// `RateLimited`.
pub(super) fn charge_init<'a>(
    arrival: &'a Arrival,
    caller: &'a Caller,
    target: Option<&'a str>,
) -> Result<Charge<'a>, Refusal> {
    charge_caller(arrival, Surface::Init, caller, target)
}

/// Charges the site for a request of a caller who was admitted: a request without the required access token or captcha
/// does not use up what the site's users need.
///
/// # Refusals
/// `RateLimited`. What the request was charged before stays charged.
pub(super) fn charge_site(
    arrival: &Arrival,
    surface: Surface,
    caller: &Caller,
) -> Result<(), Refusal> {
    let Keys { site, share, .. } = keys_of(arrival, caller);
    let keys = Keys {
        site,
        share,
        ..Keys::default()
    };
    arrival
        .app
        .admission
        .rate_limiter
        .take(surface, &keys, arrival.at)
}

/// Charges the login of a guest, who has no credentials.
///
/// # Refusals
/// `RateLimited`.
pub(super) fn charge_guest(arrival: &Arrival, client: &str) -> Result<(), Refusal> {
    let keys = Keys {
        client: Some(client),
        share: SiteShare::Guest,
        ..keys_of(arrival, &Caller::Unauthenticated)
    };
    arrival
        .app
        .admission
        .rate_limiter
        .take(Surface::Guest, &keys, arrival.at)
}

/// What a request was charged. It is settled with the outcome of the request.
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
/// form, apart from the site ([`charge_site`]).
///
/// # Refusals
/// `RateLimited`.
pub(super) fn charge_reset<'a>(
    arrival: &'a Arrival,
    caller: &'a Caller,
    target: Option<&'a str>,
) -> Result<Charge<'a>, Refusal> {
    charge_caller(arrival, Surface::Reset, caller, target)
}

fn charge_caller<'a>(
    arrival: &'a Arrival,
    surface: Surface,
    caller: &'a Caller,
    target: Option<&'a str>,
) -> Result<Charge<'a>, Refusal> {
    let keys = Keys {
        target,
        site: None,
        ..keys_of(arrival, caller)
    };
    Charge::take(arrival, surface, keys)
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
        share: share_of(backend),
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

    /// Settles a request with credentials: what was right is refunded to the caller's address, at a bounded rate; what the
    /// server was too busy for is refunded altogether.
    pub(super) fn settle<T>(self, outcome: Result<T, Failure>) -> Result<T, Failure> {
        if outcome.is_ok() {
            let limiter = &self.arrival.app.admission.rate_limiter;
            limiter.give_back(self.surface, &self.keys, self.arrival.at);
            return outcome;
        }
        self.settle_unproved(outcome)
    }

    /// Settles a request whose success proves nothing: only what the server was too busy for is refunded.
    pub(super) fn settle_unproved<T>(self, outcome: Result<T, Failure>) -> Result<T, Failure> {
        if matches!(outcome, Err(Failure::Refused(Refusal::TooBusy))) {
            let limiter = &self.arrival.app.admission.rate_limiter;
            limiter.cancel(self.surface, &self.keys, self.arrival.at);
        }
        outcome
    }
}

/// The keys of a request, as far as its caller and its site decide them.
fn keys_of<'a>(arrival: &'a Arrival, caller: &'a Caller) -> Keys<'a> {
    let backend = caller.backend();
    Keys {
        ip: backend.is_none().then_some(arrival.ip),
        client: backend,
        site: Some(&arrival.site.site.id),
        share: share_of(backend),
        target: None,
    }
}

fn share_of(backend: Option<&str>) -> SiteShare {
    match backend {
        Some(_) => SiteShare::Backend,
        None => SiteShare::Public,
    }
}
