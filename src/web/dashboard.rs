//! The dashboard's page, embedded into the program.
//!
//! Files whose names carry a hash of their content are kept by browsers for ever; the page itself is asked for anew and
//! mostly answered with 304. Without a build of the dashboard there is a page that says how to make one.

use super::error::ApiError;
use actix_web::http::{Method, header};
use actix_web::{HttpRequest, HttpResponse};
use rust_embed::{EmbeddedFile, RustEmbed};
use std::fmt::Write;

#[derive(RustEmbed)]
#[folder = "dashboard/dist"]
struct Dist;

/// Files below this carry a hash of their content in their names.
const HASHED: &str = "assets/";

const FOR_EVER: &str = "public, max-age=31536000, immutable";
const ASK_AGAIN: &str = "no-cache";

const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Tickwire</title>\
<body style=\"font:16px/1.6 system-ui;max-width:40em;margin:4em auto;padding:0 1em\"><h1>Tickwire runs</h1>\
<p>This build has no dashboard: Node.js was missing when it was made. Install Node.js 20 or newer, then \
<code>make build</code> builds it in.</p><p>The <a href=\"/docs/\">REST interface</a> and the live feed at \
<code>/ws</code> on this port work without it.</p></body></html>";

/// Serves a file of the dashboard.
pub async fn file(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(ApiError::MethodNotAllowed(request.method().to_string()));
    }
    let path = match request.path().trim_start_matches('/') {
        "" => "index.html",
        path => path,
    };
    match Dist::get(path) {
        Some(file) => Ok(serve(&request, path, file)),
        None if path == "index.html" => Ok(html(NOT_BUILT)),
        None => Err(ApiError::NotFound(request.path().to_owned())),
    }
}

fn html(text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, ASK_AGAIN))
        .body(text)
}

fn serve(request: &HttpRequest, path: &str, file: EmbeddedFile) -> HttpResponse {
    let tag = file.metadata.sha256_hash()[..8].iter().fold(String::from("\""), |mut tag, byte| {
        write!(tag, "{byte:02x}").expect("text takes every byte");
        tag
    }) + "\"";
    let caching = if path.starts_with(HASHED) { FOR_EVER } else { ASK_AGAIN };
    let known = request.headers().get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let is_known = known.is_some_and(|known| known.split(',').any(|known| known.trim() == tag));
    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((header::CACHE_CONTROL, caching)).insert_header((header::ETAG, tag));
    response.insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    if is_known {
        return response.finish();
    }
    response.content_type(content_type(path)).body(file.data.into_owned())
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
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
