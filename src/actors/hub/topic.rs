//! What a client can follow: a channel of a symbol, or of all symbols, and of a window where the channel has windows.

use crate::models::symbol::SymbolId;

/// What a topic carries. Where a name that users know stands for two kinds of frames that can be had apart, there are
/// two channels here: closed bars and forming ones, indicators and their previews.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Every accepted trade.
    Ticks,
    /// Whether the symbol's feed is alive; comes along with its ticks.
    Feed,
    /// Closed, amended and void bars.
    Bars,
    /// Bars in progress.
    Forming,
    /// Indicators of closed bars.
    Indicators,
    /// Indicators as they would be if the forming bar closed now.
    Previews,
    /// How fast the server is.
    Metrics,
}

impl Channel {
    /// Number of channels.
    pub const NUM: usize = Channel::Metrics as usize + 1;

    /// Returns the name that users know.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Channel::Ticks | Channel::Feed => "ticks",
            Channel::Bars | Channel::Forming => "bars",
            Channel::Indicators | Channel::Previews => "indicators",
            Channel::Metrics => "metrics",
        }
    }
}

/// One stream of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Topic {
    /// What it carries.
    pub channel: Channel,
    /// Of which symbol; [`SymbolId::NONE`] stands for all of them.
    pub symbol: SymbolId,
    /// Place of the window among the configured ones; 0 where the channel has no windows.
    pub window: u8,
}

impl Topic {
    /// Makes the topic of a channel without windows.
    #[must_use]
    pub const fn plain(channel: Channel, symbol: SymbolId) -> Topic {
        Topic { channel, symbol, window: 0 }
    }

    /// Returns the topic that carries the same of all symbols.
    #[must_use]
    pub const fn of_all(self) -> Topic {
        Topic { symbol: SymbolId::NONE, ..self }
    }

    /// True when it carries all symbols.
    #[must_use]
    pub const fn is_of_all(self) -> bool {
        self.symbol.0 == SymbolId::NONE.0
    }
}
