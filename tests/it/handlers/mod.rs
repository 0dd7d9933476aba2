//! Customers' own code.

mod receivers;
mod webhook;
