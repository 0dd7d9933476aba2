//! The guarded way out, over real connections.

mod fetching;
mod guard;
