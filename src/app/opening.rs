//! What the log is told when a feed begins: what new symbols are, and that the first venue is in charge.
//!
//! Promises: the first venue takes charge where those in charge before had told everything, if it can fetch what happened since;
//! else behind everything that the log has, and what they may not have told to the end is a gap. On failure: a symbol whose bars have been made of something else ends the start.

use super::instruments::WrongUse;
use crate::actors::ingest::failover::next_whole;
use crate::models::entry::{Body, Entry, Gap, SourceId};
use crate::models::snapshot::SymbolSnapshot;
use crate::models::symbol::{SymbolDefinition, SymbolId, SymbolSpec, VenueSymbol};
use crate::models::time::Nanos;
use crate::node::Node;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What the log is told when a feed begins: what new symbols are, and that the first venue is in charge.
pub(super) struct Opening<'a> {
    node: &'a Node,
    source: SourceId,
    has_standbys: bool,
    definitions: Vec<Entry>,
    /// Symbols that the log knows with another venue in charge, and those that it does not know.
    handed_over: Vec<SymbolId>,
    begun: Vec<SymbolId>,
    /// Who was in charge of the symbols that the log knows.
    charged: BTreeSet<SourceId>,
    snapshots: Vec<Arc<SymbolSnapshot>>,
}

impl<'a> Opening<'a> {
    pub(super) fn new(node: &'a Node, source: SourceId, has_standbys: bool) -> Opening<'a> {
        Opening {
            node,
            source,
            has_standbys,
            definitions: Vec::new(),
            handed_over: Vec::new(),
            begun: Vec::new(),
            charged: BTreeSet::new(),
            snapshots: Vec::new(),
        }
    }

    /// Takes a symbol of the feed up.
    ///
    /// # Errors
    /// [`WrongUse`] when its bars have been made of something else.
    pub(super) fn symbol(
        &mut self,
        symbol: SymbolId,
        spec: &SymbolSpec,
        venue_symbol: &str,
    ) -> anyhow::Result<()> {
        let node = self.node;
        let Some(snapshot) =
            node.env.published.snapshots.as_ref().and_then(|snapshots| snapshots.get(symbol))
        else {
            self.begun.push(symbol);
            self.definitions.extend(definition(node, self.source, symbol, spec, venue_symbol));
            return Ok(());
        };
        if let Some(reason) = is_otherwise(node, symbol, spec) {
            return Err(WrongUse(reason).into());
        }
        self.charged.insert(snapshot.source);
        if snapshot.source != self.source {
            self.handed_over.push(symbol);
        }
        self.snapshots.push(snapshot);
        Ok(())
    }

    /// Returns up to when the feed's venues had told everything, where other feeds went on after that.
    pub(super) fn told_until(&self, ended: Option<Nanos>) -> Option<Nanos> {
        let clocks = &self.node.env.published.clocks;
        let lateness = self.node.env.settings.lateness;
        let marks = self.charged.iter().map(|&source| clocks.get(source));
        let snapshots = self.snapshots.iter().map(|snapshot| snapshot.watermark.plus(lateness));
        let told = marks.chain(snapshots).max().filter(|told| *told > Nanos(0));
        // A feed that is new begins now.
        Some(told?.min(ended?))
    }

    /// Returns the entries, and the time before which no later hand-over may lie. `has_past`: the first venue can be asked for
    /// past trades.
    pub(super) fn finish(
        self,
        down_since: Option<Nanos>,
        lateness: i64,
        has_past: bool,
    ) -> (Vec<Entry>, Nanos) {
        let Opening {
            node: _,
            source,
            has_standbys,
            definitions: mut entries,
            handed_over,
            begun,
            charged,
            snapshots,
        } = self;
        let told = down_since.map_or(Nanos(0), |ended| next_whole(ended.plus(-lateness)));
        let end = down_since.map_or(Nanos(0), |ended| ended.plus(1));
        let from = if has_past {
            // No earlier than the last hand-over, which would go on to hold.
            snapshots.iter().map(|snapshot| snapshot.charged_from).max().map_or(told, |last| told.max(last))
        } else {
            end
        };
        let charge = |symbol, from| Entry { pos: 0, symbol, body: Body::SourceInCharge { source, from } };
        entries.extend(handed_over.iter().map(|&symbol| charge(symbol, from)));
        if has_standbys {
            entries.extend(begun.iter().map(|&symbol| charge(symbol, Nanos(0))));
        }
        if let Some(ended) = down_since
            && (has_standbys || !handed_over.is_empty())
        {
            // What those in charge said last may be a part of what happened then. Of the first venue, which fetches it, the gap
            // is undone when all of it is there.
            let begin = if has_past { told } else { ended.plus(-lateness) };
            let gap = |of: SourceId| {
                let to = if of == source { end } else { from };
                let gap = Gap { source: of, from: begin, to, filled: false };
                (begin < to).then_some(Entry { pos: 0, symbol: SymbolId::NONE, body: Body::Gap(gap) })
            };
            entries.extend(charged.into_iter().filter_map(gap));
            return (entries, from);
        }
        (entries, Nanos(0))
    }
}

/// Returns why a symbol cannot be what it is to be, where its bars have been made of something else.
pub(super) fn is_otherwise(node: &Node, symbol: SymbolId, spec: &SymbolSpec) -> Option<String> {
    node.env.published.snapshots.as_ref()?.get(symbol)?;
    let known = node.symbols.spec(symbol).price;
    (known != spec.price).then(|| {
        format!(
            "the bars of `{}` in this data directory are made of `{}`, and now of `{}`: set `price` of its feed to what it \
             was, or begin another data directory",
            spec.name,
            known.as_str(),
            spec.price.as_str()
        )
    })
}

/// Returns the entry that says what a new symbol is, where that is not what everybody takes it for.
pub(super) fn definition(
    node: &Node,
    source: SourceId,
    symbol: SymbolId,
    spec: &SymbolSpec,
    venue_symbol: &str,
) -> Option<Entry> {
    let spelling = if venue_symbol == spec.name { "" } else { venue_symbol };
    let definition = SymbolDefinition {
        price_scale: spec.price_scale,
        size_scale: spec.size_scale,
        asset_class: spec.asset_class,
        price: spec.price,
        // One that is too long for an entry stays in the venue's list alone.
        venue_symbol: VenueSymbol::new(spelling).unwrap_or_default(),
    };
    if *spec == SymbolSpec::named(&spec.name) && spelling.is_empty() {
        return None;
    }
    node.symbols.define(symbol, &definition);
    let body = Body::Symbol { source, received: (node.env.now)(), definition };
    Some(Entry { pos: 0, symbol, body })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::models::ledger::Ledger;
    use crate::models::symbol::PriceSource;

    fn snapshot(symbol: SymbolId, source: SourceId) -> SymbolSnapshot {
        SymbolSnapshot {
            symbol,
            pos: 1,
            last: None,
            reference: None,
            source,
            charged_from: Nanos::MIN,
            watermark: Nanos(500),
            sealed_until: Nanos(0),
            ledger: Ledger::default(),
            ledgers: Arc::new([]),
            windows: Arc::new([]),
        }
    }

    #[actix::test]
    async fn a_start_puts_the_first_venue_in_charge_behind_everything_that_the_log_has() {
        let mut node = Node::in_memory(&Config::default(), 10).await.expect("in memory");
        let snapshots = node.publish_snapshots();
        let (a, b) = (node.sources.intern("a"), node.sources.intern("b"));
        let known = SymbolSpec::named("BTC-USD");
        let new = SymbolSpec { price: PriceSource::Mid, ..SymbolSpec::named("EUR-USD") };
        let (btc, eur) = (node.symbols.intern(known.clone()), node.symbols.intern(new.clone()));
        snapshots.publish(snapshot(btc, b));
        let mut opening = Opening::new(&node, a, true);
        opening.symbol(btc, &known, "BTC-USD").expect("as it was");
        opening.symbol(eur, &new, "C:EURUSD").expect("it is new");
        let otherwise = SymbolSpec { price: PriceSource::Bid, ..known };
        let error =
            opening.symbol(btc, &otherwise, "BTC-USD").expect_err("its bars are made of trades").to_string();
        assert!(error.contains("made of `trade`, and now of `bid`"), "{error}");

        let lateness = node.env.settings.lateness;
        assert_eq!(
            opening.told_until(Some(Nanos(1_000))),
            Some(Nanos(1_000)),
            "its clock was beyond the end"
        );
        let (entries, from) = opening.finish(Some(Nanos(1_000)), lateness, false);
        assert_eq!(from, Nanos(1_001));
        let charge = |symbol, from| (symbol, Body::SourceInCharge { source: a, from });
        let gap = Gap { source: b, from: Nanos(1_000 - lateness), to: from, filled: false };
        let found: Vec<_> = entries.iter().map(|entry| (entry.symbol, entry.body)).collect();
        assert!(matches!(found[0], (symbol, Body::Symbol { definition, .. }) if symbol == eur
            && definition.price == PriceSource::Mid && definition.venue_symbol.as_str() == "C:EURUSD"));
        assert_eq!(node.symbols.spec(eur).price, PriceSource::Mid);
        assert_eq!(found[1..], [charge(btc, from), charge(eur, Nanos(0)), (SymbolId::NONE, Body::Gap(gap))]);
    }

    #[actix::test]
    async fn a_first_venue_that_has_the_past_is_in_charge_from_where_the_others_told_everything() {
        const MILLI: i64 = 1_000_000;
        let mut node = Node::in_memory(&Config::default(), 10).await.expect("in memory");
        let snapshots = node.publish_snapshots();
        let (a, b) = (node.sources.intern("a"), node.sources.intern("b"));
        let specs = ["BTC-USD", "ETH-USD"].map(SymbolSpec::named);
        let [btc, eth] = specs.clone().map(|spec| node.symbols.intern(spec));
        let begin = |charged_from: [i64; 2], sources: [SourceId; 2]| {
            let mut opening = Opening::new(&node, a, true);
            for (at, symbol) in [btc, eth].into_iter().enumerate() {
                let charged_from = Nanos(charged_from[at] * MILLI);
                snapshots.publish(SymbolSnapshot { charged_from, ..snapshot(symbol, sources[at]) });
                opening.symbol(symbol, &specs[at], &specs[at].name).expect("as it was");
            }
            // What was told last lies between two milliseconds.
            let (entries, from) = opening.finish(Some(Nanos(5_000 * MILLI + 7)), 2_000 * MILLI, true);
            let found: Vec<_> = entries.iter().map(|entry| (entry.symbol, entry.body)).collect();
            (found, from.0)
        };
        let charge = |symbol, from| (symbol, Body::SourceInCharge { source: a, from: Nanos(from * MILLI) });
        let gap = |source, from: i64, to| {
            let gap = Gap { source, from: Nanos(from * MILLI), to: Nanos(to), filled: false };
            (SymbolId::NONE, Body::Gap(gap))
        };
        let (found, from) = begin([1_000, 1_000], [b, b]);
        assert_eq!((found, from), (vec![charge(btc, 3_001), charge(eth, 3_001)], 3_001 * MILLI));
        let (found, from) = begin([4_500, 1_000], [b, b]);
        let expected = vec![charge(btc, 4_500), charge(eth, 4_500), gap(b, 3_001, 4_500 * MILLI)];
        assert_eq!((found, from), (expected, 4_500 * MILLI), "no earlier than the last hand-over");
        let (found, from) = begin([1_000, 1_000], [a, a]);
        assert_eq!((found, from), (vec![gap(a, 3_001, 5_000 * MILLI + 8)], 3_001 * MILLI));
    }

    #[actix::test]
    async fn a_single_venue_that_goes_on_says_nothing() {
        let mut node = Node::in_memory(&Config::default(), 10).await.expect("in memory");
        let snapshots = node.publish_snapshots();
        let a = node.sources.intern("a");
        let known = SymbolSpec::named("BTC-USD");
        let btc = node.symbols.intern(known.clone());
        let mut opening = Opening::new(&node, a, false);
        opening.symbol(btc, &known, "BTC-USD").expect("it is new");
        assert_eq!(opening.finish(None, 5, true), (Vec::new(), Nanos(0)));
        snapshots.publish(snapshot(btc, a));
        let mut opening = Opening::new(&node, a, false);
        opening.symbol(btc, &known, "BTC-USD").expect("as it was");
        assert_eq!(opening.finish(Some(Nanos(9)), 5, true), (Vec::new(), Nanos(0)));
    }
}
