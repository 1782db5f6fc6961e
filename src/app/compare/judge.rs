//! Two bars of one window: whether they are equal, and what is the likely reason where they are not.
//!
//! A bar of ours says what happened to it: how many trades came after its close, how many repeats were set aside, how many trades
//! were taken out, and whether its source was whole. So most reasons can be told from the bars alone; what cannot is said to be
//! unexplained. Nothing here fails.

use serde::Serialize;

/// Prices, volumes and means closer than this share of their size are equal: the former system counts in floating point.
const TOLERANCE: f64 = 1e-9;

/// What a bar says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Values {
    /// First price.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
    /// Sum of sizes.
    pub volume: f64,
    /// Volume-weighted mean price, where it is given.
    pub vwap: Option<f64>,
    /// Number of trades, where it is given.
    pub trade_count: Option<u64>,
}

/// A bar of ours.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ours {
    /// What it says.
    pub values: Values,
    /// Trades that came after the close and still counted.
    pub late: u64,
    /// Repeats that were set aside.
    pub duplicates: u64,
    /// Trades that were taken out.
    pub cancelled: u64,
    /// Share of the window in which the source was whole.
    pub coverage: f64,
}

/// What two bars of a window are to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// They say the same.
    Equal,
    /// Only we have one.
    OnlyOurs,
    /// Only they have one.
    OnlyTheirs,
    /// Ours has trades that came after its close: the other one was written without them.
    LateTrades,
    /// Theirs has trades twice that ours has once.
    Duplicates,
    /// Theirs has trades that were taken out of ours.
    Cancelled,
    /// Trades at the edge of the window are in the one before or behind it.
    WindowEdge,
    /// The same trades, but another one is the first or the last: ours goes by event time, not by arrival.
    Order,
    /// The same trades, some of which make no price in ours: their sale conditions say so.
    SaleConditions,
    /// Our source was not whole in this window.
    Gap,
    /// Theirs has trades that do not count in ours, and nothing in ours says why.
    MissingHere,
    /// Ours has trades that theirs lacks, none of which came after our close.
    MissingThere,
    /// Nothing that the bars say explains it.
    Unexplained,
}

impl Verdict {
    /// Every one of them, in the order of a report.
    pub const ALL: [Verdict; 13] = [
        Verdict::Equal,
        Verdict::OnlyOurs,
        Verdict::OnlyTheirs,
        Verdict::LateTrades,
        Verdict::Duplicates,
        Verdict::Cancelled,
        Verdict::WindowEdge,
        Verdict::Order,
        Verdict::SaleConditions,
        Verdict::Gap,
        Verdict::MissingHere,
        Verdict::MissingThere,
        Verdict::Unexplained,
    ];

    /// Returns the word for it in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Equal => "equal",
            Verdict::OnlyOurs => "only_ours",
            Verdict::OnlyTheirs => "only_theirs",
            Verdict::LateTrades => "late_trades",
            Verdict::Duplicates => "duplicates",
            Verdict::Cancelled => "cancelled",
            Verdict::WindowEdge => "window_edge",
            Verdict::Order => "order",
            Verdict::SaleConditions => "sale_conditions",
            Verdict::Gap => "gap",
            Verdict::MissingHere => "missing_here",
            Verdict::MissingThere => "missing_there",
            Verdict::Unexplained => "unexplained",
        }
    }

    /// Returns what it means, for people.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Verdict::Equal => "both say the same",
            Verdict::OnlyOurs => "the other system has no bar of the window",
            Verdict::OnlyTheirs => "there is no bar of the window here",
            Verdict::LateTrades => "trades came after the close; here they count, and the bar was amended",
            Verdict::Duplicates => "trades that came twice count twice there, and once here",
            Verdict::Cancelled => "trades that were taken back still count there",
            Verdict::WindowEdge => "trades at the edge of a window are in its neighbour there",
            Verdict::Order => {
                "the same trades; the first and the last go by event time here, by arrival there"
            }
            Verdict::SaleConditions => {
                "the same trades; some whose sale condition makes no price here make one there"
            }
            Verdict::Gap => "the source was not whole in the window here",
            Verdict::MissingHere => {
                "trades count there that do not here: left out by their sale conditions, refused (`tickwire dlq ls`), or never received"
            }
            Verdict::MissingThere => {
                "trades count here that are missing there: lost, or too late for its earlier close"
            }
            Verdict::Unexplained => "nothing that the bars say explains it",
        }
    }
}

/// Ours less theirs, as far as both are known, of a window beside the one that is judged.
pub type Excess = Option<(i128, f64)>;

/// Returns how many trades and how much volume ours has more.
#[must_use]
pub fn excess(ours: &Values, theirs: &Values) -> Excess {
    let count = i128::from(ours.trade_count?) - i128::from(theirs.trade_count?);
    Some((count, ours.volume - theirs.volume))
}

/// Judges two bars of a window. `beside` are the excesses of the windows before and behind it.
#[must_use]
pub fn judge(ours: &Ours, theirs: &Values, beside: [Excess; 2]) -> Verdict {
    let values = &ours.values;
    let is_same = |of: fn(&Values) -> f64| is_near(of(values), of(theirs));
    let has_same_ends = is_same(|bar| bar.open) && is_same(|bar| bar.close);
    let has_same_range = is_same(|bar| bar.high) && is_same(|bar| bar.low);
    let has_same_volume =
        is_same(|bar| bar.volume) && is_known_same(values.trade_count, theirs.trade_count, |a, b| a == b);
    let has_same_mean =
        is_known_same(values.vwap, theirs.vwap, |a, b| (a - b).abs() <= 1e-6 * a.abs().max(1.0));
    if has_same_ends && has_same_range && has_same_volume && has_same_mean {
        return Verdict::Equal;
    }
    let more = excess(values, theirs);
    let count = more.map_or_else(|| sign_of(values.volume - theirs.volume), |(count, _)| count);
    let is_moved = |other: &Excess| match (more, other) {
        (Some((count, volume)), Some((other_count, other_volume))) => {
            count != 0 && count.signum() == -other_count.signum() && is_near(volume, -other_volume)
        }
        _ => false,
    };
    if beside.iter().any(is_moved) {
        Verdict::WindowEdge
    } else if has_same_range && has_same_volume && !has_same_ends {
        Verdict::Order
    } else if count > 0 && ours.late > 0 {
        Verdict::LateTrades
    } else if count < 0 && ours.duplicates > 0 {
        Verdict::Duplicates
    } else if count < 0 && ours.cancelled > 0 {
        Verdict::Cancelled
    } else if count < 0 && ours.coverage < 1.0 {
        Verdict::Gap
    } else if count < 0 {
        Verdict::MissingHere
    } else if count > 0 {
        Verdict::MissingThere
    } else if has_same_volume && !(has_same_ends && has_same_range) {
        Verdict::SaleConditions
    } else {
        Verdict::Unexplained
    }
}

fn sign_of(difference: f64) -> i128 {
    if difference > 0.0 { 1 } else { -i128::from(difference < 0.0) }
}

fn is_near(one: f64, other: f64) -> bool {
    (one - other).abs() <= TOLERANCE * one.abs().max(other.abs()).max(1.0)
}

/// True unless both are known and differ.
fn is_known_same<T: Copy>(one: Option<T>, other: Option<T>, same: impl Fn(T, T) -> bool) -> bool {
    one.zip(other).is_none_or(|(one, other)| same(one, other))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAR: Values = Values {
        open: 10.0,
        high: 12.0,
        low: 9.0,
        close: 11.0,
        volume: 100.0,
        vwap: Some(10.5),
        trade_count: Some(7),
    };

    fn ours() -> Ours {
        Ours { values: BAR, coverage: 1.0, ..Ours::default() }
    }

    fn theirs(trades: i64, volume: f64) -> Values {
        let trade_count = BAR.trade_count.map(|count| count.checked_add_signed(trades).expect("a count"));
        Values { volume: BAR.volume + volume, trade_count, ..BAR }
    }

    #[test]
    fn noise_of_floating_point_is_no_difference() {
        assert_eq!(judge(&ours(), &BAR, [None; 2]), Verdict::Equal);
        let noisy = Values { open: 10.000_000_000_1, vwap: Some(10.500_000_1), ..BAR };
        assert_eq!(judge(&ours(), &noisy, [None; 2]), Verdict::Equal);
        let poor = Values { vwap: None, trade_count: None, ..BAR };
        assert_eq!(judge(&ours(), &poor, [None; 2]), Verdict::Equal, "what they do not say does not differ");
    }

    #[test]
    fn each_difference_has_its_reason() {
        let none = [None; 2];
        let of = |change: &dyn Fn(&mut Ours)| {
            let mut ours = ours();
            change(&mut ours);
            ours
        };
        for (ours, theirs, beside, verdict) in [
            (of(&|bar| bar.late = 2), theirs(-2, -5.0), none, Verdict::LateTrades),
            (of(&|bar| bar.duplicates = 1), theirs(1, 5.0), none, Verdict::Duplicates),
            (of(&|bar| bar.cancelled = 1), theirs(1, 5.0), none, Verdict::Cancelled),
            (of(&|bar| bar.coverage = 0.5), theirs(3, 5.0), none, Verdict::Gap),
            (ours(), theirs(3, 5.0), none, Verdict::MissingHere),
            (ours(), theirs(0, 5.0), none, Verdict::Unexplained),
            (ours(), Values { vwap: Some(10.6), ..BAR }, none, Verdict::Unexplained),
            (ours(), Values { high: 15.0, ..BAR }, none, Verdict::SaleConditions),
            (ours(), theirs(1, 5.0), [None, Some((1, 5.0))], Verdict::WindowEdge),
            (ours(), theirs(-1, -5.0), [Some((-1, -5.0)), None], Verdict::WindowEdge),
            (ours(), Values { open: 10.5, ..BAR }, none, Verdict::Order),
            (ours(), theirs(-2, -5.0), none, Verdict::MissingThere),
        ] {
            assert_eq!(judge(&ours, &theirs, beside), verdict, "{ours:?} {theirs:?}");
        }
    }

    #[test]
    fn every_verdict_has_its_own_word() {
        for verdict in Verdict::ALL {
            assert_eq!(serde_json::to_value(verdict).expect("a word"), verdict.as_str());
        }
    }
}
