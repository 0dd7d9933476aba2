//! Customers' code: its calls and their records, hostile scripts, delivery by text message, and webhooks in the
//! flows and over the wire.

mod apex;
mod calls;
mod delivery;
mod discovery;
mod hostile;
mod receivers;
mod registration;
mod webhook;
mod webhook_flows;
