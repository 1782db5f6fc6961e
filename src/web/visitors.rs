//! Who may ask: pages of which origin, under which name of the server; and what browsers are told to be careful with.
//!
//! Any page that somebody opens can send requests to any address its browser reaches, and can have its own name lead to
//! this server (DNS rebinding). So a request that says which page it is from (`Origin`) is answered when that page is in
//! `server.cors_origins` or is this server's own, and every request must call the server (`Host`) by an address, by the
//! name of a listener, or by a host of `server.cors_origins`. Promises: this holds on every port, for the live feed as
//! well; programs, which send no `Origin`, notice nothing. On failure: 403 with a problem that says which key to set.

use super::error::ApiError;
use super::state::AppState;
use crate::config::{OriginPattern, WebOrigin, split_authority};
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, ResponseError};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// How much of a name an answer repeats, in characters.
const NAME_SHOWN_MAX: usize = 128;

/// Decides who may ask.
#[derive(Clone, Debug)]
pub struct Visitors {
    origins: Vec<OriginPattern>,
    names: BTreeSet<String>,
    /// Some port can be reached from other machines, which may know this one by a name of their own.
    is_reachable: bool,
}

impl Visitors {
    /// Lets pages of these origins in, and requests that name one of the listeners' hosts.
    #[must_use]
    pub fn new<'a>(origins: &[OriginPattern], listeners: impl IntoIterator<Item = &'a str>) -> Visitors {
        let mut visitors = Visitors {
            origins: origins.to_vec(),
            names: BTreeSet::from(["localhost".to_owned()]),
            is_reachable: false,
        };
        for host in listeners {
            let host = host.to_ascii_lowercase();
            let is_loopback =
                host.parse::<IpAddr>().map_or(host == "localhost", |address| address.is_loopback());
            visitors.is_reachable |= !is_loopback;
            visitors.names.insert(host);
        }
        visitors.names.extend(origins.iter().filter_map(OriginPattern::host).map(str::to_owned));
        visitors
    }

    /// True when every page may ask.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.origins.iter().any(OriginPattern::is_all)
    }

    /// Judges a request by its head.
    ///
    /// # Errors
    /// When the page, or the name of the server, is none of those that are let in.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        if self.is_open() {
            return Ok(());
        }
        let shown = |text: &str| text.chars().take(NAME_SHOWN_MAX).collect::<String>();
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        // Browsers always say it; what does not is none.
        let host = headers.get(header::HOST).map(text).filter(|host| !host.is_empty());
        let authority = host.as_deref().map(split_authority);
        if authority
            .as_ref()
            .is_some_and(|authority| !authority.as_ref().is_some_and(|(host, _)| self.is_own(host)))
        {
            return Err(ApiError::HostNotAllowed(shown(&host.unwrap_or_default())));
        }
        let own = authority.flatten();
        for origin in headers.get_all(header::ORIGIN).map(text) {
            let is_allowed = WebOrigin::parse(&origin).is_some_and(|page| {
                own.as_ref().is_some_and(|(host, port)| page.is_at(host, *port))
                    || self.origins.iter().any(|pattern| pattern.has(&page))
            });
            if !is_allowed {
                return Err(ApiError::OriginNotAllowed(shown(&origin)));
            }
        }
        Ok(())
    }

    /// True for a name that nobody else can have lead here: an address leads where it says, and a name without a dot
    /// is none of the public ones.
    fn is_own(&self, host: &str) -> bool {
        host.parse::<IpAddr>().is_ok()
            || self.names.contains(host)
            || (self.is_reachable && !host.contains('.'))
    }
}

/// What every answer tells browsers, unless it has something of its own to say.
const SAFEGUARDS: [(HeaderName, HeaderValue); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
];

/// Lets a request in or turns it away, and adds the safeguards to its answer.
///
/// # Errors
/// What the handler failed with.
pub async fn receive(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    let state = request.app_data::<Data<AppState>>().expect("every port has the state");
    let mut response = match state.visitors.check(request.headers()) {
        Ok(()) => next.call(request).await?.map_into_left_body(),
        Err(refusal) => request.into_response(refusal.error_response()).map_into_right_body(),
    };
    let headers = response.headers_mut();
    for (name, value) in SAFEGUARDS {
        if !headers.contains_key(&name) {
            headers.insert(name, value);
        }
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn origins(texts: &[&str]) -> Vec<OriginPattern> {
        texts.iter().map(|text| text.parse().expect("well-formed")).collect()
    }

    fn code(visitors: &Visitors, host: &str, origin: &str) -> &'static str {
        let mut request = TestRequest::default();
        for (name, value) in [(header::HOST, host), (header::ORIGIN, origin)] {
            if !value.is_empty() {
                request = request.insert_header((name, value));
            }
        }
        visitors.check(request.to_http_request().headers()).map_or_else(|error| error.code(), |()| "ok")
    }

    #[test]
    fn pages_and_names_are_let_in_by_the_rules() {
        const HOST: &str = "host_not_allowed";
        const ORIGIN: &str = "origin_not_allowed";
        let local = Visitors::new(&OriginPattern::of_this_machine(), ["127.0.0.1", "desk"]);
        let lan = Visitors::new(&origins(&["https://desk.example"]), ["0.0.0.0"]);
        let local_only = Visitors::new(&OriginPattern::of_this_machine(), ["127.0.0.1"]);
        let open = Visitors::new(&origins(&["*"]), ["127.0.0.1"]);
        let table = [
            (&local_only, "127.0.0.1:8000", "", "ok"),
            (&local_only, "", "", "ok"),
            (&local_only, "localhost:8000", "http://localhost:3000", "ok"),
            (&local_only, "[::1]:8000", "http://[::1]:8050", "ok"),
            (&local_only, "127.0.0.1:8000", "http://evil.example", ORIGIN),
            (&local_only, "127.0.0.1:8000", "null", ORIGIN),
            (&local_only, "127.0.0.1:8000", "http://localhost.evil.example", ORIGIN),
            (&local_only, "evil.example:8000", "", HOST),
            (&local_only, "evil.example:8000", "http://evil.example:8000", HOST),
            (&local_only, "127.0.0.1.evil.example", "", HOST),
            (&local_only, "desk:8000", "", HOST),
            (&local, "desk:8000", "http://desk:8000", "ok"),
            (&local, "desk:8000", "http://desk:9000", ORIGIN),
            (&lan, "192.168.1.5:8050", "http://192.168.1.5:8050", "ok"),
            (&lan, "192.168.1.5:8050", "http://192.168.1.6:8050", ORIGIN),
            (&lan, "tickwire:9100", "", "ok"),
            (&lan, "desk.example", "https://desk.example", "ok"),
            (&lan, "evil.example", "", HOST),
            (&open, "evil.example", "null", "ok"),
        ];
        for (visitors, host, origin, expected) in table {
            assert_eq!(code(visitors, host, origin), expected, "host `{host}`, origin `{origin}`");
        }
        assert!(open.is_open() && !local.is_open());
    }
}
