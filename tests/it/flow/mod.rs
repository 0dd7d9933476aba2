//! The stories, over the wire: registration and its tokens.

mod abuse;
mod conformance;
mod cors;
mod errors;
mod limits;
mod races;
mod registration;
mod settings;
mod templates;
pub mod tokens;
mod tolerance;
