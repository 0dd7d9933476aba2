//! The store, tested on both databases.

mod conformance;
mod faults;
mod migrations;
mod statements;
