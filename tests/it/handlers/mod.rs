//! Customers' own code: its calls and their records, delivery by text message, and webhooks over the wire.

mod calls;
mod delivery;
mod receivers;
mod webhook;
