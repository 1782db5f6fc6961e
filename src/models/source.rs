//! Sources: the feeds that report trades, interned to small ids.

use super::entry::SourceId;
use std::sync::{PoisonError, RwLock};

/// The sources of a process, in the order they were first seen.
#[derive(Debug, Default)]
pub struct SourceTable {
    names: RwLock<Vec<String>>,
}

impl SourceTable {
    /// Returns the source's id, adding it where it is new.
    ///
    /// # Panics
    /// With more than 65,534 sources, which no configuration can name.
    pub fn intern(&self, name: &str) -> SourceId {
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        let at = names.iter().position(|known| known == name).unwrap_or_else(|| {
            names.push(name.to_owned());
            names.len() - 1
        });
        let id = u16::try_from(at).ok().map(SourceId).filter(|id| *id != SourceId::ANY);
        id.expect("fewer than 65,535 sources")
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
}
