//! What a fake venue trades: made up, or recorded, numbers as text.
//!
//! A market knows nothing of a venue. Trades are in their order; a symbol's ids are consecutive, so that each venue can
//! make its own kind of id of them.

use std::collections::BTreeMap;

/// Nanoseconds of a second.
pub const SECOND: i64 = 1_000_000_000;

/// 2023-11-14T22:15:00Z: a whole quarter of an hour.
const START: i64 = 1_700_000_100 * SECOND;

/// One trade of the market.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarketTrade {
    /// In our spelling.
    pub symbol: String,
    /// Consecutive for each symbol.
    pub id: u64,
    /// Nanoseconds since 1970, UTC.
    pub ts: i64,
    /// Decimal text.
    pub price: String,
    /// Decimal text.
    pub size: String,
}

/// Makes up a market of two symbols over half a second a trade, the same each time.
pub fn made(symbols: [&str; 2], num_trades: usize) -> Vec<MarketTrade> {
    let (mut ids, mut state) = ([463_751_000_u64, 91_000], 88_172_645_463_325_252_u64);
    let mut draw = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut ts = START + 3 * SECOND / 2;
    (0..num_trades)
        .map(|_| {
            let at = usize::from(draw(3) == 0);
            // Some trades share a microsecond: then their ids decide which one is the last.
            ts += i64::try_from(draw(4).min(1) * draw(1_400_000)).unwrap() * 1_000;
            ids[at] += 1;
            let cents = if at == 0 { 6_890_000 + draw(9_000) } else { 230_000 + draw(900) };
            let size = draw(400_000_000) + 1;
            MarketTrade {
                symbol: symbols[at].to_owned(),
                id: ids[at],
                ts,
                price: format!("{}.{:02}", cents / 100, cents % 100),
                size: format!("{}.{:08}", size / 100_000_000, size % 100_000_000),
            }
        })
        .collect()
}

/// What a venue's wire form can carry.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// Nanoseconds to which times are cut.
    pub precision: i64,
    /// Trades of a symbol never share a time: for venues without ids, whose trades could not be told apart otherwise.
    pub has_unique_times: bool,
    /// Sizes are whole numbers.
    pub has_whole_sizes: bool,
}

/// Returns a market as a venue can say it.
pub fn formed(mut trades: Vec<MarketTrade>, form: Form) -> Vec<MarketTrade> {
    let mut last: BTreeMap<String, i64> = BTreeMap::new();
    for trade in &mut trades {
        trade.ts -= trade.ts.rem_euclid(form.precision);
        if form.has_unique_times {
            let last = last.entry(trade.symbol.clone()).or_insert(i64::MIN);
            trade.ts = trade.ts.max(last.saturating_add(form.precision));
            *last = trade.ts;
        }
        if form.has_whole_sizes {
            let whole = trade.size.split('.').next().unwrap_or_default();
            trade.size = if whole.trim_matches('0').is_empty() { "1".to_owned() } else { whole.to_owned() };
        }
    }
    trades.sort_by_key(|trade| trade.ts);
    trades
}

/// Writes a time in RFC 3339 with so many digits behind the second.
pub fn rfc3339(ts: i64, digits: usize) -> String {
    let time = chrono::DateTime::from_timestamp_nanos(ts);
    let fraction = format!("{:09}", ts.rem_euclid(SECOND));
    let point = if digits > 0 { "." } else { "" };
    format!("{}{point}{}Z", time.format("%Y-%m-%dT%H:%M:%S"), &fraction[..digits])
}

/// A bar that is worked out from the trades, apart from the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarketBar {
    /// Nanoseconds since 1970, UTC.
    pub start: i64,
    pub open: String,
    pub high: String,
    pub low: String,
    pub close: String,
    pub volume: String,
    /// To nine decimals.
    pub vwap: String,
    pub num_trades: u64,
}

/// Decimals that sums are made with.
const DECIMALS: usize = 9;

/// Reads decimal text into billionths.
fn billionths(text: &str) -> i128 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{fraction:0<DECIMALS$}").parse().expect("a market's numbers have nine decimals at most")
}

fn decimal(billionths: i128) -> String {
    let digits = format!("{billionths:010}");
    let (whole, fraction) = digits.split_at(digits.len() - DECIMALS);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

/// Works out the bars of one symbol's trades, which are in order.
pub fn bars<'a>(trades: impl Iterator<Item = &'a MarketTrade>, width: i64) -> Vec<MarketBar> {
    let mut by_start: BTreeMap<i64, Vec<&MarketTrade>> = BTreeMap::new();
    for trade in trades {
        by_start.entry(trade.ts - trade.ts.rem_euclid(width)).or_default().push(trade);
    }
    let bar = |(start, trades): (i64, Vec<&MarketTrade>)| {
        let prices = || trades.iter().map(|trade| billionths(&trade.price));
        let sizes = || trades.iter().map(|trade| billionths(&trade.size));
        let volume: i128 = sizes().sum();
        let notional: i128 = prices().zip(sizes()).map(|(price, size)| price * size).sum();
        MarketBar {
            start,
            open: trades[0].price.clone(),
            high: decimal(prices().max().expect("a bar has trades")),
            low: decimal(prices().min().expect("a bar has trades")),
            close: trades[trades.len() - 1].price.clone(),
            volume: decimal(volume),
            vwap: decimal(notional / volume),
            num_trades: trades.len() as u64,
        }
    };
    by_start.into_iter().map(bar).collect()
}

#[test]
fn bars_and_times_are_what_anybody_would_work_out() {
    let trade = |ts, price: &str, size: &str| MarketTrade {
        symbol: "X".to_owned(),
        id: 1,
        ts,
        price: price.to_owned(),
        size: size.to_owned(),
    };
    let trades = [trade(1, "10.5", "1"), trade(2, "9", "0.5"), trade(59, "10", "1.5"), trade(61, "11", "2")];
    let bars = bars(trades.iter(), 60);
    assert_eq!(bars.len(), 2);
    let found = [&bars[0].open, &bars[0].high, &bars[0].low, &bars[0].close, &bars[0].volume, &bars[0].vwap];
    assert_eq!(found, ["10.5", "10.5", "9", "10", "3", "10"]);
    assert_eq!((bars[1].start, bars[1].num_trades), (60, 1));
    assert_eq!(rfc3339(1_700_000_100 * SECOND + 28_459_000, 6), "2023-11-14T22:15:00.028459Z");
    assert_eq!(rfc3339(-1, 0), "1969-12-31T23:59:59Z");
}
