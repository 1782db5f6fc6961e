//! Reads files on a thread of its own, a few chunks ahead of the pipeline.

use crate::actors::ingest::file::{BadRow, FileInput, InputBatch};
use crate::clock::{Clock, SystemClock};
use crate::models::entry::Entry;
use crate::models::time::Nanos;
use crate::names::SymbolTable;
use crate::stores::history::DeadLetterRecord;
use crate::telemetry::Throttle;
use anyhow::Context;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Chunks read ahead: enough that short delays of one side do not stall the other.
const AHEAD: usize = 2;

/// Rows of a chunk for each known symbol. The states of many symbols do not fit the processor's caches, and to bring
/// one there costs as much as some ten entries of it, so each visit should be worth its while.
const ROWS_PER_SYMBOL: usize = 64;

/// Rows of the largest chunk: 14 MB, of which there are six at most.
const ROWS_LARGEST: usize = 1 << 17;

/// Warnings about rows that are logged per minute; every row becomes a dead letter.
const WARNINGS_PER_MINUTE: u64 = 10;

/// A chunk of the input.
pub struct Chunk {
    /// Entries, positions not yet given.
    pub entries: Vec<Entry>,
    /// Rows that became no entry.
    pub dead_letters: Vec<DeadLetterRecord>,
    /// Rows read so far.
    pub rows: u64,
    /// Bytes read so far.
    pub bytes_read: u64,
    /// Bytes of all files, where they have a size.
    pub total_bytes: Option<u64>,
}

impl Chunk {
    /// Returns the first event time of the chunk.
    #[must_use]
    pub fn first_time(&self) -> Option<Nanos> {
        let mut telling = self.entries.iter().filter(|entry| entry.body.looked_for().is_none());
        telling.next().map(|entry| entry.body.time())
    }
}

/// What the reading thread sends: a chunk, or that there is no more. One that ends without a word has panicked.
type Read = anyhow::Result<Option<Chunk>>;

/// Returns the rows of a chunk when that many symbols are known.
fn rows_of_chunk(rows: usize, num_symbols: usize) -> usize {
    rows.max((num_symbols * ROWS_PER_SYMBOL).min(ROWS_LARGEST))
}

/// The reading thread's other end; `None` where there is nothing to read.
pub struct Reader(Option<mpsc::Receiver<Read>>);

impl Reader {
    /// Makes a reader without input.
    pub fn empty() -> Reader {
        Reader(None)
    }

    /// Starts reading chunks of some rows, or of more where there are many symbols and `symbols` tells.
    pub fn start(input: FileInput, rows: usize, symbols: Option<Arc<SymbolTable>>) -> anyhow::Result<Reader> {
        let rows_max = move || rows_of_chunk(rows, symbols.as_ref().map_or(0, |symbols| symbols.len()));
        let (sender, receiver) = mpsc::channel(AHEAD);
        let thread = std::thread::Builder::new().name("reader".to_owned());
        thread.spawn(move || read(input, rows_max, &sender)).context("failed to start the reading thread")?;
        Ok(Reader(Some(receiver)))
    }

    /// Returns the next chunk; `None` at the end.
    pub async fn next(&mut self) -> anyhow::Result<Option<Chunk>> {
        let Some(receiver) = &mut self.0 else { return Ok(None) };
        receiver.recv().await.context("the reading thread ended before the input did")?
    }
}

fn read(mut input: FileInput, rows_max: impl Fn() -> usize, sender: &mpsc::Sender<Read>) {
    let throttle = Throttle::new(WARNINGS_PER_MINUTE);
    let mut batch = InputBatch::default();
    loop {
        let rows_max = rows_max();
        let read = match input.next_batch(rows_max, &mut batch) {
            Ok(true) => Ok(Some(take(&mut batch, rows_max, &throttle))),
            Ok(false) => Ok(None),
            Err(error) => Err(error.into()),
        };
        let ended = !matches!(read, Ok(Some(_)));
        // The receiver is gone once the replay was interrupted.
        if sender.blocking_send(read).is_err() || ended {
            return;
        }
    }
}

fn take(batch: &mut InputBatch, rows_max: usize, throttle: &Throttle<String>) -> Chunk {
    let complain = |bad: &BadRow| {
        if let Some(held_back) = throttle.admit(bad.record.reason.clone(), SystemClock.now()) {
            tracing::warn!(at = bad.record.origin, error = %bad.fault, held_back, "row became no tick");
        }
    };
    batch.bad_rows.iter().for_each(complain);
    let room = Vec::with_capacity(rows_max + rows_max / 16);
    Chunk {
        entries: std::mem::replace(&mut batch.entries, room),
        dead_letters: batch.bad_rows.drain(..).map(|bad| bad.record).collect(),
        rows: batch.rows,
        bytes_read: batch.bytes_read,
        total_bytes: batch.total_bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_grow_with_the_symbols_and_no_further_than_memory_bears() {
        let rows = [1, 100, 1_000, 10_000, 1_000_000].map(|num_symbols| rows_of_chunk(4_096, num_symbols));
        assert_eq!(rows, [4_096, 6_400, 64_000, 131_072, 131_072]);
        assert!(ROWS_LARGEST * size_of::<Entry>() <= 14_000_000, "{} bytes a row", size_of::<Entry>());
    }
}
