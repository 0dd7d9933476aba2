//! The store, tested on both databases.

mod conformance;
mod erasure;
mod faults;
mod migrations;
mod statements;
mod tls;
