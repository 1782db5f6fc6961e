//! The stages of the data path, the spans on a tick's way that are timed, and the labels of both.
//!
//! Promises: plain values. Nothing here fails.

/// The stages of the data path, in the order in which data runs through them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Reads a venue or a file.
    Provider,
    /// Commits entries.
    Log,
    /// Sorts entries by symbol.
    Router,
    /// Hands effects on.
    Fanout,
    /// Commits effects.
    History,
    /// Serves live clients.
    Hub,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Stage; 6] =
        [Stage::Provider, Stage::Log, Stage::Router, Stage::Fanout, Stage::History, Stage::Hub];

    /// Returns the stage's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Stage::Provider => "provider",
            Stage::Log => "log",
            Stage::Router => "router",
            Stage::Fanout => "fanout",
            Stage::History => "history",
            Stage::Hub => "hub",
        }
    }
}

/// The intervals on a tick's way that are timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Span {
    /// From the event time to the moment this process received it.
    ExchangeToReceived,
    /// From its receipt to the moment it was parsed and checked and had its place in the log.
    ReceivedToLogged,
    /// From its receipt to the moment its effects (or its new forming bar) were published.
    ReceivedToBar,
    /// From its receipt to the moment the log held it durably.
    ReceivedToCommitted,
    /// From its receipt to the moment a history that keeps every tick had committed it.
    ReceivedToHistory,
    /// From its receipt to the moment its frame was written to the clients' sockets.
    ReceivedToSent,
    /// From the moment this process received what moved the watermark over a bar's end, to the moment the bar's frame
    /// was written to the clients' sockets.
    ReceivedToBarSent,
}

impl Span {
    /// Every span.
    pub const ALL: [Span; 7] = [
        Span::ExchangeToReceived,
        Span::ReceivedToLogged,
        Span::ReceivedToBar,
        Span::ReceivedToCommitted,
        Span::ReceivedToHistory,
        Span::ReceivedToSent,
        Span::ReceivedToBarSent,
    ];

    /// Returns the label `component` of the span.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Span::ExchangeToReceived => "exchange_to_received",
            Span::ReceivedToLogged => "received_to_logged",
            Span::ReceivedToBar => "received_to_bar",
            Span::ReceivedToCommitted => "received_to_committed",
            Span::ReceivedToHistory => "received_to_history",
            Span::ReceivedToSent => "received_to_sent",
            Span::ReceivedToBarSent => "received_to_bar_sent",
        }
    }
}
