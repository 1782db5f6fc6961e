//! Dead letters of entries, as people look them up.

use super::DeadLetterRecord;
use crate::models::effect::DeadLetter;
use crate::models::entry::{Body, Cancel, Correction, Trade, TradeId};
use crate::models::num::{Price, Scale, Size};
use crate::models::source::SourceTable;
use crate::models::symbol::{SymbolId, SymbolSpec, SymbolTable};
use crate::models::time::Nanos;
use serde_json::{Map, Value, json};

impl DeadLetterRecord {
    /// Writes out an entry that was set aside, with the names that topics and tables use.
    #[must_use]
    pub fn of(letter: &DeadLetter, symbols: &SymbolTable, sources: &SourceTable) -> DeadLetterRecord {
        let spec = (letter.symbol != SymbolId::NONE).then(|| symbols.spec(letter.symbol));
        let provider = sources.name(letter.body.source());
        let received = received(&letter.body).filter(|at| *at != Nanos::MIN);
        let payload = payload(&letter.body, spec.as_deref(), &provider, received);
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

const fn received(body: &Body) -> Option<Nanos> {
    match body {
        Body::Trade(Trade { received, .. })
        | Body::Cancel(Cancel { received, .. })
        | Body::Correction(Correction { trade: Trade { received, .. }, .. }) => Some(*received),
        Body::Quote(quote) => Some(quote.received),
        Body::VenueBar(bar) => Some(bar.received),
        Body::Gap(_) | Body::SourceInCharge { .. } | Body::ClockMark { .. } => None,
    }
}

/// The entry as JSON: numbers as people write them where the symbol's scale is known.
fn payload(body: &Body, spec: Option<&SymbolSpec>, provider: &str, received: Option<Nanos>) -> String {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| {
        fields.insert(name.to_owned(), value);
    };
    let decimal = |scale: Option<Scale>, raw: i64| match scale {
        Some(scale) => json!(scale.to_f64(raw)),
        None => json!(raw),
    };
    let price = |price: Price| decimal(spec.map(|spec| spec.price_scale), price.0);
    let size = |size: Size| decimal(spec.map(|spec| spec.size_scale), size.0);
    if let Some(spec) = spec {
        put("symbol", json!(spec.name));
    }
    put("timestamp", json!(body.time().to_rfc3339()));
    put("ts_ns", json!(body.time().0.to_string()));
    put("provider", json!(provider));
    if let Some(received) = received {
        put("received_at", json!(received.to_rfc3339()));
    }
    let mut put_trade = |trade: &Trade| {
        put("price", price(trade.price));
        put("volume", size(trade.size));
        put("trade_id", trade_id(trade.id));
        put("updates", json!(trade.updates.as_str()));
        if trade.seq != 0 {
            put("seq", json!(trade.seq));
        }
    };
    let tick_type = match body {
        Body::Trade(trade) => {
            put_trade(trade);
            "trade"
        }
        Body::Correction(correction) => {
            put_trade(&correction.trade);
            put("ref_trade_id", trade_id(correction.target));
            "correction"
        }
        Body::Cancel(cancel) => {
            put("ref_trade_id", trade_id(cancel.target));
            "cancel"
        }
        Body::Quote(quote) => {
            put("bid", price(quote.bid));
            put("ask", price(quote.ask));
            put("bid_size", size(quote.bid_size));
            put("ask_size", size(quote.ask_size));
            "quote"
        }
        Body::VenueBar(bar) => {
            for (name, value) in
                [("open", bar.open), ("high", bar.high), ("low", bar.low), ("price", bar.close)]
            {
                put(name, price(value));
            }
            put("volume", size(bar.volume));
            put("width_ms", json!(bar.width_ms));
            "bar"
        }
        Body::Gap(_) | Body::SourceInCharge { .. } | Body::ClockMark { .. } => "control",
    };
    put("tick_type", json!(tick_type));
    Value::Object(fields).to_string()
}

fn trade_id(id: TradeId) -> Value {
    let (hi, lo) = id.words();
    json!(id.to_text().unwrap_or_else(|| format!("{hi:016x}{lo:016x}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::effect::DeadReason;
    use crate::models::entry::Updates;
    use crate::models::ledger::RejectReason;

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
