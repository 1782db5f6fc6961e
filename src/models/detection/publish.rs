//! What was published of an anomaly, and what is to be published now that more is known.
//!
//! Promises: only a change is published, at most once an entry and anomaly: whoever judges does so once all that the entry
//! changes is known, since stores take one row of an anomaly and log position.

use super::detected::{Detected, Finding};
use crate::models::anomaly::AnomalyState;
use crate::models::effect::Effect;
use crate::models::entry::Position;
use crate::models::symbol::SymbolId;
use crate::models::time::Width;
use serde::{Deserialize, Serialize};

/// What was published last of an anomaly.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Published {
    finding: Finding,
    state: AnomalyState,
    revision: u32,
}

impl Published {
    /// Returns what was said of it last.
    #[must_use]
    pub const fn state(&self) -> AnomalyState {
        self.state
    }
}

/// Publishes what an entry changes.
#[derive(Debug)]
pub struct Publisher<'a> {
    /// The symbol.
    pub symbol: SymbolId,
    /// Width of the bars that are judged.
    pub width: Width,
    /// The entry.
    pub pos: Position,
    /// How many were published of the symbol.
    pub seq: &'a mut u64,
    /// Where they go.
    pub effects: &'a mut Vec<Effect>,
}

impl Publisher<'_> {
    /// Publishes what is wanted where it differs from what was published; `None` where nothing is unusual (any more).
    pub fn settle(&mut self, slot: &mut Option<Box<Published>>, wanted: Option<(Finding, AnomalyState)>) {
        let Some(known) = slot.as_deref_mut() else {
            if let Some((finding, state)) = wanted {
                let first = Published { finding, state, revision: 0 };
                self.publish(&first);
                *slot = Some(Box::new(first));
            }
            return;
        };
        match wanted {
            None => self.withdraw(known),
            // What another trade shows is another anomaly, and so is the other side of the RSI.
            Some((finding, state))
                if (finding.kind, finding.time) != (known.finding.kind, known.finding.time) =>
            {
                self.withdraw(known);
                *known = Published { finding, state, revision: 0 };
                self.publish(known);
            }
            Some((finding, state)) => {
                if state != known.state || !finding.says_the_same(&known.finding) {
                    *known = Published { finding, state, revision: known.revision + 1 };
                    self.publish(known);
                }
            }
        }
    }

    /// Publishes that an anomaly goes on, or has ended.
    pub fn set_state(&mut self, slot: &mut Option<Box<Published>>, state: AnomalyState) {
        if let Some(finding) = slot.as_deref().map(|known| known.finding) {
            self.settle(slot, Some((finding, state)));
        }
    }

    fn withdraw(&mut self, known: &mut Published) {
        if known.state != AnomalyState::Withdrawn {
            known.state = AnomalyState::Withdrawn;
            known.revision += 1;
            self.publish(known);
        }
    }

    fn publish(&mut self, published: &Published) {
        *self.seq += 1;
        let Published { finding, state, revision } = *published;
        self.effects.push(Effect::Anomaly(Detected {
            symbol: self.symbol,
            width: self.width,
            finding,
            state,
            revision,
            seq: *self.seq,
            log_pos: self.pos,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::anomaly::Severity;
    use crate::models::detection::detected::{AnomalyKind, Cause};
    use crate::models::detection::settings::Method;
    use crate::models::time::{MINUTE, Nanos};

    #[test]
    fn an_excursion_that_turns_to_the_other_side_is_withdrawn_and_another_begins() {
        let finding = |kind| Finding {
            kind,
            time: Nanos(MINUTE),
            start: Nanos(0),
            value: 0.0,
            expected: 50.0,
            threshold: 0.0,
            severity: Severity::Low,
            bars: 0,
            method: Method::Mean,
            cause: Cause { pos: 1, revision: 0, trade: None },
        };
        let width = Width::new(MINUTE).expect("divides a day");
        let (mut seq, mut effects, mut slot) = (0, Vec::new(), None);
        for kind in [AnomalyKind::Overbought, AnomalyKind::Oversold] {
            let (seq, effects) = (&mut seq, &mut effects);
            let mut publisher = Publisher { symbol: SymbolId(0), width, pos: 1, seq, effects };
            publisher.settle(&mut slot, Some((finding(kind), AnomalyState::Active)));
        }
        let said = effects.iter().map(|effect| match effect {
            Effect::Anomaly(said) => (said.finding.kind, said.state, said.revision, said.seq),
            other => panic!("{other:?}"),
        });
        let expected = [
            (AnomalyKind::Overbought, AnomalyState::Active, 0, 1),
            (AnomalyKind::Overbought, AnomalyState::Withdrawn, 1, 2),
            (AnomalyKind::Oversold, AnomalyState::Active, 0, 3),
        ];
        assert_eq!(said.collect::<Vec<_>>(), expected);
    }
}
