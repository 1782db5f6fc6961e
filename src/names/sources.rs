//! The sources of a process, the feeds that report trades, in the order in which it met them.
//!
//! Promises: an id is given once and never taken back. Names that stand in data can never take the ids that names in a
//! configuration need: when there are too many, such a name gets none.

use crate::models::entry::SourceId;
use std::sync::{PoisonError, RwLock};

/// Every id but [`SourceId::ANY`].
const NUM_SOURCES_MAX: usize = u16::MAX as usize;
/// Foreign names leave so many ids less.
const NUM_FOREIGN_MAX: usize = NUM_SOURCES_MAX - 1_024;

/// The sources of a process.
#[derive(Debug, Default)]
pub struct SourceTable {
    names: RwLock<Vec<String>>,
}

impl SourceTable {
    /// Returns the source's id, adding it where it is new. For names that the program or its configuration gives.
    ///
    /// # Panics
    /// With more than 65,535 sources: those that no configuration names leave room for all that one can.
    pub fn intern(&self, name: &str) -> SourceId {
        self.add(name, NUM_SOURCES_MAX).expect("fewer sources than ids, since foreign names leave room")
    }

    /// Returns the source's id, adding it where it is new; `None` when there are too many. For names that stand in data.
    pub fn intern_foreign(&self, name: &str) -> Option<SourceId> {
        self.add(name, NUM_FOREIGN_MAX)
    }

    fn add(&self, name: &str, limit: usize) -> Option<SourceId> {
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        let at = match names.iter().position(|known| known == name) {
            Some(at) => at,
            None if names.len() < limit => {
                names.push(name.to_owned());
                names.len() - 1
            }
            None => return None,
        };
        u16::try_from(at).ok().map(SourceId)
    }

    /// Returns the source's name; `any` for [`SourceId::ANY`] and for ids of other tables.
    #[must_use]
    pub fn name(&self, id: SourceId) -> String {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        names.get(usize::from(id.0)).cloned().unwrap_or_else(|| "any".to_owned())
    }

    /// Returns the number of sources.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// True when no source was seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns all names, in the order of their ids.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        self.names.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_once() {
        let table = SourceTable::default();
        let a = table.intern("simulated");
        let b = table.intern("file");
        assert_ne!(a, b);
        assert_eq!(table.intern("simulated"), a);
        assert_eq!(table.name(b), "file");
        assert_eq!(table.name(SourceId::ANY), "any");
        assert_eq!(table.all(), ["simulated", "file"]);
    }

    #[test]
    fn foreign_names_never_take_the_last_ids() {
        let table = SourceTable { names: RwLock::new((0..NUM_FOREIGN_MAX).map(|n| n.to_string()).collect()) };
        assert_eq!(table.intern_foreign("7"), Some(SourceId(7)), "known ones are found");
        assert_eq!((table.intern_foreign("one more"), table.len()), (None, NUM_FOREIGN_MAX));
        let configured = table.intern("file");
        assert_eq!((usize::from(configured.0), table.name(configured).as_str()), (NUM_FOREIGN_MAX, "file"));
        for n in table.len()..NUM_SOURCES_MAX {
            assert_ne!(table.intern(&format!("venue {n}")), SourceId::ANY);
        }
    }
}
