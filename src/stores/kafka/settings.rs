//! How brokers are reached, in librdkafka's properties.
//!
//! Promises: what the user passes through wins over what this program sets, and every property of ours that is lost so is
//! named ([`ClientSetup::overridden`]). On failure: a property that librdkafka does not know, or a value that it refuses, is
//! told by [`property_fault`] before any client is made.

use crate::secret::{MASK, Secret, is_secret_key};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// How a client says who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mechanism {
    /// User and password as they are, so only over TLS.
    #[serde(rename = "PLAIN")]
    Plain,
    /// Salted challenge and response over SHA-256.
    #[serde(rename = "SCRAM-SHA-256")]
    Scram256,
    /// The same over SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    Scram512,
}

impl Mechanism {
    /// Returns its name in the protocol.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::Scram256 => "SCRAM-SHA-256",
            Mechanism::Scram512 => "SCRAM-SHA-512",
        }
    }
}

/// Who we are.
#[derive(Clone, Debug)]
pub struct Sasl {
    /// How it is said.
    pub mechanism: Mechanism,
    /// The user.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// How connections are encrypted.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Certificates to trust, as PEM; `None` trusts the system's.
    pub ca_file: Option<PathBuf>,
    /// Our certificate and its key, as PEM.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The password of the key.
    pub key_password: Option<Secret>,
    /// Whether a broker's certificate must name the host that it is reached by.
    pub verify_hostname: bool,
}

/// How brokers are reached.
#[derive(Clone, Debug)]
pub struct KafkaSettings {
    /// Some of them, with commas between.
    pub bootstrap_servers: String,
    /// How connections are encrypted; `None` are not.
    pub tls: Option<Tls>,
    /// Who we are; `None` is not said.
    pub sasl: Option<Sasl>,
    /// What is passed through to librdkafka.
    pub properties: BTreeMap<String, Secret>,
    /// An answer that takes longer has failed.
    pub timeout: Duration,
}

/// A property of ours that the user's own takes the place of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overridden {
    /// Its name in librdkafka.
    pub property: String,
    /// What we would have set.
    pub ours: String,
    /// What holds; `***` for a secret.
    pub theirs: String,
}

/// What a client is made of.
pub struct ClientSetup {
    /// The properties.
    pub config: ClientConfig,
    /// Which of ours do not hold.
    pub overridden: Vec<Overridden>,
}

impl KafkaSettings {
    /// Returns the properties of a client. `purpose` is the end of its `client.id`, `own` are properties of its kind.
    #[must_use]
    pub fn client(&self, purpose: &str, own: &[(&str, String)]) -> ClientSetup {
        let mut ours = self.connection();
        ours.insert("client.id".to_owned(), format!("tickwire-{purpose}"));
        ours.extend(own.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let mut overridden = Vec::new();
        for (name, value) in &self.properties {
            let theirs = value.expose();
            match ours.insert(name.clone(), theirs.to_owned()) {
                Some(before) if before != theirs => {
                    let show =
                        |text: &str| if is_secret_key(name) { MASK.to_owned() } else { text.to_owned() };
                    let (ours, theirs) = (show(&before), show(theirs));
                    overridden.push(Overridden { property: name.clone(), ours, theirs });
                }
                _ => {}
            }
        }
        let mut config: ClientConfig = ours.into_iter().collect();
        // Its lines come to us by a callback, which has the last word on what people see.
        config.set_log_level(RDKafkaLogLevel::Info);
        ClientSetup { config, overridden }
    }

    fn connection(&self) -> BTreeMap<String, String> {
        let mut properties = BTreeMap::new();
        let mut set = |name: &str, value: &str| {
            properties.insert(name.to_owned(), value.to_owned());
        };
        set("bootstrap.servers", &self.bootstrap_servers);
        let protocol = match (&self.tls, &self.sasl) {
            (None, None) => "plaintext",
            (Some(_), None) => "ssl",
            (None, Some(_)) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        };
        set("security.protocol", protocol);
        if let Some(tls) = &self.tls {
            let mut set_path = |name: &str, path: &PathBuf| set(name, &path.to_string_lossy());
            if let Some(ca_file) = &tls.ca_file {
                set_path("ssl.ca.location", ca_file);
            }
            if let Some((certificate, key)) = &tls.certificate {
                set_path("ssl.certificate.location", certificate);
                set_path("ssl.key.location", key);
            }
            if let Some(password) = &tls.key_password {
                set("ssl.key.password", password.expose());
            }
            let algorithm = if tls.verify_hostname { "https" } else { "none" };
            set("ssl.endpoint.identification.algorithm", algorithm);
        }
        if let Some(sasl) = &self.sasl {
            set("sasl.mechanism", sasl.mechanism.as_str());
            set("sasl.username", &sasl.username);
            set("sasl.password", sasl.password.expose());
        }
        // Statistics are what health and metrics show.
        set("statistics.interval.ms", "1000");
        // Brokers close connections that nobody uses; that is no news.
        set("log.connection.close", "false");
        set("reconnect.backoff.ms", "100");
        set("reconnect.backoff.max.ms", "10000");
        properties
    }
}

/// Returns why librdkafka takes no such property, or not with such a value, without repeating the value.
#[must_use]
pub fn property_fault(name: &str, value: &str) -> Option<String> {
    let mut config = ClientConfig::new();
    config.set(name, value);
    match config.create_native_config() {
        Ok(_) => None,
        Err(KafkaError::ClientConfig(_, reason, ..)) if !is_secret_key(name) => {
            Some(format!("librdkafka refuses it: {reason}"))
        }
        Err(_) => Some("librdkafka refuses it".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> KafkaSettings {
        KafkaSettings {
            bootstrap_servers: "a:9092,b:9092".to_owned(),
            tls: None,
            sasl: None,
            properties: BTreeMap::new(),
            timeout: Duration::from_secs(1),
        }
    }

    #[test]
    fn the_protocol_follows_from_tls_and_sasl() {
        let tls = || Tls {
            ca_file: Some("/ca.pem".into()),
            certificate: Some(("/c.pem".into(), "/k.pem".into())),
            key_password: None,
            verify_hostname: false,
        };
        let sasl = || Sasl {
            mechanism: Mechanism::Scram512,
            username: "me".to_owned(),
            password: Secret::new("hunter2".to_owned()),
        };
        for (tls, sasl, protocol) in [
            (None, None, "plaintext"),
            (Some(tls()), None, "ssl"),
            (None, Some(sasl()), "sasl_plaintext"),
            (Some(tls()), Some(sasl()), "sasl_ssl"),
        ] {
            let settings = KafkaSettings { tls, sasl, ..settings() };
            assert!(!format!("{settings:?}").contains("hunter2"));
            let setup = settings.client("test", &[("acks", "all".to_owned())]);
            assert_eq!(setup.config.get("security.protocol"), Some(protocol));
            assert_eq!(setup.config.get("client.id"), Some("tickwire-test"));
            assert_eq!(setup.config.get("acks"), Some("all"));
            assert_eq!(setup.overridden, []);
        }
    }

    #[test]
    fn what_is_passed_through_wins_and_what_it_overrides_is_named() {
        let given = [("acks", "1"), ("sasl.password", "hunter2"), ("socket.keepalive.enable", "true")];
        let properties =
            given.map(|(name, value)| (name.to_owned(), Secret::new(value.to_owned()))).into_iter().collect();
        let sasl = Sasl {
            mechanism: Mechanism::Plain,
            username: "me".to_owned(),
            password: Secret::new("hunter1".to_owned()),
        };
        let settings = KafkaSettings { properties, sasl: Some(sasl), ..settings() };
        let setup = settings.client("test", &[("acks", "all".to_owned())]);
        assert_eq!(setup.config.get("acks"), Some("1"));
        assert_eq!(setup.config.get("socket.keepalive.enable"), Some("true"));
        let shown: Vec<_> =
            setup.overridden.iter().map(|one| (one.property.as_str(), &*one.ours, &*one.theirs)).collect();
        assert_eq!(shown, [("acks", "all", "1"), ("sasl.password", "***", "***")]);
    }
}
