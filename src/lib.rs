//! Vestibule: a headless customer-identity server.
//!
//! The rooms stand in rows, and a file imports only from lower ones (`ARCHITECTURE.md` draws the
//! map, `tests/tidy.rs` keeps it):
//!
//! * doors: [`endpoint`], [`emulator`], [`cli`], and the outbox worker in [`delivery::worker`];
//! * stories: [`flow`], [`grant`], [`admin`];
//! * between them and the effects: [`app`];
//! * effects: [`store`], [`delivery`], [`handler`], [`admission`], [`hashing`];
//! * rules: [`identity`], [`client`], [`verification`], [`token`], [`settings`], [`outgoing`], [`audit`];
//! * words: the `vestibule-protocol` crate, [`moment`], [`refusal`] and a few more.

pub mod admin;
pub mod admission;
pub mod algorithm;
pub mod app;
pub mod audit;
pub mod captcha;
pub mod changes;
pub mod cli;
pub mod client;
pub mod config;
pub mod delivery;
pub mod emulator;
pub mod endpoint;
pub mod flow;
pub mod grant;
pub mod handler;
pub mod hashing;
pub mod identity;
pub mod jose;
pub mod metrics;
pub mod moment;
pub mod network;
pub mod outbound;
pub mod outgoing;
pub mod refusal;
pub mod sealing;
pub mod settings;
pub mod store;
pub mod telemetry;
pub mod token;
pub mod verification;
pub mod worker;
