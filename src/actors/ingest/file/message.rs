//! Messages of a topic: ticks in JSON, those of the former system and those of the topic `tick_data`.
//!
//! Promises: a message is read as a line of a recorded file is, so that what was read from a topic and what is replayed of it
//! are the same. A time without a zone is UTC; a trade without a size counts for prices only. On failure the fault says what
//! is wrong with the message, and [`MessageReader::dead_letter`] what is kept of it.

use super::error::RowFault;
use super::json::{self, Record};
use super::lines::{EXCERPT_LEN, LINE_LEN_MAX};
use super::names::Names;
use super::scan::scan;
use crate::models::entry::{Body, Correction, Entry, SourceId, Trade, TradeId};
use crate::models::time::Nanos;
use crate::names::{SourceTable, SymbolTable};
use crate::stores::history::DeadLetterRecord;
use std::sync::Arc;

/// Reads messages.
pub struct MessageReader {
    names: Names,
    /// Name of the source of what names no provider.
    unnamed: String,
}

impl MessageReader {
    /// Makes a reader of messages of these symbols, aliases included (`None`: of all), which refuses new ones when the
    /// process knows `symbols_max`. What names no provider is of the source `unnamed`.
    #[must_use]
    pub fn new(
        symbols: Arc<SymbolTable>,
        sources: Arc<SourceTable>,
        wanted: Option<Vec<String>>,
        symbols_max: usize,
        unnamed: &str,
    ) -> MessageReader {
        let names = Names::new(symbols, sources, wanted, symbols_max, unnamed);
        MessageReader { names, unnamed: unnamed.to_owned() }
    }

    /// Reads a message. `given` identifies a trade that has no id, and `received` is when it came, as far as the message does
    /// not say so. Returns `None` for what is not for the log: a symbol that was not asked for, or a control message, whose
    /// work the marks of whoever reads do.
    ///
    /// # Errors
    /// When it is no tick.
    pub fn read(&mut self, value: &[u8], given: TradeId, received: Nanos) -> Result<Option<Entry>, RowFault> {
        if value.len() > LINE_LEN_MAX {
            return Err(RowFault::TooLong { max: LINE_LEN_MAX });
        }
        if value.is_empty() {
            return Err(RowFault::Missing { field: "value" });
        }
        let mut entry = match scan(value) {
            Some(row) => row.entry(&mut self.names, given)?,
            None => match json::read_message(value, &mut self.names, given)? {
                Record::Entry(entry) => Some(entry),
                Record::Skipped => None,
            },
        };
        if let Some(entry) = &mut entry {
            let at = received_of(&mut entry.body);
            if let Some(at) = at.filter(|at| **at == Nanos::MIN) {
                *at = received;
            }
        }
        Ok(entry)
    }

    /// Returns every source that was met, that of what names no provider first.
    pub fn sources(&self) -> impl Iterator<Item = SourceId> {
        self.names.sources()
    }

    /// Returns what is kept of a message that cannot be read; `origin` says where it stood.
    #[must_use]
    pub fn dead_letter(
        &self,
        value: &[u8],
        fault: &RowFault,
        received: Nanos,
        origin: String,
    ) -> DeadLetterRecord {
        let is_too_long = matches!(fault, RowFault::TooLong { .. });
        let (symbol, provider) = if is_too_long { (None, None) } else { json::labels(value) };
        DeadLetterRecord {
            reason: fault.word().to_owned(),
            symbol,
            provider: provider.unwrap_or_else(|| self.unnamed.clone()),
            received_at: received,
            payload: String::from_utf8_lossy(&value[..value.len().min(EXCERPT_LEN)]).into_owned(),
            pos: None,
            origin,
            id: 0,
        }
    }
}

/// Returns when an entry was received.
fn received_of(body: &mut Body) -> Option<&mut Nanos> {
    match body {
        Body::Trade(Trade { received, .. })
        | Body::Correction(Correction { trade: Trade { received, .. }, .. }) => Some(received),
        Body::Cancel(cancel) => Some(&mut cancel.received),
        Body::Quote(quote) => Some(&mut quote.received),
        Body::VenueBar(bar) => Some(&mut bar.received),
        Body::Gap(_)
        | Body::SourceInCharge { .. }
        | Body::Symbol { .. }
        | Body::Detection { .. }
        | Body::ClockMark { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: TradeId = TradeId::given(1, 2);
    const RECEIVED: Nanos = Nanos(1_700_000_001_000_000_000);

    fn reader() -> MessageReader {
        MessageReader::new(Arc::default(), Arc::default(), None, 2, "kafka")
    }

    #[test]
    fn a_tick_of_the_former_system_is_a_trade() {
        let mut reader = reader();
        for text in [
            r#"{"symbol": "AAPL", "price": 190.5, "volume": 100, "timestamp": "2023-11-14T22:13:20.250"}"#,
            r#"{"symbol":"AAPL","price":190.5,"volume":100,"timestamp":"2023-11-14 22:13:20.25","exchange":"Q"}"#,
            r#"{"symbol":"AAPL","price":190.5,"volume":100.0,"timestamp":1700000000250}"#,
        ] {
            let entry = reader.read(text.as_bytes(), GIVEN, RECEIVED).expect("a tick").expect("for the log");
            let Body::Trade(trade) = entry.body else { panic!("a trade: {text}") };
            assert_eq!(trade.ts, Nanos(1_700_000_000_250_000_000), "{text}");
            assert_eq!((trade.received, trade.id, trade.updates.as_str()), (RECEIVED, GIVEN, "hcv"));
            assert_eq!((trade.price.0, trade.size.0), (190_500_000_000, 10_000_000_000));
            assert_eq!(reader.sources().collect::<Vec<_>>(), [trade.source]);
        }
    }

    #[test]
    fn a_trade_without_a_size_counts_for_prices_only() {
        let text = br#"{"symbol":"A","price":1,"timestamp":"2023-11-14T22:13:20"}"#;
        let entry = reader().read(text, GIVEN, RECEIVED).expect("a tick").expect("for the log");
        assert!(
            matches!(entry.body, Body::Trade(trade) if trade.size.0 == 0 && trade.updates.as_str() == "hc")
        );
    }

    #[test]
    fn our_own_messages_keep_their_ids_and_times() {
        let text = br#"{"v":1,"symbol":"A","price":1,"volume":2,"timestamp":"2023-11-14T22:13:20Z","ts_ns":"1700000000000000001","tick_type":"trade","provider":"coinbase","trade_id":"77","received_at":"2023-11-14T22:13:21Z","log_pos":"5"}"#;
        let mut reader = reader();
        let entry = reader.read(text, GIVEN, Nanos(1)).expect("a tick").expect("for the log");
        let Body::Trade(trade) = entry.body else { panic!("a trade") };
        assert_eq!(
            (trade.id, trade.ts.0, trade.received),
            (TradeId::number(77), 1_700_000_000_000_000_001, RECEIVED)
        );
        assert_eq!(reader.sources().count(), 2);
        let control = br#"{"v":1,"symbol":"_","price":0,"volume":0,"tick_type":"control","control":"mark","source":"coinbase"}"#;
        assert_eq!(reader.read(control, GIVEN, RECEIVED), Ok(None));
    }

    #[test]
    fn what_is_no_tick_is_a_dead_letter_with_its_reason_and_place() {
        let mut reader = reader();
        let huge = format!(r#"{{"symbol":"A","x":"{}"}}"#, "y".repeat(LINE_LEN_MAX));
        for (text, reason, symbol) in [
            ("garbage", "malformed", None),
            ("", "malformed", None),
            ("[1]", "malformed", None),
            (r#"{"price":1,"volume":1,"timestamp":"2023-11-14T22:13:20"}"#, "malformed", None),
            (r#"{"symbol":"A","volume":1,"timestamp":"2023-11-14T22:13:20"}"#, "malformed", Some("A")),
            (r#"{"symbol":"A","price":"x","volume":1,"timestamp":1700000000}"#, "bad_price", Some("A")),
            (
                r#"{"v":2,"symbol":"A","price":1,"volume":1,"timestamp":1700000000}"#,
                "future_version",
                Some("A"),
            ),
            (&huge, "malformed", None),
        ] {
            let fault = reader.read(text.as_bytes(), GIVEN, RECEIVED).expect_err(reason);
            let letter = reader.dead_letter(text.as_bytes(), &fault, RECEIVED, "t[0]@1".to_owned());
            assert_eq!((letter.reason.as_str(), letter.symbol.as_deref()), (reason, symbol), "{fault}");
            assert_eq!((letter.provider.as_str(), letter.origin.as_str()), ("kafka", "t[0]@1"));
            assert!(letter.payload.len() <= EXCERPT_LEN);
        }
    }
}
