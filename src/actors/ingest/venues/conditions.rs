//! What the sale conditions of a stock's trade let it count for, by the rules of the consolidated tape: codes are those of
//! Polygon, which Finage seems to pass on.
//!
//! A trade with several conditions may change a value only if every one of them allows it; one without any counts for
//! everything, and so does a condition that has no rule. Off-hours trades (Form T) make prices outside the regular
//! session only, as in Polygon's own minute bars, and nowhere if the user wants no extended hours.
//!
//! Promises: the same conditions and the same time give the same answer, on the stream and over REST. Codes that the
//! table lacks, and rows of it that no source confirms, are counted for whoever wants to look into them.
//!
//! Source: the reference data of Polygon (`/v3/reference/conditions`) and knowledge base, as of November 2025.

use super::eastern;
use crate::models::entry::Updates;
use crate::models::time::Nanos;

/// Off-hours trade.
const FORM_T: u16 = 12;

/// Counts for everything.
const ALL: u8 = Updates::ALL.bits();
/// Counts for high, low and volume: it must not set open or close.
const NOT_LAST: u8 = 1 | VOLUME;
/// Counts for volume alone.
const VOLUME: u8 = 4;
/// Counts for prices alone: its volume was printed before.
const PRICES: u8 = 1 | 2;
/// Counts for nothing.
const NONE: u8 = Updates::NONE.bits();

/// The rule of a condition, and whether it is known.
#[derive(Clone, Copy)]
enum Rule {
    /// As the venue documents it.
    Known(u8),
    /// As it is most likely: no source confirms it.
    Likely(u8),
    /// The table has none.
    Unknown,
}

use Rule::{Known, Likely, Unknown};

/// The rules by code.
const RULES: [Rule; 55] = [
    Known(ALL),       // 0 regular sale
    Known(ALL),       // 1 acquisition
    Known(VOLUME),    // 2 average price
    Known(ALL),       // 3 automatic execution
    Known(ALL),       // 4 bunched
    Known(NOT_LAST),  // 5 bunched, sold
    Unknown,          // 6
    Known(VOLUME),    // 7 cash sale
    Known(ALL),       // 8 closing prints
    Known(ALL),       // 9 cross
    Known(NOT_LAST),  // 10 derivatively priced
    Known(ALL),       // 11 distribution
    Known(VOLUME),    // 12 Form T, in regular hours
    Known(VOLUME),    // 13 extended hours, sold out of sequence
    Known(ALL),       // 14 intermarket sweep
    Known(NONE),      // 15 market center official close
    Known(NONE),      // 16 market center official open
    Likely(ALL),      // 17 market center opening trade
    Likely(ALL),      // 18 market center reopening trade
    Likely(ALL),      // 19 market center closing trade
    Known(VOLUME),    // 20 next day
    Known(VOLUME),    // 21 price variation
    Known(NOT_LAST),  // 22 prior reference price
    Known(ALL),       // 23 rule 155
    Unknown,          // 24
    Known(ALL),       // 25 opening prints
    Unknown,          // 26
    Known(ALL),       // 27 stopped stock
    Known(ALL),       // 28 re-opening prints
    Likely(NOT_LAST), // 29 seller
    Known(ALL),       // 30 sold last
    Unknown,          // 31
    Likely(NOT_LAST), // 32 sold
    Known(NOT_LAST),  // 33 sold out of sequence
    Known(ALL),       // 34 split trade
    Unknown,          // 35
    Known(ALL),       // 36 yellow flag
    Known(VOLUME),    // 37 odd lot
    Known(PRICES),    // 38 corrected consolidated close
    Unknown,          // 39
    Unknown,          // 40
    Known(ALL),       // 41 trade-through exempt, which has no rule
    Unknown,          // 42
    Unknown,          // 43
    Likely(NONE),     // 44 cancelled
    Likely(NONE),     // 45 recovery
    Likely(NONE),     // 46 correction
    Likely(NONE),     // 47 as of
    Likely(NONE),     // 48 as of, correction
    Likely(NONE),     // 49 as of, cancelled
    Unknown,          // 50
    Unknown,          // 51
    Known(VOLUME),    // 52 contingent
    Known(VOLUME),    // 53 qualified contingent
    Likely(NONE),     // 54 errored
];

/// Trades whose conditions the table does not settle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Unsettled {
    /// Trades with a code that the table lacks.
    pub unknown: u64,
    /// Trades with a code whose rule no source confirms.
    pub unconfirmed: u64,
}

/// Returns what a trade counts for. `conditions` is the array as it stands in a frame, `[12,37]`; empty where there is none.
pub(super) fn updates(
    conditions: &str,
    time: Nanos,
    has_extended_hours: bool,
    unsettled: &mut Unsettled,
) -> Updates {
    let (mut bits, mut is_unknown, mut is_unconfirmed) = (ALL, false, false);
    for code in codes(conditions) {
        let rule = match RULES.get(usize::from(code)) {
            Some(_) if code == FORM_T && has_extended_hours && !eastern::is_regular_hours(time) => Known(ALL),
            Some(rule) => *rule,
            None => Unknown,
        };
        match rule {
            Known(allowed) => bits &= allowed,
            Likely(allowed) => (bits, is_unconfirmed) = (bits & allowed, true),
            Unknown => is_unknown = true,
        }
    }
    unsettled.unknown += u64::from(is_unknown);
    unsettled.unconfirmed += u64::from(is_unconfirmed);
    Updates::from_bits(bits)
}

/// Returns the numbers of an array, or of one that stands alone. What is no number is a code that no table has.
fn codes(conditions: &str) -> impl Iterator<Item = u16> + '_ {
    let inner = conditions.trim_start_matches('[').trim_end_matches(']').as_bytes();
    inner.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|code| !code.is_empty()).map(|code| {
        let digit = |code: u16, byte: &u8| match byte {
            b'0'..=b'9' => code.checked_mul(10)?.checked_add(u16::from(byte - b'0')),
            _ => None,
        };
        code.iter().try_fold(0, digit).unwrap_or(u16::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 12:00 in New York.
    const NOON: Nanos = Nanos(1_788_883_200_000_000_000);
    /// 18:00 there.
    const EVENING: Nanos = Nanos(1_788_904_800_000_000_000);

    fn of(conditions: &str, time: Nanos) -> (&'static str, u64, u64) {
        let mut unsettled = Unsettled::default();
        let updates = updates(conditions, time, true, &mut unsettled);
        (updates.as_str(), unsettled.unknown, unsettled.unconfirmed)
    }

    #[test]
    fn every_row_has_its_rule() {
        let known = [
            ("hcv", &[0, 1, 3, 4, 8, 9, 11, 14, 23, 25, 27, 28, 30, 34, 36, 41][..]),
            ("hv", &[5, 10, 22, 33]),
            ("v", &[2, 7, 12, 13, 20, 21, 37, 52, 53]),
            ("hc", &[38]),
            ("-", &[15, 16]),
        ];
        let likely = [("hcv", &[17, 18, 19][..]), ("hv", &[29, 32]), ("-", &[44, 45, 46, 47, 48, 49, 54])];
        let unknown = [6, 24, 26, 31, 35, 39, 40, 42, 43, 50, 51, 55, 999];
        let mut num_rows = unknown.len() - 2;
        for (table, unconfirmed) in [(&known[..], 0), (&likely[..], 1)] {
            for (said, codes) in table {
                for code in *codes {
                    assert_eq!(of(&format!("[{code}]"), NOON), (*said, 0, unconfirmed), "{code}");
                    num_rows += 1;
                }
            }
        }
        for code in unknown {
            assert_eq!(of(&format!("[{code}]"), NOON), ("hcv", 1, 0), "{code}");
        }
        assert_eq!(num_rows, RULES.len());
    }

    #[test]
    fn every_condition_must_allow_it() {
        for (conditions, said) in [
            ("", ("hcv", 0, 0)),
            ("[]", ("hcv", 0, 0)),
            ("[14,41]", ("hcv", 0, 0)),
            ("[14, 37, 41]", ("v", 0, 0)),
            ("[10,38]", ("h", 0, 0)),
            ("[38,2]", ("-", 0, 0)),
            ("[777,29,778]", ("hv", 1, 1)),
            ("37", ("v", 0, 0)),
            ("[99999999,null,\"14\"]", ("hcv", 1, 0)),
        ] {
            assert_eq!(of(conditions, NOON), said, "{conditions}");
        }
    }

    #[test]
    fn off_hours_trades_make_prices_outside_the_session_where_they_are_wanted() {
        let without = |time| updates("[12]", time, false, &mut Unsettled::default()).as_str();
        assert_eq!((of("[12]", NOON).0, of("[12]", EVENING).0), ("v", "hcv"));
        assert_eq!(of("[12,37]", EVENING).0, "v", "an odd lot moves volume only at any hour");
        assert_eq!((without(NOON), without(EVENING)), ("v", "v"));
        assert_eq!(of("[13]", EVENING).0, "v");
    }
}
