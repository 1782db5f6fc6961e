//! Pages of lists: the page that a request asks for, and the cursor of the next one.
//!
//! Promises: a page is never answered with 404 for being empty once a page before it had rows. The cursor is opaque to
//! clients and holds the range as well, so that a relative range stays where it was while a client turns pages. On
//! failure: 422 for a limit or a cursor that cannot be used.

use super::error::ApiError;
use super::format::Format;
use super::params::Params;
use actix_web::HttpRequest;

/// The page that a request asks for. `N` is the number of values in the list's cursor.
pub struct PageRequest<const N: usize> {
    /// The form of the answer.
    pub format: Format,
    /// Rows of the page, at most.
    pub limit: usize,
    /// What [`super::params::cursor`] wrote for the page before; `None` asks for the first page.
    pub cursor: Option<[i64; N]>,
    /// True when a list without rows is an answer, and not 404.
    pub empty_is_ok: bool,
}

impl<const N: usize> PageRequest<N> {
    /// Reads the parameters `format`, `limit`, `cursor` and `empty`; `limit` is `default` when absent and `max` at
    /// most.
    ///
    /// # Errors
    /// When one of them is bad; the answer names it.
    pub fn of(
        request: &HttpRequest,
        params: &Params,
        default: usize,
        max: usize,
    ) -> Result<PageRequest<N>, ApiError> {
        let format = Format::of(request, params)?;
        let (limit, cursor) = (params.limit(default, max)?, params.cursor::<N>()?);
        let empty_is_ok = params.empty_is_ok()? || cursor.is_some();
        Ok(PageRequest { format, limit, cursor, empty_is_ok })
    }
}

/// Cuts rows that were read beyond the page, which tell that there is another one. Returns the cursor of that page.
pub fn cut<T>(rows: &mut Vec<T>, limit: usize, cursor_behind: impl FnOnce(&T) -> String) -> Option<String> {
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    rows.last().filter(|_| has_more).map(cursor_behind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn a_later_page_may_be_empty_and_the_first_only_if_asked() {
        for (query, is_ok) in [("", false), ("empty=ok", true), ("cursor=1-2", true)] {
            let request = TestRequest::with_uri(&format!("/?{query}")).to_http_request();
            let page =
                PageRequest::<2>::of(&request, &Params::of(&request, &["cursor", "empty"]).unwrap(), 10, 100)
                    .unwrap();
            assert_eq!((page.empty_is_ok, page.limit), (is_ok, 10), "{query}");
        }
    }

    #[test]
    fn there_is_a_next_page_when_more_was_read_than_shown() {
        let cut_to = |limit| {
            let mut rows = vec![3, 2, 1];
            let next = cut(&mut rows, limit, ToString::to_string);
            (rows.len(), next)
        };
        assert_eq!(cut_to(2), (2, Some("2".to_owned())));
        assert_eq!(cut_to(3), (3, None));
    }
}
