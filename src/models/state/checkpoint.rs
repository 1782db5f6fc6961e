//! Checkpoints: the state as bytes, with everything needed to refuse what is damaged or foreign.
//!
//! Promises: the bytes hold names and no number that a process gave, so another process that met the symbols and sources
//! in another order goes on from them to the same results, to the last bit.
//! On failure nothing of a checkpoint is used, and the error says which kind of failure it is: the caller falls back to an
//! older checkpoint, or to the log.
//!
//! Layout: magic `TWSP`, version (u16), fingerprint of the settings (u64), CRC-32 of the body (u32), all little-endian,
//! then the body in postcard: [`Named`], where sources stand by their places in a list of names; then [`Parts`], which
//! speak of sources by their places in the same list; then [`Supplement`], then the positions at which the
//! windows' bars were published last, which some bytes of version 4 lack; then what detectors found ([`Found`]), from
//! version 5 on; then what rules found ([`RulesFound`]) what the log said last is looked for, and what
//! number anomalies have come to while nothing is, from version 6 on.

use super::clock::EventClock;
use super::corrections::Corrections;
use super::detection::{Found, Watch};
use super::health::{Gaps, SourceSchedule};
use super::outcomes::Outcomes;
use super::pending_cancels::PendingCancels;
use super::rules::RulesFound;
use super::sources::LocalSources;
use super::trades::RetainedTrades;
use super::window::{BarLifecycle, BaseWindow};
use super::{Identity, Newest, SymbolState, Track};
use crate::models::detection::document::Document;
use crate::models::entry::{Position, SourceId};
use crate::models::names::Interner;
use crate::models::settings::CoreSettings;
use crate::models::symbol::{SymbolDefinition, SymbolSpec};
use crate::models::time::Nanos;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;

const MAGIC: &[u8; 4] = b"TWSP";
/// Grows whenever the body's form changes. Up to 3 the body held ids of the process that wrote it.
const VERSION: u16 = 6;
/// The oldest version that is read. It knows nothing of detectors, and version 5 nothing of rules; these then begin anew. Up
/// to 5 the log did not say what is looked for.
const VERSION_MIN: u16 = 4;
const HEADER: usize = 4 + 2 + 8 + 4;

/// Stands for [`SourceId::ANY`], which is no source and has no name.
const ANY: u16 = u16::MAX;

/// Why bytes are no checkpoint that this process can go on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a checkpoint, or cut short.
    #[error("not a checkpoint")]
    Malformed,
    /// Written by another version of the program.
    #[error(
        "checkpoint is of the foreign version {0}, this program reads version {VERSION_MIN} to {VERSION}"
    )]
    Version(u16),
    /// Written under settings that give other results.
    #[error("checkpoint was made under other `core` settings")]
    Settings,
    /// The checksum differs, or what it says contradicts itself.
    #[error("checkpoint is damaged")]
    Damaged,
    /// It names sources for which this process has no ids left.
    #[error("checkpoint names more sources than a process can know")]
    TooManySources,
}

/// What a checkpoint says by name.
#[derive(Debug, Serialize, Deserialize)]
struct Named {
    spec: SymbolSpec,
    definition: Option<SymbolDefinition>,
    /// First the sources that reported the symbol, by place, then others that the schedule or a gap speaks of.
    sources: Vec<Arc<str>>,
    num_local: u16,
    schedule: SourceSchedule<u16>,
    gaps: Gaps<u16>,
}

/// What holds neither names nor ids: position, clock, trades, windows of the smallest width, tracks, pending cancels,
/// corrections, outcomes, accepted trades, newest trade, frontier, what is due.
type Parts = (
    Position,
    EventClock,
    RetainedTrades,
    VecDeque<BaseWindow>,
    Vec<Track>,
    PendingCancels,
    Corrections,
    Outcomes,
    u64,
    Option<Newest>,
    Nanos,
    Nanos,
);

/// What the parts leave out of themselves.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Supplement {
    /// The second time that waits to be confirmed.
    leap_second: Option<Nanos>,
    /// Cancels that are judged before their own time is sealed.
    judged: Vec<(Identity, Nanos)>,
}

/// Sources of a process on their way into a list of names.
struct SourceList {
    ids: Vec<SourceId>,
    names: Vec<Arc<str>>,
}

impl SourceList {
    /// Returns the source's place, adding it where it is new.
    fn place(&mut self, source: SourceId, names: &dyn Interner) -> u16 {
        if source == SourceId::ANY {
            return ANY;
        }
        let at = self.ids.iter().position(|known| *known == source).unwrap_or_else(|| {
            self.ids.push(source);
            self.names.push(names.source_name(source));
            self.ids.len() - 1
        });
        u16::try_from(at).expect("a process knows fewer than 65,535 sources")
    }
}

impl SymbolState {
    /// Encodes the state.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let SymbolState {
            symbol: _,
            spec,
            definition,
            settings,
            names,
            pos,
            clock,
            schedule,
            gaps,
            retained,
            base,
            tracks,
            pending_cancels,
            corrections,
            outcomes,
            accepted,
            cancels: _,
            newest,
            sealed_until,
            due,
            watch: _,
            detection,
            idle_seq,
            stated: _,
            rules,
        } = self;
        let local = retained.sources();
        let mut list = SourceList { ids: local.ids().collect(), names: local.names().to_vec() };
        let num_local = u16::try_from(list.ids.len()).expect("a symbol has fewer than 2^11 sources");
        let mut place = |source| Some(list.place(source, names.as_ref()));
        let schedule = schedule.map(&mut place).expect("every source has a place");
        let gaps = gaps.map(&mut place).expect("every source has a place");
        let (spec, definition) = (spec.clone(), *definition);
        let named = Named { spec, definition, sources: list.names, num_local, schedule, gaps };
        let parts = (
            pos,
            clock,
            retained,
            base,
            tracks,
            pending_cancels,
            corrections,
            outcomes,
            accepted,
            newest,
            sealed_until,
            due,
        );
        let supplement =
            Supplement { leap_second: clock.leap.second(), judged: pending_cancels.judged(settings.base()) };
        // About what it takes: growing bit by bit would copy the megabytes of a busy symbol several times.
        let mut bytes = Vec::with_capacity(4096 + 12 * retained.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&settings.fingerprint().to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        let bytes = postcard::to_extend(&named, bytes).expect("names are plain data");
        let bytes = postcard::to_extend(&parts, bytes).expect("the state is plain data");
        let bytes = postcard::to_extend(&supplement, bytes).expect("plain data");
        let published: Vec<Position> = lifecycles(base, tracks).map(|lifecycle| lifecycle.log_pos).collect();
        let bytes = postcard::to_extend(&published, bytes).expect("plain data");
        let found = detection.as_ref().map(|detection| detection.found());
        let bytes = postcard::to_extend(&found, bytes).expect("plain data");
        let found = rules.as_ref().map(|rules| rules.found());
        let bytes = postcard::to_extend(&found, bytes).expect("plain data");
        let mut bytes = postcard::to_extend(&(self.stated(), idle_seq), bytes).expect("plain data");
        let checksum = crc32fast::hash(&bytes[HEADER..]);
        bytes[HEADER - 4..HEADER].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// True when the bytes are a checkpoint as it was written, whatever the settings.
    #[must_use]
    pub fn is_whole(bytes: &[u8]) -> bool {
        let Some((header, body)) = bytes.split_at_checked(HEADER) else { return false };
        header.starts_with(MAGIC)
            && header.last_chunk().is_some_and(|sum| u32::from_le_bytes(*sum) == crc32fast::hash(body))
    }

    /// Decodes a state that was made under the same settings, by this or another process. `names` gives the symbol and its
    /// sources the ids that they have here.
    ///
    /// # Errors
    /// See [`CheckpointError`]. Another state must then be found; nothing of this one can be used.
    pub fn decode(
        bytes: &[u8],
        settings: Arc<CoreSettings>,
        names: Arc<dyn Interner>,
    ) -> Result<SymbolState, CheckpointError> {
        let damaged = |_: postcard::Error| CheckpointError::Damaged;
        let body = body_of(bytes, &settings)?;
        let (named, rest): (Named, _) = postcard::take_from_bytes(body).map_err(damaged)?;
        let (parts, rest): (Parts, _) = postcard::take_from_bytes(rest).map_err(damaged)?;
        let (supplement, rest): (Supplement, _) = postcard::take_from_bytes(rest).map_err(damaged)?;
        // Some bytes of version 4 end here, the others behind the positions.
        let (published, rest): (Vec<Position>, _) = match rest {
            [] => (Vec::new(), rest),
            rest => postcard::take_from_bytes(rest).map_err(damaged)?,
        };
        let (found, rest): (Option<Found>, _) = match rest {
            [] => (None, rest),
            rest => postcard::take_from_bytes(rest).map_err(damaged)?,
        };
        let (rules, rest): (Option<RulesFound>, _) = match rest {
            [] => (None, rest),
            rest => postcard::take_from_bytes(rest).map_err(damaged)?,
        };
        let (stated, idle_seq): (Option<Document>, u64) = match rest {
            [] => (None, 0),
            rest => postcard::from_bytes(rest).map_err(damaged)?,
        };
        let Named { spec, definition, sources, num_local, schedule, gaps } = named;
        let (
            pos,
            mut clock,
            mut retained,
            mut base,
            mut tracks,
            mut pending_cancels,
            mut corrections,
            outcomes,
            accepted,
            newest,
            sealed_until,
            due,
        ) = parts;
        let ids: Option<Vec<SourceId>> = sources.iter().map(|name| names.source_id(name)).collect();
        let ids = ids.ok_or(CheckpointError::TooManySources)?;
        let id = |place: u16| match place {
            ANY => Some(SourceId::ANY),
            place => ids.get(usize::from(place)).copied(),
        };
        let mut local = LocalSources::default();
        for (id, name) in ids.iter().zip(&sources).take(usize::from(num_local)) {
            local.add(*id, Arc::clone(name)).ok_or(CheckpointError::Damaged)?;
        }
        let symbol = names.symbol_id(&spec);
        if let Some(definition) = &definition {
            names.define(symbol, definition);
        }
        clock.leap.restore_second(supplement.leap_second);
        pending_cancels.restore(&supplement.judged, settings.base());
        retained.restore(local);
        corrections.restore(&retained);
        let own = base.iter_mut().map(|window| &mut window.lifecycle);
        let larger = tracks.iter_mut().flat_map(|track| &mut track.larger);
        let all = own.chain(larger.map(|window| &mut window.lifecycle));
        all.zip(published).for_each(|(lifecycle, log_pos)| lifecycle.log_pos = log_pos);
        for bar in tracks.iter_mut().filter_map(|track| track.newest.as_mut()) {
            bar.symbol = symbol;
        }
        let mut state = SymbolState {
            symbol,
            spec,
            definition,
            settings,
            names,
            pos,
            clock,
            schedule: schedule.map(id).ok_or(CheckpointError::Damaged)?,
            gaps: gaps.map(id).ok_or(CheckpointError::Damaged)?,
            retained,
            base,
            tracks,
            pending_cancels,
            corrections,
            outcomes,
            accepted,
            cancels: 0,
            newest,
            sealed_until,
            due,
            watch: Watch::OFF,
            detection: None,
            idle_seq,
            stated: None,
            rules: None,
        };
        state.restore_looked_for(stated, found, rules);
        Ok(state)
    }
}

/// Returns the lifecycles of all windows, in an order that the bytes keep.
fn lifecycles<'a>(
    base: &'a VecDeque<BaseWindow>,
    tracks: &'a [Track],
) -> impl Iterator<Item = &'a BarLifecycle> {
    let larger = tracks.iter().flat_map(|track| &track.larger).map(|window| &window.lifecycle);
    base.iter().map(|window| &window.lifecycle).chain(larger)
}

/// Checks the header and the checksum. Returns what is behind them.
fn body_of<'a>(bytes: &'a [u8], settings: &CoreSettings) -> Result<&'a [u8], CheckpointError> {
    let (header, body) = bytes.split_at_checked(HEADER).ok_or(CheckpointError::Malformed)?;
    let field = |at: usize| header.get(at..).ok_or(CheckpointError::Malformed);
    if !header.starts_with(MAGIC) {
        return Err(CheckpointError::Malformed);
    }
    let version = u16::from_le_bytes(first(field(4)?)?);
    // The header has been the same since version 2, and other settings are the graver difference.
    if (2..=VERSION).contains(&version) && u64::from_le_bytes(first(field(6)?)?) != settings.fingerprint() {
        return Err(CheckpointError::Settings);
    }
    if !(VERSION_MIN..=VERSION).contains(&version) {
        return Err(CheckpointError::Version(version));
    }
    if u32::from_le_bytes(first(field(14)?)?) != crc32fast::hash(body) {
        return Err(CheckpointError::Damaged);
    }
    Ok(body)
}

fn first<const N: usize>(bytes: &[u8]) -> Result<[u8; N], CheckpointError> {
    bytes.first_chunk().copied().ok_or(CheckpointError::Malformed)
}
