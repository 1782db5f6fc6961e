//! Makes the tables, or brings those of before to this version: what `tickwire migrate` does, and nothing else may.
//!
//! Promises: a table that is there keeps its rows, but for those that are there twice; each step is a transaction, and what
//! was done is not done again. The large tables become hypertables where TimescaleDB is, else they are partitioned by day.
//! On failure: the error names the step, and the steps before it stand.

use super::address::address;
use super::connect::Servers;
use super::error::{failed, is_unavailable};
use super::schema::{MIGRATOR, SchemaState, state};
use super::settings::PostgresSettings;
use crate::stores::error::StoreError;
use sqlx::migrate::MigrateError;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};
use std::time::Duration;

const MIGRATING: &str = "failed to migrate the tables";

/// Partitions by day, for servers without TimescaleDB.
const NATIVE: &str = include_str!("../../../../migrations/postgres/native/partitions.sql");

/// What is asked of a migration.
#[derive(Clone, Debug)]
pub struct MigrationSettings {
    /// Whether TimescaleDB is used: `None` where it is there.
    pub timescale: Option<bool>,
    /// Chunks older than this are compressed, where TimescaleDB is used.
    pub compress_after: Duration,
    /// Ticks older than this are dropped.
    pub retention_ticks: Duration,
    /// Bars and all else that is older than this are dropped.
    pub retention_bars: Duration,
}

impl Default for MigrationSettings {
    fn default() -> Self {
        const DAY: Duration = Duration::from_hours(24);
        MigrationSettings {
            timescale: None,
            compress_after: DAY * 7,
            retention_ticks: DAY * 365,
            retention_bars: DAY * 365,
        }
    }
}

/// What there is to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MigrationPlan {
    /// In words, one step a line; empty when there is nothing to do.
    pub steps: Vec<String>,
}

/// A connection of somebody who owns the tables, or may make them.
pub struct Migration {
    conn: PgConnection,
    schema: String,
    settings: MigrationSettings,
}

impl Migration {
    /// Connects.
    ///
    /// # Errors
    /// When no server answers that may be written to.
    pub async fn begin(
        postgres: &PostgresSettings,
        settings: MigrationSettings,
    ) -> Result<Migration, StoreError> {
        // To find duplicates among years of rows takes its time.
        let patient = PostgresSettings { statement_timeout: Duration::ZERO, ..postgres.clone() };
        let address = address(&patient.url, &patient)
            .map_err(|cause| StoreError::Permanent { context: "the address of PostgreSQL", cause })?;
        let conn = Servers::new(address, patient.connect_timeout).writable().await?;
        Ok(Migration { conn, schema: patient.schema, settings })
    }

    /// Returns what there is to do, and changes nothing.
    ///
    /// # Errors
    /// When the tables cannot be read, or are of a newer version.
    pub async fn plan(&mut self) -> Result<MigrationPlan, StoreError> {
        let mut steps = Vec::new();
        let missing = match state(&mut self.conn).await? {
            SchemaState::Current => Vec::new(),
            SchemaState::Behind(missing) => missing,
            SchemaState::Foreign(cause) => return Err(StoreError::Permanent { context: MIGRATING, cause }),
        };
        for migration in MIGRATOR.iter().filter(|migration| missing.contains(&migration.version)) {
            steps.push(format!("migration {:04}: {}", migration.version, migration.description));
        }
        if missing.contains(&FIRST_WITH_KEYS) {
            for (table, what) in [("aggregated_data", "bars"), ("technical_indicators", "indicators")] {
                let num_twice = self.num_twice(table).await?;
                if num_twice > 0 {
                    steps.push(format!("{table}: {num_twice} {what} that are there twice go"));
                }
            }
        }
        if missing.contains(&FIRST_WITH_SIGNALS) {
            let num_twice = self.num_predictions_twice().await?;
            if num_twice > 0 {
                steps.push(format!("predictions: {num_twice} that are there twice go"));
            }
        }
        let uses_timescale = self.uses_timescale().await?;
        for table in ["tick_data", "aggregated_data", "technical_indicators"] {
            if let Some(num_rows) = self.num_unpartitioned(table, uses_timescale).await? {
                let into = if uses_timescale { "a hypertable" } else { "partitions by day" };
                steps.push(match num_rows {
                    None => format!("{table}: is made, as {into}"),
                    Some(num_rows) => format!("{table}: becomes {into}, with about {num_rows} rows"),
                });
            }
        }
        Ok(MigrationPlan { steps })
    }

    /// Returns how many rows share their key with a better one.
    async fn num_twice(&mut self, table: &str) -> Result<i64, StoreError> {
        const READING: &str = "failed to count rows that are there twice";
        let has = |column: &'static str| {
            sqlx::query_scalar::<_, bool>(
                "SELECT EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass($1) AND attname = $2)",
            )
            .bind(table.to_owned())
            .bind(column)
        };
        if !has("time").fetch_one(&mut self.conn).await.map_err(failed(READING))? {
            return Ok(0);
        }
        let has_window: bool =
            has("window_duration").fetch_one(&mut self.conn).await.map_err(failed(READING))?;
        let key = if has_window { "symbol, window_duration, time" } else { "symbol, time" };
        let sql = format!(
            "SELECT coalesce(sum(num - 1), 0)::bigint FROM (SELECT count(*) AS num FROM {table} GROUP BY {key}) AS keys"
        );
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut self.conn).await.map_err(failed(READING))
    }

    /// Returns how many predictions repeat one that was made before.
    async fn num_predictions_twice(&mut self) -> Result<i64, StoreError> {
        const READING: &str = "failed to count predictions that are there twice";
        let is_there: bool = sqlx::query_scalar("SELECT to_regclass('predictions') IS NOT NULL")
            .fetch_one(&mut self.conn)
            .await
            .map_err(failed(READING))?;
        if !is_there {
            return Ok(0);
        }
        sqlx::query_scalar(
            "SELECT coalesce(sum(num - 1), 0)::bigint FROM (SELECT count(*) AS num FROM predictions \
             GROUP BY symbol, time_horizon_minutes, time, model_version) AS keys",
        )
        .fetch_one(&mut self.conn)
        .await
        .map_err(failed(READING))
    }

    /// Returns the rows, roughly, of a table that is yet to be partitioned; `None` of one that is not there yet.
    async fn num_unpartitioned(
        &mut self,
        table: &str,
        uses_timescale: bool,
    ) -> Result<Option<Option<i64>>, StoreError> {
        const READING: &str = "failed to read how the tables are partitioned";
        let found: Option<(bool, f32)> = sqlx::query_as(
            "SELECT relkind = 'p', greatest(reltuples, 0) FROM pg_class WHERE oid = to_regclass($1)",
        )
        .bind(table)
        .fetch_optional(&mut self.conn)
        .await
        .map_err(failed(READING))?;
        let Some((is_partitioned, num_rows)) = found else { return Ok(Some(None)) };
        let is_hypertable = uses_timescale
            && sqlx::query_scalar(
                "SELECT EXISTS (SELECT 1 FROM timescaledb_information.hypertables \
                 WHERE hypertable_schema = current_schema() AND hypertable_name = $1)",
            )
            .bind(table)
            .fetch_one(&mut self.conn)
            .await
            .map_err(failed(READING))?;
        Ok((!is_partitioned && !is_hypertable).then_some(Some(num_rows as i64)))
    }

    /// True when the large tables are to be hypertables.
    async fn uses_timescale(&mut self) -> Result<bool, StoreError> {
        let is_there: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'timescaledb')")
                .fetch_one(&mut self.conn)
                .await
                .map_err(failed(MIGRATING))?;
        match (self.settings.timescale, is_there) {
            (Some(true), false) => Err(StoreError::Permanent {
                context: MIGRATING,
                cause: "`postgres.timescale` is true, and the database lacks the extension: CREATE EXTENSION timescaledb"
                    .to_owned(),
            }),
            (wanted, is_there) => Ok(wanted.unwrap_or(is_there)),
        }
    }

    /// Does what there is to do. Returns what the server could not do, for people.
    ///
    /// # Errors
    /// When a step fails; those before it stand.
    pub async fn apply(mut self) -> Result<Vec<String>, StoreError> {
        let make_schema = format!("CREATE SCHEMA IF NOT EXISTS {}", self.schema);
        let is_there: bool = sqlx::query_scalar("SELECT to_regnamespace($1) IS NOT NULL")
            .bind(&self.schema)
            .fetch_one(&mut self.conn)
            .await
            .map_err(failed(MIGRATING))?;
        if !is_there {
            self.conn.execute(AssertSqlSafe(make_schema)).await.map_err(failed(MIGRATING))?;
        }
        let uses_timescale = self.uses_timescale().await?;
        MIGRATOR.run(&mut self.conn).await.map_err(|error| match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                failed(MIGRATING)(error)
            }
            other => StoreError::Permanent { context: MIGRATING, cause: other.to_string() },
        })?;
        self.store_settings().await?;
        let unavailable = if uses_timescale { self.apply_timescale().await? } else { Vec::new() };
        if !uses_timescale {
            self.transaction(NATIVE).await.map_err(failed(MIGRATING))?;
        }
        sqlx::query("SELECT * FROM tickwire_partitions()")
            .execute(&mut self.conn)
            .await
            .map_err(failed(MIGRATING))?;
        self.conn.close().await.map_err(failed(MIGRATING))?;
        Ok(unavailable)
    }

    /// Tells the functions in the database what they are to keep.
    async fn store_settings(&mut self) -> Result<(), StoreError> {
        let MigrationSettings { compress_after, retention_ticks, retention_bars, .. } = self.settings;
        let spans = [
            ("compress_after", compress_after),
            ("retention_ticks", retention_ticks),
            ("retention_bars", retention_bars),
        ];
        for (name, span) in spans {
            sqlx::query(
                "INSERT INTO tickwire_settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            )
            .bind(name)
            .bind(format!("{} seconds", span.as_secs()))
            .execute(&mut self.conn)
            .await
            .map_err(failed(MIGRATING))?;
        }
        Ok(())
    }

    /// Makes hypertables with their policies. Returns what the server's licence does not have.
    async fn apply_timescale(&mut self) -> Result<Vec<String>, StoreError> {
        let mut unavailable = Vec::new();
        for (name, sql) in TIMESCALE {
            match self.transaction(sql).await {
                Ok(()) => {}
                Err(error) if is_unavailable(&error) => unavailable.push(format!("{name}: {error}")),
                Err(error) => return Err(failed(MIGRATING)(error)),
            }
        }
        Ok(unavailable)
    }

    async fn transaction(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        let mut transaction = self.conn.begin().await?;
        sqlx::raw_sql(sql).execute(&mut *transaction).await?;
        transaction.commit().await
    }
}

/// The first migration that lets a prediction be there once only.
const FIRST_WITH_SIGNALS: i64 = 4;

/// The migration that removes rows that are there twice.
const FIRST_WITH_KEYS: i64 = 2;

/// The steps for TimescaleDB, each of which may be done again.
const TIMESCALE: [(&str, &str); 4] = [
    ("hypertables", include_str!("../../../../migrations/postgres/timescale/1_hypertables.sql")),
    ("compression", include_str!("../../../../migrations/postgres/timescale/2_compression.sql")),
    ("retention", include_str!("../../../../migrations/postgres/timescale/3_retention.sql")),
    ("continuous aggregates", include_str!("../../../../migrations/postgres/timescale/4_aggregates.sql")),
];
