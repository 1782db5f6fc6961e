//! Trades of venues that number them: what the stream and a page over REST say of a trade becomes the same entry, to the last
//! bit.
//!
//! Promises: times are cut to the precision of the stream, numbers are read from their text. A text that cannot be read is a
//! fault that says which one it is.

use super::text::{Decimals, cut, event_time, unusable};
use crate::actors::ingest::venue::{Context, FrameFault, Heard, Instrument, VenueEvent};
use crate::models::entry::{Body, Entry, Trade, TradeId, Updates};
use crate::models::time::Nanos;

/// The trade of a page that has the lowest id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Oldest {
    pub id: u64,
    pub ts: Nanos,
}

/// Reads the trades of a page. Returns the oldest that can be read, from which the page before it follows.
pub(super) fn page<'a>(
    trades: impl IntoIterator<Item = TradeTexts<'a>>,
    instrument: &Instrument,
    context: &Context<'_>,
    heard: &mut Heard,
) -> Option<Oldest> {
    let mut oldest: Option<Oldest> = None;
    for texts in trades {
        match texts.entry(instrument, context, &mut heard.num_rounded) {
            Ok(entry) => {
                let read = VenueEvent::trade_number(&entry).map(|(_, id, ts)| Oldest { id, ts });
                oldest = oldest.into_iter().chain(read).min_by_key(|one| one.id);
                heard.events.push(VenueEvent::Report(entry));
            }
            Err(fault) => heard.faults.push(fault),
        }
    }
    oldest
}

/// What is said of a trade.
pub(super) struct TradeTexts<'a> {
    pub id: &'a str,
    pub price: &'a str,
    pub size: &'a str,
    /// Its time as it stands there.
    pub time: &'a str,
    /// The same, read in the way of the venue.
    pub read: Option<Nanos>,
    /// Precision of the stream's times in nanoseconds.
    pub precision: i64,
}

impl TradeTexts<'_> {
    /// Makes the entry. Prices and sizes that no trade can have are the core's to refuse, so that its ledger has them. A
    /// time before 1970 stands where a venue has none.
    pub fn entry(
        &self,
        instrument: &Instrument,
        context: &Context<'_>,
        num_rounded: &mut u64,
    ) -> Result<Entry, FrameFault> {
        let venue_symbol = &instrument.venue_symbol;
        let id = self.id.parse().map_err(|_| unusable("malformed", "trade id", self.id, venue_symbol))?;
        let time = self.read.filter(|time| time.0 > 0).map(|time| cut(time, self.precision));
        let mut decimals = Decimals { instrument, num_rounded };
        let trade = Trade {
            ts: event_time(time, "time", self.time, venue_symbol, context)?,
            received: context.received,
            price: decimals.price("price", self.price)?,
            size: decimals.size("size", self.size)?,
            seq: 0,
            id: TradeId::number(id),
            source: context.source,
            updates: Updates::ALL,
        };
        Ok(Entry { pos: 0, symbol: instrument.symbol, body: Body::Trade(trade) })
    }
}
