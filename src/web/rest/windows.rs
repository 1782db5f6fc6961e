//! The range and page of windows that a request asks for, shared by `aggregated` and `indicators`.
//!
//! Promises: a range holds the windows that end after its start, and at or before its end. On failure: 422 with the
//! parameter.

use crate::models::symbol::SymbolId;
use crate::models::time::{Nanos, Width};
use crate::stores::history::WindowQuery;
use crate::web::answer::error::ApiError;
use crate::web::answer::paging::PageRequest;
use crate::web::answer::params::{Params, cursor};
use crate::web::state::AppState;
use actix_web::HttpRequest;

/// Rows read from the history beyond the page: one tells that there is a next page, one may turn out void.
const NUM_EXTRA: usize = 2;

/// The windows of one width that end after `start`, and at or before `end`.
pub(super) struct WindowsAsked {
    /// The width.
    pub width: Width,
    /// Name of the width.
    pub name: String,
    /// The page.
    pub page: PageRequest<2>,
    /// True without a range or a cursor: the newest windows.
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
        let width = params.window(&state.core)?;
        let page = PageRequest::<2>::of(request, params, 500, 5_000)?;
        let range = params.range(state.query_now())?;
        let (start, end) = match page.cursor {
            Some([start, end]) => (Nanos(start), Nanos(end)),
            None => (range.start.unwrap_or(Nanos::MIN), range.end.unwrap_or(Nanos::MAX)),
        };
        Ok(WindowsAsked {
            width,
            name: width.to_string(),
            is_newest: page.cursor.is_none() && range.start.is_none() && range.end.is_none(),
            page,
            start,
            end,
        })
    }

    /// Returns the end of the range.
    pub(super) const fn end(&self) -> Nanos {
        self.end
    }

    /// True when the window that starts then is in the range.
    pub(super) fn has(&self, start: Nanos) -> bool {
        let end = start.plus(self.width.nanos());
        self.start < end && end <= self.end
    }

    /// Returns the query for that many rows.
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

    /// Returns the cursor of the page after the window that starts then; `None` stands for the end of the range.
    pub(super) fn cursor_behind(&self, start: Option<Nanos>) -> String {
        cursor(&[self.start.0, start.unwrap_or(self.end).0])
    }
}
