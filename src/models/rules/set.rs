//! All rules of a process: as they are written, and read once for all symbols.

use super::fault::KeyFault;
use super::rule::{ReadRule, Rule};
use crate::models::time::Width;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// Most rules: each symbol judges those that are about it.
pub const RULES_MAX: usize = 64;

/// Rules. It is written and read as the list of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Rule>", into = "Vec<Rule>")]
pub struct RuleSet {
    rules: Vec<Rule>,
    read: OnceLock<Arc<[Arc<ReadRule>]>>,
}

impl From<Vec<Rule>> for RuleSet {
    fn from(rules: Vec<Rule>) -> RuleSet {
        RuleSet { rules, read: OnceLock::new() }
    }
}

impl From<RuleSet> for Vec<Rule> {
    fn from(set: RuleSet) -> Vec<Rule> {
        set.rules
    }
}

impl PartialEq for RuleSet {
    fn eq(&self, other: &RuleSet) -> bool {
        self.rules == other.rules
    }
}

impl Eq for RuleSet {}

impl Deref for RuleSet {
    type Target = [Rule];

    fn deref(&self) -> &[Rule] {
        &self.rules
    }
}

impl RuleSet {
    /// Returns the rules as they are judged. One with a fault is left out: [`RuleSet::faults`] is asked before rules are
    /// accepted, and a process with other windows than the one that accepted them judges what it can. The widths and the
    /// usual one are those of the process, the same with each call.
    #[must_use]
    pub fn read(&self, widths: &[Width], usual: Width) -> &Arc<[Arc<ReadRule>]> {
        self.read.get_or_init(|| {
            let read = self.rules.iter().take(RULES_MAX).filter_map(|rule| rule.read(widths, usual).ok());
            read.map(Arc::new).collect()
        })
    }

    /// Returns every fault of every rule: the rule's place, and what is wrong.
    #[must_use]
    pub fn faults(&self, widths: &[Width], usual: Width) -> Vec<(usize, KeyFault)> {
        let mut faults = Vec::new();
        let mut names = BTreeSet::new();
        for (at, rule) in self.rules.iter().enumerate() {
            if let Err(found) = rule.read(widths, usual) {
                faults.extend(found.into_iter().map(|fault| (at, fault)));
            }
            if !names.insert(&rule.name) {
                faults.push((at, KeyFault::new("name", format!("`{}` names another rule, too", rule.name))));
            }
        }
        if self.rules.len() > RULES_MAX {
            let reason = format!("there are {} rules, at most {RULES_MAX} are allowed", self.rules.len());
            faults.push((RULES_MAX, KeyFault::new("name", reason)));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::anomaly::Severity;
    use crate::models::rules::{Fire, Origin};
    use crate::models::symbol::SymbolSpec;
    use crate::models::time::SECOND;

    fn widths() -> Vec<Width> {
        ["1min", "5min"].map(|name| Width::parse(name).expect("a width")).to_vec()
    }

    fn named(name: &str, when: &str) -> Rule {
        Rule { name: name.to_owned(), when: when.to_owned(), ..Rule::default() }
    }

    fn faults(rule: Rule) -> Vec<String> {
        let found = RuleSet::from(vec![rule]).faults(&widths(), widths()[0]);
        found.into_iter().map(|(_, fault)| format!("{}: {}", fault.key, fault.reason)).collect()
    }

    #[test]
    fn each_fault_is_said_under_its_key() {
        assert_eq!(faults(named("a", "price > 1")), [""; 0]);
        let on_five = named("a", "price > 1 on 5min");
        let table = [
            (named("", "price > 1"), "name: a name has"),
            (named("a b", "price > 1"), "name: a name has"),
            (named(&"a".repeat(41), "price > 1"), "name: a name has"),
            (named("test", "price > 1"), "name: `test` is where"),
            (named("a", "price >"), "when: line 1, column 8: expected"),
            (
                named("a", "price > 1 on 15min"),
                "when: line 1, column 14: `15min` is no window of this service: `1min`",
            ),
            (named("a", "pct_change(7min) > 1 on 5min"), "when: line 1, column 12: the span is no multiple"),
            (named("a", "pct_change(4h) > 1"), "when: line 1, column 12: the span is 240 bars of `1min`"),
            (named("a", "avg(pct_change(3h), 30) > 1"), "when: line 1, column 1: it looks back at 209 bars"),
            (Rule { window: Width::parse("1min"), ..on_five.clone() }, "`on 5min`, but `window` says `1min`"),
            (Rule { window: Width::parse("1h"), ..named("a", "price > 1") }, "window: `1h` is no window"),
            (Rule { holds_for: -1, ..on_five.clone() }, "for: must be from"),
            (Rule { symbols: vec!["a b".to_owned()], ..on_five.clone() }, "symbols: `a b` is no symbol"),
            (Rule { symbols: vec!["A".to_owned(); 1_001], ..on_five }, "symbols: 1001 symbols"),
        ];
        for (rule, expected) in table {
            let found = faults(rule);
            assert!(found.len() == 1 && found[0].contains(expected), "{expected}: {found:?}");
        }
        let twice = RuleSet::from(vec![named("a", "price > 1"); 2]).faults(&widths(), widths()[0]);
        assert_eq!(twice.iter().map(|(at, fault)| (*at, fault.key)).collect::<Vec<_>>(), [(1, "name")]);
        let many: Vec<Rule> = (0..65).map(|at| named(&format!("r{at}"), "price > 1")).collect();
        assert_eq!(RuleSet::from(many).faults(&widths(), widths()[0]).len(), 1);
    }

    #[test]
    fn a_rule_reads_back_in_each_form_and_only_its_keys_are_taken() {
        let json = r#"{"name":"a","when":"price > 1","window":"5min","symbols":["A"],"for":"90s","fire":"tick","severity":"high","origin":"api"}"#;
        let rule: Rule = serde_json::from_str(json).expect("a rule");
        assert_eq!((rule.holds_for, rule.fire, rule.severity), (90 * SECOND, Fire::Tick, Severity::High));
        assert_eq!(rule.origin, Origin::Api);
        assert_eq!(serde_json::to_string(&rule).expect("plain data"), json);
        let set = RuleSet::from(vec![rule]);
        let bytes = postcard::to_stdvec(&set).expect("plain data");
        assert_eq!(postcard::from_bytes::<RuleSet>(&bytes), Ok(set));
        let least: Rule =
            serde_json::from_str(r#"{"name":"a","when":"price > 1"}"#).expect("the rest is usual");
        assert_eq!(least, named("a", "price > 1"));
        assert_eq!((least.fire, least.severity), (Fire::BarClose, Severity::Medium));
        for (key, value) in [
            ("for", "\"-5s\""),
            ("window", "\"7min\""),
            ("severity", "\"loud\""),
            ("fire", "\"now\""),
            ("x", "1"),
        ] {
            let text = format!(r#"{{"name":"a","when":"price > 1","{key}":{value}}}"#);
            assert!(serde_json::from_str::<Rule>(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn rules_are_read_for_the_symbols_that_they_are_about() {
        let one = Rule { symbols: vec!["A".to_owned()], ..named("one", "rsi_14 < 25 on 5min") };
        let set = RuleSet::from(vec![one.clone(), named("bad", "price >"), named("all", "price > 1")]);
        let read = set.read(&widths(), widths()[0]);
        let names: Vec<(&str, i64)> =
            read.iter().map(|rule| (rule.name.as_str(), rule.width.nanos() / SECOND)).collect();
        assert_eq!(names, [("one", 300), ("all", 60)]);
        let about = |name: &str| read.iter().filter(|rule| rule.is_about(&SymbolSpec::named(name))).count();
        assert_eq!((about("A"), about("B")), (2, 1));
        let changed = Rule { severity: Severity::Low, symbols: Vec::new(), ..one.clone() };
        let identity = |rule: &Rule| rule.read(&widths(), widths()[0]).expect("no fault").identity;
        assert_eq!(identity(&changed), identity(&one), "the same excursions");
        assert_ne!(identity(&Rule { holds_for: SECOND, ..one.clone() }), identity(&one));
    }
}
