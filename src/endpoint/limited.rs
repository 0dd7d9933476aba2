//! The edge's limits at the endpoints: which buckets a request falls into. It is asked before any
//! account is looked up and before anything remote is.

use super::arrival::Arrival;
use crate::admission::{Keys, Presented, Surface};
use crate::refusal::Refusal;

/// A call that asks for a code. A backend that shows its token speaks for all its users from one
/// address, and is limited as a client only. The target is the username that the call names, in
/// its compared form; a call that cannot be read names none.
///
/// # Refusals
/// `RateLimited`.
pub(super) fn init(
    arrival: &Arrival,
    presented: &Presented,
    target: Option<&str>,
) -> Result<(), Refusal> {
    let keys = Keys {
        target,
        ..keys_of(arrival, presented)
    };
    arrival
        .app
        .admission
        .rate_limiter
        .take(Surface::Init, &keys, arrival.at)
}

/// A guest, who presents nothing.
///
/// # Refusals
/// `RateLimited`.
pub(super) fn guest(arrival: &Arrival, client: &str) -> Result<(), Refusal> {
    let keys = Keys {
        client: Some(client),
        ..keys_of(arrival, &Presented::Nothing)
    };
    arrival
        .app
        .admission
        .rate_limiter
        .take(Surface::Guest, &keys, arrival.at)
}

/// A request that presents a code, or a username and a password. It is kept until the answer is
/// known: what was right is given back to the caller's address.
pub(super) struct Presenting<'a> {
    arrival: &'a Arrival,
    surface: Surface,
    keys: Keys<'a>,
}

/// Takes a request at [`Surface::Redeem`] or [`Surface::Login`] in. The target is the username in its
/// compared form, where one is presented.
///
/// # Refusals
/// `RateLimited`.
pub(super) fn presenting<'a>(
    arrival: &'a Arrival,
    surface: Surface,
    client: Option<&'a str>,
    target: Option<&'a str>,
) -> Result<Presenting<'a>, Refusal> {
    let keys = Keys {
        client,
        target,
        ..keys_of(arrival, &Presented::Nothing)
    };
    Presenting::take(arrival, surface, keys)
}

/// Takes a request at [`Surface::Reset`] in, about a username in its compared form.
///
/// # Refusals
/// `RateLimited`.
pub(super) fn resetting<'a>(
    arrival: &'a Arrival,
    presented: &'a Presented,
    target: Option<&'a str>,
) -> Result<Presenting<'a>, Refusal> {
    let keys = Keys {
        target,
        ..keys_of(arrival, presented)
    };
    Presenting::take(arrival, Surface::Reset, keys)
}

/// A step of a first-party login. A backend that has proved itself speaks for all its users from one
/// address; an instance of an app speaks for one.
///
/// # Refusals
/// `RateLimited`.
pub(super) fn stepping<'a>(
    arrival: &'a Arrival,
    surface: Surface,
    backend: Option<&'a str>,
    target: Option<&'a str>,
) -> Result<Presenting<'a>, Refusal> {
    let keys = Keys {
        ip: backend.is_none().then_some(arrival.ip),
        client: backend,
        site: Some(&arrival.site.site.id),
        target,
    };
    Presenting::take(arrival, surface, keys)
}

/// A client that did not prove itself, at an endpoint where each must.
///
/// # Refusals
/// `RateLimited`.
pub(super) fn unproven(arrival: &Arrival) -> Result<(), Refusal> {
    let keys = keys_of(arrival, &Presented::Nothing);
    arrival
        .app
        .admission
        .rate_limiter
        .take(Surface::Token, &keys, arrival.at)
}

impl<'a> Presenting<'a> {
    fn take(
        arrival: &'a Arrival,
        surface: Surface,
        keys: Keys<'a>,
    ) -> Result<Presenting<'a>, Refusal> {
        arrival
            .app
            .admission
            .rate_limiter
            .take(surface, &keys, arrival.at)?;
        Ok(Presenting {
            arrival,
            surface,
            keys,
        })
    }

    /// What was presented was right.
    pub(super) fn succeeded(self) {
        let Presenting {
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

/// What is known of a caller by what it shows.
fn keys_of<'a>(arrival: &'a Arrival, presented: &'a Presented) -> Keys<'a> {
    let backend = presented.backend();
    Keys {
        ip: backend.is_none().then_some(arrival.ip),
        client: backend,
        site: Some(&arrival.site.site.id),
        target: None,
    }
}
