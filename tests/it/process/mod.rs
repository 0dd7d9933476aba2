//! The binary itself: commands, start, drain, crash.

pub mod binary;
mod browser;
mod commands;
mod crash;
mod dev;
mod exposure;
mod jose;
mod logs;
mod refused_credentials;
mod running;
mod script;
mod serve;
pub mod wire;
