//! Clock marks and what is looked for as bytes, beside the checkpoints: the newest mark of each source and what was stated
//! last, which a replay from there must know.
//!
//! Promises: as in a checkpoint sources stand by name, so the bytes mean the same in every process.
//! On failure there are no marks: whoever asks replays from where it needs none.
//!
//! Layout: magic `TWM2`, then in postcard position, time and name of the source of each mark; no name stands for a mark of all
//! sources; then position, time and text of what is looked for, where the log said that. `TWM1` ends behind the marks.

use super::detection::document::Document;
use super::entry::{Body, Entry, Position, SourceId};
use super::names::Interner;
use super::symbol::SymbolId;
use super::time::Nanos;
use std::sync::Arc;

const MAGIC: &[u8; 4] = b"TWM2";
const MAGIC_MARKS_ALONE: &[u8; 4] = b"TWM1";

type Stored = (Position, Nanos, Option<Arc<str>>);

/// What was said to all symbols up to a position, and holds on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Broadcasts {
    /// The newest clock mark of each source.
    pub marks: Vec<Entry>,
    /// What was stated last to be looked for.
    pub detection: Option<Entry>,
}

/// Packs what was said; entries that are something else are left out.
#[must_use]
pub fn encode(marks: &[Entry], detection: Option<&Entry>, names: &dyn Interner) -> Vec<u8> {
    let stored = |mark: &Entry| -> Option<Stored> {
        let Body::ClockMark { source, time } = mark.body else { return None };
        Some((mark.pos, time, (source != SourceId::ANY).then(|| names.source_name(source))))
    };
    let stored: Vec<Stored> = marks.iter().filter_map(stored).collect();
    let stated = detection.and_then(|entry| match entry.body {
        Body::Detection { at, document } => Some((entry.pos, at, document)),
        _ => None,
    });
    postcard::to_extend(&(stored, stated), MAGIC.to_vec()).expect("plain data")
}

/// Unpacks what was said. `None` where it is damaged, of another version, or of more sources than a process can know.
#[must_use]
pub fn decode(bytes: &[u8], names: &dyn Interner) -> Option<Broadcasts> {
    // What is wrong with them is of no use to anybody: without marks the replay begins earlier.
    let (stored, stated): (Vec<Stored>, Option<(Position, Nanos, Document)>) =
        match bytes.strip_prefix(MAGIC_MARKS_ALONE) {
            Some(alone) => (postcard::from_bytes(alone).ok()?, None),
            None => postcard::from_bytes(bytes.strip_prefix(MAGIC)?).ok()?,
        };
    let mark = |(pos, time, name): Stored| {
        let source = match name {
            Some(name) => names.source_id(&name)?,
            None => SourceId::ANY,
        };
        Some(Entry { pos, symbol: SymbolId::NONE, body: Body::ClockMark { source, time } })
    };
    let detection = stated.map(|(pos, at, document)| {
        let body = Body::Detection { at, document };
        Entry { pos, symbol: SymbolId::NONE, body }
    });
    Some(Broadcasts { marks: stored.into_iter().map(mark).collect::<Option<_>>()?, detection })
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
        let document = Document::new("{}").expect("short");
        let body = Body::Detection { at: Nanos(4), document };
        let detection = Some(Entry { pos: 6, symbol: SymbolId::NONE, body });
        let bytes = encode(&marks, detection.as_ref(), one.as_ref());
        let here = Broadcasts { marks: marks.to_vec(), detection };
        assert_eq!(decode(&bytes, one.as_ref()), Some(here.clone()));
        let there = [mark(3, SourceId(2)), mark(5, SourceId(1)), mark(9, SourceId::ANY)];
        assert_eq!(decode(&bytes, other.as_ref()), Some(Broadcasts { marks: there.to_vec(), detection }));
        let stored = [(3_u64, Nanos(21), Some("a")), (5, Nanos(35), Some("b")), (9, Nanos(63), None)];
        let before = postcard::to_extend(&stored.to_vec(), b"TWM1".to_vec()).expect("plain data");
        assert_eq!(decode(&before, one.as_ref()), Some(Broadcasts { detection: None, ..here }), "of before");
        assert_eq!(decode(&bytes[..bytes.len() - 1], one.as_ref()), None, "cut short");
        assert_eq!(decode(&postcard::to_stdvec(&marks).expect("plain data"), one.as_ref()), None, "with ids");
    }
}
