//! Detection: what is unusual about the prices, volumes and the RSI of one symbol, found from its entries alone.
//!
//! Promises: pure, and on event time. What stands at the end follows from the final bars and trades, by whatever order,
//! repeats and corrections they came about: an anomaly whose data was amended so that it no longer holds is withdrawn.
//! One excursion is one anomaly. Nothing is allocated for a trade or a bar that is usual. Nothing here fails: without
//! enough bars to judge by, nothing is found.

mod bars;
mod baseline;
mod detected;
pub mod document;
mod judged;
mod prices;
mod publish;
pub mod settings;
pub mod statement;

pub use bars::BarDetector;
pub use baseline::PriceBand;
pub use detected::{AnomalyKind, Cause, Detected, Finding, severity};
pub use judged::BarFigures;
pub use prices::{PriceDetector, Suspect};
pub use publish::{Published, Publisher};
