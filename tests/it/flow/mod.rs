//! The stories, over the wire.

mod abuse;
mod conformance;
mod errors;
mod races;
mod registration;
mod settings;
mod tokens;
