//! An anomaly, for tests of what is said of one.

use tickwire::models::anomaly::{AnomalyState, Severity};
use tickwire::models::detection::settings::Method;
use tickwire::models::detection::{AnomalyKind, Cause, Detected, Finding};
use tickwire::models::entry::TradeId;
use tickwire::models::symbol::SymbolId;
use tickwire::models::time::{MINUTE, Nanos, Width};

/// A trade that is 5.2 % above the mean, as it is said first.
pub fn price_spike(symbol: SymbolId, time: Nanos) -> Detected {
    let finding = Finding {
        kind: AnomalyKind::PriceAbove,
        time,
        start: time,
        value: 191_700_000_000.0,
        expected: 182_310_000_000.0,
        threshold: 5.0,
        severity: Severity::Low,
        bars: 20,
        method: Method::Mean,
        cause: Cause { pos: 1, revision: 0, trade: Some(TradeId::number(77)) },
    };
    let width = Width::new(MINUTE).unwrap();
    Detected { symbol, width, finding, state: AnomalyState::Active, revision: 0, seq: 1, log_pos: 1 }
}
