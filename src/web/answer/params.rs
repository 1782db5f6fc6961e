//! Query parameters, read by hand.
//!
//! Promises: a bad parameter is named in the error, and so is one that the endpoint does not take: a filter that was
//! misspelled would otherwise answer with everything. On failure: 422, or 414 for a query that is too long.

use super::error::ApiError;
use crate::models::settings::CoreSettings;
use crate::models::symbol::shortened;
use crate::models::time::{Nanos, Width};
use actix_web::HttpRequest;
use actix_web::web::Query;

/// Longest query in bytes: a thousand symbols fit in. From 64 KiB on a request is not even parsed.
pub const QUERY_LEN_MAX: usize = 32 << 10;

/// The parameters of a request, decoded.
pub struct Params {
    pairs: Vec<(String, String)>,
}

/// A range of times: `start` and `end` as far as they were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// `start_time`.
    pub start: Option<Nanos>,
    /// `end_time`.
    pub end: Option<Nanos>,
}

impl Params {
    /// Reads the parameters of a request to an endpoint that takes those of `known`.
    ///
    /// # Errors
    /// When the query is longer than any that makes sense, or has another parameter.
    pub fn of(request: &HttpRequest, known: &[&'static str]) -> Result<Params, ApiError> {
        let query = request.query_string();
        if query.len() > QUERY_LEN_MAX {
            return Err(ApiError::QueryTooLong { max: QUERY_LEN_MAX });
        }
        let params = Params::parse(query);
        match params.pairs.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, _)) => Err(unknown(name, known)),
            None => Ok(params),
        }
    }

    fn parse(query: &str) -> Params {
        if query.is_empty() {
            return Params { pairs: Vec::new() };
        }
        // Any text is some list of pairs: nothing here can fail but by a change of the decoder.
        let pairs = Query::<Vec<(String, String)>>::from_query(query).map(Query::into_inner);
        Params { pairs: pairs.unwrap_or_default() }
    }

    /// Returns the first value of a parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Reads `limit`.
    ///
    /// # Errors
    /// When the parameter is bad; the answer names it.
    pub fn limit(&self, default: usize, max: usize) -> Result<usize, ApiError> {
        let Some(text) = self.get("limit") else { return Ok(default) };
        text.parse().ok().filter(|limit| (1..=max).contains(limit)).ok_or_else(|| {
            ApiError::parameter("limit", format!("`limit` is `{text}`; it goes from 1 to {max}"))
        })
    }

    /// Reads a time.
    ///
    /// # Errors
    /// When the parameter is bad; the answer names it.
    pub fn time(&self, name: &'static str, now: Nanos) -> Result<Option<Nanos>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        // A plus that was not escaped, as in `+01:00`, arrives as a blank.
        let time = Nanos::from_query(text, now).or_else(|| Nanos::from_query(&text.replace(' ', "+"), now));
        time.map(Some).ok_or_else(|| {
            let forms = "RFC 3339, a date, an epoch number or a span such as `-1h`, `-1w`";
            ApiError::parameter(name, format!("`{name}` is `{text}`; it is {forms}"))
        })
    }

    /// Reads `start_time` and `end_time`.
    ///
    /// # Errors
    /// When the parameter is bad; the answer names it.
    pub fn range(&self, now: Nanos) -> Result<Range, ApiError> {
        let range = Range { start: self.time("start_time", now)?, end: self.time("end_time", now)? };
        match range {
            Range { start: Some(start), end: Some(end) } if start > end => {
                Err(ApiError::parameter("start_time", "`start_time` is after `end_time`"))
            }
            _ => Ok(range),
        }
    }

    /// Reads `true` or `false`; absent is false.
    ///
    /// # Errors
    /// When the parameter is bad; the answer names it.
    pub fn flag(&self, name: &'static str) -> Result<bool, ApiError> {
        match self.get(name) {
            None | Some("false" | "0" | "no") => Ok(false),
            Some("true" | "1" | "yes") => Ok(true),
            Some(text) => {
                Err(ApiError::parameter(name, format!("`{name}` is `{text}`; it is `true` or `false`")))
            }
        }
    }

    /// Reads `empty=ok`: whether a list without rows is an answer.
    ///
    /// # Errors
    /// When the parameter is bad; the answer names it.
    pub fn empty_is_ok(&self) -> Result<bool, ApiError> {
        match self.get("empty") {
            None => Ok(false),
            Some("ok") => Ok(true),
            Some(text) => Err(ApiError::parameter("empty", format!("`empty` is `{text}`; it is `ok`"))),
        }
    }

    /// Reads `window`, by default the smallest one.
    ///
    /// # Errors
    /// When the parameter is bad; the answer names it.
    pub fn window(&self, core: &CoreSettings) -> Result<Width, ApiError> {
        let Some(text) = self.get("window") else { return Ok(core.base()) };
        Width::parse(text).filter(|width| core.widths.contains(width)).ok_or_else(|| {
            let known: Vec<String> = core.widths.iter().map(Width::to_string).collect();
            ApiError::parameter("window", format!("`window` is `{text}`; it is one of {}", known.join(", ")))
        })
    }

    /// Reads `cursor`: the numbers that [`cursor`] wrote.
    ///
    /// # Errors
    /// When the parameter is bad; the answer names it.
    pub fn cursor<const N: usize>(&self) -> Result<Option<[i64; N]>, ApiError> {
        let Some(text) = self.get("cursor") else { return Ok(None) };
        let numbers: Option<Vec<i64>> =
            text.split('-').map(|part| u64::from_str_radix(part, 16).ok().map(u64::cast_signed)).collect();
        let numbers = numbers.and_then(|numbers| <[i64; N]>::try_from(numbers).ok());
        numbers.map(Some).ok_or_else(|| {
            ApiError::parameter("cursor", "`cursor` is taken from the `Link` header of the page before")
        })
    }
}

/// Longest part in characters that an answer repeats of a parameter's name.
const NAME_SHOWN_MAX: usize = 64;

/// How alike two names are at least that one is taken for a slip of the other, from 0 to 1.
const ALIKE_MIN: f64 = 0.8;

/// Makes the error of a parameter that the endpoint does not take; where one that it takes is spelled nearly so, it is named.
fn unknown(name: &str, known: &[&'static str]) -> ApiError {
    let name = shortened(name, NAME_SHOWN_MAX);
    let alike = known.iter().map(|known| (strsim::jaro_winkler(&name, known), known));
    let nearest = alike.max_by(|(a, _), (b, _)| a.total_cmp(b)).filter(|(alike, _)| *alike >= ALIKE_MIN);
    let hint = nearest.map(|(_, known)| format!("; did you mean `{known}`?")).unwrap_or_default();
    let known: Vec<String> = known.iter().map(|known| format!("`{known}`")).collect();
    let all = if known.is_empty() { "none is taken".to_owned() } else { known.join(", ") };
    ApiError::parameter(name.clone(), format!("`{name}` is no parameter here: {all}{hint}"))
}

/// Writes a place in a list, opaque to clients. It holds the range too, so that a relative one stays where it was.
#[must_use]
pub fn cursor(numbers: &[i64]) -> String {
    let parts: Vec<String> = numbers.iter().map(|number| format!("{number:x}")).collect();
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back() {
        let numbers = [i64::MIN, -1, 0, i64::MAX];
        let params = Params::parse(&format!("limit=5&cursor={}", cursor(&numbers)));
        assert_eq!(params.cursor::<4>().expect("readable"), Some(numbers));
        assert!(params.cursor::<3>().is_err());
        assert!(Params::parse("cursor=zz").cursor::<1>().is_err());
        assert!(Params::parse("").cursor::<1>().expect("absent").is_none());
    }

    #[test]
    fn an_unknown_parameter_is_named_with_the_one_that_was_meant() {
        let known = ["window", "limit", "start_time"];
        let detail = |name: &str, known: &[&'static str]| {
            let problem = unknown(name, known).problem();
            assert_eq!((problem.status, problem.param.as_deref()), (422, Some(name)));
            problem.detail
        };
        let all = "`window`, `limit`, `start_time`";
        assert_eq!(
            detail("windw", &known),
            format!("`windw` is no parameter here: {all}; did you mean `window`?")
        );
        assert_eq!(detail("from", &known), format!("`from` is no parameter here: {all}"));
        assert_eq!(detail("window", &[]), "`window` is no parameter here: none is taken");
        let long = unknown(&"x".repeat(1_000), &known).problem();
        assert_eq!(long.param.unwrap().chars().count(), NAME_SHOWN_MAX + 1, "cut, and seen to be");
    }

    #[test]
    fn a_plus_that_was_not_escaped_is_still_a_plus() {
        let params = Params::parse("start_time=2023-11-14T23:13:20+01:00");
        let expected = Nanos(1_700_000_000_000_000_000);
        assert_eq!(params.time("start_time", Nanos(0)).expect("readable"), Some(expected));
    }
}
