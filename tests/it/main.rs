//! The integration tests, one binary: `flow/` per flow, `rfc/` per specification, `store/` on both databases,
//! `delivery/` against a real SMTP conversation, `handlers/` for customers' code, `process/` for the binary itself.
//!
//! Most tests drive the public listener's routes in process, with a fixed clock and a fresh database each;
//! [`fixture::Site`] is a site with the demo and methods for the requests of clients.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "these are tests"
)]

mod captcha;
mod delivery;
mod first_party;
mod fixture;
mod flow;
mod handlers;
mod outbound;
mod process;
mod rfc;
mod sms;
mod store;
