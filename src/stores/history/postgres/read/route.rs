//! Which server answers reads: the replica, where there is one that keeps up, else the primary.
//! A primary that does not answer is left alone for a while, so that whoever asks hears at once that it is away.
//!
//! Promises: a replica that lags more than it may, or does not answer, is passed over within seconds, and used again once it
//! keeps up; a read that it fails is done by the primary. Whoever asks is told why it is passed over. A replica that has
//! nothing more to replay does not lag, however long ago its last transaction was. On failure of the primary: its error.

use super::super::connect::Servers;
use crate::stores::error::StoreError;
use crate::stores::history::ReplicaUse;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long what is known of the replica holds for those who look at it again and again.
const LOOKED_AT: Duration = Duration::from_secs(1);

/// How long it holds for reads: they would wait for a replica that is gone, so they leave it to the others to look.
const READ_BY: Duration = Duration::from_secs(5);

/// How long a look may take.
const CHECK_MAX: Duration = Duration::from_millis(500);

const READING: &str = "failed to read the history";

/// How long a read waits for a connection to the replica: then the primary answers it.
pub(in crate::stores::history::postgres) const REPLICA_WAIT_MAX: Duration = Duration::from_secs(1);

/// For how long a primary that did not answer is not asked: a moment, in which many requests come.
const AWAY_FOR: Duration = Duration::from_secs(1);

/// Returns the lag in seconds. What has been received and replayed is all there is, as long as the primary is connected;
/// without it only the time of the last transaction tells. A server that is no replica (any more) has no lag.
const LAG: &str = "SELECT CASE WHEN NOT pg_is_in_recovery() THEN 0 \
    WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() AND EXISTS (SELECT 1 FROM pg_stat_wal_receiver) THEN 0 \
    ELSE coalesce(greatest(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), 0), 1e9) END::float8";

/// Returns how a server is reached for reading.
pub(in crate::stores::history::postgres) fn for_reading(options: PgConnectOptions) -> PgConnectOptions {
    options.options([
        // A plan that is made once for all times would have to be one over all partitions.
        ("plan_cache_mode", "force_custom_plan"),
        // What it gains on rows it costs on partitions.
        ("jit", "off"),
        ("default_transaction_read_only", "on"),
    ])
}

/// Makes connections for reading, at most so many, when they are needed.
pub(in crate::stores::history::postgres) fn pool(servers: &Servers, max: u32, timeout: Duration) -> PgPool {
    PgPoolOptions::new()
        .max_connections(max.max(1))
        .acquire_timeout(timeout)
        .connect_lazy_with(for_reading(servers.options()))
}

/// What is known of a replica.
#[derive(Clone, Debug, PartialEq)]
enum Verdict {
    /// It is used.
    KeepsUp,
    /// It is passed over, since it is this far behind.
    Lags(Duration),
    /// It is passed over, since it does not answer; what was said.
    Away(String),
}

impl Verdict {
    /// Returns why the replica is passed over.
    fn reason(&self) -> Option<String> {
        match self {
            Verdict::KeepsUp => None,
            Verdict::Lags(lag) => Some(format!("it lags {:.1} s", lag.as_secs_f64())),
            Verdict::Away(said) => Some(format!("it does not answer: {said}")),
        }
    }
}

/// A replica that answers reads.
pub(in crate::stores::history::postgres) struct Replica {
    servers: Servers,
    pool: PgPool,
    lag_max: Duration,
    known: Mutex<Option<(Instant, Verdict)>>,
    /// Held by the one read that asks for the lag; the others go by what was known before.
    checking: tokio::sync::Mutex<()>,
}

impl Replica {
    /// Makes a replica that is passed over where it lags more than `lag_max`.
    pub(in crate::stores::history::postgres) fn new(
        servers: Servers,
        pool: PgPool,
        lag_max: Duration,
    ) -> Replica {
        Replica { servers, pool, lag_max, known: Mutex::default(), checking: tokio::sync::Mutex::default() }
    }

    fn known(&self) -> Option<(Instant, Verdict)> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, verdict: Verdict) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let was_used = known.as_ref().map(|(_, verdict)| *verdict == Verdict::KeepsUp);
        match (verdict.reason(), was_used) {
            (Some(reason), None | Some(true)) => {
                tracing::warn!(reason, "the replica of the history is passed over");
            }
            (None, Some(false)) => tracing::info!("the replica of the history keeps up again"),
            _ => {}
        }
        *known = Some((Instant::now(), verdict));
    }

    async fn lag(&self) -> Verdict {
        let asked = sqlx::query_scalar(LAG).fetch_one(&self.pool);
        match tokio::time::timeout(CHECK_MAX, asked).await {
            Ok(Ok(lag)) => self.judge(lag),
            Ok(Err(error)) => self.look_for_another(error.to_string()).await,
            Err(_) => self.look_for_another(format!("nothing came within {CHECK_MAX:?}")).await,
        }
    }

    /// Has the pool go to another one of the replicas that the address names, where one answers.
    async fn look_for_another(&self, said: String) -> Verdict {
        if let Ok(Ok(_)) = tokio::time::timeout(CHECK_MAX, self.servers.readable()).await {
            self.pool.set_connect_options(for_reading(self.servers.options()));
        }
        Verdict::Away(said)
    }

    fn judge(&self, lag_seconds: f64) -> Verdict {
        let lag = Duration::try_from_secs_f64(lag_seconds).unwrap_or(Duration::MAX);
        if lag <= self.lag_max { Verdict::KeepsUp } else { Verdict::Lags(lag) }
    }

    /// True when the replica is to be used, as far as that is known since so long.
    async fn keeps_up(&self, known_for_max: Duration) -> bool {
        let known = self.known();
        let is_fresh = known.as_ref().is_some_and(|(at, _)| at.elapsed() < known_for_max);
        if !is_fresh {
            // The first check has to be waited for; later ones are made by one read, and others go on.
            let checking = match &known {
                None => Some(self.checking.lock().await),
                Some(_) => self.checking.try_lock().ok(),
            };
            let is_renewed = self.known().is_some_and(|(at, _)| at.elapsed() < known_for_max);
            if checking.is_some() && !is_renewed {
                let verdict = self.lag().await;
                self.note(verdict);
            }
        }
        matches!(self.known(), Some((_, Verdict::KeepsUp)))
    }
}

/// A primary that does not answer: since reads would all wait for it, one asks now and then, and the others fail at once.
#[derive(Default)]
struct Absence(Mutex<Option<(Instant, String)>>);

impl Absence {
    /// Fails while the primary is not to be asked. Whoever may ask it decides for the others, which go on to fail meanwhile.
    fn check(&self, limit: Duration) -> Result<(), StoreError> {
        let mut away = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((until, cause)) = &mut *away else { return Ok(()) };
        let now = Instant::now();
        if now < *until {
            let cause = cause.clone();
            return Err(StoreError::Transient { context: READING, cause });
        }
        *until = now + limit;
        Ok(())
    }

    fn note<T>(&self, outcome: &Result<T, StoreError>) {
        let mut away = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *away = match outcome {
            Err(error) if error.is_transient() => Some((Instant::now() + AWAY_FOR, error.to_string())),
            _ => None,
        };
    }
}

/// The servers that answer reads.
pub(in crate::stores::history::postgres) struct Readers {
    primary: PgPool,
    replica: Option<Replica>,
    absence: Absence,
    /// How long a read may take.
    limit: Duration,
}

impl Readers {
    /// Makes the readers of a primary, and of a replica where there is one. A read that takes longer than `limit` has failed:
    /// the server ends it then, if the server is there.
    pub(in crate::stores::history::postgres) fn new(
        primary: PgPool,
        replica: Option<Replica>,
        limit: Duration,
    ) -> Readers {
        Readers { primary, replica, absence: Absence::default(), limit }
    }

    async fn read_primary<T, F>(&self, read: impl Fn(PgPool) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        self.absence.check(self.limit)?;
        let outcome = match tokio::time::timeout(self.limit, read(self.primary.clone())).await {
            Ok(outcome) => outcome,
            Err(_) => Err(StoreError::Transient {
                context: READING,
                cause: format!("no answer within {:?}", self.limit),
            }),
        };
        self.absence.note(&outcome);
        outcome
    }

    /// Returns the primary, for what may not be behind.
    pub(in crate::stores::history::postgres) const fn primary(&self) -> &PgPool {
        &self.primary
    }

    /// Has the connections to the primary go to another server.
    pub(in crate::stores::history::postgres) fn move_primary(&self, servers: &Servers) {
        self.primary.set_connect_options(for_reading(servers.options()));
    }

    /// True when there is a replica, whether it is used or not.
    pub(in crate::stores::history::postgres) const fn has_replica(&self) -> bool {
        self.replica.is_some()
    }

    /// Reads from the replica where it keeps up, else from the primary.
    pub(in crate::stores::history::postgres) async fn read<T, F>(
        &self,
        read: impl Fn(PgPool) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        if let Some(replica) = &self.replica
            && replica.keeps_up(READ_BY).await
        {
            match read(replica.pool.clone()).await {
                Err(error) if error.is_transient() => {
                    replica.note(Verdict::Away(error.to_string()));
                }
                outcome => return outcome,
            }
        }
        self.read_primary(read).await
    }

    /// Reads something that tells how far reads are: of the replica as long as it answers, also while it is passed over. It
    /// is never further than the primary, so what it says holds whichever of both the next read goes to.
    pub(in crate::stores::history::postgres) async fn read_furthest_back<T, F>(
        &self,
        read: impl Fn(PgPool) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        if let Some(replica) = &self.replica {
            replica.keeps_up(READ_BY).await;
            let is_away = matches!(replica.known(), Some((_, Verdict::Away(_))));
            if !is_away && let Ok(found) = read(replica.pool.clone()).await {
                return Ok(found);
            }
        }
        self.read_primary(read).await
    }

    /// Looks at the replica, and says whether it is read; `None` where there is none.
    pub(in crate::stores::history::postgres) async fn replica_use(&self) -> Option<ReplicaUse> {
        let replica = self.replica.as_ref()?;
        replica.keeps_up(LOOKED_AT).await;
        let reason = replica.known().and_then(|(_, verdict)| verdict.reason());
        Some(reason.map_or(ReplicaUse::Read, ReplicaUse::PassedOver))
    }

    /// Closes the connections.
    pub(in crate::stores::history::postgres) async fn close(&self) {
        if let Some(replica) = &self.replica {
            replica.pool.close().await;
        }
        self.primary.close().await;
    }
}
