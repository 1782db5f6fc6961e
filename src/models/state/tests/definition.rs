//! What a symbol is comes from its log, and is fixed once prices are known.

use super::{Bench, bars, names};
use crate::models::asset_class::AssetClass;
use crate::models::effect::{DeadReason, Effect};
use crate::models::entry::{Body, SourceId};
use crate::models::ledger::RejectReason;
use crate::models::num::{Price, Scale};
use crate::models::settings::CoreSettings;
use crate::models::state::SymbolState;
use crate::models::symbol::{PriceSource, SymbolDefinition, VenueSymbol};
use crate::models::time::Nanos;
use std::sync::Arc;

fn scale(decimals: u8) -> Scale {
    Scale::new(decimals).expect("at most 12")
}

fn definition(price_decimals: u8, asset_class: AssetClass) -> Body {
    let definition = SymbolDefinition {
        price_scale: scale(price_decimals),
        size_scale: scale(0),
        asset_class,
        price: PriceSource::Trade,
        venue_symbol: VenueSymbol::new("X:TEST").expect("short"),
    };
    Body::Symbol { source: SourceId(0), received: Nanos::MIN, definition }
}

#[test]
fn a_definition_before_the_first_trade_sets_the_scales() {
    let mut bench = Bench::new();
    assert_eq!(bench.apply(definition(4, AssetClass::Equity)), []);
    assert_eq!(bench.apply(definition(2, AssetClass::Equity)), [], "nothing is known yet");
    bench.trade(1, 0, 50);
    let [bar] = bars(&bench.mark(62))[..] else { panic!("a bar closes") };
    assert_eq!((bar.close, bar.vwap), (Price(50), Some(500_000_000)), "0.50 with two decimals");
    assert_eq!((bench.state.spec().price_scale, bench.state.spec().size_scale), (scale(2), scale(0)));
}

#[test]
fn another_scale_after_a_trade_is_refused_and_told() {
    let mut bench = Bench::new();
    bench.apply(definition(2, AssetClass::Equity));
    bench.trade(1, 0, 50);
    let effects = bench.apply(definition(3, AssetClass::Future));
    let reason = DeadReason::Rejected(RejectReason::SymbolFixed);
    assert!(matches!(effects[..], [Effect::DeadLetter(letter)] if letter.reason == reason), "{effects:?}");
    assert_eq!(bench.state.spec().asset_class, AssetClass::Equity, "it is refused whole");
    assert_eq!(bench.apply(definition(2, AssetClass::Future)), [], "a class changes no result");
    assert_eq!(bench.state.spec().asset_class, AssetClass::Future);
}

#[test]
fn a_checkpoint_knows_what_the_symbol_is() {
    let mut bench = Bench::new();
    bench.apply(definition(2, AssetClass::Equity));
    bench.trade(1, 0, 50);
    let bytes = bench.state.encode();
    let settings = Arc::new(CoreSettings::default());
    let again = SymbolState::decode(&bytes, settings, names()).expect("just encoded");
    assert_eq!(again.spec(), bench.state.spec());
    let mut twin = Bench { state: again, effects: Vec::new(), pos: bench.pos };
    let change = definition(3, AssetClass::Equity);
    assert_eq!((twin.apply(change).len(), bench.apply(change).len()), (1, 1), "both refuse it");
    assert_eq!(twin.mark(62), bench.mark(62));
}
