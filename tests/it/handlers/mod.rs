//! Customers' own code: scripts and webhooks as handlers, and what stops hostile ones.

mod apex;
mod calls;
mod delivery;
mod discovery;
mod hostile;
mod receivers;
mod registration;
mod webhook;
