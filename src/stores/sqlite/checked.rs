//! Rows that notice what the disk has done to them: values are bound together with a checksum over all of them, and
//! read by type, checksum first.
//!
//! Promises: no value in a file makes a reader panic; a row whose checksum differs is an error that names file, table
//! and row. A row without a checksum is taken, its values checked by type alone, only where the file says that it holds
//! rows from before there were any.

use crate::stores::error::StoreError;
use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, Decode, Row, Sqlite, Type, TypeInfo, ValueRef};
use std::fmt::{self, Display};
use std::ops::Range;

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::stores) struct Fault(String);

impl Fault {
    /// Says that a value is none that this program writes.
    pub(in crate::stores) fn new(what: impl Into<String>) -> Fault {
        Fault(what.into())
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Makes the error for a row: which file, which table, which row of it, and what is wrong.
pub(in crate::stores) fn damaged(file: &str, table: &str, row: impl Display, fault: &Fault) -> StoreError {
    StoreError::Permanent {
        context: "failed to read a row",
        cause: format!("`{file}`, table `{table}`, {row}: {fault}; `tickwire check` finds every such row"),
    }
}

/// Reads a column by its type.
pub(in crate::stores) fn get<'r, T>(row: &'r SqliteRow, at: usize) -> Result<T, Fault>
where
    T: Decode<'r, Sqlite> + Type<Sqlite>,
{
    row.try_get(at).map_err(|error| Fault(error.to_string()))
}

/// Reads a column that holds an unsigned value in SQLite's signed integers.
pub(in crate::stores) fn get_unsigned(row: &SqliteRow, at: usize) -> Result<u64, Fault> {
    get::<i64>(row, at).map(i64::cast_unsigned)
}

/// Compares some columns of a row with the checksum in the column behind them, if there is one.
pub(in crate::stores) fn verify(row: &SqliteRow, columns: Range<usize>) -> Result<(), Fault> {
    verify_all(row, columns, true)
}

/// The same, where a row that has no checksum may be an older one, or must be damaged: one flipped bit in what SQLite
/// says of a row's columns can hide the last one, and move values into others.
pub(in crate::stores) fn verify_all(
    row: &SqliteRow,
    columns: Range<usize>,
    may_lack: bool,
) -> Result<(), Fault> {
    let end = columns.end;
    verify_added(row, columns, end, may_lack)
}

/// The same, where the columns from `added` on came later than the rows: as long as there is nothing in them, they are no
/// part of the checksum.
pub(in crate::stores) fn verify_added(
    row: &SqliteRow,
    columns: Range<usize>,
    added: usize,
    may_lack: bool,
) -> Result<(), Fault> {
    let Some(expected) = get::<Option<i64>>(row, columns.end)? else {
        return if may_lack { Ok(()) } else { Err(Fault::new(LACKING)) };
    };
    let mut sum = Sum::default();
    for at in columns {
        let value = row.try_get_raw(at).map_err(|error| Fault(error.to_string()))?;
        if value.is_null() {
            if at < added {
                sum.null();
            }
            continue;
        }
        match value.type_info().name() {
            "INTEGER" => sum.integer(get(row, at)?),
            "REAL" => sum.real(get(row, at)?),
            kind => {
                let bytes = row.try_get_unchecked(at).map_err(|error| Fault(error.to_string()))?;
                sum.bytes(kind == "TEXT", bytes);
            }
        }
    }
    if i64::from(sum.finish()) == expected { Ok(()) } else { Err(Fault::new(DIFFERS)) }
}

/// What is wrong with a row that has no checksum, in a file that is not older than checksums.
pub(in crate::stores) const LACKING: &str = "it has no checksum";

/// What is wrong with a row whose checksum is another one.
pub(in crate::stores) const DIFFERS: &str = "its checksum differs";

/// The bytes of a row that its checksum is made of: each value with its kind.
pub(in crate::stores) struct Sum(Vec<u8>);

impl Default for Sum {
    fn default() -> Sum {
        // The widest row of numbers, so that it does not grow bit by bit.
        Sum(Vec::with_capacity(19 * 9))
    }
}

impl Sum {
    pub(in crate::stores) fn null(&mut self) {
        self.0.push(0);
    }

    pub(in crate::stores) fn integer(&mut self, value: i64) {
        self.0.push(1);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// A real as SQLite gives it back: it knows no negative zero.
    fn real(&mut self, value: f64) {
        self.0.push(2);
        self.0.extend_from_slice(&(value + 0.0).to_le_bytes());
    }

    pub(in crate::stores) fn bytes(&mut self, is_text: bool, value: &[u8]) {
        self.0.push(if is_text { 3 } else { 4 });
        self.0.extend_from_slice(&(value.len() as u64).to_le_bytes());
        self.0.extend_from_slice(value);
    }

    /// Returns the checksum as it stands in an INTEGER, in four bytes.
    pub(in crate::stores) fn finish(&self) -> i32 {
        crc32fast::hash(&self.0).cast_signed()
    }
}

/// Binds the values of a row, and behind them their checksum.
pub(in crate::stores) struct Binder<'a> {
    arguments: &'a mut SqliteArguments,
    sum: Sum,
}

impl<'a> Binder<'a> {
    pub(in crate::stores) fn new(arguments: &'a mut SqliteArguments) -> Binder<'a> {
        Binder { arguments, sum: Sum::default() }
    }

    pub(in crate::stores) fn integer(&mut self, value: impl Into<Option<i64>>) -> Result<(), BoxDynError> {
        let value = value.into();
        match value {
            Some(value) => self.sum.integer(value),
            None => self.sum.null(),
        }
        self.arguments.add(value)
    }

    /// Binds a column that rows of before lack: see [`verify_added`].
    pub(in crate::stores) fn added(&mut self, value: Option<i64>) -> Result<(), BoxDynError> {
        match value {
            Some(value) => self.integer(value),
            None => self.arguments.add(value),
        }
    }

    /// Binds an integer that may use all 64 bits.
    pub(in crate::stores) fn unsigned(&mut self, value: impl Into<Option<u64>>) -> Result<(), BoxDynError> {
        self.integer(value.into().map(u64::cast_signed))
    }

    /// Binds a real; SQLite keeps one that is no number as NULL.
    pub(in crate::stores) fn real(&mut self, value: impl Into<Option<f64>>) -> Result<(), BoxDynError> {
        let value = value.into().filter(|value| !value.is_nan());
        match value {
            Some(value) => self.sum.real(value),
            None => self.sum.null(),
        }
        self.arguments.add(value)
    }

    pub(in crate::stores) fn text<'t>(
        &mut self,
        value: impl Into<Option<&'t str>>,
    ) -> Result<(), BoxDynError> {
        let value = value.into();
        match value {
            Some(value) => self.sum.bytes(true, value.as_bytes()),
            None => self.sum.null(),
        }
        self.arguments.add(value)
    }

    pub(in crate::stores) fn blob(&mut self, value: &[u8]) -> Result<(), BoxDynError> {
        self.sum.bytes(false, value);
        self.arguments.add(value)
    }

    /// Binds the checksum.
    pub(in crate::stores) fn finish(self) -> Result<(), BoxDynError> {
        self.arguments.add(self.sum.finish())
    }
}

/// Makes the arguments of one row and its checksum. Binding plain values cannot fail but for their length.
pub(in crate::stores) fn checked_row(
    context: &'static str,
    bind: impl FnOnce(&mut Binder<'_>) -> Result<(), BoxDynError>,
) -> Result<SqliteArguments, StoreError> {
    let mut arguments = SqliteArguments::default();
    let mut binder = Binder::new(&mut arguments);
    let bound = bind(&mut binder).and_then(|()| binder.finish());
    bound.map_err(|error| StoreError::Permanent { context, cause: error.to_string() })?;
    Ok(arguments)
}
