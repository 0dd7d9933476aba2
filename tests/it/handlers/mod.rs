//! Customers' own code.

mod calls;
mod receivers;
mod webhook;
