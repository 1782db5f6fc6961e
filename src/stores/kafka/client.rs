//! What every client of Kafka hears from librdkafka: lines, faults of its brokers, and statistics.
//!
//! Promises: a fault is kept until the client works, however often librdkafka tries, for its owner to say once. What
//! librdkafka itself says is there at the level `debug`. Statistics come once a second. Nothing here fails.

use super::fault::KafkaFault;
use super::settings::ClientSetup;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaErrorCode;
use std::sync::{Mutex, PoisonError};

/// Takes the statistics of a client.
pub type OnStatistics = Box<dyn Fn(&Statistics) + Send + Sync>;

/// What a client hears. The context of consumers and of what administers topics; producers have it inside of theirs.
pub struct Contact {
    /// Which client it is, for people.
    name: &'static str,
    fault: Mutex<Option<KafkaFault>>,
    on_statistics: OnStatistics,
}

impl Contact {
    /// Makes the context of a client.
    #[must_use]
    pub fn new(name: &'static str, on_statistics: OnStatistics) -> Contact {
        Contact { name, fault: Mutex::new(None), on_statistics }
    }

    /// Makes the context of a client whose statistics nobody wants.
    #[must_use]
    pub fn without_statistics(name: &'static str) -> Contact {
        Contact::new(name, Box::new(|_| {}))
    }

    /// Says which properties of ours the user's take the place of.
    pub fn say_overridden(&self, setup: &ClientSetup) {
        for one in &setup.overridden {
            tracing::warn!(
                client = self.name,
                "`kafka.librdkafka` overrides `{}`: it is `{}` in place of `{}`",
                one.property,
                one.theirs,
                one.ours
            );
        }
    }

    /// Returns what is wrong with the brokers, where the client has not worked since.
    #[must_use]
    pub fn fault(&self) -> Option<KafkaFault> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that the client works.
    pub fn works(&self) {
        let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        *fault = None;
    }

    /// Notes a fault of the brokers.
    pub fn failed(&self, found: KafkaFault) {
        let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        // Brokers that are refused or not trusted are also not connected: the cause is what people need.
        if fault.as_ref().is_some_and(|known| *known == found || !known.is_transient && found.is_transient) {
            return;
        }
        tracing::debug!(client = self.name, "{found}");
        *fault = Some(found);
    }
}

impl ClientContext for Contact {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        tracing::debug!(client = self.name, ?level, facility, "librdkafka: {line}");
    }

    fn stats(&self, statistics: Statistics) {
        (self.on_statistics)(&statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let Some(code) = error.rdkafka_error_code() else { return };
        // It says that no broker is left; the reason for each has been said.
        if code != RDKafkaErrorCode::AllBrokersDown {
            self.failed(KafkaFault::explain(code, reason));
        }
    }
}

impl ConsumerContext for Contact {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_stays_until_the_client_works() {
        let contact = Contact::without_statistics("test");
        let error = |code, reason: &str| contact.error(KafkaError::Global(code), reason);
        error(RDKafkaErrorCode::AllBrokersDown, "1/1 brokers are down");
        assert_eq!(contact.fault(), None);
        error(RDKafkaErrorCode::Authentication, "sasl_plaintext://h:1/bootstrap: no");
        error(RDKafkaErrorCode::BrokerTransportFailure, "sasl_plaintext://h:1/bootstrap: Disconnected");
        let fault = contact.fault().unwrap();
        assert!(fault.text.contains("user or password") && !fault.is_transient, "{fault}");
        contact.works();
        assert_eq!(contact.fault(), None);
    }
}
