//! What a rule may ask of a bar, and a bar's values as rules see them.

use crate::models::bar::{Bar, Figures};
use crate::models::indicators::IndicatorValues;
use crate::models::num::Scale;
use crate::models::symbol::SymbolSpec;
use serde::{Deserialize, Serialize};

/// Names of the values of a bar that are no indicators.
const BAR_NAMES: [&str; 7] = ["open", "high", "low", "close", "volume", "vwap", "trade_count"];

/// How many fields there are.
pub(super) const NUM_FIELDS: usize = BAR_NAMES.len() + IndicatorValues::NAMES.len();

/// One value of a bar: one of its own, or an indicator after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Field(u8);

impl Field {
    /// The last price; `price` is another name of it.
    pub const CLOSE: Field = Field(3);

    /// Finds a field by its name.
    #[must_use]
    pub fn of(name: &str) -> Option<Field> {
        if name == "price" {
            return Some(Field::CLOSE);
        }
        let at = Field::names().position(|known| known == name)?;
        u8::try_from(at).ok().map(Field)
    }

    /// Returns the names of all fields in the order of their places.
    pub fn names() -> impl Iterator<Item = &'static str> {
        BAR_NAMES.into_iter().chain(IndicatorValues::NAMES)
    }

    /// Returns the place among all fields.
    #[must_use]
    pub const fn place(self) -> usize {
        self.0 as usize
    }

    /// True for an indicator.
    #[must_use]
    pub const fn is_indicator(self) -> bool {
        self.place() >= BAR_NAMES.len()
    }
}

/// All values of one bar in units that people use; NaN where a value is not known.
#[derive(Clone, Copy, Debug)]
pub struct Row([f64; NUM_FIELDS]);

impl Row {
    /// Makes it of a bar's figures and the indicators after it. Without indicators these are not known.
    #[must_use]
    pub fn new(figures: &Figures, indicators: Option<&IndicatorValues>, spec: &SymbolSpec) -> Row {
        let Figures { ohlc, volume, vwap, trade_count, .. } = figures;
        let mut row = [f64::NAN; NUM_FIELDS];
        for (room, price) in row.iter_mut().zip(ohlc) {
            *room = spec.price_scale.to_f64(price.0);
        }
        row[4] = spec.size_scale.wide_to_f64(*volume);
        row[5] = vwap.map_or(f64::NAN, |vwap| Scale::VWAP.to_f64(vwap));
        row[6] = *trade_count as f64;
        if let Some(indicators) = indicators {
            put_indicators(&mut row, indicators);
        }
        Row(row)
    }

    /// Makes it of a bar that was published or stored.
    #[must_use]
    pub fn of_bar(bar: &Bar, indicators: Option<&IndicatorValues>, spec: &SymbolSpec) -> Row {
        let Bar { open, high, low, close, volume, vwap, trade_count, origin, .. } = *bar;
        let figures = Figures { ohlc: [open, high, low, close], volume, vwap, trade_count, origin };
        Row::new(&figures, indicators, spec)
    }

    /// Makes it of indicators alone.
    #[must_use]
    pub fn of_indicators(indicators: &IndicatorValues) -> Row {
        let mut row = [f64::NAN; NUM_FIELDS];
        put_indicators(&mut row, indicators);
        Row(row)
    }

    /// Returns a value; NaN where it is not known.
    #[must_use]
    pub const fn get(&self, field: Field) -> f64 {
        self.0[field.place()]
    }
}

fn put_indicators(row: &mut [f64; NUM_FIELDS], indicators: &IndicatorValues) {
    for (room, value) in row[BAR_NAMES.len()..].iter_mut().zip(indicators.in_order()) {
        *room = value.unwrap_or(f64::NAN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::bar::BarOrigin;
    use crate::models::num::Price;

    #[test]
    fn fields_are_found_by_name_and_say_what_a_bar_has() {
        let spec = SymbolSpec::named("A");
        let price = |whole: i64| Price(whole * spec.price_scale.factor());
        let figures = Figures {
            ohlc: [price(1), price(4), price(1), price(3)],
            volume: i128::from(5 * spec.size_scale.factor()),
            vwap: Some(2 * Scale::VWAP.factor()),
            trade_count: 6,
            origin: BarOrigin::Trades,
        };
        let indicators =
            IndicatorValues { rsi_14: Some(14.0), bb_lower: Some(12.0), ..IndicatorValues::default() };
        let row = Row::new(&figures, Some(&indicators), &spec);
        let value = |name: &str| row.get(Field::of(name).expect(name));
        let table = [
            ("open", 1.0),
            ("high", 4.0),
            ("low", 1.0),
            ("close", 3.0),
            ("price", 3.0),
            ("volume", 5.0),
            ("vwap", 2.0),
            ("trade_count", 6.0),
            ("rsi_14", 14.0),
            ("bb_lower", 12.0),
        ];
        for (name, expected) in table {
            assert_eq!(value(name), expected, "{name}");
        }
        assert!(value("sma_20").is_nan());
        assert_eq!(Field::of("rsi"), None);
        let num_indicators =
            Field::names().filter_map(Field::of).filter(|field| field.is_indicator()).count();
        assert_eq!(num_indicators, IndicatorValues::NAMES.len());
    }
}
