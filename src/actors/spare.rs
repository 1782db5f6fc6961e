//! Room of effects that every sink has written, for those to come: room that grows bit by bit is copied each time, and
//! what is given back to the system comes back page by page.
//!
//! Promises: room is used again only when nobody looks at what was in it any more, and little of it is kept.

use crate::models::effect::Effect;
use std::sync::{Arc, Mutex, PoisonError};

/// Rooms that are kept: 16 MB at the most.
const SPARE_ROOMS_MAX: usize = 4;

/// Rooms that stand empty.
#[derive(Debug, Default)]
pub struct SpareRoom(Mutex<Vec<Vec<Effect>>>);

impl SpareRoom {
    /// Returns a room, which may have to grow.
    #[must_use]
    pub fn take(&self) -> Vec<Effect> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Keeps the room, unless somebody else still looks at what is in it or there is enough.
    pub fn put(&self, effects: Arc<Vec<Effect>>) {
        let Some(mut room) = Arc::into_inner(effects).filter(|room| room.capacity() > 0) else { return };
        room.clear();
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE_ROOMS_MAX {
            spare.push(room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_used_again_once_nobody_looks_at_what_was_in_it() {
        let spare = SpareRoom::default();
        let effects = Arc::new(Vec::with_capacity(100));
        spare.put(Arc::clone(&effects));
        assert_eq!(spare.take().capacity(), 0, "it is looked at still");
        spare.put(effects);
        let room = spare.take();
        assert_eq!((room.capacity(), room.len()), (100, 0));
        (0..10).for_each(|_| spare.put(Arc::new(Vec::with_capacity(100))));
        assert_eq!(spare.0.lock().unwrap().len(), SPARE_ROOMS_MAX);
    }
}
