//! The identity of a trade: its id, which is unique only together with the exchange, the reporting facility and the day.
//!
//! Promises: the stream and REST give the same trade the same identity, and two trades never share one as far as the venue
//! keeps its word. Ids of digits, as good as all, are packed without a copy.

use crate::models::entry::TradeId;
use crate::models::time::{DAY, HOUR, Nanos};
use std::fmt::Write;

/// Ids begin anew each day, and nothing is traded at this hour (UTC): 1:00 or 2:00 in New York.
const DAY_BEGINS: i64 = 6 * HOUR;

/// What identifies a trade, as the venue writes it; what it does not say is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Identity<'a> {
    /// The exchange.
    pub exchange: &'a str,
    /// The trade reporting facility of a trade off the exchanges.
    pub facility: &'a str,
    /// The id.
    pub id: &'a str,
}

impl Identity<'_> {
    /// Packs the identity of a trade of this time. `None` without an id.
    pub fn pack(&self, ts: Nanos) -> Option<TradeId> {
        if self.id.is_empty() {
            return None;
        }
        let day = ts.plus(-DAY_BEGINS).0.div_euclid(DAY);
        let facility = if self.facility.is_empty() { Some(0) } else { digits(self.facility) };
        Some(match (digits(self.exchange), facility, digits(self.id)) {
            (Some(exchange @ 0..=0xffff), Some(facility @ 0..=0xffff), Some(number)) => {
                // 13 bits of the day tell two of them apart for 22 years.
                let scope = (day as u64 & 0x1fff) << 32 | exchange << 16 | facility;
                TradeId::scoped(scope, number)
            }
            _ => self.pack_text(day),
        })
    }

    /// Packs an identity that is no number.
    #[cold]
    fn pack_text(&self, day: i64) -> TradeId {
        let mut text = String::new();
        write!(text, "{day}:{}:{}:{}", self.exchange, self.facility, self.id)
            .expect("strings take everything");
        TradeId::from_text(text.as_bytes())
    }
}

/// Makes the identity of a trade that has no id of what it says: two alike in one millisecond are one.
pub(super) fn of_content(exchange: &str, ts: Nanos, price: i64, size: i64, seq: u64) -> TradeId {
    TradeId::from_text(format!("no id:{exchange}:{}:{price}:{size}:{seq}", ts.0).as_bytes())
}

/// Reads digits as a number that spells itself the same again: `007` is none.
fn digits(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    if bytes.is_empty() || bytes.len() > 19 || (bytes[0] == b'0' && bytes.len() > 1) {
        return None;
    }
    bytes
        .iter()
        .try_fold(0_u64, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u64::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const TS: Nanos = Nanos(1_788_876_818_784_000_000);

    fn pack(exchange: &str, facility: &str, id: &str, ts: Nanos) -> TradeId {
        Identity { exchange, facility, id }.pack(ts).expect("it has an id")
    }

    #[test]
    fn each_part_tells_trades_apart() {
        let ids = [
            pack("4", "202", "12345", TS),
            pack("4", "201", "12345", TS),
            pack("4", "", "12345", TS),
            pack("12", "", "12345", TS),
            pack("12", "", "12346", TS),
            pack("12", "", "12345", TS.plus(DAY)),
            pack("12", "", "0012345", TS),
            pack("12", "", "a-12345", TS),
            pack("12", "", "a-12345", TS.plus(DAY)),
            pack("XNAS", "", "12345", TS),
            pack("70000", "", "12345", TS),
            of_content("1", TS, 5, 6, 0),
            of_content("1", TS, 5, 7, 0),
        ];
        let distinct: HashSet<_> = ids.iter().map(|id| id.words()).collect();
        assert_eq!(distinct.len(), ids.len());
        for id in ids {
            assert_eq!(TradeId::from_text(id.to_text().as_bytes()), id, "its text names it");
        }
        assert_eq!(Identity { exchange: "4", facility: "", id: "" }.pack(TS), None);
    }

    #[test]
    fn a_trade_keeps_its_identity_all_day() {
        let at = |text| Nanos::from_rfc3339(text).expect("RFC 3339");
        // From the first trade before the session to the last one after it, in New York.
        let (first, last) = (at("2026-09-08T08:00:00Z"), at("2026-09-08T23:59:59.999Z"));
        assert_eq!(pack("11", "", "1", first), pack("11", "", "1", last));
        assert_eq!(pack("11", "", "1", first), pack("11", "", "1", at("2026-09-09T05:59:59Z")));
        assert_ne!(pack("11", "", "1", first), pack("11", "", "1", at("2026-09-09T08:00:00Z")));
    }
}
