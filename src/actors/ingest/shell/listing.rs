//! Asks a venue for its instruments before anything is started.

use super::super::config::VenueConfig;
use super::super::venue::{Listed, Venue};
use super::rest::RestClient;
use crate::tls::{self, CertificateError};

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum ListingError {
    /// The certificates that the configuration names cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The venue did not give it.
    #[error("{0}")]
    Unavailable(String),
}

/// Returns the instruments that a venue lists; `None` where it has no such list.
///
/// # Errors
/// [`ListingError`].
pub async fn list_instruments(
    venue: &dyn Venue,
    config: &VenueConfig,
    requests_per_minute: u32,
) -> Result<Option<Vec<Listed>>, ListingError> {
    let tls = tls::client(config.ca_file.as_deref())?;
    let Some(request) = venue.instruments_request() else { return Ok(None) };
    let rest = RestClient::new(config, requests_per_minute, &tls, None);
    let body =
        rest.get(venue, request).await.map_err(|error| ListingError::Unavailable(error.to_string()))?;
    let listed = venue.read_instruments(&body).map_err(|fault| ListingError::Unavailable(fault.reason))?;
    Ok(Some(listed))
}
