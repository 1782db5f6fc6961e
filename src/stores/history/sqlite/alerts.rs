//! The inbox of anomalies, incidents, silences and the outbox of messages in SQLite.
//!
//! One process uses a data directory, so whoever asks has the right to decide, and a message that a process before this one
//! had taken is free again. Rows have checksums as those of [`signals`] do, but for the inbox, whose rows stay for seconds.

use super::signals::{self, Signal};
use crate::models::alert::Alert;
use crate::models::alerts::incident::{Incident, IncidentState};
use crate::models::alerts::outgoing::{Outgoing, OutgoingState};
use crate::models::alerts::policy::Changes;
use crate::models::alerts::silence::Silence;
use crate::models::anomaly::{Anomaly, Severity};
use crate::models::time::Nanos;
use crate::stores::error::StoreError;
use crate::stores::history::alerts::{Acknowledgement, Inbox, InboxItem, IncidentQuery};
use crate::stores::history::signals::Numbered;
use crate::stores::sqlite::checked::{Binder, Fault, get};
use crate::stores::sqlite::database::failed;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, SqliteConnection, SqlitePool};
use std::collections::HashSet;

const WRITING: &str = "failed to write alerts";
const READING: &str = "failed to read alerts";

fn bind_json<T: Serialize>(row: &mut Binder<'_>, value: &T) -> Result<(), BoxDynError> {
    row.text(serde_json::to_string(value)?.as_str())
}

fn read_json<T: DeserializeOwned>(row: &SqliteRow, at: usize) -> Result<T, Fault> {
    serde_json::from_str(get(row, at)?).map_err(|error| Fault::new(error.to_string()))
}

impl Signal for Incident {
    const TABLE: &'static str = "incident_rows";
    const COLUMNS: &'static [&'static str] =
        &["id", "time", "symbol", "anomaly_type", "severity", "state", "changed", "sent", "is_done", "body"];
    const KEY: &'static [&'static str] = &["id"];

    fn bind_key(&self, arguments: &mut SqliteArguments) -> Result<(), BoxDynError> {
        arguments.add(self.id.as_str())
    }

    fn bind(&self, row: &mut Binder<'_>) -> Result<(), BoxDynError> {
        row.text(self.id.as_str())?;
        row.integer(self.time.to_micros().0)?;
        row.text(self.symbol.as_str())?;
        row.text(self.anomaly_type.as_str())?;
        row.text(self.severity.as_str())?;
        row.text(self.state.as_str())?;
        row.integer(self.changed.0)?;
        row.integer(self.sent.map(|sent| sent.0))?;
        row.integer(i64::from(self.is_done()))?;
        bind_json(row, self)
    }

    fn decode(row: &SqliteRow) -> Result<Incident, Fault> {
        let incident: Incident = read_json(row, 9)?;
        Ok(Incident { time: Nanos(get(row, 1)?), ..incident })
    }

    fn meet(&self, _: Incident) -> Option<Incident> {
        Some(self.clone())
    }
}

impl Signal for Silence {
    const TABLE: &'static str = "silence_rows";
    const COLUMNS: &'static [&'static str] = &["id", "start_time", "end_time", "body"];
    const KEY: &'static [&'static str] = &["id"];

    fn bind_key(&self, arguments: &mut SqliteArguments) -> Result<(), BoxDynError> {
        arguments.add(self.id.as_str())
    }

    fn bind(&self, row: &mut Binder<'_>) -> Result<(), BoxDynError> {
        row.text(self.id.as_str())?;
        row.integer(self.start.0)?;
        row.integer(self.end.0)?;
        bind_json(row, self)
    }

    fn decode(row: &SqliteRow) -> Result<Silence, Fault> {
        read_json(row, 3)
    }

    fn meet(&self, _: Silence) -> Option<Silence> {
        Some(self.clone())
    }
}

impl Signal for Outgoing {
    const TABLE: &'static str = "outgoing_rows";
    const COLUMNS: &'static [&'static str] =
        &["id", "channel", "decided", "state", "due", "attempts", "lease_owner", "lease_until", "body"];
    const KEY: &'static [&'static str] = &["id"];

    fn bind_key(&self, arguments: &mut SqliteArguments) -> Result<(), BoxDynError> {
        arguments.add(self.id.as_str())
    }

    fn bind(&self, row: &mut Binder<'_>) -> Result<(), BoxDynError> {
        row.text(self.id.as_str())?;
        row.text(self.channel.as_str())?;
        row.integer(self.decided.0)?;
        row.text(self.state.as_str())?;
        row.integer(self.due.0)?;
        row.integer(i64::from(self.attempts))?;
        row.text(self.lease_owner.as_str())?;
        row.integer(self.lease_until.0)?;
        bind_json(row, &self.body)
    }

    fn decode(row: &SqliteRow) -> Result<Outgoing, Fault> {
        Ok(Outgoing {
            id: get(row, 0)?,
            channel: get(row, 1)?,
            decided: Nanos(get(row, 2)?),
            state: OutgoingState::parse(get(row, 3)?).ok_or_else(|| Fault::new("there is no such state"))?,
            due: Nanos(get(row, 4)?),
            attempts: get(row, 5)?,
            lease_owner: get(row, 6)?,
            lease_until: Nanos(get(row, 7)?),
            body: read_json(row, 8)?,
        })
    }

    fn meet(&self, _: Outgoing) -> Option<Outgoing> {
        Some(self.clone())
    }
}

/// Puts anomalies into the inbox.
pub(super) async fn fill_inbox(
    conn: &mut SqliteConnection,
    anomalies: &[&Anomaly],
) -> Result<(), StoreError> {
    for anomaly in anomalies {
        sqlx::query("INSERT INTO alert_inbox (anomaly_id, time) VALUES (?, ?)")
            .bind(anomaly.id.as_str())
            .bind(anomaly.time.to_micros().0)
            .execute(&mut *conn)
            .await
            .map_err(failed(WRITING))?;
    }
    Ok(())
}

/// Adds to the inbox that somebody sees to incidents.
pub(super) async fn acknowledge(
    conn: &mut SqliteConnection,
    acknowledgements: &[Acknowledgement],
) -> Result<(), StoreError> {
    for one in acknowledgements {
        sqlx::query("INSERT INTO alert_inbox (anomaly_id, time, acknowledged_by) VALUES (?, ?, ?)")
            .bind(one.id.as_str())
            .bind(one.time.0)
            .bind(one.by.as_str())
            .execute(&mut *conn)
            .await
            .map_err(failed(WRITING))?;
    }
    Ok(())
}

/// Returns the oldest rows of the inbox.
pub(super) async fn inbox(readers: &SqlitePool, limit: usize) -> Result<Inbox, StoreError> {
    let rows: Vec<(i64, String, i64, Option<String>)> = sqlx::query_as(
        "SELECT number, anomaly_id, time, acknowledged_by FROM alert_inbox ORDER BY number LIMIT ?",
    )
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(readers)
    .await
    .map_err(failed(READING))?;
    let mut inbox = Inbox::default();
    let mut seen = HashSet::new();
    for (number, id, time, by) in rows {
        inbox.numbers.push(number.cast_unsigned());
        match by {
            Some(by) => {
                let acknowledgement = Acknowledgement { id, by, time: Nanos(time) };
                inbox.items.push(InboxItem::Acknowledgement(acknowledgement));
            }
            None if seen.insert(id.clone()) => {
                let found: Vec<Anomaly> = by_key(readers, "id", &[id]).await?;
                inbox.items.extend(found.into_iter().map(InboxItem::Anomaly));
            }
            None => {}
        }
    }
    Ok(inbox)
}

/// Returns rows by a column.
async fn by_key<T: Signal>(
    readers: &SqlitePool,
    column: &'static str,
    values: &[String],
) -> Result<Vec<T>, StoreError> {
    let mut found = Vec::with_capacity(values.len());
    let sql = format!("SELECT {} FROM {} WHERE {column} = ?", signals::selected::<T>(), T::TABLE);
    for value in values {
        let rows = sqlx::query(AssertSqlSafe(sql.clone()))
            .bind(value.as_str())
            .fetch_all(readers)
            .await
            .map_err(failed(READING))?;
        for row in &rows {
            found.push(signals::read_row::<T>(row)?.row);
        }
    }
    Ok(found)
}

/// Returns those of the incidents that are stored.
pub(super) async fn incidents_by_id(
    readers: &SqlitePool,
    ids: &[String],
) -> Result<Vec<Incident>, StoreError> {
    by_key(readers, "id", ids).await
}

/// Returns the incidents that a start goes on with.
pub(super) async fn kept_incidents(
    readers: &SqlitePool,
    sent_after: Nanos,
) -> Result<Vec<Incident>, StoreError> {
    let columns = signals::selected::<Incident>();
    // Each half has an index of its own.
    let sql = format!(
        "SELECT {columns} FROM incident_rows WHERE is_done = 0 \
         UNION SELECT {columns} FROM incident_rows WHERE sent > ? ORDER BY number"
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(sent_after.0)
        .fetch_all(readers)
        .await
        .map_err(failed(READING))?;
    rows.iter().map(|row| Ok(signals::read_row::<Incident>(row)?.row)).collect()
}

/// Answers a query for incidents.
pub(super) async fn incidents(
    readers: &SqlitePool,
    query: &IncidentQuery,
) -> Result<Vec<Numbered<Incident>>, StoreError> {
    let asked = [
        ("symbol", query.symbol.as_deref()),
        ("anomaly_type", query.anomaly_type.as_deref()),
        ("severity", query.severity.map(Severity::as_str)),
        ("state", query.state.map(IncidentState::as_str)),
    ];
    signals::find(readers, &asked, &query.page).await
}

/// Returns the silences that end after this.
pub(super) async fn silences(readers: &SqlitePool, ended_after: Nanos) -> Result<Vec<Silence>, StoreError> {
    let sql = format!(
        "SELECT {} FROM silence_rows WHERE end_time > ? ORDER BY end_time, number",
        signals::selected::<Silence>()
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(ended_after.0)
        .fetch_all(readers)
        .await
        .map_err(failed(READING))?;
    rows.iter().map(|row| Ok(signals::read_row::<Silence>(row)?.row)).collect()
}

/// Writes a silence.
pub(super) async fn put_silence(conn: &mut SqliteConnection, silence: &Silence) -> Result<(), StoreError> {
    signals::write_all(conn, std::slice::from_ref(silence)).await.map(|_| ())
}

/// Does everything of a decision but the commit.
pub(super) async fn decide(
    conn: &mut SqliteConnection,
    numbers: &[u64],
    changes: &Changes,
) -> Result<(), StoreError> {
    signals::write_all(conn, &changes.incidents).await?;
    signals::write_all(conn, &changes.alerts).await?;
    signals::write_all(conn, &changes.outgoing).await?;
    for number in numbers {
        sqlx::query("DELETE FROM alert_inbox WHERE number = ?")
            .bind(number.cast_signed())
            .execute(&mut *conn)
            .await
            .map_err(failed(WRITING))?;
    }
    Ok(())
}

/// Takes messages that are due.
pub(super) async fn take_outgoing(
    conn: &mut SqliteConnection,
    channel: &str,
    owner: &str,
    now: Nanos,
    until: Nanos,
    limit: usize,
) -> Result<Vec<Outgoing>, StoreError> {
    let sql = format!(
        "SELECT {} FROM outgoing_rows WHERE state = 'waiting' AND due <= ? AND channel = ? \
         AND (lease_owner <> ? OR lease_until <= ?) ORDER BY due, number LIMIT ?",
        signals::selected::<Outgoing>()
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(now.0)
        .bind(channel)
        .bind(owner)
        .bind(now.0)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&mut *conn)
        .await
        .map_err(failed(READING))?;
    let mut taken = Vec::with_capacity(rows.len());
    for row in &rows {
        let found = signals::read_row::<Outgoing>(row)?.row;
        taken.push(Outgoing { lease_owner: owner.to_owned(), lease_until: until, ..found });
    }
    signals::write_all(conn, &taken).await?;
    Ok(taken)
}

/// Writes what became of messages.
pub(super) async fn settle_outgoing(
    conn: &mut SqliteConnection,
    outgoing: &[Outgoing],
    alerts: &[Alert],
) -> Result<(), StoreError> {
    signals::write_all(conn, outgoing).await?;
    signals::write_all(conn, alerts).await.map(|_| ())
}

/// Returns how many messages wait, and since when the oldest one.
pub(super) async fn waiting(readers: &SqlitePool) -> Result<(u64, Option<Nanos>), StoreError> {
    let (count, oldest): (i64, Option<i64>) =
        sqlx::query_as("SELECT count(*), min(decided) FROM outgoing_rows WHERE state = 'waiting'")
            .fetch_one(readers)
            .await
            .map_err(failed(READING))?;
    Ok((count.unsigned_abs(), oldest.map(Nanos)))
}

/// Drops what is done and long ago.
pub(super) async fn prune(conn: &mut SqliteConnection, before: Nanos) -> Result<u64, StoreError> {
    let mut num_dropped = 0;
    for sql in [
        "DELETE FROM incident_rows WHERE is_done = 1 AND changed < ?",
        "DELETE FROM silence_rows WHERE end_time < ?",
        "DELETE FROM outgoing_rows WHERE state <> 'waiting' AND decided < ?",
    ] {
        let done = sqlx::query(sql)
            .bind(before.0)
            .execute(&mut *conn)
            .await
            .map_err(failed("failed to drop old alerts"))?;
        num_dropped += done.rows_affected();
    }
    Ok(num_dropped)
}
