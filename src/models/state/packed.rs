//! Rows of numbers in few bytes, for rows that change no more.
//!
//! Promises: any row is had back exactly, without unpacking the others. Each column has a base and a step that all its
//! values are whole multiples from (prices are multiples of a tick, times of a clock's resolution), and as many bytes a
//! row as its widest multiple needs; a column of one value needs none.
//!
//! Layout: per column the width in bytes (u8), the base and, unless the width is 0, the step, both LEB128; then the rows,
//! little-endian.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Packed rows of `N` columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed<const N: usize> {
    len: u32,
    #[serde(serialize_with = "as_bytes", deserialize_with = "from_bytes")]
    bytes: Box<[u8]>,
}

/// Bytes of a number at the most.
const WORD: usize = 8;

#[derive(Clone, Copy, Debug, Default)]
struct Column {
    base: u64,
    step: u64,
    width: u8,
}

/// Packed rows, ready to be read.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a, const N: usize> {
    columns: [Column; N],
    stride: usize,
    rows: &'a [u8],
}

impl<const N: usize> Packed<N> {
    /// Packs rows; at most 2^32 - 1.
    #[must_use]
    pub fn of(rows: impl ExactSizeIterator<Item = [u64; N]> + Clone) -> Packed<N> {
        let len = u32::try_from(rows.len()).expect("fewer than 2^32 rows");
        let columns = measure(rows.clone());
        let stride: usize = columns.iter().map(|column| usize::from(column.width)).sum();
        let mut bytes = Vec::with_capacity(N * 8 + stride * rows.len() + WORD);
        for column in &columns {
            bytes.push(column.width);
            push_number(&mut bytes, column.base);
            if column.width > 0 {
                push_number(&mut bytes, column.step);
            }
        }
        let mut end = bytes.len();
        bytes.resize(end + stride * rows.len() + WORD, 0);
        for row in rows {
            for (value, column) in row.iter().zip(&columns).filter(|(_, column)| column.width > 0) {
                let distance = value - column.base;
                let multiple = if column.step == 1 { distance } else { distance / column.step };
                // A whole word each, of which the next value takes what is too much: faster than a few bytes.
                bytes[end..end + WORD].copy_from_slice(&multiple.to_le_bytes());
                end += usize::from(column.width);
            }
        }
        bytes.truncate(end);
        Packed { len, bytes: bytes.into() }
    }

    /// Returns the number of rows.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Makes the rows readable; reading the head costs as much as some rows.
    #[must_use]
    pub fn reader(&self) -> Reader<'_, N> {
        let mut columns = [Column::default(); N];
        let mut rest = &self.bytes[..];
        if self.len > 0 {
            for column in &mut columns {
                column.width = rest[0];
                rest = &rest[1..];
                column.base = take_number(&mut rest);
                if column.width > 0 {
                    column.step = take_number(&mut rest);
                }
            }
        }
        let stride = columns.iter().map(|column| usize::from(column.width)).sum();
        Reader { columns, stride, rows: rest }
    }
}

impl<const N: usize> Reader<'_, N> {
    /// Returns a row.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn row(&self, at: usize) -> [u64; N] {
        let mut at = at * self.stride;
        self.columns.map(|column| {
            let width = usize::from(column.width);
            if width == 0 {
                return column.base;
            }
            let multiple = match self.rows.get(at..).and_then(|rest| rest.first_chunk::<WORD>()) {
                Some(word) => u64::from_le_bytes(*word) & (u64::MAX >> (64 - 8 * width)),
                None => {
                    let mut word = [0; WORD];
                    word[..width].copy_from_slice(&self.rows[at..at + width]);
                    u64::from_le_bytes(word)
                }
            };
            at += width;
            column.base + multiple * column.step
        })
    }
}

/// Finds base, step and width of each column.
fn measure<const N: usize>(rows: impl Iterator<Item = [u64; N]> + Clone) -> [Column; N] {
    let Some(first) = rows.clone().next() else { return [Column::default(); N] };
    let (mut min, mut max, mut step) = (first, first, [0_u64; N]);
    for row in rows {
        for at in 0..N {
            min[at] = min[at].min(row[at]);
            max[at] = max[at].max(row[at]);
            if step[at] != 1 {
                step[at] = gcd(row[at].abs_diff(first[at]), step[at]);
            }
        }
    }
    std::array::from_fn(|at| {
        let most = (max[at] - min[at]).checked_div(step[at]).unwrap_or(0);
        Column { base: min[at], step: step[at], width: (u64::BITS - most.leading_zeros()).div_ceil(8) as u8 }
    })
}

/// The greatest number that divides both; 0 divides only itself.
fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn push_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take_number(bytes: &mut &[u8]) -> u64 {
    let (mut number, mut shift) = (0, 0);
    loop {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return number;
        }
        shift += 7;
    }
}

/// As one piece: byte by byte it would cost more than all else in a checkpoint.
fn as_bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

fn from_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<[u8]>, D::Error> {
    <&[u8]>::deserialize(deserializer).map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A column of values that are near each other, or multiples of something, or anything.
    fn value() -> impl Strategy<Value = u64> {
        prop_oneof![Just(7), 100_u64..200, (0_u64..50).prop_map(|n| n * 10_000_000 + 3), any::<u64>()]
    }

    proptest! {
        #[test]
        fn every_row_is_had_back(rows in prop::collection::vec([value(), value(), value(), value()], 0..200)) {
            let packed = Packed::of(rows.iter().copied());
            prop_assert_eq!(packed.len(), rows.len());
            let bytes = postcard::to_stdvec(&packed).expect("plain data");
            let packed: Packed<4> = postcard::from_bytes(&bytes).expect("just encoded");
            let reader = packed.reader();
            for (at, row) in rows.iter().enumerate() {
                prop_assert_eq!(&reader.row(at), row);
            }
        }
    }

    #[test]
    fn columns_cost_what_differs_in_them() {
        let rows =
            (0..1_000_u32).map(u64::from).map(|n| [42, 5_000_000 + n, u64::MAX - n % 200 * 10_000_000]);
        let packed = Packed::of(rows);
        let head = 3 + 1 + (4 + 1) + (10 + 4);
        assert_eq!(packed.bytes.len(), head + 1_000 * (2 + 1));
    }
}
