//! The store, on both databases.

mod conformance;
mod faults;
mod migrations;
mod statements;
