//! What is looked for now, published by the data path for whoever shows or changes it.
//!
//! Promises: it is what the newest entry says that a router has seen; it never goes back. Nothing here fails.

use crate::models::detection::document::Document;
use crate::models::entry::Position;
use crate::models::time::Nanos;
use tokio::sync::watch;

/// What an entry of the log says is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatedAt {
    /// Its place in the log: it holds for what comes behind it.
    pub pos: Position,
    /// When it was stated.
    pub at: Nanos,
    /// What it says.
    pub document: Document,
}

/// The newest of them; `None` while the log says nothing.
#[derive(Debug)]
pub struct LookedFor(watch::Sender<Option<StatedAt>>);

impl Default for LookedFor {
    fn default() -> Self {
        LookedFor(watch::Sender::new(None))
    }
}

impl LookedFor {
    /// Takes note of what an entry says. Returns false where it is known already: each shard meets every entry.
    #[must_use]
    pub fn note(&self, stated: StatedAt) -> bool {
        self.0.send_if_modified(|known| {
            let is_new = known.is_none_or(|known| known.pos < stated.pos);
            if is_new {
                *known = Some(stated);
            }
            is_new
        })
    }

    /// Returns what is looked for now.
    #[must_use]
    pub fn now(&self) -> Option<StatedAt> {
        *self.0.borrow()
    }

    /// Returns what comes after a position and says what a document says, once the data path has it.
    pub async fn stated_after(&self, pos: Position, document: Document) -> StatedAt {
        let mut changes = self.0.subscribe();
        loop {
            if let Some(found) = *changes.borrow_and_update()
                && found.pos > pos
                && found.document == document
            {
                return found;
            }
            // It cannot be: the sender is here.
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_goes_on_and_never_back() {
        let looked_for = LookedFor::default();
        let stated = |pos, text| {
            let document = Document::new(text).expect("short");
            StatedAt { pos, at: Nanos(0), document }
        };
        assert!(looked_for.note(stated(5, "a")) && !looked_for.note(stated(5, "a")));
        assert!(!looked_for.note(stated(3, "b")));
        assert_eq!(looked_for.now(), Some(stated(5, "a")));
        let waiting = looked_for.stated_after(5, stated(9, "a").document);
        assert!(looked_for.note(stated(7, "c")) && looked_for.note(stated(9, "a")));
        assert_eq!(waiting.await, stated(9, "a"), "what held before is not taken for it");
    }
}
