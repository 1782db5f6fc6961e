//! The model's clock after a list of entries: always derived from the whole list, never carried over.

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

/// An event time, and the time of its receipt.
pub type EventTime = (Nanos, Nanos);

/// Derives the clock from all entries. `event_times` has what each entry contributes: nothing where it is a report that is
/// set aside, or whose source is not in charge.
pub fn after(entries: &[Entry], event_times: &[Option<EventTime>], settings: &CoreSettings) -> Clock {
    let mut newest: Option<Nanos> = None;
    // Times far ahead, since the last that was not.
    let mut unconfirmed: Vec<Nanos> = Vec::new();
    let mut marked: Option<Nanos> = None;
    let mut clock = Clock { now: Nanos::MIN, watermark: Nanos::MIN, frontier: Nanos::MIN };
    for (at, entry) in entries.iter().enumerate() {
        let primary = primary(&entries[..=at]);
        if let Some((ts, received)) = event_times[at] {
            let known = newest.max(marked);
            let is_far = known.is_none_or(|known| ts > known.plus(settings.horizon));
            let trusted = if received != Nanos::MIN {
                unconfirmed.clear();
                Some(ts.min(received.plus(settings.future_tolerance)))
            } else if is_far {
                unconfirmed.push(ts);
                confirmed(&unconfirmed, settings.horizon)
            } else {
                unconfirmed.clear();
                Some(ts)
            };
            if is_far && trusted.is_some() {
                unconfirmed.clear();
            }
            newest = newest.max(trusted);
        }
        if let Body::ClockMark { source, time } = entry.body
            && (source == SourceId::ANY || Some(source) == primary)
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

/// Returns the source whose clock counts: the one in charge last, else the first that reported the symbol.
fn primary(entries: &[Entry]) -> Option<SourceId> {
    handovers(entries).last_key_value().map(|(_, source)| *source).or_else(|| first(entries))
}

fn first(entries: &[Entry]) -> Option<SourceId> {
    entries.iter().find(|entry| !entry.body.is_broadcast()).map(|entry| entry.body.source())
}

/// Returns which source is in charge from which time.
pub fn handovers(entries: &[Entry]) -> BTreeMap<Nanos, SourceId> {
    let handover = |entry: &Entry| match entry.body {
        Body::SourceInCharge { source, from } => Some((from, source)),
        _ => None,
    };
    entries.iter().filter_map(handover).collect()
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

/// Returns every time between two others at which something may change: borders of holes, and handovers.
fn borders(entries: &[Entry], from: Nanos, to: Nanos) -> Vec<Nanos> {
    let mut borders: Vec<Nanos> = holes(entries).iter().flat_map(|hole| [hole.from, hole.to]).collect();
    borders.extend(handovers(entries).keys().copied().chain([from, to]));
    borders.retain(|border| (from..=to).contains(border));
    borders.sort();
    borders.dedup();
    borders
}

/// True when the hole counts at that moment: it is one of the source in charge then.
fn counts(hole: Hole, at: Nanos, entries: &[Entry]) -> bool {
    let in_charge = handovers(entries).range(..=at).next_back().map(|(_, source)| *source).or(first(entries));
    (hole.from..hole.to).contains(&at) && (hole.source == SourceId::ANY || Some(hole.source) == in_charge)
}

/// Returns the share of the window in which the source in charge was healthy.
pub fn coverage(entries: &[Entry], start: Nanos, width: Width) -> f64 {
    let holes = holes(entries);
    let healthy: i64 = borders(entries, start, start.plus(width.nanos()))
        .windows(2)
        .filter(|part| !holes.iter().any(|hole| counts(*hole, part[0], entries)))
        .map(|part| part[1].since(part[0]))
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
        for part in borders(entries, hole.from, hole.to).windows(2) {
            if is_open && part[1] > clock.frontier && counts(hole, part[0], entries) {
                until = until.min(part[0]);
            }
        }
    }
    settings.base().start_of(until)
}
