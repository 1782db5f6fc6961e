//! Origins of web pages, as `server.cors_origins` lists them: `https://desk.example`, `http://localhost:*`, `*`.
//!
//! Promises: what is printed reads back to the same origin. On failure, reading says what is wrong with the text.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Which port of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Port {
    Any,
    One(u16),
}

/// Pages that may use the server.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pages {
    /// Every page.
    All,
    /// Those of one host.
    Of { scheme: String, host: String, port: Port },
}

/// One entry of `server.cors_origins`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OriginPattern(Pages);

/// What is wrong with an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an origin such as `https://desk.example`, `http://localhost:*` or `*`")]
pub struct OriginError(String);

impl OriginPattern {
    /// Returns the default: any port of this machine.
    #[must_use]
    pub fn of_this_machine() -> Vec<OriginPattern> {
        ["http://localhost:*", "https://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"]
            .map(|text| text.parse().expect("they are well-formed"))
            .to_vec()
    }

    /// True for the entry that stands for every page.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.0 == Pages::All
    }

    /// Returns the host that it names, without brackets.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        match &self.0 {
            Pages::All => None,
            Pages::Of { host, .. } => Some(host),
        }
    }

    /// True when the origin is one of those meant.
    #[must_use]
    pub fn has(&self, origin: &WebOrigin) -> bool {
        match &self.0 {
            Pages::All => true,
            Pages::Of { scheme, host, port } => {
                *scheme == origin.scheme
                    && *host == origin.host
                    && (*port == Port::Any || *port == Port::One(origin.port))
            }
        }
    }
}

impl FromStr for OriginPattern {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<OriginPattern, OriginError> {
        if text == "*" {
            return Ok(OriginPattern(Pages::All));
        }
        let (origin, any_port) = match text.strip_suffix(":*") {
            Some(origin) => (origin, true),
            None => (text, false),
        };
        let WebOrigin { scheme, host, port } =
            WebOrigin::parse(origin).ok_or_else(|| OriginError(text.to_owned()))?;
        let port = if any_port { Port::Any } else { Port::One(port) };
        Ok(OriginPattern(Pages::Of { scheme, host, port }))
    }
}

impl TryFrom<String> for OriginPattern {
    type Error = OriginError;

    fn try_from(text: String) -> Result<OriginPattern, OriginError> {
        text.parse()
    }
}

impl From<OriginPattern> for String {
    fn from(pattern: OriginPattern) -> String {
        pattern.to_string()
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pages::Of { scheme, host, port } = &self.0 else { return f.write_str("*") };
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        match port {
            Port::Any => write!(f, "{scheme}://{host}:*"),
            Port::One(port) if Some(*port) == default_port(scheme) => write!(f, "{scheme}://{host}"),
            Port::One(port) => write!(f, "{scheme}://{host}:{port}"),
        }
    }
}

/// Where a page is from, as browsers say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebOrigin {
    scheme: String,
    /// Without brackets, in lower case.
    pub host: String,
    /// As given, or that of the scheme.
    pub port: u16,
}

impl WebOrigin {
    /// Reads `scheme://host[:port]`. `null`, which browsers send for pages without an origin, is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<WebOrigin> {
        let (scheme, authority) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let default = default_port(&scheme)?;
        let (host, port) = split_authority(authority)?;
        Some(WebOrigin { scheme, host, port: port.unwrap_or(default) })
    }

    /// True when a request that names this host and port is for the very server that the page is from.
    #[must_use]
    pub fn is_at(&self, host: &str, port: Option<u16>) -> bool {
        self.host == host && Some(self.port) == port.or(default_port(&self.scheme))
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// Splits `host[:port]`: the host in lower case and without brackets or a dot at its end.
#[must_use]
pub fn split_authority(authority: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, rest.strip_prefix(':').or(rest.is_empty().then_some(""))?)
        }
        None => authority.split_once(':').unwrap_or((authority, "")),
    };
    let port = if port.is_empty() { None } else { Some(port.parse().ok()?) };
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    (!host.is_empty() && host.chars().all(is_plain)).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_read_back_as_they_were() {
        for text in
            ["*", "http://localhost:*", "https://desk.example", "http://[::1]:8050", "http://10.0.0.1:*"]
        {
            assert_eq!(text.parse::<OriginPattern>().map(|pattern| pattern.to_string()), Ok(text.to_owned()));
        }
        for text in [
            "",
            "localhost",
            "http://",
            "ftp://a",
            "http://a:b",
            "http://a/path",
            "http://*",
            "null",
            "http://a:*:*",
        ] {
            assert!(text.parse::<OriginPattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_entry_stands_for_its_scheme_host_and_port_alone() {
        let table = [
            ("http://localhost:*", "http://localhost:3000", true),
            ("http://localhost:*", "http://LOCALHOST", true),
            ("http://localhost:*", "https://localhost:3000", false),
            ("http://localhost:*", "http://localhost.evil.example:3000", false),
            ("https://desk.example", "https://desk.example", true),
            ("https://desk.example", "https://desk.example:443", true),
            ("https://desk.example", "https://desk.example:8443", false),
            ("http://[::1]:*", "http://[::1]:8050", true),
            ("*", "https://anything.example", true),
        ];
        for (entry, origin, is_meant) in table {
            let entry: OriginPattern = entry.parse().expect("well-formed");
            assert_eq!(
                entry.has(&WebOrigin::parse(origin).expect("an origin")),
                is_meant,
                "{entry} {origin}"
            );
        }
        assert_eq!(WebOrigin::parse("null"), None);
    }
}
