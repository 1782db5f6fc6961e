//! What the symbol is, as its log says.
//!
//! Promises: scales and price source change only while no price is known, since every number in the state means something
//! by them; so two processes that read the log round alike. A later change of these is refused whole and goes to the dead
//! letters, where it is counted as `symbol_fixed`. What has no part in any result, class and spelling, may change always.

use super::SymbolState;
use crate::models::effect::{DeadReason, Effect};
use crate::models::entry::Body;
use crate::models::indicators::IndicatorSeries;
use crate::models::ledger::RejectReason;
use crate::models::symbol::SymbolDefinition;

impl SymbolState {
    /// Takes in what the symbol is.
    pub(super) fn define(&mut self, body: &Body, definition: &SymbolDefinition, effects: &mut Vec<Effect>) {
        let spec = self.spec.defined(definition);
        let is_same = (spec.price_scale, spec.size_scale, spec.price)
            == (self.spec.price_scale, self.spec.size_scale, self.spec.price);
        if !is_same && self.knows_prices() {
            self.set_aside(DeadReason::Rejected(RejectReason::SymbolFixed), *body, effects);
            return;
        }
        if !is_same {
            for track in &mut self.tracks {
                track.indicators = IndicatorSeries::new(spec.price_scale);
            }
        }
        self.spec = spec;
        self.definition = Some(*definition);
        self.renew_detection();
        self.names.define(self.symbol, definition);
    }

    /// True when something that the state holds, or held, is a price.
    fn knows_prices(&self) -> bool {
        self.accepted > 0 || !self.base.is_empty() || self.tracks.iter().any(|track| track.seq > 0)
    }
}
