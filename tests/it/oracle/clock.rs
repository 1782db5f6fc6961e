//! What the model knows of time after a list of entries: always derived from the whole list, never carried over.

use std::collections::BTreeMap;
use tickwire::models::entry::{Body, Entry, Gap, SourceId};
use tickwire::models::settings::CoreSettings;
use tickwire::models::time::{Nanos, Width};

/// Time after the last entry of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    pub watermark: Nanos,
    /// Base windows that end at or before it are sealed.
    pub frontier: Nanos,
}

/// Derives the clock by hearing every entry again.
pub fn after(entries: &[Entry], settings: &CoreSettings) -> Clock {
    let mut newest: Option<Nanos> = None;
    let mut candidate: Option<Nanos> = None;
    let mut marks: BTreeMap<SourceId, Nanos> = BTreeMap::new();
    let mut clock = Clock { watermark: Nanos::MIN, frontier: Nanos::MIN };
    for (at, entry) in entries.iter().enumerate() {
        let home = home(&entries[..=at]);
        let marked = last_mark(&marks, home);
        if let Some((ts, received)) = event_time(&entry.body, settings) {
            let known = newest.into_iter().chain(marked).max();
            let far = |known: Nanos| ts > known.plus(settings.horizon);
            let believed = if received != Nanos::MIN {
                Some(ts.min(received.plus(settings.future_tolerance)))
            } else if !known.is_some_and(far) {
                Some(ts)
            } else if let Some(first) = candidate.take() {
                Some(first.min(ts))
            } else {
                candidate = Some(ts);
                None
            };
            newest = newest.into_iter().chain(believed).max();
        }
        if let Body::ClockMark { source, time } = entry.body {
            let mark = marks.entry(source).or_insert(time);
            *mark = time.max(*mark);
        }
        let known = newest.into_iter().chain(last_mark(&marks, home)).max();
        if let Some(known) = known {
            clock.watermark = clock.watermark.max(known.plus(-settings.lateness));
        }
        clock.frontier = clock.frontier.max(frontier(&entries[..=at], home, clock.watermark, settings));
    }
    clock
}

/// Returns the event time that an entry tells, and when it was received. Rejected reports tell none.
fn event_time(body: &Body, settings: &CoreSettings) -> Option<(Nanos, Nanos)> {
    match body {
        Body::Trade(trade) => super::model::fault(trade).is_none().then_some((trade.ts, trade.received)),
        Body::Correction(correction) => {
            let trade = &correction.trade;
            super::model::fault(trade).is_none().then_some((trade.ts, trade.received))
        }
        Body::Cancel(cancel) => Some((cancel.ts, cancel.received)),
        Body::Quote(quote) => Some((quote.ts, quote.received)),
        Body::VenueBar(bar) => (bar.width() == Some(settings.base())).then_some((bar.start, bar.received)),
        Body::Gap(_) | Body::SourceInCharge { .. } | Body::ClockMark { .. } => None,
    }
}

/// Returns the symbol's source: the one in charge last, else the first that reported.
pub fn home(entries: &[Entry]) -> Option<SourceId> {
    let turn = turns(entries).last_key_value().map(|(_, source)| *source);
    turn.or_else(|| entries.iter().find(|entry| !entry.body.is_broadcast()).map(|entry| entry.body.source()))
}

/// Returns who is in charge from when on.
pub fn turns(entries: &[Entry]) -> BTreeMap<Nanos, SourceId> {
    let turn = |entry: &Entry| match entry.body {
        Body::SourceInCharge { source, from } => Some((from, source)),
        _ => None,
    };
    entries.iter().filter_map(turn).collect()
}

fn last_mark(marks: &BTreeMap<SourceId, Nanos>, home: Option<SourceId>) -> Option<Nanos> {
    let of = |source| marks.get(&source).copied();
    of(SourceId::ANY).max(home.and_then(of))
}

/// Returns the stretches of the source that are missing: gaps less what was filled after them.
fn holes(entries: &[Entry], home: Option<SourceId>) -> Vec<(Nanos, Nanos)> {
    let mut holes: Vec<(SourceId, Nanos, Nanos)> = Vec::new();
    for entry in entries {
        let Body::Gap(Gap { source, from, to, filled }) = entry.body else { continue };
        if !filled {
            holes.push((source, from, to));
            continue;
        }
        holes = holes
            .into_iter()
            .flat_map(|(of, start, end)| {
                if of == source {
                    vec![(of, start, end.min(from)), (of, start.max(to), end)]
                } else {
                    vec![(of, start, end)]
                }
            })
            .collect();
        holes.sort();
        holes.dedup();
    }
    holes.retain(|(of, from, to)| from < to && (*of == SourceId::ANY || Some(*of) == home));
    holes.into_iter().map(|(_, from, to)| (from, to)).collect()
}

/// Returns the share of the window in which the source was whole, by asking every nanosecond-exact piece between the
/// borders of holes.
pub fn coverage(entries: &[Entry], home: Option<SourceId>, start: Nanos, width: Width) -> f64 {
    let end = start.plus(width.nanos());
    let holes = holes(entries, home);
    let mut borders: Vec<Nanos> = holes.iter().flat_map(|&(from, to)| [from, to]).chain([start, end]).collect();
    borders.retain(|border| (start..=end).contains(border));
    borders.sort();
    let whole = |from: Nanos| !holes.iter().any(|hole| (hole.0..hole.1).contains(&from));
    let healthy: i64 =
        borders.windows(2).filter(|piece| whole(piece[0])).map(|piece| piece[1].since(piece[0])).sum();
    healthy as f64 / width.nanos() as f64
}

/// Returns the highest base boundary that is a horizon behind the watermark and has no open gap before it.
fn frontier(entries: &[Entry], home: Option<SourceId>, watermark: Nanos, settings: &CoreSettings) -> Nanos {
    if watermark == Nanos::MIN {
        return Nanos::MIN;
    }
    let open = holes(entries, home).into_iter().filter(|(_, to)| watermark < to.plus(settings.gap_hold));
    let held = open.map(|(from, _)| from).min().unwrap_or(Nanos::MAX);
    settings.base().start_of(held.min(watermark.plus(-settings.horizon)))
}
