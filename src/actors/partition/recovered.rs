//! What a pipeline starts from: the states of the checkpoints, and where the log is read on from.
//!
//! Promises: each checkpoint is judged by what it holds itself. The newest of a symbol holds as far as the line of its
//! slice says, since the symbol was not touched in between; an older one holds as far as its own position says and no
//! further, so the replay begins there. A checkpoint that cannot be read costs the replay from the one before, or from
//! the log's beginning, never an entry.

use super::router::ClockMarks;
use crate::actors::environment::Environment;
use crate::models::clock_marks::{self, Broadcasts};
use crate::models::entry::{Entry, Position};
use crate::models::names::Interner;
use crate::models::state::{CheckpointError, SymbolState};
use crate::stores::log::checkpoint::slice_of;
use crate::stores::log::{Checkpoint, Checkpoints, NUM_SLICES, SetHeader};
use std::collections::HashMap;
use std::sync::Arc;

/// What a pipeline starts from.
#[derive(Default)]
pub struct Recovered {
    /// States that were found, for all shards together. They know all clock marks up to where they hold.
    pub states: Vec<SymbolState>,
    /// The clock marks observed where the replay begins.
    pub marks: ClockMarks,
    /// What was to be looked for where the replay begins, where the log said so.
    pub detection: Option<Entry>,
    /// The log is replayed after this position.
    pub replay_after: Position,
    /// Symbols that have checkpoints, but none that can be used.
    pub without_checkpoint: Vec<Arc<str>>,
}

impl Recovered {
    /// Finds the newest usable checkpoint of every symbol, among those that hold nothing after `through`.
    #[must_use]
    pub fn of(checkpoints: &Checkpoints, env: &Environment, through: Position) -> Recovered {
        let lines = Lines::of(checkpoints, env.names.as_ref());
        let mut num_foreign = 0;
        let mut recovered = Recovered { replay_after: lines.first_good_to(), ..Recovered::default() };
        for of_symbol in &checkpoints.symbols {
            let Some(Checkpoint { symbol, .. }) = of_symbol.first() else { continue };
            let begins = match usable(of_symbol, env, through, &mut num_foreign) {
                Some((0, mut state)) => {
                    let begins = lines.observe(&mut state, &of_symbol[0]);
                    recovered.states.push(state);
                    begins
                }
                Some((at, state)) => {
                    recovered.states.push(state);
                    of_symbol[at].pos
                }
                None => {
                    recovered.without_checkpoint.push(Arc::clone(symbol));
                    0
                }
            };
            recovered.replay_after = recovered.replay_after.min(begins);
        }
        if num_foreign > 0 {
            // Once for all: after a change of version there are as many as symbols, twice.
            tracing::warn!(
                num_foreign,
                "checkpoints of another version of the program are not read: the log is read again instead"
            );
        }
        recovered.marks = lines.marks_until(recovered.replay_after);
        recovered.detection = lines.detection_at(recovered.replay_after);
        recovered
    }
}

/// Returns the first checkpoint that can be used, and its place. Counts those of another version.
fn usable(
    checkpoints: &[Checkpoint],
    env: &Environment,
    through: Position,
    num_foreign: &mut u64,
) -> Option<(usize, SymbolState)> {
    checkpoints.iter().enumerate().filter(|(_, checkpoint)| checkpoint.pos <= through).find_map(|(at, checkpoint)| {
        match SymbolState::decode(&checkpoint.bytes, Arc::clone(&env.settings), Arc::clone(&env.names)) {
            Ok(state) if *state.spec().name == *checkpoint.symbol => return Some((at, state)),
            Ok(state) => {
                tracing::warn!(
                    symbol = &*checkpoint.symbol,
                    of = state.spec().name,
                    "checkpoint is another symbol's"
                );
            }
            Err(CheckpointError::Version(_)) => *num_foreign += 1,
            Err(error) => {
                tracing::warn!(symbol = &*checkpoint.symbol, pos = checkpoint.pos, %error, "checkpoint is of no use");
            }
        }
        None
    })
}

/// The newest line of each slice, unpacked.
struct Lines {
    /// How far it is good, and the newest marks until there; no marks where it is damaged.
    newest: Vec<(Position, Option<ClockMarks>)>,
    /// What any line says is looked for, those of before among them.
    detections: Vec<Entry>,
}

impl Lines {
    fn of(checkpoints: &Checkpoints, names: &dyn Interner) -> Lines {
        let nothing = <[SetHeader; 2]>::default();
        let mut detections = Vec::new();
        let said = |header: &SetHeader| match header.context.is_empty() {
            true => Some(Broadcasts::default()),
            false => clock_marks::decode(&header.context, names),
        };
        let mut line = |slice: u32| {
            let [newest, before] = checkpoints.slices.get(slice as usize).unwrap_or(&nothing);
            let (newest_said, said_before) = (said(newest), said(before));
            detections
                .extend([&newest_said, &said_before].into_iter().flatten().filter_map(|it| it.detection));
            (newest.covers_through, newest_said.map(|said| said.marks))
        };
        let newest = (0..NUM_SLICES).map(&mut line).collect();
        Lines { newest, detections }
    }

    /// Returns what was looked for at a position, as far as any line knows. What came later is the replay's to bring.
    fn detection_at(&self, pos: Position) -> Option<Entry> {
        self.detections.iter().filter(|entry| entry.pos <= pos).max_by_key(|entry| entry.pos).copied()
    }

    fn first_good_to(&self) -> Position {
        self.newest.iter().map(|(covers_through, _)| *covers_through).min().unwrap_or(0)
    }

    /// Tells the state of a newest checkpoint which marks came before the end of its line. They were kept from it since
    /// nothing was due, so nothing follows from them. Returns where the replay begins for it.
    fn observe(&self, state: &mut SymbolState, from: &Checkpoint) -> Position {
        let (covers_through, Some(marks)) = &self.newest[slice_of(&from.symbol) as usize] else {
            return from.pos;
        };
        let mut undelivered = marks.clone();
        undelivered.sort_unstable_by_key(|mark| mark.pos);
        state.apply(&undelivered, &mut Vec::new());
        *covers_through
    }

    /// Returns the newest mark of each source up to a position, as far as any line knows. A mark that came later is the
    /// replay's to bring.
    fn marks_until(&self, pos: Position) -> ClockMarks {
        let mut found = ClockMarks::new();
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

/// Up to where the checkpoints in the store hold.
pub struct SavedCheckpoints {
    /// Per slice: the newest line, and the one before.
    pub lines: Vec<(Position, Position)>,
    /// Per symbol: the newest checkpoint, and the one before; 0 where there is none.
    pub symbols: HashMap<Arc<str>, (Position, Position)>,
}

impl SavedCheckpoints {
    /// Reads it off the checkpoints.
    #[must_use]
    pub fn of(checkpoints: &Checkpoints) -> SavedCheckpoints {
        let mut lines = vec![(0, 0); NUM_SLICES as usize];
        for (line, [newest, before]) in lines.iter_mut().zip(&checkpoints.slices) {
            *line = (newest.covers_through, before.covers_through);
        }
        let place = |of_symbol: &Vec<Checkpoint>| {
            let pos = |at: usize| of_symbol.get(at).map_or(0, |checkpoint| checkpoint.pos);
            of_symbol.first().map(|newest| (Arc::clone(&newest.symbol), (pos(0), pos(1))))
        };
        SavedCheckpoints { lines, symbols: checkpoints.symbols.iter().filter_map(place).collect() }
    }

    /// Returns the first position that a start may have to read after, whichever of the checkpoints are damaged.
    #[must_use]
    pub fn needed_from(&self) -> Position {
        let lines = self.lines.iter().map(|(_, before)| *before);
        lines.chain(self.symbols.values().map(|(_, before)| *before)).min().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::entry::{Body, SourceId, Trade};
    use crate::models::symbol::{SymbolId, SymbolSpec};
    use crate::models::time::Nanos;
    use crate::stores::log::memory::MemoryLog;
    use crate::stores::log::{CheckpointSet, CheckpointStore, Partition};

    fn mark(pos: Position) -> Entry {
        let body = Body::ClockMark { source: SourceId(0), time: Nanos(pos.cast_signed()) };
        Entry { pos, symbol: SymbolId::NONE, body }
    }

    /// Returns a name in a slice; the names have the order of the slices.
    fn name(slice: u32) -> String {
        let names = (0..).map(|at| format!("{slice:02}-{at}"));
        names.into_iter().find(|name| slice_of(name) == slice).expect("every slice has names")
    }

    /// An environment that knows a symbol a slice, which has the slice's number.
    fn environment() -> Environment {
        let env = Environment::for_test();
        for slice in 0..NUM_SLICES {
            env.symbols.intern(SymbolSpec::named(&name(slice)));
        }
        env
    }

    fn state(symbol: u32, pos: Position, env: &Environment) -> SymbolState {
        let symbol = SymbolId(symbol);
        let (settings, names) = (Arc::clone(&env.settings), Arc::clone(&env.names));
        let mut state = SymbolState::new(symbol, &env.symbols.spec(symbol), settings, names);
        let trade = Trade::for_test(pos, Nanos(pos.cast_signed()));
        state.apply(&[Entry { pos, symbol, body: Body::Trade(trade) }], &mut Vec::new());
        state
    }

    /// Checkpoints of a symbol a slice, saved at 10, 20, ...
    async fn one_a_slice(env: &Environment) -> Checkpoints {
        let log = MemoryLog::new();
        for slice in 0..NUM_SLICES {
            let bytes = state(slice, 5, env).encode();
            let checkpoints = vec![Checkpoint { symbol: name(slice).into(), pos: 5, bytes }];
            let covers_through = 10 * Position::from(slice + 1);
            let context = clock_marks::encode(&[mark(covers_through - 1)], None, env.names.as_ref());
            let set = CheckpointSet { slice, covers_through, context, checkpoints };
            log.save_checkpoints(Partition::EMBEDDED, &set).await.expect("saves");
        }
        log.load_checkpoints(Partition::EMBEDDED).await.expect("loads")
    }

    #[tokio::test]
    async fn a_start_knows_the_marks_before_its_replay() {
        let env = environment();
        let checkpoints = one_a_slice(&env).await;
        let recovered = Recovered::of(&checkpoints, &env, Position::MAX);
        assert_eq!((recovered.replay_after, recovered.states.len()), (10, NUM_SLICES as usize));
        assert_eq!(recovered.marks, [mark(9)], "those of later sets come again with the replay");
        for (slice, state) in (0..).zip(&recovered.states) {
            assert_eq!(
                state.pos(),
                10 * slice + 9,
                "each has observed what came before the end of its own line"
            );
        }
    }

    #[tokio::test]
    async fn an_older_checkpoint_is_replayed_from_its_own_position() {
        let env = environment();
        let mut checkpoints = one_a_slice(&env).await;
        let older = Checkpoint { symbol: name(7).into(), pos: 3, bytes: state(7, 3, &env).encode() };
        checkpoints.symbols[7].push(older);
        let is_before = |recovered: &Recovered| {
            let found = recovered.states.iter().find(|state| state.symbol() == SymbolId(7));
            (found.map(SymbolState::pos), recovered.replay_after, recovered.marks.len())
        };
        assert_eq!(is_before(&Recovered::of(&checkpoints, &env, Position::MAX)), (Some(79), 10, 1));
        assert_eq!(is_before(&Recovered::of(&checkpoints, &env, 4)).0, Some(3), "the newest knows too much");
        checkpoints.symbols[7][0].bytes[30] ^= 1;
        let recovered = Recovered::of(&checkpoints, &env, Position::MAX);
        assert_eq!(is_before(&recovered), (Some(3), 3, 0), "no line goes back to it");
        checkpoints.symbols[7][1].bytes[30] ^= 1;
        let recovered = Recovered::of(&checkpoints, &env, Position::MAX);
        assert_eq!((recovered.replay_after, recovered.without_checkpoint), (0, vec![name(7).into()]));
    }

    #[tokio::test]
    async fn checkpoints_of_another_version_leave_everything_to_the_log() {
        let env = environment();
        let mut checkpoints = one_a_slice(&env).await;
        for checkpoint in checkpoints.symbols.iter_mut().flatten() {
            checkpoint.bytes[4] = 3;
        }
        let recovered = Recovered::of(&checkpoints, &env, Position::MAX);
        assert_eq!((recovered.replay_after, recovered.states.len(), &recovered.marks[..]), (0, 0, &[][..]));
        assert_eq!(recovered.without_checkpoint.len(), NUM_SLICES as usize);
    }

    #[tokio::test]
    async fn a_line_whose_marks_are_damaged_is_not_relied_on() {
        let env = environment();
        let mut checkpoints = one_a_slice(&env).await;
        checkpoints.slices[7][0].context.truncate(1);
        assert_eq!(Recovered::of(&checkpoints, &env, Position::MAX).replay_after, 5);
    }

    #[tokio::test]
    async fn the_log_is_kept_from_the_older_checkpoint_of_the_quietest_symbol() {
        let env = environment();
        let mut checkpoints = one_a_slice(&env).await;
        for slice in &mut checkpoints.slices {
            slice[1] = SetHeader { covers_through: 9, ..SetHeader::default() };
        }
        for (symbol, of_symbol) in checkpoints.symbols.iter_mut().enumerate() {
            of_symbol.push(Checkpoint { pos: if symbol == 7 { 2 } else { 4 }, ..of_symbol[0].clone() });
        }
        assert_eq!(SavedCheckpoints::of(&checkpoints).needed_from(), 2);
        checkpoints.symbols[9].truncate(1);
        assert_eq!(
            SavedCheckpoints::of(&checkpoints).needed_from(),
            0,
            "without a second one it is the log's beginning"
        );
    }
}
