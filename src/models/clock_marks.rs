//! Clock marks as bytes, beside the checkpoints: the newest of each source, which a replay from there must know.
//!
//! Promises: as in a checkpoint sources stand by name, so the bytes mean the same in every process.
//! On failure there are no marks: whoever asks replays from where it needs none.
//!
//! Layout: magic `TWM1`, then in postcard position, time and name of the source of each; no name stands for a mark of all
//! sources.

use super::entry::{Body, Entry, Position, SourceId};
use super::names::Interner;
use super::symbol::SymbolId;
use super::time::Nanos;
use std::sync::Arc;

const MAGIC: &[u8; 4] = b"TWM1";

type Stored = (Position, Nanos, Option<Arc<str>>);

/// Packs clock marks; other entries are left out.
#[must_use]
pub fn encode(marks: &[Entry], names: &dyn Interner) -> Vec<u8> {
    let stored = |mark: &Entry| -> Option<Stored> {
        let Body::ClockMark { source, time } = mark.body else { return None };
        Some((mark.pos, time, (source != SourceId::ANY).then(|| names.source_name(source))))
    };
    let stored: Vec<Stored> = marks.iter().filter_map(stored).collect();
    postcard::to_extend(&stored, MAGIC.to_vec()).expect("marks are plain data")
}

/// Unpacks clock marks. `None` where they are damaged, of another version, or of more sources than a process can know.
#[must_use]
pub fn decode(bytes: &[u8], names: &dyn Interner) -> Option<Vec<Entry>> {
    // What is wrong with them is of no use to anybody: without marks the replay begins earlier.
    let stored: Vec<Stored> = postcard::from_bytes(bytes.strip_prefix(MAGIC)?).ok()?;
    let mark = |(pos, time, name): Stored| {
        let source = match name {
            Some(name) => names.source_id(&name)?,
            None => SourceId::ANY,
        };
        Some(Entry { pos, symbol: SymbolId::NONE, body: Body::ClockMark { source, time } })
    };
    stored.into_iter().map(mark).collect()
}

#[cfg(test)]
mod tests {
    use super::super::names::for_test::ListedNames;
    use super::*;

    fn mark(pos: Position, source: SourceId) -> Entry {
        let body = Body::ClockMark { source, time: Nanos(pos.cast_signed() * 7) };
        Entry { pos, symbol: SymbolId::NONE, body }
    }

    #[test]
    fn marks_are_those_of_the_same_sources_in_another_process() {
        let (one, other) = (ListedNames::of_sources(&["a", "b"]), ListedNames::of_sources(&["c", "b"]));
        let marks = [mark(3, SourceId(0)), mark(5, SourceId(1)), mark(9, SourceId::ANY)];
        let bytes = encode(&marks, one.as_ref());
        assert_eq!(decode(&bytes, one.as_ref()).as_deref(), Some(&marks[..]));
        let there = [mark(3, SourceId(2)), mark(5, SourceId(1)), mark(9, SourceId::ANY)];
        assert_eq!(decode(&bytes, other.as_ref()).as_deref(), Some(&there[..]));
        assert_eq!(decode(&bytes[..bytes.len() - 1], one.as_ref()), None, "cut short");
        assert_eq!(decode(&postcard::to_stdvec(&marks).expect("plain data"), one.as_ref()), None, "with ids");
    }
}
