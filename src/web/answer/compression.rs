//! Compression of answers, for clients that ask for it.
//!
//! Promises: a client that does not name gzip gets plain bodies. On failure: a header that cannot be read counts as
//! absent.

use actix_web::HttpRequest;
use actix_web::http::header::{ACCEPT_ENCODING, AcceptEncoding, Encoding, Header};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

/// True when the client prefers gzip to a plain body.
#[must_use]
pub fn takes_gzip(request: &HttpRequest) -> bool {
    let supported = [Encoding::gzip(), Encoding::identity()];
    request.headers().contains_key(ACCEPT_ENCODING)
        && AcceptEncoding::parse(request)
            .is_ok_and(|accepted| accepted.negotiate(supported.iter()) == Some(Encoding::gzip()))
}

/// Compresses a body.
#[must_use]
pub fn compress(body: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), level);
    encoder.write_all(body).expect("memory takes every byte");
    encoder.finish().expect("memory takes every byte")
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn gzip_is_used_only_where_it_is_taken() {
        for (value, takes) in [
            ("gzip, br", true),
            ("br;q=1, gzip;q=0.5", true),
            ("gzip;q=0.5, identity;q=1", false),
            ("GZIP", true),
            ("*", false),
            ("*;q=0", false),
            ("gzip;q=0, *", false),
            ("gzip; q=0.0", false),
            ("br", false),
            ("identity", false),
            ("", false),
        ] {
            let request = TestRequest::default().insert_header((ACCEPT_ENCODING, value));
            assert_eq!(takes_gzip(&request.to_http_request()), takes, "{value}");
        }
        assert!(!takes_gzip(&TestRequest::default().to_http_request()));
    }
}
