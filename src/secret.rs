//! A text that is never shown by accident, such as a password.
//!
//! Promises: formatting and serialising it gives `***`.

use serde::{Deserialize, Serialize, Serializer};
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

/// True for a key whose value must not be shown, whether or not the key is known.
#[must_use]
pub fn is_secret_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let last = key.rsplit('.').next().unwrap_or(&key);
    ["password", "passwd", "secret", "token", "credential"].iter().any(|word| last.contains(word))
        || last == "key"
        || last.ends_with("_key")
        || last.ends_with("_url")
        || last == "url"
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
    fn keys_of_secrets_are_known_by_their_last_word() {
        for key in ["a.api_key", "influx.token", "redis.password", "db.url", "slack_webhook_url", "KEY"] {
            assert!(is_secret_key(key), "{key}");
        }
        for key in ["server.rest", "provider.symbols", "secret.rest", "monkey"] {
            assert!(!is_secret_key(key), "{key}");
        }
    }
}
