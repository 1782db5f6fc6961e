//! Judges rules on closed bars.
//!
//! Promises: after any sequence of new, amended and void bars, what is published is what a single pass over the final bars
//! finds: a bar that changed is judged again together with those after it. One excursion is one anomaly: it begins with the
//! bar at which the rule has held for as long as it must, and has ended with the first one for which it does not hold.
//! What is not known changes neither. A sealed bar does not change, so of it only what later bars need is kept.

use super::condition::Evidence;
use super::field::Row;
use super::rule::ReadRule;
use super::samples::Samples;
use crate::models::anomaly::AnomalyState;
use crate::models::detection::{Cause, Finding, Published, Publisher};
use crate::models::entry::Position;
use crate::models::time::{Nanos, Width};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::Arc;

/// Bars that are kept beyond those that rules look back at, so that many are let go together.
const SLACK: usize = 16;

/// A rule holds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Holding {
    /// End of the first bar for which it did.
    since: Nanos,
    /// Start of the bar at which it fired.
    fired: Option<Nanos>,
}

/// The entry that changed a bar last, and how many did after it closed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct RuledBar {
    /// The entry.
    pub pos: Position,
    /// How many.
    pub revision: u32,
}

/// What is remembered of one rule.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Memory {
    identity: u64,
    /// Bars that start before this had closed before the rule was taken up.
    begins: Nanos,
    /// After the newest sealed bar.
    sealed: Option<Holding>,
    /// After each unsealed bar.
    after: VecDeque<Option<Holding>>,
    /// What was published of each unsealed bar.
    published: VecDeque<Option<Box<Published>>>,
    /// The excursion that began in a sealed bar and may go on.
    began: Option<Box<Published>>,
}

/// Judges the closed bars of one width.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BarJudge {
    samples: Samples,
    /// Bars that are known to be sealed.
    num_sealed: usize,
    /// Of each unsealed bar.
    unsealed: VecDeque<RuledBar>,
    memories: Vec<Memory>,
    /// One for each of the memories.
    #[serde(skip)]
    rules: Vec<Arc<ReadRule>>,
    /// Bars before the one that is judged that rules take.
    #[serde(skip)]
    look_back: usize,
    /// Bars that start before this have been judged.
    #[serde(skip, default = "all")]
    unjudged_from: Nanos,
    /// What was published of bars that are void by now.
    #[serde(skip)]
    void: Vec<Option<Box<Published>>>,
}

const fn all() -> Nanos {
    Nanos::MAX
}

/// What is to be published of a bar.
struct Wanted {
    start: Nanos,
    onset: Option<Finding>,
    has_ended: bool,
}

impl BarJudge {
    /// Makes one that has seen no bar.
    #[must_use]
    pub fn new(width: Width) -> BarJudge {
        BarJudge {
            samples: Samples::new(width),
            num_sealed: 0,
            unsealed: VecDeque::new(),
            memories: Vec::new(),
            rules: Vec::new(),
            look_back: 0,
            unjudged_from: Nanos::MAX,
            void: Vec::new(),
        }
    }

    /// Returns the width of the bars.
    #[must_use]
    pub const fn width(&self) -> Width {
        self.samples.width()
    }

    /// True where no rule is judged, and none looks back at the bars.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && !self.samples.has_fields()
    }

    /// Returns the bars that rules look back at.
    #[must_use]
    pub const fn samples(&self) -> &Samples {
        &self.samples
    }

    /// Takes up the rules of the width: those that are judged here, and others that look back at the bars. A rule that was
    /// judged before goes on; one that was not is judged from the next bar on. Returns what is active of rules that are gone.
    pub fn begin(&mut self, rules: Vec<Arc<ReadRule>>, others: &[Arc<ReadRule>]) -> Vec<Box<Published>> {
        let all = || rules.iter().chain(others);
        self.samples.keep(all().flat_map(|rule| rule.fields.iter().copied()).collect());
        self.look_back = all().map(|rule| rule.look_back).max().unwrap_or(0);
        let mut known = std::mem::take(&mut self.memories);
        let width = self.width().nanos();
        let begins =
            self.samples.len().checked_sub(1).map_or(Nanos::MIN, |at| self.samples.start(at).plus(width));
        let num_unsealed = self.unsealed.len();
        for rule in &rules {
            let memory = match known.iter().position(|memory| memory.identity == rule.identity) {
                Some(at) => known.swap_remove(at),
                None => Memory {
                    identity: rule.identity,
                    begins,
                    sealed: None,
                    after: std::iter::repeat_n(None, num_unsealed).collect(),
                    published: std::iter::repeat_with(|| None).take(num_unsealed).collect(),
                    began: None,
                },
            };
            self.memories.push(memory);
        }
        self.rules = rules;
        known.into_iter().filter_map(|memory| self.active(memory)).collect()
    }

    /// Returns the excursion that goes on.
    fn active(&self, mut memory: Memory) -> Option<Box<Published>> {
        let began = memory.after.back().copied().unwrap_or(memory.sealed)?.fired?;
        match place_unsealed(&self.samples, self.num_sealed, began) {
            Some(at) => memory.published[at].take(),
            None => memory.began,
        }
    }

    /// Takes a bar in that closed or was amended. It is judged with [`BarJudge::judge`].
    pub fn upsert(&mut self, start: Nanos, row: &Row, bar: RuledBar) {
        let (at, is_new) = self.samples.upsert(start, row);
        let Some(at) = at.checked_sub(self.num_sealed) else { return };
        if is_new {
            self.unsealed.insert(at, bar);
            for memory in &mut self.memories {
                memory.after.insert(at, None);
                memory.published.insert(at, None);
            }
        } else {
            self.unsealed[at] = bar;
        }
        self.unjudged_from = self.unjudged_from.min(start);
    }

    /// Takes a bar out that became void.
    pub fn remove(&mut self, start: Nanos) {
        let Some(at) = self.samples.remove(start).and_then(|at| at.checked_sub(self.num_sealed)) else {
            return;
        };
        self.unsealed.remove(at);
        for memory in &mut self.memories {
            memory.after.remove(at);
            self.void.extend(memory.published.remove(at).filter(Option::is_some));
        }
        self.unjudged_from = self.unjudged_from.min(start);
    }

    /// Judges what changed. `indicators` has those of the bar with this start as they are now.
    pub fn judge(&mut self, indicators: impl Fn(Nanos) -> Option<Row>, publisher: &mut Publisher<'_>) {
        self.void.drain(..).for_each(|mut void| publisher.settle(&mut void, None));
        if self.unjudged_from == Nanos::MAX {
            return;
        }
        let first = self.samples.num_before(self.unjudged_from).max(self.num_sealed);
        self.unjudged_from = Nanos::MAX;
        if self.samples.has_indicators() {
            for at in first..self.samples.len() {
                if let Some(row) = indicators(self.samples.start(at)) {
                    self.samples.set_indicators(at, &row);
                }
            }
        }
        let BarJudge { samples, num_sealed, unsealed, memories, rules, .. } = self;
        let bars = Bars { samples, num_sealed: *num_sealed, unsealed };
        for (rule, memory) in rules.iter().zip(memories) {
            memory.judge(rule, &bars, first - *num_sealed, publisher);
        }
    }

    /// Says that no bar that ends by `until` changes any more; never earlier than what was said before.
    pub fn seal(&mut self, until: Nanos) {
        let width = self.width().nanos();
        while !self.unsealed.is_empty() {
            let start = self.samples.start(self.num_sealed);
            // What waits to be judged is sealed with the next call.
            if start.plus(width) > until || start >= self.unjudged_from {
                break;
            }
            self.unsealed.pop_front();
            self.num_sealed += 1;
            self.memories.iter_mut().for_each(|memory| memory.seal(start));
        }
        let num_unneeded = self.num_sealed.saturating_sub(self.look_back);
        if num_unneeded >= SLACK {
            self.samples.let_go(num_unneeded);
            self.num_sealed -= num_unneeded;
        }
    }
}

/// The bars as they are judged.
struct Bars<'a> {
    samples: &'a Samples,
    num_sealed: usize,
    unsealed: &'a VecDeque<RuledBar>,
}

impl Memory {
    /// Judges the unsealed bars from the first that changed on.
    fn judge(&mut self, rule: &ReadRule, bars: &Bars<'_>, first: usize, publisher: &mut Publisher<'_>) {
        let Bars { samples, num_sealed, unsealed } = bars;
        let width = samples.width().nanos();
        let entering = first.checked_sub(1).map_or(self.sealed, |at| self.after[at]);
        let mut entering_goes_on = true;
        let mut now = entering;
        let mut wanted: SmallVec<[Wanted; 4]> = SmallVec::new();
        for at in first..unsealed.len() {
            let start = samples.start(num_sealed + at);
            let history = samples.closed(num_sealed + at);
            let holds = if start < self.begins { None } else { rule.condition.holds(&history) };
            let mut onset = None;
            match holds {
                None => {}
                Some(false) => {
                    if let Some(began) = now.and_then(|holding| holding.fired) {
                        match wanted.iter_mut().rfind(|one| one.start == began) {
                            Some(one) => one.has_ended = true,
                            None => entering_goes_on = false,
                        }
                    }
                    now = None;
                }
                Some(true) => {
                    let end = start.plus(width);
                    let holding = now.get_or_insert(Holding { since: end, fired: None });
                    if holding.fired.is_none() && end.since(holding.since) >= rule.holds_for {
                        holding.fired = Some(start);
                        let RuledBar { pos, revision } = unsealed[at];
                        let cause = Cause { pos, revision, trade: None };
                        onset = finding(rule, rule.condition.evidence(&history), (end, start), cause);
                    }
                }
            }
            self.after[at] = now;
            wanted.push(Wanted { start, onset, has_ended: false });
        }
        if let Some(began) = entering.and_then(|holding| holding.fired) {
            let state = if entering_goes_on { AnomalyState::Active } else { AnomalyState::Ended };
            let slot = match place_unsealed(samples, *num_sealed, began) {
                Some(at) => &mut self.published[at],
                None => &mut self.began,
            };
            publisher.set_state(slot, state);
        }
        for (slot, wanted) in self.published.iter_mut().skip(first).zip(wanted) {
            let state = if wanted.has_ended { AnomalyState::Ended } else { AnomalyState::Active };
            publisher.settle(slot, wanted.onset.map(|finding| (finding, state)));
        }
    }

    /// Lets go of the oldest unsealed bar.
    fn seal(&mut self, start: Nanos) {
        self.sealed = self.after.pop_front().flatten();
        let published = self.published.pop_front().flatten();
        match self.sealed.and_then(|holding| holding.fired) {
            None => self.began = None,
            Some(began) if began == start => self.began = published,
            Some(_) => {}
        }
    }
}

/// Returns the place of a bar among the unsealed ones.
fn place_unsealed(samples: &Samples, num_sealed: usize, start: Nanos) -> Option<usize> {
    let at = samples.num_before(start);
    (at < samples.len() && samples.start(at) == start).then(|| at.checked_sub(num_sealed)).flatten()
}

/// Makes what was found; nothing without evidence, which a rule that holds has.
pub(super) fn finding(
    rule: &ReadRule,
    evidence: Option<Evidence>,
    (time, start): (Nanos, Nanos),
    cause: Cause,
) -> Option<Finding> {
    let Evidence { value, threshold } = evidence?;
    Some(Finding::of_rule(rule.name, rule.severity, (value, threshold), (time, start), cause))
}
