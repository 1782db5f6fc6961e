//! How reports of a feed come into the log: in the order received, a new symbol's behind its past.
//!
//! Promises: what is put into a batch is sent once; who sends waits while the log is full. What counts as said by the
//! venue is what the log has taken. On failure: a log that is gone ends the feed; one that takes nothing holds it up, but not
//! its stop.

use super::super::super::client::LogGone;
use super::super::gaps::{GapId, Stretch};
use super::super::held::Taken;
use super::Feed;
use crate::actors::messages::Ingest;
use crate::models::entry::Entry;
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use crate::stores::history::DeadLetterRecord;
use std::time::{Duration, Instant};

/// How long a stop waits for a log that takes nothing: what is not handed in by then is fetched by the next start.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);

/// Entries and dead letters on their way to the log.
#[derive(Default)]
pub(in super::super) struct Batch {
    pub entries: Vec<Entry>,
    pub letters: Vec<DeadLetterRecord>,
    /// When the first of them was received.
    pub received: Option<Nanos>,
    /// The newest event time of its reports.
    pub newest: Option<Nanos>,
    /// The source's clock behind them.
    pub clock: Option<Nanos>,
    /// Gaps that its entries fill.
    pub filled: Vec<GapId>,
}

impl Feed {
    /// Puts a report into a batch, or has it wait where its symbol's past is yet to come.
    pub fn push(&self, batch: &mut Batch, entry: Entry) {
        self.standing.note_report();
        batch.newest = batch.newest.max(Some(entry.body.time()));
        if let Some(tap) = &self.tap {
            tap(&entry);
        }
        let Some(place) = self.instruments.place(entry.symbol) else {
            batch.entries.push(entry);
            return;
        };
        if self.instruments.is_left(place) {
            // It was under way when the symbol was left.
            self.metrics.ignored.inc();
            return;
        }
        match self.waiting.hold(place, &entry) {
            Taken::Waits => return,
            Taken::Goes => {}
            Taken::Overflows(held) => {
                self.goes_without_past(place, "too many reports wait for it");
                let told = self.newcomers.introduce(entry.symbol).unwrap_or_default();
                told.into_iter().chain(held).for_each(|entry| self.put(batch, place, entry));
            }
        }
        self.put(batch, place, entry);
    }

    /// Ends the wait of a symbol: puts what it is and who is in charge of it into a batch, then its past and the reports that
    /// came meanwhile. Where the wait was over before, or another venue of the feed told of the symbol first, the past is too
    /// late and is left out.
    pub fn let_go(&self, batch: &mut Batch, place: usize, past: Vec<Entry>) {
        let Some(held) = self.waiting.let_go(place) else { return };
        match self.newcomers.introduce(self.instruments.symbol(place)) {
            Some(told) => told.into_iter().chain(past).for_each(|entry| self.put(batch, place, entry)),
            // The gaps that were told before are of no symbol that the log did not know.
            None => self.put_gaps(batch, place),
        }
        held.into_iter().for_each(|entry| self.put(batch, place, entry));
    }

    /// True while the log was told nothing of the symbol at a place.
    pub fn is_untold(&self, place: usize) -> bool {
        self.newcomers.has(self.instruments.symbol(place))
    }

    fn put(&self, batch: &mut Batch, place: usize, entry: Entry) {
        batch.entries.push(entry);
        self.put_gaps(batch, place);
    }

    /// Tells the open gaps again behind the first report of a symbol, since a gap reaches only symbols that exist. They are told
    /// for it alone: the others know them, and a thousand new symbols would each be told of those of a thousand.
    fn put_gaps(&self, batch: &mut Batch, place: usize) {
        let was_introduced = std::mem::replace(&mut self.products.borrow_mut()[place].is_introduced, true);
        if !was_introduced {
            let symbol = self.instruments.symbol(place);
            let is_of_it = |gap: &Stretch| gap.symbol == SymbolId::NONE || gap.symbol == symbol;
            let gaps = self.gaps.borrow();
            batch.entries.extend(
                gaps.stretches().filter(is_of_it).map(|gap| self.gap_entry(Stretch { symbol, ..gap })),
            );
        }
    }

    /// Waits until the log has room: what is put into a batch then is handed in before anything else happens, so that no stop
    /// comes between.
    ///
    /// # Errors
    /// [`LogGone`].
    pub async fn wait_for_room(&self) -> Result<(), LogGone> {
        self.client.lock().await.wait_for_room().await
    }

    /// Hands a batch to the log and empties it. Waits while the log is full; once the feed is to stop, not for long.
    ///
    /// # Errors
    /// [`LogGone`].
    pub async fn send(&self, batch: &mut Batch) -> Result<(), LogGone> {
        let Batch { mut entries, letters, received, newest, clock, filled } = std::mem::take(batch);
        if !self.is_logged {
            entries.clear();
        }
        // Only what the log has counts as said: whoever takes charge goes by it.
        let note_said = || {
            newest.into_iter().for_each(|time| self.standing.note_newest(time));
            clock.into_iter().for_each(|time| self.standing.note_clock(time));
            if !filled.is_empty() {
                let mut gaps = self.gaps.borrow_mut();
                gaps.told(&filled);
                self.show_gaps(&gaps);
            }
        };
        if entries.is_empty() && letters.is_empty() {
            note_said();
            return Ok(());
        }
        let num_entries = entries.len();
        let received = received.unwrap_or(Nanos::MIN);
        let ingest = Ingest { entries, dead_letters: letters, progress: None, received };
        let send = async {
            let mut client = self.client.lock().await;
            self.standing.note_sending(Some(Instant::now()));
            let sent = client.send(ingest).await;
            self.standing.note_sending(None);
            sent
        };
        tokio::select! {
            sent = send => {
                note_said();
                sent
            }
            () = self.stop_is_overdue() => {
                tracing::warn!(
                    entries = num_entries,
                    "the log takes nothing; what was received last is fetched by the next start"
                );
                Ok(())
            }
        }
    }

    /// Waits until everything sent is taken; not for long.
    pub async fn settle(&self) {
        let settled = async { self.client.lock().await.settle().await };
        // Either way the feed ends: a log that is gone takes nothing, and one that is full is waited for elsewhere.
        tokio::time::timeout(STOP_TIMEOUT, settled).await.ok();
    }

    async fn stop_is_overdue(&self) {
        self.stop.told().await;
        tokio::time::sleep(STOP_TIMEOUT).await;
    }
}
