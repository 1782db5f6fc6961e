//! One Parquet file while it is written.
//!
//! Promises: what is written is the same for the same rows in the same groups, on every machine and at any time. The file is
//! open only while something is written: a day has as many files as symbols. On failure the error names the file.

use crate::wire::columns::About;
use anyhow::Context;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Rows of a page: a replay has a page of each column of each file of a day in memory.
const PAGE_ROWS: usize = 4_096;

/// Columns that grow from row to row, and are stored as distances.
const GROWING: [&str; 6] = ["time", "ts_ns", "received_at", "log_pos", "window_start", "window_end"];

/// A file that is being written.
pub(super) struct ParquetFile {
    name: String,
    staged: PathBuf,
    writer: ArrowWriter<Appended>,
    rows: u64,
}

/// A file that is whole, and not in its place yet.
pub(super) struct Finished {
    /// Its place, from the root of the export.
    pub name: String,
    /// Where it was written.
    pub staged: PathBuf,
    /// Rows in it.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
}

impl ParquetFile {
    /// Begins a file in a folder for files that are not in their place yet.
    pub(super) fn begin(
        staging: &Path,
        name: String,
        schema: SchemaRef,
        about: &About,
    ) -> anyhow::Result<ParquetFile> {
        let staged = staging.join(name.replace('/', "~"));
        // What a run left here that was interrupted.
        match fs::remove_file(&staged) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot write `{}`", staged.display()));
            }
            _ => {}
        }
        let writer = ArrowWriter::try_new(Appended(staged.clone()), schema, Some(properties(about)));
        let writer = writer.with_context(|| format!("cannot write `{}`", staged.display()))?;
        Ok(ParquetFile { name, staged, writer, rows: 0 })
    }

    /// Adds rows to the group that is being filled.
    pub(super) fn write(&mut self, rows: &RecordBatch) -> anyhow::Result<()> {
        self.rows += rows.num_rows() as u64;
        self.writer.write(rows).with_context(|| format!("cannot write `{}`", self.staged.display()))
    }

    /// Ends the group of rows.
    pub(super) fn end_group(&mut self) -> anyhow::Result<()> {
        self.writer.flush().with_context(|| format!("cannot write `{}`", self.staged.display()))
    }

    /// Ends the file.
    pub(super) fn finish(self) -> anyhow::Result<Finished> {
        let ParquetFile { name, staged, writer, rows } = self;
        writer.close().with_context(|| format!("cannot write `{}`", staged.display()))?;
        let bytes = staged.metadata().with_context(|| format!("cannot read `{}`", staged.display()))?.len();
        Ok(Finished { name, staged, rows, bytes })
    }
}

fn properties(about: &About) -> WriterProperties {
    let pairs = about.pairs().into_iter();
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("tickwire ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_max_row_group_row_count(None)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_key_value_metadata(Some(
            pairs.map(|(key, value)| KeyValue::new(key.to_owned(), value)).collect(),
        ));
    for name in GROWING {
        properties = properties
            .set_column_dictionary_enabled(ColumnPath::from(name), false)
            .set_column_encoding(ColumnPath::from(name), Encoding::DELTA_BINARY_PACKED);
    }
    properties.build()
}

/// Appends to a file, and has it open only for that.
struct Appended(PathBuf);

impl Write for Appended {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        OpenOptions::new().append(true).create(true).open(&self.0)?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Puts a file on the disk.
pub(super) fn sync(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}
