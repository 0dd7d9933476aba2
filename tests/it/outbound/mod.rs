//! The guarded HTTP client, over real connections.

mod fetching;
mod guard;
mod proxy;
