//! What the core says to the world: the only output of [`super::state::SymbolState::apply`].

use super::bar::Bar;
use super::detection::Detected;
use super::entry::{Body, Position};
use super::indicators::IndicatorValues;
use super::ledger::RejectReason;
use super::num::Price;
use super::symbol::SymbolId;
use super::time::{Nanos, Width};
use serde::{Deserialize, Serialize};

/// The indicators of one window after its bar closed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct IndicatorPoint {
    /// The symbol.
    pub symbol: SymbolId,
    /// Width of the window.
    pub width: Width,
    /// Start of the window.
    pub start: Nanos,
    /// The close they step on.
    pub close: Price,
    /// The bar's volume-weighted mean price with 9 decimals.
    pub vwap: Option<i64>,
    /// The values.
    pub values: IndicatorValues,
    /// The last entry that changed them.
    pub log_pos: Position,
}

/// Why an entry changed no bar although it should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DeadReason {
    /// The smallest window that holds it was sealed.
    Late,
    /// Not accepted.
    Rejected(RejectReason),
}

impl DeadReason {
    /// Returns the word that answers use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            DeadReason::Late => "late",
            DeadReason::Rejected(reason) => reason.as_str(),
        }
    }
}

/// An entry that was set aside, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The entry's position.
    pub pos: Position,
    /// Its symbol.
    pub symbol: SymbolId,
    /// Why.
    pub reason: DeadReason,
    /// What it said.
    pub body: Body,
}

/// A bar that nothing can change any more.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SealedBar {
    /// The bar as it stays; its `log_pos` is that of the last entry that changed it.
    pub bar: Bar,
    /// The entry that moved the clock so far.
    pub pos: Position,
}

/// One effect. Its id is (log position of the entry that caused it, place among that entry's effects).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Effect {
    /// A bar closed, was amended or became void.
    Bar(Bar),
    /// Indicators of a closed bar are known, or changed because an earlier bar did. A void bar has none (any more).
    Indicators(IndicatorPoint),
    /// An anomaly was found, or is no longer what it was.
    Anomaly(Detected),
    /// An entry was set aside.
    DeadLetter(DeadLetter),
    /// A bar was sealed. Told only where [`CoreSettings::tells_seals`](super::settings::CoreSettings) says so; void bars
    /// are left out.
    Sealed(SealedBar),
}

impl Effect {
    /// Returns the position of the entry that caused it.
    #[must_use]
    pub const fn log_pos(&self) -> Position {
        match self {
            Effect::Bar(bar) => bar.log_pos,
            Effect::Indicators(point) => point.log_pos,
            Effect::Anomaly(anomaly) => anomaly.log_pos,
            Effect::DeadLetter(letter) => letter.pos,
            Effect::Sealed(sealed) => sealed.pos,
        }
    }
}
