//! How Kafka is reached, from the configuration.
//!
//! On failure: an error that names the key of a file that cannot be read; passwords are never in it.

use super::secret_file::read_secret;
use crate::config::{Enabled, Kafka, Secret};
use crate::stores::kafka::settings::{KafkaSettings, Sasl, Tls};
use anyhow::Context;
use std::path::Path;

/// Reads the files that the section names, and returns how brokers are reached.
///
/// # Errors
/// When the brokers are not set, or a file cannot be read.
pub fn settings(kafka: &Kafka) -> anyhow::Result<KafkaSettings> {
    let bootstrap_servers =
        kafka.bootstrap_servers.clone().context("`kafka.bootstrap_servers` is not set")?;
    let (tls, sasl) = (&kafka.tls, &kafka.sasl);
    let files = [
        ("kafka.tls.ca_file", &tls.ca_file),
        ("kafka.tls.cert_file", &tls.cert_file),
        ("kafka.tls.key_file", &tls.key_file),
    ];
    for (key, path) in files.iter().filter_map(|(key, path)| path.as_deref().map(|path| (key, path))) {
        check_file(key, path)?;
    }
    let key_password =
        secret(tls.key_password.as_ref(), "kafka.tls.key_password_file", tls.key_password_file.as_deref())?;
    let tls = tls.is_enabled().then(|| Tls {
        ca_file: tls.ca_file.clone(),
        certificate: tls.cert_file.clone().zip(tls.key_file.clone()),
        key_password,
        verify_hostname: tls.verify_hostname != Enabled::No,
    });
    let password = secret(sasl.password.as_ref(), "kafka.sasl.password_file", sasl.password_file.as_deref())?;
    let sasl = sasl.mechanism.zip(password).map(|(mechanism, password)| Sasl {
        mechanism,
        username: kafka.sasl.username.clone().unwrap_or_default(),
        password,
    });
    let property = |(name, value): (&String, &String)| (name.clone(), Secret::new(value.clone()));
    Ok(KafkaSettings {
        bootstrap_servers,
        tls,
        sasl,
        properties: kafka.librdkafka.0.iter().map(property).collect(),
        timeout: kafka.timeout,
    })
}

/// librdkafka would only say that it has a problem with a property.
fn check_file(key: &str, path: &Path) -> anyhow::Result<()> {
    std::fs::File::open(path).with_context(|| format!("`{key}`: cannot read `{}`", path.display()))?;
    Ok(())
}

fn secret(given: Option<&Secret>, key: &str, file: Option<&Path>) -> anyhow::Result<Option<Secret>> {
    match (given, file) {
        (Some(secret), _) => Ok(Some(secret.clone())),
        (None, Some(path)) => Ok(Some(Secret::new(read_secret(key, path)?))),
        (None, None) => Ok(None),
    }
}
