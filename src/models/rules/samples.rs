//! The bars of one width that rules look back at, with the values that they take.
//!
//! Promises: only values that a rule takes are kept, one number each; a value that is not known is NaN.

use super::condition::History;
use super::field::{Field, NUM_FIELDS, Row};
use crate::models::time::{Nanos, Width};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Stands for a field that no rule takes.
const NONE: u8 = u8::MAX;

/// Bars in order of start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Samples {
    width: Width,
    /// The fields that are kept, ascending.
    fields: Vec<Field>,
    starts: Vec<Nanos>,
    /// So many for each bar as there are fields.
    values: Vec<f64>,
    /// The place of each field among those that are kept.
    #[serde(skip)]
    columns: Columns,
}

#[derive(Clone, Copy, Debug)]
struct Columns([u8; NUM_FIELDS]);

impl Default for Columns {
    fn default() -> Self {
        Columns([NONE; NUM_FIELDS])
    }
}

impl Samples {
    /// Makes a list without bars.
    #[must_use]
    pub fn new(width: Width) -> Samples {
        let columns = Columns::default();
        Samples { width, fields: Vec::new(), starts: Vec::new(), values: Vec::new(), columns }
    }

    /// Returns the width of the bars.
    #[must_use]
    pub const fn width(&self) -> Width {
        self.width
    }

    /// Returns the number of bars.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.starts.len()
    }

    /// True without bars.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Returns the start of a bar by its place.
    #[must_use]
    pub fn start(&self, at: usize) -> Nanos {
        self.starts[at]
    }

    /// Returns the number of bars that start before then.
    #[must_use]
    pub fn num_before(&self, start: Nanos) -> usize {
        match self.starts.last() {
            Some(newest) if *newest >= start => self.starts.partition_point(|known| *known < start),
            _ => self.starts.len(),
        }
    }

    /// True where a value is kept.
    #[must_use]
    pub const fn has_fields(&self) -> bool {
        !self.fields.is_empty()
    }

    /// True where an indicator is kept, so that a bar changes with those before it.
    #[must_use]
    pub fn has_indicators(&self) -> bool {
        self.fields.iter().any(|field| field.is_indicator())
    }

    /// Keeps these fields from now on. One that was not kept before is not known of the bars that are there.
    pub fn keep(&mut self, mut fields: Vec<Field>) {
        fields.sort_unstable();
        fields.dedup();
        if fields != self.fields {
            let place = |field: &Field| self.fields.iter().position(|known| known == field);
            let places: Vec<Option<usize>> = fields.iter().map(place).collect();
            let num_before = self.fields.len();
            let value = |at: usize, place: Option<usize>| {
                place.map_or(f64::NAN, |place| self.values[at * num_before + place])
            };
            let bars = 0..self.starts.len();
            self.values = bars.flat_map(|at| places.iter().map(move |place| value(at, *place))).collect();
            self.fields = fields;
        }
        self.columns = Columns::default();
        for (column, field) in (0..).zip(&self.fields) {
            self.columns.0[field.place()] = column;
        }
    }

    /// Puts a bar in its place, or replaces the one that is there. Returns its place, and whether it is new.
    pub fn upsert(&mut self, start: Nanos, row: &Row) -> (usize, bool) {
        let at = self.num_before(start);
        let is_new = self.starts.get(at) != Some(&start);
        let room = self.values_of(at);
        if is_new {
            self.starts.insert(at, start);
            self.values.splice(room.start..room.start, self.fields.iter().map(|field| row.get(*field)));
        } else {
            self.set(at, row);
        }
        (at, is_new)
    }

    /// Replaces the values of a bar.
    pub fn set(&mut self, at: usize, row: &Row) {
        let room = self.values_of(at);
        for (room, field) in self.values[room].iter_mut().zip(&self.fields) {
            *room = row.get(*field);
        }
    }

    /// Replaces the indicators of a bar.
    pub fn set_indicators(&mut self, at: usize, row: &Row) {
        let room = self.values_of(at);
        for (room, field) in
            self.values[room].iter_mut().zip(&self.fields).filter(|(_, field)| field.is_indicator())
        {
            *room = row.get(*field);
        }
    }

    /// Takes a bar out. Returns its place.
    pub fn remove(&mut self, start: Nanos) -> Option<usize> {
        let at = self.num_before(start);
        if self.starts.get(at) != Some(&start) {
            return None;
        }
        self.starts.remove(at);
        let room = self.values_of(at);
        self.values.drain(room);
        Some(at)
    }

    /// Lets go of the oldest bars.
    pub fn let_go(&mut self, num: usize) {
        self.starts.drain(..num);
        self.values.drain(..num * self.fields.len());
    }

    fn values_of(&self, at: usize) -> Range<usize> {
        let num = self.fields.len();
        at * num..(at + 1) * num
    }

    fn get(&self, at: usize, field: Field) -> f64 {
        match self.columns.0[field.place()] {
            NONE => f64::NAN,
            column => self.values[at * self.fields.len() + usize::from(column)],
        }
    }

    /// Returns the last price of the newest of the oldest `num` bars that starts by then.
    fn price_by(&self, num: usize, start: Nanos) -> f64 {
        let num = self.starts[..num].partition_point(|known| *known <= start);
        num.checked_sub(1).map_or(f64::NAN, |at| self.get(at, Field::CLOSE))
    }

    /// Returns a bar and those before it.
    pub(super) const fn closed(&self, at: usize) -> Closed<'_> {
        Closed { samples: self, at }
    }

    /// Returns a forming bar and those that start before it.
    pub(super) fn forming<'a>(&'a self, start: Nanos, row: &'a Row) -> Forming<'a> {
        Forming { samples: self, num_before: self.num_before(start), start, row }
    }
}

/// A closed bar, and those before it.
pub(super) struct Closed<'a> {
    samples: &'a Samples,
    at: usize,
}

impl History for Closed<'_> {
    fn value(&self, field: Field, ago: usize) -> f64 {
        self.at.checked_sub(ago).map_or(f64::NAN, |at| self.samples.get(at, field))
    }

    fn price_before(&self, ago: usize, span: i64) -> f64 {
        let Some(at) = self.at.checked_sub(ago) else { return f64::NAN };
        self.samples.price_by(at, self.samples.start(at).plus(-span))
    }
}

/// A forming bar, and the closed ones that start before it.
pub(super) struct Forming<'a> {
    samples: &'a Samples,
    num_before: usize,
    start: Nanos,
    row: &'a Row,
}

impl History for Forming<'_> {
    fn value(&self, field: Field, ago: usize) -> f64 {
        if ago == 0 {
            return self.row.get(field);
        }
        self.num_before.checked_sub(ago).map_or(f64::NAN, |at| self.samples.get(at, field))
    }

    fn price_before(&self, ago: usize, span: i64) -> f64 {
        if ago == 0 {
            return self.samples.price_by(self.num_before, self.start.plus(-span));
        }
        let Some(at) = self.num_before.checked_sub(ago) else { return f64::NAN };
        self.samples.closed(at).price_before(0, span)
    }
}
