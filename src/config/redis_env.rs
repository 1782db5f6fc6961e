//! The variables that other programs use for the address of Redis: `REDIS_HOST`, `REDIS_PORT` and `REDIS_DB`, parts of
//! one address.
//!
//! Promises: parts make one address in any order. On failure: a part that cannot be used is put in all the same, so
//! that validation refuses it in its own words.

use url::Url;

/// The address that parts are put into while none is known.
const BASE: &str = "redis://127.0.0.1:6379/0";

/// A part of an address.
#[derive(Clone, Copy)]
pub(super) enum RedisPart {
    Host,
    Port,
    Database,
}

impl RedisPart {
    /// Returns the address with this part of it. A text that is none is put in all the same, so that it is refused with
    /// the key's own words.
    pub fn put_into(self, address: &str, text: &str) -> String {
        let Ok(mut url) = Url::parse(if address.is_empty() { BASE } else { address }) else {
            return address.to_owned();
        };
        let is_put = match self {
            RedisPart::Host if text.contains(':') => url.set_host(Some(&format!("[{text}]"))).is_ok(),
            RedisPart::Host => url.set_host(Some(text)).is_ok(),
            RedisPart::Port => {
                let port = text.parse();
                port.is_ok_and(|port| url.set_port(Some(port)).is_ok())
            }
            RedisPart::Database => {
                url.set_path(text);
                true
            }
        };
        if is_put { url.into() } else { format!("`{text}` is no part of an address") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_make_one_address() {
        let host = RedisPart::Host.put_into("", "cache.example");
        assert_eq!(host, "redis://cache.example:6379/0");
        let port = RedisPart::Port.put_into(&host, "6380");
        assert_eq!(RedisPart::Database.put_into(&port, "3"), "redis://cache.example:6380/3");
        assert_eq!(RedisPart::Host.put_into("", "::1"), "redis://[::1]:6379/0");
        let secret = "rediss://user:secret@old:1/2";
        assert_eq!(RedisPart::Host.put_into(secret, "new"), "rediss://user:secret@new:1/2");
        assert!(!RedisPart::Port.put_into("", "x").starts_with("redis"));
    }
}
