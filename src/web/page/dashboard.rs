//! Serves the dashboard, which is embedded in the program.
//!
//! Promises: files whose names contain a hash of their content are kept by browsers without asking again; the page
//! itself is revalidated, mostly with 304. On failure: without a build of the dashboard, a page says how to make one;
//! other paths are 404.

use super::assets::Asset;
use crate::config::split_authority;
use crate::web::answer::caching::{KEEP_FOREVER, REVALIDATE, hash};
use crate::web::answer::error::ApiError;
use crate::web::preflight::{READS, other_method};
use actix_web::http::{Method, header};
use actix_web::{HttpRequest, HttpResponse};
use rust_embed::RustEmbed;
use std::borrow::Cow;

#[derive(RustEmbed)]
#[folder = "dashboard/dist"]
struct Dist;

/// Files below this have a hash of their content in their names.
const HASHED: &str = "assets/";

const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Tickwire</title>\
<body><h1>Tickwire runs</h1>\
<p>This build has no dashboard: Node.js was missing when it was made. Install Node.js 20 or newer, then \
<code>make build</code> builds it in.</p><p>The <a href=\"/docs/\">REST interface</a> and the live feed at \
<code>/ws</code> on this port work without it.</p></body></html>";

/// Serves a file of the dashboard.
pub async fn file(request: HttpRequest) -> Result<HttpResponse, ApiError> {
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
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return other_method(&request, READS);
    }
    let caching = if path.starts_with(HASHED) { KEEP_FOREVER } else { REVALIDATE };
    Ok(Asset::new(path, body, hash, caching).with_policy(policy(&request)).send(&request))
}

/// Returns the content security policy: the page's own files, and what this port serves. The live feed is named, since
/// not every browser counts it as the page's own origin.
fn policy(request: &HttpRequest) -> String {
    // The name was checked before; what is not a name is not repeated.
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.filter(|host| split_authority(host).is_some()).unwrap_or_default();
    let feed = if host.is_empty() { String::new() } else { format!(" ws://{host} wss://{host}") };
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self'{feed}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}
