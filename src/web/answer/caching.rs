//! How clients and caches keep answers: validators (`ETag`) and `Cache-Control`.
//!
//! Promises: an answer whose body changed has another validator. A header that cannot be read counts as absent, so that
//! at worst an answer is sent again.

use actix_web::http::header::{self, HeaderMap};

/// `Cache-Control` of what never changes under its name.
pub const KEEP_FOREVER: &str = "public, max-age=31536000, immutable";

/// `Cache-Control` of what browsers keep, but revalidate before each use.
pub const REVALIDATE: &str = "no-cache";

/// `Cache-Control` of what is different each time.
pub const NEVER_KEEP: &str = "no-store";

/// Returns the hash that validators are made of.
#[must_use]
pub fn hash(body: &[u8]) -> u64 {
    let hash = blake3::hash(body);
    u64::from_le_bytes(std::array::from_fn(|at| hash.as_bytes()[at]))
}

/// True when the client has this version already.
#[must_use]
pub fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let weak = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let wanted = weak(etag);
    headers
        .get_all(header::IF_NONE_MATCH)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| tag.trim() == "*" || weak(tag) == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn validators_compare_weakly() {
        for (value, known) in
            [("W/\"a\"", true), ("\"a\"", true), ("\"b\", W/\"a\"", true), ("*", true), ("\"b\"", false)]
        {
            let request =
                TestRequest::default().insert_header((header::IF_NONE_MATCH, value)).to_http_request();
            assert_eq!(is_known(request.headers(), "W/\"a\""), known, "{value}");
        }
    }
}
