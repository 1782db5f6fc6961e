//! What is written: trades of now, of all symbols in turn, and a bar of each.

use super::{BATCH_ROWS, NUM_SYMBOLS};
use tickwire::actors::messages::LiveTick;
use tickwire::clock::{Clock, SystemClock};
use tickwire::models::bar::{Bar, BarOrigin, BarState};
use tickwire::models::effect::Effect;
use tickwire::models::entry::{Body, Entry, SourceId, Trade, TradeId, Updates};
use tickwire::models::num::{Price, Size};
use tickwire::models::symbol::SymbolId;
use tickwire::models::time::{MINUTE, Nanos, Width};

fn price(mixed: u64) -> Price {
    Price(100_000_000_000 + (mixed >> 50) as i64 * 10_000_000)
}

fn size(mixed: u64) -> Size {
    Size(((mixed >> 30) as i64 % 500 + 1) * 100_000_000)
}

/// Trades as the log has them, the positions after `after`.
pub fn entries(after: u64, num: usize) -> Vec<Entry> {
    let begin = SystemClock.now();
    let entry = |pos: u64| {
        let mixed = pos.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let ts = begin.plus((pos - after) as i64 * 1_000);
        let trade = Trade {
            ts,
            received: ts.plus(1_500_000 + (mixed >> 44) as i64),
            price: price(mixed),
            size: size(mixed),
            seq: 0,
            id: TradeId::number(pos),
            source: SourceId(0),
            updates: Updates::ALL,
        };
        Entry { pos, symbol: SymbolId((mixed >> 40) as u32 % NUM_SYMBOLS), body: Body::Trade(trade) }
    };
    (after + 1..=after + num as u64).map(entry).collect()
}

/// Trades as best-effort sinks get them.
pub fn ticks(nth: usize) -> Vec<LiveTick> {
    let begin = SystemClock.now();
    let tick = |at: usize| {
        let seq = (nth * BATCH_ROWS + at) as u64;
        let mixed = seq.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let ts = begin.plus(at as i64 * 1_000);
        LiveTick {
            symbol: SymbolId(at as u32 % NUM_SYMBOLS),
            ts,
            received: ts,
            price: price(mixed),
            size: size(mixed),
            seq,
            log_pos: seq,
        }
    };
    (0..BATCH_ROWS).map(tick).collect()
}

/// The newest bar of a symbol.
pub fn bar(symbol: u32) -> Effect {
    Effect::Bar(Bar {
        symbol: SymbolId(symbol),
        width: Width::parse("1min").expect("a width"),
        start: Nanos(30_000_000 * MINUTE),
        open: Price(100_000_000_000),
        high: Price(101_230_000_000),
        low: Price(99_870_000_000),
        close: Price(100_550_000_000),
        volume: 12_345_000_000,
        vwap: Some(100_432_100_000),
        trade_count: 321,
        state: BarState::Closed,
        revision: 0,
        coverage: 1.0,
        late: 0,
        duplicates: 0,
        cancelled: 0,
        origin: BarOrigin::Trades,
        seq: 1,
        log_pos: 1,
    })
}
