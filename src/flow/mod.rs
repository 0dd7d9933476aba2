//! Flows: one flow per file, in the order of its documentation page.
//!
//! A flow gets an admitted caller and a parsed request, asks `App` for effects, and returns an answer or a
//! refusal. No remote service is called inside a transaction. Flows never import each other, except for
//! [`first_party`], which has no flow of its own and calls the others. They share what comes first
//! ([`addressee`], which finds the user that a request names, and [`one_time_password`], which sends a code
//! and compares it) and what comes last: [`authorization`], which issues a code for a verified user.
//! [`user_credentials`] says where a request may send the credentials that a flow compares.

pub mod addressee;
pub mod authorization;
pub mod first_party;
pub mod forgot_password;
pub mod guest;
pub mod one_time_password;
pub mod passwordless_login;
pub mod registration;
pub mod user_credentials;
pub mod username_password;
