//! Text messages: how many a day, and the gateways over the wire.

mod budget;
mod flows;
mod gateways;
