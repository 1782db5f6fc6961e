//! The history in SQLite: [`History`] over bars, indicators and dead letters, [`SignalHistory`] over the rest.
//!
//! Every row is written by key, and only over a row whose log position is not higher: repeats and batches that meet in
//! another order end in the same rows. How far the log is done with is committed together with what it brought.

use super::file::{FILE_NAME, KIND};
use super::windows::{self, Batch};
use super::{alerts, dead_letters, signals};
use crate::models::alert::Alert;
use crate::models::alerts::incident::Incident;
use crate::models::alerts::outgoing::Outgoing;
use crate::models::alerts::policy::Changes;
use crate::models::alerts::silence::Silence;
use crate::models::anomaly::Anomaly;
use crate::models::bar::Bar;
use crate::models::effect::{Effect, IndicatorPoint};
use crate::models::entry::Position;
use crate::models::prediction::Prediction;
use crate::models::symbol::SymbolId;
use crate::models::time::{Nanos, Width};
use crate::names::{SourceTable, SymbolTable};
use crate::stores::error::StoreError;
use crate::stores::history::alerts::{Acknowledgement, AlertStore, Inbox, IncidentQuery};
use crate::stores::history::signals::{
    AlertQuery, AnomalyQuery, Numbered, PredictionQuery, SignalBatch, SignalHistory,
};
use crate::stores::history::{
    DeadLetterQuery, DeadLetterRecord, History, HistoryBatch, Missing, WindowQuery,
};
use crate::stores::sqlite::database::{Database, begin, failed, settle};
use crate::stores::sqlite::meta;
use crate::stores::sqlite::names::Symbols;
use crate::stores::sqlite::settings::SqliteSettings;
use async_trait::async_trait;
use sqlx::{Connection, SqliteConnection};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::Mutex;

/// Up to where everything has reached the history.
const ACKNOWLEDGED: &str = "acknowledged";

/// Where `meta` holds a [`Missing`], in the order of its fields.
const MISSING_KEYS: [&str; 3] = ["missing_after", "missing_through", "missing_until"];

/// The history in `history.db`.
pub struct SqliteHistory {
    database: Database,
    settings: SqliteSettings,
    symbol_table: Arc<SymbolTable>,
    source_table: Arc<SourceTable>,
    symbols: RwLock<Arc<Symbols>>,
    writer: Mutex<Option<SqliteConnection>>,
    /// Anomalies are to be decided on.
    fills_inbox: AtomicBool,
}

impl SqliteHistory {
    /// Opens the history in the directory, or makes one. The symbols it knows are added to the table; sources give dead
    /// letters their names. `epoch` names the log that feeds it: positions of two logs cannot be compared.
    ///
    /// # Errors
    /// [`StoreError::Permanent`] for a file that is damaged, foreign, of another version or fed by another log.
    pub async fn open(
        dir: &Path,
        symbols: Arc<SymbolTable>,
        sources: Arc<SourceTable>,
        settings: SqliteSettings,
        epoch: u64,
    ) -> Result<SqliteHistory, StoreError> {
        let database = Database::open(dir, &KIND, &settings).await?;
        let mut conn = database.connect().await?;
        meta::put_if_missing(&mut conn, "epoch", epoch.cast_signed()).await?;
        meta::put_if_missing(&mut conn, ACKNOWLEDGED, 0).await?;
        check_epoch(&mut conn, dir, epoch).await?;
        meta::get(&mut conn, FILE_NAME, ACKNOWLEDGED).await?;
        // What a symbol is, the log beside it says: a file that ended before it was told is told with the next rows.
        let known = Symbols::load(&mut conn, FILE_NAME, &symbols).await?;
        Ok(SqliteHistory {
            database,
            settings,
            symbol_table: symbols,
            source_table: sources,
            symbols: RwLock::new(Arc::new(known)),
            writer: Mutex::new(Some(conn)),
            fills_inbox: AtomicBool::new(false),
        })
    }

    /// Opens the history of a directory to look things up, also while another process writes to it: nothing is changed.
    /// The log beside it, which says what symbols are, is opened before.
    ///
    /// # Errors
    /// [`StoreError::Permanent`] for a file that is missing, damaged, foreign, of another version or fed by another log.
    pub async fn open_to_read(
        dir: &Path,
        symbols: Arc<SymbolTable>,
        sources: Arc<SourceTable>,
        settings: SqliteSettings,
        epoch: u64,
    ) -> Result<Arc<dyn History>, StoreError> {
        let database = Database::open_to_read(dir, &KIND, &settings).await?;
        let mut conn = database.connect().await?;
        check_epoch(&mut conn, dir, epoch).await?;
        let known = Symbols::load(&mut conn, FILE_NAME, &symbols).await?;
        conn.close().await.map_err(failed("failed to read the history"))?;
        Ok(Arc::new(SqliteHistory {
            database,
            settings,
            symbol_table: symbols,
            source_table: sources,
            symbols: RwLock::new(Arc::new(known)),
            writer: Mutex::new(None),
            fills_inbox: AtomicBool::new(false),
        }))
    }

    /// Returns the number that the file gave a symbol.
    #[must_use]
    pub fn number_of(&self, symbol: SymbolId) -> Option<u32> {
        self.symbols().stored(symbol)
    }

    fn symbols(&self) -> Arc<Symbols> {
        Arc::clone(&self.symbols.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Does everything of a commit but the commit. Returns the symbols that are known after it, if there are new ones.
    async fn write_batch(
        &self,
        conn: &mut SqliteConnection,
        batch: &HistoryBatch,
    ) -> Result<Option<Symbols>, StoreError> {
        let known = self.symbols();
        let added = known.persist(conn, &self.symbol_table).await?;
        let symbols = added.as_ref().unwrap_or(&known);
        let effects = || batch.effects.iter().flat_map(|part| part.iter());
        let windows = Batch::of(effects(), symbols)?;
        windows.write(conn).await?;
        let from_log = effects().filter_map(|effect| match effect {
            Effect::DeadLetter(letter) => {
                Some(DeadLetterRecord::of(letter, &self.symbol_table, &self.source_table))
            }
            Effect::Bar(_) | Effect::Indicators(_) | Effect::Anomaly(_) | Effect::Sealed(_) => None,
        });
        for letter in from_log {
            dead_letters::write(conn, &letter).await?;
        }
        for letter in &batch.dead_letters {
            dead_letters::write(conn, letter).await?;
        }
        meta::raise(conn, ACKNOWLEDGED, batch.acknowledged.cast_signed()).await?;
        Ok(added)
    }

    /// Writes anomalies that changed something into the inbox too, where it is filled.
    async fn write_signal_batch(
        &self,
        conn: &mut SqliteConnection,
        batch: &SignalBatch,
    ) -> Result<(), StoreError> {
        let changed = signals::write(conn, batch).await?;
        if self.fills_inbox.load(Ordering::Relaxed) {
            alerts::fill_inbox(conn, &changed).await?;
        }
        Ok(())
    }

    async fn take_writer(&self, slot: &mut Option<SqliteConnection>) -> Result<SqliteConnection, StoreError> {
        match slot.take() {
            Some(conn) => Ok(conn),
            None => self.database.connect().await,
        }
    }
}

/// Refuses a file that another log fed.
async fn check_epoch(conn: &mut SqliteConnection, dir: &Path, epoch: u64) -> Result<(), StoreError> {
    let fed_by = meta::get(conn, FILE_NAME, "epoch").await?;
    if fed_by.cast_unsigned() == epoch {
        return Ok(());
    }
    Err(StoreError::Permanent {
        context: "failed to open the history",
        cause: format!(
            "`{}` was fed by another log than the one beside it: put that log back, or move the file away",
            dir.join(KIND.name).display()
        ),
    })
}

#[async_trait]
impl SignalHistory for SqliteHistory {
    async fn write_signals(&self, batch: &SignalBatch) -> Result<(), StoreError> {
        let mut slot = self.writer.lock().await;
        let mut conn = self.take_writer(&mut slot).await?;
        let outcome = match begin(&mut conn).await {
            Ok(()) => self.write_signal_batch(&mut conn, batch).await,
            Err(error) => Err(error),
        };
        let (written, settled) = settle(conn, outcome).await;
        *slot = settled;
        written
    }

    async fn anomalies(&self, query: &AnomalyQuery) -> Result<Vec<Numbered<Anomaly>>, StoreError> {
        self.database.note(signals::anomalies(self.database.readers(), query).await)
    }

    async fn predictions(&self, query: &PredictionQuery) -> Result<Vec<Numbered<Prediction>>, StoreError> {
        self.database.note(signals::predictions(self.database.readers(), query).await)
    }

    async fn newest_predictions(&self, symbol: &str) -> Result<Vec<Prediction>, StoreError> {
        self.database.note(signals::newest_predictions(self.database.readers(), symbol).await)
    }

    async fn alerts(&self, query: &AlertQuery) -> Result<Vec<Numbered<Alert>>, StoreError> {
        self.database.note(signals::alerts(self.database.readers(), query).await)
    }
}

/// Runs work on the writing connection, in a transaction.
macro_rules! in_transaction {
    ($history:expr, |$conn:ident| $work:expr) => {{
        let mut slot = $history.writer.lock().await;
        let mut $conn = $history.take_writer(&mut slot).await?;
        let outcome = match begin(&mut $conn).await {
            Ok(()) => $work,
            Err(error) => Err(error),
        };
        let (outcome, settled) = settle($conn, outcome).await;
        *slot = settled;
        outcome
    }};
}

#[async_trait]
impl AlertStore for SqliteHistory {
    fn begin_inbox(&self) {
        self.fills_inbox.store(true, Ordering::Relaxed);
    }

    /// Nobody else uses the directory.
    async fn lead(&self, _: &str, _: Nanos, _: Nanos) -> Result<bool, StoreError> {
        Ok(true)
    }

    async fn inbox(&self, limit: usize) -> Result<Inbox, StoreError> {
        self.database.note(alerts::inbox(self.database.readers(), limit).await)
    }

    async fn acknowledge(&self, acknowledgements: &[Acknowledgement]) -> Result<(), StoreError> {
        in_transaction!(self, |conn| alerts::acknowledge(&mut conn, acknowledgements).await)
    }

    async fn kept_incidents(&self, sent_after: Nanos) -> Result<Vec<Incident>, StoreError> {
        self.database.note(alerts::kept_incidents(self.database.readers(), sent_after).await)
    }

    async fn incidents_by_id(&self, ids: &[String]) -> Result<Vec<Incident>, StoreError> {
        self.database.note(alerts::incidents_by_id(self.database.readers(), ids).await)
    }

    async fn incidents(&self, query: &IncidentQuery) -> Result<Vec<Numbered<Incident>>, StoreError> {
        self.database.note(alerts::incidents(self.database.readers(), query).await)
    }

    async fn silences(&self, ended_after: Nanos) -> Result<Vec<Silence>, StoreError> {
        self.database.note(alerts::silences(self.database.readers(), ended_after).await)
    }

    async fn put_silence(&self, silence: &Silence) -> Result<(), StoreError> {
        in_transaction!(self, |conn| alerts::put_silence(&mut conn, silence).await)
    }

    async fn decide(&self, _: &str, numbers: &[u64], changes: &Changes) -> Result<bool, StoreError> {
        in_transaction!(self, |conn| alerts::decide(&mut conn, numbers, changes).await.map(|()| true))
    }

    async fn take_outgoing(
        &self,
        channel: &str,
        owner: &str,
        now: Nanos,
        until: Nanos,
        limit: usize,
    ) -> Result<Vec<Outgoing>, StoreError> {
        in_transaction!(self, |conn| alerts::take_outgoing(&mut conn, channel, owner, now, until, limit)
            .await)
    }

    async fn settle(&self, outgoing: &[Outgoing], settled: &[Alert]) -> Result<(), StoreError> {
        in_transaction!(self, |conn| alerts::settle_outgoing(&mut conn, outgoing, settled).await)
    }

    async fn waiting(&self) -> Result<(u64, Option<Nanos>), StoreError> {
        self.database.note(alerts::waiting(self.database.readers()).await)
    }

    async fn prune(&self, before: Nanos) -> Result<u64, StoreError> {
        in_transaction!(self, |conn| alerts::prune(&mut conn, before).await)
    }
}

#[async_trait]
impl History for SqliteHistory {
    async fn write(&self, batch: &HistoryBatch) -> Result<(), StoreError> {
        let mut slot = self.writer.lock().await;
        let mut conn = self.take_writer(&mut slot).await?;
        let outcome = match begin(&mut conn).await {
            Ok(()) => self.write_batch(&mut conn, batch).await,
            Err(error) => Err(error),
        };
        let (written, settled) = settle(conn, outcome).await;
        *slot = settled;
        if let Some(symbols) = written? {
            *self.symbols.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(symbols);
        }
        Ok(())
    }

    async fn acknowledged(&self) -> Result<Position, StoreError> {
        let mut conn =
            self.database.readers().acquire().await.map_err(failed("failed to read the history"))?;
        meta::get(&mut conn, FILE_NAME, ACKNOWLEDGED).await.map(i64::cast_unsigned)
    }

    async fn missing(&self) -> Result<Option<Missing>, StoreError> {
        let noted: Vec<(String, i64)> =
            sqlx::query_as("SELECT key, value FROM meta WHERE key LIKE 'missing_%'")
                .fetch_all(self.database.readers())
                .await
                .map_err(failed("failed to read what is missing"))?;
        let value = |name: &str| noted.iter().find(|(key, _)| key == name).map(|(_, value)| *value);
        let [after, through, until] = MISSING_KEYS.map(value);
        Ok(after.zip(through).zip(until).map(|((after, through), until)| Missing {
            after: after.cast_unsigned(),
            through: through.cast_unsigned(),
            until: Nanos(until),
        }))
    }

    async fn note_missing(&self, missing: Missing) -> Result<(), StoreError> {
        let mut slot = self.writer.lock().await;
        let mut conn = self.take_writer(&mut slot).await?;
        let [after, through, until] = MISSING_KEYS;
        let noted = sqlx::query(
            "INSERT INTO meta (key, value) VALUES (?, ?), (?, ?), (?, ?) ON CONFLICT DO UPDATE SET value = \
             CASE key WHEN 'missing_after' THEN min(value, excluded.value) ELSE max(value, excluded.value) END",
        )
        .bind(after)
        .bind(missing.after.cast_signed())
        .bind(through)
        .bind(missing.through.cast_signed())
        .bind(until)
        .bind(missing.until.0)
        .execute(&mut conn)
        .await;
        *slot = Some(conn);
        noted.map(|_| ()).map_err(failed("failed to note what is missing"))
    }

    async fn bars(&self, query: &WindowQuery) -> Result<Vec<Bar>, StoreError> {
        self.database.note(windows::bars(self.database.readers(), &self.symbols(), query).await)
    }

    async fn revisions(&self, symbol: SymbolId, width: Width, limit: usize) -> Result<Vec<Bar>, StoreError> {
        windows::revisions(self.database.readers(), &self.symbols(), symbol, width, limit).await
    }

    async fn indicators(&self, query: &WindowQuery) -> Result<Vec<IndicatorPoint>, StoreError> {
        self.database.note(windows::indicators(self.database.readers(), &self.symbols(), query).await)
    }

    async fn scan(
        &self,
        after: Option<(SymbolId, Width, Nanos)>,
        limit: usize,
    ) -> Result<Vec<(Bar, IndicatorPoint)>, StoreError> {
        let after = after.map(|(symbol, width, start)| (self.symbol_table.spec(symbol), width, start));
        let after = after.as_ref().map(|(spec, width, start)| (spec.name.as_str(), *width, *start));
        self.database.note(windows::scan(self.database.readers(), &self.symbols(), after, limit).await)
    }

    async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<Vec<DeadLetterRecord>, StoreError> {
        self.database.note(dead_letters::find(self.database.readers(), query).await)
    }

    async fn retain(&self, now: Nanos) -> Result<u64, StoreError> {
        let oldest = now.plus(-self.settings.retention_bars_age);
        let mut num_dropped = 0;
        // A symbol at a time: writes get in between.
        for (symbol, _) in self.symbol_table.since(0) {
            let Some(stored) = self.symbols().stored(symbol) else { continue };
            let mut slot = self.writer.lock().await;
            let mut conn = self.take_writer(&mut slot).await?;
            let outcome = match begin(&mut conn).await {
                Ok(()) => windows::drop_before(&mut conn, stored, oldest).await,
                Err(error) => Err(error),
            };
            let (dropped, settled) = settle(conn, outcome).await;
            *slot = settled;
            num_dropped += dropped?;
        }
        let mut slot = self.writer.lock().await;
        let mut conn = self.take_writer(&mut slot).await?;
        let dropped = match dead_letters::drop_before(&mut conn, oldest).await {
            Ok(letters) => signals::drop_before(&mut conn, oldest).await.map(|others| letters + others),
            Err(error) => Err(error),
        };
        // What would have been dropped by now is not missed any more.
        let forgotten = sqlx::query(
            "DELETE FROM meta WHERE key LIKE 'missing_%' \
             AND (SELECT value FROM meta WHERE key = 'missing_until') < ?",
        )
        .bind(oldest.0)
        .execute(&mut conn)
        .await;
        *slot = Some(conn);
        forgotten.map_err(failed("failed to forget what is missing"))?;
        Ok(num_dropped + dropped?)
    }

    fn alert_store(&self) -> Option<&dyn AlertStore> {
        Some(self)
    }

    fn damage(&self) -> Option<String> {
        self.database.damage()
    }

    async fn close(&self) -> Result<(), StoreError> {
        let writer = self.writer.lock().await.take();
        self.database.close(writer).await
    }
}
