//! Static files embedded in the program: the dashboard, and the page that shows the API.
//!
//! Promises: a file is compressed once, for the first client that takes gzip, and later answers share that copy. Each
//! form has an `ETag` of its own, so that caches never mix them up. Nothing here fails: the files are in memory.

use crate::web::answer::caching::is_known;
use crate::web::answer::compression::{compress, takes_gzip};
use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use flate2::Compression;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

/// One file.
pub struct Asset {
    /// Media type, by the extension of its name.
    pub content_type: &'static str,
    /// Content.
    pub body: Bytes,
    /// Hash of the content.
    pub hash: u64,
    /// `Cache-Control`.
    pub caching: &'static str,
    /// `Content-Security-Policy`, of pages only.
    policy: Option<String>,
}

impl Asset {
    /// Makes the file of that name; `hash` is a hash of its content.
    #[must_use]
    pub fn new(name: &str, body: Cow<'static, [u8]>, hash: u64, caching: &'static str) -> Asset {
        let body = match body {
            Cow::Borrowed(body) => Bytes::from_static(body),
            Cow::Owned(body) => Bytes::from(body),
        };
        Asset { content_type: content_type(name), body, hash, caching, policy: None }
    }

    /// Sets the content security policy, if it is a page.
    #[must_use]
    pub fn with_policy(self, policy: String) -> Asset {
        let is_page = self.content_type.starts_with("text/html");
        Asset { policy: Some(policy).filter(|_| is_page), ..self }
    }

    /// Sends the file: compressed to clients that take gzip, 304 to clients that have it.
    #[must_use]
    pub fn send(self, request: &HttpRequest) -> HttpResponse {
        let packed = takes_gzip(request).then(|| self.packed()).flatten();
        let etag = match packed {
            Some(_) => format!("\"{:016x}-gzip\"", self.hash),
            None => format!("\"{:016x}\"", self.hash),
        };
        let is_known = is_known(request.headers(), &etag);
        let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        response
            .insert_header((header::CACHE_CONTROL, self.caching))
            .insert_header((header::ETAG, etag))
            .insert_header((header::VARY, "Accept-Encoding"))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
        if let Some(policy) = &self.policy {
            response.insert_header((header::CONTENT_SECURITY_POLICY, policy.as_str()));
        }
        if is_known {
            return response.finish();
        }
        response.content_type(self.content_type);
        match packed {
            Some(packed) => response.insert_header((header::CONTENT_ENCODING, "gzip")).body(packed),
            None => response.body(self.body),
        }
    }

    /// Returns the file compressed, or `None` where that does not pay. Copies are keyed by the hash of the content,
    /// since files may change while a debug build runs.
    fn packed(&self) -> Option<Bytes> {
        static PACKED: RwLock<Option<HashMap<u64, Bytes>>> = RwLock::new(None);
        if !is_text(self.content_type) {
            return None;
        }
        let known = |packed: &Option<HashMap<u64, Bytes>>| packed.as_ref()?.get(&self.hash).cloned();
        if let Some(packed) = known(&PACKED.read().unwrap_or_else(PoisonError::into_inner)) {
            return Some(packed).filter(|packed| packed.len() < self.body.len());
        }
        let mut all = PACKED.write().unwrap_or_else(PoisonError::into_inner);
        // Another request may have compressed it while this one waited for the lock.
        let packed = known(&all).unwrap_or_else(|| {
            let packed = Bytes::from(compress(&self.body, Compression::best()));
            all.get_or_insert_default().insert(self.hash, packed.clone());
            packed
        });
        Some(packed).filter(|packed| packed.len() < self.body.len())
    }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json" | "map") => "application/json",
        Some("png") => "image/png",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// True for types that gzip makes smaller.
fn is_text(content_type: &str) -> bool {
    content_type.starts_with("text/") || matches!(content_type, "image/svg+xml" | "application/json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::answer::caching::KEEP_FOREVER;
    use actix_web::body::MessageBody;
    use actix_web::http::StatusCode;
    use actix_web::test::TestRequest;
    use std::io::Read;

    fn asset(name: &str, body: &'static [u8], hash: u64) -> Asset {
        Asset::new(name, Cow::Borrowed(body), hash, KEEP_FOREVER)
    }

    fn header_of(response: &HttpResponse, name: header::HeaderName) -> &str {
        response.headers().get(name).map_or("", |value| value.to_str().expect("headers are text"))
    }

    #[test]
    fn each_form_has_its_own_validator_and_both_say_what_they_depend_on() {
        let text: &'static [u8] = "the same line again and again\n".repeat(100).leak().as_bytes();
        let ask = |name: header::HeaderName, value: &str| {
            let request = TestRequest::default().insert_header((name, value)).to_http_request();
            asset("a.css", text, 7).send(&request)
        };
        let plain = asset("a.css", text, 7).send(&TestRequest::default().to_http_request());
        let packed = ask(header::ACCEPT_ENCODING, "gzip");
        assert_eq!(header_of(&plain, header::CONTENT_ENCODING), "");
        assert_eq!(header_of(&packed, header::CONTENT_ENCODING), "gzip");
        for response in [&plain, &packed] {
            assert_eq!(header_of(response, header::VARY), "Accept-Encoding");
            assert_eq!(header_of(response, header::CACHE_CONTROL), KEEP_FOREVER);
            assert_eq!(header_of(response, header::CONTENT_TYPE), "text/css; charset=utf-8");
        }
        let (tag, packed_tag) = (header_of(&plain, header::ETAG), header_of(&packed, header::ETAG));
        assert_ne!(tag, packed_tag);
        assert_eq!(ask(header::IF_NONE_MATCH, tag).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(ask(header::IF_NONE_MATCH, packed_tag).status(), StatusCode::OK);

        let body = packed.into_body().try_into_bytes().expect("in memory");
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&*body).read_to_end(&mut unpacked).expect("gzip");
        assert_eq!(unpacked, text);
    }

    #[test]
    fn a_file_is_compressed_once_and_only_where_it_pays() {
        let text: &'static [u8] = "0123456789".repeat(500).leak().as_bytes();
        let first = asset("a.js", text, 8).packed().expect("smaller");
        let second = asset("a.js", text, 8).packed().expect("smaller");
        assert_eq!(first.as_ptr(), second.as_ptr(), "the same copy");
        assert!(asset("a.png", text, 8).packed().is_none(), "compressed already");
        assert!(asset("a.txt", b"short", 9).packed().is_none(), "would grow");
    }
}
