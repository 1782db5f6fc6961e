//! Random histories of one symbol, made so that reports collide: few ids, few windows, few prices, three sources.

use super::START;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::fmt;
use std::sync::Arc;
use tickwire::models::entry::{
    Body, Cancel, Correction, Gap, Quote, SourceId, Trade, TradeId, Updates, VenueBar,
};
use tickwire::models::num::{Price, Size};
use tickwire::models::settings::CoreSettings;
use tickwire::models::time::{Nanos, SECOND, Width};

fn settings(
    widths: [i64; 3],
    lateness: i64,
    horizon: i64,
    gap_hold: i64,
    tolerance: i64,
) -> Arc<CoreSettings> {
    Arc::new(CoreSettings {
        lateness: lateness * SECOND,
        horizon: horizon * SECOND,
        gap_hold: gap_hold * SECOND,
        future_tolerance: tolerance * SECOND,
        widths: widths.map(|width| Width::new(width * SECOND).expect("divides a day")).to_vec(),
        detection: None,
        tells_seals: true,
    })
}

/// The settings under which histories run: quick ones, where much is sealed, and the usual ones, where little is.
pub fn settings_strategy() -> impl Strategy<Value = Arc<CoreSettings>> {
    select(vec![
        settings([1, 5, 15], 0, 3, 4, 1),
        settings([1, 5, 15], 1, 5, 10, 0),
        settings([1, 2, 10], 2, 0, 0, 1),
        settings([5, 10, 30], 2, 20, 10, 1),
        settings([60, 300, 900], 2, 300, 600, 1),
    ])
}

/// One step of a history: what happens, told by small numbers that [`body`] turns into an entry.
#[derive(Clone, Copy)]
pub struct Step {
    /// How far the clock of the history moves on, in tenths of the smallest width.
    pub pace: i64,
    /// How far the event lies from that clock, in tenths of the smallest width.
    pub offset: i64,
    pub kind: Kind,
    pub source: u16,
    pub id: u64,
    /// Another id: what a cancel or a correction takes out.
    pub target: u64,
    pub price: i64,
    pub size: i64,
    pub seq: u64,
    pub updates: Updates,
    pub stamped: bool,
    /// How far the received time, where there is one, lies from the clock of the history, in nanoseconds.
    pub drift: i64,
}

impl fmt::Debug for Step {
    /// Prints one line: a history is read from top to bottom.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Step { pace, offset, kind, source, id, target, price, size, seq, updates, stamped, drift } =
            *self;
        let received = if stamped { format!("received {drift:+}") } else { "unstamped".to_owned() };
        let updates = updates.as_str();
        write!(f, "+{pace} at {offset} {kind:?} source {source} id {id} target {target} ")?;
        write!(f, "{size} @ {price} seq {seq} {updates} {received}")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Trade,
    Cancel,
    Correction,
    Quote,
    VenueBar,
    Gap { filled: bool },
    HandOver,
    Mark { any: bool },
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        20 => Just(Kind::Trade),
        4 => Just(Kind::Cancel),
        3 => Just(Kind::Correction),
        1 => Just(Kind::Quote),
        2 => Just(Kind::VenueBar),
        1 => any::<bool>().prop_map(|filled| Kind::Gap { filled }),
        1 => Just(Kind::HandOver),
        3 => any::<bool>().prop_map(|any| Kind::Mark { any }),
    ]
}

/// Mostly near the clock, sometimes late, seldom very late, far ahead or out of range.
fn offset() -> impl Strategy<Value = i64> {
    prop_oneof![
        80 => -8..=3_i64,
        24 => -60..=0_i64,
        4 => -400..=0_i64,
        4 => 10..=2_000_i64,
        1 => select(vec![i64::MIN, i64::MAX]),
    ]
}

/// A received time is seldom wrong.
fn drift() -> impl Strategy<Value = i64> {
    prop_oneof![60 => Just(0), 1 => select(vec![i64::MIN, i64::MAX, -40 * SECOND, 40 * SECOND])]
}

fn updates() -> impl Strategy<Value = Updates> {
    let parse = |text: &'static str| Updates::parse(text.as_bytes()).expect("valid");
    prop_oneof![
        6 => Just(Updates::ALL),
        1 => select(vec!["h", "v", "hv", "hc", "-"]).prop_map(parse),
    ]
}

/// A small number, seldom one that no trade may have.
fn amount(limit: i64) -> impl Strategy<Value = i64> {
    prop_oneof![30 => 1..=limit, 1 => select(vec![0, -1, 1_i64 << 58, 1_i64 << 59])]
}

prop_compose! {
    fn step(num_ids: u64)(
        pace in prop_oneof![4 => 0..=4_i64, 2 => 0..=15_i64, 1 => 0..=60_i64],
        offset in offset(),
        kind in kind(),
        source in prop_oneof![8 => Just(0_u16), 2 => Just(1), 1 => Just(2)],
        id in 1..=num_ids,
        target in 1..=num_ids,
        price in amount(9),
        size in amount(5),
        seq in prop_oneof![4 => Just(0_u64), 1 => 1..=2_u64],
        updates in updates(),
        stamped in any::<bool>(),
        drift in drift(),
    ) -> Step {
        Step { pace, offset, kind, source, id, target, price, size, seq, updates, stamped, drift }
    }
}

/// A step that moves on, of a trade that nothing else names.
fn calm_step() -> impl Strategy<Value = Step> {
    (step(10_000), 4..14_i64).prop_map(|(step, pace)| Step { pace, price: step.price.clamp(1, 9), ..step })
}

/// A step of a file whose time is wrong by much, or not at all.
fn wrong_step() -> impl Strategy<Value = Step> {
    let offset = prop_oneof![2 => 10..=2_000_i64, 2 => 1_990..=2_000_i64, 1 => -400..=0_i64, 3 => Just(0)];
    (step(60), offset).prop_map(|(step, offset)| Step {
        offset,
        stamped: false,
        price: step.price.clamp(1, 9),
        ..step
    })
}

/// A history that begins with wrong times, and in which they come again.
fn wrong_steps() -> impl Strategy<Value = Vec<Step>> {
    let unstamped = |step: Step| Step { stamped: false, ..step };
    let later = prop_oneof![4 => step(60).prop_map(unstamped), 1 => wrong_step()];
    (vec(wrong_step(), 1..4), vec(later, 1..50)).prop_map(|(first, later)| [first, later].concat())
}

/// A history: its steps, in order of arrival.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop_oneof![
        vec(step(4), 1..25),
        vec(step(12), 1..60),
        vec(step(60), 1..90),
        vec(calm_step(), 1..50),
        wrong_steps(),
    ]
}

/// A history of many bars and few surprises, long enough to warm every indicator but the longest average.
pub fn long_steps() -> impl Strategy<Value = Vec<Step>> {
    vec(calm_step(), 1..160)
}

/// Turns the steps into what stands in the log.
pub fn bodies(steps: &[Step], settings: &CoreSettings) -> Vec<Body> {
    let unit = settings.base().nanos() / 10;
    let mut now = START;
    steps
        .iter()
        .map(|step| {
            now = now.plus(step.pace * unit);
            body(step, now, unit, settings)
        })
        .collect()
}

/// A price near the small number, so that sums of few trades round and indicators are of the size of one.
fn price(step: &Step) -> Price {
    Price(if (1..=9).contains(&step.price) { step.price * 250_000_003 } else { step.price })
}

fn body(step: &Step, now: Nanos, unit: i64, settings: &CoreSettings) -> Body {
    let ts = now.plus(step.offset.saturating_mul(unit));
    let received = if step.stamped { now.plus(step.drift) } else { Nanos::MIN };
    let source = SourceId(step.source);
    let trade = Trade {
        ts,
        received,
        price: price(step),
        size: Size(step.size),
        seq: step.seq,
        id: TradeId::number(step.id),
        source,
        updates: step.updates,
    };
    let target = TradeId::number(step.target);
    match step.kind {
        Kind::Trade => Body::Trade(trade),
        Kind::Cancel => Body::Cancel(Cancel { ts, received, target, source }),
        Kind::Correction => Body::Correction(Correction { target, trade }),
        Kind::Quote => {
            let (bid, ask, size) = (price(step), price(step), Size(step.size));
            Body::Quote(Quote { ts, received, bid, ask, bid_size: size, ask_size: size, source })
        }
        Kind::VenueBar => Body::VenueBar(venue_bar(step, ts, received, settings)),
        Kind::Gap { filled } => {
            let to = ts.plus(step.price.clamp(1, 9) * 4 * unit);
            let source = if step.stamped { SourceId::ANY } else { source };
            Body::Gap(Gap { source, from: ts, to, filled })
        }
        Kind::HandOver => Body::SourceInCharge { source, from: ts },
        Kind::Mark { any } => Body::ClockMark { source: if any { SourceId::ANY } else { source }, time: now },
    }
}

fn venue_bar(step: &Step, ts: Nanos, received: Nanos, settings: &CoreSettings) -> VenueBar {
    // A third is of larger widths, some are of one that no window has.
    let width = match step.id % 9 {
        0 => Width::new(3 * settings.base().nanos()).expect("divides a day"),
        1 | 2 => settings.widths[1],
        3 => settings.widths[2],
        _ => settings.base(),
    };
    VenueBar {
        start: width.start_of(ts),
        received,
        open: price(step),
        // Seldom one whose prices contradict each other, or whose mean price is negative.
        high: Price(price(step).0 - i64::from(step.target.is_multiple_of(11))),
        low: price(step),
        close: price(step),
        volume: Size(step.size.clamp(0, 9)),
        vwap: match step.target % 13 {
            0 => Price(-price(step).0),
            _ if step.stamped => price(step),
            _ => Price(0),
        },
        trade_count: 1,
        width_ms: u32::try_from(width.nanos() / 1_000_000).expect("less than 49 days"),
        source: SourceId(step.source),
    }
}
