//! Successful answers: JSON or CSV, validated by `ETag`, compressed where it pays.
//!
//! Promises: an answer that may be kept has a validator, and a client that has it already gets 304. A list without rows
//! has its CSV header all the same. Nothing here fails: the objects are plain data.

use super::caching::{NEVER_KEEP, REVALIDATE, hash, is_known};
use super::compression::{compress, takes_gzip};
use super::format::Format;
use crate::wire;
use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use flate2::Compression;
use serde::Serialize;

/// Bodies below this go out as they are: their head is most of the packet anyway.
const COMPRESS_MIN: usize = 1_024;

/// The request headers on which the form of an answer depends.
const VARY: &str = "Accept, Accept-Encoding";

/// An answer that is ready to be sent.
pub struct Reply {
    content_type: &'static str,
    body: Bytes,
    tag: Option<u64>,
    link: Option<String>,
}

impl Reply {
    /// Makes an answer from finished JSON.
    #[must_use]
    pub fn json_bytes(body: Bytes) -> Reply {
        Reply { content_type: "application/json", body, tag: None, link: None }
    }

    /// Makes an answer from one object.
    #[must_use]
    pub fn json<T: Serialize>(value: &T) -> Reply {
        Reply::json_bytes(wire::to_json(value).into())
    }

    /// Makes an answer from rows. A list without rows has its CSV header all the same.
    #[must_use]
    pub fn list<T: Serialize + Default>(rows: &[T], format: Format) -> Reply {
        match format {
            Format::Json => Reply::json(&rows),
            Format::Csv => Reply {
                content_type: "text/csv; charset=utf-8",
                body: to_csv(rows).into(),
                tag: None,
                link: None,
            },
        }
    }

    /// Points to the next page, if there is one.
    #[must_use]
    pub fn with_next(self, request: &HttpRequest, cursor: Option<String>) -> Reply {
        let link = cursor.map(|cursor| next_page(request, &cursor));
        Reply { link, ..self }
    }

    /// Gives a hash of the body that is known already.
    #[must_use]
    pub fn with_tag(self, tag: u64) -> Reply {
        Reply { tag: Some(tag), ..self }
    }

    /// Sends what has no validator because it is another one each time.
    #[must_use]
    pub fn send_volatile(self, request: &HttpRequest) -> HttpResponse {
        self.finish(request, None)
    }

    /// Sends it with its `ETag`, or 304 to a client that has it.
    #[must_use]
    pub fn send(self, request: &HttpRequest) -> HttpResponse {
        let tag = self.tag.unwrap_or_else(|| hash(&self.body));
        let etag = format!("W/\"{tag:016x}\"");
        if is_known(request.headers(), &etag) {
            let mut response = HttpResponse::NotModified();
            response.insert_header((header::ETAG, etag)).insert_header((header::CACHE_CONTROL, REVALIDATE));
            response.insert_header((header::VARY, VARY));
            return response.finish();
        }
        self.finish(request, Some(etag))
    }

    fn finish(self, request: &HttpRequest, etag: Option<String>) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        response.content_type(self.content_type);
        let is_long = self.body.len() >= COMPRESS_MIN;
        if is_long || etag.is_some() {
            response.insert_header((header::VARY, VARY));
        }
        match etag {
            Some(etag) => {
                response
                    .insert_header((header::ETAG, etag))
                    .insert_header((header::CACHE_CONTROL, REVALIDATE));
            }
            None => _ = response.insert_header((header::CACHE_CONTROL, NEVER_KEEP)),
        }
        if let Some(link) = self.link {
            response.insert_header((header::LINK, link));
        }
        if is_long && takes_gzip(request) {
            response.insert_header((header::CONTENT_ENCODING, "gzip"));
            return response.body(compress(&self.body, Compression::fast()));
        }
        response.body(self.body)
    }
}

/// Writes rows as CSV, the header from the names of the fields.
fn to_csv<T: Serialize + Default>(rows: &[T]) -> Vec<u8> {
    let write = |rows: &[T]| {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in rows {
            writer.serialize(row).expect("rows are flat");
        }
        writer.into_inner().expect("memory takes every byte")
    };
    if !rows.is_empty() {
        return write(rows);
    }
    let mut header = write(&[T::default()]);
    let end = header.iter().position(|&byte| byte == b'\n').map_or(header.len(), |at| at + 1);
    header.truncate(end);
    header
}

/// Builds the `Link` to the next page: the same query with another cursor.
fn next_page(request: &HttpRequest, cursor: &str) -> String {
    let kept =
        request.query_string().split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
    let mut target = format!("{}?", request.uri().path());
    for pair in kept {
        target.push_str(pair);
        target.push('&');
    }
    format!("<{target}cursor={cursor}>; rel=\"next\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn the_next_page_keeps_the_query() {
        let request = TestRequest::with_uri("/api/v1/ticks/A%2FB?limit=5&cursor=old&x=1").to_http_request();
        let link = next_page(&request, "new");
        assert_eq!(link, "</api/v1/ticks/A%2FB?limit=5&x=1&cursor=new>; rel=\"next\"");
    }

    #[test]
    fn a_list_without_rows_has_its_header() {
        #[derive(Serialize, Default)]
        struct Row {
            a: u8,
            b: Option<f64>,
        }
        assert_eq!(to_csv::<Row>(&[]), b"a,b\n");
        assert_eq!(to_csv(&[Row { a: 1, b: Some(0.5) }, Row::default()]), b"a,b\n1,0.5\n0,\n");
    }
}
