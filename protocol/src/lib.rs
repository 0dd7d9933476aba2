//! The wire protocol of Vestibule: text in, typed requests out; typed responses in, text out.
//!
//! Every module of the server may use these types; none of them uses a database, a clock or a socket. Requests are
//! parsed once here, and refused here when they are not well formed. The wire form of every refusal is in one
//! table, [`error::TABLE`]. The sources are the Headless Identity documents, OAuth 2.0 (RFC 6749, RFC 6750, RFC
//! 7009, RFC 7636, RFC 7662), OpenID Connect Core and Discovery 1.0.

pub mod auth_configuration;
pub mod authorization;
pub mod basic;
pub mod characters;
pub mod error;
pub mod form;
pub mod format;
pub mod headless;
pub mod identifier;
pub mod identity;
pub mod locale;
pub mod metadata;
pub mod pkce;
pub mod purpose;
pub mod revocation;
pub mod scope;
pub mod secret;
pub mod strict_json;
pub mod token;
pub mod userinfo;
pub mod uvid;
pub mod words;
