//! The inbox of anomalies, incidents, silences and the outbox of messages in PostgreSQL.
//!
//! Several processes may write anomalies here; one of them at a time decides, which its row in `alert_leases` says, and the
//! transaction of a decision holds only while it does. Messages are taken with `SKIP LOCKED`, so that none waits for another
//! one's. Values of `body` are what the models say, the columns beside it what is looked for.

use super::error::failed;
use super::signals::{self, ANOMALY_COLUMNS, anomaly_of, signed, stamp};
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
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, Row};
use std::collections::HashMap;

const WRITING: &str = "failed to write alerts";
const READING: &str = "failed to read alerts";

/// The one right to decide.
const POLICY: &str = "policy";

fn json<T: Serialize>(value: &T) -> Result<Value, StoreError> {
    serde_json::to_value(value)
        .map_err(|error| StoreError::Permanent { context: WRITING, cause: error.to_string() })
}

fn bodies<T: Serialize>(rows: &[T]) -> Result<Vec<Value>, StoreError> {
    rows.iter().map(json).collect()
}

fn body_of<T: DeserializeOwned>(row: &PgRow) -> Result<T, sqlx::Error> {
    let body: Value = row.try_get("body")?;
    serde_json::from_value(body).map_err(|error| sqlx::Error::Decode(error.into()))
}

fn nanos(time: DateTime<Utc>) -> Nanos {
    Nanos(time.timestamp_micros().saturating_mul(1_000))
}

/// Puts anomalies into the inbox, by their ids and times.
pub(super) async fn fill_inbox(
    conn: &mut PgConnection,
    ids: Vec<String>,
    times: Vec<DateTime<Utc>>,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO alert_inbox (anomaly_id, time) SELECT * FROM unnest($1::varchar[], $2::timestamptz[])",
    )
    .bind(ids)
    .bind(times)
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(failed(WRITING))
}

/// Adds to the inbox that somebody sees to incidents.
pub(super) async fn acknowledge(conn: &mut PgConnection, rows: &[Acknowledgement]) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO alert_inbox (anomaly_id, time, acknowledged_by) \
         SELECT * FROM unnest($1::varchar[], $2::timestamptz[], $3::varchar[])",
    )
    .bind(rows.iter().map(|row| row.id.clone()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| stamp(row.time)).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.by.clone()).collect::<Vec<_>>())
    .execute(&mut *conn)
    .await
    .map(|_| ())
    .map_err(failed(WRITING))
}

/// Takes, or keeps, the right to decide.
pub(super) async fn lead(
    conn: &mut PgConnection,
    owner: &str,
    now: Nanos,
    until: Nanos,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO alert_leases (name, owner, until) VALUES ($1, $2, $3) \
         ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until \
         WHERE alert_leases.owner = excluded.owner OR alert_leases.until <= $4",
    )
    .bind(POLICY)
    .bind(owner)
    .bind(stamp(until))
    .bind(stamp(now))
    .execute(&mut *conn)
    .await
    .map_err(failed(WRITING))?;
    Ok(done.rows_affected() == 1)
}

/// Returns the oldest rows of the inbox.
pub(super) async fn inbox(pool: &PgPool, limit: usize) -> Result<Inbox, StoreError> {
    let rows: Vec<(i64, String, DateTime<Utc>, Option<String>)> = sqlx::query_as(
        "SELECT number, anomaly_id, time, acknowledged_by FROM alert_inbox ORDER BY number LIMIT $1",
    )
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await
    .map_err(failed(READING))?;
    let ids: Vec<String> =
        rows.iter().filter(|(.., by)| by.is_none()).map(|(_, id, ..)| id.clone()).collect();
    let sql = format!("SELECT {ANOMALY_COLUMNS} FROM anomalies WHERE id = ANY($1)");
    let found = match ids.is_empty() {
        true => Vec::new(),
        false => sqlx::query(AssertSqlSafe(sql)).bind(ids).fetch_all(pool).await.map_err(failed(READING))?,
    };
    let mut anomalies: HashMap<String, Anomaly> = HashMap::with_capacity(found.len());
    for row in &found {
        let anomaly = anomaly_of(row).map_err(failed(READING))?;
        anomalies.insert(anomaly.id.clone(), anomaly);
    }
    let mut inbox = Inbox::default();
    for (number, id, time, by) in rows {
        inbox.numbers.push(number.cast_unsigned());
        inbox.items.extend(match by {
            Some(by) => Some(InboxItem::Acknowledgement(Acknowledgement { id, by, time: nanos(time) })),
            None => anomalies.remove(&id).map(InboxItem::Anomaly),
        });
    }
    Ok(inbox)
}

fn incident_of(row: &PgRow) -> Result<Incident, sqlx::Error> {
    Ok(Incident { time: signals::time_of(row)?, ..body_of(row)? })
}

/// Returns the incidents that a start goes on with.
pub(super) async fn kept_incidents(pool: &PgPool, sent_after: Nanos) -> Result<Vec<Incident>, StoreError> {
    let rows = sqlx::query("SELECT time, body FROM incidents WHERE NOT is_done OR sent > $1 ORDER BY number")
        .bind(stamp(sent_after))
        .fetch_all(pool)
        .await
        .map_err(failed(READING))?;
    rows.iter().map(incident_of).collect::<Result<_, _>>().map_err(failed(READING))
}

/// Returns those of the incidents that are stored.
pub(super) async fn incidents_by_id(pool: &PgPool, ids: &[String]) -> Result<Vec<Incident>, StoreError> {
    let rows = sqlx::query("SELECT time, body FROM incidents WHERE id = ANY($1)")
        .bind(ids)
        .fetch_all(pool)
        .await
        .map_err(failed(READING))?;
    rows.iter().map(incident_of).collect::<Result<_, _>>().map_err(failed(READING))
}

/// Answers a query for incidents.
pub(super) async fn incidents(
    pool: &PgPool,
    query: &IncidentQuery,
) -> Result<Vec<Numbered<Incident>>, StoreError> {
    let asked = [
        ("symbol", query.symbol.as_deref()),
        ("anomaly_type", query.anomaly_type.as_deref()),
        ("severity", query.severity.map(Severity::as_str)),
        ("state", query.state.map(IncidentState::as_str)),
    ];
    signals::find(pool, ("incidents", "time, body, number"), &asked, &query.page, incident_of).await
}

/// Returns the silences that end after this.
pub(super) async fn silences(pool: &PgPool, ended_after: Nanos) -> Result<Vec<Silence>, StoreError> {
    let rows = sqlx::query("SELECT body FROM silences WHERE end_time > $1 ORDER BY end_time, id")
        .bind(stamp(ended_after))
        .fetch_all(pool)
        .await
        .map_err(failed(READING))?;
    rows.iter().map(body_of).collect::<Result<_, _>>().map_err(failed(READING))
}

/// Writes a silence.
pub(super) async fn put_silence(conn: &mut PgConnection, silence: &Silence) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO silences (id, start_time, end_time, body) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (id) DO UPDATE SET start_time = excluded.start_time, end_time = excluded.end_time, \
         body = excluded.body",
    )
    .bind(&silence.id)
    .bind(stamp(silence.start))
    .bind(stamp(silence.end))
    .bind(json(silence)?)
    .execute(&mut *conn)
    .await
    .map(|_| ())
    .map_err(failed(WRITING))
}

async fn write_incidents(conn: &mut PgConnection, rows: &[Incident]) -> Result<(), StoreError> {
    let texts = |of: fn(&Incident) -> &str| rows.iter().map(|row| of(row).to_owned()).collect::<Vec<_>>();
    sqlx::query(
        "INSERT INTO incidents (id, time, symbol, anomaly_type, severity, state, changed, sent, is_done, body) \
         SELECT * FROM unnest($1::varchar[], $2::timestamptz[], $3::varchar[], $4::varchar[], $5::varchar[], \
         $6::varchar[], $7::timestamptz[], $8::timestamptz[], $9::boolean[], $10::jsonb[]) \
         ON CONFLICT (id) DO UPDATE SET severity = excluded.severity, state = excluded.state, \
         changed = excluded.changed, sent = excluded.sent, is_done = excluded.is_done, body = excluded.body",
    )
    .bind(texts(|row| &row.id))
    .bind(rows.iter().map(|row| stamp(row.time)).collect::<Vec<_>>())
    .bind(texts(|row| &row.symbol))
    .bind(texts(|row| &row.anomaly_type))
    .bind(texts(|row| row.severity.as_str()))
    .bind(texts(|row| row.state.as_str()))
    .bind(rows.iter().map(|row| stamp(row.changed)).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.sent.map(stamp)).collect::<Vec<_>>())
    .bind(rows.iter().map(Incident::is_done).collect::<Vec<_>>())
    .bind(bodies(rows)?)
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(failed(WRITING))
}

async fn write_outgoing(conn: &mut PgConnection, rows: &[Outgoing]) -> Result<(), StoreError> {
    let texts = |of: fn(&Outgoing) -> &str| rows.iter().map(|row| of(row).to_owned()).collect::<Vec<_>>();
    let stamps = |of: fn(&Outgoing) -> Nanos| rows.iter().map(|row| stamp(of(row))).collect::<Vec<_>>();
    let bodies: Vec<Value> = rows.iter().map(|row| json(&row.body)).collect::<Result<_, _>>()?;
    sqlx::query(
        "INSERT INTO outgoing (id, channel, decided, state, due, attempts, lease_owner, lease_until, body) \
         SELECT * FROM unnest($1::varchar[], $2::varchar[], $3::timestamptz[], $4::varchar[], $5::timestamptz[], \
         $6::integer[], $7::varchar[], $8::timestamptz[], $9::jsonb[]) \
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, due = excluded.due, attempts = excluded.attempts, \
         lease_owner = excluded.lease_owner, lease_until = excluded.lease_until, body = excluded.body",
    )
    .bind(texts(|row| &row.id))
    .bind(texts(|row| &row.channel))
    .bind(stamps(|row| row.decided))
    .bind(texts(|row| row.state.as_str()))
    .bind(stamps(|row| row.due))
    .bind(rows.iter().map(|row| signed(row.attempts)).collect::<Vec<_>>())
    .bind(texts(|row| &row.lease_owner))
    .bind(stamps(|row| row.lease_until))
    .bind(bodies)
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(failed(WRITING))
}

/// Commits what was decided; false where the right to decide is gone.
pub(super) async fn decide(
    conn: &mut PgConnection,
    owner: &str,
    numbers: &[u64],
    changes: &Changes,
) -> Result<bool, StoreError> {
    let mut transaction = conn.begin().await.map_err(failed(WRITING))?;
    // Whoever wants to take the lease waits for this row.
    let holds: Option<String> =
        sqlx::query_scalar("SELECT owner FROM alert_leases WHERE name = $1 AND owner = $2 FOR UPDATE")
            .bind(POLICY)
            .bind(owner)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(failed(WRITING))?;
    if holds.is_none() {
        return Ok(false);
    }
    if !changes.incidents.is_empty() {
        write_incidents(&mut transaction, &changes.incidents).await?;
    }
    if !changes.alerts.is_empty() {
        signals::write_alerts(&mut transaction, &changes.alerts).await?;
    }
    if !changes.outgoing.is_empty() {
        write_outgoing(&mut transaction, &changes.outgoing).await?;
    }
    sqlx::query("DELETE FROM alert_inbox WHERE number = ANY($1)")
        .bind(numbers.iter().map(|number| number.cast_signed()).collect::<Vec<_>>())
        .execute(&mut *transaction)
        .await
        .map_err(failed(WRITING))?;
    transaction.commit().await.map_err(failed(WRITING))?;
    Ok(true)
}

/// Takes messages that are due.
pub(super) async fn take_outgoing(
    conn: &mut PgConnection,
    channel: &str,
    owner: &str,
    now: Nanos,
    until: Nanos,
    limit: usize,
) -> Result<Vec<Outgoing>, StoreError> {
    let rows = sqlx::query(
        "UPDATE outgoing SET lease_owner = $1, lease_until = $2 WHERE id IN ( \
         SELECT id FROM outgoing WHERE state = 'waiting' AND due <= $3 AND lease_until <= $3 AND channel = $5 \
         ORDER BY due, number LIMIT $4 FOR UPDATE SKIP LOCKED) \
         RETURNING id, channel, decided, state, due, attempts, lease_owner, lease_until, body, number",
    )
    .bind(owner)
    .bind(stamp(until))
    .bind(stamp(now))
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .bind(channel)
    .fetch_all(&mut *conn)
    .await
    .map_err(failed(WRITING))?;
    let mut taken: Vec<(i64, Outgoing)> = rows
        .iter()
        .map(|row| Ok((row.try_get("number")?, outgoing_of(row)?)))
        .collect::<Result<_, sqlx::Error>>()
        .map_err(failed(READING))?;
    taken.sort_by_key(|(number, message)| (message.due, *number));
    Ok(taken.into_iter().map(|(_, message)| message).collect())
}

fn outgoing_of(row: &PgRow) -> Result<Outgoing, sqlx::Error> {
    let attempts: i32 = row.try_get("attempts")?;
    Ok(Outgoing {
        id: row.try_get("id")?,
        channel: row.try_get("channel")?,
        decided: nanos(row.try_get("decided")?),
        state: OutgoingState::parse(row.try_get("state")?).unwrap_or_default(),
        due: nanos(row.try_get("due")?),
        attempts: attempts.unsigned_abs(),
        lease_owner: row.try_get("lease_owner")?,
        lease_until: nanos(row.try_get("lease_until")?),
        body: body_of(row)?,
    })
}

/// Writes what became of messages.
pub(super) async fn settle(
    conn: &mut PgConnection,
    outgoing: &[Outgoing],
    alerts: &[Alert],
) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await.map_err(failed(WRITING))?;
    if !outgoing.is_empty() {
        write_outgoing(&mut transaction, outgoing).await?;
    }
    if !alerts.is_empty() {
        signals::write_alerts(&mut transaction, alerts).await?;
    }
    transaction.commit().await.map_err(failed(WRITING))
}

/// Returns how many messages wait, and since when the oldest one.
pub(super) async fn waiting(pool: &PgPool) -> Result<(u64, Option<Nanos>), StoreError> {
    let (count, oldest): (i64, Option<DateTime<Utc>>) =
        sqlx::query_as("SELECT count(*), min(decided) FROM outgoing WHERE state = 'waiting'")
            .fetch_one(pool)
            .await
            .map_err(failed(READING))?;
    Ok((count.unsigned_abs(), oldest.map(nanos)))
}

/// Drops what is done and long ago.
pub(super) async fn prune(conn: &mut PgConnection, before: Nanos) -> Result<u64, StoreError> {
    let mut num_dropped = 0;
    for sql in [
        "DELETE FROM incidents WHERE is_done AND changed < $1",
        "DELETE FROM silences WHERE end_time < $1",
        "DELETE FROM outgoing WHERE state <> 'waiting' AND decided < $1",
    ] {
        let done = sqlx::query(sql).bind(stamp(before)).execute(&mut *conn).await;
        num_dropped += done.map_err(failed("failed to drop old alerts"))?.rows_affected();
    }
    Ok(num_dropped)
}
