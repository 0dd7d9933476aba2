//! Flows: one story per file, told in the order of its documentation page.
//!
//! A story gets parsed requests and values, asks `App` for effects, and returns an answer or a
//! refusal. Nothing remote happens inside a transaction. Stories never import each other; what they
//! share is the tail, [`authorization`], which turns a proven user into a code.

pub mod authorization;
pub mod registration;

pub use crate::app::Visit;
