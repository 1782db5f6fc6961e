//! Recovery points: the state as bytes, with everything needed to refuse what is damaged or foreign.
//!
//! Layout: magic `TWSP`, version (u16), fingerprint of the settings (u64), CRC-32 of the body (u32), all little-endian,
//! then the body in postcard: the state, and since version 3 what it knows more than in version 2.

use super::{Identity, SymbolState};
use crate::models::settings::CoreSettings;
use crate::models::time::Nanos;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const MAGIC: &[u8; 4] = b"TWSP";
/// Grows whenever the body's form changes.
const VERSION: u16 = 3;
/// Is read too: its body is that of version 3 without the supplement.
const VERSION_BEFORE: u16 = 2;
const HEADER: usize = 4 + 2 + 8 + 4;

/// Why bytes are no recovery point of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a recovery point, or cut short.
    #[error("not a recovery point")]
    Malformed,
    /// Written by another version.
    #[error("recovery point has version {0}, this is version {VERSION}")]
    Version(u16),
    /// Written under settings that give other results.
    #[error("recovery point was made under other `core` settings")]
    Settings,
    /// The checksum differs.
    #[error("recovery point is damaged")]
    Damaged,
}

/// What stands behind the state.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Supplement {
    /// The second time that waits to be confirmed.
    leap_second: Option<Nanos>,
    /// Cancels that are judged before their own time is sealed.
    judged: Vec<(Identity, Nanos)>,
}

impl SymbolState {
    /// Encodes the state.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // About what it takes: growing bit by bit would copy the megabytes of a busy symbol several times.
        let mut bytes = Vec::with_capacity(4096 + 12 * self.retained.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.settings.fingerprint().to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        let supplement = Supplement {
            leap_second: self.clock.leap.second(),
            judged: self.pending_cancels.judged(self.settings.base()),
        };
        let bytes = postcard::to_extend(self, bytes).expect("the state is plain data");
        let mut bytes = postcard::to_extend(&supplement, bytes).expect("plain data");
        let checksum = crc32fast::hash(&bytes[HEADER..]);
        bytes[HEADER - 4..HEADER].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// True when the bytes are a recovery point as it was written, whatever the settings.
    #[must_use]
    pub fn is_whole(bytes: &[u8]) -> bool {
        let Some((header, body)) = bytes.split_at_checked(HEADER) else { return false };
        header.starts_with(MAGIC)
            && header.last_chunk().is_some_and(|sum| u32::from_le_bytes(*sum) == crc32fast::hash(body))
    }

    /// Decodes a state that was made under the same settings.
    ///
    /// # Errors
    /// See [`CheckpointError`]. Another state must then be found; nothing of this one can be used.
    pub fn decode(bytes: &[u8], settings: Arc<CoreSettings>) -> Result<SymbolState, CheckpointError> {
        let (header, body) = bytes.split_at_checked(HEADER).ok_or(CheckpointError::Malformed)?;
        let field = |at: usize| header.get(at..).ok_or(CheckpointError::Malformed);
        if !header.starts_with(MAGIC) {
            return Err(CheckpointError::Malformed);
        }
        let version = u16::from_le_bytes(first(field(4)?)?);
        if version != VERSION && version != VERSION_BEFORE {
            return Err(CheckpointError::Version(version));
        }
        if u64::from_le_bytes(first(field(6)?)?) != settings.fingerprint() {
            return Err(CheckpointError::Settings);
        }
        if u32::from_le_bytes(first(field(14)?)?) != crc32fast::hash(body) {
            return Err(CheckpointError::Damaged);
        }
        let (mut state, rest): (SymbolState, _) =
            postcard::take_from_bytes(body).map_err(|_| CheckpointError::Damaged)?;
        let supplement = if version == VERSION_BEFORE {
            Supplement::default()
        } else {
            postcard::from_bytes(rest).map_err(|_| CheckpointError::Damaged)?
        };
        state.clock.leap.restore_second(supplement.leap_second);
        state.pending_cancels.restore(&supplement.judged, settings.base());
        state.settings = settings;
        state.retained.reindex();
        state.corrections.restore(&state.retained);
        Ok(state)
    }
}

fn first<const N: usize>(bytes: &[u8]) -> Result<[u8; N], CheckpointError> {
    bytes.first_chunk().copied().ok_or(CheckpointError::Malformed)
}
