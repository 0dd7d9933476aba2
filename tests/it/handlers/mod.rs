//! Customers' own code.

mod webhook;
