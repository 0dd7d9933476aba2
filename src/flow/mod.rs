//! Flows: one story per file, told in the order of its documentation page.
//!
//! A story gets parsed requests and values, asks `App` for effects, and returns an answer or a
//! refusal. Nothing remote happens inside a transaction. Stories never import each other, but for
//! [`first_party`], which has no flow of its own and tells the others by another door; what they
//! share is the head ([`addressee`], whom a username names, and [`one_time_password`], which sends a
//! code and compares it) and the tail, [`authorization`], which turns a proven user into a code.

pub mod addressee;
pub mod authorization;
pub mod first_party;
pub mod forgot_password;
pub mod guest;
pub mod one_time_password;
pub mod passwordless_login;
pub mod registration;
pub mod username_password;

pub use crate::app::Visit;
