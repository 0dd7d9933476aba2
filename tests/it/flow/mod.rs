//! The stories, over the wire: the flows, their tokens, and what clients and documents say of both.

mod abuse;
mod accounts;
mod conformance;
mod cors;
mod dead_services;
mod discovery;
pub mod errors;
mod forgot_password;
mod guest;
mod limits;
mod mobile_sdk;
mod passwordless_login;
pub mod races;
mod registration;
mod sameness;
mod seeds;
mod settings;
mod templates;
pub mod tokens;
mod tolerance;
mod username_password;
