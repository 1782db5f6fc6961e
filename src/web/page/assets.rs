//! Files that are part of the program: the dashboard, and the page that shows the API.
//!
//! A file is compressed once, when the first client that takes gzip asks for it; every later answer shares that copy.
//! Each form has an `ETag` of its own, so that a cache between never mixes them up.

use crate::web::accept::takes_gzip;
use crate::web::reply::is_known;
use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;
use std::sync::{PoisonError, RwLock};

/// A browser keeps the file for ever: its name changes with its content.
pub const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// A browser keeps the file, but asks whether it is still the same.
pub const ASK_AGAIN: &str = "no-cache";

/// One file.
pub struct Asset {
    /// Its type, by the end of its name.
    pub content_type: &'static str,
    /// What it holds.
    pub body: Bytes,
    /// Hash of what it holds.
    pub hash: u64,
    /// `Cache-Control`.
    pub caching: &'static str,
    /// What it may load, where it is a page: `Content-Security-Policy`.
    policy: Option<String>,
}

impl Asset {
    /// Makes the file of that name; `hash` is one of its content.
    #[must_use]
    pub fn new(name: &str, body: Cow<'static, [u8]>, hash: u64, caching: &'static str) -> Asset {
        let body = match body {
            Cow::Borrowed(body) => Bytes::from_static(body),
            Cow::Owned(body) => Bytes::from(body),
        };
        Asset { content_type: content_type(name), body, hash, caching, policy: None }
    }

    /// Says what it may load, if it is a page.
    #[must_use]
    pub fn with_policy(self, policy: String) -> Asset {
        let is_page = self.content_type.starts_with("text/html");
        Asset { policy: Some(policy).filter(|_| is_page), ..self }
    }

    /// Sends the file: compressed to those who take it, 304 to those who have it.
    #[must_use]
    pub fn send(self, request: &HttpRequest) -> HttpResponse {
        let packed = takes_gzip(request.headers()).then(|| self.packed()).flatten();
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

    /// Returns the file compressed, or `None` where that does not pay. What a name holds may change while a debug build
    /// runs, so copies are known by the hash of the content.
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
        // Another request may have done it while this one waited.
        let packed = known(&all).unwrap_or_else(|| {
            let packed = Bytes::from(compress(&self.body, Compression::best()));
            all.get_or_insert_default().insert(self.hash, packed.clone());
            packed
        });
        Some(packed).filter(|packed| packed.len() < self.body.len())
    }
}

/// Compresses a body.
#[must_use]
pub fn compress(body: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), level);
    encoder.write_all(body).expect("memory takes every byte");
    encoder.finish().expect("memory takes every byte")
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
    use actix_web::body::MessageBody;
    use actix_web::http::StatusCode;
    use actix_web::test::TestRequest;
    use std::io::Read;

    fn asset(name: &str, body: &'static [u8], hash: u64) -> Asset {
        Asset::new(name, Cow::Borrowed(body), hash, FOR_EVER)
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
            assert_eq!(header_of(response, header::CACHE_CONTROL), FOR_EVER);
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
