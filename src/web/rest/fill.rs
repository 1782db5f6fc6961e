//! `fill` of `aggregated`: bars without gaps, for whoever counts on a row for every window.
//!
//! Promises: every window of the range that is closed has one row, from the symbol's first bar on; nothing is said of windows
//! before it, and of those that may still get trades. A page and its cursor never repeat or omit a window. On failure: 422
//! for a word that is none of the three.

use super::windows::WindowsAsked;
use crate::models::bar::Bar;
use crate::models::time::Nanos;
use crate::web::answer::error::ApiError;
use crate::web::answer::params::Params;
use crate::web::recent::Naming;
use crate::wire::FilledBarObject;

/// What stands for a window without a trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fill {
    /// A bar without prices.
    Null,
    /// A bar at the last close before it.
    Previous,
}

impl Fill {
    /// Reads `fill`; `None` leaves such windows out.
    ///
    /// # Errors
    /// When it is another word.
    pub(super) fn of(params: &Params) -> Result<Option<Fill>, ApiError> {
        match params.get("fill") {
            None | Some("none") => Ok(None),
            Some("null") => Ok(Some(Fill::Null)),
            Some("previous") => Ok(Some(Fill::Previous)),
            Some(text) => {
                let detail = format!("`fill` is `{text}`; it is `none`, `null` or `previous`");
                Err(ApiError::parameter("fill", detail))
            }
        }
    }
}

/// The bars that are known, for one page.
pub(super) struct Known<'b> {
    /// Closed bars, newest first, with at least one more than the page has rows, as far as there are so many; those before
    /// the range say with which close it begins.
    pub bars: &'b [Bar],
    /// True when there is no bar before these.
    pub are_all: bool,
    /// Windows that end at or before this are closed.
    pub closed_until: Nanos,
}

/// Returns a row for each of the newest `limit` windows of the range, newest first, and true when older ones follow.
pub(super) fn rows<'a>(
    known: &Known<'_>,
    fill: Fill,
    asked: &WindowsAsked,
    limit: usize,
    naming: &Naming<'a>,
) -> (Vec<FilledBarObject<'a>>, bool) {
    let width = asked.width;
    let mut bars = known.bars.iter().peekable();
    let mut rows = Vec::new();
    let newest_bar = known.bars.first().filter(|bar| asked.has(bar.start)).map(|bar| bar.start);
    let last_closed = width.start_of(known.closed_until.min(asked.end())).plus(-width.nanos());
    let mut start = newest_bar.map_or(last_closed, |start| start.max(last_closed));
    while asked.has(start) {
        // Older than the first bar of the symbol.
        let Some(bar) = bars.peek() else { return (rows, !known.are_all) };
        if rows.len() == limit {
            return (rows, true);
        }
        let is_there = bar.start == start;
        rows.push(if is_there {
            naming.object(bar).into()
        } else {
            let close = (fill == Fill::Previous).then(|| naming.object(bar).close);
            FilledBarObject::empty(&naming.spec.name, naming.window, start, width, close)
        });
        if is_there {
            bars.next();
        }
        start = start.plus(-width.nanos());
    }
    (rows, false)
}
