//! The flows over the wire, with their tokens, as clients and documents describe them.

mod abuse;
mod accounts;
mod clock;
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
mod refused_credentials;
mod registration;
mod reported;
mod sameness;
mod seeds;
mod settings;
mod templates;
pub mod tokens;
mod tolerance;
mod username_password;
