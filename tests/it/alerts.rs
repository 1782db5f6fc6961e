//! Alerts from the anomaly in the history to the channel: decisions, restarts, kills, storms. The clock is turned by hand.

mod decisions;
mod heartbeat;
mod kill;
mod whole;
mod world;
