//! Predictions: what a model said that the close of a coming bar would be.
//!
//! Promises: pure values. A prediction is known by (symbol, time, horizon, model version), and what was said first stays:
//! of a repeat only the price that came in the end is taken, once ([`Prediction::learn`]). Nothing here fails.

use super::time::Nanos;

/// One prediction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prediction {
    /// The symbol in its one spelling.
    pub symbol: String,
    /// End of the bar whose close it speaks of; stores keep microseconds.
    pub time: Nanos,
    /// How far ahead of the last known bar that is, in minutes.
    pub horizon_minutes: u32,
    /// Version of the model.
    pub model_version: String,
    /// Last known close.
    pub current_price: f64,
    /// The close that is expected, also where the model abstained.
    pub predicted_price: f64,
    /// How sure the model is, 0 to 1.
    pub confidence: f64,
    /// Lower end of the interval.
    pub lower: Option<f64>,
    /// Upper end of the interval.
    pub upper: Option<f64>,
    /// True when the model says that it knows too little to be used.
    pub abstained: bool,
    /// The close that came, once it is known.
    pub actual_price: Option<f64>,
    /// Measured skill of the model when it spoke: the share of the naive forecast's error that it saves, at most 1, and
    /// negative where it is worse.
    pub skill: Option<f64>,
}

impl Prediction {
    /// Takes over what a repeat knows more than this, the first of its key. Returns true when that changed something.
    pub fn learn(&mut self, repeat: &Prediction) -> bool {
        let learns = self.actual_price.is_none() && repeat.actual_price.is_some();
        if learns {
            self.actual_price = repeat.actual_price;
        }
        learns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_first_stays_and_the_price_that_came_is_added_once() {
        let mut first = Prediction { predicted_price: 100.0, ..Prediction::default() };
        assert!(!first.learn(&Prediction { predicted_price: 101.0, ..Prediction::default() }));
        let came =
            |price| Prediction { predicted_price: 102.0, actual_price: Some(price), ..Prediction::default() };
        assert!(first.learn(&came(99.0)));
        assert!(!first.learn(&came(98.0)));
        assert_eq!((first.predicted_price, first.actual_price), (100.0, Some(99.0)));
    }
}
