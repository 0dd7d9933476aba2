//! The stories, over the wire: registration and its tokens.

mod abuse;
mod accounts;
mod conformance;
mod cors;
mod errors;
mod forgot_password;
mod limits;
mod passwordless_login;
mod races;
mod registration;
mod sameness;
mod settings;
mod templates;
mod text_messages;
pub mod tokens;
mod tolerance;
mod username_password;
