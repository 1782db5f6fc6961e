//! Topics: a channel of one symbol or of all symbols, and of one window where the channel has windows. Plain values;
//! nothing here fails.

use crate::models::symbol::SymbolId;

/// The kind of frames that a topic carries. Where a channel of the contract has two kinds that can be followed
/// separately, there are two channels here: closed bars and forming ones, indicators and their previews.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Every accepted trade.
    Ticks,
    /// Changes of the state of the symbol's feed; comes with its ticks.
    Feed,
    /// Closed, amended and void bars.
    Bars,
    /// Bars in progress.
    Forming,
    /// Indicators of closed bars.
    Indicators,
    /// Indicators of forming bars, as if they closed now.
    Previews,
    /// Anomalies.
    Anomalies,
    /// The server's own figures.
    Metrics,
    /// What became of the reports of a symbol.
    Ledger,
    /// The state of the server as a whole.
    System,
}

impl Channel {
    /// Number of channels.
    pub const NUM: usize = Channel::System as usize + 1;

    /// Returns the name in the contract.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Channel::Ticks | Channel::Feed => "ticks",
            Channel::Bars | Channel::Forming => "bars",
            Channel::Indicators | Channel::Previews => "indicators",
            Channel::Anomalies => "anomalies",
            Channel::Metrics => "metrics",
            Channel::Ledger => "ledger",
            Channel::System => "system",
        }
    }
}

/// One stream of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Topic {
    /// The kind of frames.
    pub channel: Channel,
    /// The symbol; [`SymbolId::NONE`] stands for all symbols.
    pub symbol: SymbolId,
    /// Index of the window among the configured widths; 0 where the channel has no windows.
    pub window: u8,
}

impl Topic {
    /// Makes the topic of a channel without windows.
    #[must_use]
    pub const fn plain(channel: Channel, symbol: SymbolId) -> Topic {
        Topic { channel, symbol, window: 0 }
    }

    /// Returns the same topic of all symbols.
    #[must_use]
    pub const fn of_all(self) -> Topic {
        Topic { symbol: SymbolId::NONE, ..self }
    }

    /// True for a topic of all symbols.
    #[must_use]
    pub const fn is_of_all(self) -> bool {
        self.symbol.0 == SymbolId::NONE.0
    }
}
