//! Our bars beside bars that somebody else built from the same ticks, and every recording without residue.
//!
//! Stocks: the vendor's minute bars and the rule that gives them, as the data's own description states both. The rule is
//! expressed as what each trade [counts for](Updates); how many bars it explains is known, and no fewer may be ours.
//! Currencies: bars of the mid prices, computed here from the quotes.

use crate::support::outcome::{Outcome, log, run};
use crate::support::shared;
use std::collections::BTreeMap;
use std::sync::Arc;
use tickwire::models::bar::Bar;
use tickwire::models::entry::{Body, Trade, TradeId, Updates};
use tickwire::models::ledger::RejectReason;
use tickwire::models::num::{Price, Scale};
use tickwire::models::settings::CoreSettings;
use tickwire::models::time::{DAY, HOUR, MINUTE, Nanos, Width};

/// Trades of one symbol and its minute bars.
type MinuteBars = BTreeMap<Nanos, Bar>;

fn minute_bars(outcome: &Outcome) -> MinuteBars {
    let minute = Width::new(MINUTE).expect("divides a day");
    let bars = outcome.bars.values().filter(|bar| bar.width == minute);
    bars.map(|bar| (bar.start, *bar)).collect()
}

fn run_trades(trades: &[Trade]) -> Outcome {
    run(&log(trades.iter().copied().map(Body::Trade)), &Arc::new(CoreSettings::default()))
}

/// Bits of the vendor's conditions.
mod condition {
    pub const REGULAR: u32 = 0x1;
    pub const CLOSING_PRINT: u32 = 0x80;
    /// Official open and close: reports about prints that are in the stream already.
    pub const OFFICIAL: u32 = 0x0100_0000 | 0x0400_0000;
}

/// The regular session of a day of October 2013 in New York.
#[derive(Clone, Copy)]
struct Session {
    open: Nanos,
    close: Nanos,
}

impl Session {
    fn of(ts: Nanos) -> Session {
        let midnight = Nanos(ts.0 - ts.0.rem_euclid(DAY));
        Session { open: midnight.plus(13 * HOUR + 30 * MINUTE), close: midnight.plus(20 * HOUR) }
    }

    fn holds(self, ts: Nanos) -> bool {
        self.open <= ts && ts < self.close
    }
}

/// Ids from here on name the volume of a closing auction, which the vendor books a minute early. Rows count from 1.
const EARLY_VOLUME_IDS: u64 = 1_000_000_000;

/// Says what a row counts for: one trade, or two where its price and its volume count in different minutes.
fn by_the_vendors_rule(row: u64, trade: Trade, conditions: u32) -> Vec<Trade> {
    let session = Session::of(trade.ts);
    let updates = |text: &str| Updates::parse(text.as_bytes()).expect("valid");
    let official = conditions & condition::OFFICIAL != 0;
    let sets_prices = if session.holds(trade.ts) { conditions == condition::REGULAR } else { !official };
    let auction = conditions & condition::CLOSING_PRINT != 0 && !official;
    let own = match (sets_prices, !official && !auction) {
        (true, true) => "hcv",
        (true, false) => "hc",
        (false, true) => "v",
        (false, false) => "-",
    };
    let mut trades = vec![Trade { updates: updates(own), ..trade }];
    if auction {
        let (ts, id) = (session.close.plus(-1), TradeId::number(EARLY_VOLUME_IDS + row));
        trades.push(Trade { ts, id, updates: updates("v"), ..trade });
    }
    trades
}

/// Reads one day's trades with what they count for, by symbol.
fn flagged_trades(day: &str) -> Option<BTreeMap<String, Vec<Trade>>> {
    let rows = shared::open(&format!("eq_us_{day}_trades.csv.gz"))?;
    let flags = shared::open(&format!("eq_us_{day}_flags.csv.gz"))?;
    let mut by_symbol: BTreeMap<String, Vec<Trade>> = BTreeMap::new();
    for (at, (row, flags)) in (1..).zip(rows.zip(flags)) {
        assert_eq!((&row[1], &row[4]), (&flags[0], &flags[1]), "row {at} of both files is one trade");
        let conditions = u32::from_str_radix(&flags[3], 16).expect("conditions are hexadecimal");
        let counted = by_the_vendors_rule(at, shared::trade(&row), conditions);
        by_symbol.entry(row[1].clone()).or_default().extend(counted);
    }
    Some(by_symbol)
}

/// Agreement with the vendor: bars, then open, high, low, close, volume, and all five.
type Agreement = [u32; 7];

/// Compares with the vendor's minutes, by (symbol, in the regular session).
fn agreement(day: &str, ours: &BTreeMap<String, MinuteBars>) -> Option<BTreeMap<(String, bool), Agreement>> {
    let mut table: BTreeMap<(String, bool), Agreement> = BTreeMap::new();
    let mut theirs: BTreeMap<String, u32> = BTreeMap::new();
    for row in shared::open(&format!("eq_us_{day}_ref_minute.csv.gz"))? {
        let start = shared::nanos(&row[0]);
        let bar = ours.get(&row[1]).and_then(|bars| bars.get(&start));
        let prices = bar.map(|bar| [bar.open, bar.high, bar.low, bar.close]);
        let mut equal = [false; 5];
        for field in 0..4 {
            equal[field] = prices.map(|prices| prices[field]) == Some(shared::price(&row[2 + field]));
        }
        equal[4] = bar.map(|bar| bar.volume) == Some(i128::from(shared::size(&row[6]).0));
        let counts = table.entry((row[1].clone(), Session::of(start).holds(start))).or_default();
        counts[0] += 1;
        for (count, equal) in counts[1..6].iter_mut().zip(equal) {
            *count += u32::from(equal);
        }
        counts[6] += u32::from(equal == [true; 5]);
        *theirs.entry(row[1].clone()).or_default() += 1;
    }
    for (symbol, num_theirs) in theirs {
        assert_eq!(ours[&symbol].len() as u32, num_theirs, "{day} {symbol}: as many minutes have a bar");
    }
    Some(table)
}

fn assert_as_near_as_the_rule(day: &str, expected: &[(&str, bool, Agreement)]) {
    let Some(trades) = flagged_trades(day) else { return };
    let mut bars = BTreeMap::new();
    for (symbol, trades) in &trades {
        let outcome = run_trades(trades);
        assert_eq!(outcome.ledger.residue(), 0, "{day} {symbol}");
        assert_eq!(outcome.ledger.received, trades.len() as u64, "{day} {symbol}");
        assert_eq!((outcome.ledger.late, outcome.ledger.duplicate), (0, 0), "{day} {symbol}");
        bars.insert(symbol.clone(), minute_bars(&outcome));
    }
    let Some(table) = agreement(day, &bars) else { return };
    assert_eq!(table.len(), expected.len(), "{day}: symbols and sessions");
    for (symbol, regular, wanted) in expected {
        let found = table[&((*symbol).to_owned(), *regular)];
        println!("{day} {symbol} {}: {found:?}", if *regular { "regular" } else { "extended" });
        assert_eq!(found[0], wanted[0], "{day} {symbol}: number of the vendor's bars");
        let enough = found.iter().zip(wanted).all(|(found, wanted)| found >= wanted);
        assert!(enough, "{day} {symbol} regular {regular}: {found:?}, the rule explains {wanted:?}");
    }
}

#[test]
fn stock_minutes_equal_the_vendors_on_2013_10_07() {
    assert_as_near_as_the_rule(
        "20131007",
        &[
            ("BAC", true, [390, 388, 390, 389, 389, 389, 386]),
            ("BAC", false, [205, 205, 205, 205, 205, 205, 205]),
            ("IBM", true, [390, 389, 390, 389, 389, 390, 387]),
            ("IBM", false, [63, 63, 63, 63, 63, 63, 63]),
            ("SPY", true, [390, 390, 389, 381, 389, 388, 380]),
            ("SPY", false, [438, 438, 438, 438, 438, 438, 438]),
        ],
    );
}

#[test]
fn stock_minutes_equal_the_vendors_on_2013_10_08() {
    assert_as_near_as_the_rule(
        "20131008",
        &[
            ("BAC", true, [390, 389, 390, 390, 390, 389, 389]),
            ("BAC", false, [183, 183, 183, 183, 183, 183, 183]),
            ("IBM", true, [390, 390, 389, 389, 389, 389, 386]),
            ("IBM", false, [34, 34, 34, 34, 34, 34, 34]),
            ("SPY", true, [390, 389, 385, 389, 390, 388, 382]),
            ("SPY", false, [438, 438, 438, 438, 438, 438, 438]),
        ],
    );
}

/// Open, high, low, close, and how many quotes.
type Mids = ([Price; 4], u64);

/// Computes minute bars of the mid prices from the quotes file, by symbol.
fn mids_of_quotes() -> Option<BTreeMap<String, BTreeMap<Nanos, Mids>>> {
    let mut by_symbol: BTreeMap<String, BTreeMap<Nanos, Mids>> = BTreeMap::new();
    for row in shared::open("fx_fxcm_20140502_quotes.csv.gz")? {
        let ts = shared::nanos(&row[0]);
        let sum = shared::price(&row[2]).0 + shared::price(&row[3]).0;
        assert_eq!(sum % 2, 0, "nine decimals hold every mid exactly");
        let mid = Price(sum / 2);
        let minutes = by_symbol.entry(row[1].clone()).or_default();
        let (prices, count) = minutes.entry(Nanos(ts.0 - ts.0.rem_euclid(MINUTE))).or_insert(([mid; 4], 0));
        *prices = [prices[0], prices[1].max(mid), prices[2].min(mid), mid];
        *count += 1;
    }
    Some(by_symbol)
}

#[test]
fn currency_minutes_equal_those_of_the_quotes() {
    let Some(expected) = mids_of_quotes() else { return };
    let Some(trades) = shared::trades("fx_fxcm_20140502_mids.csv.gz") else { return };
    assert_eq!(trades.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (symbol, minutes) in expected {
        assert_eq!(minutes.len(), 958, "{symbol}: minutes that hold quotes");
        let bars = minute_bars(&run_trades(&trades[&symbol]));
        let ours: BTreeMap<Nanos, Mids> = bars
            .iter()
            .map(|(start, bar)| (*start, ([bar.open, bar.high, bar.low, bar.close], bar.trade_count)))
            .collect();
        assert!(ours == minutes, "{symbol}: our minutes differ from those of the quotes");
        let volume_is_count =
            |bar: &Bar| bar.volume == i128::from(bar.trade_count) * i128::from(Scale::SIZE.factor());
        assert!(bars.values().all(volume_is_count), "{symbol}: every mid has size 1");
    }
}

#[test]
fn no_recording_leaves_a_residue() {
    let files = [
        "crypto_binance_btcusdt_20210108_trades.csv.gz",
        "crypto_binance_xrpeth_20191011_trades.csv.gz",
        "crypto_coinbase_btcusd_20230905_trades.csv.gz",
        "eq_nasdaq_amzn_20120621_trades.csv.gz",
        "eq_taq_20140917_trades.csv.gz",
        "eq_taq_xxx_20180102_trades.csv.gz",
        "eq_us_20131007_trades.csv.gz",
        "fut_es_20231225_trades.csv.gz",
        "fut_gc_20131007_trades.csv.gz",
        "fx_fxcm_20140502_mids.csv.gz",
    ];
    for file in files {
        let Some(by_symbol) = shared::trades(file) else { continue };
        for (symbol, trades) in by_symbol {
            let ledger = run_trades(&trades).ledger;
            let num_empty = trades.iter().filter(|trade| trade.size.0 == 0).count() as u64;
            assert_eq!(ledger.received, trades.len() as u64, "{file} {symbol}");
            assert_eq!(ledger.residue(), 0, "{file} {symbol}: {ledger:?}");
            assert_eq!(ledger.rejected[RejectReason::BadSize as usize], num_empty, "{file} {symbol}");
            assert_eq!(ledger.in_bars, ledger.received - num_empty, "{file} {symbol}: {ledger:?}");
        }
    }
}
