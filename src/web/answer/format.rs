//! The two forms in which lists are answered, and which of them a client asks for.
//!
//! Promises: a `format` parameter decides, else `Accept`; without either it is JSON. A parameter that is neither form
//! is an error that names it; an `Accept` header that cannot be read counts as absent.

use super::error::ApiError;
use super::params::Params;
use actix_web::HttpRequest;
use actix_web::http::header::{Accept, Header, Quality};

/// The form of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/json`.
    Json,
    /// `text/csv` with a header line.
    Csv,
}

impl Format {
    /// Reads `format`, else `Accept`.
    ///
    /// # Errors
    /// When `format` is neither `json` nor `csv`.
    pub fn of(request: &HttpRequest, params: &Params) -> Result<Format, ApiError> {
        match params.get("format") {
            Some("json") => Ok(Format::Json),
            Some("csv") => Ok(Format::Csv),
            Some(text) => {
                let detail = format!("`format` is `{text}`; it is `json` or `csv`");
                Err(ApiError::parameter("format", detail))
            }
            None if prefers_csv(request) => Ok(Format::Csv),
            None => Ok(Format::Json),
        }
    }
}

/// True when the client names `text/csv` and prefers it to JSON. Where it takes both alike, as most that list what they can
/// read, it is JSON; `*/*` is JSON too.
fn prefers_csv(request: &HttpRequest) -> bool {
    let Ok(Accept(accepted)) = Accept::parse(request) else { return false };
    let weight = |name: &str| {
        let named = accepted.iter().find(|media| media.item.essence_str() == name);
        named.map_or(Quality::ZERO, |media| media.quality)
    };
    let csv = weight("text/csv");
    csv > Quality::ZERO && csv > weight("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header;
    use actix_web::test::TestRequest;

    #[test]
    fn csv_is_for_those_who_name_it() {
        for (value, is_csv) in [
            ("text/csv", true),
            ("TEXT/CSV; charset=utf-8", true),
            ("text/csv, */*;q=0.1", true),
            ("application/json;q=0.5, text/csv", true),
            ("application/json, text/csv;q=0.5", false),
            ("application/json, text/csv", false),
            ("text/csv, application/json", false),
            ("text/csv;q=0.9, application/json;q=0.9", false),
            ("text/csv;q=0", false),
            ("text/html, */*", false),
            ("text", false),
        ] {
            let request = TestRequest::default().insert_header((header::ACCEPT, value));
            assert_eq!(prefers_csv(&request.to_http_request()), is_csv, "{value}");
        }
    }
}
