//! What `anomalies`, `predictions` and `alerts` have in common: the page of a list by time that a request asks for, the
//! symbol it asks about, and the filters.
//!
//! Promises: newest first, page by page, without repeats and holes. On failure: 422 with the parameter; 404 for a list
//! without rows, where the first page is asked for and `empty` is not `ok`.

use crate::models::anomaly::Severity;
use crate::models::symbol::SymbolError;
use crate::models::time::Nanos;
use crate::stores::history::signals::{Numbered, SignalPage};
use crate::web::answer::error::ApiError;
use crate::web::answer::format::Format;
use crate::web::answer::paging::{PageRequest, cut};
use crate::web::answer::params::{Params, cursor};
use crate::web::answer::reply::Reply;
use crate::web::state::AppState;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

/// The page of a list by time.
pub(super) struct SignalsAsked {
    page: PageRequest<4>,
    start: Nanos,
    end: Nanos,
    /// True without a range, a limit or a cursor.
    pub is_newest: bool,
}

impl SignalsAsked {
    /// Reads the parameters.
    ///
    /// # Errors
    /// When one is bad; the answer names it.
    pub(super) fn of(
        request: &HttpRequest,
        params: &Params,
        state: &AppState,
    ) -> Result<SignalsAsked, ApiError> {
        let page = PageRequest::<4>::of(request, params, 100, 1_000)?;
        let range = params.range(state.query_now())?;
        let (start, end) = match page.cursor {
            Some([start, end, ..]) => (Nanos(start), Nanos(end)),
            None => (range.start.unwrap_or(Nanos::MIN), range.end.unwrap_or(Nanos::MAX)),
        };
        let has_range = range.start.is_some() || range.end.is_some();
        let is_newest = page.cursor.is_none() && !has_range && params.get("limit").is_none();
        Ok(SignalsAsked { page, start, end, is_newest })
    }

    /// Returns the form of the answer.
    pub(super) const fn format(&self) -> Format {
        self.page.format
    }

    /// True when a list without rows is an answer.
    pub(super) const fn empty_is_ok(&self) -> bool {
        self.page.empty_is_ok
    }

    /// Returns what to ask the store for: one row more than the page has, which tells whether there is a next one.
    pub(super) fn page(&self) -> SignalPage {
        let before = self.page.cursor.map(|[_, _, time, number]| (Nanos(time), number.cast_unsigned()));
        SignalPage { start: self.start, end: self.end, before, limit: self.page.limit + 1 }
    }

    /// Answers with the rows of the page; `time` is the one they are ordered by.
    pub(super) fn answer<T, O: Serialize + Default>(
        &self,
        request: &HttpRequest,
        mut found: Vec<Numbered<T>>,
        time: impl Fn(&T) -> Nanos,
        object: impl Fn(T) -> O,
        no_data: impl FnOnce() -> ApiError,
    ) -> Result<HttpResponse, ApiError> {
        let next = cut(&mut found, self.page.limit, |last| {
            cursor(&[self.start.0, self.end.0, time(&last.row).0, last.number.cast_signed()])
        });
        if found.is_empty() && !self.page.empty_is_ok {
            return Err(no_data());
        }
        let rows: Vec<O> = found.into_iter().map(|found| object(found.row)).collect();
        Ok(Reply::list(&rows, self.page.format).with_next(request, next).send(request))
    }
}

/// The symbol that a list is asked for.
pub(super) struct SymbolAsked {
    /// In our spelling, where it is known.
    pub name: Option<String>,
    is_unknown: bool,
}

impl SymbolAsked {
    /// Reads `symbol`. One of which nothing was ever accepted is no error yet: rows about it may be there.
    ///
    /// # Errors
    /// When it is no symbol's name, or may mean several.
    pub(super) fn of(params: &Params, state: &AppState) -> Result<SymbolAsked, ApiError> {
        let Some(text) = params.get("symbol") else {
            return Ok(SymbolAsked { name: None, is_unknown: false });
        };
        match state.symbols.resolve(text) {
            Ok(id) => Ok(SymbolAsked { name: Some(state.symbols.spec(id).name.clone()), is_unknown: false }),
            Err(SymbolError::Unknown(_)) => Ok(SymbolAsked { name: Some(text.to_owned()), is_unknown: true }),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the error of a list without rows.
    pub(super) fn no_data(self, detail: &str) -> ApiError {
        match self.name {
            Some(name) if self.is_unknown => ApiError::UnknownSymbol(name),
            _ => ApiError::NoData(detail.to_owned()),
        }
    }
}

/// Longest name of a type or a channel.
const WORD_LEN_MAX: usize = 64;

/// Reads a parameter that names a type or a channel. Rules and channels are configured, so any such word may be one.
///
/// # Errors
/// When no name looks like that.
pub(super) fn word(params: &Params, name: &'static str) -> Result<Option<String>, ApiError> {
    let Some(text) = params.get(name) else { return Ok(None) };
    let fits = (1..=WORD_LEN_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if fits {
        return Ok(Some(text.to_owned()));
    }
    Err(ApiError::parameter(name, format!("`{name}` is `{text}`; it is 1 to 64 of A-Z a-z 0-9 . _ -")))
}

/// Reads a parameter that is one of some words.
///
/// # Errors
/// When it is none of them; the answer lists them.
pub(super) fn one_of<T: Copy>(
    params: &Params,
    name: &'static str,
    all: &[T],
    as_str: impl Fn(T) -> &'static str,
) -> Result<Option<T>, ApiError> {
    let Some(text) = params.get(name) else { return Ok(None) };
    let found = all.iter().copied().find(|value| as_str(*value) == text);
    found.map(Some).ok_or_else(|| {
        let known: Vec<&str> = all.iter().copied().map(&as_str).collect();
        ApiError::parameter(name, format!("`{name}` is `{text}`; it is one of {}", known.join(", ")))
    })
}

/// Reads `severity`.
///
/// # Errors
/// As [`one_of`].
pub(super) fn severity(params: &Params) -> Result<Option<Severity>, ApiError> {
    one_of(params, "severity", &Severity::ALL, Severity::as_str)
}

/// Longest id of an anomaly.
pub(super) const ID_LEN_MAX: usize = 256;

/// Reads `anomaly_id`.
///
/// # Errors
/// When no id looks like that.
pub(super) fn anomaly_id(params: &Params) -> Result<Option<String>, ApiError> {
    let Some(text) = params.get("anomaly_id") else { return Ok(None) };
    if is_id(text) {
        return Ok(Some(text.to_owned()));
    }
    let rule = "`anomaly_id` is 1 to 256 visible characters of ASCII, as `id` of an anomaly has them";
    Err(ApiError::parameter("anomaly_id", rule))
}

/// True for what may be the id of an anomaly, or of its incident.
pub(super) fn is_id(text: &str) -> bool {
    (1..=ID_LEN_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
