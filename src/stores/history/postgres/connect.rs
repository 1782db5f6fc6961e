//! Makes connections: of several servers the first one that answers and will do.
//!
//! Promises: servers are asked one after another, from the one that did last time on, so that a standby that was promoted
//! is found; each gets its time and no more. On failure: the error names each server and what it said, and is permanent
//! only where all of them refuse for good.

use super::address::{Address, Wanted};
use super::error::failed;
use crate::stores::error::StoreError;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const CONNECTING: &str = "failed to connect to PostgreSQL";

/// The servers of an address.
pub(super) struct Servers {
    address: Address,
    timeout: Duration,
    /// The one that did last time.
    last: AtomicUsize,
}

impl Servers {
    pub fn new(address: Address, timeout: Duration) -> Servers {
        Servers { address, timeout, last: AtomicUsize::new(0) }
    }

    /// Returns how the server that did last time is reached.
    pub fn options(&self) -> PgConnectOptions {
        self.address.hosts[self.last.load(Ordering::Relaxed)].clone().disable_statement_logging()
    }

    /// Connects to a server that may be written to.
    pub async fn writable(&self) -> Result<PgConnection, StoreError> {
        self.connect(Wanted::ReadWrite).await
    }

    /// Connects to a server that the address takes for reading.
    pub async fn readable(&self) -> Result<PgConnection, StoreError> {
        self.connect(self.address.wanted).await
    }

    async fn connect(&self, wanted: Wanted) -> Result<PgConnection, StoreError> {
        let num_hosts = self.address.hosts.len();
        let (mut causes, mut is_transient) = (Vec::new(), false);
        let first = self.last.load(Ordering::Relaxed);
        for at in (first..first + num_hosts).map(|at| at % num_hosts) {
            let options = self.address.hosts[at].clone().disable_statement_logging();
            let (host, port) = (options.get_host(), options.get_port());
            let attempt = tokio::time::timeout(self.timeout, attempt(&options, wanted));
            let error = match attempt.await {
                Ok(Ok(conn)) => {
                    self.last.store(at, Ordering::Relaxed);
                    return Ok(conn);
                }
                Ok(Err(error)) => error,
                Err(_) => StoreError::Transient {
                    context: CONNECTING,
                    cause: format!("no answer within {:?}", self.timeout),
                },
            };
            is_transient |= error.is_transient();
            let (StoreError::Transient { cause, .. }
            | StoreError::Permanent { cause, .. }
            | StoreError::Fenced { cause, .. }
            | StoreError::Refused { cause, .. }) = error;
            causes.push(format!("{host}:{port}: {cause}"));
        }
        let cause = causes.join("; ");
        Err(match is_transient {
            true => StoreError::Transient { context: CONNECTING, cause },
            false => StoreError::Permanent { context: CONNECTING, cause },
        })
    }
}

async fn attempt(options: &PgConnectOptions, wanted: Wanted) -> Result<PgConnection, StoreError> {
    let mut conn = PgConnection::connect_with(options).await.map_err(failed(CONNECTING))?;
    if wanted == Wanted::Any {
        return Ok(conn);
    }
    let is_read_only: bool =
        sqlx::query_scalar("SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean")
            .fetch_one(&mut conn)
            .await
            .map_err(failed(CONNECTING))?;
    if is_read_only == (wanted == Wanted::Standby) {
        return Ok(conn);
    }
    // It is not needed, and the server notices by itself.
    conn.close().await.ok();
    let cause = match wanted {
        Wanted::Standby => "it may be written to, and a standby is wanted",
        Wanted::ReadWrite | Wanted::Any => "it may only be read: a standby",
    };
    Err(StoreError::Transient { context: CONNECTING, cause: cause.to_owned() })
}
