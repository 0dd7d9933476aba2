//! The binary itself: commands, start, drain, crash.

pub mod binary;
mod commands;
mod crash;
mod dev;
mod logs;
mod profiles;
mod running;
mod serve;
mod templates;
pub mod wire;
