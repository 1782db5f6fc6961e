//! What was published last on each topic, and the bars settled lately, for clients that subscribe or resume.
//!
//! Promises: a bar or a tick that was published is not published again; the numbers of a topic only grow. A client that
//! got everything up to a number is given exactly what came after it, or learns that this cannot be done. Where numbers
//! were lost (a panic, or a log that took nothing for long) what came before them is read from the history.

use crate::actors::messages::LiveTick;
use crate::models::bar::Bar;
use crate::models::effect::{Effect, IndicatorPoint};
use crate::models::entry::Position;
use crate::models::snapshot::SymbolSnapshot;
use crate::models::symbol::{SymbolId, SymbolSpec};
use crate::models::time::Width;
use crate::names::SymbolTable;
use std::collections::VecDeque;
use std::sync::Arc;

/// Bars and indicators kept for clients that resume, of all symbols together: some 15 MB. With 10,000 symbols that is
/// the last two minutes, with ten the last day; older ones are read from the history.
const NUM_SETTLED_MAX: usize = 50_000;

/// A settled bar or its indicators, as published.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settled {
    /// Number of the bar on its topic; its indicators, and those that change because of it, have the same.
    pub seq: u64,
    /// The bar or the indicators.
    pub effect: Effect,
}

/// What was published last of one window width of a symbol.
#[derive(Clone, Debug, Default)]
pub struct WindowValues {
    /// Number of the last bar published.
    pub seq: u64,
    /// The newest bar that is not void.
    pub closed: Option<Bar>,
    /// The indicators of that bar.
    pub indicators: Option<IndicatorPoint>,
    /// Position of the snapshot whose forming bar was published last.
    pub formed_at: Position,
    /// Everything published with a number above `floor`.
    settled: VecDeque<Settled>,
    floor: u64,
    is_known: bool,
}

/// How a client that resumes can be served.
#[derive(Clone, Debug, PartialEq)]
pub enum Resumption {
    /// Everything that it missed.
    Missed(Vec<Settled>),
    /// The first of what it missed, up to this number, is in the history only.
    OlderUpTo(u64),
    /// It knows numbers that were never given: they were lost in a crash, or are of another log.
    Unknown,
}

impl WindowValues {
    /// Takes over the values of the symbol's snapshot, where nothing was published yet.
    fn begin(&mut self, snapshot: &SymbolSnapshot, at: usize) {
        let Some(window) = snapshot.windows.get(at).filter(|_| !self.is_known) else { return };
        self.is_known = true;
        self.seq = window.seq;
        self.floor = window.seq;
        self.closed = window.closed;
        self.indicators = window.indicators;
    }

    /// Returns what a client missed that knows everything up to a number.
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

/// What was published last of one symbol.
#[derive(Clone, Debug)]
pub struct SymbolValues {
    /// Its name and scales.
    pub spec: Arc<SymbolSpec>,
    /// The last tick published.
    pub tick: Option<LiveTick>,
    /// `tick` is of a snapshot that was read when clients began to follow ticks: those between it and the next one happened
    /// before, and nobody has missed them.
    pub begins_anew: bool,
    /// Number of the last tick that the log held at the start: a crash before it cannot have taken it back.
    pub tick_floor: u64,
    /// Number of the last anomaly published.
    pub anomaly_seq: u64,
    /// The state of its feed when last checked; empty before the first check.
    pub feed: &'static str,
    /// Its windows, in the order of the configured widths.
    pub windows: Vec<WindowValues>,
}

/// What was published last, of all symbols.
pub struct LastValues {
    table: Arc<SymbolTable>,
    widths: Vec<Width>,
    names: Vec<String>,
    symbols: Vec<Option<SymbolValues>>,
    /// The window of each settled value kept, oldest first: above the limit the first one drops its oldest.
    order: VecDeque<(SymbolId, u8)>,
}

impl LastValues {
    /// Makes the values of a process that has published nothing yet.
    #[must_use]
    pub fn new(table: Arc<SymbolTable>, widths: &[Width]) -> LastValues {
        LastValues {
            table,
            widths: widths.to_vec(),
            names: widths.iter().map(ToString::to_string).collect(),
            symbols: Vec::new(),
            order: VecDeque::new(),
        }
    }

    /// Returns the name of a window by its index among the configured widths.
    #[must_use]
    pub fn window_name(&self, at: usize) -> &str {
        &self.names[at]
    }

    /// Returns the width of a window by its index.
    #[must_use]
    pub fn width(&self, at: usize) -> Width {
        self.widths[at]
    }

    /// Returns the number of windows.
    #[must_use]
    pub fn num_windows(&self) -> usize {
        self.widths.len()
    }

    /// Returns the values of a symbol, if it has any.
    #[must_use]
    pub fn get(&self, symbol: SymbolId) -> Option<&SymbolValues> {
        self.symbols.get(symbol.index())?.as_ref()
    }

    /// Returns the values of a symbol, which are made where it is new.
    pub fn entry(&mut self, symbol: SymbolId) -> &mut SymbolValues {
        let at = symbol.index();
        if self.symbols.len() <= at {
            self.symbols.resize(at + 1, None);
        }
        let (table, num_windows) = (&self.table, self.widths.len());
        self.symbols[at].get_or_insert_with(|| SymbolValues {
            spec: table.spec(symbol),
            tick: None,
            begins_anew: false,
            tick_floor: 0,
            anomaly_seq: 0,
            feed: "",
            windows: vec![WindowValues::default(); num_windows],
        })
    }

    /// Takes over the values of a snapshot, where nothing was published yet.
    pub fn begin(&mut self, snapshot: &SymbolSnapshot) {
        let values = self.entry(snapshot.symbol);
        values.tick_floor = snapshot.last.as_ref().map_or(0, |last| last.seq);
        for (at, window) in values.windows.iter_mut().enumerate() {
            window.begin(snapshot, at);
        }
    }

    /// Takes over the last tick of a snapshot, if it is newer. To be called when clients begin to follow ticks.
    pub fn refresh_tick(&mut self, snapshot: &SymbolSnapshot) {
        let Some(last) = &snapshot.last else { return };
        let values = self.entry(snapshot.symbol);
        values.begins_anew = true;
        if values.tick.is_none_or(|tick| tick.seq < last.seq) {
            values.tick = Some(LiveTick {
                symbol: snapshot.symbol,
                ts: last.ts,
                received: last.received,
                price: last.price,
                size: last.size,
                seq: last.seq,
                log_pos: snapshot.pos,
            });
        }
    }

    /// Records a tick. Returns how many before it were missed, or `None` when it was published already.
    pub fn note_tick(&mut self, tick: &LiveTick) -> Option<u64> {
        let values = self.entry(tick.symbol);
        let missed = match &values.tick {
            Some(last) if tick.seq <= last.seq => return None,
            Some(_) if values.begins_anew => 0,
            Some(last) => tick.seq - last.seq - 1,
            None => 0,
        };
        values.tick = Some(*tick);
        values.begins_anew = false;
        Some(missed)
    }

    /// Returns the symbol and the window's index of a bar or of indicators; `None` for what is not published.
    fn window_of(&self, effect: &Effect) -> Option<(SymbolId, usize)> {
        let (symbol, width) = match effect {
            Effect::Bar(bar) => (bar.symbol, bar.width),
            Effect::Indicators(point) => (point.symbol, point.width),
            Effect::Anomaly(_) | Effect::DeadLetter(_) | Effect::Sealed(_) => return None,
        };
        Some((symbol, self.widths.iter().position(|known| *known == width)?))
    }

    /// Records a bar or indicators. Returns the window's index and the number they are published under; `None` for what
    /// is not published, or was already.
    pub fn settle(&mut self, effect: &Effect) -> Option<(usize, u64)> {
        let (symbol, at) = self.window_of(effect)?;
        let window = &mut self.entry(symbol).windows[at];
        match effect {
            Effect::Bar(bar) => {
                if !window.is_known {
                    window.is_known = true;
                    window.floor = bar.seq.saturating_sub(1);
                } else if bar.seq <= window.seq {
                    return None;
                } else if bar.seq > window.seq + 1 {
                    // Numbers between were lost here, but not in the history.
                    window.settled.clear();
                    window.floor = bar.seq - 1;
                }
                window.seq = bar.seq;
                window.note_bar(bar);
            }
            Effect::Indicators(point) => {
                let last = window.settled.back().map(|settled| settled.effect);
                // Indicators follow their bar; without it before them they were published already.
                if last.is_none_or(|last| last.log_pos() != point.log_pos) {
                    return None;
                }
                if window.closed.is_some_and(|bar| bar.start == point.start) {
                    window.indicators = Some(*point);
                }
            }
            Effect::Anomaly(_) | Effect::DeadLetter(_) | Effect::Sealed(_) => return None,
        }
        let seq = window.seq;
        window.keep(effect);
        self.order.push_back((symbol, at as u8));
        if self.order.len() > NUM_SETTLED_MAX {
            self.forget_oldest();
        }
        Some((at, seq))
    }

    /// Records a bar or indicators of a made-up past: the newest values, while what led to them is in the history only.
    /// Returns the symbol and the window's index; `None` for what is not published, or was already.
    pub fn settle_past(&mut self, effect: &Effect) -> Option<(SymbolId, usize)> {
        let (symbol, at) = self.window_of(effect)?;
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
            // A number of which one value is gone is incomplete, so the whole number counts as gone.
            window.floor = window.floor.max(gone.seq);
            if window.settled.is_empty() {
                window.settled.shrink_to_fit();
            }
        }
    }
}

impl WindowValues {
    /// Keeps what was published. Most of many thousand windows hold one or two values, so capacity grows from one.
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
