//! The entries of the log: everything that can change a result, as small `Copy` values.

use super::detection::document::Document;
use super::num::{Price, Size, div_half_even};
use super::symbol::{PriceSource, SymbolDefinition, SymbolId};
use super::time::{Nanos, Width};
use serde::{Deserialize, Serialize};

/// An entry's place in its partition of the log: it only grows and is never given twice. The first is 1.
pub type Position = u64;

/// A feed that reports trades; small, given out by the process' table of sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourceId(pub u16);

impl SourceId {
    /// In a clock mark: the mark counts for the symbols of every source (a file's clock covers all it holds).
    pub const ANY: SourceId = SourceId(u16::MAX);
}

/// A trade's identity within its source, packed into 128 bits.
///
/// The two top bits tell the form: 0 digits as a number, which may have a scope; 1 text of up to 15 bytes inline, 2 a hash
/// of longer text, 3 given on receipt to a trade that came without an id, or the core's own for a quote. Digits therefore
/// compare as numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TradeId {
    hi: u64,
    lo: u64,
}

const TAG_TEXT: u64 = 1 << 62;
const TAG_HASH: u64 = 2 << 62;
const TAG_GIVEN: u64 = 3 << 62;
const TAG_QUOTE: u64 = TAG_GIVEN | 1 << 60;
const CORRECTED: u64 = 1 << 61;
const SCOPED: u64 = 1 << 60;

impl TradeId {
    /// Packs a numeric id.
    #[must_use]
    pub const fn number(value: u64) -> TradeId {
        TradeId { hi: 0, lo: value }
    }

    /// Packs a numeric id that is unique only within a scope, such as an exchange and a day, of which 60 bits count.
    #[must_use]
    pub const fn scoped(scope: u64, value: u64) -> TradeId {
        TradeId { hi: SCOPED | scope & (SCOPED - 1), lo: value }
    }

    /// Makes the id of a trade that came without one: which run of which instance received it, and a counter.
    #[must_use]
    pub const fn given(epoch: u32, counter: u64) -> TradeId {
        TradeId { hi: TAG_GIVEN | epoch as u64, lo: counter }
    }

    /// Makes the id under which the core retains a quote that makes bars. Venues give quotes none, so it is a hash of what the
    /// quote says: the same sides and sizes at the same moment are the same quote.
    #[must_use]
    pub fn of_quote(quote: &Quote) -> TradeId {
        let Quote { ts, bid, ask, bid_size, ask_size, .. } = *quote;
        let mut bytes = [0; 40];
        for (room, value) in bytes.chunks_exact_mut(8).zip([ts.0, bid.0, ask.0, bid_size.0, ask_size.0]) {
            room.copy_from_slice(&value.to_le_bytes());
        }
        let hash = blake3::hash(&bytes);
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| hash.as_bytes()[at + i]));
        TradeId { hi: word(0) >> 4 | TAG_QUOTE, lo: word(8) }
    }

    /// True for an id of [`TradeId::of_quote`]. No report has one.
    #[inline]
    #[must_use]
    pub const fn is_quote(self) -> bool {
        self.hi >> 60 == TAG_QUOTE >> 60
    }

    /// Packs a venue's id: digits as a number, short text inline, longer text by hash. What [`TradeId::to_text`] wrote
    /// gives the same id again.
    #[must_use]
    pub fn from_text(text: &[u8]) -> TradeId {
        let mut number: u64 = 0;
        let digits = !text.is_empty()
            && text.len() <= 18
            && (text[0] != b'0' || text.len() == 1)
            && text.iter().all(|byte| {
                let digit = byte.wrapping_sub(b'0');
                number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
                digit <= 9
            });
        if digits {
            return TradeId::number(number);
        }
        if text.len() <= 15 {
            // Big-endian, so that texts of one length compare as texts; the length keeps `a` and `a\0` apart.
            let mut bytes = [0_u8; 16];
            bytes[1..=text.len()].copy_from_slice(text);
            let packed = u128::from_be_bytes(bytes);
            let hi = (packed >> 64) as u64 | TAG_TEXT | (text.len() as u64) << 56;
            return TradeId { hi, lo: packed as u64 };
        }
        if let Some(id) = TradeId::from_hex(text) {
            return id;
        }
        let hash = blake3::hash(text);
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| hash.as_bytes()[at + i]));
        TradeId { hi: word(0) & !(7 << 61) | TAG_HASH, lo: word(8) }
    }

    /// Returns the id under which a correction is kept that names no id of its own: one per corrected trade.
    #[must_use]
    pub const fn corrected(self) -> TradeId {
        TradeId { hi: self.hi | CORRECTED, lo: self.lo }
    }

    /// Returns the id as its source spells it: without what [`TradeId::corrected`] added. Orders trades by it, so that
    /// a correction stands where its trade stood.
    #[must_use]
    pub const fn as_reported(self) -> TradeId {
        TradeId { hi: self.hi & !CORRECTED, lo: self.lo }
    }

    /// Splits the id into its two words, high first (for stores).
    #[must_use]
    pub const fn words(self) -> (u64, u64) {
        (self.hi, self.lo)
    }

    /// Puts together what [`TradeId::words`] took apart.
    #[must_use]
    pub const fn from_words(hi: u64, lo: u64) -> TradeId {
        TradeId { hi, lo }
    }

    /// Reads the hexadecimal form; `None` for a text that [`TradeId::to_text`] does not write.
    fn from_hex(text: &[u8]) -> Option<TradeId> {
        let digits = text.strip_prefix(HEX_MARK).filter(|digits| digits.len() == HEX_DIGITS)?;
        let mut words = [0_u64; 2];
        for (at, byte) in digits.iter().enumerate() {
            let digit = match byte {
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'f' => byte - b'a' + 10,
                _ => return None,
            };
            let word = &mut words[at / 16];
            *word = *word << 4 | u64::from(digit);
        }
        let id = TradeId { hi: words[0], lo: words[1] };
        // An id has one text, so digits and short texts do not come in this form; nor does what no report has.
        (!id.is_quote() && id.venue_text().is_none()).then_some(id)
    }

    /// Returns the id as the venue wrote it, where it is held as that: digits and short text.
    #[must_use]
    pub fn venue_text(self) -> Option<String> {
        let text = match self.hi >> 62 {
            0 if self.hi == 0 => self.lo.to_string(),
            1 => {
                let len = ((self.hi >> 56) & 0x1f) as usize;
                let packed = (u128::from(self.hi) << 64 | u128::from(self.lo)).to_be_bytes();
                // Bytes that are no text cannot be written as one.
                std::str::from_utf8(packed.get(1..=len)?).ok()?.to_owned()
            }
            _ => return None,
        };
        // A number beyond 18 digits, or a text that the venue cannot have sent, would come back as another id.
        (TradeId::from_text(text.as_bytes()) == self).then_some(text)
    }

    /// Returns a text from which [`TradeId::from_text`] makes this id: the venue's own where it is held, else `#` and 32
    /// hexadecimal digits. So whoever has a dead letter, an answer or an export can name the trade.
    #[must_use]
    pub fn to_text(self) -> String {
        self.venue_text().unwrap_or_else(|| format!("#{:016x}{:016x}", self.hi, self.lo))
    }
}

/// Begins the text of an id that is not held as the venue wrote it.
const HEX_MARK: &[u8] = b"#";
/// Digits of that text.
const HEX_DIGITS: usize = 32;

/// What a trade counts for, as in the condition tables of the US tapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Updates(u8);

impl Updates {
    /// Counts for nothing.
    pub const NONE: Updates = Updates(0);
    /// Counts for high and low, open and close, volume and count.
    pub const ALL: Updates = Updates(7);
    const HIGH_LOW: u8 = 1;
    const OPEN_CLOSE: u8 = 2;
    const VOLUME: u8 = 4;

    /// Reads any of `h`, `c`, `v`; empty means all, `-` nothing. `c` implies `h`.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Updates> {
        match text {
            b"" => return Some(Updates::ALL),
            b"-" => return Some(Updates::NONE),
            _ => {}
        }
        let mut bits = 0;
        for byte in text {
            bits |= match byte {
                b'h' => Updates::HIGH_LOW,
                b'c' => Updates::OPEN_CLOSE | Updates::HIGH_LOW,
                b'v' => Updates::VOLUME,
                _ => return None,
            };
        }
        Some(Updates(bits))
    }

    /// Returns the spelling that [`Updates::parse`] reads.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self.0 & 7 {
            0 => "-",
            1 => "h",
            2 | 3 => "hc",
            4 => "v",
            5 => "hv",
            _ => "hcv",
        }
    }

    /// Puts the three bits into an integer (for stores).
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Takes the three bits from an integer; higher bits are ignored.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Updates {
        Updates(bits & 7)
    }

    /// True when the trade may set the high and the low.
    #[must_use]
    pub const fn high_low(self) -> bool {
        self.0 & Updates::HIGH_LOW != 0
    }

    /// True when the trade may set the open and the close.
    #[must_use]
    pub const fn open_close(self) -> bool {
        self.0 & Updates::OPEN_CLOSE != 0
    }

    /// True when the trade counts for volume and count.
    #[must_use]
    pub const fn volume(self) -> bool {
        self.0 & Updates::VOLUME != 0
    }
}

/// One trade as its source reported it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trade {
    /// Event time, cut to the precision of the venue's live feed.
    pub ts: Nanos,
    /// When this process received it; [`Nanos::MIN`] where nobody knows (files).
    pub received: Nanos,
    /// Price in the symbol's price scale.
    pub price: Price,
    /// Size in the symbol's size scale.
    pub size: Size,
    /// The venue's sequence number; 0 where it has none.
    pub seq: u64,
    /// Identity within the source.
    pub id: TradeId,
    /// Who reported it.
    pub source: SourceId,
    /// What it counts for.
    pub updates: Updates,
}

#[cfg(test)]
impl Trade {
    /// Makes a trade of one unit for one, with a number as its id.
    #[must_use]
    pub fn for_test(id: u64, ts: Nanos) -> Trade {
        Trade {
            ts,
            received: Nanos::MIN,
            price: Price(1),
            size: Size(1),
            seq: 0,
            id: TradeId::number(id),
            source: SourceId(0),
            updates: Updates::ALL,
        }
    }
}

/// A report that a trade did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel {
    /// Event time of the cancel (or of its trade, where the venue gives that).
    pub ts: Nanos,
    /// When this process received it; [`Nanos::MIN`] where nobody knows.
    pub received: Nanos,
    /// Identity of the trade that did not happen.
    pub target: TradeId,
    /// Who reported it.
    pub source: SourceId,
}

/// A report that a trade was another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    /// Identity of the trade that is replaced.
    pub target: TradeId,
    /// What happened instead. Its id may be the target's.
    pub trade: Trade,
}

/// The best bid and ask. Moves the clock; changes a bar only of a symbol whose bars are made of quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// Event time.
    pub ts: Nanos,
    /// When this process received it; [`Nanos::MIN`] where nobody knows.
    pub received: Nanos,
    /// Best bid, 0 where there is none.
    pub bid: Price,
    /// Best ask, 0 where there is none.
    pub ask: Price,
    /// Size at the bid.
    pub bid_size: Size,
    /// Size at the ask.
    pub ask_size: Size,
    /// Who reported it.
    pub source: SourceId,
}

impl Quote {
    /// Returns the price that the quote gives for bars; `None` where it lacks a side that it takes, or trades make the bars.
    #[must_use]
    pub fn price(&self, source: PriceSource) -> Option<Price> {
        let side = |price: Price| (price.0 > 0).then_some(price);
        match source {
            PriceSource::Trade => None,
            PriceSource::Bid => side(self.bid),
            PriceSource::Ask => side(self.ask),
            PriceSource::Mid => {
                let sum = i128::from(side(self.bid)?.0) + i128::from(side(self.ask)?.0);
                // What no price can be is none.
                i64::try_from(div_half_even(sum, 2)).ok().map(Price)
            }
        }
    }
}

/// A bar that a venue gives ready-made. Counts in a window of its width of which nothing smaller is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VenueBar {
    /// Start of the window.
    pub start: Nanos,
    /// When this process received it; [`Nanos::MIN`] where nobody knows.
    pub received: Nanos,
    /// First price.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Last price.
    pub close: Price,
    /// Sum of sizes.
    pub volume: Size,
    /// Volume-weighted mean price in the symbol's price scale; 0 where the venue gives none.
    pub vwap: Price,
    /// Number of trades; 0 where the venue gives none.
    pub trade_count: u32,
    /// Width of the window in milliseconds.
    pub width_ms: u32,
    /// Who reported it.
    pub source: SourceId,
}

impl VenueBar {
    /// Returns the width of the window, if it is one that windows can have.
    #[must_use]
    pub const fn width(&self) -> Option<Width> {
        Width::new(self.width_ms as i64 * 1_000_000)
    }
}

/// A stretch of time in which a source may have reported less than happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The source that was silent.
    pub source: SourceId,
    /// First moment that may be missing.
    pub from: Nanos,
    /// End, exclusive.
    pub to: Nanos,
    /// True when a back-fill has brought what was missing: the gap is no more.
    pub filled: bool,
}

/// What an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// A trade.
    Trade(Trade),
    /// A trade did not happen.
    Cancel(Cancel),
    /// A trade was another one.
    Correction(Correction),
    /// Best bid and ask.
    Quote(Quote),
    /// A venue's own bar.
    VenueBar(VenueBar),
    /// A stretch of time is not (or no longer) known to be whole. For every symbol of its source, unless the entry names one.
    Gap(Gap),
    /// From this event time on, only this source's trades count for the symbol.
    SourceInCharge {
        /// The source.
        source: SourceId,
        /// First event time it is in charge of.
        from: Nanos,
    },
    /// What the symbol is, as its source says; comes before its first report. See [`SymbolDefinition`].
    Symbol {
        /// The source.
        source: SourceId,
        /// When this process received it; [`Nanos::MIN`] where nobody knows.
        received: Nanos,
        /// What it is.
        definition: SymbolDefinition,
    },
    /// No event of this source before this time is outstanding, but for late ones. For every symbol of its source.
    ClockMark {
        /// The source whose clock it is.
        source: SourceId,
        /// The source's event time now.
        time: Nanos,
    },
    /// From here on, this is looked for in every symbol. See [`statement`](crate::models::detection::statement).
    Detection {
        /// When it was stated.
        at: Nanos,
        /// What it is.
        document: Document,
    },
}

impl Body {
    /// True for what is looked for, which is said to all symbols, and for clock marks and gaps, which speak of all symbols of
    /// their source, unless the entry of a gap names one.
    #[must_use]
    pub const fn is_broadcast(&self) -> bool {
        matches!(self, Body::Gap(_) | Body::ClockMark { .. } | Body::Detection { .. })
    }

    /// Returns what is looked for from here on, where it says that.
    #[must_use]
    pub const fn looked_for(&self) -> Option<Document> {
        match self {
            Body::Detection { document, .. } => Some(*document),
            _ => None,
        }
    }

    /// True for the reports that the ledger counts: trades, cancels and corrections.
    #[must_use]
    pub const fn is_report(&self) -> bool {
        matches!(self, Body::Trade(_) | Body::Cancel(_) | Body::Correction(_))
    }

    /// Returns who said it; [`SourceId::ANY`] of what no source said.
    #[must_use]
    pub const fn source(&self) -> SourceId {
        match self {
            Body::Trade(Trade { source, .. })
            | Body::Cancel(Cancel { source, .. })
            | Body::Correction(Correction { trade: Trade { source, .. }, .. })
            | Body::Quote(Quote { source, .. })
            | Body::VenueBar(VenueBar { source, .. })
            | Body::Gap(Gap { source, .. })
            | Body::SourceInCharge { source, .. }
            | Body::Symbol { source, .. }
            | Body::ClockMark { source, .. } => *source,
            Body::Detection { .. } => SourceId::ANY,
        }
    }

    /// Returns when it was received ([`Nanos::MIN`] where nobody knows); `None` of what is not received from a venue.
    #[must_use]
    pub const fn received(&self) -> Option<Nanos> {
        match self {
            Body::Trade(Trade { received, .. })
            | Body::Cancel(Cancel { received, .. })
            | Body::Correction(Correction { trade: Trade { received, .. }, .. })
            | Body::Quote(Quote { received, .. })
            | Body::VenueBar(VenueBar { received, .. })
            | Body::Symbol { received, .. } => Some(*received),
            Body::Gap(_) | Body::SourceInCharge { .. } | Body::ClockMark { .. } | Body::Detection { .. } => {
                None
            }
        }
    }

    /// Returns the event time it speaks of; of what a symbol is, which holds for all time, when it was received, and of what
    /// is looked for, which goes by positions, when it was stated.
    #[must_use]
    pub const fn time(&self) -> Nanos {
        match self {
            Body::Trade(Trade { ts, .. })
            | Body::Cancel(Cancel { ts, .. })
            | Body::Correction(Correction { trade: Trade { ts, .. }, .. })
            | Body::Quote(Quote { ts, .. }) => *ts,
            Body::VenueBar(bar) => bar.start,
            Body::Gap(gap) => gap.to,
            Body::SourceInCharge { from: time, .. }
            | Body::Symbol { received: time, .. }
            | Body::Detection { at: time, .. }
            | Body::ClockMark { time, .. } => *time,
        }
    }
}

/// One entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place; 0 until the log gave it one.
    pub pos: Position,
    /// The symbol it speaks of; [`SymbolId::NONE`] in a broadcast.
    pub symbol: SymbolId,
    /// What it says.
    pub body: Body,
}

impl Entry {
    /// True for what is looked for, for clock marks, and for gaps that name no symbol: they are for more than one symbol.
    #[must_use]
    pub const fn is_broadcast(&self) -> bool {
        match self.body {
            Body::ClockMark { .. } | Body::Detection { .. } => true,
            Body::Gap(_) => self.symbol.0 == SymbolId::NONE.0,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_entry_stays_small() {
        assert!(size_of::<Entry>() <= 112, "{} bytes travel per tick", size_of::<Entry>());
    }

    #[test]
    fn a_gap_is_for_all_symbols_unless_it_names_one() {
        let gap = Body::Gap(Gap { source: SourceId(0), from: Nanos(0), to: Nanos(1), filled: false });
        let mark = Body::ClockMark { source: SourceId(0), time: Nanos(0) };
        let trade = Body::Trade(Trade::for_test(1, Nanos(0)));
        for (symbol, body, expected) in [
            (SymbolId::NONE, gap, true),
            (SymbolId(3), gap, false),
            (SymbolId::NONE, mark, true),
            (SymbolId(3), trade, false),
        ] {
            assert_eq!(Entry { pos: 1, symbol, body }.is_broadcast(), expected, "{symbol:?} {body:?}");
        }
    }

    #[test]
    fn ids_keep_their_order_and_their_text() {
        assert!(TradeId::from_text(b"9") < TradeId::from_text(b"10"));
        assert!(TradeId::from_text(b"AAPL-000000009") < TradeId::from_text(b"AAPL-000000010"));
        for text in ["0", "7", "123456789012345678", "AAPL-000000001", "a", "007", ""] {
            assert_eq!(TradeId::from_text(text.as_bytes()).venue_text().as_deref(), Some(text));
        }
        let long = TradeId::from_text(b"0b9d9a1e-6a3c-4d0c-9f57-1d3b8c1d2e3f");
        assert_eq!((long.venue_text(), long.to_text().len()), (None, 1 + HEX_DIGITS));
        assert_ne!(long, TradeId::from_text(b"0b9d9a1e-6a3c-4d0c-9f57-1d3b8c1d2e3e"));
        assert_ne!(TradeId::number(5).corrected(), TradeId::number(5));
        assert_ne!(TradeId::scoped(0, 5), TradeId::number(5));
        assert_ne!(TradeId::scoped(1, 5), TradeId::scoped(2, 5));
        assert_eq!(TradeId::scoped(u64::MAX, 5).corrected().as_reported(), TradeId::scoped(u64::MAX, 5));
    }

    proptest! {
        #[test]
        fn an_id_comes_back_from_its_text(
            bytes in prop::collection::vec(any::<u8>(), 0..40),
            text in "[0-9a-zA-Z#-]{0,40}",
            hex in "#[0-9a-f]{32}",
            number in any::<u64>(),
            epoch in any::<u32>(),
        ) {
            let ids = [
                TradeId::from_text(&bytes),
                TradeId::from_text(text.as_bytes()),
                TradeId::from_text(hex.as_bytes()),
                TradeId::number(number),
                TradeId::number(number % 1_000),
                TradeId::given(epoch, number),
                TradeId::scoped(number, u64::from(epoch)),
            ];
            for id in ids.into_iter().flat_map(|id| [id, id.corrected()]) {
                prop_assert_eq!(TradeId::from_text(id.to_text().as_bytes()), id, "{}", id.to_text());
            }
        }

        #[test]
        fn the_hexadecimal_form_hides_no_other_id(words in any::<(u64, u64)>()) {
            let id = TradeId::from_words(words.0, words.1);
            prop_assert_eq!(TradeId::from_text(id.to_text().as_bytes()) == id, !id.is_quote());
            let digits = format!("#{:016x}{:016x}", 0, words.1 % 1_000);
            let of_venue = TradeId::from_text(digits.as_bytes());
            prop_assert_ne!(of_venue, TradeId::number(words.1 % 1_000), "a venue's own id of that form is its own");
        }
    }

    #[test]
    fn a_quote_gives_the_price_that_is_asked_for_and_none_that_it_lacks() {
        let quote = |bid, ask| Quote {
            ts: Nanos(5),
            received: Nanos::MIN,
            bid: Price(bid),
            ask: Price(ask),
            bid_size: Size(1),
            ask_size: Size(2),
            source: SourceId(0),
        };
        let table = [
            (10, 12, Some(11), Some(10), Some(12)),
            (10, 13, Some(12), Some(10), Some(13)),
            (10, 11, Some(10), Some(10), Some(11)),
            (0, 12, None, None, Some(12)),
            (10, 0, None, Some(10), None),
        ];
        for (bid, ask, mid, of_bid, of_ask) in table {
            let prices = [PriceSource::Mid, PriceSource::Bid, PriceSource::Ask];
            let found = prices.map(|source| quote(bid, ask).price(source).map(|price| price.0));
            assert_eq!(found, [mid, of_bid, of_ask], "{bid} {ask}");
            assert_eq!(quote(bid, ask).price(PriceSource::Trade), None);
        }
        let id = TradeId::of_quote(&quote(10, 12));
        assert!(id.is_quote() && !TradeId::given(u32::MAX, u64::MAX).corrected().is_quote());
        assert_eq!(id, TradeId::of_quote(&Quote { received: Nanos(9), ..quote(10, 12) }), "the same quote");
        assert_ne!(id, TradeId::of_quote(&quote(10, 13)));
    }

    #[test]
    fn updates_read_back_what_they_print() {
        for text in ["-", "h", "v", "hv", "hc", "hcv"] {
            assert_eq!(Updates::parse(text.as_bytes()).map(Updates::as_str), Some(text));
        }
        assert_eq!(Updates::parse(b""), Some(Updates::ALL));
        assert_eq!(Updates::parse(b"c").map(Updates::as_str), Some("hc"));
        assert_eq!(Updates::parse(b"x"), None);
    }
}
