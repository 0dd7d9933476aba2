//! First-party apps: every exchange at the two authorization challenge endpoints, and the refusal of apps that
//! cannot authenticate (threats C.12).

mod attacks;
mod documented;
pub mod mint;
mod sessions;
mod standard;
mod tokens;
