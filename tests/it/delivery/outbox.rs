//! The outbox: leases, back-off, expiry, a relay that is down and comes back.
