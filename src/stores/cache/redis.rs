//! The cache in Redis, or in what speaks its protocol, by itself or as a cluster.
//!
//! Promises: changes go out in one pipeline; of a cluster, whose keys live on several servers, up to
//! `CLUSTER_COMMANDS_MAX` at a time. A counter and its time are one script, so that nothing can come between them and
//! leave a key for ever; a counter that has no time gets one.
//! On failure: no connection, a server that loads, has no memory left or changes its role is transient; a wrong password
//! or a missing right is permanent. A counter whose key holds something else is refused alone. A connection to a master that
//! has become a replica is closed, since the address leads to another server by then.

use super::{Cache, CacheOutcome, CacheWrite};
use crate::stores::StoreError;
use async_trait::async_trait;
use deadpool_redis::redis::aio::ConnectionLike;
use deadpool_redis::redis::{Client, TlsCertificates};
use deadpool_redis::redis::{
    Cmd, ErrorKind, IntoConnectionInfo, Pipeline, RedisError, RedisResult, Value, cmd,
};
use deadpool_redis::{Connection, Manager, Pool, PoolConfig, PoolError, Runtime, Timeouts, cluster};
use futures_util::{StreamExt, stream};
use std::time::Duration;

/// Adds to a counter; one that has no end, since it has just begun, gets one. A key that holds something else is left
/// as it is.
const COUNT: &str = "local count = redis.call('INCRBY', KEYS[1], ARGV[1]) \
                     if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end \
                     return count";

/// Commands that are under way to a cluster at a time.
const CLUSTER_COMMANDS_MAX: usize = 64;

/// Codes of answers that may become others by themselves: the server starts, is full, is busy, or changes its role.
const TRANSIENT_CODES: [&str; 10] = [
    "LOADING",
    "OOM",
    "MISCONF",
    "BUSY",
    DEMOTED_CODE,
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "NOREPLICAS",
    "UNBLOCKED",
];

/// What a master says that has become a replica.
const DEMOTED_CODE: &str = "READONLY";

/// How Redis is reached.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// `redis://` or `rediss://`, with user, password and number of the database where needed. Secret.
    pub url: String,
    /// True when the address is one of a cluster's servers.
    pub is_cluster: bool,
    /// Connections at the most.
    pub pool_size: usize,
    /// What every key begins with.
    pub key_prefix: String,
    /// How long a connection, and an answer, may take.
    pub timeout: Duration,
    /// The certificates that `rediss://` trusts, in PEM; `None` trusts those of the system.
    pub ca: Option<Vec<u8>>,
}

impl RedisSettings {
    /// Returns what is wrong with an address, without repeating it.
    ///
    /// # Errors
    /// When it is none that Redis can be reached at.
    pub fn check_url(url: &str) -> Result<(), String> {
        if !(url.starts_with("redis://") || url.starts_with("rediss://")) {
            return Err("must begin with `redis://` or `rediss://`".to_owned());
        }
        let is_address = url.into_connection_info().is_ok();
        is_address.then_some(()).ok_or_else(|| "is no address such as `redis://host:6379/0`".to_owned())
    }
}

enum Connections {
    Single(Pool),
    Cluster(cluster::Pool),
}

/// A cache in Redis.
pub struct RedisCache {
    connections: Connections,
    key_prefix: String,
    timeout: Duration,
}

impl RedisCache {
    /// Makes the cache. Nothing is connected before it is needed.
    ///
    /// # Errors
    /// [`StoreError::Permanent`] for an address that is none.
    pub fn new(settings: &RedisSettings) -> Result<RedisCache, StoreError> {
        const CONTEXT: &str = "failed to set up Redis";
        let refused = |error: &dyn std::fmt::Display| StoreError::Permanent {
            context: CONTEXT,
            cause: error.to_string(),
        };
        let timeouts = Timeouts {
            wait: Some(settings.timeout),
            create: Some(settings.timeout),
            recycle: Some(settings.timeout),
        };
        let pool = PoolConfig { timeouts, ..PoolConfig::new(settings.pool_size) };
        let url = settings.url.as_str();
        let connections = if settings.is_cluster {
            let manager = cluster::Manager::new(vec![url], false).map_err(|error| refused(&error))?;
            let built = cluster::Pool::builder(manager).config(pool).runtime(Runtime::Tokio1).build();
            Connections::Cluster(built.map_err(|error| refused(&error))?)
        } else {
            let tls = TlsCertificates { client_tls: None, root_cert: settings.ca.clone() };
            let client =
                if settings.ca.is_some() { Client::build_with_tls(url, tls) } else { Client::open(url) };
            let client = client.map_err(|error| refused(&error))?;
            let manager =
                Manager::new(client.get_connection_info().clone()).map_err(|error| refused(&error))?;
            let built = Pool::builder(manager).config(pool).runtime(Runtime::Tokio1).build();
            Connections::Single(built.map_err(|error| refused(&error))?)
        };
        Ok(RedisCache { connections, key_prefix: settings.key_prefix.clone(), timeout: settings.timeout })
    }

    /// Returns the command of a change.
    fn command(&self, write: &CacheWrite) -> Cmd {
        let full = |key: &str| format!("{}{key}", self.key_prefix);
        let mut command = Cmd::new();
        match write {
            CacheWrite::Set { key, value, ttl } => {
                command.arg("SET").arg(full(key)).arg(value.as_slice()).arg("PX").arg(millis(*ttl));
            }
            CacheWrite::Remove { key } => _ = command.arg("DEL").arg(full(key)),
            CacheWrite::Count { key, by, ttl } => {
                command.arg("EVAL").arg(COUNT).arg(1).arg(full(key)).arg(*by).arg(millis(*ttl));
            }
        }
        command
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// Reads one value.
async fn get(connection: &mut (impl ConnectionLike + Send), key: String) -> RedisResult<Option<Vec<u8>>> {
    cmd("GET").arg(key).query_async(connection).await
}

/// Reads the answers: one may refuse its key; any other error is of the whole.
fn outcomes(answers: Vec<RedisResult<Value>>) -> RedisResult<Vec<CacheOutcome>> {
    let read = |answer: RedisResult<Value>| match answer {
        // Only counters answer with numbers that matter: that of `DEL` tells whether there was something.
        Ok(Value::Int(count)) => Ok(CacheOutcome::Counted(u64::try_from(count).unwrap_or(0))),
        Ok(_) => Ok(CacheOutcome::Done),
        Err(error) if is_of_key(&error) => Ok(CacheOutcome::Refused),
        Err(error) => Err(error),
    };
    answers.into_iter().map(read).collect()
}

/// True for the answer of a master that has become a replica.
fn is_of_demoted(answer: &RedisResult<Value>) -> bool {
    answer.as_ref().is_err_and(|error| error.code() == Some(DEMOTED_CODE))
}

/// True when a command does not fit what its key holds.
fn is_of_key(error: &RedisError) -> bool {
    let words = ["WRONGTYPE", "not an integer"];
    let said = |detail: &str| words.iter().any(|word| detail.contains(word));
    error.code() == Some("WRONGTYPE") || error.detail().is_some_and(said)
}

fn failed(context: &'static str) -> impl Fn(RedisError) -> StoreError {
    move |error| {
        let is_gone =
            matches!(error.kind(), ErrorKind::Io | ErrorKind::Parse | ErrorKind::ClusterConnectionNotFound);
        let cause = error.to_string();
        if is_gone || error.code().is_some_and(|code| TRANSIENT_CODES.contains(&code)) {
            StoreError::Transient { context, cause }
        } else {
            StoreError::Permanent { context, cause }
        }
    }
}

/// What a pool says when it has no connection to give.
fn unconnected(error: PoolError) -> StoreError {
    const CONTEXT: &str = "failed to connect to Redis";
    match error {
        PoolError::Backend(error) => failed(CONTEXT)(error),
        other => StoreError::Transient { context: CONTEXT, cause: other.to_string() },
    }
}

#[async_trait]
impl Cache for RedisCache {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        const CONTEXT: &str = "failed to read from Redis";
        let key = format!("{}{key}", self.key_prefix);
        let found = match &self.connections {
            Connections::Single(pool) => get(&mut pool.get().await.map_err(unconnected)?, key).await,
            Connections::Cluster(pool) => get(&mut pool.get().await.map_err(unconnected)?, key).await,
        };
        found.map_err(failed(CONTEXT))
    }

    async fn write(&self, writes: &[CacheWrite]) -> Result<Vec<CacheOutcome>, StoreError> {
        const CONTEXT: &str = "failed to write to Redis";
        let commands: Vec<Cmd> = if writes.is_empty() {
            vec![cmd("PING")]
        } else {
            writes.iter().map(|write| self.command(write)).collect()
        };
        let answers = match &self.connections {
            Connections::Single(pool) => {
                let mut connection = pool.get().await.map_err(unconnected)?;
                // The library's own limit is for single commands.
                connection.set_response_timeout(self.timeout);
                let mut pipeline = Pipeline::with_capacity(commands.len());
                pipeline.ignore_errors();
                for command in commands {
                    pipeline.add_command(command);
                }
                let answers: Vec<RedisResult<Value>> =
                    pipeline.query_async(&mut connection).await.map_err(failed(CONTEXT))?;
                if answers.iter().any(is_of_demoted) {
                    // Closed, and not given back: the next one leads to whoever is the master now.
                    drop(Connection::take(connection));
                }
                answers
            }
            Connections::Cluster(pool) => {
                let connection = pool.get().await.map_err(unconnected)?;
                let answers = stream::iter(commands).map(|command| {
                    let mut connection = (*connection).clone();
                    async move { command.query_async::<Value>(&mut connection).await }
                });
                answers.buffered(CLUSTER_COMMANDS_MAX).collect().await
            }
        };
        let mut outcomes = outcomes(answers).map_err(failed(CONTEXT))?;
        // Without a change only a `PING` was answered.
        outcomes.truncate(writes.len());
        for (outcome, write) in outcomes.iter_mut().zip(writes) {
            if !matches!(write, CacheWrite::Count { .. }) {
                *outcome = CacheOutcome::Done;
            }
        }
        Ok(outcomes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_none_is_refused_without_its_password() {
        assert_eq!(RedisSettings::check_url("redis://127.0.0.1:6379/0"), Ok(()));
        assert_eq!(RedisSettings::check_url("rediss://user:secret@cache.example:6380"), Ok(()));
        for url in ["", "127.0.0.1:6379", "http://x", "redis://u:hunter2@h:port/0", "redis://h:1/zero"] {
            let fault = RedisSettings::check_url(url).unwrap_err();
            assert!(!fault.is_empty() && !fault.contains("hunter2"), "{url}: {fault}");
        }
    }
}
