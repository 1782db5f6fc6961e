//! Buffers of effects to use again: a buffer that grows from nothing is copied again and again, and memory that was given
//! back to the system comes back page by page.
//!
//! Promises: a buffer is used again only when every sink has written what was in it, and few are held. Nothing here fails.

use crate::models::effect::Effect;
use std::sync::{Arc, Mutex, PoisonError};

/// Buffers held: at most 16 MB.
const NUM_BUFFERS_MAX: usize = 4;

/// Empty buffers.
#[derive(Debug, Default)]
pub struct EffectBuffers(Mutex<Vec<Vec<Effect>>>);

impl EffectBuffers {
    /// Returns an empty buffer: a used one, or else a new one without capacity.
    #[must_use]
    pub fn take(&self) -> Vec<Effect> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Takes a buffer back, unless something else still refers to it or enough are held.
    pub fn put(&self, effects: Arc<Vec<Effect>>) {
        let Some(mut buffer) = Arc::into_inner(effects).filter(|buffer| buffer.capacity() > 0) else {
            return;
        };
        buffer.clear();
        let mut buffers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buffers.len() < NUM_BUFFERS_MAX {
            buffers.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_once_nothing_refers_to_it() {
        let buffers = EffectBuffers::default();
        let effects = Arc::new(Vec::with_capacity(100));
        buffers.put(Arc::clone(&effects));
        assert_eq!(buffers.take().capacity(), 0, "it is referred to still");
        buffers.put(effects);
        let buffer = buffers.take();
        assert_eq!((buffer.capacity(), buffer.len()), (100, 0));
        (0..10).for_each(|_| buffers.put(Arc::new(Vec::with_capacity(100))));
        assert_eq!(buffers.0.lock().unwrap().len(), NUM_BUFFERS_MAX);
    }
}
