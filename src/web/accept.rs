//! What a client says it takes: `Accept` and `Accept-Encoding`, with their weights.

use actix_web::http::header::{self, HeaderMap, HeaderName};

/// Returns the weight of each listed value, in the order of the header; 0 refuses, no weight is 1.
fn weights<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = (&'a str, f32)> {
    headers.get_all(name).filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(
        |item| {
            let mut parts = item.split(';').map(str::trim);
            let value = parts.next().unwrap_or_default();
            let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse);
            // A weight that is no number refuses nothing.
            (value, weight.unwrap_or(1.0))
        },
    )
}

/// Returns the weight of the first of the names that is listed.
fn weight(headers: &HeaderMap, name: &HeaderName, wanted: &[&str]) -> Option<f32> {
    wanted.iter().find_map(|wanted| {
        let mut listed = weights(headers, name);
        listed.find(|(value, _)| value.eq_ignore_ascii_case(wanted)).map(|(_, weight)| weight)
    })
}

/// True when the client takes gzip. One that says nothing gets plain bodies, although it might take it.
#[must_use]
pub fn takes_gzip(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ACCEPT_ENCODING)
        && weight(headers, &header::ACCEPT_ENCODING, &["gzip", "*"]).is_some_and(|weight| weight > 0.0)
}

/// True when the client names `text/csv`, and does not like JSON better.
#[must_use]
pub fn wants_csv(headers: &HeaderMap) -> bool {
    let csv = weight(headers, &header::ACCEPT, &["text/csv"]).unwrap_or(0.0);
    let json = weight(headers, &header::ACCEPT, &["application/json"]).unwrap_or(0.0);
    csv > 0.0 && csv >= json
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
            ("GZIP", true),
            ("*", true),
            ("*;q=0", false),
            ("gzip;q=0, *", false),
            ("gzip; q=0.0", false),
            ("br", false),
            ("identity", false),
            ("", false),
        ] {
            let request = TestRequest::default().insert_header((header::ACCEPT_ENCODING, value));
            assert_eq!(takes_gzip(request.to_http_request().headers()), takes, "{value}");
        }
        assert!(!takes_gzip(TestRequest::default().to_http_request().headers()));
    }

    #[test]
    fn csv_is_for_those_who_name_it() {
        for (value, wants) in [
            ("text/csv", true),
            ("text/csv, */*;q=0.1", true),
            ("application/json;q=0.5, text/csv", true),
            ("application/json, text/csv;q=0.5", false),
            ("text/csv;q=0", false),
            ("text/html, */*", false),
        ] {
            let request = TestRequest::default().insert_header((header::ACCEPT, value));
            assert_eq!(wants_csv(request.to_http_request().headers()), wants, "{value}");
        }
    }
}
