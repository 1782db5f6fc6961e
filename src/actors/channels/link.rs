//! Addresses of the page, for people who are told something.
//!
//! Promises: pure. What is linked to is the page's own form of an address: `https://desk.example/#/AAPL`. Nothing here fails.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stands in the page's address as something else than itself.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_');

/// Returns the address of the page of a symbol, or of the page.
#[must_use]
pub fn page_link(public_url: &str, symbol: Option<&str>) -> String {
    let root = public_url.trim_end_matches('/');
    match symbol {
        Some(symbol) => format!("{root}/#/{}", utf8_percent_encode(symbol, ENCODED)),
        None => format!("{root}/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_stands_behind_the_page() {
        assert_eq!(page_link("https://desk.example", Some("BRK.B")), "https://desk.example/#/BRK.B");
        assert_eq!(page_link("https://desk.example/tw/", Some("X:A")), "https://desk.example/tw/#/X%3AA");
        assert_eq!(page_link("https://desk.example/tw/", None), "https://desk.example/tw/");
    }
}
