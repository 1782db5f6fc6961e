//! Asks a venue what it has: its list of instruments, or those that fit a query.
//!
//! Promises: everything is asked within the venue's limit of requests, in turns with its feeds; whoever does not wait for a start is not kept waiting
//! for long. On failure: why, without a key.

use super::super::config::VenueConfig;
use super::super::venue::{Listed, Venue};
use super::Tls;
use super::request_limit::RequestLimit;
use super::rest::RestClient;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How long somebody who searches waits for the venue.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Asks one venue. It stays on its thread.
#[derive(Clone)]
pub struct InstrumentClient {
    venue: Arc<dyn Venue>,
    rest: Rc<RestClient>,
}

impl InstrumentClient {
    /// Makes one, which takes turns with all who share the limit.
    #[must_use]
    pub fn new(
        venue: Arc<dyn Venue>,
        config: &VenueConfig,
        limit: RequestLimit,
        tls: &Tls,
    ) -> InstrumentClient {
        InstrumentClient { venue, rest: Rc::new(RestClient::new(config, limit, &tls.0, None)) }
    }

    /// Returns the instruments that the venue lists; `None` where it has no such list.
    ///
    /// # Errors
    /// Why the venue did not give it.
    pub async fn list(&self) -> Result<Option<Vec<Listed>>, String> {
        let Some(request) = self.venue.instruments_request() else { return Ok(None) };
        let body = self.rest.get(self.venue.as_ref(), request).await.map_err(|error| error.to_string())?;
        self.venue.read_instruments(&body).map(Some).map_err(|fault| fault.reason)
    }

    /// As [`InstrumentClient::list`], for somebody who waits for the answer.
    ///
    /// # Errors
    /// As there, or when it takes too long.
    pub async fn list_soon(&self) -> Result<Option<Vec<Listed>>, String> {
        self.soon(self.list()).await
    }

    /// Returns what a venue without a list finds for a query, at most so many; `None` where it cannot be searched.
    ///
    /// # Errors
    /// Why it did not say.
    pub async fn search(&self, query: &str, limit: usize) -> Result<Option<Vec<Listed>>, String> {
        let Some(request) = self.venue.search_request(query, limit) else { return Ok(None) };
        let search = async {
            let body =
                self.rest.get(self.venue.as_ref(), request).await.map_err(|error| error.to_string())?;
            self.venue.read_search(&body).map_err(|fault| fault.reason)
        };
        let mut found = self.soon(search).await?;
        found.truncate(limit);
        Ok(Some(found))
    }

    async fn soon<T>(&self, ask: impl Future<Output = Result<T, String>>) -> Result<T, String> {
        let wait = self.rest.wait();
        if wait >= SEARCH_TIMEOUT {
            return Err(format!("its limit of requests is reached; ask again in {} s", wait.as_secs() + 1));
        }
        let late = |_| format!("it did not answer within {} s", SEARCH_TIMEOUT.as_secs());
        tokio::time::timeout(SEARCH_TIMEOUT, ask).await.map_err(late)?
    }
}
