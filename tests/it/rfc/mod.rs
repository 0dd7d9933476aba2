//! The requirements of the specifications, by their numbers.

mod openid_connect;
mod rfc6749;
