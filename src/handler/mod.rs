//! Handlers: the place of the customer's own code.
//!
//! A handler answers and the flow acts: it is given values and returns values, and holds neither a
//! connection nor a transaction. The built-in registration handler makes the user straight from
//! `userdata`, puts members of `customdata` where the site's mapping says, and names the account. A
//! [`script`] is a handler that runs here, in a sandbox, and a [`webhook`] one that runs on a server of the customer's.

pub mod body;
pub mod contract;
pub mod difference;
pub mod fixture;
pub mod question;
pub mod record;
pub mod replay;
pub mod script;
pub mod types;
pub mod webhook;

mod answer;
mod registration;

pub use answer::{Created, accept, arguments};
pub use registration::{AccountLink, HandlerError, NewUser, Registrant, create_user};

/// Record id prefix of a handler.
pub const HANDLER_PREFIX: &str = "01p";

/// Record id prefix of a handler's call.
pub const CALL_PREFIX: &str = "07L";
