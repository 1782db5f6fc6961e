//! Reads the text of a rule: `rsi_14 < 25 and volume > 3 * avg(volume, 20) on 5min`.
//!
//! Promises: one pass over the text; a text, its nesting and what it costs to judge are limited. On failure the first fault
//! is said with its place, what was expected there, and the known name that is spelled nearly so.

use super::condition::{Arithmetic, Comparison, Condition, Number, Summary};
use super::fault::RuleFault;
use super::field::Field;
use super::token::{Token, tokens};
use crate::models::time::{Width, parse_span};
use std::ops::Range;

/// Longest text in bytes.
pub const TEXT_MAX: usize = 1_000;
/// Most bars before the one that is judged: they are kept for each symbol.
pub const LOOK_BACK_MAX: usize = 200;
/// Deepest nesting: each level takes some of the stack.
const DEPTH_MAX: usize = 32;
/// Most values that are worked out for one judgement.
const NUM_VALUES_MAX: usize = 4_000;
/// How alike two names are at least that one is taken for a slip of the other, from 0 to 1.
const ALIKE_MIN: f64 = 0.75;

/// The functions, by name.
const FUNCTIONS: [&str; 8] = ["avg", "min", "max", "sum", "stddev", "prev", "abs", "pct_change"];
/// The words that are no names.
const WORDS: [&str; 4] = ["and", "or", "not", "on"];

/// What a text says.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// When the rule holds.
    pub condition: Condition,
    /// The window after `on`, and its place.
    pub window: Option<(Width, Range<usize>)>,
    /// Spans in nanoseconds that are counted in windows, and their places.
    pub(super) spans: Vec<(i64, Range<usize>)>,
}

/// Reads a text.
///
/// # Errors
/// The first fault.
pub fn parse(text: &str) -> Result<Parsed, RuleFault> {
    if text.len() > TEXT_MAX {
        let reason = format!("the text has {} bytes, at most {TEXT_MAX} are read", text.len());
        return Err(RuleFault::at(text, 0..0, reason));
    }
    let mut parser = Parser { text, tokens: tokens(text)?, at: 0, depth: 0, spans: Vec::new() };
    let condition = parser.whole_condition()?;
    let window = parser.window()?;
    if let Some((_, part)) = parser.peek_part() {
        let expected = if window.is_some() { "the end" } else { "`and`, `or`, `on` or the end" };
        return Err(parser.unexpected(part, expected));
    }
    let num_values = condition.num_values();
    if num_values > NUM_VALUES_MAX {
        let reason = format!(
            "it takes {num_values} values of bars to judge once, at most {NUM_VALUES_MAX} are allowed"
        );
        return Err(RuleFault::at(text, 0..text.len(), reason));
    }
    Ok(Parsed { condition, window, spans: parser.spans })
}

/// What stands in parentheses may be either.
enum Term {
    Number(Number),
    Condition(Condition),
}

/// A term and its place.
type Placed = (Term, Range<usize>);

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<(Token<'t>, Range<usize>)>,
    at: usize,
    depth: usize,
    spans: Vec<(i64, Range<usize>)>,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<Token<'t>> {
        self.tokens.get(self.at).map(|(token, _)| *token)
    }

    fn peek_part(&self) -> Option<(Token<'t>, Range<usize>)> {
        self.tokens.get(self.at).cloned()
    }

    /// Returns the place of the next token, or of the end.
    fn here(&self) -> Range<usize> {
        self.tokens.get(self.at).map_or(self.text.len()..self.text.len(), |(_, part)| part.clone())
    }

    /// Returns the end of the last token.
    fn end(&self) -> usize {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(0, |(_, part)| part.end)
    }

    fn fault(&self, part: Range<usize>, reason: impl Into<String>) -> RuleFault {
        RuleFault::at(self.text, part, reason.into())
    }

    fn unexpected(&self, part: Range<usize>, expected: &str) -> RuleFault {
        let found = match self.text.get(part.clone()).filter(|found| !found.is_empty()) {
            Some(found) => format!("`{found}`"),
            None => "the end".to_owned(),
        };
        self.fault(part, format!("expected {expected}, found {found}"))
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let is_next = matches!(self.peek(), Some(Token::Sign(found)) if found == sign);
        self.at += usize::from(is_next);
        is_next
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is_next = matches!(self.peek(), Some(Token::Name(found)) if found.eq_ignore_ascii_case(word));
        self.at += usize::from(is_next);
        is_next
    }

    fn expect_sign(&mut self, sign: &str, expected: &str) -> Result<(), RuleFault> {
        if self.take_sign(sign) { Ok(()) } else { Err(self.unexpected(self.here(), expected)) }
    }

    /// Reads something one level deeper.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, RuleFault>) -> Result<T, RuleFault> {
        if self.depth == DEPTH_MAX {
            return Err(self.fault(self.here(), format!("nested more than {DEPTH_MAX} deep")));
        }
        self.depth += 1;
        let found = read(self);
        self.depth -= 1;
        found
    }

    fn whole_condition(&mut self) -> Result<Condition, RuleFault> {
        let term = self.either()?;
        self.condition_of(term)
    }

    fn condition_of(&self, (term, part): Placed) -> Result<Condition, RuleFault> {
        match term {
            Term::Condition(condition) => Ok(condition),
            Term::Number(_) => {
                let shown = self.text.get(part.clone()).unwrap_or_default();
                let reason = format!("`{shown}` is a number; expected a comparison, such as `{shown} > 0`");
                Err(self.fault(part, reason))
            }
        }
    }

    fn number_of(&self, (term, part): Placed) -> Result<Number, RuleFault> {
        match term {
            Term::Number(number) => Ok(number),
            Term::Condition(_) => {
                Err(self.fault(part, "a comparison is no number; join comparisons by `and` or `or`"))
            }
        }
    }

    /// Reads the alternatives that `or` joins.
    fn either(&mut self) -> Result<Placed, RuleFault> {
        self.joined("or", Parser::both, Condition::Or)
    }

    /// Reads what `and` joins.
    fn both(&mut self) -> Result<Placed, RuleFault> {
        self.joined("and", Parser::negation, Condition::And)
    }

    fn joined(
        &mut self,
        word: &str,
        part: fn(&mut Self) -> Result<Placed, RuleFault>,
        join: fn(Box<(Condition, Condition)>) -> Condition,
    ) -> Result<Placed, RuleFault> {
        let start = self.here().start;
        let mut term = part(self)?;
        // What is joined nests to the left, and is judged as deeply.
        let depth = self.depth;
        while self.take_word(word) {
            self.deepen()?;
            let left = self.condition_of(term)?;
            let right = part(self)?;
            let right = self.condition_of(right)?;
            term = (Term::Condition(join(Box::new((left, right)))), start..self.end());
        }
        self.depth = depth;
        Ok(term)
    }

    fn deepen(&mut self) -> Result<(), RuleFault> {
        self.nested(|_| Ok(()))?;
        self.depth += 1;
        Ok(())
    }

    fn negation(&mut self) -> Result<Placed, RuleFault> {
        let start = self.here().start;
        if !self.take_word("not") {
            return self.comparison();
        }
        let inner = self.nested(Parser::negation)?;
        let inner = self.condition_of(inner)?;
        Ok((Term::Condition(Condition::Not(Box::new(inner))), start..self.end()))
    }

    fn comparison(&mut self) -> Result<Placed, RuleFault> {
        let start = self.here().start;
        let left = self.sum()?;
        let Some(comparison) = self.take_comparison() else { return Ok(left) };
        let left = self.number_of(left)?;
        let right = self.sum()?;
        let right = self.number_of(right)?;
        let part = self.here();
        if self.take_comparison().is_some() {
            return Err(
                self.fault(part, "comparisons are joined by `and`, as in `20 < rsi_14 and rsi_14 < 80`")
            );
        }
        Ok((Term::Condition(Condition::Compare(comparison, left, right)), start..self.end()))
    }

    fn take_comparison(&mut self) -> Option<Comparison> {
        let Some(Token::Sign(sign)) = self.peek() else { return None };
        let comparison = match sign {
            "<" => Comparison::Less,
            "<=" => Comparison::AtMost,
            ">" => Comparison::Greater,
            ">=" => Comparison::AtLeast,
            "==" => Comparison::Equal,
            "!=" => Comparison::Different,
            _ => return None,
        };
        self.at += 1;
        Some(comparison)
    }

    fn sum(&mut self) -> Result<Placed, RuleFault> {
        self.worked_out(&[("+", Arithmetic::Add), ("-", Arithmetic::Subtract)], Parser::product)
    }

    fn product(&mut self) -> Result<Placed, RuleFault> {
        self.worked_out(&[("*", Arithmetic::Multiply), ("/", Arithmetic::Divide)], Parser::signed)
    }

    fn worked_out(
        &mut self,
        signs: &[(&str, Arithmetic)],
        part: fn(&mut Self) -> Result<Placed, RuleFault>,
    ) -> Result<Placed, RuleFault> {
        let start = self.here().start;
        let mut term = part(self)?;
        let depth = self.depth;
        while let Some((_, arithmetic)) = signs.iter().find(|(sign, _)| self.take_sign(sign)) {
            self.deepen()?;
            let left = self.number_of(term)?;
            let right = part(self)?;
            let right = self.number_of(right)?;
            term = (Term::Number(Number::Of(*arithmetic, Box::new((left, right)))), start..self.end());
        }
        self.depth = depth;
        Ok(term)
    }

    fn signed(&mut self) -> Result<Placed, RuleFault> {
        let start = self.here().start;
        if !self.take_sign("-") {
            return self.atom();
        }
        let inner = self.nested(Parser::signed)?;
        let inner = self.number_of(inner)?;
        Ok((Term::Number(Number::Negative(Box::new(inner))), start..self.end()))
    }

    fn atom(&mut self) -> Result<Placed, RuleFault> {
        let expected = "a number, a name or `(`";
        let Some((token, part)) = self.peek_part() else {
            return Err(self.unexpected(self.here(), expected));
        };
        self.at += 1;
        let term = match token {
            Token::Number(value) if value.is_finite() => Term::Number(Number::Literal(value)),
            Token::Number(_) => return Err(self.fault(part, "the number is too large")),
            Token::Sign("(") => {
                let (inner, _) = self.nested(Parser::either)?;
                self.expect_sign(")", "`)`")?;
                inner
            }
            Token::Name(name) if !WORDS.iter().any(|word| name.eq_ignore_ascii_case(word)) => {
                Term::Number(self.named(name, part.clone())?)
            }
            Token::Quantity(text) if parse_span(text).is_some() => {
                let reason = format!("`{text}` is a span; only `pct_change` and `on` take one");
                return Err(self.fault(part, reason));
            }
            Token::Quantity(text) => {
                let reason = format!("`{text}` is neither a number nor a span such as `15min`");
                return Err(self.fault(part, reason));
            }
            Token::Name(_) | Token::Sign(_) => return Err(self.unexpected(part, expected)),
        };
        Ok((term, part.start..self.end()))
    }

    /// Reads what a name begins: a field, or a function with what it takes.
    fn named(&mut self, name: &str, part: Range<usize>) -> Result<Number, RuleFault> {
        let lower = name.to_ascii_lowercase();
        let is_called = matches!(self.peek(), Some(Token::Sign("(")));
        if !is_called {
            return Field::of(&lower).map(Number::Value).ok_or_else(|| match lower.as_str() {
                function if FUNCTIONS.contains(&function) => {
                    let reason = format!(
                        "`{name}` is a function; expected what it takes, as in `{}`",
                        usage(function)
                    );
                    self.fault(part, reason)
                }
                _ => self.unknown(name, part, "name", Field::names().chain(["price"])),
            });
        }
        if !FUNCTIONS.contains(&lower.as_str()) {
            if Field::of(&lower).is_some() {
                return Err(self.fault(part, format!("`{name}` is a value and no function")));
            }
            return Err(self.unknown(name, part, "function", FUNCTIONS.into_iter()));
        }
        self.at += 1;
        let number = self.nested(|parser| parser.call(&lower))?;
        self.expect_sign(")", &format!("`)`, as in `{}`", usage(&lower)))?;
        // A bar lasts for a nanosecond at least: spans are counted once the window is known.
        let look_back = number.look_back(i64::MAX);
        if look_back > LOOK_BACK_MAX {
            let reason = format!("it looks back at {look_back} bars, at most {LOOK_BACK_MAX} are kept");
            return Err(self.fault(part.start..self.end(), reason));
        }
        Ok(number)
    }

    /// Reads what a function takes.
    fn call(&mut self, function: &str) -> Result<Number, RuleFault> {
        if function == "pct_change" {
            return self.pct_change();
        }
        let inner = self.sum()?;
        let inner = Box::new(self.number_of(inner)?);
        if function == "abs" {
            return Ok(Number::Abs(inner));
        }
        self.expect_sign(",", &format!("`,` and a number of bars, as in `{}`", usage(function)))?;
        let bars = self.bars(function)?;
        Ok(match function {
            "avg" => Number::Over(Summary::Avg, inner, bars),
            "min" => Number::Over(Summary::Min, inner, bars),
            "max" => Number::Over(Summary::Max, inner, bars),
            "sum" => Number::Over(Summary::Sum, inner, bars),
            "stddev" => Number::Over(Summary::Stddev, inner, bars),
            _ => Number::Prev(inner, bars),
        })
    }

    fn pct_change(&mut self) -> Result<Number, RuleFault> {
        let Some((Token::Quantity(text), part)) = self.peek_part() else {
            return self.bars("pct_change").map(Number::ChangeOverBars);
        };
        let span = parse_span(text).filter(|span| *span > 0);
        let span =
            span.ok_or_else(|| self.unexpected(part.clone(), "a span such as `15min`, or a number of bars"))?;
        self.at += 1;
        self.spans.push((span, part));
        Ok(Number::ChangeOverSpan(span))
    }

    /// Reads a number of bars.
    fn bars(&mut self, function: &str) -> Result<usize, RuleFault> {
        let expected =
            || format!("a whole number of bars from 1 to {LOOK_BACK_MAX}, as in `{}`", usage(function));
        let Some((Token::Number(bars), part)) = self.peek_part() else {
            return Err(self.unexpected(self.here(), &expected()));
        };
        if bars.fract() != 0.0 || !(1.0..=LOOK_BACK_MAX as f64).contains(&bars) {
            return Err(self.unexpected(part, &expected()));
        }
        self.at += 1;
        Ok(bars as usize)
    }

    /// Reads `on 5min` at the end.
    fn window(&mut self) -> Result<Option<(Width, Range<usize>)>, RuleFault> {
        if !self.take_word("on") {
            return Ok(None);
        }
        let part = self.here();
        let width = match self.peek() {
            Some(Token::Quantity(text)) => Width::parse(text),
            _ => None,
        };
        let width = width.ok_or_else(|| self.unexpected(part.clone(), "a window such as `5min`"))?;
        self.at += 1;
        Ok(Some((width, part)))
    }

    fn unknown(
        &self,
        name: &str,
        part: Range<usize>,
        what: &str,
        known: impl Iterator<Item = &'static str>,
    ) -> RuleFault {
        let lower = name.to_ascii_lowercase();
        let known: Vec<&str> = known.collect();
        let alike = known.iter().map(|known| (strsim::jaro_winkler(&lower, known), known));
        let nearest = alike.max_by(|(a, _), (b, _)| a.total_cmp(b)).filter(|(alike, _)| *alike >= ALIKE_MIN);
        let hint = match nearest {
            Some((_, known)) => format!("; did you mean `{known}`?"),
            None => format!("; there are `{}`", known.join("`, `")),
        };
        self.fault(part, format!("there is no {what} `{name}`{hint}"))
    }
}

/// Returns an example of a function's use.
fn usage(function: &str) -> &'static str {
    match function {
        "avg" => "avg(volume, 20)",
        "min" => "min(low, 20)",
        "max" => "max(high, 20)",
        "sum" => "sum(volume, 20)",
        "stddev" => "stddev(close, 20)",
        "prev" => "prev(close, 1)",
        "abs" => "abs(close - open)",
        _ => "pct_change(15min)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::rules::condition::History;
    use proptest::prelude::*;

    /// Bars whose values are all their number, counted from 0; the newest is the last.
    struct Counted(usize);

    impl History for Counted {
        fn value(&self, _field: Field, ago: usize) -> f64 {
            self.0.checked_sub(ago + 1).map_or(f64::NAN, |at| at as f64)
        }

        fn price_before(&self, ago: usize, span: i64) -> f64 {
            self.value(Field::CLOSE, ago + usize::try_from(span / 60_000_000_000).expect("short"))
        }
    }

    #[test]
    fn what_is_written_is_judged() {
        // After bars 0 to 9.
        let table = [
            ("price > 8", Some(true)),
            ("price > 9", Some(false)),
            ("PRICE >= 9 AND Close == 9", Some(true)),
            ("2 + 3 * 2 == 8", Some(true)),
            ("(2 + 3) * 2 == 10", Some(true)),
            ("8 - 4 - 2 == 2", Some(true)),
            ("8 / 4 / 2 == 1", Some(true)),
            ("-price == 0 - 9", Some(true)),
            ("- -price == 9", Some(true)),
            ("avg(volume, 3) == 8", Some(true)),
            ("sum(volume, 3) == 24", Some(true)),
            ("min(low, 3) == 7 and max(high, 3) == 9", Some(true)),
            ("stddev(close, 2) == 0.5", Some(true)),
            ("prev(close, 9) == 0", Some(true)),
            ("prev(close, 10) == 0", None),
            ("avg(close, 11) > 0", None),
            ("prev(avg(close, 3), 2) == 6", Some(true)),
            ("avg(abs(close - prev(close, 1)), 4) == 1", Some(true)),
            ("pct_change(3) == 50", Some(true)),
            ("pct_change(3min) == 50", Some(true)),
            ("price / 0 > 1", None),
            ("price / 0 > 1 or price > 1", Some(true)),
            ("price > 1 or price / 0 > 1", Some(true)),
            ("price / 0 > 1 and price < 1", Some(false)),
            ("price / 0 > 1 and price > 1", None),
            ("not price / 0 > 1", None),
            ("not price > 9 and not not price > 8", Some(true)),
            ("price < 1 and price < 1 or price > 1", Some(true)),
            ("not (price < 1 or price > 8)", Some(false)),
            ("price != 9", Some(false)),
        ];
        for (text, expected) in table {
            let parsed = parse(text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
            assert_eq!(parsed.condition.holds(&Counted(10)), expected, "{text}");
        }
    }

    #[test]
    fn the_window_and_what_is_looked_back_at_are_known() {
        let parsed = parse("pct_change(15min) < -3 on 5min").expect("a rule");
        assert_eq!(parsed.window, Some((Width::parse("5min").expect("a width"), 26..30)));
        assert_eq!(parsed.spans, [(15 * 60_000_000_000, 11..16)]);
        let minutes = |text: &str, minutes: i64| {
            parse(text).expect("a rule").condition.look_back(minutes * 60_000_000_000)
        };
        assert_eq!(minutes("pct_change(15min) < -3", 5), 3);
        assert_eq!(minutes("volume > 3 * avg(volume, 20)", 1), 19);
        assert_eq!(minutes("prev(avg(volume, 20), 1) > 0 or price > 1", 1), 20);
        assert_eq!(minutes("price > 200", 1), 0);
        let fields = parse("volume > 3 * avg(volume, 20) and price > 1").expect("a rule").condition.fields();
        assert_eq!(fields, ["volume", "price"].map(|name| Field::of(name).expect("known")));
    }

    #[test]
    fn evidence_is_what_holds_with_the_changing_side_first() {
        let of = |text: &str| {
            let evidence = parse(text).expect("a rule").condition.evidence(&Counted(10));
            evidence.map(|evidence| (evidence.value, evidence.threshold))
        };
        assert_eq!(of("price > 8"), Some((9.0, 8.0)));
        assert_eq!(of("8 < price"), Some((9.0, 8.0)));
        assert_eq!(of("price < 8 or volume > 2 * 3"), Some((9.0, 6.0)));
        assert_eq!(of("not price > 100"), Some((9.0, 100.0)));
    }

    #[test]
    fn a_fault_says_where_it_is_and_what_was_expected() {
        let table: [(&str, usize, &str); 27] = [
            ("", 1, "expected a number, a name or `(`, found the end"),
            ("price", 1, "`price` is a number; expected a comparison, such as `price > 0`"),
            ("price >", 8, "expected a number, a name or `(`, found the end"),
            ("price > 200 volume", 13, "expected `and`, `or`, `on` or the end, found `volume`"),
            ("rsi14 < 25", 1, "there is no name `rsi14`; did you mean `rsi_14`?"),
            ("qqq < 25", 1, "there is no name `qqq`; there are `open`"),
            ("price > 1 and volum > 3", 15, "did you mean `volume`?"),
            ("mean(volume, 20) > 1", 1, "there is no function `mean`"),
            ("avrg(volume, 20) > 1", 1, "did you mean `avg`?"),
            ("rsi_14(5) > 1", 1, "is a value and no function"),
            ("avg > 1", 1, "as in `avg(volume, 20)`"),
            ("avg(volume) > 1", 11, "expected `,` and a number of bars, as in `avg(volume, 20)`"),
            ("avg(volume, 0) > 1", 13, "a whole number of bars from 1 to 200"),
            ("avg(volume, 1.5) > 1", 13, "a whole number of bars"),
            ("avg(volume, 201) > 1", 13, "found `201`"),
            ("prev(avg(close, 150), 100) > 1", 1, "it looks back at 249 bars, at most 200"),
            ("avg(avg(close, 70), 70) > 1", 1, "it takes 4900 values"),
            ("avg(volume, 20 > 1", 16, "expected `)`, as in"),
            ("pct_change(15xx) < 1", 12, "expected a span such as `15min`"),
            ("price > 15min", 9, "only `pct_change` and `on` take one"),
            ("price > 15q", 9, "neither a number nor a span"),
            ("20 < rsi_14 < 80", 13, "comparisons are joined by `and`"),
            ("(price > 1) + 2 > 3", 1, "a comparison is no number"),
            ("price > 1 on", 13, "expected a window such as `5min`, found the end"),
            ("price > 1 on 7min", 14, "expected a window such as `5min`, found `7min`"),
            ("price > 1 on 5min and volume > 1", 19, "expected the end"),
            ("price > and 1", 9, "expected a number, a name or `(`, found `and`"),
        ];
        for (text, column, part) in table {
            let fault = parse(text).expect_err(text);
            assert_eq!((fault.line, fault.column), (1, column), "{text}: {fault}");
            assert!(fault.reason.contains(part), "{text}: {fault}");
        }
    }

    #[test]
    fn a_text_and_its_nesting_are_limited() {
        let deep = |levels: usize| format!("{}price{} > 1", "(".repeat(levels), ")".repeat(levels));
        assert!(parse(&deep(DEPTH_MAX)).is_ok());
        let fault = parse(&deep(DEPTH_MAX + 1)).expect_err("too deep");
        assert!(fault.reason.contains("nested"), "{fault}");
        for text in [
            format!("price > 1{}", " + 1".repeat(DEPTH_MAX + 1)),
            format!("{}price > 1", "not ".repeat(DEPTH_MAX + 1)),
            format!("price > {}1", "-".repeat(DEPTH_MAX + 1)),
            format!("price > 1{}", " or price > 1".repeat(DEPTH_MAX + 1)),
        ] {
            assert!(parse(&text).expect_err(&text).reason.contains("nested"), "{text}");
        }
        let long = format!("price > 1{}", " ".repeat(TEXT_MAX));
        assert!(parse(&long).expect_err("too long").reason.contains("1009 bytes"));
        let number = format!("price > 1e{}", "9".repeat(10));
        assert!(parse(&number).expect_err("too large").reason.contains("too large"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_within_it(
            words in prop::collection::vec(prop::sample::select(vec![
                "price", "rsi_14", "avg", "pct_change", "(", ")", ",", "<", ">", "==", "and", "or", "not", "on", "5min",
                "20", "1e9", "-", "*", "/", "\n", "é", "$",
            ]), 0..40),
        ) {
            let text = words.join(" ");
            match parse(&text) {
                Ok(parsed) => {
                    let _: Option<bool> = parsed.condition.holds(&Counted(3));
                }
                Err(fault) => {
                    let lines = text.matches('\n').count() + 1;
                    prop_assert!(fault.line <= lines && fault.column <= text.chars().count() + 1);
                    prop_assert!(!fault.reason.is_empty() && !fault.shown_in(&text).is_empty());
                }
            }
        }
    }
}
