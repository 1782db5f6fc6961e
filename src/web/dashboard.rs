//! The dashboard's page, embedded into the program.
//!
//! Files whose names carry a hash of their content are kept by browsers for ever; the page itself is asked for anew and
//! mostly answered with 304. Without a build of the dashboard there is a page that says how to make one.

use super::assets::{ASK_AGAIN, Asset, FOR_EVER};
use super::error::ApiError;
use super::reply::hash;
use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse};
use rust_embed::RustEmbed;
use std::borrow::Cow;

#[derive(RustEmbed)]
#[folder = "dashboard/dist"]
struct Dist;

/// Files below this carry a hash of their content in their names.
const HASHED: &str = "assets/";

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
    let (body, hash) = match Dist::get(path) {
        Some(file) => {
            let hash = u64::from_be_bytes(std::array::from_fn(|at| file.metadata.sha256_hash()[at]));
            (file.data, hash)
        }
        None if path == "index.html" => (Cow::Borrowed(NOT_BUILT.as_bytes()), hash(NOT_BUILT.as_bytes())),
        None => return Err(ApiError::not_found(request.path())),
    };
    let caching = if path.starts_with(HASHED) { FOR_EVER } else { ASK_AGAIN };
    Ok(Asset::new(path, body, hash, caching).send(&request))
}
