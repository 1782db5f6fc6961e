//! Which windows of a symbol are asked for, a page at a time: what `aggregated` and `indicators` have in common.

use crate::models::symbol::SymbolId;
use crate::models::time::{Nanos, Width};
use crate::stores::WindowQuery;
use crate::web::error::ApiError;
use crate::web::params::{Params, cursor};
use crate::web::reply::Format;
use crate::web::state::AppState;
use actix_web::HttpRequest;

/// Rows asked of the history beyond the page: one tells that there is a next page, one may turn out void.
const NUM_EXTRA: usize = 2;

/// Windows of one width that are asked for: those that end after `start` and at or before `end`.
pub(super) struct WindowsAsked {
    /// Their width.
    pub width: Width,
    /// Name of the width.
    pub name: String,
    /// The form of the answer.
    pub format: Format,
    /// Rows of a page.
    pub limit: usize,
    /// True when an answer without rows is fine: it was said to be, or a page before had some.
    pub empty_is_ok: bool,
    /// True without a cursor.
    pub is_first_page: bool,
    /// True without a range or a cursor: the newest ones.
    pub is_newest: bool,
    start: Nanos,
    end: Nanos,
}

impl WindowsAsked {
    /// Reads the parameters.
    ///
    /// # Errors
    /// When one is bad; the answer names it.
    pub(super) fn of(
        request: &HttpRequest,
        params: &Params,
        state: &AppState,
    ) -> Result<WindowsAsked, ApiError> {
        let (width, limit) = (params.window(&state.core)?, params.limit(500, 5_000)?);
        let (format, range) = (Format::of(request, params)?, params.range(state.query_now())?);
        let (empty_is_ok, page) = (params.empty_is_ok()?, params.cursor::<2>()?);
        let (start, end) = match page {
            Some([start, end]) => (Nanos(start), Nanos(end)),
            None => (range.start.unwrap_or(Nanos::MIN), range.end.unwrap_or(Nanos::MAX)),
        };
        Ok(WindowsAsked {
            width,
            name: width.to_string(),
            format,
            limit,
            empty_is_ok: empty_is_ok || page.is_some(),
            is_first_page: page.is_none(),
            is_newest: page.is_none() && range.start.is_none() && range.end.is_none(),
            start,
            end,
        })
    }

    /// True when the window that starts then is asked for.
    pub(super) fn has(&self, start: Nanos) -> bool {
        let end = start.plus(self.width.nanos());
        self.start < end && end <= self.end
    }

    /// Returns what to ask of the history for that many rows.
    pub(super) fn query(&self, symbol: SymbolId, num_rows: usize) -> WindowQuery {
        WindowQuery {
            symbol,
            width: self.width,
            // A window that ends after `start` starts more than a width before it at the earliest.
            start: self.start.plus(1).plus(-self.width.nanos()),
            end: self.end,
            limit: num_rows + NUM_EXTRA,
        }
    }

    /// Returns the cursor of the page behind the window that starts then; `None` is the end of the range.
    pub(super) fn cursor_behind(&self, start: Option<Nanos>) -> String {
        cursor(&[self.start.0, start.unwrap_or(self.end).0])
    }
}
