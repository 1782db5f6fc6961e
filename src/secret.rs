//! A text that is never shown by accident, such as a password, and what takes it out of texts of others.
//!
//! Promises: formatting and serialising it gives `***`.

use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// Printed in place of a secret.
pub const MASK: &str = "***";

/// A password, a token or a key: prints as `***`, in logs as in the printed configuration.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: String) -> Secret {
        Secret(text)
    }

    /// Returns the text, to be sent where it is needed.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

/// Shorter texts are no secrets worth the name, and would be taken out of every other word.
const SECRET_LEN_MIN: usize = 6;

/// Takes secrets out of texts that others wrote: servers repeat keys in their errors, and keep them in what they echo.
#[derive(Clone, Default)]
pub struct Redaction {
    /// Each secret as it is, and as it stands in a URL, the longest first.
    hidden: Vec<String>,
}

impl Redaction {
    /// Makes one for these secrets.
    #[must_use]
    pub fn of<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Redaction {
        let texts = secrets.into_iter().map(Secret::expose).filter(|text| text.len() >= SECRET_LEN_MIN);
        let forms = |text: &str| {
            let encoded: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
            [text.to_owned(), encoded.replace('+', "%20"), encoded]
        };
        let mut hidden: Vec<String> = texts.flat_map(forms).collect();
        hidden.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        hidden.dedup();
        Redaction { hidden }
    }

    /// Returns the text with `***` in place of each secret.
    #[must_use]
    pub fn apply<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut shown = Cow::Borrowed(text);
        for hidden in self.hidden.iter().filter(|hidden| text.contains(hidden.as_str())) {
            shown = shown.replace(hidden, MASK).into();
        }
        shown
    }
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} texts", self.hidden.len())
    }
}

/// True for a key whose value must not be shown, whether or not the key is known.
#[must_use]
pub fn is_secret_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let last = key.rsplit('.').next().unwrap_or(&key);
    ["password", "passwd", "secret", "token", "credential"].iter().any(|word| last.contains(word))
        || last == "key"
        || last.ends_with("_key")
        || (last.ends_with("url") && key.contains("webhook"))
        || key.contains(".headers.")
}

/// True for a key whose value is a URL, which may hold a secret besides what everybody may see.
#[must_use]
pub fn is_url_key(key: &str) -> bool {
    let last = key.rsplit('.').next().unwrap_or(key).to_ascii_lowercase();
    (last == "url" || last.ends_with("_url")) && !is_secret_key(key)
}

/// Returns the value of a key as anybody may see it: a secret not at all, a URL without its user and its query.
#[must_use]
pub fn shown_value<'t>(key: &str, value: &'t str) -> Cow<'t, str> {
    if is_secret_key(key) {
        Cow::Borrowed(MASK)
    } else if is_url_key(key) {
        shown_url(value)
    } else {
        Cow::Borrowed(value)
    }
}

/// Returns a URL with `***` in place of its user and its query: passwords and tokens stand there. Of what is no URL
/// nothing is shown, nor of one in which nobody can tell where its user ends.
#[must_use]
pub fn shown_url(text: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = text.split_once("://") else { return Cow::Borrowed(MASK) };
    let is_scheme = !scheme.is_empty()
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let query = rest.find('?');
    if !is_scheme || query.zip(rest.rfind('@')).is_some_and(|(query, at)| query < at) {
        return Cow::Borrowed(MASK);
    }
    let (rest, query) = query.map_or((rest, ""), |at| (&rest[..at], "?***"));
    match rest.rsplit_once('@') {
        Some((_, host)) => Cow::Owned(format!("{scheme}://{MASK}@{host}{query}")),
        None if query.is_empty() => Cow::Borrowed(text),
        None => Cow::Owned(format!("{scheme}://{rest}{query}")),
    }
}

/// Takes the value of a key out of what a library says of it. Only the value as it is quoted is replaced: a short one may
/// stand in the library's own words too, and nothing of these is lost. Where a longer one is left, the whole text is.
#[must_use]
pub fn without_value(key: &str, value: &str, text: &str) -> String {
    if value.is_empty() || !(is_secret_key(key) || is_url_key(key)) {
        return text.to_owned();
    }
    let shown = shown_value(key, value);
    let text = text
        .replace(&format!("{value:?}"), &format!("\"{shown}\""))
        .replace(&format!("`{value}`"), &format!("`{shown}`"));
    if shown != value && value.len() >= SECRET_LEN_MIN && text.contains(value) {
        return "the value cannot be used".to_owned();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_itself_only_when_asked() {
        let secret: Secret = serde_json::from_str("\"hunter2\"").unwrap();
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "*** *** Some(***)");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"***\"");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn secrets_are_taken_out_of_the_texts_of_others() {
        let secrets =
            ["k/e y+1", "open-sesame", "open-sesame-2", "abc"].map(|text| Secret::new(text.to_owned()));
        let redaction = Redaction::of(&secrets);
        for (text, shown) in [
            ("your key is open-sesame.", "your key is ***."),
            ("open-sesame-2open-sesame", "******"),
            ("/?token=k%2Fe+y%2B1&a=k%2Fe%20y%2B1 k/e y+1", "/?token=***&a=*** ***"),
            ("abc is too short", "abc is too short"),
            ("", ""),
        ] {
            assert_eq!(redaction.apply(text), shown);
        }
        assert!(matches!(redaction.apply("nothing"), Cow::Borrowed(_)));
        assert_eq!(format!("{redaction:?}"), "5 texts");
    }

    #[test]
    fn keys_of_secrets_are_known_by_their_last_word() {
        for key in [
            "a.api_key",
            "influx.token",
            "redis.password",
            "slack_webhook_url",
            "a.webhook.url",
            "a.headers.x",
            "KEY",
        ] {
            assert!(is_secret_key(key), "{key}");
        }
        for key in ["server.rest", "provider.symbols", "secret.rest", "monkey", "db.url"] {
            assert!(!is_secret_key(key), "{key}");
        }
        for (key, is_url) in [("db.url", true), ("proxy_url", true), ("webhook_url", false), ("curl", false)]
        {
            assert_eq!(is_url_key(key), is_url, "{key}");
        }
    }

    #[test]
    fn a_url_loses_its_user_and_its_query_and_nothing_else() {
        for (url, shown) in [
            ("redis://cache.example:6379/3", "redis://cache.example:6379/3"),
            ("redis://u:hunter2@cache.example:6379/3", "redis://***@cache.example:6379/3"),
            ("postgres://u:hunter2@one:1,two/db?sslmode=require", "postgres://***@one:1,two/db?***"),
            ("https://api.example/v1?token=hunter2", "https://api.example/v1?***"),
            ("redis://:hun/ter2@host", "redis://***@host"),
            ("redis://:hun@ter2@host", "redis://***@host"),
            ("redis://:hun?ter2@host", "***"),
            ("https://host/?token=hun@ter2", "***"),
            ("host=db password=hunter2", "***"),
            ("hunter2", "***"),
            ("hunter2 ://x", "***"),
        ] {
            assert_eq!(shown_url(url), shown, "{url}");
        }
    }

    #[test]
    fn what_is_said_of_a_value_loses_the_value_and_no_other_letter() {
        let said =
            |value: &str| format!("unknown key `foo`: string {value:?}, expected one of `{value}`, `x`");
        assert_eq!(
            without_value("a.token", "x", &said("x")),
            "unknown key `foo`: string \"***\", expected one of `***`, `***`"
        );
        assert_eq!(without_value("a.token", "expected", &said("expected")), "the value cannot be used");
        assert_eq!(without_value("a.port", "x", &said("x")), said("x"));
        let url = "redis://u:hunter2@h";
        assert!(without_value("redis.url", url, &said(url)).contains("string \"redis://***@h\", expected"));
        assert!(!without_value("a.token", "hunter2", "hunter2 is short").contains("hunter2"));
    }
}
