//! Rules of the user's own: conditions over bars, indicators and prices, such as `rsi_14 < 25 on 5min`.
//!
//! Promises: pure, and on event time. A text is read once, with every fault said at its place; what was read is judged
//! without looking at the text again, and costs a bounded number of steps. A value that is not known (while an
//! indicator warms up, or after a division by zero) makes a comparison unknown, and what is unknown neither begins
//! nor ends anything. The files by subject: `token` and `parse` read a text, `condition` is what was read, `rule` the
//! rule and its faults, `set` all rules, `samples` the bars that rules look back at, `bars` and `ticks` the judges.

mod bars;
mod condition;
mod fault;
mod field;
mod parse;
#[cfg(test)]
mod properties;
mod rule;
mod samples;
mod set;
pub mod text;
mod ticks;
mod token;

pub use bars::{BarJudge, RuledBar};
pub use condition::{Condition, Evidence};
pub use fault::{KeyFault, RuleFault};
pub use field::{Field, Row};
pub use parse::{LOOK_BACK_MAX, TEXT_MAX, parse};
pub use rule::{Fire, Origin, ReadRule, Rule, RuleName};
pub use samples::Samples;
pub use set::{RULES_MAX, RuleSet};
pub use ticks::{Tick, TickJudge};
