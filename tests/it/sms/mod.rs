//! Text messages: the limits per day, and the gateways over the wire.

mod budget;
mod flows;
mod gateways;
