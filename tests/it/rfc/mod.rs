//! What the specifications ask, by their numbers.

mod openid_connect;
mod rfc6749;
