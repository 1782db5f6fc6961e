//! What is wrong with a rule, and where.

use serde::Serialize;
use std::fmt;
use std::ops::Range;

/// A fault in the text of a rule, at its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleFault {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Characters that the fault is about, at least 1.
    pub length: usize,
    /// What is wrong, and what was expected.
    pub reason: String,
}

impl RuleFault {
    /// Makes the fault of a part of a text, given in bytes; a part outside of it is its end.
    #[must_use]
    pub(super) fn at(text: &str, part: Range<usize>, reason: String) -> RuleFault {
        let before = text.get(..part.start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let shown = text.get(part).unwrap_or_default().lines().next().unwrap_or_default();
        RuleFault {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            length: shown.chars().count().max(1),
            reason,
        }
    }

    /// Shows the line of the text with a mark below the fault.
    #[must_use]
    pub fn shown_in(&self, text: &str) -> String {
        let line = text.lines().nth(self.line - 1).unwrap_or_default();
        // A tab stays one, so that the mark stands below the fault however wide tabs are shown.
        let indent = line.chars().take(self.column - 1).map(|c| if c == '\t' { '\t' } else { ' ' });
        let indent: String = indent.collect();
        format!("{line}\n{indent}{}", "^".repeat(self.length))
    }
}

impl fmt::Display for RuleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.reason)
    }
}

/// A fault of one key of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFault {
    /// The key, such as `when`.
    pub key: &'static str,
    /// What is wrong; of `when`, with the place in it.
    pub reason: String,
    /// The place, of a fault in the text of `when`.
    pub place: Option<RuleFault>,
}

impl KeyFault {
    /// Makes the fault of a key.
    #[must_use]
    pub const fn new(key: &'static str, reason: String) -> KeyFault {
        KeyFault { key, reason, place: None }
    }

    /// Makes the fault of a text.
    #[must_use]
    pub fn of_text(fault: RuleFault) -> KeyFault {
        KeyFault { key: "when", reason: fault.to_string(), place: Some(fault) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_counted_in_characters() {
        let text = "price > 1\n  and ä < rsi";
        let at = text.find("rsi").expect("there");
        let fault = RuleFault::at(text, at..at + 3, "why".to_owned());
        assert_eq!((fault.line, fault.column, fault.length), (2, 11, 3));
        assert_eq!(fault.shown_in(text), "  and ä < rsi\n          ^^^");
        assert_eq!(fault.to_string(), "line 2, column 11: why");
        let end = RuleFault::at("price >", 7..7, String::new());
        assert_eq!((end.line, end.column, end.length), (1, 8, 1));
        assert_eq!(end.shown_in("price >"), "price >\n       ^");
    }
}
