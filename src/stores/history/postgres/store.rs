//! The history in PostgreSQL: [`History`] over its tables.
//!
//! Promises: a batch and how far the log is done with are one transaction, which moves `progress` from where this writer
//! left it. So rows are there once, whatever is sent again, and a second writer is found before it does harm. Whether a
//! commit that was cut off was done is read from the same row by the next connection.
//! A server need not be there when the history is made: it is looked for with the first thing that is asked.
//! On failure: the connection is dropped unless its state is known, and the next write looks for a server anew.

use super::address::address;
use super::connect::Servers;
use super::error::{failed, is_locked_out};
use super::progress::Progress;
use super::read::route::{self, Readers, Replica};
use super::read::windows::{self as read_windows, Windows};
use super::read::{NewestSeen, dead_letters as read_letters, ticks as read_ticks};
use super::settings::PostgresSettings;
use super::ticks::TickRows;
use super::windows::WindowRows;
use super::{alerts, dead_letters, schema, signals, symbols};
use crate::models::alert::Alert;
use crate::models::alerts::incident::Incident;
use crate::models::alerts::outgoing::Outgoing;
use crate::models::alerts::policy::Changes;
use crate::models::alerts::silence::Silence;
use crate::models::anomaly::Anomaly;
use crate::models::bar::Bar;
use crate::models::effect::{Effect, IndicatorPoint};
use crate::models::entry::{Entry, Position};
use crate::models::prediction::Prediction;
use crate::models::symbol::{SymbolId, SymbolSpec};
use crate::models::time::{DAY, Nanos, Width};
use crate::names::{SourceTable, SymbolTable};
use crate::stores::error::StoreError;
use crate::stores::history::alerts::{Acknowledgement, AlertStore, Inbox, IncidentQuery};
use crate::stores::history::signals::{
    AlertQuery, AnomalyQuery, Numbered, PredictionQuery, SignalBatch, SignalHistory,
};
use crate::stores::history::{
    DeadLetterQuery, DeadLetterRecord, History, HistoryBatch, Missing, ReplicaUse, WindowQuery,
};
use crate::stores::log::TickQuery;
use async_trait::async_trait;
use chrono::NaiveDate;
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex;

const WRITING: &str = "failed to write to the history";

/// How long the end waits for connections to be closed in an orderly way: the server notices by itself.
const CLOSE_MAX: Duration = Duration::from_millis(500);

/// The history in PostgreSQL.
pub struct PostgresHistory {
    servers: Servers,
    keeps_ticks: bool,
    symbol_table: Arc<SymbolTable>,
    source_table: Arc<SourceTable>,
    readers: Readers,
    newest_seen: NewestSeen,
    /// Names the log that feeds it.
    epoch: String,
    /// Names this process among those that write.
    writer: String,
    session: Mutex<Option<Session>>,
    /// The connection that writes alerts.
    alerts_conn: Mutex<Option<PgConnection>>,
    /// Where this process left `progress`; `None` before it knows.
    left: StdMutex<Option<Progress>>,
    /// Anomalies are to be decided on.
    fills_inbox: AtomicBool,
}

/// A connection that writes, and what is known of the tables behind it.
struct Session {
    conn: PgConnection,
    progress: Progress,
    /// Days of which there is a partition, or none to be had.
    days: BTreeSet<i64>,
    /// What the table of symbols had when it was last written.
    symbols_version: Option<u64>,
}

impl PostgresHistory {
    /// Opens the history.
    ///
    /// # Errors
    /// Those of [`PostgresHistory::new`] and [`PostgresHistory::connect`].
    pub async fn open(
        settings: &PostgresSettings,
        symbols: Arc<SymbolTable>,
        sources: Arc<SourceTable>,
        epoch: u64,
    ) -> Result<PostgresHistory, StoreError> {
        let history = PostgresHistory::new(settings, symbols, sources, epoch)?;
        history.connect().await?;
        Ok(history)
    }

    /// Makes sure that the server is there, and that its tables are those of this version and of this log.
    ///
    /// # Errors
    /// [`StoreError::Transient`] when no server answers; [`StoreError::Permanent`] for tables of another version, and those
    /// that another log has filled.
    pub async fn connect(&self) -> Result<(), StoreError> {
        let mut slot = self.session.lock().await;
        let session = self.take_session(&mut slot).await?;
        *slot = Some(session);
        Ok(())
    }

    /// Makes a history whose server is looked for with the first thing that is asked. The symbols it knows are added to the
    /// table then; sources give dead letters their names. `epoch` names the log that feeds it: positions of two logs cannot be
    /// compared.
    ///
    /// # Errors
    /// [`StoreError::Permanent`] for an address that is none.
    pub fn new(
        settings: &PostgresSettings,
        symbols: Arc<SymbolTable>,
        sources: Arc<SourceTable>,
        epoch: u64,
    ) -> Result<PostgresHistory, StoreError> {
        let address = address(&settings.url, settings)
            .map_err(|cause| StoreError::Permanent { context: "the address of PostgreSQL", cause })?;
        let servers = Servers::new(address, settings.connect_timeout);
        let (max, timeout) = (settings.max_connections, settings.connect_timeout);
        let replica = match &settings.read_url {
            None => None,
            Some(url) => {
                let address = super::address::address(url, settings)
                    .map_err(|cause| StoreError::Permanent { context: "`history.read_url`", cause })?;
                let servers = Servers::new(address, timeout);
                let pool = route::pool(&servers, max, timeout.min(route::REPLICA_WAIT_MAX));
                Some(Replica::new(servers, pool, settings.max_replica_lag))
            }
        };
        let readers = Readers::new(route::pool(&servers, max, timeout), replica, settings.statement_timeout);
        Ok(PostgresHistory {
            servers,
            keeps_ticks: settings.keeps_ticks,
            symbol_table: symbols,
            source_table: sources,
            readers,
            newest_seen: NewestSeen::default(),
            epoch: format!("{epoch:016x}"),
            writer: format!("{:032x}", rand::random::<u128>()),
            session: Mutex::default(),
            alerts_conn: Mutex::default(),
            left: StdMutex::default(),
            fills_inbox: AtomicBool::new(false),
        })
    }

    /// Makes a connection one that writes: finds out where the tables are, and whether they are still ours; the first time
    /// also whether this version fits them.
    async fn begin_session(&self, mut conn: PgConnection) -> Result<Session, StoreError> {
        let is_first = self.left.lock().unwrap_or_else(PoisonError::into_inner).is_none();
        if is_first {
            schema::check(&mut conn).await?;
            symbols::load(&mut conn, &self.symbol_table).await?;
        }
        let progress = Progress::load(&mut conn, &self.symbol_table).await?;
        self.accept(&progress)?;
        self.readers.move_primary(&self.servers);
        Ok(Session { conn, progress, days: BTreeSet::new(), symbols_version: None })
    }

    /// Takes over where the tables are, unless another log or writer has moved them, or they have lost what they had.
    fn accept(&self, found: &Progress) -> Result<(), StoreError> {
        let permanent = |cause: String| Err(StoreError::Permanent { context: WRITING, cause });
        if found.epoch.as_ref().is_some_and(|epoch| *epoch != self.epoch) {
            return permanent(
                "another log has filled these tables: put back the data directory that belongs to them, or name another \
                 schema or database"
                    .to_owned(),
            );
        }
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(left) = &*left {
            // A commit whose answer was cut off is one further, and ours.
            let is_ours =
                found.writer == self.writer || (&found.writer, found.batch) == (&left.writer, left.batch);
            if !is_ours && found.batch >= left.batch {
                let cause = format!(
                    "another process writes to these tables: it has moved them to position {}, and this one, which had \
                     them at {}, writes nothing any more",
                    found.pos, left.pos
                );
                return Err(StoreError::Fenced { context: WRITING, cause });
            }
            if found.batch < left.batch {
                return permanent(format!(
                    "the server has lost what it had acknowledged: it is at position {} again, after {}; start again, and \
                     what it lacks is brought from the log",
                    found.pos, left.pos
                ));
            }
        }
        *left = Some(found.clone());
        Ok(())
    }

    /// Takes the connection that writes, or makes one.
    async fn take_session(&self, slot: &mut Option<Session>) -> Result<Session, StoreError> {
        match slot.take() {
            Some(session) => Ok(session),
            None => self.begin_session(self.servers.writable().await?).await,
        }
    }

    /// Does everything of a commit but the commit. Returns where `progress` is after it.
    async fn write_batch(
        &self,
        session: &mut Session,
        ticks: &TickRows,
        windows: &WindowRows<'_>,
        batch: &HistoryBatch,
    ) -> Result<Progress, StoreError> {
        let Session { conn, progress, symbols_version, .. } = session;
        if *symbols_version != Some(self.symbol_table.version()) {
            symbols::store(conn, &self.symbol_table).await?;
        }
        ticks.write(conn).await?;
        windows.write(conn).await?;
        let from_log = batch.effects.iter().flat_map(|part| part.iter()).filter_map(|effect| match effect {
            Effect::DeadLetter(letter) => {
                Some(Cow::Owned(DeadLetterRecord::of(letter, &self.symbol_table, &self.source_table)))
            }
            Effect::Bar(_) | Effect::Indicators(_) | Effect::Anomaly(_) | Effect::Sealed(_) => None,
        });
        let letters: Vec<Cow<'_, DeadLetterRecord>> =
            from_log.chain(batch.dead_letters.iter().map(Cow::Borrowed)).collect();
        dead_letters::write(conn, &letters).await?;
        let mut next = progress.after(&ticks.reached, batch.acknowledged);
        next.writer.clone_from(&self.writer);
        next.epoch = Some(self.epoch.clone());
        let symbols = &self.symbol_table;
        if !progress.advance(conn, &next, &self.writer, &self.epoch, symbols).await? {
            let found = Progress::load(conn, symbols).await?;
            // It was read when this connection was made, so somebody has moved it since.
            self.accept(&found)?;
            return Err(StoreError::Transient {
                context: WRITING,
                cause: "the tables are not where they were left; they are read again".to_owned(),
            });
        }
        Ok(next)
    }

    /// Writes anomalies that changed something into the inbox too, where it is filled.
    async fn write_signal_batch(
        &self,
        conn: &mut PgConnection,
        batch: &SignalBatch,
    ) -> Result<(), StoreError> {
        let (ids, times) = signals::write(conn, batch).await?;
        if self.fills_inbox.load(Ordering::Relaxed) && !ids.is_empty() {
            alerts::fill_inbox(conn, ids, times).await?;
        }
        Ok(())
    }

    /// Has a partition for each day of the rows. Without one they go to the default partition, so a failure is no failure.
    async fn prepare_days(
        session: &mut Session,
        times: impl Iterator<Item = Nanos>,
    ) -> Result<(), StoreError> {
        let is_first = session.days.is_empty();
        let wanted: BTreeSet<i64> =
            times.map(|time| time.0.div_euclid(DAY)).filter(|day| !session.days.contains(day)).collect();
        if wanted.is_empty() && !is_first {
            return Ok(());
        }
        let date = |day: &i64| NaiveDate::from_epoch_days(i32::try_from(*day).unwrap_or(i32::MAX));
        let dates: Vec<NaiveDate> = wanted.iter().filter_map(date).collect();
        let made =
            sqlx::query("SELECT * FROM tickwire_partitions($1)").bind(dates).execute(&mut session.conn).await;
        match made {
            Ok(_) => {}
            Err(error) if is_locked_out(&error) => {
                tracing::debug!(%error, "rows go to the default partition");
            }
            Err(error) => return Err(failed("failed to make partitions")(error)),
        }
        session.days.extend(wanted);
        Ok(())
    }

    /// Rewrites days that are over in the order of their keys, over a connection of its own: whoever writes does not wait.
    async fn order_days(&self) -> Result<(), StoreError> {
        const ORDERING: &str = "failed to rewrite a day in the order of its key";
        let mut conn = self.servers.writable().await?;
        conn.execute("SET statement_timeout = '60s'").await.map_err(failed(ORDERING))?;
        loop {
            let part: Option<String> = sqlx::query_scalar("SELECT tickwire_order()::text")
                .fetch_one(&mut conn)
                .await
                .map_err(failed(ORDERING))?;
            let Some(part) = part else { break };
            tracing::debug!(part, "a day is rewritten in the order of its key");
        }
        conn.close().await.map_err(failed(ORDERING))
    }
}

#[async_trait]
impl SignalHistory for PostgresHistory {
    async fn write_signals(&self, batch: &SignalBatch) -> Result<(), StoreError> {
        let mut slot = self.session.lock().await;
        let mut session = self.take_session(&mut slot).await?;
        session.conn.execute("BEGIN").await.map_err(failed(WRITING))?;
        let outcome = self.write_signal_batch(&mut session.conn, batch).await;
        match outcome {
            Ok(()) => session.conn.execute("COMMIT").await.map_err(failed("failed to commit"))?,
            Err(StoreError::Refused { .. }) => {
                session.conn.execute("ROLLBACK").await.map_err(failed(WRITING))?
            }
            // The connection goes, and with it what was begun.
            Err(error) => return Err(error),
        };
        *slot = Some(session);
        outcome
    }

    async fn anomalies(&self, query: &AnomalyQuery) -> Result<Vec<Numbered<Anomaly>>, StoreError> {
        self.readers.read(|pool| async move { signals::anomalies(&pool, query).await }).await
    }

    async fn predictions(&self, query: &PredictionQuery) -> Result<Vec<Numbered<Prediction>>, StoreError> {
        self.readers.read(|pool| async move { signals::predictions(&pool, query).await }).await
    }

    async fn newest_predictions(&self, symbol: &str) -> Result<Vec<Prediction>, StoreError> {
        self.readers.read(|pool| async move { signals::newest_predictions(&pool, symbol).await }).await
    }

    async fn alerts(&self, query: &AlertQuery) -> Result<Vec<Numbered<Alert>>, StoreError> {
        self.readers.read(|pool| async move { signals::alerts(&pool, query).await }).await
    }
}

/// Runs work on the connection that writes alerts. It is dropped after a failure, and with it what was begun.
macro_rules! on_alerts_connection {
    ($history:expr, |$conn:ident| $work:expr) => {{
        let mut slot = $history.alerts_conn.lock().await;
        let mut connection = match slot.take() {
            Some(connection) => connection,
            None => $history.servers.writable().await?,
        };
        let $conn = &mut connection;
        let outcome = $work?;
        *slot = Some(connection);
        Ok(outcome)
    }};
}

/// Alerts have a connection of their own: a process that only serves writes here too, and must not be taken for another
/// writer of the rows.
#[async_trait]
impl AlertStore for PostgresHistory {
    fn begin_inbox(&self) {
        self.fills_inbox.store(true, Ordering::Relaxed);
    }

    async fn lead(&self, owner: &str, now: Nanos, until: Nanos) -> Result<bool, StoreError> {
        on_alerts_connection!(self, |conn| alerts::lead(conn, owner, now, until).await)
    }

    async fn inbox(&self, limit: usize) -> Result<Inbox, StoreError> {
        alerts::inbox(self.readers.primary(), limit).await
    }

    async fn acknowledge(&self, acknowledgements: &[Acknowledgement]) -> Result<(), StoreError> {
        on_alerts_connection!(self, |conn| alerts::acknowledge(conn, acknowledgements).await)
    }

    async fn kept_incidents(&self, sent_after: Nanos) -> Result<Vec<Incident>, StoreError> {
        alerts::kept_incidents(self.readers.primary(), sent_after).await
    }

    async fn incidents_by_id(&self, ids: &[String]) -> Result<Vec<Incident>, StoreError> {
        alerts::incidents_by_id(self.readers.primary(), ids).await
    }

    async fn incidents(&self, query: &IncidentQuery) -> Result<Vec<Numbered<Incident>>, StoreError> {
        self.readers.read(|pool| async move { alerts::incidents(&pool, query).await }).await
    }

    async fn silences(&self, ended_after: Nanos) -> Result<Vec<Silence>, StoreError> {
        alerts::silences(self.readers.primary(), ended_after).await
    }

    async fn put_silence(&self, silence: &Silence) -> Result<(), StoreError> {
        on_alerts_connection!(self, |conn| alerts::put_silence(conn, silence).await)
    }

    async fn decide(&self, owner: &str, numbers: &[u64], changes: &Changes) -> Result<bool, StoreError> {
        on_alerts_connection!(self, |conn| alerts::decide(conn, owner, numbers, changes).await)
    }

    async fn take_outgoing(
        &self,
        channel: &str,
        owner: &str,
        now: Nanos,
        until: Nanos,
        limit: usize,
    ) -> Result<Vec<Outgoing>, StoreError> {
        on_alerts_connection!(self, |conn| alerts::take_outgoing(conn, channel, owner, now, until, limit)
            .await)
    }

    async fn settle(&self, outgoing: &[Outgoing], settled: &[Alert]) -> Result<(), StoreError> {
        on_alerts_connection!(self, |conn| alerts::settle(conn, outgoing, settled).await)
    }

    async fn waiting(&self) -> Result<(u64, Option<Nanos>), StoreError> {
        alerts::waiting(self.readers.primary()).await
    }

    async fn prune(&self, before: Nanos) -> Result<u64, StoreError> {
        on_alerts_connection!(self, |conn| alerts::prune(conn, before).await)
    }
}

#[async_trait]
impl History for PostgresHistory {
    async fn write(&self, batch: &HistoryBatch) -> Result<(), StoreError> {
        let mut slot = self.session.lock().await;
        // Out of its place meanwhile: a caller that gives up halfway leaves no connection in the middle of something.
        let mut session = self.take_session(&mut slot).await?;
        let ticks = match self.keeps_ticks {
            true => TickRows::of(&batch.reports, &session.progress, &self.symbol_table, &self.source_table),
            false => TickRows::default(),
        };
        let windows = WindowRows::of(batch.effects.iter().flat_map(|part| part.iter()), &self.symbol_table);
        if !ticks.unwritable.is_empty() {
            *slot = Some(session);
            let num_effects = batch.effects.iter().map(|part| part.len()).sum::<usize>();
            return Err(StoreError::Refused {
                context: WRITING,
                cause: "a text holds a NUL, which PostgreSQL does not take".to_owned(),
                rows: ticks.unwritable.iter().map(|place| num_effects + place).collect(),
            });
        }
        PostgresHistory::prepare_days(&mut session, ticks.times().chain(windows.times())).await?;
        let version = self.symbol_table.version();
        session.conn.execute("BEGIN").await.map_err(failed(WRITING))?;
        match self.write_batch(&mut session, &ticks, &windows, batch).await {
            Ok(next) => {
                session.conn.execute("COMMIT").await.map_err(failed("failed to commit"))?;
                *self.left.lock().unwrap_or_else(PoisonError::into_inner) = Some(next.clone());
                session.progress = next;
                session.symbols_version = Some(version);
                *slot = Some(session);
                if let Some(newest) = windows.times().max() {
                    self.newest_seen.note(newest);
                }
                Ok(())
            }
            Err(error @ StoreError::Refused { .. }) => {
                session.conn.execute("ROLLBACK").await.map_err(failed(WRITING))?;
                *slot = Some(session);
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    fn alert_store(&self) -> Option<&dyn AlertStore> {
        Some(self)
    }

    fn repair_advice(&self) -> &'static str {
        "see what the server says; the log keeps what it lacks, and a start brings it"
    }

    fn keeps_reports(&self) -> bool {
        self.keeps_ticks
    }

    async fn acknowledged(&self) -> Result<Position, StoreError> {
        let mut slot = self.session.lock().await;
        let session = self.take_session(&mut slot).await?;
        Ok(slot.insert(session).progress.pos)
    }

    async fn missing(&self) -> Result<Option<Missing>, StoreError> {
        let noted: Option<(Option<i64>, Option<i64>, Option<i64>)> = sqlx::query_as(
            "SELECT missing_after, missing_through, missing_until FROM progress WHERE partition = 0",
        )
        .fetch_optional(self.readers.primary())
        .await
        .map_err(failed("failed to read what is missing"))?;
        Ok(noted.and_then(|(after, through, until)| {
            let (after, through) = (after?.cast_unsigned(), through?.cast_unsigned());
            Some(Missing { after, through, until: Nanos(until?) })
        }))
    }

    async fn note_missing(&self, missing: Missing) -> Result<(), StoreError> {
        const NOTING: &str = "failed to note what is missing";
        // There is a row once anything was written.
        self.write(&HistoryBatch::default()).await?;
        let mut slot = self.session.lock().await;
        let mut session = self.take_session(&mut slot).await?;
        // `least` and `greatest` leave out what is not known.
        sqlx::query(
            "UPDATE progress SET missing_after = least(missing_after, $1), \
             missing_through = greatest(missing_through, $2), missing_until = greatest(missing_until, $3) \
             WHERE partition = 0",
        )
        .bind(missing.after.cast_signed())
        .bind(missing.through.cast_signed())
        .bind(missing.until.0)
        .execute(&mut session.conn)
        .await
        .map_err(failed(NOTING))?;
        *slot = Some(session);
        Ok(())
    }

    async fn readable(&self) -> Result<Position, StoreError> {
        if !self.readers.has_replica() {
            let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
            return Ok(left.as_ref().map_or(0, |left| left.pos));
        }
        let pos: Option<i64> = self
            .readers
            .read_furthest_back(|pool| async move {
                sqlx::query_scalar("SELECT pos FROM progress WHERE partition = 0")
                    .fetch_optional(&pool)
                    .await
                    .map_err(failed("failed to read how far the history is"))
            })
            .await?;
        Ok(pos.unwrap_or_default().cast_unsigned())
    }

    async fn bars(&self, query: &WindowQuery) -> Result<Vec<Bar>, StoreError> {
        let spec = self.symbol_table.spec(query.symbol);
        let windows = Windows { symbol: query.symbol, spec: &spec, width: query.width };
        self.readers
            .read(|pool| async move { read_windows::bars(&pool, &self.newest_seen, windows, query).await })
            .await
    }

    async fn revisions(&self, symbol: SymbolId, width: Width, limit: usize) -> Result<Vec<Bar>, StoreError> {
        let spec = self.symbol_table.spec(symbol);
        let windows = Windows { symbol, spec: &spec, width };
        self.readers
            .read(
                |pool| async move { read_windows::revisions(&pool, &self.newest_seen, windows, limit).await },
            )
            .await
    }

    async fn indicators(&self, query: &WindowQuery) -> Result<Vec<IndicatorPoint>, StoreError> {
        let spec = self.symbol_table.spec(query.symbol);
        let windows = Windows { symbol: query.symbol, spec: &spec, width: query.width };
        self.readers
            .read(|pool| async move { read_windows::indicators(&pool, &self.newest_seen, windows, query).await })
            .await
    }

    async fn scan(
        &self,
        after: Option<(SymbolId, Width, Nanos)>,
        limit: usize,
    ) -> Result<Vec<(Bar, IndicatorPoint)>, StoreError> {
        let first =
            after.map_or_else(String::new, |(symbol, ..)| self.symbol_table.spec(symbol).name.clone());
        let mut symbols: Vec<(SymbolId, Arc<SymbolSpec>)> = self.symbol_table.since(0);
        symbols.retain(|(_, spec)| spec.name >= first);
        symbols.sort_unstable_by(|(_, a), (_, b)| a.name.cmp(&b.name));
        let mut found = Vec::new();
        for (symbol, spec) in symbols {
            let after = after.filter(|(last, ..)| *last == symbol);
            for width in read_windows::widths(self.readers.primary(), &spec.name).await? {
                let after = match after {
                    Some((_, last, _)) if width < last => continue,
                    Some((_, last, start)) if width == last => Some(start),
                    _ => None,
                };
                let windows = Windows { symbol, spec: &spec, width };
                let wanted = limit - found.len();
                found.extend(read_windows::scan(self.readers.primary(), windows, after, wanted).await?);
                if found.len() >= limit {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }

    async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<Vec<DeadLetterRecord>, StoreError> {
        self.readers.read(|pool| async move { read_letters::find(&pool, query).await }).await
    }

    async fn ticks(&self, query: &TickQuery) -> Result<Option<Vec<Entry>>, StoreError> {
        if !self.keeps_ticks {
            return Ok(None);
        }
        let spec = self.symbol_table.spec(query.symbol);
        let (seen, spec, sources) = (&self.newest_seen, &*spec, &self.source_table);
        let read = |pool| async move { read_ticks::find(&pool, seen, query, spec, sources).await };
        self.readers.read(read).await.map(Some)
    }

    async fn replica(&self) -> Option<ReplicaUse> {
        self.readers.replica_use().await
    }

    /// Has the server make coming partitions, drop old ones, and rewrite days that are over in the order of their keys: it
    /// goes by its own clock, and by what `migrate` was told.
    async fn retain(&self, _: Nanos) -> Result<u64, StoreError> {
        let dropped = {
            let mut slot = self.session.lock().await;
            let mut session = self.take_session(&mut slot).await?;
            let dropped: Result<i32, _> = sqlx::query_scalar("SELECT dropped FROM tickwire_partitions()")
                .fetch_one(&mut session.conn)
                .await;
            let dropped = dropped.map_err(failed("failed to drop old partitions"))?;
            *slot = Some(session);
            u64::from(dropped.unsigned_abs())
        };
        if let Err(error) = self.order_days().await {
            tracing::warn!(%error, "a day could not be rewritten in the order of its key; it is tried again");
        }
        Ok(dropped)
    }

    async fn close(&self) -> Result<(), StoreError> {
        let close = async {
            self.readers.close().await;
            match self.session.lock().await.take() {
                Some(session) => session.conn.close().await.map_err(failed("failed to close the connection")),
                None => Ok(()),
            }
        };
        // Everything is committed or not by now; a server that does not answer is not waited for.
        tokio::time::timeout(CLOSE_MAX, close).await.unwrap_or(Ok(()))
    }
}
