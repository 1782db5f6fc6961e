//! Rows in the binary form of COPY, which the server takes in with the least work.
//!
//! Promises: numbers and times are in the server's own form, so nothing is rounded on the way. Nothing here fails: what a
//! column does not take, the server says.

use chrono::{DateTime, Utc};

/// What the form begins with: its signature, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// Microseconds from 1970, where times begin elsewhere, to 2000, where they do in PostgreSQL.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// Rows as COPY takes them.
pub(super) struct CopyRows {
    bytes: Vec<u8>,
    num_columns: i16,
}

impl CopyRows {
    /// Begins rows of so many columns, with room for so many bytes.
    pub fn new(num_columns: i16, num_bytes: usize) -> CopyRows {
        let mut bytes = Vec::with_capacity(HEADER.len() + num_bytes);
        bytes.extend_from_slice(HEADER);
        CopyRows { bytes, num_columns }
    }

    /// Begins a row.
    pub fn row(&mut self) {
        self.bytes.extend_from_slice(&self.num_columns.to_be_bytes());
    }

    fn field(&mut self, value: Option<&[u8]>) {
        let len = value.map_or(-1, |value| i32::try_from(value.len()).unwrap_or(i32::MAX));
        self.bytes.extend_from_slice(&len.to_be_bytes());
        self.bytes.extend_from_slice(value.unwrap_or_default());
    }

    /// Adds a text.
    pub fn text(&mut self, value: Option<&str>) {
        self.field(value.map(str::as_bytes));
    }

    /// Adds a double.
    pub fn double(&mut self, value: Option<f64>) {
        self.field(value.map(f64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice));
    }

    /// Adds an integer.
    pub fn integer(&mut self, value: Option<i64>) {
        self.field(value.map(i64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice));
    }

    /// Adds a time.
    pub fn time(&mut self, value: Option<DateTime<Utc>>) {
        self.integer(value.map(|time| time.timestamp_micros() - EPOCH_MICROS));
    }

    /// Ends the rows.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(&(-1_i16).to_be_bytes());
        self.bytes
    }
}
