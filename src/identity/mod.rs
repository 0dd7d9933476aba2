//! Identity: users as data and rules.
//!
//! Users, profiles and accounts, and the rules for usernames, addresses, phone numbers and passwords. Nothing here
//! reads the database or the clock; `store` loads and saves what is defined here. Usernames follow RFC 8265,
//! addresses RFC 5321, phone numbers E.164.

pub mod country;
pub mod email;
pub mod external_identifier;
pub mod password;
pub mod phone;
pub mod text_message;
pub mod username;

mod account;
mod profile;
mod user;

pub use account::Account;
pub use profile::{Profile, UserType};
#[cfg(test)]
pub(crate) use user::testing;
pub use user::{Attributes, User, UserSnapshot, utc_offset_millis};

/// Record id prefixes of the types in this module.
pub mod prefix {
    /// An account.
    pub const ACCOUNT: &str = "001";
    /// A user.
    pub const USER: &str = "005";
    /// A profile.
    pub const PROFILE: &str = "00e";
    /// The organisation, which is the whole installation.
    pub const ORGANISATION: &str = "00D";
    /// A site.
    pub const SITE: &str = "0DB";
}
