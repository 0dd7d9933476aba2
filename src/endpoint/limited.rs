//! The edge's limits at the endpoints: which buckets a request falls into. It is asked before any
//! account is looked up and before anything remote is.

use super::arrival::Arrival;
use crate::admission::{Keys, Presented, Surface};
use crate::refusal::Refusal;

/// A call that asks for a code. A backend that shows its token speaks for all its users from one
/// address, and is limited as a client only.
///
/// # Refusals
/// `RateLimited`.
pub(super) fn init(arrival: &Arrival, presented: &Presented) -> Result<(), Refusal> {
    let backend = match presented {
        Presented::Token {
            client_id,
            is_integration: true,
            ..
        } => Some(client_id.as_str()),
        _ => None,
    };
    let keys = Keys {
        ip: backend.is_none().then_some(arrival.ip),
        client: backend,
        ..keys(arrival)
    };
    arrival.app.edge.take(Surface::Init, &keys, arrival.at)
}

/// A request that presents a code, or a username and a password. It is kept until the answer is
/// known: what was right is given back to the caller's address.
pub(super) struct Presenting<'a> {
    arrival: &'a Arrival,
    surface: Surface,
    keys: Keys<'a>,
}

/// Takes a request at [`Surface::Redeem`], [`Surface::Login`] or [`Surface::Reset`] in. The target is
/// the username in its compared form, where one is presented.
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
        ..keys(arrival)
    };
    arrival.app.edge.take(surface, &keys, arrival.at)?;
    Ok(Presenting {
        arrival,
        surface,
        keys,
    })
}

impl Presenting<'_> {
    /// What was presented was right.
    pub(super) fn succeeded(self) {
        let Presenting {
            arrival,
            surface,
            keys,
        } = self;
        arrival.app.edge.give_back(surface, &keys, arrival.at);
    }
}

fn keys(arrival: &Arrival) -> Keys<'_> {
    Keys {
        ip: Some(arrival.ip),
        site: Some(&arrival.site.site.id),
        ..Keys::default()
    }
}
