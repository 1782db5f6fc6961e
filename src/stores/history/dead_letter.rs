//! The stored form of an entry that was set aside.
//!
//! Promises: it holds names and no numbers of this process, and its payload is the tick as `wire` writes it.

use super::DeadLetterRecord;
use crate::models::effect::DeadLetter;
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use crate::names::{SourceTable, SymbolTable};
use crate::wire;

impl DeadLetterRecord {
    /// Writes out an entry that was set aside, with the names that topics and tables use.
    #[must_use]
    pub fn of(letter: &DeadLetter, symbols: &SymbolTable, sources: &SourceTable) -> DeadLetterRecord {
        let spec = (letter.symbol != SymbolId::NONE).then(|| symbols.spec(letter.symbol));
        let provider = sources.name(letter.body.source());
        let received = letter.body.received().filter(|at| *at != Nanos::MIN);
        let payload = wire::payload(&letter.body, spec.as_deref(), &provider);
        DeadLetterRecord {
            reason: letter.reason.as_str().to_owned(),
            symbol: spec.map(|spec| spec.name.clone()),
            provider,
            received_at: received.unwrap_or(letter.body.time()),
            payload,
            pos: Some(letter.pos),
            origin: String::new(),
            id: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::effect::DeadReason;
    use crate::models::entry::{Body, Trade, TradeId, Updates};
    use crate::models::ledger::RejectReason;
    use crate::models::num::{Price, Size};
    use crate::models::symbol::SymbolSpec;
    use serde_json::{Value, json};

    #[test]
    fn a_letter_says_what_the_entry_said() {
        let (symbols, sources) = (SymbolTable::default(), SourceTable::default());
        let symbol = symbols.intern(SymbolSpec::named("BTC-USD"));
        let source = sources.intern("coinbase");
        let trade = Trade {
            ts: Nanos(1_700_000_000_000_000_000),
            received: Nanos::MIN,
            price: Price(-1_500_000_000),
            size: Size(250_000_000),
            seq: 9,
            id: TradeId::number(77),
            source,
            updates: Updates::ALL,
        };
        let reason = DeadReason::Rejected(RejectReason::BadPrice);
        let letter = DeadLetter { pos: 5, symbol, reason, body: Body::Trade(trade) };
        let record = DeadLetterRecord::of(&letter, &symbols, &sources);
        assert_eq!((record.reason.as_str(), record.provider.as_str()), ("bad_price", "coinbase"));
        assert_eq!(record.received_at, trade.ts, "nobody knows when it was received");
        let payload: Value = serde_json::from_str(&record.payload).expect("JSON");
        assert_eq!(
            payload,
            json!({
                "symbol": "BTC-USD", "timestamp": "2023-11-14T22:13:20Z", "ts_ns": "1700000000000000000",
                "provider": "coinbase", "price": -1.5, "volume": 2.5, "trade_id": "77", "updates": "hcv",
                "seq": 9, "tick_type": "trade",
            })
        );
    }
}
