//! First-party apps: every exchange at the two authorization challenge endpoints, and what an app that
//! is not what it says gets (threats C.12).

mod attacks;
mod documented;
pub mod mint;
mod sessions;
mod standard;
mod tokens;
