//! Handlers: the customer's code.
//!
//! A handler decides and the flow acts: it receives values and returns values, and has neither a connection nor a
//! transaction. The built-in registration handler creates the user directly from `userdata`, maps members of
//! `customdata` by the site's settings, and names the account. A [`script`] is a handler that runs here, in a
//! sandbox, and a [`webhook`] is one that runs on a server of the customer.

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
