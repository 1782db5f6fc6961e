//! Judges rules on trades, as they set the price.
//!
//! Promises: each trade is judged once, when it comes: a trade that comes late, or a bar before it that is amended, changes
//! nothing that was found. An anomaly is withdrawn when its own trade is cancelled or corrected, as long as the trade's
//! window is not sealed; then the next trade for which the rule holds begins another excursion. A rule has one anomaly a
//! moment, since a moment is what its id is made of: where trades of one time cross the threshold to and fro, the excursion
//! that the first of them began goes on. Of the anomalies of unsealed windows so many as [`FOUND_MAX`] can be withdrawn,
//! the newest ones.

use super::bars::finding;
use super::field::Row;
use super::rule::{Fire, ReadRule};
use super::samples::Samples;
use crate::models::anomaly::AnomalyState;
use crate::models::bar::{SourceRank, TradeOrder};
use crate::models::detection::{Cause, Finding, Published, Publisher};
use crate::models::time::Nanos;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;

/// Anomalies that are remembered of each rule, so that they can be withdrawn.
const FOUND_MAX: usize = 256;

/// A trade that set the price.
#[derive(Clone, Copy, Debug)]
pub struct Tick<'a> {
    /// Where it stands among the trades of its symbol.
    pub order: TradeOrder,
    /// Start of the window that it is in.
    pub start: Nanos,
    /// The bar of that window as it is with the trade.
    pub row: &'a Row,
}

/// A rule holds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Holding {
    /// Time of the first trade for which it did.
    since: Nanos,
    /// It was held long enough, and an anomaly is open.
    has_fired: bool,
}

/// An anomaly that a trade caused.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Found {
    order: TradeOrder,
    /// Start of the trade's window.
    start: Nanos,
    published: Option<Box<Published>>,
    /// Its trade was taken out by this entry, which may find the same again.
    #[serde(skip)]
    is_gone: bool,
}

impl Found {
    fn is_withdrawn(&self) -> bool {
        let state = self.published.as_deref().map(Published::state);
        self.is_gone || state == Some(AnomalyState::Withdrawn)
    }
}

/// What is remembered of one rule.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Memory {
    identity: u64,
    holding: Option<Holding>,
    /// The window in which it fired last.
    fired_in: Option<Nanos>,
    /// By age, no two of one moment; the newest one is open while the rule is held to have fired.
    found: VecDeque<Found>,
    /// One of them is gone.
    #[serde(skip)]
    has_gone: bool,
}

/// Judges the trades of one symbol by the rules of one width.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TickJudge {
    memories: Vec<Memory>,
    /// One for each of the memories.
    #[serde(skip)]
    rules: Vec<Arc<ReadRule>>,
}

impl TickJudge {
    /// Takes up rules. One that was judged before goes on. Returns what is active of rules that are gone.
    pub fn begin(&mut self, rules: Vec<Arc<ReadRule>>) -> Vec<Box<Published>> {
        let mut known = std::mem::take(&mut self.memories);
        for rule in &rules {
            let memory = match known.iter().position(|memory| memory.identity == rule.identity) {
                Some(at) => known.swap_remove(at),
                None => Memory::new(rule.identity),
            };
            self.memories.push(memory);
        }
        self.rules = rules;
        let active = known.into_iter().filter_map(|mut memory| {
            memory.holding.filter(|holding| holding.has_fired).and(memory.found.pop_back())?.published
        });
        active.collect()
    }

    /// True without rules.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// True where a rule takes an indicator of the forming bar.
    #[must_use]
    pub fn takes_indicators(&self) -> bool {
        self.rules.iter().any(|rule| rule.fields.iter().any(|field| field.is_indicator()))
    }

    /// Judges a trade. Trades that the same entry took out have been withdrawn.
    pub fn judge(&mut self, samples: &Samples, tick: &Tick<'_>, publisher: &mut Publisher<'_>) {
        let history = samples.forming(tick.start, tick.row);
        for (rule, memory) in self.rules.iter().zip(&mut self.memories) {
            match rule.condition.holds(&history) {
                Some(false) => memory.end(publisher),
                Some(true) if memory.is_to_fire(rule, tick) => {
                    let cause = Cause { pos: publisher.pos, revision: 0, trade: Some(tick.order.id) };
                    let evidence = rule.condition.evidence(&history);
                    let finding = finding(rule, evidence, (tick.order.ts, tick.start), cause);
                    memory.fire(tick, finding, publisher);
                }
                None | Some(true) => {}
            }
        }
    }

    /// Withdraws what a trade caused that was cancelled or corrected; [`TickJudge::settle`] publishes that.
    pub fn withdraw(&mut self, order: TradeOrder) {
        self.memories.iter_mut().for_each(|memory| memory.withdraw(order));
    }

    /// Publishes what was withdrawn and not found again. Once an entry, behind everything else.
    pub fn settle(&mut self, publisher: &mut Publisher<'_>) {
        self.memories.iter_mut().for_each(|memory| memory.settle(publisher));
    }

    /// Says that no trade before then is cancelled or corrected any more.
    pub fn seal(&mut self, until: Nanos) {
        for memory in &mut self.memories {
            let is_open = memory.holding.is_some_and(|holding| holding.has_fired);
            while memory.found.len() > usize::from(is_open)
                && memory.found.front().is_some_and(|found| found.order.ts < until)
            {
                memory.found.pop_front();
            }
        }
    }

    /// Makes room for a source among the ranks of the others.
    pub fn make_room(&mut self, rank: SourceRank) {
        let found = self.memories.iter_mut().flat_map(|memory| &mut memory.found);
        found.for_each(|found| found.order.make_room(rank));
    }
}

impl Memory {
    const fn new(identity: u64) -> Memory {
        Memory { identity, holding: None, fired_in: None, found: VecDeque::new(), has_gone: false }
    }

    /// Notes that the rule holds. Returns true where an anomaly begins.
    fn is_to_fire(&mut self, rule: &ReadRule, tick: &Tick<'_>) -> bool {
        let holding = self.holding.get_or_insert(Holding { since: tick.order.ts, has_fired: false });
        if holding.has_fired || tick.order.ts.since(holding.since) < rule.holds_for {
            return false;
        }
        if rule.fire == Fire::Bar && self.fired_in == Some(tick.start) {
            return false;
        }
        holding.has_fired = true;
        self.fired_in = Some(tick.start);
        true
    }

    /// Notes that a trade fired.
    fn fire(&mut self, tick: &Tick<'_>, finding: Option<Finding>, publisher: &mut Publisher<'_>) {
        let Tick { order, start, .. } = *tick;
        let known = self.found.iter().rposition(|found| found.order.ts == order.ts);
        let mut found = known.and_then(|at| self.found.remove(at)).unwrap_or(Found {
            order,
            start,
            published: None,
            is_gone: false,
        });
        if found.published.is_none() || found.is_withdrawn() {
            (found.order, found.is_gone) = (order, false);
            publisher.settle(&mut found.published, finding.map(|finding| (finding, AnomalyState::Active)));
        } else {
            publisher.set_state(&mut found.published, AnomalyState::Active);
        }
        self.found.push_back(found);
    }

    /// Publishes what is gone, and forgets the oldest where there are too many.
    fn settle(&mut self, publisher: &mut Publisher<'_>) {
        if std::mem::take(&mut self.has_gone) {
            for found in &mut self.found {
                if std::mem::take(&mut found.is_gone) {
                    publisher.settle(&mut found.published, None);
                }
            }
        }
        if self.found.len() > FOUND_MAX {
            self.found.pop_front();
        }
    }

    /// Notes that the rule does not hold.
    fn end(&mut self, publisher: &mut Publisher<'_>) {
        let Some(holding) = self.holding.take() else { return };
        if holding.has_fired
            && let Some(open) = self.found.back_mut()
        {
            publisher.set_state(&mut open.published, AnomalyState::Ended);
        }
    }

    fn withdraw(&mut self, order: TradeOrder) {
        let is_its = |found: &Found| found.order == order && !found.is_withdrawn();
        let Some(at) = self.found.iter().rposition(is_its) else { return };
        let is_newest = at + 1 == self.found.len();
        let found = &mut self.found[at];
        found.is_gone = true;
        self.has_gone = true;
        if is_newest {
            // The excursion that it began is no more; the next trade begins another one. One that follows an excursion that
            // has ended, and was not held for long enough yet, stays.
            self.holding = self.holding.filter(|holding| !holding.has_fired);
        }
        self.fired_in = self.fired_in.filter(|start| *start != found.start);
    }
}
