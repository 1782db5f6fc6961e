//! The variables of the former system for the address of its database: `TIMESCALEDB_HOST`, `_PORT`, `_USER`, `_PASSWORD` and
//! `_DATABASE`, parts of one address.
//!
//! Promises: parts make one address in any order. On failure: a part that cannot be used is put in all the same, so
//! that validation refuses it in its own words.

use url::Url;

/// The address that parts are put into while none is known.
const BASE: &str = "postgres://postgres@127.0.0.1:5432/postgres";

/// A part of an address.
#[derive(Clone, Copy)]
pub(super) enum PostgresPart {
    Host,
    Port,
    User,
    Password,
    Database,
}

impl PostgresPart {
    /// Returns the address with this part of it.
    pub fn put_into(self, address: &str, text: &str) -> String {
        let Ok(mut url) = Url::parse(if address.is_empty() { BASE } else { address }) else {
            // One with several hosts, which none of the parts can be of.
            return address.to_owned();
        };
        let is_put = match self {
            PostgresPart::Host if text.contains(':') => url.set_host(Some(&format!("[{text}]"))).is_ok(),
            PostgresPart::Host => url.set_host(Some(text)).is_ok(),
            PostgresPart::Port => text.parse().is_ok_and(|port| url.set_port(Some(port)).is_ok()),
            PostgresPart::User => url.set_username(text).is_ok(),
            PostgresPart::Password => url.set_password(Some(text)).is_ok(),
            PostgresPart::Database => {
                url.set_path(text);
                true
            }
        };
        if is_put { url.into() } else { "a part of it cannot be used".to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_make_one_address() {
        let host = PostgresPart::Host.put_into("", "db.example");
        assert_eq!(host, "postgres://postgres@db.example:5432/postgres");
        let parts = [
            (PostgresPart::Port, "6543"),
            (PostgresPart::User, "me"),
            (PostgresPart::Password, "s:c@/t"),
            (PostgresPart::Database, "market_data"),
        ];
        let whole = parts.iter().fold(host, |url, (part, text)| part.put_into(&url, text));
        assert_eq!(whole, "postgres://me:s%3Ac%40%2Ft@db.example:6543/market_data");
        assert!(!PostgresPart::Port.put_into("", "x").starts_with("postgres"));
    }
}
