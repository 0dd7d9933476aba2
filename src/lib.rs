//! Vestibule: a headless customer-identity server.
//!
//! The modules are in layers, and a file imports only from lower layers (`ARCHITECTURE.md` has the
//! table, `tests/tidy.rs` checks it):
//!
//! * entry points: [`endpoint`], [`emulator`], [`cli`], and the background tasks in [`worker`];
//! * stories: [`flow`], [`grant`], [`admin`];
//! * between them and the effects: [`app`];
//! * effects: [`store`], [`delivery`], [`handler`], [`admission`], [`hashing`];
//! * rules: [`identity`], [`client`], [`verification`], [`token`], [`settings`], [`outgoing`], [`audit`];
//! * vocabulary: the `vestibule-protocol` crate, [`moment`], [`refusal`] and a few more.

pub mod admin;
pub mod admission;
pub mod algorithm;
pub mod app;
pub mod audit;
pub mod captcha;
pub mod captcha_provider;
pub mod changes;
pub mod cli;
pub mod client;
pub mod config;
pub mod contract;
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
