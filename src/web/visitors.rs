//! Decides which requests are answered, by the page they come from and the name they use for the server.
//!
//! Any web page can send requests to any address that the browser reaches, and can make its own name resolve to this
//! server (DNS rebinding). So a request with an `Origin` is answered when that page is in `server.cors_origins` or is
//! this server's own, and every request must name the server (`Host`) by an address, by the name of a listener, or by a
//! host of `server.cors_origins`. Promises: this holds on every port and for the live feed; programs, which send no
//! `Origin`, are not affected. On failure: 403 with a problem that says which key to set.

use super::answer::error::ApiError;
use crate::config::{OriginPattern, WebOrigin, split_authority};
use crate::models::symbol::shortened;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// How much of a name an answer repeats, in characters.
const NAME_SHOWN_MAX: usize = 128;

/// Decides which requests are admitted.
#[derive(Clone, Debug)]
pub struct Visitors {
    origins: Vec<OriginPattern>,
    names: BTreeSet<String>,
    /// True when some port can be reached from other machines, which may know this one by another name.
    is_reachable: bool,
}

impl Visitors {
    /// Admits pages of these origins, and requests that name one of the listeners' hosts.
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

    /// True when every page is admitted.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.origins.iter().any(OriginPattern::is_all)
    }

    /// Checks the headers of a request.
    ///
    /// # Errors
    /// When its page, or its name of the server, is not admitted.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        if self.is_open() {
            return Ok(());
        }
        self.check_strictly(headers)
    }

    /// Checks the headers of a request that changes something: `*` in `server.cors_origins` lets every page read, and none
    /// that is not listed besides change anything.
    ///
    /// # Errors
    /// When its page, or its name of the server, is not admitted.
    pub fn check_change(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        // Browsers name the page of every request that is no mere reading; who names none is a program.
        if headers.contains_key(header::ORIGIN) { self.check_strictly(headers) } else { Ok(()) }
    }

    fn check_strictly(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let shown = |text: &str| shortened(text, NAME_SHOWN_MAX);
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        // Browsers always send a host; a client without one is a program.
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
                    || self.origins.iter().any(|pattern| !pattern.is_all() && pattern.has(&page))
            });
            if !is_allowed {
                return Err(ApiError::OriginNotAllowed(shown(&origin)));
            }
        }
        Ok(())
    }

    /// True for a name that no foreign page can point at this server: an address, a listener's name, or on a reachable
    /// port a name without a dot, which is not a public one.
    fn is_own(&self, host: &str) -> bool {
        host.parse::<IpAddr>().is_ok()
            || self.names.contains(host)
            || (self.is_reachable && !host.contains('.'))
    }
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
