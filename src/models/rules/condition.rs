//! What a rule says, as it was read: comparisons of numbers, each worked out over a bar and those before it.
//!
//! Promises: the same values give the same bits, since only sums in one order, products, quotients, square roots and
//! comparisons are taken. What is not known stays unknown: `and` with something false is false, `or` with something true
//! is true, everything else of something unknown is unknown. A number that is not finite is not known.

use super::field::Field;

/// How two numbers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
    /// `==`
    Equal,
    /// `!=`
    Different,
}

impl Comparison {
    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Comparison::Less => left < right,
            Comparison::AtMost => left <= right,
            Comparison::Greater => left > right,
            Comparison::AtLeast => left >= right,
            Comparison::Equal => left == right,
            Comparison::Different => left != right,
        }
    }
}

/// What is worked out of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
}

/// What is worked out of the values of several bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Summary {
    /// The mean.
    Avg,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// The sum.
    Sum,
    /// The population deviation, as that of Bollinger's bands is.
    Stddev,
}

/// A number.
#[derive(Clone, Debug, PartialEq)]
pub enum Number {
    /// As it was written.
    Literal(f64),
    /// A value of the bar.
    Value(Field),
    /// The negative.
    Negative(Box<Number>),
    /// The absolute value.
    Abs(Box<Number>),
    /// Of two numbers.
    Of(Arithmetic, Box<(Number, Number)>),
    /// Over the newest bars, that one included; so many.
    Over(Summary, Box<Number>, usize),
    /// What it was so many bars ago.
    Prev(Box<Number>, usize),
    /// Per cent by which the price is off that so many bars ago.
    ChangeOverBars(usize),
    /// Per cent by which the price is off the last one that was known that span, in nanoseconds, before the window's end.
    ChangeOverSpan(i64),
}

/// A bar, and the bars before it.
pub trait History {
    /// Returns a value of the bar that many bars ago; NaN where it is not known.
    fn value(&self, field: Field, ago: usize) -> f64;

    /// Returns the last price of the newest bar that had ended that span before the end of the window so many bars ago; NaN where
    /// none had.
    fn price_before(&self, ago: usize, span: i64) -> f64;
}

impl Number {
    fn value(&self, history: &impl History, ago: usize) -> Option<f64> {
        let value = match self {
            Number::Literal(value) => *value,
            Number::Value(field) => history.value(*field, ago),
            Number::Negative(inner) => -inner.value(history, ago)?,
            Number::Abs(inner) => inner.value(history, ago)?.abs(),
            Number::Of(arithmetic, sides) => {
                let (left, right) = (sides.0.value(history, ago)?, sides.1.value(history, ago)?);
                match arithmetic {
                    Arithmetic::Add => left + right,
                    Arithmetic::Subtract => left - right,
                    Arithmetic::Multiply => left * right,
                    Arithmetic::Divide => left / right,
                }
            }
            Number::Over(summary, inner, bars) => over(*summary, inner, history, ago, *bars)?,
            Number::Prev(inner, bars) => inner.value(history, ago + bars)?,
            Number::ChangeOverBars(bars) => {
                change(history.value(Field::CLOSE, ago + bars), history.value(Field::CLOSE, ago))
            }
            Number::ChangeOverSpan(span) => {
                change(history.price_before(ago, *span), history.value(Field::CLOSE, ago))
            }
        };
        value.is_finite().then_some(value)
    }

    /// True for what is the same of every bar.
    fn is_constant(&self) -> bool {
        match self {
            Number::Literal(_) => true,
            Number::Value(_) | Number::ChangeOverBars(_) | Number::ChangeOverSpan(_) => false,
            Number::Negative(inner)
            | Number::Abs(inner)
            | Number::Over(_, inner, _)
            | Number::Prev(inner, _) => inner.is_constant(),
            Number::Of(_, sides) => sides.0.is_constant() && sides.1.is_constant(),
        }
    }

    /// Adds the fields that it takes.
    fn add_fields(&self, fields: &mut Vec<Field>) {
        match self {
            Number::Literal(_) => {}
            Number::Value(field) => add(fields, *field),
            Number::ChangeOverBars(_) | Number::ChangeOverSpan(_) => add(fields, Field::CLOSE),
            Number::Negative(inner)
            | Number::Abs(inner)
            | Number::Over(_, inner, _)
            | Number::Prev(inner, _) => {
                inner.add_fields(fields);
            }
            Number::Of(_, sides) => {
                sides.0.add_fields(fields);
                sides.1.add_fields(fields);
            }
        }
    }

    /// Returns how many bars before the one that is judged it looks back, under bars of this width in nanoseconds.
    #[must_use]
    pub fn look_back(&self, width: i64) -> usize {
        match self {
            Number::Literal(_) | Number::Value(_) => 0,
            Number::Negative(inner) | Number::Abs(inner) => inner.look_back(width),
            Number::Of(_, sides) => sides.0.look_back(width).max(sides.1.look_back(width)),
            Number::Over(_, inner, bars) => inner.look_back(width) + bars - 1,
            Number::Prev(inner, bars) => inner.look_back(width) + bars,
            Number::ChangeOverBars(bars) => *bars,
            Number::ChangeOverSpan(span) => usize::try_from(span / width).unwrap_or(usize::MAX),
        }
    }

    /// Returns how many values it takes to work it out.
    #[must_use]
    pub fn num_values(&self) -> usize {
        match self {
            Number::Literal(_) => 0,
            Number::Value(_) => 1,
            Number::ChangeOverBars(_) | Number::ChangeOverSpan(_) => 2,
            Number::Negative(inner) | Number::Abs(inner) | Number::Prev(inner, _) => inner.num_values(),
            Number::Of(_, sides) => sides.0.num_values().saturating_add(sides.1.num_values()),
            // A deviation takes each value twice.
            Number::Over(Summary::Stddev, inner, bars) => inner.num_values().saturating_mul(2 * bars),
            Number::Over(_, inner, bars) => inner.num_values().saturating_mul(*bars),
        }
    }
}

fn add(fields: &mut Vec<Field>, field: Field) {
    if !fields.contains(&field) {
        fields.push(field);
    }
}

fn change(before: f64, now: f64) -> f64 {
    (now - before) / before * 100.0
}

/// Works a summary out, oldest bar first; unknown unless the value of every bar is known.
fn over(summary: Summary, inner: &Number, history: &impl History, ago: usize, bars: usize) -> Option<f64> {
    // The oldest bar first: while there are too few bars, it is unknown at once.
    let values = || (ago..ago + bars).rev().map(|ago| inner.value(history, ago));
    let fold = |of: fn(f64, f64) -> f64| values().reduce(|before, value| Some(of(before?, value?))).flatten();
    let count = bars as f64;
    match summary {
        Summary::Min => fold(f64::min),
        Summary::Max => fold(f64::max),
        Summary::Sum => values().sum(),
        Summary::Avg => values().sum::<Option<f64>>().map(|sum| sum / count),
        Summary::Stddev => {
            let mean = values().sum::<Option<f64>>()? / count;
            let squares: Option<f64> =
                values().map(|value| value.map(|value| (value - mean) * (value - mean))).sum();
            squares.map(|squares| (squares / count).sqrt())
        }
    }
}

/// Both sides of the comparison that an anomaly shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// The side that changes; of two, the left one.
    pub value: f64,
    /// The other.
    pub threshold: f64,
}

/// What holds of a bar, or does not.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// Two numbers.
    Compare(Comparison, Number, Number),
    /// Both hold.
    And(Box<(Condition, Condition)>),
    /// One of both holds.
    Or(Box<(Condition, Condition)>),
    /// It does not hold.
    Not(Box<Condition>),
}

impl Condition {
    /// Tells whether it holds; `None` where that is not known.
    #[must_use]
    pub fn holds(&self, history: &impl History) -> Option<bool> {
        match self {
            Condition::Compare(comparison, left, right) => {
                Some(comparison.holds(left.value(history, 0)?, right.value(history, 0)?))
            }
            Condition::And(sides) => either(&sides.0, &sides.1, history, false),
            Condition::Or(sides) => either(&sides.0, &sides.1, history, true),
            Condition::Not(inner) => inner.holds(history).map(|holds| !holds),
        }
    }

    /// Returns both sides of the first comparison that holds; of the first one where none does.
    #[must_use]
    pub fn evidence(&self, history: &impl History) -> Option<Evidence> {
        let mut first = None;
        self.find_evidence(history, &mut first).or(first)
    }

    fn find_evidence(&self, history: &impl History, first: &mut Option<Evidence>) -> Option<Evidence> {
        match self {
            Condition::Compare(comparison, left, right) => {
                let (a, b) = (left.value(history, 0)?, right.value(history, 0)?);
                let (value, threshold) =
                    if left.is_constant() && !right.is_constant() { (b, a) } else { (a, b) };
                let evidence = Evidence { value, threshold };
                first.get_or_insert(evidence);
                comparison.holds(a, b).then_some(evidence)
            }
            Condition::And(sides) | Condition::Or(sides) => {
                sides.0.find_evidence(history, first).or_else(|| sides.1.find_evidence(history, first))
            }
            Condition::Not(inner) => inner.find_evidence(history, first),
        }
    }

    /// Calls a function with every number that is compared.
    fn each_number(&self, of: &mut impl FnMut(&Number)) {
        match self {
            Condition::Compare(_, left, right) => {
                of(left);
                of(right);
            }
            Condition::And(sides) | Condition::Or(sides) => {
                sides.0.each_number(of);
                sides.1.each_number(of);
            }
            Condition::Not(inner) => inner.each_number(of),
        }
    }

    /// Returns the fields that it takes, each once.
    #[must_use]
    pub fn fields(&self) -> Vec<Field> {
        let mut fields = Vec::new();
        self.each_number(&mut |number| number.add_fields(&mut fields));
        fields
    }

    /// Returns how many bars before the one that is judged it looks back, under bars of this width in nanoseconds.
    #[must_use]
    pub fn look_back(&self, width: i64) -> usize {
        let mut most = 0;
        self.each_number(&mut |number| most = most.max(number.look_back(width)));
        most
    }

    /// Returns how many values it takes to work it out.
    #[must_use]
    pub fn num_values(&self) -> usize {
        let mut sum: usize = 0;
        self.each_number(&mut |number| sum = sum.saturating_add(number.num_values()));
        sum
    }
}

/// Joins two conditions of which one that is `decisive` decides.
fn either(left: &Condition, right: &Condition, history: &impl History, decisive: bool) -> Option<bool> {
    let left = left.holds(history);
    if left == Some(decisive) {
        return left;
    }
    let right = right.holds(history);
    if right == Some(decisive) { right } else { left.and(right) }
}
