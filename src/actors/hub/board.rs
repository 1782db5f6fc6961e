//! What is now, of every symbol, as live clients have been told; and the bars settled lately, for those who come back.
//!
//! Promises: a bar or a tick that was told already is not told again; the numbers of a topic only grow. A client that
//! heard everything up to a number is given exactly what came after it, or is told that this cannot be done.

use crate::actors::messages::LiveTick;
use crate::models::bar::Bar;
use crate::models::effect::{Effect, IndicatorPoint};
use crate::models::entry::Position;
use crate::models::symbol::{SymbolId, SymbolSpec, SymbolTable};
use crate::models::time::Width;
use crate::models::view::SymbolView;
use std::collections::VecDeque;
use std::sync::Arc;

/// Bars and indicators kept for clients that come back, of all symbols together: some 15 MB. With 10,000 symbols it is
/// the last two minutes, with ten the last day; what is older is read from the history.
const NUM_SETTLED_MAX: usize = 50_000;

/// A bar or its indicators, as they were told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settled {
    /// Number of the bar on its topic; its indicators, and those that follow from it, have the same.
    pub seq: u64,
    /// What was told.
    pub effect: Effect,
}

/// One window width of a symbol.
#[derive(Clone, Debug, Default)]
pub struct WindowBoard {
    /// Number of the last bar that was told.
    pub seq: u64,
    /// The newest bar that is not void.
    pub closed: Option<Bar>,
    /// Its indicators.
    pub indicators: Option<IndicatorPoint>,
    /// State of the symbol's view whose forming bar was told last.
    pub formed_at: Position,
    /// Everything told with a number above `floor`.
    settled: VecDeque<Settled>,
    floor: u64,
    is_known: bool,
}

/// How a client that comes back can be served.
#[derive(Clone, Debug, PartialEq)]
pub enum Resumption {
    /// This is all it missed.
    Missed(Vec<Settled>),
    /// What it missed at first is in the history only: numbers up to this one.
    OlderUpTo(u64),
    /// It knows numbers that were never given: it heard what was lost, or of another log.
    Unknown,
}

impl WindowBoard {
    /// Takes over what the symbol's view shows, where nothing was told yet.
    fn begin(&mut self, view: &SymbolView, at: usize) {
        let Some(window) = view.windows.get(at).filter(|_| !self.is_known) else { return };
        self.is_known = true;
        self.seq = window.seq;
        self.floor = window.seq;
        self.closed = window.closed;
        self.indicators = window.indicators;
    }

    /// Returns what somebody missed who knows everything up to a number.
    #[must_use]
    pub fn resume(&self, known: u64) -> Resumption {
        if known > self.seq {
            return Resumption::Unknown;
        }
        if known < self.floor {
            return Resumption::OlderUpTo(self.floor);
        }
        let first = self.settled.partition_point(|settled| settled.seq <= known);
        Resumption::Missed(self.settled.range(first..).copied().collect())
    }
}

/// Everything about one symbol.
#[derive(Clone, Debug)]
pub struct SymbolBoard {
    /// What is fixed about it.
    pub spec: Arc<SymbolSpec>,
    /// The last tick that was told.
    pub tick: Option<LiveTick>,
    /// Number of the last tick that was there at the start: no crash before it took it back.
    pub tick_floor: u64,
    /// How its feed was when that was looked at last.
    pub feed: &'static str,
    /// Its windows, in the order of the configured widths.
    pub windows: Vec<WindowBoard>,
}

/// All symbols.
pub struct Board {
    table: Arc<SymbolTable>,
    widths: Vec<Width>,
    names: Vec<String>,
    symbols: Vec<Option<SymbolBoard>>,
    /// Windows in the order in which their bars were settled; where too many are kept, the first one forgets its oldest.
    order: VecDeque<(SymbolId, u8)>,
}

impl Board {
    /// Makes a board on which nothing was told.
    #[must_use]
    pub fn new(table: Arc<SymbolTable>, widths: &[Width]) -> Board {
        Board {
            table,
            widths: widths.to_vec(),
            names: widths.iter().map(ToString::to_string).collect(),
            symbols: Vec::new(),
            order: VecDeque::new(),
        }
    }

    /// Returns the name of a window by its place.
    #[must_use]
    pub fn window_name(&self, at: usize) -> &str {
        &self.names[at]
    }

    /// Returns the width of a window by its place.
    #[must_use]
    pub fn width(&self, at: usize) -> Width {
        self.widths[at]
    }

    /// Returns the number of windows.
    #[must_use]
    pub fn num_windows(&self) -> usize {
        self.widths.len()
    }

    /// Returns the symbol, if anything is known about it.
    #[must_use]
    pub fn get(&self, symbol: SymbolId) -> Option<&SymbolBoard> {
        self.symbols.get(symbol.index())?.as_ref()
    }

    /// Returns the symbol, making room for it where it is new.
    pub fn entry(&mut self, symbol: SymbolId) -> &mut SymbolBoard {
        let at = symbol.index();
        if self.symbols.len() <= at {
            self.symbols.resize(at + 1, None);
        }
        let (table, num_windows) = (&self.table, self.widths.len());
        self.symbols[at].get_or_insert_with(|| SymbolBoard {
            spec: table.spec(symbol),
            tick: None,
            tick_floor: 0,
            feed: "",
            windows: vec![WindowBoard::default(); num_windows],
        })
    }

    /// Takes over what a view shows, where nothing was told yet.
    pub fn begin(&mut self, view: &SymbolView) {
        let board = self.entry(view.symbol);
        board.tick_floor = view.last.as_ref().map_or(0, |last| last.seq);
        for (at, window) in board.windows.iter_mut().enumerate() {
            window.begin(view, at);
        }
    }

    /// Takes over the last tick that a view shows, if it is newer.
    pub fn refresh_tick(&mut self, view: &SymbolView) {
        let Some(last) = &view.last else { return };
        let board = self.entry(view.symbol);
        if board.tick.is_none_or(|tick| tick.seq < last.seq) {
            board.tick = Some(LiveTick {
                symbol: view.symbol,
                ts: last.ts,
                received: last.received,
                price: last.price,
                size: last.size,
                seq: last.seq,
            });
        }
    }

    /// Notes a tick. Returns how many before it were missed, or `None` when it was told already.
    pub fn note_tick(&mut self, tick: &LiveTick) -> Option<u64> {
        let board = self.entry(tick.symbol);
        let missed = match &board.tick {
            Some(last) if tick.seq <= last.seq => return None,
            Some(last) => tick.seq - last.seq - 1,
            None => 0,
        };
        board.tick = Some(*tick);
        Some(missed)
    }

    /// Notes a bar or indicators. Returns the window's place and the number they are told under; `None` for what is
    /// not told, or was already.
    pub fn settle(&mut self, effect: &Effect) -> Option<(usize, u64)> {
        let (symbol, width) = match effect {
            Effect::Bar(bar) => (bar.symbol, bar.width),
            Effect::Indicators(point) => (point.symbol, point.width),
            Effect::DeadLetter(_) => return None,
        };
        let at = self.widths.iter().position(|known| *known == width)?;
        let window = &mut self.entry(symbol).windows[at];
        match effect {
            Effect::Bar(bar) => {
                if !window.is_known {
                    window.is_known = true;
                    window.floor = bar.seq.saturating_sub(1);
                } else if bar.seq <= window.seq {
                    return None;
                }
                window.seq = bar.seq;
                window.note_bar(bar);
            }
            Effect::Indicators(point) => {
                let last = window.settled.back().map(|settled| settled.effect);
                // Indicators come behind the bar that they follow from; alone they were told already.
                if last.is_none_or(|last| last.log_pos() != point.log_pos) {
                    return None;
                }
                if window.closed.is_some_and(|bar| bar.start == point.start) {
                    window.indicators = Some(*point);
                }
            }
            Effect::DeadLetter(_) => return None,
        }
        let seq = window.seq;
        window.keep(effect);
        self.order.push_back((symbol, at as u8));
        if self.order.len() > NUM_SETTLED_MAX {
            self.forget_oldest();
        }
        Some((at, seq))
    }

    /// Notes a bar or indicators of the past: what is now, and that what led to it is in the history only. Returns the
    /// symbol and the window's place; `None` for what is not told, or was already.
    pub fn settle_past(&mut self, effect: &Effect) -> Option<(SymbolId, usize)> {
        let (symbol, width) = match effect {
            Effect::Bar(bar) => (bar.symbol, bar.width),
            Effect::Indicators(point) => (point.symbol, point.width),
            Effect::DeadLetter(_) => return None,
        };
        let at = self.widths.iter().position(|known| *known == width)?;
        let window = &mut self.entry(symbol).windows[at];
        match effect {
            Effect::Bar(bar) if !window.is_known || bar.seq > window.seq => {
                window.is_known = true;
                window.seq = bar.seq;
                window.floor = bar.seq;
                window.note_bar(bar);
            }
            Effect::Indicators(point) if window.closed.is_some_and(|bar| bar.start == point.start) => {
                window.indicators = Some(*point);
            }
            _ => return None,
        }
        Some((symbol, at))
    }

    fn forget_oldest(&mut self) {
        let Some((symbol, at)) = self.order.pop_front() else { return };
        let window = &mut self.entry(symbol).windows[usize::from(at)];
        if let Some(gone) = window.settled.pop_front() {
            // With one of a number gone the others of that number are not all of it any more.
            window.floor = window.floor.max(gone.seq);
            if window.settled.is_empty() {
                window.settled.shrink_to_fit();
            }
        }
    }
}

impl WindowBoard {
    /// Keeps what was told. Of many thousand windows most hold one or two, so room grows from one and not from four.
    fn keep(&mut self, effect: &Effect) {
        if self.settled.len() == self.settled.capacity() {
            self.settled.reserve_exact(self.settled.len().max(1));
        }
        self.settled.push_back(Settled { seq: self.seq, effect: *effect });
    }

    fn note_bar(&mut self, bar: &Bar) {
        use crate::models::bar::BarState;
        match (bar.state, &self.closed) {
            (BarState::Void, Some(closed)) if closed.start == bar.start => {
                self.closed = None;
                self.indicators = None;
            }
            (BarState::Void, _) => {}
            (_, Some(closed)) if closed.start > bar.start => {}
            _ => self.closed = Some(*bar),
        }
    }
}
