//! What the model knows of time after a list of entries: always derived from the whole list, never carried over.

use std::collections::BTreeMap;
use tickwire::models::entry::{Body, Entry, Gap, SourceId};
use tickwire::models::settings::CoreSettings;
use tickwire::models::time::{Nanos, Width};

/// Time after the last entry of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// The newest time that counts; [`Nanos::MIN`] while none does.
    pub now: Nanos,
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
    // Times far ahead, since the last that was not.
    let mut unconfirmed: Vec<Nanos> = Vec::new();
    let mut marked: Option<Nanos> = None;
    let mut clock = Clock { now: Nanos::MIN, watermark: Nanos::MIN, frontier: Nanos::MIN };
    for (at, entry) in entries.iter().enumerate() {
        let home = home(&entries[..=at]);
        if let Some((ts, received)) = heard[at] {
            let known = newest.max(marked);
            let is_far = known.is_none_or(|known| ts > known.plus(settings.horizon));
            let believed = if received != Nanos::MIN {
                unconfirmed.clear();
                Some(ts.min(received.plus(settings.future_tolerance)))
            } else if is_far {
                unconfirmed.push(ts);
                confirmed(&unconfirmed, settings.horizon)
            } else {
                unconfirmed.clear();
                Some(ts)
            };
            if is_far && believed.is_some() {
                unconfirmed.clear();
            }
            newest = newest.max(believed);
        }
        if let Body::ClockMark { source, time } = entry.body
            && (source == SourceId::ANY || Some(source) == home)
        {
            marked = marked.max(Some(time));
        }
        if let Some(known) = newest.max(marked) {
            clock.now = known;
            clock.watermark = clock.watermark.max(known.plus(-settings.lateness));
        }
        clock.frontier = clock.frontier.max(frontier(&entries[..=at], clock, settings));
    }
    clock
}

/// Returns the earliest of the times that confirm each other: the last one and those within a horizon of it, or any three.
fn confirmed(times: &[Nanos], horizon: i64) -> Option<Nanos> {
    let (last, before) = times.split_last()?;
    let near = before.iter().filter(|time| (time.0 - last.0).abs() <= horizon).min();
    match near {
        Some(near) => Some(*near.min(last)),
        None if times.len() >= 3 => times.iter().min().copied(),
        None => None,
    }
}

/// Returns whose clock counts: that of the source in charge last, else of the first that spoke of the symbol.
fn home(entries: &[Entry]) -> Option<SourceId> {
    turns(entries).last_key_value().map(|(_, source)| *source).or_else(|| first(entries))
}

fn first(entries: &[Entry]) -> Option<SourceId> {
    entries.iter().find(|entry| !entry.body.is_broadcast()).map(|entry| entry.body.source())
}

/// Returns who is in charge from when on.
pub fn turns(entries: &[Entry]) -> BTreeMap<Nanos, SourceId> {
    let turn = |entry: &Entry| match entry.body {
        Body::SourceInCharge { source, from } => Some((from, source)),
        _ => None,
    };
    entries.iter().filter_map(turn).collect()
}

/// A stretch in which a source may have reported less than happened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Hole {
    source: SourceId,
    from: Nanos,
    to: Nanos,
}

/// Returns the gaps less what was filled after them.
fn holes(entries: &[Entry]) -> Vec<Hole> {
    let mut holes: Vec<Hole> = Vec::new();
    for entry in entries {
        let Body::Gap(Gap { source, from, to, filled }) = entry.body else { continue };
        if !filled {
            holes.push(Hole { source, from, to });
            continue;
        }
        for hole in std::mem::take(&mut holes) {
            if hole.source == source {
                holes.push(Hole { to: hole.to.min(from), ..hole });
                holes.push(Hole { from: hole.from.max(to), ..hole });
            } else {
                holes.push(hole);
            }
        }
    }
    holes.retain(|hole| hole.from < hole.to);
    holes.sort();
    holes.dedup();
    holes
}

/// Every moment at which something may change between two others: borders of holes and turns.
fn borders(entries: &[Entry], from: Nanos, to: Nanos) -> Vec<Nanos> {
    let mut borders: Vec<Nanos> = holes(entries).iter().flat_map(|hole| [hole.from, hole.to]).collect();
    borders.extend(turns(entries).keys().copied().chain([from, to]));
    borders.retain(|border| (from..=to).contains(border));
    borders.sort();
    borders.dedup();
    borders
}

/// True when the hole hurts at that moment: it is one of the source in charge then.
fn hurts(hole: Hole, at: Nanos, entries: &[Entry]) -> bool {
    let charged = turns(entries).range(..=at).next_back().map(|(_, source)| *source).or(first(entries));
    (hole.from..hole.to).contains(&at) && (hole.source == SourceId::ANY || Some(hole.source) == charged)
}

/// Returns the share of the window in which the source in charge was whole, piece by piece.
pub fn coverage(entries: &[Entry], start: Nanos, width: Width) -> f64 {
    let holes = holes(entries);
    let healthy: i64 = borders(entries, start, start.plus(width.nanos()))
        .windows(2)
        .filter(|piece| !holes.iter().any(|hole| hurts(*hole, piece[0], entries)))
        .map(|piece| piece[1].since(piece[0]))
        .sum();
    healthy as f64 / width.nanos() as f64
}

/// Returns the highest base boundary that is a horizon behind the watermark and has no open gap before it that
/// touches what is not sealed.
fn frontier(entries: &[Entry], clock: Clock, settings: &CoreSettings) -> Nanos {
    if clock.watermark == Nanos::MIN {
        return Nanos::MIN;
    }
    let mut until = clock.watermark.plus(-settings.horizon);
    for hole in holes(entries) {
        let is_open = clock.watermark < hole.to.plus(settings.gap_hold);
        for piece in borders(entries, hole.from, hole.to).windows(2) {
            if is_open && piece[1] > clock.frontier && hurts(hole, piece[0], entries) {
                until = until.min(piece[0]);
            }
        }
    }
    settings.base().start_of(until)
}
