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

/// An event time, and when it was received.
pub type Heard = (Nanos, Nanos);

/// Derives the clock by hearing every entry again. `heard` holds what each entry tells of event time: reports that are
/// set aside, or whose source is not in charge, tell nothing.
pub fn after(entries: &[Entry], heard: &[Option<Heard>], settings: &CoreSettings) -> Clock {
    let mut newest: Option<Nanos> = None;
    let mut candidate: Option<Nanos> = None;
    let mut marked: Option<Nanos> = None;
    let mut clock = Clock { watermark: Nanos::MIN, frontier: Nanos::MIN };
    for (at, entry) in entries.iter().enumerate() {
        let home = home(&entries[..=at]);
        if let Some((ts, received)) = heard[at] {
            let known = newest.max(marked);
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
            newest = newest.max(believed);
        }
        if let Body::ClockMark { source, time } = entry.body {
            if source == SourceId::ANY || Some(source) == home {
                marked = marked.max(Some(time));
            }
        }
        if let Some(known) = newest.max(marked) {
            clock.watermark = clock.watermark.max(known.plus(-settings.lateness));
        }
        clock.frontier = clock.frontier.max(frontier(&entries[..=at], home, clock.watermark, settings));
    }
    clock
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
    let mut borders: Vec<Nanos> =
        holes.iter().flat_map(|&(from, to)| [from, to]).chain([start, end]).collect();
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
