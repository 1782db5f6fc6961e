//! Raw frames of a venue that were recorded, read through the venue's own parser.
//!
//! Promises: the same reports come out as were made when the frames came, with the same ids, prices, sizes and times; what
//! the parser cannot read is a bad row, as it was a dead letter then. Of answers to polls only what none before them said
//! comes out. Of a venue whose trades have no ids, one that came
//! again over a new connection counts twice, since the frames do not say where a connection was made anew.
//! On failure: a line that is no frame is a bad row.

use super::answers::Answers;
use super::error::{BadRow, RowFault, excerpt};
use super::lines::EXCERPT_LEN;
use super::names::Names;
use super::row::Row;
use crate::actors::ingest::recording::{Header, RecordedFrame};
use crate::actors::ingest::registry;
use crate::actors::ingest::shell::{AHEAD_MAX, Alike, RecentTrades};
use crate::actors::ingest::venue::{
    Context, FrameFault, Heard, Ids, Instrument, Instruments, Venue, VenueEvent,
};
use crate::models::entry::{Body, Cancel, Entry, SourceId};
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use crate::stores::history::DeadLetterRecord;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// A recording that is being read.
pub(super) struct Frames {
    venue: Arc<dyn Venue>,
    ids: Ids,
    instruments: Instruments,
    source: SourceId,
    /// Trades that are told apart by what they say, by connection.
    alike: BTreeMap<usize, Alike>,
    recent: RecentTrades,
    answers: Answers,
    heard: Heard,
    /// Rows of the last frame that are still to be taken.
    rows: VecDeque<Row>,
}

impl Frames {
    /// Reads the first line of a recording.
    pub(super) fn begin(line: &[u8], names: &mut Names) -> Result<Frames, String> {
        let header = Header::read(line)?;
        let entry = registry::find(&header.venue)
            .ok_or_else(|| format!("nobody serves the venue `{}`", header.venue))?;
        let venue = (entry.open)(&header.config());
        let mut instruments = Vec::new();
        for recorded in &header.symbols {
            let spec = recorded
                .spec()
                .ok_or_else(|| format!("`{}` is described in unknown words", recorded.symbol))?;
            let known = names.define(spec).map_err(|fault| fault.to_string())?;
            instruments.push(Instrument {
                symbol: known.id,
                venue_symbol: recorded.venue_symbol.clone(),
                price_scale: known.price_scale,
                size_scale: known.size_scale,
            });
        }
        let symbols: Vec<&str> = header.symbols.iter().map(|one| one.venue_symbol.as_str()).collect();
        Ok(Frames {
            answers: Answers::new(venue.polls(&symbols)),
            ids: venue.needs().ids,
            instruments: Instruments::new(instruments),
            source: names.source(Some(entry.name.as_bytes())).map_err(|fault| fault.to_string())?,
            venue,
            alike: BTreeMap::new(),
            recent: RecentTrades::default(),
            heard: Heard::default(),
            rows: VecDeque::new(),
        })
    }

    /// Returns the next row of the frames read so far.
    pub(super) fn next(&mut self) -> Option<Row> {
        self.rows.pop_front()
    }

    /// Returns the next row when there are no more lines.
    pub(super) fn next_of_rest(&mut self) -> Option<Row> {
        self.answers.next_of_rest().map(Row::Entry)
    }

    /// Reads one line. `origin` names it in dead letters.
    pub(super) fn read(&mut self, line: &[u8], origin: &str, now: Nanos) -> Result<(), RowFault> {
        let text = std::str::from_utf8(line).map_err(|_| RowFault::NotUtf8)?;
        let recorded: RecordedFrame<'_> =
            serde_json::from_str(text).map_err(|error| RowFault::NotJson { cause: error.to_string() })?;
        let (received, frame) = (Nanos(recorded.received_ns), &*recorded.frame);
        let mut heard = std::mem::take(&mut self.heard);
        heard.clear();
        let context = Context { instruments: &self.instruments, source: self.source, received };
        match recorded.poll {
            None => self.venue.parse(frame, &context, &mut heard),
            Some(at) => {
                if !self.answers.read(at, self.venue.as_ref(), frame, &context, &mut heard) {
                    heard.faults.push(fault("malformed", "the venue is not asked for so much"));
                }
            }
        }
        for fault in heard.faults.drain(..) {
            self.rows.push_back(self.bad_row(fault, frame, received.max(now), origin));
        }
        for event in heard.events.drain(..) {
            let row = match event {
                VenueEvent::Report(entry) => self.report(entry, recorded.connection, received),
                VenueEvent::Break { symbol, ts, price, size } => {
                    match self.recent.take(symbol, price, size) {
                        Some(target) => {
                            let cancel = Cancel { ts, received, target, source: self.source };
                            Ok(Entry { pos: 0, symbol, body: Body::Cancel(cancel) })
                        }
                        None => Err(fault("no_trade", "no trade of this price and size is known")),
                    }
                }
                // The live feed takes it as a sign of what it missed, and no report of its own.
                _ => continue,
            };
            self.rows.push_back(match row {
                Ok(entry) if entry.symbol == SymbolId::NONE => Row::Skipped,
                Ok(entry) if recorded.poll.is_some() => {
                    self.answers.hold(entry);
                    continue;
                }
                Ok(entry) => Row::Entry(entry),
                Err(fault) => self.bad_row(fault, frame, received.max(now), origin),
            });
        }
        self.heard = heard;
        while let Some(entry) = self.answers.next() {
            self.rows.push_back(Row::Entry(entry));
        }
        if self.rows.is_empty() {
            // A row for each frame at least, so that progress shows.
            self.rows.push_back(Row::Skipped);
        }
        Ok(())
    }

    fn report(&mut self, mut entry: Entry, connection: usize, received: Nanos) -> Result<Entry, FrameFault> {
        let ts = entry.body.time();
        if ts > received.plus(AHEAD_MAX) {
            return Err(fault("bad_time", &format!("it claims to be of {}", ts.to_rfc3339())));
        }
        if self.ids == Ids::None
            && let Body::Trade(trade) = &mut entry.body
        {
            trade.id = self.alike.entry(connection).or_default().identify(entry.symbol, trade);
            self.recent.push(entry.symbol, trade);
        }
        Ok(entry)
    }

    fn bad_row(&self, fault: FrameFault, frame: &str, now: Nanos, origin: &str) -> Row {
        let mut end = frame.len().min(EXCERPT_LEN);
        while !frame.is_char_boundary(end) {
            end -= 1;
        }
        let record = DeadLetterRecord {
            reason: fault.kind.to_owned(),
            symbol: fault.venue_symbol,
            provider: self.venue.name().to_owned(),
            received_at: now,
            payload: frame[..end].to_owned(),
            pos: None,
            origin: origin.to_owned(),
            id: 0,
        };
        let cause = excerpt(fault.reason.as_bytes());
        Row::Bad(Box::new(BadRow { record, fault: RowFault::Frame { cause } }))
    }
}

fn fault(kind: &'static str, reason: &str) -> FrameFault {
    FrameFault { kind, reason: reason.to_owned(), venue_symbol: None }
}
