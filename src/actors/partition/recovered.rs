//! What a pipeline starts from: the states of the recovery points, and where the log is read on from.
//!
//! Promises: each point is judged by what it holds itself. The newest of a symbol holds as far as the line of its slice
//! says, since the symbol was not touched in between; an older one holds as far as its own position says and no further,
//! so the replay begins there. A point that cannot be read costs the replay from the one before, or from the log's
//! beginning, never an entry.

use super::router::{Marks, marks_of};
use super::shard::slice_of;
use crate::models::entry::Position;
use crate::models::settings::CoreSettings;
use crate::models::state::SymbolState;
use crate::models::symbol::SymbolId;
use crate::stores::{NUM_SLICES, Points, SliceLine, SymbolPoint};
use std::collections::HashMap;
use std::sync::Arc;

/// What a pipeline starts from.
#[derive(Default)]
pub struct Recovered {
    /// States that were found, for all shards together. They know all clock marks up to where they hold.
    pub states: Vec<SymbolState>,
    /// The clock marks heard of where the replay begins.
    pub marks: Marks,
    /// The log is replayed after this position.
    pub replay_after: Position,
    /// Symbols that have points, but none that can be used.
    pub without_point: Vec<SymbolId>,
}

impl Recovered {
    /// Finds the newest usable point of every symbol, among those that hold nothing after `through`.
    #[must_use]
    pub fn of(points: &Points, settings: &Arc<CoreSettings>, through: Position) -> Recovered {
        let lines = Lines::of(points);
        let mut recovered = Recovered { replay_after: lines.first_good_to(), ..Recovered::default() };
        for of_symbol in &points.symbols {
            let Some(SymbolPoint { symbol, .. }) = of_symbol.first() else { continue };
            let begins = match usable(of_symbol, settings, through) {
                Some((0, mut state)) => {
                    let begins = lines.hear(&mut state, of_symbol[0].pos);
                    recovered.states.push(state);
                    begins
                }
                Some((at, state)) => {
                    recovered.states.push(state);
                    of_symbol[at].pos
                }
                None => {
                    recovered.without_point.push(*symbol);
                    0
                }
            };
            recovered.replay_after = recovered.replay_after.min(begins);
        }
        recovered.marks = lines.marks_until(recovered.replay_after);
        recovered
    }
}

/// Returns the first point that can be used, and its place.
fn usable(
    points: &[SymbolPoint],
    settings: &Arc<CoreSettings>,
    through: Position,
) -> Option<(usize, SymbolState)> {
    points.iter().enumerate().filter(|(_, point)| point.pos <= through).find_map(|(at, point)| {
        SymbolState::decode(&point.bytes, Arc::clone(settings))
            .map_err(|error| {
                tracing::warn!(symbol = point.symbol.0, pos = point.pos, %error, "recovery point is of no use");
            })
            .ok()
            .map(|state| (at, state))
    })
}

/// The newest line of each slice, unpacked.
struct Lines {
    /// How far it is good, and the newest marks until there; no marks where it is damaged.
    newest: Vec<(Position, Option<Marks>)>,
}

impl Lines {
    fn of(points: &Points) -> Lines {
        let nothing = <[SliceLine; 2]>::default();
        let line = |slice: u32| {
            let [newest, _] = points.slices.get(slice as usize).unwrap_or(&nothing);
            let has_none = newest.context.is_empty();
            (newest.good_to, if has_none { Some(Marks::new()) } else { marks_of(&newest.context) })
        };
        Lines { newest: (0..NUM_SLICES).map(line).collect() }
    }

    fn first_good_to(&self) -> Position {
        self.newest.iter().map(|(good_to, _)| *good_to).min().unwrap_or(0)
    }

    /// Tells the state of a newest point which marks came before the end of its line. They were kept from it since
    /// nothing was due, so nothing follows from them. Returns where the replay begins for it.
    fn hear(&self, state: &mut SymbolState, pos: Position) -> Position {
        let (good_to, Some(marks)) = &self.newest[slice_of(state.symbol()) as usize] else { return pos };
        let mut unheard = marks.clone();
        unheard.sort_unstable_by_key(|mark| mark.pos);
        state.apply(&unheard, &mut Vec::new());
        *good_to
    }

    /// Returns the newest mark of each source up to a position, as far as any line knows. A mark that came later is the
    /// replay's to bring.
    fn marks_until(&self, pos: Position) -> Marks {
        let mut found = Marks::new();
        let known = self.newest.iter().filter_map(|(_, marks)| marks.as_ref()).flatten();
        for mark in known.filter(|mark| mark.pos <= pos) {
            match found.iter_mut().find(|other| other.body.source() == mark.body.source()) {
                Some(other) if other.pos < mark.pos => *other = *mark,
                Some(_) => {}
                None => found.push(*mark),
            }
        }
        found
    }
}

/// Up to where the points in the store hold.
pub struct SavedPoints {
    /// Per slice: the newest line, and the one before.
    pub lines: Vec<(Position, Position)>,
    /// Per symbol: the newest point, and the one before; 0 where there is none.
    pub symbols: HashMap<SymbolId, (Position, Position)>,
}

impl SavedPoints {
    /// Reads it off the points.
    #[must_use]
    pub fn of(points: &Points) -> SavedPoints {
        let mut lines = vec![(0, 0); NUM_SLICES as usize];
        for (line, [newest, before]) in lines.iter_mut().zip(&points.slices) {
            *line = (newest.good_to, before.good_to);
        }
        let place = |of_symbol: &Vec<SymbolPoint>| {
            let pos = |at: usize| of_symbol.get(at).map_or(0, |point| point.pos);
            of_symbol.first().map(|newest| (newest.symbol, (pos(0), pos(1))))
        };
        SavedPoints { lines, symbols: points.symbols.iter().filter_map(place).collect() }
    }

    /// Returns the first position that a start may have to read after, whichever of the points are damaged.
    #[must_use]
    pub fn needed_from(&self) -> Position {
        let lines = self.lines.iter().map(|(_, before)| *before);
        lines.chain(self.symbols.values().map(|(_, before)| *before)).min().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::entry::{Body, Entry, SourceId, Trade};
    use crate::models::symbol::SymbolSpec;
    use crate::models::time::Nanos;
    use crate::stores::memory::MemoryLog;
    use crate::stores::{PointSet, TickLog};

    fn mark(pos: Position) -> Entry {
        let body = Body::ClockMark { source: SourceId(0), time: Nanos(pos.cast_signed()) };
        Entry { pos, symbol: SymbolId::NONE, body }
    }

    fn state(symbol: u32, pos: Position, settings: &Arc<CoreSettings>) -> SymbolState {
        let symbol = SymbolId(symbol);
        let mut state = SymbolState::new(symbol, &SymbolSpec::named("A"), Arc::clone(settings));
        let trade = Trade::for_test(pos, Nanos(pos.cast_signed()));
        state.apply(&[Entry { pos, symbol, body: Body::Trade(trade) }], &mut Vec::new());
        state
    }

    fn context(marks: &[Entry]) -> Vec<u8> {
        postcard::to_stdvec(marks).expect("plain data")
    }

    /// Points of a symbol a slice, saved at 10, 20, ...
    async fn one_a_slice(settings: &Arc<CoreSettings>) -> Points {
        let log = MemoryLog::new();
        for slice in 0..NUM_SLICES {
            let symbol = SymbolId(slice);
            let points = vec![SymbolPoint { symbol, pos: 5, bytes: state(slice, 5, settings).encode() }];
            let good_to = 10 * Position::from(slice + 1);
            let context = context(&[mark(good_to - 1)]);
            log.save_points(&PointSet { slice, good_to, context, points }).await.expect("saves");
        }
        log.load_points().await.expect("loads")
    }

    #[tokio::test]
    async fn a_start_knows_the_marks_before_its_replay() {
        let settings = Arc::new(CoreSettings::default());
        let points = one_a_slice(&settings).await;
        let recovered = Recovered::of(&points, &settings, Position::MAX);
        assert_eq!((recovered.replay_after, recovered.states.len()), (10, NUM_SLICES as usize));
        assert_eq!(recovered.marks, [mark(9)], "those of later sets come again with the replay");
        for (slice, state) in (0..).zip(&recovered.states) {
            assert_eq!(
                state.pos(),
                10 * slice + 9,
                "each has heard what came before the end of its own line"
            );
        }
    }

    #[tokio::test]
    async fn an_older_point_is_replayed_from_its_own_position() {
        let settings = Arc::new(CoreSettings::default());
        let mut points = one_a_slice(&settings).await;
        let older = SymbolPoint { symbol: SymbolId(7), pos: 3, bytes: state(7, 3, &settings).encode() };
        points.symbols[7].push(older);
        let is_before = |recovered: &Recovered| {
            let found = recovered.states.iter().find(|state| state.symbol() == SymbolId(7));
            (found.map(SymbolState::pos), recovered.replay_after, recovered.marks.len())
        };
        assert_eq!(is_before(&Recovered::of(&points, &settings, Position::MAX)), (Some(79), 10, 1));
        assert_eq!(is_before(&Recovered::of(&points, &settings, 4)).0, Some(3), "the newest knows too much");
        points.symbols[7][0].bytes[30] ^= 1;
        let recovered = Recovered::of(&points, &settings, Position::MAX);
        assert_eq!(is_before(&recovered), (Some(3), 3, 0), "no line goes back to it");
        points.symbols[7][1].bytes[30] ^= 1;
        let recovered = Recovered::of(&points, &settings, Position::MAX);
        assert_eq!((recovered.replay_after, &recovered.without_point[..]), (0, &[SymbolId(7)][..]));
    }

    #[tokio::test]
    async fn a_line_whose_marks_are_damaged_is_not_relied_on() {
        let settings = Arc::new(CoreSettings::default());
        let mut points = one_a_slice(&settings).await;
        points.slices[7][0].context.truncate(1);
        assert_eq!(Recovered::of(&points, &settings, Position::MAX).replay_after, 5);
    }

    #[tokio::test]
    async fn the_log_is_kept_from_the_older_point_of_the_quietest_symbol() {
        let settings = Arc::new(CoreSettings::default());
        let mut points = one_a_slice(&settings).await;
        for slice in &mut points.slices {
            slice[1] = SliceLine { good_to: 9, ..SliceLine::default() };
        }
        for (symbol, of_symbol) in points.symbols.iter_mut().enumerate() {
            of_symbol.push(SymbolPoint { pos: if symbol == 7 { 2 } else { 4 }, ..of_symbol[0].clone() });
        }
        assert_eq!(SavedPoints::of(&points).needed_from(), 2);
        points.symbols[9].truncate(1);
        assert_eq!(
            SavedPoints::of(&points).needed_from(),
            0,
            "without a second one it is the log's beginning"
        );
    }
}
