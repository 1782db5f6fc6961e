//! The sources that report one symbol: their places in its lists, and the order of their names.
//!
//! Promises: a source keeps its place, which follows from the order in which sources first reported the symbol and so from
//! the log; its rank follows from the names alone. Neither knows how a process numbers sources.

use crate::models::bar::SourceRank;
use crate::models::entry::SourceId;
use std::sync::Arc;

/// A source's place in the symbol's own list of sources.
pub type LocalSource = u16;

/// At most so many sources may report one symbol: the bits that a row has for it.
pub const NUM_SOURCES_MAX: usize = 1 << 11;

#[derive(Clone, Copy, Debug)]
struct Known {
    id: SourceId,
    rank: SourceRank,
}

/// The sources that report a symbol, by place.
#[derive(Clone, Debug, Default)]
pub struct LocalSources {
    known: Vec<Known>,
    names: Vec<Arc<str>>,
}

impl LocalSources {
    /// Returns the place of a source that is known.
    #[inline]
    #[must_use]
    pub fn find(&self, source: SourceId) -> Option<LocalSource> {
        self.known.iter().position(|known| known.id == source).map(|at| at as LocalSource)
    }

    /// Adds a source. Returns its place and its rank, to which every source behind it made room; `None` when there are too
    /// many.
    pub fn add(&mut self, source: SourceId, name: Arc<str>) -> Option<(LocalSource, SourceRank)> {
        if self.known.len() >= NUM_SOURCES_MAX {
            return None;
        }
        let local = self.known.len() as LocalSource;
        let rank = SourceRank(self.names.iter().filter(|known| **known <= name).count() as u16);
        for known in &mut self.known {
            known.rank.0 += u16::from(known.rank >= rank);
        }
        self.known.push(Known { id: source, rank });
        self.names.push(name);
        Some((local, rank))
    }

    /// Returns the source at a place.
    #[inline]
    #[must_use]
    pub fn id(&self, local: LocalSource) -> SourceId {
        self.known[usize::from(local)].id
    }

    /// Returns the rank of the source at a place.
    #[inline]
    #[must_use]
    pub fn rank(&self, local: LocalSource) -> SourceRank {
        self.known[usize::from(local)].rank
    }

    /// Returns the sources, in the order of their places.
    pub fn ids(&self) -> impl Iterator<Item = SourceId> + '_ {
        self.known.iter().map(|known| known.id)
    }

    /// Returns their names, in the order of their places.
    #[must_use]
    pub fn names(&self) -> &[Arc<str>] {
        &self.names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_follow_the_names_and_places_the_order_of_arrival() {
        let mut sources = LocalSources::default();
        for (at, name) in (0..).zip(["m", "z", "a", "n"]) {
            let (local, rank) = sources.add(SourceId(9 - at), name.into()).expect("room");
            assert_eq!((local, sources.rank(local)), (at, rank));
        }
        let ranks: Vec<u16> = (0..4).map(|local| sources.rank(local).0).collect();
        assert_eq!(ranks, [1, 3, 0, 2]);
        assert_eq!((sources.find(SourceId(7)), sources.id(2)), (Some(2), SourceId(7)));
    }

    #[test]
    fn there_are_no_more_than_rows_have_bits_for() {
        let mut sources = LocalSources::default();
        for at in 0..NUM_SOURCES_MAX as u16 {
            assert!(sources.add(SourceId(at), at.to_string().into()).is_some());
        }
        assert_eq!(sources.add(SourceId(9_999), "one more".into()), None);
    }
}
